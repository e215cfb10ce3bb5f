//! Processes and descriptors: what a supervisor needs from Linux, and nothing else.
//!
//! Does not know what a container, a pod or a lifecycle is, and never decides anything.
//!
//! ```text
//!  process::Spawn ──▶ pidfd::PidFd ──wait──▶ ProcessExit          a process, from birth to status
//!  fork::fork      ──▶ the same, without a program of its own
//!  subreaper::Reaper  reaps the orphans that no PidFd claims      signal::Signals  INT, TERM, HUP ... as a stream
//!
//!  stdio::OutputPipe ──▶ stdio::copy ──▶ log::LogWriter ──▶ NAME.log ──▶ log::LogReader
//!                              └─▶ tee
//!  terminal::ConsoleSocket   where a runtime sends a terminal's master, which stdio then reads
//!  cgroup::Cgroup   namespaces, netns   mount   watch::FileWatch   atomic      the kernel's objects and files
//! ```
//!
//! Contract:
//! - Nothing polls, nothing sleeps: waiting is on a descriptor.
//! - Every descriptor made here is close-on-exec; every child starts with an empty signal mask.
//! - Errors are `std::io::Error`s of the kernel's kind; where more than a bare system call failed, the error's text
//!   names the operation and its object ([`error::Failed`]) and the kernel's own error is its source.
//! - One waiter per process: see [`pidfd`].

pub mod atomic;
pub mod cgroup;
pub mod error;
pub mod fork;
pub mod log;
pub mod memory;
pub mod mount;
pub mod namespaces;
pub mod netns;
pub mod pidfd;
pub mod process;
pub mod ready;
pub mod signal;
pub mod stdio;
pub mod subreaper;
mod sys;
pub mod terminal;
pub mod watch;

/// How a process ended. Code and signal are kept apart: 128 + n is for the last line of `main`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProcessExit {
    /// It ended by itself with this code.
    Code(u8),
    /// It was ended by the signal of this number, with or without a core dump.
    Signal(u8),
    /// It is gone, and the kernel no longer tells how.
    Unknown,
}
