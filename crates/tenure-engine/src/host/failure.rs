//! What the machine is told of what cannot be done.

use tenure_lifecycle::StartFailure;

use crate::error::line;
use crate::oci::OciError;

/// The runtime's own words are the message that people know.
pub(crate) fn refused(error: &OciError) -> StartFailure {
    let message = match error {
        OciError::Refused { message, .. } => message.clone(),
        OciError::Spawn { .. } | OciError::Terminal { .. } | OciError::Process { .. } => line(error),
    };
    StartFailure::Runtime { message }
}

pub(crate) fn unknown() -> StartFailure {
    StartFailure::Runtime {
        message: "no such container in the pod".into(),
    }
}
