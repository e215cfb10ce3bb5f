//! One container of a pod, valid by construction.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::handler::Handler;
use crate::probe::Probes;
use crate::reference::{FieldRef, ResourceRef};
use crate::sources::{EnvFrom, KeyRef};
use crate::volume::VolumeMount;

/// `restartPolicy` of a pod or of a container (`lifecycle-semantics 5.2, 5.3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Restarted after any exit.
    Always,
    /// Restarted after a non-zero exit.
    OnFailure,
    /// Never restarted.
    Never,
}

/// One of `restartPolicyRules`: what follows an exit of its own accord with one of these codes
/// (`lifecycle-semantics 5.3`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRule {
    /// `action`.
    #[serde(default)]
    pub action: RestartAction,
    /// `exitCodes.operator` NotIn: all codes but these.
    pub excludes: bool,
    /// `exitCodes.values`.
    pub codes: Vec<u8>,
}

/// What a restart rule does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RestartAction {
    /// The container is started again.
    #[default]
    Restart,
    /// All containers of the pod are ended, and the pod begins again with its init containers
    /// (`lifecycle-semantics 5.9`).
    RestartAllContainers,
}

impl RestartRule {
    /// Whether the rule is about an exit with this code.
    pub fn applies_to(&self, code: u8) -> bool {
        self.codes.contains(&code) != self.excludes
    }
}

/// Where a container's root file system and base config.json come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Image {
    /// `bundle:PATH`: an own writable layer over the bundle's root file system, fresh at every start.
    Layered(PathBuf),
    /// `bundle-rw:PATH`: the bundle's own root file system, written in place.
    InPlace(PathBuf),
}

impl Image {
    /// The bundle's folder, absolute.
    pub fn bundle(&self) -> &PathBuf {
        match self {
            Self::Layered(path) | Self::InPlace(path) => path,
        }
    }
}

/// A container as the pod declares it.
///
/// `None` and empty mean "as the bundle's config.json says".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// A DNS-1123 label, unique in the pod.
    pub name: String,
    /// The bundle.
    pub image: Image,
    /// `command`, `$(VAR)` not yet expanded.
    pub command: Option<Vec<String>>,
    /// `args`, `$(VAR)` not yet expanded.
    pub args: Option<Vec<String>>,
    /// `envFrom` in order; `env` wins.
    #[serde(default)]
    pub env_from: Vec<EnvFrom>,
    /// `env` in order, `$(VAR)` not yet expanded.
    pub env: Vec<EnvVar>,
    /// `workingDir`.
    pub working_dir: Option<PathBuf>,
    /// `ports`: names for look-ups only.
    pub ports: Vec<Port>,
    /// `resources`.
    pub resources: Resources,
    /// `securityContext`, the pod's merged in.
    pub security: Security,
    /// `volumeMounts`.
    pub volume_mounts: Vec<VolumeMount>,
    /// `lifecycle`.
    pub lifecycle: Lifecycle,
    /// The container's own `restartPolicy`. An init container with `Always` is a sidecar.
    pub restart_policy: Option<RestartPolicy>,
    /// `restartPolicyRules` in order; looked at before the policy.
    #[serde(default)]
    pub restart_rules: Vec<RestartRule>,
    /// The three probes.
    pub probes: Probes,
    /// `terminationMessagePath`, default `/dev/termination-log`.
    pub termination_message_path: PathBuf,
    /// `terminationMessagePolicy: FallbackToLogsOnError`.
    pub termination_message_falls_back_to_logs: bool,
    /// `stdin`.
    pub stdin: bool,
    /// `tty`.
    pub tty: bool,
}

/// One `env` entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    /// The variable's name.
    pub name: String,
    /// Its value.
    pub value: EnvValue,
}

/// What an `env` entry is set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvValue {
    /// `value`, `$(VAR)` not yet expanded.
    Literal(String),
    /// `valueFrom.fieldRef`; taken as it is, `$(VAR)` is not expanded.
    Field(FieldRef),
    /// `valueFrom.resourceFieldRef`.
    Resource(ResourceRef),
    /// `valueFrom.configMapKeyRef` or `.secretKeyRef`.
    Key(KeyRef),
}

