//! All of a pod that is not a container: its folder, cgroup, namespaces, volumes and files.
//!
//! ```text
//! create   scope ▶ folders ▶ namespaces (meanwhile: cgroup, volumes, files) ▶ pod init
//! remove   pod init ◀ namespaces ◀ everything mounted ◀ cgroup ◀ folders     goes on whatever fails
//! ```
//!
//! Everything is found again by the pod's name alone, so that recovery can remove what it has no record of.

mod accounts;
mod beneath;
pub(crate) mod bundle;
mod devices;
pub(crate) mod files;
pub(crate) mod node;
mod remove;
pub(crate) mod signal;
mod volume;
mod volume_files;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tenure_spec::PodSpec;
use tenure_spec::container::Resources;
use tenure_spec::reference::Known;
use tenure_supervise::cgroup::{Cgroup, Limits};
use tenure_supervise::namespaces::{self, Kinds};
use tenure_supervise::pidfd::PidFd;

use crate::error::EngineError;
use crate::launch::Scope;
use crate::offload::offload;
use crate::store::{PodDir, ProcessId, file_error, make_private_dir};

pub(crate) use remove::remove;

/// The argument with which our own binary is the init of a shared PID namespace.
const POD_INIT: &str = "pod-init";

/// A pod's surroundings.
#[derive(Debug)]
pub(crate) struct Sandbox {
    dir: PodDir,
    spec: Rc<PodSpec>,
    /// Not entered yet.
    scope: RefCell<Option<Scope>>,
    /// The shared PID namespace's init; held so that nobody reaps it unseen.
    pod_init: RefCell<Option<PidFd>>,
}

impl Sandbox {
    pub(crate) fn new(dir: PodDir, spec: Rc<PodSpec>) -> Self {
        Self {
            dir,
            spec,
            scope: RefCell::new(None),
            pod_init: RefCell::new(None),
        }
    }

    /// Has the cgroup made in this scope, which is entered first.
    pub(crate) fn set_scope(&mut self, scope: Option<Scope>) {
        self.scope = RefCell::new(scope);
    }

    /// Makes everything, with volumes as `known` has their content; tells the shared PID namespace's init, if there is
    /// one. After an error nothing is left.
    pub(crate) async fn create(&self, known: &Known) -> Result<Option<ProcessId>, EngineError> {
        let scope = self.take_cgroup().await?;
        let result = self.try_create(known, scope.as_deref()).await;
        if result.is_err() {
            for left in self.remove().await {
                tracing::error!(left, "left behind by a sandbox that could not be made");
            }
        }
        result
    }

    /// Makes sure that the pod's cgroup is nobody else's, such as that of a pod of this name in another root, which must
    /// be left alone; enters the scope that it is to be in, if there is one.
    async fn take_cgroup(&self) -> Result<Option<PathBuf>, EngineError> {
        let path = PathBuf::from(self.dir.cgroup());
        let processes = Cgroup::open(&path).and_then(|cgroup| cgroup.processes());
        match processes.map_err(|source| file_error("look into cgroup", &path, source))?[..] {
            [] => {}
            [pid, ..] => return Err(EngineError::CgroupTaken { path, pid }),
        }
        let Some(Scope { cgroup, enter }) = self.scope.borrow_mut().take() else {
            return Ok(None);
        };
        let entered = offload(enter).await;
        entered
            .map_err(|source| file_error("enter scope", &cgroup, source))?
            .map_err(|reason| EngineError::Scope { reason })?;
        Ok(Some(cgroup))
    }

    async fn try_create(
        &self,
        known: &Known,
        scope: Option<&Path>,
    ) -> Result<Option<ProcessId>, EngineError> {
        for folder in [
            self.dir.bundles(),
            self.dir.namespaces(),
            self.dir.path().join("logs"),
        ] {
            make_private_dir(&folder)?;
        }
        // The kernel takes its time for a network namespace; the rest is made meanwhile.
        let namespaces = self.create_namespaces();
        let rest = async { self.create_cgroup(scope).and_then(|()| self.create_files(known)) };
        let (namespaces, rest) = tokio::join!(namespaces, rest);
        namespaces?;
        rest?;
        self.create_pod_init()
    }

    fn create_cgroup(&self, scope: Option<&Path>) -> Result<(), EngineError> {
        let path = PathBuf::from(self.dir.cgroup());
        let created = match scope {
            None => Cgroup::create(&path),
            Some(scope) => Cgroup::create_delegated(scope, "supervisor", "pod"),
        };
        let cgroup = created.map_err(|source| file_error("create cgroup", &path, source))?;
        let limits = limits(&self.spec.resources);
        if limits == Limits::default() {
            return Ok(());
        }
        cgroup
            .limit(&limits)
            .map_err(|source| file_error("limit cgroup", &path, source))
    }

    fn create_files(&self, known: &Known) -> Result<(), EngineError> {
        volume::create_folder(&self.dir)?;
        volume::create(&self.dir, &self.spec, known)?;
        files::create(&self.dir, &self.spec)
    }

    async fn create_namespaces(&self) -> Result<(), EngineError> {
        let kinds = Kinds {
            network: !self.spec.host_network,
            ipc: !self.spec.host_ipc,
            // The host's network has the host's name.
            uts: !self.spec.host_network,
        };
        if kinds == Kinds::default() {
            return Ok(());
        }
        let dir = self.dir.namespaces();
        let hostname = self.spec.hostname.clone();
        let sysctls: Vec<_> = self.spec.sysctls.clone().into_iter().collect();
        let made = {
            let dir = dir.clone();
            offload(move || namespaces::create(kinds, &hostname, &sysctls, &dir)).await
        };
        made.and_then(|made| made)
            .map_err(|source| file_error("make namespaces in", &dir, source))
    }

    fn create_pod_init(&self) -> Result<Option<ProcessId>, EngineError> {
        if !self.spec.share_process_namespace {
            return Ok(None);
        }
        let dir = self.dir.namespaces();
        let init = namespaces::create_pid(&dir, Path::new("/proc/self/exe"), POD_INIT)
            .map_err(|source| file_error("make a PID namespace in", &dir, source))?;
        let id = ProcessId {
            pid: init.pid,
            start_time: init.start_time,
        };
        self.adopt_pod_init(Some(init.pidfd));
        Ok(Some(id))
    }

    /// Takes hold of the shared PID namespace's init.
    pub(crate) fn adopt_pod_init(&self, init: Option<PidFd>) {
        *self.pod_init.borrow_mut() = init;
    }

    /// Removes everything but the record and the logs; tells what is left.
    pub(crate) async fn remove(&self) -> Vec<String> {
        let init = self.pod_init.borrow_mut().take();
        remove(&self.dir, init).await
    }
}

/// What all containers of a pod may use together.
fn limits(resources: &Resources) -> Limits {
    Limits {
        cpu_shares: resources.cpu_shares(),
        cpu_quota: resources.cpu_quota(),
        memory_bytes: resources.memory_limit_bytes,
        huge_pages: resources.huge_pages.clone().into_iter().collect(),
    }
}
