//! From a wish to a SIGKILL (`lifecycle-semantics 3`); the times come from `stop`.

use std::time::Duration;

use tenure_spec::RestartPolicy;

use super::{AfterCreate, Cause, ContainerMachine, PostStart, Standing, State, Stopping};
use crate::action::{Action, ContainerAction, NoticeKind, Reason};
use crate::event::HookPoint;
use crate::plan::ContainerKind;
use crate::stop::Grace;
use crate::time::Timestamp;

impl ContainerMachine {
    /// The pod begins again: no preStop, no waiting for a turn, 2 s from the stop signal to SIGKILL
    /// (`lifecycle-semantics 3.2, 3.3, 5.9`).
    pub(super) fn restart(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        if !matches!(self.state, State::Pending { .. }) {
            self.stop(now, Grace::internal(now, Duration::ZERO), out);
            self.begins_anew = true;
        }
    }

    /// The pod ends.
    pub(super) fn stop(&mut self, now: Timestamp, grace: Grace, out: &mut Vec<Action>) {
        self.begins_anew = false;
        self.state = match self.take() {
            State::Pending { before } => State::Deleted { outcome: before },
            State::Creating { then: _ } => State::Creating {
                then: AfterCreate::Discard,
            },
            State::Created => self.discard(out),
            State::Starting { stop, ended } => {
                let grace = stop.map_or(grace, |earlier| earlier.shortened_by(grace));
                State::Starting {
                    stop: Some(grace),
                    ended,
                }
            }
            State::Running {
                started_at,
                post_start,
            } => self.stop_running(now, (started_at, post_start), grace, out),
            State::Stopping {
                standing,
                cause: _,
                phase,
            } => State::Stopping {
                standing,
                cause: Cause::PodEnding,
                phase: shortened(phase, now, grace),
            },
            State::Stopped { outcome, cause } => State::Stopped {
                outcome,
                cause: cause.for_good(),
            },
            State::Deleting { outcome, cause } => State::Deleting {
                outcome,
                cause: cause.for_good(),
            },
            State::BackingOff { outcome, until: _ } => State::Deleted { outcome },
            State::Deleted { outcome } => State::Deleted { outcome },
        };
    }

    fn stop_running(
        &mut self,
        now: Timestamp,
        (started_at, post_start): (Timestamp, PostStart),
        grace: Grace,
        out: &mut Vec<Action>,
    ) -> State {
        let cause = Cause::PodEnding;
        match post_start {
            PostStart::Running => self.begin_stop(now, (Standing::Unready { started_at }, cause), grace, out),
            PostStart::Over => self.begin_stop(now, (Standing::Ready { started_at }, cause), grace, out),
            // It is ending by itself, so preStop is not for it (`lifecycle-semantics 3.6`).
            PostStart::CutShort => {
                self.tell_killing(&cause, out);
                let phase = self.signal(now, grace, out);
                State::Stopping {
                    standing: Standing::Unready { started_at },
                    cause,
                    phase,
                }
            }
        }
    }

