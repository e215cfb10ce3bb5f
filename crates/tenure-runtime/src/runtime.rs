//! The operations, one method each.

use std::os::fd::OwnedFd;
use std::path::Path;

use libcontainer::oci_spec::runtime::{LinuxResources, Spec};

use crate::create::{Mode, create};
use crate::store::Store;
use crate::{
    ContainerId, ContainerState, CreateRequest, Created, Error, ExecRequest, Executed, OomWatch, Signal,
    Stats, config, delete, exec, freeze, kill, query, start, stats, update,
};

/// Choices that hold for all operations of a [`Runtime`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// Have systemd make the cgroups: `linux.cgroupsPath` is `SLICE:PREFIX:NAME`, and the container is in the scope
    /// `PREFIX-NAME.scope` (`tenure-ID.scope` in `system.slice` without a path). Only create and run look at this.
    pub systemd_cgroup: bool,
    /// Make no cgroups: the container stays in the caller's and cannot be limited, paused or counted. Only create and run
    /// look at this.
    pub no_cgroups: bool,
    /// Whether to do without root's powers; `None` decides by the effective user.
    pub rootless: Option<bool>,
}

/// Runs OCI containers whose records live below one root directory.
///
/// Cheap to make and without state of its own: two values with the same root see the same containers. Every
/// method must be called in a process with a single thread.
#[derive(Clone, Debug)]
pub struct Runtime {
    store: Store,
    options: RuntimeOptions,
}

impl Runtime {
    /// A runtime on `root` (`/run/tenure`), in which `containers/ID` is made as needed. Does no I/O.
    pub fn new(root: &Path, options: RuntimeOptions) -> Self {
        Self {
            store: Store::new(root),
            options,
        }
    }

    /// Sets a container up to the point where its program waits for [`start`](Self::start).
    ///
    /// A missing or unusable program is an error here already. On any error nothing remains of the container.
    pub fn create(&self, id: &ContainerId, request: &CreateRequest) -> Result<Created, Error> {
        create(&self.store, &self.options, id, request, Mode::Create)
    }

    /// Starts the program of a created container; returns when it has been executed and the poststart hooks have
    /// run.
    ///
    /// A failing startContainer hook or exec ends the container, as does a failing poststart hook
    /// (lifecycle-semantics S103).
    pub fn start(&self, id: &ContainerId) -> Result<(), Error> {
        start::start(&self.store.open(id)?)
    }

    /// Creates and starts a container in one go. On any error nothing remains of it.
    pub fn run(&self, id: &ContainerId, request: &CreateRequest) -> Result<Created, Error> {
        create(&self.store, &self.options, id, request, Mode::Run)
    }

    /// Tells the state of a container.
    pub fn state(&self, id: &ContainerId) -> Result<ContainerState, Error> {
        query::state(&self.store.open(id)?)
    }

    /// The configuration the container was created with.
    pub fn config(&self, id: &ContainerId) -> Result<Spec, Error> {
        let entry = self.store.open(id)?;
        config::parse(&entry.config_path(), &entry.load_config()?)
    }

    /// Sends a signal to a container's init, or to `all` its processes.
    ///
    /// SIGKILL reaches all processes of a container without a pid namespace of its own
    /// (lifecycle-semantics 3.33).
    pub fn kill(&self, id: &ContainerId, signal: Signal, all: bool) -> Result<(), Error> {
        kill::kill(&self.store.open(id)?, signal, all)
    }

    /// Stops all processes of a created or running container where they are; returns when none runs any more.
    ///
    /// Signals wait until [`resume`](Self::resume), except SIGKILL: it ends the container.
    ///
    /// # Errors
    /// `NotRunning` in any other status; `Cgroup` when a process does not stop within ten seconds: all run on then.
    pub fn pause(&self, id: &ContainerId) -> Result<(), Error> {
        freeze::pause(&self.store.open(id)?)
    }

    /// Lets a paused container go on.
    ///
    /// # Errors
    /// `NotPaused` in any other status; `Cgroup` when a cgroup above the container's is frozen.
    pub fn resume(&self, id: &ContainerId) -> Result<(), Error> {
        freeze::resume(&self.store.open(id)?)
    }

    /// Changes the limits that `resources` names; all others stay, as do devices and network priorities, which no update
    /// touches. All or nothing, as far as the kernel takes the old values back.
    ///
    /// Zero means "leave it" where zero is no limit (memory, shares, quota, period, pids). A quota without a period, or
    /// memory and swap without memory, is completed from what the container has. Afterwards
    /// [`config`](Self::config) tells the new limits.
    ///
    /// # Errors
    /// `NotRunning` unless created, running or paused; `InvalidResources` for values that no kernel takes;
    /// `CgroupLimit` when the kernel refuses one.
    pub fn update(&self, id: &ContainerId, resources: &LinuxResources) -> Result<(), Error> {
        update::update(&self.store.open(id)?, resources)
    }

    /// What a container uses at this moment. Units are told with each field of [`Stats`].
    ///
    /// # Errors
    /// `NotRunning` unless its init lives.
    pub fn stats(&self, id: &ContainerId) -> Result<Stats, Error> {
        stats::stats(&self.store.open(id)?)
    }

    /// Init of a container by descriptor: readable when it has ended.
    ///
    /// # Errors
    /// `NotRunning` unless it lives.
    pub fn init(&self, id: &ContainerId) -> Result<OwnedFd, Error> {
        stats::init(&self.store.open(id)?)
    }

    /// Watches for a container's running out of memory, from now on.
    ///
    /// # Errors
    /// `NotRunning` unless its init lives; `Unsupported` on a host without a memory controller.
    pub fn watch_oom(&self, id: &ContainerId) -> Result<OomWatch, Error> {
        stats::watch_oom(&self.store.open(id)?)
    }

    /// Removes a stopped container; with `force`, kills it first and takes an unknown id for a success.
    ///
    /// A failing poststop hook is a warning.
    pub fn delete(&self, id: &ContainerId, force: bool) -> Result<(), Error> {
        match self.store.open(id) {
            Err(Error::NotFound { .. }) if force => Ok(()),
            entry => delete::delete(&entry?, force),
        }
    }

    /// Runs a further process in a created or running container; returns when its program has been executed.
    pub fn exec(&self, id: &ContainerId, request: &ExecRequest) -> Result<Executed, Error> {
        exec::exec(&self.store.open(id)?, &self.store.filters, request)
    }

    /// All containers, sorted by id. A record that cannot be read is told through tracing and left out.
    pub fn list(&self) -> Result<Vec<ContainerState>, Error> {
        query::list(&self.store)
    }

    /// Pids of all processes in the container's cgroup, sorted.
    pub fn processes(&self, id: &ContainerId) -> Result<Vec<i32>, Error> {
        query::processes(&self.store.open(id)?)
    }
}
