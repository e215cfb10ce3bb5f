//! How a process ended.

use serde::{Deserialize, Serialize};

/// Code or signal; kept apart until the last line of `main`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExitStatus {
    /// Ended by itself with this code, 0 to 255.
    Code(u8),
    /// Ended by this signal's number, with or without a core dump.
    Signal(u8),
    /// Gone, and nobody could tell how (`lifecycle-semantics 5`: ContainerStatusUnknown, 137).
    Unknown,
}

impl ExitStatus {
    /// The code a shell would show: n, 128 + signal, or 137 when unknown.
    pub const fn shell_code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => signal.saturating_add(128),
            Self::Unknown => 137,
        }
    }

    /// True for code 0.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

/// The end of a container's main process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// How it ended.
    pub status: ExitStatus,
    /// The memory controller killed something in the container.
    pub oom_killed: bool,
    /// The termination message, if any (`lifecycle-semantics 5.20` to `5.23`).
    pub message: String,
}

impl Exit {
    /// An exit without out-of-memory kill and without message.
    pub const fn plain(status: ExitStatus) -> Self {
        Self {
            status,
            oom_killed: false,
            message: String::new(),
        }
    }
}
