//! Hearing from the kernel that a container ran out of memory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::event::{EventfdFlags, PollFlags, eventfd};

use super::{Cgroups, cgroup_error};
use crate::Error;

/// Tells when the kernel finds the container out of memory.
///
/// Wait until [`as_fd`](AsFd::as_fd) is ready for [`interest`](Self::interest), then ask [`news`](Self::news).
#[derive(Debug)]
pub struct OomWatch(Kind);

#[derive(Debug)]
enum Kind {
    /// v1: counts up with every event, and once when the cgroup is removed.
    Eventfd { events: OwnedFd, cgroup: PathBuf },
    /// v2: `memory.events`, and the count of kills in it so far.
    Events { file: File, kills: u64 },
}

impl Cgroups {
    /// Starts watching. What happened before is not told.
    pub(crate) fn watch_oom(&self) -> Result<OomWatch, Error> {
        if let Some(memory) = self.v1.iter().find(|c| c.has("memory")) {
            return watch_v1(&memory.path).map_err(cgroup_error("watch", &memory.path));
        }
        let Some(unified) = self.unified.as_deref().filter(|_| self.v1.is_empty()) else {
            return Err(Error::Unsupported {
                what: "watching memory on a host without a memory controller".to_owned(),
            });
        };
        let path = unified.join("memory.events");
        let file = File::open(&path).map_err(cgroup_error("open", &path))?;
        let kills = kills(&file).map_err(cgroup_error("read", &path))?;
        Ok(OomWatch(Kind::Events { file, kills }))
    }
}

fn watch_v1(cgroup: &std::path::Path) -> io::Result<OomWatch> {
    let events = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    // The kernel keeps its own hold on the file, for as long as the eventfd is open.
    let control = File::open(cgroup.join("memory.oom_control"))?;
    let order = format!("{} {}", events.as_raw_fd(), control.as_raw_fd());
    OpenOptions::new()
        .write(true)
        .open(cgroup.join("cgroup.event_control"))?
        .write_all(order.as_bytes())?;
    Ok(OomWatch(Kind::Eventfd {
        events,
        cgroup: cgroup.to_owned(),
    }))
}

/// `oom_kill` of a `memory.events`; 0 once the cgroup is gone.
fn kills(file: &File) -> io::Result<u64> {
    let mut text = [0; 512];
    let length = match file.read_at(&mut text, 0) {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => 0,
        other => other?,
    };
    let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    Ok(count.and_then(|count| count.trim().parse().ok()).unwrap_or(0))
}

impl OomWatch {
    /// What to wait for on the descriptor.
    pub fn interest(&self) -> PollFlags {
        match self.0 {
            Kind::Eventfd { .. } => PollFlags::IN,
            Kind::Events { .. } => PollFlags::PRI,
        }
    }

    /// Whether the container ran out of memory since the last question. Never blocks.
    ///
    /// # Errors
    /// When the kernel's file cannot be read; not when the container's cgroup is gone.
    pub fn news(&mut self) -> Result<bool, Error> {
        match &mut self.0 {
            Kind::Eventfd { events, cgroup } => {
                let mut count = [0; 8];
                match rustix::io::read(&*events, &mut count) {
                    // The removal of the cgroup counts as an event, too.
                    Ok(_) => Ok(fs::exists(&*cgroup).unwrap_or(false)),
                    Err(error) if io::Error::from(error).kind() == ErrorKind::WouldBlock => Ok(false),
                    Err(error) => Err(Error::system("read memory events")(error.into())),
                }
            }
            Kind::Events { file, kills: before } => {
                let now = kills(file).map_err(Error::system("read memory events"))?;
                let more = now > *before;
                *before = now.max(*before);
                Ok(more)
            }
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::Eventfd { events, .. } => events.as_fd(),
            Kind::Events { file, .. } => file.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_kills_than_before_are_news() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory.events");
        fs::write(&path, "oom 0\noom_kill 1\noom_group_kill 0\n").unwrap();
        let cgroups = Cgroups {
            unified: Some(dir.path().to_owned()),
            ..Cgroups::default()
        };
        let mut watch = cgroups.watch_oom().unwrap();
        assert!(!watch.news().unwrap());
        fs::write(&path, "oom 0\noom_kill 3\noom_group_kill 0\n").unwrap();
        assert!(watch.news().unwrap());
        assert!(!watch.news().unwrap());
        assert_eq!(watch.interest(), PollFlags::PRI);
    }
}
