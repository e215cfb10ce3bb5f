//! Probes: when each may be asked, and what follows from its results (`lifecycle-semantics 6`).

use super::prober::Change;
use super::{Answer, Cause, ContainerMachine, PostStart, Standing, State, Stopping};
use crate::action::{Action, ContainerAction, NoticeKind, Reason};
use crate::probe::{ProbeKind, ProbeOutcome};
use crate::stop::Grace;
use crate::time::Timestamp;

impl ContainerMachine {
    /// Asks what is due. Harmless at any time.
    pub(super) fn ask_probes(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        for kind in ProbeKind::ALL {
            let Some(started_at) = self.may_ask(kind) else {
                continue;
            };
            if self.owed.has(Answer::Probe(kind)) {
                continue;
            }
            let prober = self.probers.get_mut(kind);
            if prober.is_some_and(|prober| prober.ask(now, started_at)) {
                self.order(ContainerAction::Probe { kind }, out);
                self.owed.add(Answer::Probe(kind));
            }
        }
    }

    /// When the next probe is due.
    pub(super) fn next_probe(&self) -> Option<Timestamp> {
        let due = |kind: &ProbeKind| {
            self.may_ask(*kind)?;
            if self.owed.has(Answer::Probe(*kind)) {
                return None;
            }
            self.probers.get(*kind)?.next()
        };
        ProbeKind::ALL.iter().filter_map(due).min()
    }

    /// The start of the program, if a probe of this kind has a meaning now: none before postStart has returned (S26),
    /// startup before the others (`lifecycle-semantics 6.4`), and while the container is brought to its end readiness
    /// alone, till SIGKILL or its end (6.7, S90).
    fn may_ask(&self, kind: ProbeKind) -> Option<Timestamp> {
        let startup_is_over = self.probers.is_good(ProbeKind::Startup);
        match &self.state {
            State::Running {
                started_at,
                post_start: PostStart::Over,
            } => (startup_is_over != (kind == ProbeKind::Startup)).then_some(*started_at),
            State::Stopping {
                standing: Standing::Ready { started_at },
                phase: Stopping::PreStop { .. } | Stopping::AwaitingTurn { .. } | Stopping::Terminating { .. },
                cause: _,
            } => (startup_is_over && kind == ProbeKind::Readiness).then_some(*started_at),
            State::Running { .. }
            | State::Stopping { .. }
            | State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. } => None,
        }
    }

    pub(super) fn probe_finished(
        &mut self,
        now: Timestamp,
        kind: ProbeKind,
        outcome: &ProbeOutcome,
        out: &mut Vec<Action>,
    ) {
        // The container has gone on without it.
        if self.may_ask(kind).is_none() {
            return;
        }
        let Some(prober) = self.probers.get_mut(kind) else {
            return;
        };
        let was_good = prober.is_good();
        let change = prober.take(outcome);
        match kind {
            ProbeKind::Startup | ProbeKind::Liveness if change == Change::Bad => prober.end(),
            ProbeKind::Startup if change == Change::Good => prober.end(),
            ProbeKind::Startup | ProbeKind::Readiness | ProbeKind::Liveness => {}
        }
        self.tell_result(kind, outcome, change, out);
        match (kind, change) {
            (ProbeKind::Startup | ProbeKind::Liveness, Change::Bad) => self.end_unhealthy(now, kind, out),
            (ProbeKind::Startup, Change::Good) => {
                let text = format!("Container {} has started up", self.plan.name);
                self.tell(NoticeKind::Normal, Reason::StartedUp, text, out);
            }
            (ProbeKind::Readiness, Change::Good) if !was_good => {
                let text = format!("Container {} is ready", self.plan.name);
                self.tell(NoticeKind::Normal, Reason::Ready, text, out);
            }
            (ProbeKind::Readiness, Change::Bad) if was_good => {
                let text = format!("Container {} is not ready any more", self.plan.name);
                self.tell(NoticeKind::Normal, Reason::NotReady, text, out);
            }
            (
                ProbeKind::Startup | ProbeKind::Readiness | ProbeKind::Liveness,
                Change::None | Change::Good | Change::Bad | Change::GivenUp,
            ) => {}
        }
    }

    /// A startup or liveness probe has failed for good (`lifecycle-semantics 6.9`): the probe's own grace, else the
    /// pod's (3d, S50, S51).
    fn end_unhealthy(&mut self, now: Timestamp, kind: ProbeKind, out: &mut Vec<Action>) {
        self.state = match self.take() {
            State::Running {
                started_at,
                post_start,
            } => {
                let own = self.plan.probes.get(kind).and_then(|plan| plan.grace);
                let grace = Grace::internal(now, own.unwrap_or(self.grace));
                let cause = Cause::ProbeFailed { kind };
                match post_start {
                    PostStart::Over | PostStart::Running | PostStart::CutShort => {}
                }
                self.begin_stop(now, (Standing::Ready { started_at }, cause), grace, out)
            }
            state @ (State::Stopping { .. }
            | State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => state,
        };
    }

    /// The container is being brought to its end: only readiness goes on (`lifecycle-semantics 6.7`).
    pub(super) fn end_probes_that_kill(&mut self, out: &mut Vec<Action>) {
        for kind in [ProbeKind::Startup, ProbeKind::Liveness] {
            if self.owed.cancel(Answer::Probe(kind)) {
                self.order(ContainerAction::CancelProbe { kind }, out);
            }
        }
    }

    /// Ends every probe that has not been told to end yet.
    pub(super) fn cancel_probes(&mut self, out: &mut Vec<Action>) {
        self.end_probes_that_kill(out);
        let kind = ProbeKind::Readiness;
        if self.owed.cancel(Answer::Probe(kind)) {
            self.order(ContainerAction::CancelProbe { kind }, out);
        }
    }

    /// The kubelet's words. A failure is told each time up to the verdict, and then only when there is something new
    /// to say: a readiness probe may fail for as long as the pod lives.
    fn tell_result(
        &mut self,
        kind: ProbeKind,
        outcome: &ProbeOutcome,
        change: Change,
        out: &mut Vec<Action>,
    ) {
        let (reason, text) = match outcome {
            ProbeOutcome::Failed { message } => (
                Reason::Unhealthy,
                format!("{} probe failed: {message}", kind.capitalised()),
            ),
            ProbeOutcome::Errored { message } if change == Change::GivenUp => (
                Reason::Unhealthy,
                format!("{} probe errored: {message}", kind.capitalised()),
            ),
            ProbeOutcome::Warned { message } => (
                Reason::ProbeWarning,
                format!("{} probe warning: {message}", kind.capitalised()),
            ),
            ProbeOutcome::Succeeded | ProbeOutcome::Errored { .. } | ProbeOutcome::Cancelled => {
                if change == Change::Good
                    && let Some(prober) = self.probers.get_mut(kind)
                {
                    prober.forget_told();
                }
                return;
            }
        };
        if self
            .probers
            .get_mut(kind)
            .is_some_and(|prober| prober.is_news(&text))
        {
            self.tell(NoticeKind::Warning, reason, text, out);
        }
    }
}
