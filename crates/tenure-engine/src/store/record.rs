//! `record.json`: what recovery must know, on disk before the effect it announces.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tenure_spec::PodSpec;

use crate::launch::PodOptions;
use crate::oci::RuntimeLocation;

/// A process, named for ever: a pid alone is used again. Valid within one boot of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    /// In the host's PID namespace.
    pub pid: i32,
    /// Field 22 of /proc/PID/stat.
    pub start_time: u64,
}

/// `record.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// /proc/sys/kernel/random/boot_id: in another boot none of the processes exist.
    pub boot_id: String,
    /// Who supervises.
    pub supervisor: ProcessId,
    /// The pod's cgroup, from the hierarchies' mount points.
    pub cgroup: String,
    /// How far the sandbox is.
    pub sandbox: SandboxStage,
    /// The init of the pod's shared PID namespace.
    pub pod_init: Option<ProcessId>,
    /// The containers of which something may exist, by their index.
    pub containers: BTreeMap<usize, ContainerRecord>,
}

/// How far the sandbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SandboxStage {
    /// Nothing of it exists.
    Absent,
    /// Any part of it may exist.
    Present,
}

/// One start of a container of which something may exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    /// The id given to the runtime.
    pub id: String,
    /// 0 at the first start.
    pub restart_count: u32,
    /// How far it is.
    pub stage: ContainerStage,
    /// Init, known before the start is ordered.
    pub init: Option<ProcessId>,
    /// The container's PID namespace is its own, so init's death is everybody's.
    pub own_pid_namespace: bool,
}

/// How far one start of a container has come at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ContainerStage {
    /// The runtime's create has been ordered.
    Creating,
    /// The runtime's start has been ordered.
    Started,
}

/// `pod.json`: what was launched. Written once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Launched {
    /// The accepted Kubernetes Pod object.
    pub object: serde_json::Value,
    /// What to run.
    pub spec: PodSpec,
    /// Choices of the command line.
    pub options: PodOptions,
    /// The OCI runtime's binary.
    pub runtime: PathBuf,
    /// The OCI runtime's root.
    pub runtime_root: PathBuf,
}

impl Launched {
    pub(crate) fn location(&self) -> RuntimeLocation {
        RuntimeLocation {
            binary: self.runtime.clone(),
            root: self.runtime_root.clone(),
        }
    }
}

/// The name of this boot of the machine; empty where the kernel does not tell.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}
