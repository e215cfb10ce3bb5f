//! A process by descriptor: never a pid that may be somebody else by now.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::ProcessExit;

/// A process. As long as one exists here, [`crate::subreaper::Reaper`] leaves the process's status alone.
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
    pid: i32,
}

impl PidFd {
    /// Takes hold of the process that has this pid now.
    pub fn open(pid: i32) -> io::Result<Self> {
        let _ = pid;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Takes a pidfd that somebody else opened.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { fd, pid: 0 })
    }
    /// Takes hold of the process with this pid that was started at `start_time`
    /// ([`crate::process::start_time`]); `None` when it is gone or the pid is another process's.
    pub fn open_verified(pid: i32, start_time: u64) -> io::Result<Option<Self>> {
        let _ = (pid, start_time);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// The pid in our PID namespace, for records and display.
    pub fn pid(&self) -> i32 {
        self.pid
    }
    /// Waits for the process's end and tells how it ended. Cancel-safe: dropping the future loses nothing.
    pub async fn wait(&self) -> io::Result<ProcessExit> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Waits for the process's end without taking its status from whoever waits for it.
    pub async fn ended(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// As [`PidFd::wait`], blocking the thread.
    pub fn wait_blocking(&self) -> io::Result<ProcessExit> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Sends a signal. A process that has ended gives `ESRCH` once reaped.
    pub fn signal(&self, signo: i32) -> io::Result<()> {
        let _ = signo;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// True until the process has ended (a zombie has ended).
    pub fn is_alive(&self) -> bool {
        false
    }
    /// A second hold on the same process.
    pub fn try_clone(&self) -> io::Result<Self> {
        Self::from_fd(self.fd.try_clone()?)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
