//! Files replaced as a whole, and the lock that tells a live owner from a dead one.

use std::fs::File;
use std::io;
use std::path::Path;

/// Replaces `path` by a file of these bytes and this mode, so that a reader sees the old or the new one.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let _ = (path, bytes, mode);
    Err(io::ErrorKind::Unsupported.into())
}

/// A lock held until this value is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct FileLock {
    #[allow(dead_code)]
    file: File,
}

/// Takes the lock of `path`, making the file if absent; `None` when somebody else holds it.
pub fn lock_exclusive_nonblocking(path: &Path) -> io::Result<Option<FileLock>> {
    let _ = path;
    Err(io::ErrorKind::Unsupported.into())
}

/// True while some process holds the lock of `path`. Takes nothing, so it never disturbs another's attempt.
/// An absent file is not locked.
pub fn is_locked(path: &Path) -> io::Result<bool> {
    let _ = path;
    Err(io::ErrorKind::Unsupported.into())
}
