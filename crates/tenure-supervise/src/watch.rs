//! Waiting for files to change.

use std::io;
use std::path::Path;
use std::time::Duration;

/// Watches files by name: they may be absent, made later, replaced by rename, or go with their folder.
#[derive(Debug)]
pub struct FileWatch {}

impl FileWatch {
    /// Begins to watch; what changes from now on is told.
    pub fn new(paths: &[&Path]) -> io::Result<Self> {
        let _ = paths;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Blocks until one of them may have changed (true) or the time is over (false).
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let _ = timeout;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// The same, asynchronously. Cancel-safe.
    pub async fn changed(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
