//! What follows from all containers' states together: who is begun, whose turn it is, whether it is over.

use super::{End, Life, PodMachine, Why, tell_pod};
use crate::action::{Action, NoticeKind, Reason};
use crate::container::view::Verdict;
use crate::container::{Command, ContainerMachine};
use crate::event::ContainerIndex;
use crate::plan::ContainerKind;
use crate::stop::Grace;
use crate::time::Timestamp;

impl PodMachine {
    /// Recomputes; called after every event.
    pub(super) fn decide(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        if let Life::Active { deadline } = self.life
            && let Some(trigger) = self.containers.iter().position(ContainerMachine::restarts_all)
        {
            self.restart_all(now, trigger, deadline, out);
        }
        if let Life::Restarting {
            deadline,
            trigger,
            until,
        } = self.life
        {
            self.go_on_restarting(now, (deadline, trigger, until), out);
        }
        if let Life::Active { deadline } = self.life {
            match self.end_due(now, deadline) {
                Some(why) => self.end_by_itself(now, why, out),
                None => self.begin_next(now, out),
            }
        }
        if let Life::Ending { end } = &self.life {
            let end = end.clone();
            self.give_turns(now, out);
            self.remove_sandbox_when_empty(end, out);
        }
    }

    /// A container's end restarts all of them (`lifecycle-semantics 5.9`).
    fn restart_all(
        &mut self,
        now: Timestamp,
        trigger: usize,
        deadline: Option<Timestamp>,
        out: &mut Vec<Action>,
    ) {
        let Some(container) = self.containers.get_mut(trigger) else {
            return;
        };
        let until = container.tell_restart_of_all(now, out);
        self.life = Life::Restarting {
            deadline,
            trigger: ContainerIndex(trigger),
            until,
        };
        for (place, container) in self.containers.iter_mut().enumerate() {
            if place != trigger {
                out.extend(container.command(now, Command::Restart));
            }
        }
    }

    /// The container that has restarted all is the last to be deleted; then, and after its wait, the pod begins again.
    fn go_on_restarting(
        &mut self,
        now: Timestamp,
        (deadline, trigger, until): (Option<Timestamp>, ContainerIndex, Timestamp),
        out: &mut Vec<Action>,
    ) {
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.end_by_itself(now, Why::DeadlineExceeded, out);
            return;
        }
        let are_deleted =
            |(place, container): (usize, &ContainerMachine)| place == trigger.0 || container.is_pending();
        if self.containers.iter().enumerate().all(are_deleted)
            && let Some(container) = self.containers.get_mut(trigger.0)
        {
            if container.restarts_all() {
                out.extend(container.command(now, Command::Restart));
            }
            if container.is_pending() && until <= now {
                self.life = Life::Active { deadline };
            }
        }
    }

    fn end_due(&self, now: Timestamp, deadline: Option<Timestamp>) -> Option<Why> {
        let verdict_of = |kind: ContainerKind, wanted: fn(Verdict) -> bool| {
            self.containers
                .iter()
                .filter(move |c| c.plan().kind == kind)
                .map(move |c| wanted(c.verdict()))
        };
        if verdict_of(ContainerKind::Init, |verdict| verdict == Verdict::Failed).any(|failed| failed) {
            Some(Why::InitFailed)
        } else if verdict_of(ContainerKind::App, |verdict| verdict != Verdict::Open).all(|over| over) {
            Some(Why::AppsEnded)
        } else if deadline.is_some_and(|deadline| deadline <= now) {
            Some(Why::DeadlineExceeded)
        } else {
            None
        }
    }

    fn end_by_itself(&mut self, now: Timestamp, why: Why, out: &mut Vec<Action>) {
        let grace = match &why {
            Why::DeadlineExceeded => {
                let text = "The pod was active longer than its activeDeadlineSeconds".to_owned();
                tell_pod(NoticeKind::Warning, Reason::DeadlineExceeded, text, out);
                Grace::requested(now, self.plan.grace)
            }
            Why::AppsEnded | Why::InitFailed | Why::Requested | Why::SandboxFailed { .. } => {
                Grace::internal(now, self.plan.grace)
            }
        };
        self.end(now, why, Command::Stop(grace), out);
    }

    fn begin_next(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        let Some(next) = self.containers.iter().position(ContainerMachine::is_pending) else {
            return;
        };
        let (before, rest) = self.containers.split_at_mut(next);
        let Some(next) = rest.first_mut() else { return };
        if may_begin(before) {
            out.extend(next.command(now, Command::Create));
        }
    }

    /// Sidecars are signalled from the last to the first, each when the ones after it are gone
    /// (`lifecycle-semantics 3.20, 3.22`). Plain inits hold none of them up (3.25).
    fn give_turns(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        for container in self.containers.iter_mut().rev() {
            if container.awaits_turn() {
                out.extend(container.command(now, Command::Turn));
            }
            if container.plan().kind != ContainerKind::Init && container.is_running() {
                return;
            }
        }
    }

    fn remove_sandbox_when_empty(&mut self, end: End, out: &mut Vec<Action>) {
        if self.containers.iter().all(ContainerMachine::is_deleted) {
            self.life = Life::RemovingSandbox { end };
            out.push(Action::RemoveSandbox);
        }
    }
}

/// Whether all containers before it let the first one that was never begun begin.
fn may_begin(before: &[ContainerMachine]) -> bool {
    match before.last() {
        Some(app) if app.plan().kind == ContainerKind::App => app.first_start_is_over(),
        Some(_) | None => before.iter().all(|container| match container.plan().kind {
            ContainerKind::Init => container.verdict() == Verdict::Succeeded,
            ContainerKind::Sidecar => container.is_initialised(),
            ContainerKind::App => true,
        }),
    }
}
