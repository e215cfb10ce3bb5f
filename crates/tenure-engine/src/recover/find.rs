//! What a dead supervisor left.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tenure_lifecycle::{Adopted, AdoptedState, ContainerState, ContainerStatus, Timestamp};
use tenure_spec::PodSpec;
use tenure_supervise::cgroup::Cgroup;
use tenure_supervise::pidfd::PidFd;

use super::settle;
use crate::error::EngineError;
use crate::host::Slot;
use crate::oci::RuntimeLocation;
use crate::sandbox::bundle;
use crate::store::{
    ContainerRecord, ContainerStage, PodDir, ProcessId, Published, Record, SandboxStage, boot_id, file_error,
};

/// A pod without supervisor.
pub(super) struct Found {
    /// What the record says, or what stands in for it.
    pub record: Record,
    /// For the machine, by index.
    pub adopted: Vec<Adopted>,
    /// For the host, by index.
    pub slots: Vec<Slot>,
    /// Whose init lives, by index.
    pub alive: Vec<usize>,
    /// The shared PID namespace's init, if it lives.
    pub pod_init: Option<PidFd>,
}

/// Looks at a pod. A torn or missing record is no error: what it would have told is found by name.
pub(super) fn find(dir: &PodDir, spec: &PodSpec, published: Option<&Published>, now: Timestamp) -> Found {
    let record = record(dir);
    let statuses = published.map_or(&[][..], |published| &published.status.containers);
    let mut found = Found {
        adopted: Vec::new(),
        slots: Vec::new(),
        alive: Vec::new(),
        pod_init: pod_init(dir),
        record,
    };
    for (index, container) in spec.all_containers().enumerate() {
        let recorded = found.record.containers.get(&index).cloned();
        let status = statuses.get(index);
        let init = recorded.as_ref().and_then(living_init);
        let (adopted, mut slot) = adopt(recorded.as_ref(), status, init.is_some(), now);
        if let Some(init) = init {
            slot.init = Some(Rc::new(init));
            found.alive.push(index);
        }
        if adopted.state != AdoptedState::NeverCreated {
            slot.restart_count = adopted.restart_count;
            slot.id = dir.container_id(&container.name, adopted.restart_count);
            slot.stop_signal = bundle::stop_signal(container);
        }
        found.adopted.push(adopted);
        found.slots.push(slot);
    }
    found
}

/// The record, or one that says that anything may exist.
fn record(dir: &PodDir) -> Record {
    let read = dir.read_record().ok().flatten();
    // In another boot every process is gone, and pids and start times are other processes'.
    read.filter(|record| record.boot_id == boot_id())
        .unwrap_or_else(|| Record {
            boot_id: boot_id(),
            supervisor: ProcessId {
                pid: 0,
                start_time: 0,
            },
            cgroup: dir.cgroup(),
            sandbox: SandboxStage::Present,
            pod_init: None,
            containers: BTreeMap::new(),
        })
}

fn living_init(container: &ContainerRecord) -> Option<PidFd> {
    container.init.and_then(living)
}

fn living(process: ProcessId) -> Option<PidFd> {
    match PidFd::open_verified(process.pid, process.start_time) {
        Ok(found) => found.filter(PidFd::is_alive),
        Err(error) => {
            tracing::error!(%error, pid = process.pid, "a process cannot be looked at");
            None
        }
    }
}

fn adopt(
    recorded: Option<&ContainerRecord>,
    status: Option<&ContainerStatus>,
    alive: bool,
    now: Timestamp,
) -> (Adopted, Slot) {
    let created = status.is_some_and(|status| status.ever_created);
    let state = match (recorded, alive) {
        (None, _) if !created => AdoptedState::NeverCreated,
        (Some(container), true) => match container.stage {
            ContainerStage::Creating => AdoptedState::Created,
            ContainerStage::Started => AdoptedState::Running {
                since: started_at(status).unwrap_or(now),
            },
        },
        (_, _) => AdoptedState::Ended {
            terminated: status.and_then(|status| match &status.state {
                ContainerState::Terminated(end) => Some(end.clone()),
                // It waited for its next start: the one before is what it ended with.
                ContainerState::Waiting { .. } if recorded.is_none() => status.last.clone(),
                ContainerState::Waiting { .. } | ContainerState::Running { .. } => None,
            }),
        },
    };
    let restart_count = recorded.map_or_else(
        || status.map_or(0, |status| status.restart_count),
        |container| container.restart_count,
    );
    let adopted = Adopted {
        restart_count,
        last: status.and_then(|status| status.last.clone()),
        state,
    };
    let slot = Slot {
        own_pid_namespace: recorded.is_some_and(|container| container.own_pid_namespace),
        ..Slot::default()
    };
    (adopted, slot)
}

fn started_at(status: Option<&ContainerStatus>) -> Option<Timestamp> {
    match &status?.state {
        ContainerState::Running { started_at } => Some(*started_at),
        ContainerState::Waiting { .. } | ContainerState::Terminated(_) => None,
    }
}

/// True when any process of the pod lives.
pub(super) fn lives(dir: &PodDir) -> io::Result<bool> {
    if record(dir)
        .containers
        .values()
        .any(|container| living_init(container).is_some())
    {
        return Ok(true);
    }
    let cgroup = Cgroup::open(dir.cgroup().as_ref())?;
    if cgroup.exists() && !cgroup.processes()?.is_empty() {
        return Ok(true);
    }
    Ok(pod_init(dir).is_some() || !settle::operations(dir, &runtime_location(dir).binary)?.is_empty())
}

/// The init of the shared PID namespace: as recorded, else process 1 of the namespace that is bound in the folder.
pub(super) fn pod_init(dir: &PodDir) -> Option<PidFd> {
    if let Some(init) = record(dir).pod_init.and_then(living) {
        return Some(init);
    }
    let bound = dir.namespaces().join("pid");
    let namespace = fs::metadata(&bound).ok()?;
    settle::pids().ok()?.into_iter().find_map(|pid| {
        // Held first: what is read then is of this process, if it lives after that.
        let process = PidFd::open(pid).ok()?;
        let theirs = fs::metadata(format!("/proc/{pid}/ns/pid")).ok()?;
        if (theirs.dev(), theirs.ino()) != (namespace.dev(), namespace.ino()) {
            return None;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let last = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?
            .split_whitespace()
            .next_back()?;
        (last == "1" && process.is_alive()).then_some(process)
    })
}

/// Where the pod's containers are: as launched, else Tenure's own runtime below the pod's root.
pub(super) fn runtime_location(dir: &PodDir) -> RuntimeLocation {
    match dir.read_launched() {
        Ok(Some(launched)) => launched.location(),
        Ok(None) | Err(_) => RuntimeLocation {
            binary: PathBuf::from("/proc/self/exe"),
            root: dir.root().to_path_buf(),
        },
    }
}

/// The ids that begin with the pod's name in a runtime's root: Tenure keeps them in `containers`, runc and crun in the
/// root itself. Names hold no underscore, so no other pod's begin so.
pub(super) fn container_ids(dir: &PodDir, root: &Path) -> Result<Vec<String>, EngineError> {
    let prefix = format!("{}_", dir.name());
    let mut ids = Vec::new();
    for folder in [root.join("containers"), root.to_path_buf()] {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(file_error("read", &folder, source)),
        };
        for entry in entries {
            let entry = entry.map_err(|source| file_error("read", &folder, source))?;
            if let Some(id) = entry.file_name().to_str().filter(|id| id.starts_with(&prefix)) {
                ids.push(id.to_owned());
            }
        }
    }
    Ok(ids)
}
