//! The states of a container, with their data, and their short names.

use std::fmt;

use crate::event::ContainerEvent;
use crate::event::HookPoint;
use crate::exit::{Exit, ExitStatus};
use crate::probe::ProbeKind;
use crate::status::Terminated;
use crate::stop::Grace;
use crate::time::Timestamp;

/// Where a container is. The table of what leads where is in `container`'s documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Waits for its first start since the pod began, or began again; what came of the one before that, if any.
    Pending { before: Outcome },
    /// `Create` is under way.
    Creating { then: AfterCreate },
    /// Init exists; nobody will start it (an adopted pod).
    Created,
    /// `Start` is under way.
    Starting {
        /// A stop that waits for the program to run, so that it can be a proper one.
        stop: Option<Grace>,
        /// Init has ended already; the answer to `Start` tells what to make of it.
        ended: Option<(Exit, Timestamp)>,
    },
    /// The program runs.
    Running {
        started_at: Timestamp,
        post_start: PostStart,
    },
    /// It is being brought to its end.
    Stopping {
        standing: Standing,
        cause: Cause,
        phase: Stopping,
    },
    /// Init has ended; answers are still owed, `Delete` follows when they are in.
    Stopped { outcome: Outcome, cause: Cause },
    /// `Delete` is under way.
    Deleting { outcome: Outcome, cause: Cause },
    /// Nothing is left of the last start; the next one is due at `until`.
    BackingOff { outcome: Outcome, until: Timestamp },
    /// Nothing is left and nothing will come.
    Deleted { outcome: Outcome },
}

/// What a create that is under way is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterCreate {
    /// To be started.
    Start,
    /// For nothing any more: a stop came.
    Discard,
}

/// How far postStart has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PostStart {
    /// The handler runs; the container is not yet published as running (`lifecycle-semantics 2.2`).
    Running,
    /// It was cut short, not by us: the container is ending, its exit is on the way.
    CutShort,
    /// It returned well, or there is none.
    Over,
}

/// How far the start had come that is being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Only created.
    Unstarted,
    /// `Start` was ordered and has not been answered.
    Unconfirmed,
    /// The program runs, postStart has not returned: never published as running.
    Unready { started_at: Timestamp },
    /// The program runs, postStart failed.
    HookFailed { started_at: Timestamp },
    /// It was published as running.
    Ready { started_at: Timestamp },
}

impl Standing {
    pub(crate) fn started_at(self) -> Option<Timestamp> {
        match self {
            Self::Unstarted | Self::Unconfirmed => None,
            Self::Unready { started_at } | Self::HookFailed { started_at } | Self::Ready { started_at } => {
                Some(started_at)
            }
        }
    }
}

/// Why a start ends, which decides whether another one may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// By itself: the policy decides.
    Itself,
    /// Its postStart handler failed: the policy decides.
    PostStartFailed { message: String },
    /// Its startup or liveness probe failed: the policy decides, whatever the exit code (`lifecycle-semantics 6.9`).
    ProbeFailed { kind: ProbeKind },
    /// By itself; then the pod ended: no other start.
    ItselfForGood,
    /// Somebody wants it gone for good: no other start.
    PodEnding,
}

impl Cause {
    /// The cause once the pod ends, of a start whose init has ended already.
    pub(crate) fn for_good(self) -> Self {
        match self {
            Self::Itself | Self::ItselfForGood => Self::ItselfForGood,
            Self::PostStartFailed { message: _ } | Self::ProbeFailed { kind: _ } | Self::PodEnding => {
                Self::PodEnding
            }
        }
    }
}

/// How far a stop has come; each has the one deadline that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopping {
    /// preStop runs, till the end of the grace at most.
    PreStop { grace: Grace },
    /// A sidecar waits for its turn, till the end of the grace at most (`lifecycle-semantics 3.20`).
    AwaitingTurn { grace: Grace },
    /// The stop signal was sent; SIGKILL is due at `kill_at`.
    Terminating { kill_at: Timestamp },
    /// SIGKILL was sent; the kernel delivers.
    Killing,
}

/// What came of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No create was ever ordered.
    Never,
    /// It was given up before its program was started.
    Discarded,
    /// It ended, or could not be started (`StartError`).
    Ended(Terminated),
    /// Manifest and bundle do not fit (`CreateContainerConfigError`).
    ConfigError { message: String, at: Timestamp },
}

impl Outcome {
    /// When it came out so; `None` when nothing ever ran that a back-off could be counted from.
    pub(crate) fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Never | Self::Discarded => None,
            Self::Ended(terminated) => Some(terminated.finished_at),
            Self::ConfigError { message: _, at } => Some(*at),
        }
    }

    /// `Ended` with what became of init.
    pub(crate) fn exited(exit: Exit, times: (Option<Timestamp>, Timestamp), restart_count: u32) -> Self {
        let reason = match exit.status {
            ExitStatus::Unknown => "ContainerStatusUnknown",
            ExitStatus::Code(0) => "Completed",
            ExitStatus::Code(_) | ExitStatus::Signal(_) if exit.oom_killed => "OOMKilled",
            ExitStatus::Code(_) | ExitStatus::Signal(_) => "Error",
        };
        let (started_at, finished_at) = times;
        Self::Ended(Terminated {
            status: Some(exit.status),
            exit_code: exit.status.shell_code(),
            reason: reason.to_owned(),
            message: exit.message,
            started_at,
            finished_at,
            restart_count,
        })
    }

    /// `Ended` without ever having run: the runtime refused (S83).
    pub(crate) fn start_error(message: String, at: Timestamp, restart_count: u32) -> Self {
        Self::Ended(Terminated {
            status: None,
            exit_code: 128,
            reason: "StartError".to_owned(),
            message,
            started_at: None,
            finished_at: at,
            restart_count,
        })
    }
}