/// One `ports` entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// An IANA service name, unique in the container.
    pub name: Option<String>,
    /// 1 to 65535.
    pub container_port: u16,
    /// TCP, UDP or SCTP.
    pub protocol: String,
}

/// `lifecycle`: handlers and the stop signal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// Fired beside the main process, once per start (`lifecycle-semantics 2`).
    pub post_start: Option<Handler>,
    /// Run before the stop signal (`lifecycle-semantics 3`).
    pub pre_stop: Option<Handler>,
    /// `stopSignal` as a signal name, e.g. `SIGUSR1`. `None`: the image's, else SIGTERM (`lifecycle-semantics 3.30`).
    pub stop_signal: Option<String>,
}

/// The length of a processor's period in microseconds.
pub const CPU_PERIOD: u64 = 100_000;
/// The least quota that the kernel takes, in microseconds.
const LEAST_QUOTA: u64 = 1_000;
/// The bounds of `cpu.shares`.
const SHARES: (u64, u64) = (2, 262_144);

/// `resources.limits` and `.requests` of a container or of a pod, in the kernel's units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// `limits.cpu` in thousandths of a processor.
    pub cpu_limit_millis: Option<u64>,
    /// `requests.cpu` in thousandths of a processor.
    pub cpu_request_millis: Option<u64>,
    /// `limits.memory` in bytes.
    pub memory_limit_bytes: Option<u64>,
    /// `requests.memory` in bytes.
    pub memory_request_bytes: Option<u64>,
    /// `requests.ephemeral-storage` in bytes: nothing but a number that the container can be told.
    #[serde(default)]
    pub ephemeral_storage_request_bytes: Option<u64>,
    /// `limits.hugepages-SIZE` in bytes, by the kernel's name of the size (`2MB`); what is requested is the same.
    #[serde(default)]
    pub huge_pages: BTreeMap<String, u64>,
}

impl Resources {
    /// The weight that the requested processors come to, as the kubelet reckons it.
    pub fn cpu_shares(&self) -> Option<u64> {
        let shares = |request: u64| (request.saturating_mul(1024) / 1000).clamp(SHARES.0, SHARES.1);
        self.cpu_request_millis.map(shares)
    }

    /// The microseconds of processors in each [`CPU_PERIOD`].
    pub fn cpu_quota(&self) -> Option<u64> {
        let quota = |limit: u64| limit.saturating_mul(CPU_PERIOD / 1000).max(LEAST_QUOTA);
        self.cpu_limit_millis.map(quota)
    }
}

/// `securityContext` of a container, the pod's defaults merged in. `None` and empty: the bundle's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// `runAsUser`.
    pub run_as_user: Option<u32>,
    /// `runAsGroup`.
    pub run_as_group: Option<u32>,
    /// `runAsNonRoot`: uid 0 is a CreateContainerConfigError.
    pub run_as_non_root: bool,
    /// `capabilities.add` as `CAP_X`, or `ALL`.
    pub add_capabilities: Vec<String>,
    /// `capabilities.drop` as `CAP_X`, or `ALL`.
    pub drop_capabilities: Vec<String>,
    /// `readOnlyRootFilesystem`.
    pub read_only_root_filesystem: Option<bool>,
    /// `privileged`.
    pub privileged: bool,
    /// `allowPrivilegeEscalation`; `Some(false)` sets no_new_privs.
    pub allow_privilege_escalation: Option<bool>,
    /// `supplementalGroups`.
    pub supplemental_groups: Vec<u32>,
    /// `supplementalGroupsPolicy: Strict`: only these groups, none of the image's.
    #[serde(default)]
    pub supplemental_groups_strict: bool,
    /// `fsGroup`.
    pub fs_group: Option<u32>,
    /// `seccompProfile`.
    pub seccomp: Option<Seccomp>,
}

/// `seccompProfile`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// No filter, the bundle's is removed.
    Unconfined,
    /// The bundle's own filter.
    RuntimeDefault,
    /// A profile file: an OCI `linux.seccomp` object.
    Localhost(PathBuf),
}
