//! What the machine is told of what cannot be done.

use tenure_lifecycle::{HookOutcome, HookReport, StartFailure};

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

pub(crate) fn no_handler() -> HookReport {
    HookReport {
        outcome: HookOutcome::Failed {
            message: "there is no such handler".into(),
        },
        output: String::new(),
        http_fallback: false,
    }
}