/// The answers that the engine owes. One that is not owed (a second `Created`, say) is absorbed unseen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Owed(Vec<Answer>);

/// An answer owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Create,
    Start,
    Hook(HookPoint),
    /// Of a handler that was told to end.
    CancelledHook(HookPoint),
    Probe(ProbeKind),
    /// Of a probe that was told to end.
    CancelledProbe(ProbeKind),
    Delete,
}

impl Owed {
    pub(crate) fn add(&mut self, answer: Answer) {
        self.0.push(answer);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes note of an event; false if it answers nothing. An exit is no answer but a fact, always true.
    pub(crate) fn settle(&mut self, event: &ContainerEvent) -> bool {
        match event {
            ContainerEvent::Exited(_) => true,
            ContainerEvent::Created | ContainerEvent::CreateFailed(_) => self.remove(Answer::Create),
            ContainerEvent::Started | ContainerEvent::StartFailed(_) => self.remove(Answer::Start),
            ContainerEvent::HookFinished { point, report: _ } => {
                self.remove(Answer::Hook(*point)) || self.remove(Answer::CancelledHook(*point))
            }
            ContainerEvent::ProbeFinished { kind, outcome: _ } => {
                self.remove(Answer::Probe(*kind)) || self.remove(Answer::CancelledProbe(*kind))
            }
            ContainerEvent::Deleted | ContainerEvent::DeleteFailed { message: _ } => {
                self.remove(Answer::Delete)
            }
        }
    }

    pub(crate) fn has(&self, answer: Answer) -> bool {
        self.0.contains(&answer)
    }

    /// From now on the answer of something that runs counts as a cancelled one's; false if it does not run.
    pub(crate) fn cancel(&mut self, answer: Answer) -> bool {
        let cancelled = match answer {
            Answer::Hook(point) => Answer::CancelledHook(point),
            Answer::Probe(kind) => Answer::CancelledProbe(kind),
            Answer::Create
            | Answer::Start
            | Answer::CancelledHook(_)
            | Answer::CancelledProbe(_)
            | Answer::Delete => return false,
        };
        match self.0.iter_mut().find(|owed| **owed == answer) {
            Some(owed) => {
                *owed = cancelled;
                true
            }
            None => false,
        }
    }

    fn remove(&mut self, answer: Answer) -> bool {
        match self.0.iter().position(|owed| *owed == answer) {
            Some(place) => {
                self.0.swap_remove(place);
                true
            }
            None => false,
        }
    }
}

/// A state's name, for logs, tests and displays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // The names are those of the table in this module's documentation.
pub enum StateName {
    Pending,
    Creating,
    Discarding,
    Created,
    Starting,
    StartingThenStop,
    StartingEnded,
    PostStart,
    PostStartCutShort,
    StartingUp,
    Running,
    PreStop,
    AwaitingTurn,
    Terminating,
    Killing,
    Stopped,
    Deleting,
    BackingOff,
    Deleted,
}

impl fmt::Display for StateName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

impl State {
    pub(crate) fn name(&self) -> StateName {
        match self {
            Self::Pending { .. } => StateName::Pending,
            Self::Creating {
                then: AfterCreate::Start,
            } => StateName::Creating,
            Self::Creating {
                then: AfterCreate::Discard,
            } => StateName::Discarding,
            Self::Created => StateName::Created,
            Self::Starting {
                stop: None,
                ended: None,
            } => StateName::Starting,
            Self::Starting {
                stop: Some(_),
                ended: None,
            } => StateName::StartingThenStop,
            Self::Starting {
                stop: _,
                ended: Some(_),
            } => StateName::StartingEnded,
            Self::Running { post_start, .. } => match post_start {
                PostStart::Running => StateName::PostStart,
                PostStart::CutShort => StateName::PostStartCutShort,
                PostStart::Over => StateName::Running,
            },
            Self::Stopping { phase, .. } => match phase {
                Stopping::PreStop { .. } => StateName::PreStop,
                Stopping::AwaitingTurn { .. } => StateName::AwaitingTurn,
                Stopping::Terminating { .. } => StateName::Terminating,
                Stopping::Killing => StateName::Killing,
            },
            Self::Stopped { .. } => StateName::Stopped,
            Self::Deleting { .. } => StateName::Deleting,
            Self::BackingOff { .. } => StateName::BackingOff,
            Self::Deleted { .. } => StateName::Deleted,
        }
    }
}
