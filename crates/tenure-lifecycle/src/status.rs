//! What is published: projections of the machine's state onto Kubernetes' words (`lifecycle-semantics 7`).

use serde::{Deserialize, Serialize};

use crate::exit::ExitStatus;
use crate::time::Timestamp;

/// `status.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // Kubernetes' own words.
pub enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    /// The word that users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
    /// True for Succeeded and Failed, which never change back.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// The pod's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodStatus {
    /// The phase.
    pub phase: Phase,
    /// Why the pod failed as a whole, e.g. `DeadlineExceeded`; empty otherwise.
    pub reason: String,
    /// One line to the reason; empty otherwise.
    pub message: String,
    /// All conditions, each type once.
    pub conditions: Vec<Condition>,
    /// A stop has been asked for (or the pod ends as a whole) since then.
    pub stopping_since: Option<Timestamp>,
    /// Every container is deleted and the sandbox gone since then.
    pub finished_at: Option<Timestamp>,
    /// In the order of `ContainerIndex`.
    pub containers: Vec<ContainerStatus>,
    /// The pod's exit code as `cli.md` defines it; meaningful once finished.
    pub exit_code: u8,
}

/// `status.conditions[].type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // Kubernetes' own words.
pub enum ConditionType {
    PodScheduled,
    PodReadyToStartContainers,
    Initialized,
    ContainersReady,
    Ready,
    /// Only of a pod with a restart rule that has this action.
    AllContainersRestarting,
}

impl ConditionType {
    /// The word that users see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PodScheduled => "PodScheduled",
            Self::PodReadyToStartContainers => "PodReadyToStartContainers",
            Self::Initialized => "Initialized",
            Self::ContainersReady => "ContainersReady",
            Self::Ready => "Ready",
            Self::AllContainersRestarting => "AllContainersRestarting",
        }
    }
}

/// One entry of `status.conditions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Which.
    pub kind: ConditionType,
    /// `status`.
    pub holds: bool,
    /// `reason`, e.g. `ContainersNotReady`, `PodCompleted`; empty when it is as it should be.
    pub reason: String,
    /// `lastTransitionTime`.
    pub since: Timestamp,
}

/// One entry of `status.(init)containerStatuses`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// The container's name.
    pub name: String,
    /// `state`.
    pub state: ContainerState,
    /// `lastState`: the start before.
    pub last: Option<Terminated>,
    /// `restartCount`.
    pub restart_count: u32,
    /// `ready`.
    pub ready: bool,
    /// `started`.
    pub started: bool,
    /// At least one create was ordered: there is a container id and a log.
    pub ever_created: bool,
    /// What goes on inside the state, one or two words for people: `postStart`, `preStop`, `terminating`, `killing`,
    /// `back-off`, `creating`, `startup probe`; empty when nothing special does.
    pub activity: String,
    /// When the activity ends at the latest, if it is bounded (back-off's end, SIGKILL's time).
    pub activity_until: Option<Timestamp>,
}

/// `state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    /// Not running, will or may run.
    Waiting {
        /// `ContainerCreating`, `PodInitializing`, `CrashLoopBackOff`, `PostStartHookError`, ...
        reason: String,
        /// One line, may be empty.
        message: String,
    },
    /// Running, as far as the published status goes (`lifecycle-semantics 2.2`).
    Running {
        /// When the program started.
        started_at: Timestamp,
    },
    /// Ended and not to be restarted, or not yet.
    Terminated(Terminated),
}

/// `terminated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminated {
    /// How init ended; `None` when it never ran (StartError, exit code 128).
    pub status: Option<ExitStatus>,
    /// `exitCode`: the shell code, or 128 for a start error.
    pub exit_code: u8,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerStatusUnknown`.
    pub reason: String,
    /// The termination message or the start error; may be empty.
    pub message: String,
    /// When the program started; `None` when it never ran.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// `restartCount` of the start that this is about.
    pub restart_count: u32,
}
