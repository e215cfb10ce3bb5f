//! What `state` and `list` tell about a container.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// The status of a container, in the words of the OCI runtime specification and runc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `create` is at work.
    Creating,
    /// Set up; the program waits for `start`.
    Created,
    /// The program runs.
    Running,
    /// Frozen by `pause`.
    Paused,
    /// The init process is gone.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// The state of a container. Serialised, it is the OCI state with runc's additions (`rootfs`, `created`, `owner`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerState {
    /// Version of the OCI runtime specification.
    pub oci_version: String,
    /// The container.
    pub id: String,
    /// Pid of its init in the runtime's pid namespace; 0 when there is none.
    pub pid: i32,
    /// Where it is in its life.
    pub status: Status,
    /// Absolute path of its bundle.
    pub bundle: PathBuf,
    /// Absolute path of its root file system.
    pub rootfs: PathBuf,
    /// When it was created, RFC 3339 in UTC.
    pub created: String,
    /// The annotations of its configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Name of the user who created it, or its number where it has no name.
    pub owner: String,
}
