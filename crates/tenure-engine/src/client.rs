//! What other processes ask of a pod: blocking calls for the command line.

use std::path::Path;

use crate::error::EngineError;

/// How a pod came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopOutcome {
    /// The pod's exit code.
    pub exit_code: u8,
    /// Who ended it.
    pub ended_by: EndedBy,
}

/// Who ended a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// Its supervisor.
    Supervisor,
    /// This process, because the supervisor was dead.
    Recovery,
    /// It had ended before.
    Nobody,
}

/// Stops a pod as the kubelet does on deletion and returns when it has ended. `grace` in whole seconds, `None` is the
/// pod's own; a later stop may only shorten. With a dead supervisor this process does it.
///
/// # Errors
/// When there is no such pod, or it cannot be reached or cleaned up.
pub fn stop(root: &Path, name: &str, grace: Option<u64>) -> Result<StopOutcome, EngineError> {
    let _ = (root, grace);
    Err(EngineError::NotFound { name: name.into() })
}

/// Kills everything in a pod with SIGKILL, runs no handlers, and returns when it has ended.
///
/// # Errors
/// As [`stop`].
pub fn kill(root: &Path, name: &str) -> Result<StopOutcome, EngineError> {
    let _ = root;
    Err(EngineError::NotFound { name: name.into() })
}

/// Removes an ended pod's record, logs and leftovers; with `force` kills it first. Works when the supervisor is dead.
///
/// # Errors
/// When there is no such pod, it lives and `force` is not given, or something cannot be removed.
pub fn delete(root: &Path, name: &str, force: bool) -> Result<(), EngineError> {
    let _ = (root, force);
    Err(EngineError::NotFound { name: name.into() })
}
