//! What the machine orders.

use serde::{Deserialize, Serialize};

use crate::event::{ContainerIndex, HookPoint};
use crate::probe::ProbeKind;

/// An order of the pod machine, to be carried out in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Set up namespaces, cgroup and volumes; answered by `SandboxCreated` or `SandboxFailed`.
    CreateSandbox,
    /// Do something to a container.
    Container {
        /// Which.
        container: ContainerIndex,
        /// What.
        action: ContainerAction,
    },
    /// Tell people.
    Notify(Notice),
    /// Take the sandbox down; every container is deleted by now. Answered by `SandboxRemoved`.
    RemoveSandbox,
    /// The pod's life is over: publish, say so to whoever waits, end the loop. Always last.
    Finish,
}

/// An order about one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerAction {
    /// Prepare the bundle and run the OCI create; answered by `Created` or `CreateFailed`.
    Create {
        /// 0 at the first start.
        restart_count: u32,
    },
    /// Run the OCI start; answered by `Started` or `StartFailed`.
    Start,
    /// Run a handler; answered by one `HookFinished`. No limit of its own.
    RunHook {
        /// Which handler.
        point: HookPoint,
    },
    /// End a running handler now; its `HookFinished` still comes.
    CancelHook {
        /// Which handler.
        point: HookPoint,
    },
    /// Execute a probe once, within its `timeoutSeconds`; answered by one `ProbeFinished`.
    Probe {
        /// Which probe.
        kind: ProbeKind,
    },
    /// End a probe under way now; its `ProbeFinished` still comes.
    CancelProbe {
        /// Which probe.
        kind: ProbeKind,
    },
    /// Send the container's stop signal to init only (`lifecycle-semantics 3.30, 3.32`).
    SignalStop,
    /// SIGKILL to every process of the container, through the cgroup where needed (`lifecycle-semantics 3.33`).
    Kill,
    /// Run the OCI delete and remove the bundle's layers; answered by `Deleted` or `DeleteFailed`. By force: init may
    /// still be on its way out after a `Kill` that followed `StartFailed` (S103). No `Exited` comes after `Deleted`.
    Delete,
}

/// An event for people, as in `kubectl get events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Normal or Warning.
    pub kind: NoticeKind,
    /// The Kubernetes word.
    pub reason: Reason,
    /// The container it is about, if one.
    pub container: Option<ContainerIndex>,
    /// One line for people.
    pub message: String,
}

/// `type` of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoticeKind {
    /// As it should be.
    Normal,
    /// Something to look at.
    Warning,
}

/// `reason` of an event; `as_str` gives the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // The names are Kubernetes' own words, or say what they are.
pub enum Reason {
    SandboxCreated,
    FailedCreatePodSandBox,
    Created,
    Started,
    Failed,
    Exited,
    Killing,
    BackOff,
    FailedPostStartHook,
    FailedPreStopHook,
    LifecycleHTTPFallback,
    /// What a handler wrote.
    HookOutput,
    /// A handler went well.
    HookSucceeded,
    /// A handler failed; the message tells how. `FailedPostStartHook` or `FailedPreStopHook`, whose text is fixed,
    /// follows.
    HookFailed,
    /// A handler was started.
    HookStarted,
    Unhealthy,
    ProbeWarning,
    /// The startup probe has succeeded: the container counts as started.
    StartedUp,
    /// The readiness probe's verdict has become good.
    Ready,
    /// The readiness probe's verdict has become bad.
    NotReady,
    DeadlineExceeded,
    /// A container has ended with a code whose rule restarts all containers.
    RestartingAllContainers,
    /// A stop was asked for.
    Stopping,
    /// SIGKILL was ordered.
    Killed,
    FailedDelete,
    /// The pod's life is over.
    Finished,
}

impl Reason {
    /// The word that users see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SandboxCreated => "SandboxCreated",
            Self::FailedCreatePodSandBox => "FailedCreatePodSandBox",
            Self::Created => "Created",
            Self::Started => "Started",
            Self::Failed => "Failed",
            Self::Exited => "Exited",
            Self::Killing => "Killing",
            Self::BackOff => "BackOff",
            Self::FailedPostStartHook => "FailedPostStartHook",
            Self::FailedPreStopHook => "FailedPreStopHook",
            Self::LifecycleHTTPFallback => "LifecycleHTTPFallback",
            Self::HookOutput => "HookOutput",
            Self::HookSucceeded => "HookSucceeded",
            Self::HookFailed => "HookFailed",
            Self::HookStarted => "HookStarted",
            Self::Unhealthy => "Unhealthy",
            Self::ProbeWarning => "ProbeWarning",
            Self::StartedUp => "StartedUp",
            Self::Ready => "Ready",
            Self::NotReady => "NotReady",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::RestartingAllContainers => "RestartingAllContainers",
            Self::Stopping => "Stopping",
            Self::Killed => "Killed",
            Self::FailedDelete => "FailedDelete",
            Self::Finished => "Finished",
        }
    }
}
