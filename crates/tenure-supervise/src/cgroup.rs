//! A pod-level cgroup in every mounted hierarchy: v1, v2, or both.
//!
//! ```text
//!  /sys/fs/cgroup/memory /tenure/web /app      v1: the mount root of a controller, the pod, the container
//!  /sys/fs/cgroup/unified/tenure/web/app       v2, here beside v1 (hybrid)
//! ```
//!
//! Paths count from the hierarchies' mount roots, as the OCI runtimes take an absolute `linux.cgroupsPath`. The
//! container level is made and removed by the runtime; this module makes the levels above, limits them, and can end and
//! clear all.

mod hierarchy;
mod kill;
mod limits;

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::Context;
use hierarchy::{Hierarchy, Version, hierarchies};

pub use limits::Limits;

/// A cgroup by its path below the hierarchies' mount roots, e.g. `tenure/web`.
#[derive(Debug, Clone)]
pub struct Cgroup {
    relative: PathBuf,
}

impl Cgroup {
    /// Makes the cgroup and its missing parents in every mounted hierarchy. Succeeds where it exists. Where
    /// there is only v2 the controllers are enabled for its children, so that it can hold no process of its own.
    pub fn create(relative: &Path) -> io::Result<Self> {
        let cgroup = Self::open(relative)?;
        for hierarchy in hierarchies()? {
            hierarchy.make(&cgroup.relative, true)?;
        }
        Ok(cgroup)
    }

    /// Makes a cgroup in one that somebody else, systemd for one, has made for this process and left to it; `outer` and
    /// what is above stay as they are, but that this process moves into the child `keeper` of `outer`, beside `inner`:
    /// where there is only v2, a cgroup with processes of its own has no controllers for its children.
    pub fn create_delegated(outer: &Path, keeper: &str, inner: &str) -> io::Result<Self> {
        let outer = Self::open(outer)?;
        let (keeper, inner) = (outer.child(keeper), outer.child(inner));
        for hierarchy in hierarchies()? {
            if hierarchy.is_alone_v2() {
                // No controller is enabled yet: with a process in it, `outer` would become a threaded one.
                let keeper = hierarchy.root.join(&keeper.relative);
                match std::fs::create_dir(&keeper) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    made => made.context("cannot make the cgroup", keeper.display())?,
                }
                let file = keeper.join("cgroup.procs");
                hierarchy::write(&file, "0").context("cannot move into", file.display())?;
            }
            hierarchy.make_within(&outer.relative, &inner.relative, true)?;
        }
        Ok(inner)
    }

    /// Names a cgroup without making it; it may be absent. The path is relative, without `..`, and not empty.
    pub fn open(relative: &Path) -> io::Result<Self> {
        let plain = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || relative.as_os_str().is_empty() {
            let reason = "it must be relative and hold no dots";
            let error = io::Error::new(io::ErrorKind::InvalidInput, reason);
            return Err(error).context("cannot use the cgroup path", relative.display());
        }
        Ok(Self {
            relative: relative.to_owned(),
        })
    }

    /// The absolute cgroup path of a child, as `linux.cgroupsPath` wants it: `/tenure/web/app`.
    pub fn child_path(&self, child: &str) -> String {
        format!("/{}/{child}", self.relative.display())
    }

    /// A child, which may be absent.
    pub fn child(&self, child: &str) -> Self {
        Self {
            relative: self.relative.join(child),
        }
    }

    /// Makes a child that can hold processes.
    pub fn create_child(&self, child: &str) -> io::Result<Self> {
        let child = self.child(child);
        for hierarchy in hierarchies()? {
            hierarchy.make(&child.relative, false)?;
        }
        Ok(child)
    }

    /// Moves a process of one thread into this cgroup, in every hierarchy.
    pub fn add(&self, pid: i32) -> io::Result<()> {
        for directory in self.directories()? {
            // `tasks` moves one thread and spares the kernel's wait for all others; v2 has no such file.
            let file = match directory.0 {
                Version::V1 => directory.1.join("tasks"),
                Version::V2 => directory.1.join("cgroup.procs"),
            };
            hierarchy::write(&file, &pid.to_string()).context("cannot add a process to", file.display())?;
        }
        Ok(())
    }

    /// True when any hierarchy has it.
    pub fn exists(&self) -> bool {
        self.directories()
            .is_ok_and(|directories| !directories.is_empty())
    }

    /// The pids of all processes in it and below, in ascending order. Zombies do not count.
    pub fn processes(&self) -> io::Result<Vec<i32>> {
        let mut pids = std::collections::BTreeSet::new();
        for (_, directory) in self.directories()? {
            hierarchy::walk(&directory, &mut |each| {
                pids.extend(hierarchy::read_pids(each)?);
                Ok(())
            })?;
        }
        Ok(pids.into_iter().collect())
    }

    /// Removes it and everything below from all hierarchies, deepest first, and then its parents as far as they are
    /// empty. Absence is success. `EBUSY` while a process is in it.
    pub fn remove(&self) -> io::Result<()> {
        for hierarchy in hierarchies()? {
            hierarchy.remove(&self.relative)?;
        }
        Ok(())
    }

    /// Where it exists.
    fn directories(&self) -> io::Result<Vec<(Version, PathBuf)>> {
        let place = |hierarchy: &Hierarchy| (hierarchy.version, hierarchy.root.join(&self.relative));
        let all = hierarchies()?.iter().map(place);
        Ok(all.filter(|(_, directory)| directory.is_dir()).collect())
    }
}

/// How many processes of the cgroup `path` (as in `linux.cgroupsPath`, `/tenure/web/app`) the kernel has killed
/// because its memory limit was reached. `None` when there is no such cgroup or no memory controller. Read it before
/// the container is deleted.
pub fn oom_kills(path: &str) -> io::Result<Option<u64>> {
    let relative = path.trim_start_matches('/');
    for hierarchy in hierarchies()? {
        let file = match hierarchy.version {
            Version::V1 if hierarchy.has("memory") => "memory.oom_control",
            Version::V1 => continue,
            Version::V2 => "memory.events",
        };
        let file = hierarchy.root.join(relative).join(file);
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
                return Ok(count.and_then(|count| count.trim().parse().ok()));
            }
            Err(error) if hierarchy::is_absent(&error) => {}
            Err(error) => return Err(error).context("cannot read", file.display()),
        }
    }
    Ok(None)
}
