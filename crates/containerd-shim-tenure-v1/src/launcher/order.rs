//! What an operation's process is told, and what it answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::proto::types::Mount;
use crate::ttrpc::Code;

/// An operation on one container.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The runtime's root: containers are recorded below it.
    pub(crate) root: PathBuf,
    /// The container.
    pub(crate) id: String,
    /// What to do.
    pub(crate) operation: Operation,
}

/// What can be ordered, with the descriptors that come along.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Operation {
    /// Mount the root and create. Descriptors: see [`Creation::terminal`].
    Create(Creation),
    /// Start.
    Start,
    /// Run a further program. Descriptors: see [`Program`].
    Exec(Program),
    /// Send a signal to init, or to all.
    Kill { signal: i32, all: bool },
    /// Kill what lives, delete, unmount the root. A success if there is nothing.
    Delete { bundle: PathBuf },
    /// Freeze.
    Pause,
    /// Thaw.
    Resume,
    /// Change limits: the JSON text of a runtime-spec `resources`.
    Update { resources: String },
    /// Tell what it uses.
    Stats,
    /// Tell its processes.
    Pids,
}

/// What to create, and how.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Creation {
    pub(crate) bundle: PathBuf,
    /// What to mount as its root.
    pub(crate) rootfs: Vec<Mount>,
    /// `process.terminal`: one descriptor, the socket that the terminal's master goes to; otherwise three, the standard
    /// streams.
    pub(crate) terminal: bool,
    pub(crate) no_pivot: bool,
    pub(crate) no_new_keyring: bool,
    pub(crate) systemd_cgroup: bool,
}

/// A further program of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Program {
    /// One descriptor, the socket that the terminal's master goes to; otherwise three, the standard streams.
    pub(crate) terminal: bool,
    pub(crate) command: Command,
}

/// What to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// The JSON text of a runtime-spec `process`.
    Process(String),
    /// These arguments, otherwise as the container's own process (`lifecycle-semantics 2.4`).
    Arguments(Vec<String>),
}

/// What came of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    /// Of create and exec: a child of the shim's now.
    Process(i32),
    Pids(Vec<i32>),
    /// A message of containerd's, by its type.
    Metrics {
        type_url: String,
        value: Vec<u8>,
    },
}

/// Why it was not done.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
}
