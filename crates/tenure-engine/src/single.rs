//! `tenure run` of one bundle whose config.json carries lifecycle annotations.

use std::path::PathBuf;

use tenure_spec::annotations::ManagedLifecycle;

use crate::error::EngineError;
use crate::oci::RuntimeLocation;

/// All that [`run_single`] needs.
#[derive(Debug)]
pub struct SingleLaunch {
    /// The container's id, the user's choice.
    pub id: String,
    /// The bundle, used in place.
    pub bundle: PathBuf,
    /// What the annotations ask for.
    pub lifecycle: ManagedLifecycle,
    /// Who creates the container: must not look at the lifecycle annotations itself.
    pub runtime: RuntimeLocation,
    /// `--pid-file`: gets init's pid.
    pub pid_file: Option<PathBuf>,
    /// `--keep`: the container is not deleted at its end.
    pub keep: bool,
}

/// Runs a bundle under its managed lifecycle, with this process's stdio, and returns the container's exit code.
///
/// SIGINT and SIGTERM are a managed stop (the second shortens, the third kills); other signals go to the container.
/// To be called once, from a process with a single thread.
///
/// # Errors
/// When the container could not be created or started, or this process cannot supervise.
pub fn run_single(launch: SingleLaunch) -> Result<u8, EngineError> {
    Err(EngineError::NotFound { name: launch.id })
}
