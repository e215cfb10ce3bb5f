//! What others may know of a container: the pod, to decide; the status, to publish.

use super::{Cause, ContainerMachine, Outcome, PostStart, Standing, State, Stopping};
use crate::plan::{ContainerKind, ContainerPlan};
use crate::probe::ProbeKind;
use crate::status::{ContainerState, ContainerStatus, Terminated};
use crate::time::Timestamp;

/// What came of a container for good, or so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It lives, may live, or will live again.
    Open,
    /// It ended for good with code 0.
    Succeeded,
    /// It ended for good otherwise, or could not be run.
    Failed,
    /// It never ran and never will: the pod ended before.
    NeverRan,
}

impl ContainerMachine {
    pub(crate) fn plan(&self) -> &ContainerPlan {
        &self.plan
    }

    /// Not begun since the pod began, or began again: the next to be created is the first of these.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending { .. })
    }

    /// The pod waits for this before it ends.
    pub(crate) fn is_deleted(&self) -> bool {
        matches!(self.state, State::Deleted { .. })
    }

    /// A sidecar that waits for its turn.
    pub(crate) fn awaits_turn(&self) -> bool {
        matches!(
            self.state,
            State::Stopping {
                phase: Stopping::AwaitingTurn { .. },
                ..
            }
        )
    }

    /// Its program may be running: sidecars before it wait for it (`lifecycle-semantics 3.20, 3.22`).
    pub(crate) fn is_running(&self) -> bool {
        match &self.state {
            State::Starting { stop: _, ended } => ended.is_none(),
            State::Running { .. } => true,
            State::Stopping { standing, .. } => *standing != Standing::Unstarted,
            State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. } => false,
        }
    }

    /// A process of it may exist: the phase is not terminal before.
    pub(crate) fn may_be_alive(&self) -> bool {
        match &self.state {
            State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. } => true,
            State::Pending { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. } => false,
        }
    }

    /// Published as running: its program runs and postStart has returned (`lifecycle-semantics 2.2`).
    pub(crate) fn is_published_running(&self) -> bool {
        match &self.state {
            State::Running { post_start, .. } => *post_start == PostStart::Over,
            State::Stopping { standing, .. } => matches!(standing, Standing::Ready { .. }),
            State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. } => false,
        }
    }

    /// `started`: published as running, and its startup probe has succeeded or there is none
    /// (`lifecycle-semantics 7`).
    pub(crate) fn is_started(&self) -> bool {
        self.is_published_running() && self.probers.is_good(ProbeKind::Startup)
    }

    /// `ready`: started, and its readiness probe says so or there is none (`lifecycle-semantics 7`).
    pub(crate) fn is_ready(&self) -> bool {
        self.is_started() && self.probers.is_good(ProbeKind::Readiness)
    }

    /// A sidecar lets the next init container begin: it runs, postStart has returned, its startup probe has succeeded
    /// (`lifecycle-semantics 4.20`, S68, S69, S70).
    pub(crate) fn is_initialised(&self) -> bool {
        matches!(self.state, State::Running { .. }) && self.is_started()
    }

    /// An app lets the next app begin: its first start has come through, or is dead (`lifecycle-semantics 1.4`, S3, S4).
    pub(crate) fn first_start_is_over(&self) -> bool {
        if self.restarted {
            return true;
        }
        match &self.state {
            State::Pending { .. } | State::Creating { .. } | State::Created | State::Starting { .. } => false,
            State::Running { post_start, .. } => *post_start == PostStart::Over,
            State::Stopping { standing, .. } => matches!(standing, Standing::Ready { .. }),
            State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. } => true,
        }
    }

    /// What came of it for good.
    pub(crate) fn verdict(&self) -> Verdict {
        let (outcome, final_) = match &self.state {
            State::Stopped { outcome, cause } | State::Deleting { outcome, cause } => {
                (outcome, !self.follows(outcome, cause))
            }
            State::Deleted { outcome } => (outcome, true),
            State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::BackingOff { .. } => return Verdict::Open,
        };
        if !final_ {
            return Verdict::Open;
        }
        match (outcome, self.newest_end()) {
            (Outcome::ConfigError { .. }, _) => Verdict::Failed,
            (_, Some(terminated)) if terminated.exit_code == 0 => Verdict::Succeeded,
            (_, Some(_)) => Verdict::Failed,
            (_, None) => Verdict::NeverRan,
        }
    }

    /// The newest start that ended, if one did.
    pub(crate) fn newest_end(&self) -> Option<&Terminated> {
        match &self.state {
            State::Pending { before: outcome }
            | State::Stopped { outcome, .. }
            | State::Deleting { outcome, .. }
            | State::BackingOff { outcome, .. }
            | State::Deleted { outcome } => match outcome {
                Outcome::Ended(terminated) => Some(terminated),
                Outcome::Never | Outcome::Discarded | Outcome::ConfigError { .. } => self.last.as_ref(),
            },
            State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. } => self.last.as_ref(),
        }
    }

    /// At least one create was ordered.
    pub(crate) fn was_ever_created(&self) -> bool {
        match &self.state {
            State::Pending {
                before: Outcome::Never,
            }
            | State::Deleted {
                outcome: Outcome::Never,
            } => false,
            State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::BackingOff { .. }
            | State::Deleted { .. } => true,
        }
    }

    /// One entry of the pod's status. `waiting` is the reason of a container that just has not run yet:
    /// `ContainerCreating` or `PodInitializing`.
    pub(crate) fn status(&self, waiting: &str) -> ContainerStatus {
        let (state, last) = self.published(waiting);
        let (activity, activity_until) = self.activity();
        ContainerStatus {
            name: self.plan.name.clone(),
            state,
            last,
            restart_count: self.restart_count,
            // A plain init is ready once it has done its part.
            ready: match self.plan.kind {
                ContainerKind::Init => self.verdict() == Verdict::Succeeded,
                ContainerKind::Sidecar | ContainerKind::App => self.is_ready(),
            },
            started: self.is_started(),
            ever_created: self.was_ever_created(),
            activity: activity.to_owned(),
            activity_until,
        }
    }

    /// `state` and `lastState`.
    fn published(&self, waiting: &str) -> (ContainerState, Option<Terminated>) {
        let state = match &self.state {
            State::Pending { .. } => return (waiting_for(waiting, ""), self.newest_end().cloned()),
            State::Creating { .. } | State::Created | State::Starting { .. } => waiting_for(waiting, ""),
            State::Running {
                started_at,
                post_start,
            } => match post_start {
                PostStart::Running | PostStart::CutShort => waiting_for(waiting, ""),
                PostStart::Over => ContainerState::Running {
                    started_at: *started_at,
                },
            },
            State::Stopping { standing, cause, .. } => match (standing, cause) {
                (Standing::Ready { started_at }, _) => ContainerState::Running {
                    started_at: *started_at,
                },
                (_, Cause::PostStartFailed { message }) => waiting_for("PostStartHookError", message),
                (Standing::HookFailed { .. }, _) => waiting_for("PostStartHookError", ""),
                (Standing::Unstarted | Standing::Unconfirmed | Standing::Unready { .. }, _) => {
                    waiting_for(waiting, "")
                }
            },
            State::Stopped { outcome, cause } | State::Deleting { outcome, cause } => {
                match cause {
                    Cause::PostStartFailed { message } if self.follows(outcome, cause) => {
                        let last = self.newest_end().cloned();
                        return (waiting_for("PostStartHookError", message), last);
                    }
                    Cause::PostStartFailed { .. }
                    | Cause::Itself
                    | Cause::ItselfForGood
                    | Cause::ProbeFailed { .. }
                    | Cause::PodEnding => {}
                }
                return self.ended(outcome, waiting);
            }
            State::BackingOff {
                outcome: Outcome::ConfigError { message, .. },
                ..
            } => waiting_for("CreateContainerConfigError", message),
            State::BackingOff { .. } => {
                let text = format!("back-off restarting failed container {}", self.plan.name);
                return (waiting_for("CrashLoopBackOff", &text), self.newest_end().cloned());
            }
            State::Deleted { outcome } => return self.ended(outcome, waiting),
        };
        (state, self.last.clone())
    }

    fn ended(&self, outcome: &Outcome, waiting: &str) -> (ContainerState, Option<Terminated>) {
        match (outcome, &self.last) {
            (Outcome::Ended(terminated), last) => {
                (ContainerState::Terminated(terminated.clone()), last.clone())
            }
            (Outcome::ConfigError { message, .. }, last) => {
                (waiting_for("CreateContainerConfigError", message), last.clone())
            }
            // A restart that was given up: the last exit is kept (S101).
            (Outcome::Never | Outcome::Discarded, Some(last)) => {
                (ContainerState::Terminated(last.clone()), None)
            }
            (Outcome::Never | Outcome::Discarded, None) => (waiting_for(waiting, ""), None),
        }
    }

    fn activity(&self) -> (&'static str, Option<Timestamp>) {
        match &self.state {
            State::Creating { .. } => ("creating", None),
            State::Starting { .. } => ("starting", None),
            State::Running {
                post_start: PostStart::Running,
                ..
            } => ("postStart", None),
            State::Running {
                post_start: PostStart::Over,
                ..
            } if !self.is_started() => ("startup probe", None),
            State::Stopping { phase, .. } => match phase {
                Stopping::PreStop { grace } => ("preStop", Some(grace.end())),
                Stopping::AwaitingTurn { grace } => ("awaiting turn", Some(grace.end())),
                Stopping::Terminating { kill_at } => ("terminating", Some(*kill_at)),
                Stopping::Killing => ("killing", None),
            },
            State::BackingOff { until, .. } => ("back-off", Some(*until)),
            State::Pending { .. }
            | State::Created
            | State::Running { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::Deleted { .. } => ("", None),
        }
    }
}

fn waiting_for(reason: &str, message: &str) -> ContainerState {
    ContainerState::Waiting {
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}
