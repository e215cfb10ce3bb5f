//! Handlers: running them, ending them, and what their reports mean.

use super::{Answer, Cause, ContainerMachine, PostStart, Standing, State, Stopping};
use crate::action::{Action, ContainerAction, NoticeKind, Reason};
use crate::event::{HookOutcome, HookPoint, HookReport};
use crate::plan::HandlerKind;
use crate::stop::Grace;
use crate::time::Timestamp;

impl ContainerMachine {
    pub(super) fn run_hook(&mut self, point: HookPoint, out: &mut Vec<Action>) {
        let text = format!("Running {} of container {}", point.as_str(), self.plan.name);
        self.tell(NoticeKind::Normal, Reason::HookStarted, text, out);
        self.order(ContainerAction::RunHook { point }, out);
        self.owed.add(Answer::Hook(point));
    }

    /// Ends every handler that has not been told to end yet.
    pub(super) fn cancel_hooks(&mut self, out: &mut Vec<Action>) {
        for point in [HookPoint::PostStart, HookPoint::PreStop] {
            if self.owed.cancel(Answer::Hook(point)) {
                self.order(ContainerAction::CancelHook { point }, out);
            }
        }
    }

    pub(super) fn post_start_finished(&mut self, now: Timestamp, report: HookReport, out: &mut Vec<Action>) {
        self.tell_report(HookPoint::PostStart, &report, out);
        self.state = match self.take() {
            State::Running {
                started_at,
                post_start: PostStart::Running,
            } => match report.outcome {
                HookOutcome::Succeeded => State::Running {
                    started_at,
                    post_start: PostStart::Over,
                },
                HookOutcome::Failed { message } => {
                    self.tell_hook_failed(HookPoint::PostStart, &message, out);
                    let cause = Cause::PostStartFailed { message };
                    let grace = Grace::internal(now, self.grace);
                    self.begin_stop(now, (Standing::HookFailed { started_at }, cause), grace, out)
                }
                HookOutcome::Cancelled => {
                    self.tell_post_start_missed(out);
                    State::Running {
                        started_at,
                        post_start: PostStart::CutShort,
                    }
                }
            },
            // We cancelled it: that is no failure, but it may have failed just before.
            state @ State::Stopping { .. } => {
                self.tell_if_failed(HookPoint::PostStart, &report.outcome, out);
                state
            }
            // The container ended beside it (S23), or was ended by us.
            State::Stopped { outcome, cause } => {
                match (&cause, &report.outcome) {
                    (Cause::Itself | Cause::ItselfForGood, HookOutcome::Cancelled) => {
                        self.tell_post_start_missed(out)
                    }
                    (_, verdict) => self.tell_if_failed(HookPoint::PostStart, verdict, out),
                }
                State::Stopped { outcome, cause }
            }
            state @ (State::Running { .. }
            | State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => state,
        };
    }

    pub(super) fn pre_stop_finished(&mut self, now: Timestamp, report: HookReport, out: &mut Vec<Action>) {
        self.tell_report(HookPoint::PreStop, &report, out);
        self.state = match self.take() {
            State::Stopping {
                standing,
                cause,
                phase,
            } => {
                let phase = match phase {
                    Stopping::PreStop { grace } => match &report.outcome {
                        HookOutcome::Succeeded => self.after_pre_stop(now, &cause, grace, out),
                        HookOutcome::Failed { message } => {
                            self.tell_hook_failed(HookPoint::PreStop, message, out);
                            self.after_pre_stop(now, &cause, grace, out)
                        }
                        // Its container has ended under it: no signal is due (S39).
                        HookOutcome::Cancelled => Stopping::PreStop { grace },
                    },
                    // An abandoned one that fails by itself is still told (`lifecycle-semantics 3.4`).
                    Stopping::AwaitingTurn { .. } | Stopping::Terminating { .. } => {
                        self.tell_if_failed(HookPoint::PreStop, &report.outcome, out);
                        phase
                    }
                    // SIGKILL took it down with the container: no verdict (S29, S30).
                    Stopping::Killing => Stopping::Killing,
                };
                State::Stopping {
                    standing,
                    cause,
                    phase,
                }
            }
            state @ (State::Stopped { .. }
            | State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => state,
        };
    }

    /// What is worth telling of a report whatever the state is.
    fn tell_report(&self, point: HookPoint, report: &HookReport, out: &mut Vec<Action>) {
        let (hook, name) = (point.as_str(), &self.plan.name);
        if report.http_fallback {
            let text =
                format!("{hook} of container {name}: HTTPS was answered by HTTP, the request was repeated");
            self.tell(NoticeKind::Warning, Reason::LifecycleHTTPFallback, text, out);
        }
        if !report.output.is_empty() {
            let text = format!("{hook} of container {name}: {}", report.output.trim_end());
            self.tell(NoticeKind::Normal, Reason::HookOutput, text, out);
        }
        match report.outcome {
            HookOutcome::Succeeded => {
                let text = format!("{hook} of container {name} succeeded");
                self.tell(NoticeKind::Normal, Reason::HookSucceeded, text, out);
            }
            HookOutcome::Failed { .. } | HookOutcome::Cancelled => {}
        }
    }

    fn tell_if_failed(&self, point: HookPoint, outcome: &HookOutcome, out: &mut Vec<Action>) {
        match outcome {
            HookOutcome::Failed { message } => self.tell_hook_failed(point, message, out),
            HookOutcome::Succeeded | HookOutcome::Cancelled => {}
        }
    }

    /// The event's text is fixed (`lifecycle-semantics 2.12, 3.5`); the verdict has an event of its own.
    fn tell_hook_failed(&self, point: HookPoint, message: &str, out: &mut Vec<Action>) {
        let text = format!(
            "{} of container {} failed: {message}",
            point.as_str(),
            self.plan.name
        );
        self.tell(NoticeKind::Warning, Reason::HookFailed, text, out);
        match point {
            HookPoint::PostStart => self.tell_failed_post_start(out),
            HookPoint::PreStop => {
                let text = "PreStopHook failed".to_owned();
                self.tell(NoticeKind::Warning, Reason::FailedPreStopHook, text, out);
            }
        }
    }

    /// postStart was cut short, or never begun, because its container had ended.
    pub(super) fn tell_post_start_missed(&self, out: &mut Vec<Action>) {
        match self.plan.post_start {
            Some(HandlerKind::Exec | HandlerKind::HttpGet) => self.tell_failed_post_start(out),
            Some(HandlerKind::Sleep) | None => {}
        }
    }

    fn tell_failed_post_start(&self, out: &mut Vec<Action>) {
        let text = "PostStartHook failed".to_owned();
        self.tell(NoticeKind::Warning, Reason::FailedPostStartHook, text, out);
    }
}
