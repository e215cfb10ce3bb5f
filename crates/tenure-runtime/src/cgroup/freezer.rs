//! Stopping and resuming all processes of a container at once.
//!
//! The kernel alone remembers whether a container is frozen; no record can be wrong about it. In the unified hierarchy
//! `cgroup.events` tells when the last process has stopped. A v1 freezer tells nobody: it is written and read again
//! until it has finished, which it does as soon as each process has had the processor once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Error as IoError, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{Cgroups, cgroup_error};
use crate::Error;
use crate::process::wait_for_exit;

/// How long processes may take to stop before freezing is given up. One that hangs in the kernel never does.
const FREEZE_LIMIT: Duration = Duration::from_secs(10);
/// How often a v1 freezer is asked again with nothing but a yield in between.
const EAGER_READS: u32 = 200;
/// How long init's end is waited for between two later questions.
const PAUSE_BETWEEN_READS: Duration = Duration::from_millis(2);

/// The file that freezes the container's processes.
#[derive(Debug, PartialEq, Eq)]
enum Freezer {
    /// `freezer.state`.
    V1(PathBuf),
    /// The cgroup's directory.
    Unified(PathBuf),
}

impl Cgroups {
    fn freezer(&self) -> Option<Freezer> {
        match self.v1.iter().find(|c| c.has("freezer")) {
            Some(freezer) => Some(Freezer::V1(freezer.path.join("freezer.state"))),
            None => self.unified.clone().map(Freezer::Unified),
        }
    }

    /// Whether the freezer holds the container's processes, or is about to.
    pub(crate) fn is_frozen(&self) -> bool {
        match self.freezer() {
            Some(Freezer::V1(state)) => fs::read(state).is_ok_and(|text| text.starts_with(b"FR")),
            Some(Freezer::Unified(dir)) => {
                fs::read(dir.join("cgroup.freeze")).is_ok_and(|text| text.starts_with(b"1"))
            }
            None => false,
        }
    }

    /// Freezes all processes and waits until none runs any more, or `init` has ended.
    ///
    /// On an error they run on.
    pub(crate) fn freeze(&self, init: BorrowedFd<'_>) -> Result<(), Error> {
        let (file, frozen) = match self.freezer() {
            Some(Freezer::V1(state)) => {
                let frozen = freeze_v1(&state, init);
                (state, frozen)
            }
            Some(Freezer::Unified(dir)) => {
                let frozen = freeze_unified(&dir);
                (dir.join("cgroup.freeze"), frozen)
            }
            None => {
                return Err(Error::Unsupported {
                    what: "freezing a container on a host without a freezer cgroup".to_owned(),
                });
            }
        };
        frozen.map_err(|error| {
            let _ = self.thaw();
            cgroup_error("freeze", &file)(error)
        })
    }

    /// Lets frozen processes run.
    pub(crate) fn thaw(&self) -> Result<(), Error> {
        match self.freezer() {
            Some(Freezer::V1(state)) => {
                put(&state, "THAWED").map_err(cgroup_error("thaw", &state))?;
                if self.is_frozen() {
                    let above = IoError::other("a cgroup above it is frozen");
                    return Err(cgroup_error("thaw", &state)(above));
                }
                Ok(())
            }
            Some(Freezer::Unified(dir)) => {
                let file = dir.join("cgroup.freeze");
                put(&file, "0").map_err(cgroup_error("thaw", &file))
            }
            None => Ok(()),
        }
    }

    /// Lets killed processes die: a v1 freezer holds even these.
    pub(crate) fn release_killed(&self) {
        if self.v1.iter().any(|c| c.has("freezer")) && self.is_frozen() {
            let _ = self.thaw();
        }
    }
}

/// Writes to a file that exists.
fn put(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(text.as_bytes())
}

/// Freezes a v1 cgroup.
///
/// It stays in `FREEZING` for as long as a process has not come by the place in the kernel where it stops, and a process
/// that is forked or let in meanwhile can escape: so the order is repeated until the answer is `FROZEN`. The kernel has no
/// event for it. Mostly a yield is enough; on a busy host init's pidfd is waited for in between, which is the one event
/// that would make the waiting pointless.
fn freeze_v1(state: &Path, init: BorrowedFd<'_>) -> io::Result<()> {
    let deadline = Instant::now() + FREEZE_LIMIT;
    let mut reads = 0u32;
    loop {
        put(state, "FROZEN")?;
        if fs::read(state)?.starts_with(b"FROZEN") {
            return Ok(());
        }
        reads = reads.saturating_add(1);
        if reads <= EAGER_READS {
            rustix::thread::sched_yield();
        } else if wait_for_exit(init, Some(PAUSE_BETWEEN_READS))? {
            return Ok(());
        } else if Instant::now() >= deadline {
            return Err(ErrorKind::TimedOut.into());
        }
    }
}

/// Freezes a cgroup of the unified hierarchy; one without processes is frozen at once.
fn freeze_unified(dir: &Path) -> io::Result<()> {
    let events = File::open(dir.join("cgroup.events"))?;
    put(&dir.join("cgroup.freeze"), "1")?;
    let deadline = Instant::now() + FREEZE_LIMIT;
    loop {
        // Read before waiting: a change after this read wakes the poll.
        let mut text = [0; 256];
        let length = events.read_at(&mut text, 0)?;
        if is_told(text.get(..length).unwrap_or_default(), "frozen 1") {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(
            &mut [PollFd::from_borrowed_fd(events.as_fd(), PollFlags::PRI)],
            Some(&timeout),
        ) {
            Ok(0) => return Err(ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether a file of keys and values has this line.
fn is_told(text: &[u8], line: &str) -> bool {
    text.split(|byte| *byte == b'\n')
        .any(|found| found == line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_line_tells_that_all_is_frozen() {
        assert!(is_told(b"populated 1\nfrozen 1\n", "frozen 1"));
        assert!(!is_told(b"populated 1\nfrozen 0\n", "frozen 1"));
        assert!(!is_told(b"unfrozen 1\nfrozen 10\n", "frozen 1"));
    }

    #[test]
    fn a_container_without_a_freezer_is_never_frozen() {
        let none = Cgroups::default();
        assert!(!none.is_frozen());
        assert!(none.thaw().is_ok());
    }
}
