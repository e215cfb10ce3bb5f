//! What can go wrong with a pod besides its containers.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An operation of the engine that failed. One line each; the cause is the `source`.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The name belongs to a pod whose supervisor lives.
    #[error("pod {name} is running")]
    Running {
        /// The pod.
        name: String,
    },
    /// The pod's supervisor died and something of the pod lives on: it must be stopped or deleted first.
    #[error(
        "pod {name} was left by a supervisor that died and its containers still run: \
         `tenure pod stop {name}` or `tenure pod delete --force {name}` ends them"
    )]
    LeftBehind {
        /// The pod.
        name: String,
    },
    /// No such pod.
    #[error("pod {name} does not exist")]
    NotFound {
        /// The pod.
        name: String,
    },
    /// A name that cannot be a pod's, so no path is made of it.
    #[error("{name:?} is not a pod's name")]
    BadName {
        /// What was given.
        name: String,
    },
    /// A file or folder of the pod's record.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// `read`, `write`, `create`, ...
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the pod's record does not hold what it should.
    #[error("{} cannot be understood", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Processes that are not the pod's are where it is to be.
    #[error(
        "the cgroup {} holds process {pid} already: is there a pod of this name in another root?",
        path.display()
    )]
    CgroupTaken {
        /// From the hierarchies' mount points.
        path: PathBuf,
        /// One of the processes.
        pid: i32,
    },
    /// systemd did not make the pod's scope.
    #[error("{reason}")]
    Scope {
        /// One line that names the scope.
        reason: String,
    },
    /// The process could not be set up to supervise.
    #[error("cannot {operation}")]
    Process {
        /// `become subreaper`, `watch signals`, ...
        operation: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The supervisor refused a request.
    #[error("pod {name} refused to {operation}: {reason}")]
    Refused {
        /// The pod.
        name: String,
        /// `stop` or `kill`.
        operation: &'static str,
        /// The machine's reason.
        reason: String,
    },
    /// The supervisor could not be talked to.
    #[error("cannot talk to the supervisor of pod {name}")]
    Control {
        /// The pod.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The annotations of a single bundle, or its config.json, cannot be used.
    #[error("{message}")]
    Bundle {
        /// One line, naming the file or key.
        message: String,
    },
    /// The container of a single bundle could not be created or started.
    #[error("{message}")]
    Start {
        /// The runtime's own text.
        message: String,
        /// The code to end with: 125, 126 or 127.
        code: u8,
    },
    /// Something of the pod could not be removed.
    #[error("pod {name} left behind: {}", what.join(", "))]
    Leftovers {
        /// The pod.
        name: String,
        /// Each thing with the reason.
        what: Vec<String>,
    },
}

/// The error of an operation on our own process.
pub(crate) fn process_error(operation: &'static str, source: io::Error) -> EngineError {
    EngineError::Process { operation, source }
}

/// The beginning of a text, with a mark where something is left out.
pub(crate) fn cut(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let end = (0..=longest).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

/// An error and its causes in one line.
pub(crate) fn line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.replace('\n', " ")
}
