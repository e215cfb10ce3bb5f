//! The operations, one method each.

use std::path::{Path, PathBuf};

use crate::{ContainerId, ContainerState, CreateRequest, Created, Error, ExecRequest, Executed, Signal};

/// Choices that hold for all operations of a [`Runtime`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// Have systemd make the cgroups. Not supported yet: an error at create.
    pub systemd_cgroup: bool,
    /// Whether to do without root's powers; `None` decides by the effective user.
    pub rootless: Option<bool>,
}

/// Runs OCI containers whose records live below one root directory.
///
/// Cheap to make and without state of its own: two values with the same root see the same containers. Every
/// method must be called in a process with a single thread.
#[derive(Clone, Debug)]
pub struct Runtime {
    root: PathBuf,
    options: RuntimeOptions,
}

impl Runtime {
    /// A runtime on `root` (`/run/tenure`), in which `containers/ID` is made as needed. Does no I/O.
    pub fn new(root: &Path, options: RuntimeOptions) -> Self {
        Self {
            root: root.to_owned(),
            options,
        }
    }

    /// Sets a container up to the point where its program waits for [`start`](Self::start).
    pub fn create(&self, id: &ContainerId, request: &CreateRequest) -> Result<Created, Error> {
        let _ = (id, request, &self.root, &self.options);
        Err(Error::Unsupported {
            what: "create".into(),
        })
    }

    /// Starts the program of a created container; returns when it has been executed.
    pub fn start(&self, id: &ContainerId) -> Result<(), Error> {
        let _ = id;
        Err(Error::Unsupported { what: "start".into() })
    }

    /// Creates and starts a container in one go.
    pub fn run(&self, id: &ContainerId, request: &CreateRequest) -> Result<Created, Error> {
        let _ = (id, request);
        Err(Error::Unsupported { what: "run".into() })
    }

    /// Tells the state of a container.
    pub fn state(&self, id: &ContainerId) -> Result<ContainerState, Error> {
        let _ = id;
        Err(Error::Unsupported { what: "state".into() })
    }

    /// Sends a signal to a container's init, or to `all` its processes.
    pub fn kill(&self, id: &ContainerId, signal: Signal, all: bool) -> Result<(), Error> {
        let _ = (id, signal, all);
        Err(Error::Unsupported { what: "kill".into() })
    }

    /// Removes a stopped container; with `force`, kills it first and takes an unknown id for a success.
    pub fn delete(&self, id: &ContainerId, force: bool) -> Result<(), Error> {
        let _ = (id, force);
        Err(Error::Unsupported {
            what: "delete".into(),
        })
    }

    /// Runs a further process in a created or running container.
    pub fn exec(&self, id: &ContainerId, request: &ExecRequest) -> Result<Executed, Error> {
        let _ = (id, request);
        Err(Error::Unsupported { what: "exec".into() })
    }

    /// All containers, sorted by id. A record that cannot be read is told through tracing and left out.
    pub fn list(&self) -> Result<Vec<ContainerState>, Error> {
        Err(Error::Unsupported { what: "list".into() })
    }

    /// Pids of all processes in the container's cgroup, sorted.
    pub fn processes(&self, id: &ContainerId) -> Result<Vec<i32>, Error> {
        let _ = id;
        Err(Error::Unsupported { what: "ps".into() })
    }
}
