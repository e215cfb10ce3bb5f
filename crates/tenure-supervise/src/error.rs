//! The text of this crate's errors.

use std::fmt::Display;
use std::io;

/// An operation that failed and the object it failed on. Always inside a `std::io::Error` of the source's kind.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {object}")]
pub struct Failed {
    /// What was tried, e.g. `cannot mount overlay on`.
    pub operation: &'static str,
    /// On what.
    pub object: String,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

/// Adds operation and object to a result's error.
pub(crate) trait Context<T> {
    /// Wraps the error, if any, in [`Failed`].
    fn context(self, operation: &'static str, object: impl Display) -> io::Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, operation: &'static str, object: impl Display) -> io::Result<T> {
        self.map_err(|error| {
            let source = error.into();
            let object = object.to_string();
            io::Error::new(
                source.kind(),
                Failed {
                    operation,
                    object,
                    source,
                },
            )
        })
    }
}
