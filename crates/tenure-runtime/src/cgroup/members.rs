//! The processes of a cgroup: listing, signalling and removing.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{Cgroups, cgroup_error};
use crate::process::wait_for_exit;
use crate::{Error, small_file, sys};

/// How long a killed process may take to die before it is an error.
const DEATH_LIMIT: Duration = Duration::from_secs(10);

/// Pids in the cgroup and all cgroups below it; none if it does not exist.
pub(super) fn in_cgroup(path: &Path) -> Result<Vec<i32>, Error> {
    let mut pids = Vec::new();
    collect(path, &mut pids)?;
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

fn collect(path: &Path, pids: &mut Vec<i32>) -> Result<(), Error> {
    let file = path.join("cgroup.procs");
    match small_file::read_text(&file) {
        Ok(text) => pids.extend(
            text.lines()
                .filter_map(|l| l.parse::<i32>().ok())
                .filter(|p| *p > 0),
        ),
        Err(error) if is_gone(&error) => return Ok(()),
        // A threaded cgroup of v2, whose processes its parent lists.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        Err(error) => return Err(cgroup_error("read", &file)(error)),
    }
    for_each_child(path, &mut |child| collect(child, pids))
}

/// Calls `visit` for every cgroup directly below `path`.
fn for_each_child(path: &Path, visit: &mut dyn FnMut(&Path) -> Result<(), Error>) -> Result<(), Error> {
    let entries = match fs::read_dir(path) {
        Err(error) if is_gone(&error) => return Ok(()),
        other => other.map_err(cgroup_error("read", path))?,
    };
    let short = Short::of(path)?;
    // The directory is closed by then: descriptors are few, and levels may be many.
    let children = entries
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    let names: Vec<_> = children.map(|entry| entry.file_name()).collect();
    names.iter().try_for_each(|name| visit(&short.path.join(name)))
}

/// A name of a directory with room for further ones behind it: containers that make cgroups make them as deep as they
/// like, and the kernel takes paths of 4096 bytes.
struct Short {
    path: PathBuf,
    /// What the path goes through.
    _held: Option<OwnedFd>,
}

impl Short {
    const LONGEST: usize = 3000;

    fn of(path: &Path) -> Result<Self, Error> {
        if path.as_os_str().len() <= Self::LONGEST {
            return Ok(Self {
                path: path.to_owned(),
                _held: None,
            });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let held = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| cgroup_error("open", path)(error.into()))?;
        Ok(Self {
            path: PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd())),
            _held: Some(held),
        })
    }
}

/// A cgroup that vanishes while it is read answers ENODEV.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

impl Cgroups {
    /// Pids of the container's processes, sorted.
    pub(crate) fn processes(&self) -> Result<Vec<i32>, Error> {
        self.paths().next().map_or_else(|| Ok(Vec::new()), in_cgroup)
    }

    /// Pidfds of the container's processes.
    ///
    /// A pid listed after its pidfd was opened cannot belong to anybody else.
    fn open_processes(&self) -> Result<Vec<OwnedFd>, Error> {
        let open = |pid: i32| Some((pid, pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?));
        let opened: Vec<(i32, OwnedFd)> = self.processes()?.into_iter().filter_map(open).collect();
        if opened.is_empty() {
            return Ok(Vec::new());
        }
        let still = self.processes()?;
        Ok(opened
            .into_iter()
            .filter(|(pid, _)| still.binary_search(pid).is_ok())
            .map(|(_, fd)| fd)
            .collect())
    }

    /// Sends a signal to every process of the container; SIGKILL until none is left.
    pub(crate) fn signal_all(&self, signal: i32) -> Result<(), Error> {
        if signal == libc::SIGKILL {
            return self.kill_all();
        }
        for pidfd in self.open_processes()? {
            match sys::pidfd_send_signal(pidfd.as_fd(), signal) {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                    return Err(Error::system("signal a process")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Kills every process of the container and waits for their end.
    pub(crate) fn kill_all(&self) -> Result<(), Error> {
        if let Some(unified) = &self.unified {
            // One stroke, no race. Kernels before 5.14 lack it; the loop below does for them.
            let _ = fs::write(unified.join("cgroup.kill"), "1");
        }
        let deadline = Instant::now() + DEATH_LIMIT;
        let mut forbidden = false;
        loop {
            let processes = self.open_processes()?;
            if processes.is_empty() {
                return Ok(());
            }
            if !forbidden {
                self.forbid_forks();
                forbidden = true;
            }
            for pidfd in &processes {
                // Fails only for one that is dead already.
                let _ = sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
            }
            self.release_killed();
            for pidfd in &processes {
                let left = deadline.saturating_duration_since(Instant::now());
                if !wait_for_exit(pidfd.as_fd(), Some(left)).map_err(Error::system("wait for a process"))? {
                    let path = self.paths().next().unwrap_or(Path::new("")).to_owned();
                    return Err(cgroup_error("empty", &path)(io::Error::from(ErrorKind::TimedOut)));
                }
            }
        }
    }

    /// Keeps processes that are about to be killed from multiplying faster than that.
    fn forbid_forks(&self) {
        if let Some(pids) = self.v1.iter().find(|c| c.has("pids")) {
            let _ = fs::write(pids.path.join("pids.max"), "0");
        }
    }

    /// Removes the cgroups and all below them; what still runs in them is killed.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        let mut killed = false;
        if let Some(scope) = &self.scope {
            // systemd would give them time to end by themselves.
            self.kill_all()?;
            scope.stop()?;
        }
        for path in self.paths() {
            while let Err(error) = remove_tree(path) {
                let busy = matches!(&error, Error::Cgroup { source, .. } if source.kind() == ErrorKind::ResourceBusy);
                if !busy || killed {
                    return Err(error);
                }
                self.kill_all()?;
                killed = true;
            }
        }
        Ok(())
    }
}

/// Removes a cgroup, deepest first; one that is gone already is no error.
fn remove_tree(path: &Path) -> Result<(), Error> {
    let first = match fs::remove_dir(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() != ErrorKind::ResourceBusy => {
            return Err(cgroup_error("remove", path)(error));
        }
        Err(error) => error,
    };
    let mut children = false;
    for_each_child(path, &mut |child| {
        children = true;
        remove_tree(child)
    })?;
    if children {
        return fs::remove_dir(path).map_err(cgroup_error("remove", path));
    }
    // The last process may be dead and still leaving: yield to it instead of failing.
    for _ in 0..1000 {
        if !in_cgroup(path)?.is_empty() {
            break;
        }
        rustix::thread::sched_yield();
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(_) => {}
        }
    }
    Err(cgroup_error("remove", path)(first))
}
