//! Processes by pidfd and start time, never by pid alone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use crate::{Error, small_file, sys};

/// What identifies a process for good: its pid and the clock tick at which it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProcessKey {
    /// Pid in the runtime's pid namespace.
    pub(crate) pid: i32,
    /// Field 22 of `/proc/PID/stat`, in clock ticks since boot.
    pub(crate) start_time: u64,
}

impl ProcessKey {
    /// The key of a process that exists.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        let stat = small_file::read(format!("/proc/{pid}/stat"))?;
        let start_time = parse_stat(&stat).map(|s| s.start_time);
        match start_time {
            Some(start_time) => Ok(Self { pid, start_time }),
            None => Err(io::Error::from(io::ErrorKind::InvalidData)),
        }
    }

    /// Opens the process if it is still the same one and alive; a zombie counts as gone.
    pub(crate) fn open(self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(self.pid)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let stat = small_file::read(format!("/proc/{}/stat", self.pid)).ok()?;
        let stat = parse_stat(&stat)?;
        (stat.start_time == self.start_time && !stat.dead).then_some(pidfd)
    }
}

/// The fields of interest in `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// Zombie or dead.
    dead: bool,
    /// Field 22.
    start_time: u64,
}

/// Reads a stat line; the command name in it may hold spaces, parentheses and anything else.
fn parse_stat(stat: &[u8]) -> Option<Stat> {
    let end_of_name = stat.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(stat.get(end_of_name + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    // The state is field 3, so field 22 is 18 fields further on.
    let start_time = fields.nth(18)?.parse().ok()?;
    Some(Stat {
        dead: matches!(state, "Z" | "X" | "x"),
        start_time,
    })
}

/// Waits until the process has ended, at most `limit`; tells whether it has.
pub(crate) fn wait_for_exit(pidfd: BorrowedFd<'_>, limit: Option<Duration>) -> io::Result<bool> {
    let deadline = limit.map(|l| Instant::now() + l);
    loop {
        let timeout = deadline.map(|d| {
            let left = d.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A child of ours that is killed and reaped unless it is kept.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    pidfd: Option<OwnedFd>,
}

impl Child {
    /// Takes responsibility for a child of this process.
    pub(crate) fn new(pid: i32, pidfd: OwnedFd) -> Self {
        Self {
            pid,
            pidfd: Some(pidfd),
        }
    }

    /// The child by descriptor, until it is reaped.
    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Lets the child live on and hands its descriptor over.
    pub(crate) fn keep(mut self) -> Result<(i32, OwnedFd), Error> {
        let pidfd = self
            .pidfd
            .take()
            .ok_or_else(|| Error::system("keep a child")(io::ErrorKind::NotFound.into()))?;
        Ok((self.pid, pidfd))
    }

    /// A copy of a descriptor that the child holds by this number. Needs the right to trace it.
    pub(crate) fn descriptor(&self, number: i32) -> io::Result<OwnedFd> {
        let pidfd = self.pidfd.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let flags = rustix::process::PidfdGetfdFlags::empty();
        rustix::process::pidfd_getfd(pidfd, number, flags).map_err(Into::into)
    }

    /// Waits for the end of the child and tells how it ended.
    pub(crate) fn wait(&mut self) -> String {
        self.pidfd
            .take()
            .map_or_else(|| "already reaped".to_owned(), |fd| reap(fd.as_fd()))
    }
}

/// Reaps a child and describes its end.
fn reap(pidfd: BorrowedFd<'_>) -> String {
    loop {
        return match waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED) {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => format!("exit status {code}"),
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => "unknown".to_owned(),
            },
            Ok(None) => "still running".to_owned(),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => format!("unknown ({error})"),
        };
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pidfd) = self.pidfd.take() {
            // Fails only when it is dead already.
            let _ = sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
            let _ = reap(pidfd.as_fd());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_cannot_forge_a_start_time() {
        let line = b"42 (a) Z 1) R 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 777 0 0";
        assert_eq!(
            parse_stat(line),
            Some(Stat {
                dead: false,
                start_time: 777
            })
        );
        assert_eq!(parse_stat(b"42 (a"), None);
    }

    #[test]
    fn this_process_is_found_and_a_recycled_pid_is_not() {
        let me = ProcessKey::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.open().is_some());
        let other = ProcessKey {
            start_time: me.start_time + 1,
            ..me
        };
        assert!(other.open().is_none());
    }
}
