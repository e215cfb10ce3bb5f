//! What a pod is launched with, and its whole life as one blocking call.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use tenure_spec::PodSpec;

use crate::error::EngineError;
use crate::oci::RuntimeLocation;
use crate::store::PodEvent;

/// All that [`run`] needs.
#[derive(Debug)]
pub struct PodLaunch {
    /// What to run.
    pub spec: PodSpec,
    /// The accepted Kubernetes Pod object, kept as `pod.json` for `status -o json`.
    pub object: serde_json::Value,
    /// Who creates the containers.
    pub runtime: RuntimeLocation,
    /// Tenure's root, e.g. `/run/tenure`.
    pub root: PathBuf,
    /// Choices of the command line.
    pub options: PodOptions,
    /// Foreground: where the containers' lines go besides their logs.
    pub tee: Option<Tee>,
    /// Called with every event in order, from the loop: must not block for long.
    pub progress: Option<Progress>,
    /// `-d`: a pipe that gets one JSON line, `{"ready":true}` or `{"error":"...","code":125}`, and is closed then.
    pub ready: Option<OwnedFd>,
}

/// Choices of the command line for one run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PodOptions {
    /// `--rm`: the record goes when the pod has ended.
    pub remove_at_end: bool,
    /// The longest wait between restarts (`lifecycle-semantics 5.4, 5.6`).
    pub max_backoff: Duration,
}

impl Default for PodOptions {
    fn default() -> Self {
        Self {
            remove_at_end: false,
            max_backoff: Duration::from_secs(300),
        }
    }
}

/// Where a foreground run shows its containers' lines.
#[derive(Debug)]
pub struct Tee {
    /// Put `name | ` before each line.
    pub prefix: bool,
    /// Gets what containers write to stdout.
    pub stdout: OwnedFd,
    /// Gets what containers write to stderr.
    pub stderr: OwnedFd,
}

/// Somebody to call with every event of the pod.
pub struct Progress(pub Box<dyn FnMut(&PodEvent)>);

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Runs a pod from claim to end and returns its exit code (`cli.md`, exit codes).
///
/// Blocks until the pod's life is over and nothing of it is left but its record. Makes this process a child subreaper
/// and takes its signals: the first SIGINT or SIGTERM stops the pod, the second shortens the grace, the third kills.
/// To be called once, from a process with a single thread.
///
/// # Errors
/// When the name is taken, or the supervisor itself cannot work. A pod that fails is not an error.
pub fn run(launch: PodLaunch) -> Result<u8, EngineError> {
    Err(EngineError::NotFound {
        name: launch.spec.name,
    })
}
