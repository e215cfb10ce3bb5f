//! `tenure pod-init`: process 1 of a pod's shared PID namespace.

use crate::exit::{Code, CommandError};

/// Reaps until killed.
///
/// # Errors
/// When it cannot isolate itself.
pub(crate) fn execute() -> Result<Code, CommandError> {
    Err(anyhow::Error::new(tenure_supervise::namespaces::pod_init())
        .context("pod-init")
        .into())
}
