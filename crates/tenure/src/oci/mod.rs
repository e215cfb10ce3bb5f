//! The commands of an OCI runtime, one file each, on `tenure-runtime`.
//!
//! They behave as runc's where callers (podman, containerd, Docker, CRI-O) look: flags, texts, exit codes. None of them
//! makes a thread.

pub(crate) mod checkpoint;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod features;
pub(crate) mod foreground;
pub(crate) mod kill;
pub(crate) mod list;
pub(crate) mod pause;
mod peek;
pub(crate) mod ps;
pub(crate) mod resume;
pub(crate) mod run;
mod size;
pub(crate) mod spec;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod update;

use tenure_runtime::ContainerId;

use crate::exit::CommandError;

/// A container's id from the command line.
///
/// # Errors
/// When the text is no id.
fn container_id(text: &str) -> Result<ContainerId, CommandError> {
    Ok(text.parse::<ContainerId>()?)
}
