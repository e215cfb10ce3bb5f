//! The seam between a pod's engine and whatever creates containers.
//!
//! ```text
//! engine ──OciRuntime──▶ cli::CliRuntime ──exec──▶ tenure | runc | crun   (a short-lived process per operation)
//!                  └───▶ a fake in tests
//! ```
//!
//! Implementations never decide anything: they perform one operation and say how it went. All paths are absolute.

pub mod cli;
#[cfg(test)]
mod cli_tests;
mod message;

pub use cli::CliRuntime;

use std::future::Future;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use tenure_supervise::pidfd::PidFd;

/// What an OCI runtime must be able to do for a pod.
///
/// Futures need not be `Send`: an engine is one thread. Dropping a future does not undo the operation, except that of
/// [`Execute::exec`], which ends what it has begun to start; a started program is ended through [`RuntimeExec`].
pub trait OciRuntime: Execute {
    /// `create`: prepares the container; its init waits for [`OciRuntime::start`].
    fn create(&self, request: CreateRequest) -> impl Future<Output = Result<CreatedContainer, OciError>>;
    /// `start`: runs the program of a created container. Returns when the program runs.
    fn start(&self, id: &str) -> impl Future<Output = Result<(), OciError>>;
    /// `kill`: sends `signal` (a name, e.g. `SIGUSR1`) to init, or with `all` to every process of the container.
    fn kill(&self, id: &str, signal: &str, all: bool) -> impl Future<Output = Result<(), OciError>>;
    /// `delete --force`: removes whatever is left. Succeeds when nothing is there.
    fn delete(&self, id: &str) -> impl Future<Output = Result<(), OciError>>;
}

/// Runs further programs in containers, for handlers and probes.
pub trait Execute {
    /// `exec`: runs a program in a running container. Returns once it is started.
    fn exec(&self, request: ExecRequest) -> impl Future<Output = Result<RuntimeExec, OciError>>;
}

/// Arguments of [`OciRuntime::create`].
#[derive(Debug)]
pub struct CreateRequest {
    /// The container's id, unique in the runtime's root.
    pub id: String,
    /// The bundle: a folder with config.json.
    pub bundle: PathBuf,
    /// The container's standard streams.
    pub stdio: Stdio,
}

/// What a container has as its standard streams.
#[derive(Debug)]
pub enum Stdio {
    /// These descriptors; `process.terminal` must be false.
    Descriptors {
        /// `None` is /dev/null.
        stdin: Option<OwnedFd>,
        /// The container's stdout.
        stdout: OwnedFd,
        /// The container's stderr.
        stderr: OwnedFd,
    },
    /// A terminal that the runtime makes, as `process.terminal` must ask for.
    Terminal,
}

/// What [`OciRuntime::create`] gives.
#[derive(Debug)]
pub struct CreatedContainer {
    /// Init's pid in the host's PID namespace. For records and display only.
    pub pid: i32,
    /// Init's start time, field 22 of /proc/PID/stat: with the pid it names the process for ever.
    pub start_time: u64,
    /// Init itself. Our child, as we are its subreaper.
    pub pidfd: PidFd,
    /// The master of its terminal, if one was asked for.
    pub terminal: Option<OwnedFd>,
}

/// Arguments of [`Execute::exec`].
#[derive(Debug)]
pub struct ExecRequest {
    /// The container's id.
    pub id: String,
    /// The argv.
    pub command: Vec<String>,
    /// Where the program's stdout and stderr go.
    pub output: OwnedFd,
}

/// A program running in a container by [`Execute::exec`].
#[derive(Debug)]
pub struct RuntimeExec {
    /// The process whose end is the program's end and whose status is the program's (the runtime's `exec` in the
    /// foreground, or the program itself).
    pub pidfd: PidFd,
    /// The program's own process where the runtime tells it (`--pid-file`): SIGKILL goes there on cancel.
    pub program: Option<PidFd>,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The runtime binary could not be run.
    #[error("cannot run {program}")]
    Spawn {
        /// The binary.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The runtime said no; `message` is its own last error line, without prefix noise.
    #[error("{operation} of {id}: {message}")]
    Refused {
        /// `create`, `start`, ...
        operation: &'static str,
        /// The container.
        id: String,
        /// One line.
        message: String,
        /// The runtime's exit code, 255 if it was killed.
        code: u8,
    },
    /// The container is there, but not the terminal that was asked for.
    #[error("create of {id}: no terminal came from the runtime")]
    Terminal {
        /// The container.
        id: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The operation went through, but the process it left could not be taken hold of.
    #[error("{operation} of {id}: cannot watch its process")]
    Process {
        /// `create` or `exec`.
        operation: &'static str,
        /// The container.
        id: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Where a pod's runtime is and where it keeps its containers.
#[derive(Debug, Clone)]
pub struct RuntimeLocation {
    /// The binary: Tenure's own by default.
    pub binary: PathBuf,
    /// Its `--root`.
    pub root: PathBuf,
}

impl RuntimeLocation {
    /// True when the binary is `path` itself.
    pub fn is(&self, path: &Path) -> bool {
        self.binary == path
    }
}
