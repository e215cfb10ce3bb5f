//! From init's end to nothing, or to the next start.

use tenure_spec::{RestartAction, RestartPolicy};

use super::{AfterCreate, Answer, Cause, ContainerMachine, Outcome, PostStart, Standing, State};
use crate::action::{Action, ContainerAction, NoticeKind, Reason};
use crate::exit::{Exit, ExitStatus};
use crate::restart;
use crate::time::Timestamp;

impl ContainerMachine {
    pub(super) fn exited(&mut self, now: Timestamp, exit: Exit, out: &mut Vec<Action>) {
        self.state = match self.take() {
            State::Creating {
                then: AfterCreate::Start,
            } => self.finish(exit, (None, now), Cause::Itself, out),
            State::Creating {
                then: AfterCreate::Discard,
            } => self.finish_discarded(&exit, out),
            State::Created => self.finish_discarded(&exit, out),
            State::Starting { stop, ended } => State::Starting {
                stop,
                ended: Some(ended.unwrap_or((exit, now))),
            },
            State::Running {
                started_at,
                post_start,
            } => {
                match post_start {
                    PostStart::Running | PostStart::CutShort | PostStart::Over => {}
                }
                self.finish(exit, (Some(started_at), now), Cause::Itself, out)
            }
            State::Stopping {
                standing: Standing::Unstarted,
                cause: _,
                phase: _,
            } => self.finish_discarded(&exit, out),
            State::Stopping {
                standing,
                cause,
                phase: _,
            } => self.finish(exit, (standing.started_at(), now), cause, out),
            state @ (State::Pending { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => state,
        };
    }

    /// Init has ended: (start, end) are the times to publish. Handlers and probes do not outlive it (S24, S39).
    pub(super) fn finish(
        &mut self,
        exit: Exit,
        times: (Option<Timestamp>, Timestamp),
        cause: Cause,
        out: &mut Vec<Action>,
    ) -> State {
        self.tell_exited(&exit, &cause, out);
        self.cancel_hooks(out);
        self.cancel_probes(out);
        State::Stopped {
            outcome: Outcome::exited(exit, times, self.restart_count),
            cause,
        }
    }

    fn finish_discarded(&mut self, exit: &Exit, out: &mut Vec<Action>) -> State {
        self.tell_exited(exit, &Cause::PodEnding, out);
        State::Stopped {
            outcome: Outcome::Discarded,
            cause: Cause::PodEnding,
        }
    }

    /// A start's remains are deleted once no answer is owed any more. Those of one that restarts all containers stay
    /// until its turn comes, which is the last (`lifecycle-semantics 5.9`).
    pub(super) fn delete_when_settled(&mut self, out: &mut Vec<Action>) {
        if !self.owed.is_empty() || self.restarts_all() {
            return;
        }
        self.state = match self.take() {
            State::Stopped { outcome, cause } => {
                self.order(ContainerAction::Delete, out);
                self.owed.add(Answer::Delete);
                State::Deleting { outcome, cause }
            }
            state @ (State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => state,
        };
    }

    pub(super) fn deleted(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        self.state = match self.take() {
            State::Deleting { outcome, cause } => self.rest(now, outcome, cause, out),
            state @ (State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Stopped { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => state,
        };
    }

    /// The pod begins again, and nothing is left of the last start.
    pub(super) fn begin_anew(&mut self) {
        if !self.begins_anew {
            return;
        }
        self.state = match self.take() {
            State::Deleted { outcome } => {
                self.begins_anew = false;
                self.restarted = false;
                State::Pending { before: outcome }
            }
            state @ (State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }) => state,
        };
    }

    /// It has ended of its own accord, in a way that restarts all containers of the pod: nothing is done to it before
    /// the pod says so.
    pub(crate) fn restarts_all(&self) -> bool {
        match &self.state {
            State::Stopped {
                outcome,
                cause: Cause::Itself | Cause::PostStartFailed { .. },
            } => {
                restart::action(&self.plan.restart_rules, outcome)
                    == Some(RestartAction::RestartAllContainers)
            }
            State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. } => false,
        }
    }

    /// Says that this container's end restarts all, and gives when the pod may begin again: its wait, as before a
    /// restart of its own (`lifecycle-semantics 5.4`).
    pub(crate) fn tell_restart_of_all(&mut self, now: Timestamp, out: &mut Vec<Action>) -> Timestamp {
        let Some(end) = self.newest_end() else { return now };
        let (finished_at, code) = (end.finished_at, end.exit_code);
        let ran = end.started_at.map(|since| finished_at - since);
        let wait = self.backoff.next(ran);
        let name = &self.plan.name;
        let text = format!("Container {name} exited with code {code}, restarting all containers");
        self.tell(NoticeKind::Normal, Reason::RestartingAllContainers, text, out);
        let until = finished_at + wait;
        if until > now {
            let text = format!("Back-off {} s restarting all containers", wait.as_secs());
            self.tell(NoticeKind::Warning, Reason::BackOff, text, out);
        }
        until
    }

    /// Nothing is left of a start: the next one is awaited, its wait counted from the end of this one, or none comes.
    pub(super) fn rest(
        &mut self,
        now: Timestamp,
        outcome: Outcome,
        cause: Cause,
        out: &mut Vec<Action>,
    ) -> State {
        if !self.follows(&outcome, &cause) {
            return State::Deleted { outcome };
        }
        let ran = match &outcome {
            Outcome::Ended(terminated) => terminated.started_at.map(|since| terminated.finished_at - since),
            Outcome::Never | Outcome::Discarded | Outcome::ConfigError { .. } => None,
        };
        let wait = self.backoff.next(ran);
        let since = match cause {
            // Ended by us: only an earlier start's end can make it wait (`lifecycle-semantics 5.8`).
            Cause::ProbeFailed { kind: _ } => self.last.as_ref().map(|last| last.finished_at),
            Cause::Itself | Cause::ItselfForGood | Cause::PostStartFailed { .. } | Cause::PodEnding => {
                outcome.at()
            }
        };
        let until = match (since, &cause) {
            (Some(since), _) => since + wait,
            (None, Cause::ProbeFailed { kind: _ }) => now,
            (None, _) => now + wait,
        };
        if until > now {
            let text = format!(
                "Back-off {} s restarting failed container {}",
                wait.as_secs(),
                self.plan.name
            );
            self.tell(NoticeKind::Warning, Reason::BackOff, text, out);
        }
        State::BackingOff { outcome, until }
    }

    /// True when another start is to follow one that came out so.
    pub(super) fn follows(&self, outcome: &Outcome, cause: &Cause) -> bool {
        match cause {
            Cause::ItselfForGood | Cause::PodEnding => false,
            Cause::Itself | Cause::PostStartFailed { .. } => {
                restart::wanted(self.plan.restart, &self.plan.restart_rules, outcome)
            }
            Cause::ProbeFailed { kind: _ } => self.plan.restart != RestartPolicy::Never,
        }
    }

    fn tell_exited(&self, exit: &Exit, cause: &Cause, out: &mut Vec<Action>) {
        let kind = match cause {
            Cause::Itself | Cause::ItselfForGood if !exit.status.is_success() => NoticeKind::Warning,
            Cause::Itself
            | Cause::ItselfForGood
            | Cause::PostStartFailed { .. }
            | Cause::ProbeFailed { .. }
            | Cause::PodEnding => NoticeKind::Normal,
        };
        let name = &self.plan.name;
        let text = match exit.status {
            ExitStatus::Code(code) => format!("Container {name} exited with code {code}"),
            ExitStatus::Signal(signal) => format!("Container {name} was ended by signal {signal}"),
            ExitStatus::Unknown => format!("Container {name} ended, nobody could tell how"),
        };
        let text = if exit.oom_killed {
            text + ", out of memory"
        } else {
            text
        };
        self.tell(kind, Reason::Exited, text, out);
    }
}
