//! What the machine is told.

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::probe::{ProbeKind, ProbeOutcome};

/// A container's place in the pod's life: init containers first, in order, then apps, as in `PodSpec::all_containers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerIndex(pub usize);

/// An input of the pod machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The pod's life begins. Delivered once, first.
    Begin,
    /// The answer to `Action::CreateSandbox`: namespaces, cgroup and volumes are up.
    SandboxCreated,
    /// The other answer to `Action::CreateSandbox`. Nothing is left of it.
    SandboxFailed {
        /// One line for people.
        message: String,
    },
    /// The answer to `Action::RemoveSandbox`, whether or not everything could be removed.
    SandboxRemoved,
    /// Somebody asks for something.
    Request(Request),
    /// Something happened to a container.
    Container {
        /// Which.
        container: ContainerIndex,
        /// What.
        event: ContainerEvent,
    },
    /// `next_deadline()` has come. Harmless at any other time.
    Tick,
}

/// What can be asked of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Stop as the kubelet does on deletion (`lifecycle-semantics 3, 3d`). `grace` overrides the pod's, in whole
    /// seconds; the smallest ever asked counts, never less than 1; later requests may only shorten.
    Stop {
        /// `None`: the pod's own grace.
        grace: Option<u64>,
    },
    /// SIGINT or SIGTERM reached the supervisor: the first is `Stop { grace: None }`, the second shortens to 1, the
    /// third is `Kill` (`lifecycle-semantics 3d`, S99, S100).
    Interrupt,
    /// SIGKILL to everything now; no handlers.
    Kill,
}

/// What can happen to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerEvent {
    /// The answer to `Create`: init exists and waits for `Start`.
    Created,
    /// The other answer to `Create`: nothing is left of it.
    CreateFailed(StartFailure),
    /// The answer to `Start`: the program runs.
    Started,
    /// The other answer to `Start`. An `Exited` of init may come before or after, or not at all (the process never
    /// was); `Delete` is still due.
    StartFailed(StartFailure),
    /// Init has ended. A fact: accepted in every state, told once per start.
    Exited(Exit),
    /// The answer to `RunHook`, exactly once, also after `CancelHook` and after the container's end.
    HookFinished {
        /// Which handler.
        point: HookPoint,
        /// How it went.
        report: HookReport,
    },
    /// The answer to `Probe`, exactly once, also after `CancelProbe` and after the container's end.
    ProbeFinished {
        /// Which probe.
        kind: ProbeKind,
        /// How it went.
        outcome: ProbeOutcome,
    },
    /// The answer to `Delete`: nothing is left of this start.
    Deleted,
    /// The other answer to `Delete`: something is left; the message says what.
    DeleteFailed {
        /// One line for people.
        message: String,
    },
}

/// Why a container could not be created or started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartFailure {
    /// The manifest and the bundle do not fit: `CreateContainerConfigError` (e.g. runAsNonRoot with uid 0).
    Config {
        /// One line for people.
        message: String,
    },
    /// The runtime refused or failed: reported as Terminated `StartError`, exit code 128 (S83).
    Runtime {
        /// One line for people.
        message: String,
    },
}

/// The two lifecycle handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HookPoint {
    /// Fired once the main process runs (`lifecycle-semantics 2`).
    PostStart,
    /// Run before the stop signal (`lifecycle-semantics 3`).
    PreStop,
}

impl HookPoint {
    /// The field's name in a manifest: `postStart` or `preStop`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PostStart => "postStart",
            Self::PreStop => "preStop",
        }
    }
}

/// How a handler went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookReport {
    /// The verdict.
    pub outcome: HookOutcome,
    /// What it wrote (exec: stdout and stderr; httpGet: the status line), cut to some KiB. Shown in an event of its
    /// own; never in the text of FailedPostStartHook or FailedPreStopHook (S9).
    pub output: String,
    /// HTTPS was answered by plain HTTP and the retry succeeded (`lifecycle-semantics 2.9`).
    pub http_fallback: bool,
}

/// A handler's verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookOutcome {
    /// Exit 0, an HTTP answer of any status, or the sleep is over.
    Succeeded,
    /// Anything else.
    Failed {
        /// One line for people, without the handler's output.
        message: String,
    },
    /// It was cancelled, or ended because its container did.
    Cancelled,
}
