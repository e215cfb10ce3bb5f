//! Mounts that a pod needs on the host side.

use std::io;
use std::path::{Path, PathBuf};

/// How a bind mount is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BindOptions {
    /// With everything mounted below the source.
    pub recursive: bool,
    /// Read-only (the top mount).
    pub read_only: bool,
}

/// Mounts an overlay of `upper` over `lower` on `target`. Any character may be in the paths.
pub fn overlay(lower: &Path, upper: &Path, work: &Path, target: &Path) -> io::Result<()> {
    let _ = (lower, upper, work, target);
    Err(io::ErrorKind::Unsupported.into())
}

/// Binds `source` (which may be `/proc/self/fd/N`) on `target`, which must exist and be of the same kind.
pub fn bind(source: &Path, target: &Path, options: BindOptions) -> io::Result<()> {
    let _ = (source, target, options);
    Err(io::ErrorKind::Unsupported.into())
}

/// Mounts a tmpfs; `size` in bytes.
pub fn tmpfs(target: &Path, size: Option<u64>, mode: u32) -> io::Result<()> {
    let _ = (target, size, mode);
    Err(io::ErrorKind::Unsupported.into())
}

/// Where something is mounted on or below `dir`, deepest first.
pub fn mounts_below(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let _ = dir;
    Err(io::ErrorKind::Unsupported.into())
}

/// Detaches everything mounted on or below `dir`, deepest first.
pub fn detach_all_below(dir: &Path) -> io::Result<()> {
    let _ = dir;
    Err(io::ErrorKind::Unsupported.into())
}