    /// Everything now.
    pub(super) fn kill(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        self.begins_anew = false;
        self.state = match self.take() {
            State::Starting { stop: _, ended: None } => self.kill_alive(Standing::Unconfirmed, out),
            State::Starting { stop: _, ended } => State::Starting {
                stop: Some(Grace::requested(now, self.grace)),
                ended,
            },
            State::Running {
                started_at,
                post_start: PostStart::Running | PostStart::CutShort,
            } => self.kill_alive(Standing::Unready { started_at }, out),
            State::Running {
                started_at,
                post_start: PostStart::Over,
            } => self.kill_alive(Standing::Ready { started_at }, out),
            State::Stopping {
                standing,
                cause: _,
                phase: _,
            } => self.kill_alive(standing, out),
            state @ (State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => {
                self.state = state;
                return self.stop(now, Grace::requested(now, self.grace), out);
            }
        };
    }

    fn kill_alive(&mut self, standing: Standing, out: &mut Vec<Action>) -> State {
        self.order(ContainerAction::Kill, out);
        self.cancel_hooks(out);
        self.cancel_probes(out);
        let text = format!("Sent SIGKILL to container {}", self.plan.name);
        self.tell(NoticeKind::Normal, Reason::Killed, text, out);
        State::Stopping {
            standing,
            cause: Cause::PodEnding,
            phase: Stopping::Killing,
        }
    }

    /// A sidecar's turn has come.
    pub(super) fn turn(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        self.state = match self.take() {
            State::Stopping {
                standing,
                cause,
                phase: Stopping::AwaitingTurn { grace },
            } => State::Stopping {
                standing,
                cause,
                phase: self.signal(now, grace, out),
            },
            state @ (State::Stopping { .. }
            | State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => state,
        };
    }

    /// The state's deadline has come.
    pub(super) fn due(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        self.state = match self.take() {
            State::Starting {
                stop: Some(_),
                ended: None,
            } => {
                self.order(ContainerAction::Kill, out);
                self.tell_killed(out);
                let standing = Standing::Unconfirmed;
                State::Stopping {
                    standing,
                    cause: Cause::PodEnding,
                    phase: Stopping::Killing,
                }
            }
            State::Stopping {
                standing,
                cause,
                phase,
            } => {
                let phase = match phase {
                    // An abandoned preStop runs on till the container ends (`lifecycle-semantics 3.4`).
                    Stopping::PreStop { grace } => self.after_pre_stop(now, &cause, grace, out),
                    Stopping::AwaitingTurn { grace } => self.signal(now, grace, out),
                    Stopping::Terminating { kill_at: _ } => {
                        self.order(ContainerAction::Kill, out);
                        self.tell_killed(out);
                        Stopping::Killing
                    }
                    Stopping::Killing => Stopping::Killing,
                };
                State::Stopping {
                    standing,
                    cause,
                    phase,
                }
            }
            State::BackingOff { outcome, until: _ } => self.begin_again(outcome, out),
            state @ (State::Starting { .. }
            | State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Running { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::Deleted { .. }) => state,
        };
    }

    /// The one way into a stop of a running program: a running postStart is cancelled, then preStop if there is one
    /// and time for it.
    pub(super) fn begin_stop(
        &mut self,
        now: Timestamp,
        (standing, cause): (Standing, Cause),
        grace: Grace,
        out: &mut Vec<Action>,
    ) -> State {
        self.tell_killing(&cause, out);
        self.cancel_hooks(out);
        self.end_probes_that_kill(out);
        let phase = if self.plan.pre_stop.is_some() && grace.lasts(now) {
            self.run_hook(HookPoint::PreStop, out);
            Stopping::PreStop { grace }
        } else {
            self.after_pre_stop(now, &cause, grace, out)
        };
        State::Stopping {
            standing,
            cause,
            phase,
        }
    }

    /// preStop is over, or there was none. Only the end of the whole pod has an order (`lifecycle-semantics 3.20`).
    pub(super) fn after_pre_stop(
        &mut self,
        now: Timestamp,
        cause: &Cause,
        grace: Grace,
        out: &mut Vec<Action>,
    ) -> Stopping {
        if self.plan.kind == ContainerKind::Sidecar && *cause == Cause::PodEnding && grace.lasts(now) {
            Stopping::AwaitingTurn { grace }
        } else {
            self.signal(now, grace, out)
        }
    }

    fn signal(&mut self, now: Timestamp, grace: Grace, out: &mut Vec<Action>) -> Stopping {
        self.order(ContainerAction::SignalStop, out);
        Stopping::Terminating {
            kill_at: grace.kill_at(now),
        }
    }

    fn tell_killing(&self, cause: &Cause, out: &mut Vec<Action>) {
        let name = &self.plan.name;
        let text = match cause {
            Cause::PostStartFailed { message: _ } => {
                format!("Stopping container {name}: FailedPostStartHook")
            }
            Cause::ProbeFailed { kind } => {
                let then = match self.plan.restart {
                    RestartPolicy::Never => "",
                    RestartPolicy::Always | RestartPolicy::OnFailure => ", will be restarted",
                };
                format!("Container {name} failed {} probe{then}", kind.as_str())
            }
            Cause::Itself | Cause::ItselfForGood | Cause::PodEnding => format!("Stopping container {name}"),
        };
        self.tell(NoticeKind::Normal, Reason::Killing, text, out);
    }

    fn tell_killed(&self, out: &mut Vec<Action>) {
        let text = format!(
            "Container {} did not end within its grace period, sent SIGKILL",
            self.plan.name
        );
        self.tell(NoticeKind::Warning, Reason::Killed, text, out);
    }
}

/// A later request can only shorten (`lifecycle-semantics 3d`, S47, S48, S100).
fn shortened(phase: Stopping, now: Timestamp, grace: Grace) -> Stopping {
    match phase {
        Stopping::PreStop { grace: earlier } => Stopping::PreStop {
            grace: earlier.shortened_by(grace),
        },
        Stopping::AwaitingTurn { grace: earlier } => Stopping::AwaitingTurn {
            grace: earlier.shortened_by(grace),
        },
        Stopping::Terminating { kill_at } => Stopping::Terminating {
            kill_at: kill_at.min(grace.kill_at(now)),
        },
        Stopping::Killing => Stopping::Killing,
    }
}
