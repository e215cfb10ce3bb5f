//! How the process inside the container tells its creator what went wrong.

use std::fmt::Display;
use std::io;

use serde::{Deserialize, Serialize};

use crate::Error;

/// An error that crosses from the container's side to the runtime's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    /// The program does not exist.
    ProgramNotFound { program: String, reason: String },
    /// The program cannot be executed.
    ProgramNotExecutable { program: String, reason: String },
    /// An OCI hook failed.
    Hook {
        kind: String,
        index: usize,
        path: String,
        reason: String,
    },
    /// A step of the set-up failed.
    Step(String),
}

impl Failure {
    /// A constructor for `map_err`: what could not be done, and why.
    pub(crate) fn step<E: Into<io::Error>>(what: impl Display) -> impl FnOnce(E) -> Self {
        move |cause| Self::Step(format!("cannot {what}: {}", reason_of(&cause.into())))
    }
}

/// The text of an error without its number, as runc prints it.
pub(crate) fn reason_of(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::ProgramNotFound { program, reason } => Self::ProgramNotFound { program, reason },
            Failure::ProgramNotExecutable { program, reason } => {
                Self::ProgramNotExecutable { program, reason }
            }
            Failure::Hook {
                kind,
                index,
                path,
                reason,
            } => Self::Hook {
                kind,
                index,
                path,
                reason,
            },
            Failure::Step(reason) => Self::Init { reason },
        }
    }
}
