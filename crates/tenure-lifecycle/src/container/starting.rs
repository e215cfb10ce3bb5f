//! From nothing to a running program.

use super::prober::Probers;
use super::{AfterCreate, Answer, Cause, ContainerMachine, Outcome, PostStart, Standing, State, Stopping};
use crate::action::{Action, ContainerAction, NoticeKind, Reason};
use crate::event::{HookPoint, StartFailure};
use crate::exit::{Exit, ExitStatus};
use crate::stop::Grace;
use crate::time::Timestamp;

impl ContainerMachine {
    /// The first start.
    pub(super) fn begin(&mut self, out: &mut Vec<Action>) {
        self.state = match self.take() {
            State::Pending { before } => {
                self.count(before);
                self.restarted = false;
                self.create(out)
            }
            state @ (State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => state,
        };
    }

    /// Another start.
    pub(super) fn begin_again(&mut self, outcome: Outcome, out: &mut Vec<Action>) -> State {
        self.restarted |= self.count(outcome);
        self.create(out)
    }

    /// Makes the newest start the one before; true when there was one. A config error left nothing that would count
    /// as one (`lifecycle-semantics 7`, last-state).
    fn count(&mut self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Ended(terminated) => {
                self.last = Some(terminated);
                self.restart_count = self.restart_count.saturating_add(1);
                true
            }
            Outcome::Never | Outcome::Discarded | Outcome::ConfigError { .. } => false,
        }
    }

    fn create(&mut self, out: &mut Vec<Action>) -> State {
        self.probers = Probers::new(&self.plan.probes);
        self.order(
            ContainerAction::Create {
                restart_count: self.restart_count,
            },
            out,
        );
        self.owed.add(Answer::Create);
        State::Creating {
            then: AfterCreate::Start,
        }
    }

    pub(super) fn created(&mut self, out: &mut Vec<Action>) {
        self.state = match self.take() {
            State::Creating {
                then: AfterCreate::Start,
            } => {
                self.tell_created(out);
                self.order(ContainerAction::Start, out);
                self.owed.add(Answer::Start);
                State::Starting {
                    stop: None,
                    ended: None,
                }
            }
            State::Creating {
                then: AfterCreate::Discard,
            } => {
                self.tell_created(out);
                self.discard(out)
            }
            state @ (State::Stopped { .. }
            | State::Pending { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => state,
        };
    }

    /// Does away with an init that will not be started.
    pub(super) fn discard(&mut self, out: &mut Vec<Action>) -> State {
        self.order(ContainerAction::Kill, out);
        let text = format!(
            "Container {} is not started any more, sent SIGKILL",
            self.plan.name
        );
        self.tell(NoticeKind::Normal, Reason::Killed, text, out);
        State::Stopping {
            standing: Standing::Unstarted,
            cause: Cause::PodEnding,
            phase: Stopping::Killing,
        }
    }

    pub(super) fn create_failed(&mut self, now: Timestamp, failure: StartFailure, out: &mut Vec<Action>) {
        // Init had ended before, and all containers are being restarted for it: there is nothing to be deleted last.
        self.begins_anew |= self.restarts_all();
        self.state = match self.take() {
            State::Creating { then } => {
                let cause = match then {
                    AfterCreate::Start => Cause::Itself,
                    AfterCreate::Discard => Cause::PodEnding,
                };
                self.tell_failure(&failure, out);
                let outcome = self.failed(now, failure);
                self.rest(now, outcome, cause, out)
            }
            // Init had ended before the create failed: nothing is left, so there is nothing to delete.
            State::Stopped { outcome, cause } => {
                self.tell_failure(&failure, out);
                let cause = if self.begins_anew { cause.for_good() } else { cause };
                self.rest(now, outcome, cause, out)
            }
            state @ (State::Pending { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => state,
        };
    }

    pub(super) fn started(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        self.state = match self.take() {
            State::Starting {
                stop,
                ended: Some((exit, at)),
            } => {
                self.tell_started(out);
                let cause = match stop {
                    Some(_) => Cause::PodEnding,
                    None => {
                        self.tell_post_start_missed(out);
                        Cause::Itself
                    }
                };
                self.finish(exit, (Some(at), at), cause, out)
            }
            State::Starting {
                stop: Some(grace),
                ended: None,
            } => {
                self.tell_started(out);
                self.begin_stop(
                    now,
                    (Standing::Unready { started_at: now }, Cause::PodEnding),
                    grace,
                    out,
                )
            }
            State::Starting {
                stop: None,
                ended: None,
            } => {
                self.tell_started(out);
                self.run(now, out)
            }
            State::Stopping {
                standing: Standing::Unconfirmed,
                cause,
                phase,
            } => {
                self.tell_started(out);
                State::Stopping {
                    standing: Standing::Unready { started_at: now },
                    cause,
                    phase,
                }
            }
            state @ (State::Stopping { .. }
            | State::Stopped { .. }
            | State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Running { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => state,
        };
    }

    /// The program runs: postStart is fired beside it (`lifecycle-semantics 2.1`).
    fn run(&mut self, now: Timestamp, out: &mut Vec<Action>) -> State {
        let post_start = match self.plan.post_start {
            Some(_) => {
                self.run_hook(HookPoint::PostStart, out);
                PostStart::Running
            }
            None => PostStart::Over,
        };
        State::Running {
            started_at: now,
            post_start,
        }
    }

    pub(super) fn start_failed(&mut self, now: Timestamp, failure: StartFailure, out: &mut Vec<Action>) {
        self.state = match self.take() {
            State::Starting { stop, ended } => {
                self.tell_failure(&failure, out);
                if ended.is_none() {
                    self.order(ContainerAction::Kill, out);
                }
                let outcome = self.failed(now, failure);
                State::Stopped {
                    outcome,
                    cause: cause_of(stop),
                }
            }
            // We killed it half-way: that is why it failed.
            State::Stopping {
                standing: _,
                cause,
                phase: _,
            } => {
                self.tell_failure(&failure, out);
                let exit = Exit::plain(ExitStatus::Signal(SIGKILL));
                State::Stopped {
                    outcome: Outcome::exited(exit, (None, now), self.restart_count),
                    cause,
                }
            }
            state @ (State::Stopped { .. }
            | State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Running { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. }) => state,
        };
    }

    fn failed(&self, now: Timestamp, failure: StartFailure) -> Outcome {
        match failure {
            StartFailure::Config { message } => Outcome::ConfigError { message, at: now },
            StartFailure::Runtime { message } => Outcome::start_error(message, now, self.restart_count),
        }
    }

    fn tell_created(&self, out: &mut Vec<Action>) {
        let text = format!("Created container {}", self.plan.name);
        self.tell(NoticeKind::Normal, Reason::Created, text, out);
    }

    fn tell_started(&self, out: &mut Vec<Action>) {
        let text = format!("Started container {}", self.plan.name);
        self.tell(NoticeKind::Normal, Reason::Started, text, out);
    }

    fn tell_failure(&self, failure: &StartFailure, out: &mut Vec<Action>) {
        let (StartFailure::Config { message } | StartFailure::Runtime { message }) = failure;
        let text = format!("Container {} could not be started: {message}", self.plan.name);
        self.tell(NoticeKind::Warning, Reason::Failed, text, out);
    }
}

/// The number that a killed process's status carries.
const SIGKILL: u8 = 9;

fn cause_of(stop: Option<Grace>) -> Cause {
    match stop {
        Some(_) => Cause::PodEnding,
        None => Cause::Itself,
    }
}
