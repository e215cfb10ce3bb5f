//! Volumes and their mounts, valid by construction.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::files::Files;

/// A pod's volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// A DNS-1123 label, unique in the pod.
    pub name: String,
    /// What is behind it.
    pub source: VolumeSource,
}

/// What is behind a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeSource {
    /// A fresh folder that lives as long as the pod.
    EmptyDir {
        /// Disk or memory.
        medium: Medium,
        /// `sizeLimit` in bytes; enforced for memory, for disk see the engine's documentation.
        size_limit_bytes: Option<u64>,
    },
    /// A path of the host.
    HostPath {
        /// Absolute.
        path: PathBuf,
        /// What must be there, or is made.
        kind: HostPathKind,
    },
    /// `configMap`, `secret`, `downwardAPI` or `projected`: files made from data, read-only for containers.
    Files(Files),
}

/// `emptyDir.medium`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Medium {
    /// The default: below the pod's folder.
    Disk,
    /// `Memory`: a tmpfs.
    Memory,
}

/// `hostPath.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostPathKind {
    /// No check.
    Any,
    /// A folder, made (0755) when absent.
    DirectoryOrCreate,
    /// A folder.
    Directory,
    /// A file, made (0644) when absent.
    FileOrCreate,
    /// A file.
    File,
    /// A Unix socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// One `volumeMounts` entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    /// Names a volume of the pod.
    pub name: String,
    /// Absolute path inside the container.
    pub mount_path: PathBuf,
    /// A path below the volume's root: relative, no `..`. Resolved beneath the volume, never through a link out of it.
    pub sub_path: Option<PathBuf>,
    /// `readOnly`.
    pub read_only: bool,
    /// `mountPropagation`.
    pub propagation: MountPropagation,
}

/// `mountPropagation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountPropagation {
    /// `None`: private.
    Private,
    /// `HostToContainer`: rslave.
    HostToContainer,
    /// `Bidirectional`: rshared.
    Bidirectional,
}
