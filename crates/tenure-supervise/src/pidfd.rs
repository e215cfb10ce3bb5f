//! A process by descriptor: never a pid that may be somebody else by now.
//!
//! One waiter per process: the first [`PidFd::wait`] reaps our child. Another `PidFd` of the same process still learns
//! the status where the kernel keeps it (6.15 and newer, which is also how the status of a process that is not our
//! child is learnt); elsewhere it learns [`ProcessExit::Unknown`], never a wrong status, and it never hangs.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};

use crate::ProcessExit;
use crate::process::{self, Stat};
use crate::subreaper::Claim;
use crate::sys;

/// A process. As long as one exists here, [`crate::subreaper::Reaper`] leaves the process's status alone.
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
    pid: i32,
    status: OnceLock<ProcessExit>,
    _claim: Claim,
}

impl PidFd {
    /// Takes hold of the process that has this pid now; it may be a zombie. `ESRCH` when there is none.
    pub fn open(pid: i32) -> io::Result<Self> {
        let claim = Claim::new(pid);
        let pid_checked = Some(pid)
            .filter(|&pid| pid > 0)
            .and_then(Pid::from_raw)
            .ok_or(Errno::SRCH)?;
        let fd = rustix::process::pidfd_open(pid_checked, PidfdFlags::empty())?;
        Ok(Self::with(fd, pid, claim))
    }

    /// Takes a pidfd that somebody else opened.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"));
        let pid = pid.and_then(|pid| pid.trim().parse().ok()).ok_or(Errno::BADF)?;
        Ok(Self::with(fd, pid, Claim::new(pid)))
    }

    fn with(fd: OwnedFd, pid: i32, claim: Claim) -> Self {
        Self {
            fd,
            pid,
            status: OnceLock::new(),
            _claim: claim,
        }
    }

    /// Takes hold of the process with this pid that was started at `start_time`
    /// ([`crate::process::start_time`]); `None` when it is gone or the pid is another process's.
    pub fn open_verified(pid: i32, start_time: u64) -> io::Result<Option<Self>> {
        let gone = |error: &io::Error| {
            error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
        };
        // The descriptor first: what is read afterwards is this process's or, if the pid was taken over meanwhile,
        // another's, whose start is later.
        let found = Self::open(pid).and_then(|process| Ok((process, process::start_time(pid)?)));
        match found {
            Ok((process, started)) => Ok((started == start_time).then_some(process)),
            Err(error) if gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The pid in our PID namespace, for records and display.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for the process's end and tells how it ended. Cancel-safe: dropping the future loses nothing.
    pub async fn wait(&self) -> io::Result<ProcessExit> {
        self.ended().await?;
        self.take_status()
    }

    /// Waits for the process's end without taking its status from whoever waits for it. Cancel-safe.
    pub async fn ended(&self) -> io::Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        // A descriptor of its own: the event queue knows a descriptor only once.
        let fd = sys::readable(self.fd.try_clone()?)?;
        fd.readable().await?.retain_ready();
        Ok(())
    }

    /// As [`PidFd::wait`], blocking the thread.
    pub fn wait_blocking(&self) -> io::Result<ProcessExit> {
        while !self.poll(None)? {}
        self.take_status()
    }

    /// Sends a signal, by number. `ESRCH` once the process is reaped; a zombie takes signals without effect.
    pub fn signal(&self, signo: i32) -> io::Result<()> {
        sys::pidfd_send_signal(self.fd.as_fd(), signo)
    }

    /// True until the process has ended (a zombie has ended).
    pub fn is_alive(&self) -> bool {
        !self.poll(Some(Timespec::default())).unwrap_or(false)
    }

    /// A second hold on the same process.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::with(self.fd.try_clone()?, self.pid, Claim::new(self.pid)))
    }

    /// True when the process has ended; false when the time is over or a signal came.
    fn poll(&self, timeout: Option<Timespec>) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(count) => Ok(count > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The status of a process that has ended.
    fn take_status(&self) -> io::Result<ProcessExit> {
        if let Some(status) = self.status.get() {
            return Ok(*status);
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = match rustix::process::waitid(WaitId::PidFd(self.fd.as_fd()), options) {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => ProcessExit::Code(low_byte(code)),
                (None, Some(signal)) => ProcessExit::Signal(low_byte(signal)),
                (None, None) => ProcessExit::Unknown,
            },
            Ok(None) | Err(Errno::CHILD) => self.status_of_a_stranger(),
            Err(error) => return Err(error.into()),
        };
        Ok(*self.status.get_or_init(|| status))
    }

    /// The status of an ended process that is not, or no longer, our child.
    fn status_of_a_stranger(&self) -> ProcessExit {
        let kept = || sys::pidfd_wait_status(self.fd.as_fd());
        // Not reaped yet: the process table still has it. It is ours to believe only if it is there afterwards too.
        let zombie = || {
            let stat = Stat::read(self.pid).ok()?;
            let status = stat.zombie_status()?;
            self.signal(0).ok().map(|()| status)
        };
        match kept().or_else(zombie).or_else(kept) {
            Some(status) => decode(status),
            None => ProcessExit::Unknown,
        }
    }
}

/// A wait status as `waitpid` gives it.
fn decode(status: i32) -> ProcessExit {
    match status & 0x7f {
        0 => ProcessExit::Code(low_byte(status >> 8)),
        signal => ProcessExit::Signal(low_byte(signal)),
    }
}

fn low_byte(number: i32) -> u8 {
    number.to_le_bytes()[0]
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
