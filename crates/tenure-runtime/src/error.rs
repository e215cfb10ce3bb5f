//! Everything that can go wrong, one variant for each kind a caller may want to tell apart.

use std::io;
use std::path::PathBuf;

use crate::Status;

/// What failed, on which container or file, and why.
///
/// The texts that callers of OCI runtimes look for ("container does not exist", "container not running",
/// "executable file not found in $PATH", ...) are part of the contract.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no container id.
    #[error("invalid container id \"{id}\": {reason}")]
    InvalidId {
        /// The offending text, shortened.
        id: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The text names no signal.
    #[error("invalid signal \"{signal}\"")]
    InvalidSignal {
        /// The offending text.
        signal: String,
    },
    /// A container of that name has a record.
    #[error("container with given ID already exists: {id}")]
    AlreadyExists {
        /// The container.
        id: String,
    },
    /// No container of that name has a record.
    #[error("container does not exist: {id}")]
    NotFound {
        /// The container.
        id: String,
    },
    /// The operation needs a created or running container.
    #[error("container not running: {id} is {status}")]
    NotRunning {
        /// The container.
        id: String,
        /// Its status.
        status: Status,
    },
    /// `resume` of a container that is not paused.
    #[error("container not paused: {id} is {status}")]
    NotPaused {
        /// The container.
        id: String,
        /// Its status.
        status: Status,
    },
    /// `start` of a container that is not in `created`.
    #[error("{} ({id} is {status})", cannot_start(*.status))]
    CannotStart {
        /// The container.
        id: String,
        /// Its status.
        status: Status,
    },
    /// `exec` in a container that is neither created nor running.
    #[error("cannot exec in a {status} container: {id}")]
    CannotExec {
        /// The container.
        id: String,
        /// Its status.
        status: Status,
    },
    /// `delete` without force of a container that is not stopped.
    #[error("cannot delete container {id} that is not stopped: {status}")]
    CannotDelete {
        /// The container.
        id: String,
        /// Its status.
        status: Status,
    },
    /// A configuration that breaks the OCI runtime specification, or asks for what does not exist.
    #[error("{}: {at}: {reason}", path.display())]
    InvalidConfig {
        /// The file.
        path: PathBuf,
        /// The place in it, as a JSON path such as `linux.namespaces[2].type`.
        at: String,
        /// What is wrong there.
        reason: String,
    },
    /// A process for `exec` that could never run.
    #[error("process: {at}: {reason}")]
    InvalidProcess {
        /// The place in it, as a JSON path such as `env[2]`.
        at: String,
        /// What is wrong there.
        reason: String,
    },
    /// Limits for `update` that no kernel takes, or that are no limits.
    #[error("resources: {at}: {reason}")]
    InvalidResources {
        /// The place in them, as a JSON path such as `memory.limit`.
        at: String,
        /// What is wrong there.
        reason: String,
    },
    /// A terminal is asked for without a way to hand it over, or the other way round.
    #[error("terminal: {reason}")]
    Console {
        /// What does not fit.
        reason: String,
    },
    /// Known, valid, and not implemented.
    #[error("{what} is not supported yet")]
    Unsupported {
        /// The feature.
        what: String,
    },
    /// The program does not exist in the container (exit code 127).
    #[error("exec: \"{program}\": {reason}")]
    ProgramNotFound {
        /// The program as asked for.
        program: String,
        /// `executable file not found in $PATH` or `no such file or directory`.
        reason: String,
    },
    /// The program exists and cannot be executed (exit code 126).
    #[error("exec: \"{program}\": {reason}")]
    ProgramNotExecutable {
        /// The program as asked for.
        program: String,
        /// `permission denied`, `is a directory`, `exec format error`, ...
        reason: String,
    },
    /// An OCI hook failed.
    #[error("{kind} hook {index} ({path}): {reason}")]
    Hook {
        /// `prestart`, `createRuntime`, ...
        kind: String,
        /// Its place in the list, from 0.
        index: usize,
        /// Its program.
        path: String,
        /// How it ended.
        reason: String,
    },
    /// The process inside the container could not be set up.
    #[error("container init: {reason}")]
    Init {
        /// The step and its cause.
        reason: String,
    },
    /// The process inside the container ended before it could say why.
    #[error("container init ended during {during}: {how}")]
    InitDied {
        /// What was being done.
        during: &'static str,
        /// Its exit status or signal.
        how: String,
    },
    /// The seccomp profile cannot be made into a filter.
    #[error("seccomp: cannot {step}")]
    Seccomp {
        /// What could not be done.
        step: String,
        /// libseccomp's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a resource limit.
    #[error("cgroup: cannot write \"{value}\" to {}", path.display())]
    CgroupLimit {
        /// The controller's file.
        path: PathBuf,
        /// The value refused.
        value: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A cgroup could not be created, entered, read or removed.
    #[error("cgroup: cannot {operation} {}", path.display())]
    Cgroup {
        /// The operation.
        operation: &'static str,
        /// The directory or file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// systemd is to make the cgroups and there is none to ask.
    #[error("the systemd cgroup driver (--systemd-cgroup) needs systemd: {reason}")]
    NoSystemd {
        /// What is missing.
        reason: String,
    },
    /// systemd could not do something with a container's scope.
    #[error("systemd: cannot {operation} {unit}: {reason}")]
    Systemd {
        /// The operation.
        operation: &'static str,
        /// The unit.
        unit: String,
        /// systemd's words.
        reason: String,
    },
    /// A record of a container cannot be understood.
    #[error("state of container {id} is unreadable ({}): {reason}", path.display())]
    BrokenRecord {
        /// The container.
        id: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file operation failed.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// The operation.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A system call failed that concerns no file.
    #[error("cannot {operation}")]
    System {
        /// The operation.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// runc's words for a start that comes at the wrong time.
fn cannot_start(status: Status) -> &'static str {
    match status {
        Status::Stopped => "cannot start a container that has stopped",
        Status::Running => "cannot start an already running container",
        Status::Creating | Status::Created | Status::Paused => "cannot start a container that is not created",
    }
}

/// Text of a stranger's configuration, fit for one line of a log or terminal.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

impl Error {
    /// What is wrong in a configuration, and where.
    pub(crate) fn config(path: impl Into<PathBuf>, at: &str, reason: &str) -> Self {
        Self::InvalidConfig {
            path: path.into(),
            at: one_line(at),
            reason: one_line(reason),
        }
    }

    /// What is wrong in the resources of an update, and where.
    pub(crate) fn resources(at: &str, reason: &str) -> Self {
        Self::InvalidResources {
            at: one_line(at),
            reason: one_line(reason),
        }
    }

    /// What is wrong in a process for `exec`, and where.
    pub(crate) fn process(at: &str, reason: &str) -> Self {
        Self::InvalidProcess {
            at: one_line(at),
            reason: one_line(reason),
        }
    }

    /// A constructor for `map_err` on file operations.
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            operation,
            path,
            source,
        }
    }

    /// A constructor for `map_err` on system calls without a file.
    pub(crate) fn system(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { operation, source }
    }
}
