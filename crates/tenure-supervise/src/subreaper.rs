//! Orphans: those we want, and those that only need reaping.

use std::io;

/// Makes orphaned descendants our children from now on, instead of process 1's.
pub fn become_subreaper() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// While one exists, no [`Reaper`] of this process reaps anything: held from before an operation that leaves us a new
/// child until that child's [`crate::pidfd::PidFd`] is open.
#[derive(Debug)]
pub struct Hold {}

/// Holds the reaper back.
pub fn hold() -> Hold {
    Hold {}
}

/// Reaps orphans that no `PidFd` claims. One per process, made on the main thread before others exist.
#[derive(Debug)]
pub struct Reaper {}

impl Reaper {
    /// Begins to watch for ended children (blocks SIGCHLD in this thread).
    pub fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Reaps for ever; returns only on an error. Cancel-safe.
    pub async fn run(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
