//! Signals to ourselves as an asynchronous stream.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys;

/// Size of the kernel's `signalfd_siginfo`, whose first word is the signal's number.
const RECORD: usize = 128;

/// Signals that no longer interrupt but are read.
///
/// Make it inside the async runtime, on its one thread, before any other thread exists: signals are blocked in the
/// calling thread and in those it starts. Children of [`crate::process::Spawn`] start with an empty mask all the
/// same. Dropping it, on the same thread, unblocks them again; those pending then have their default effect.
#[derive(Debug)]
pub struct Signals {
    fd: AsyncFd<OwnedFd>,
    blocked: Vec<i32>,
}

impl Signals {
    /// Takes these signals (numbers, real-time ones too).
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let blocked = sys::block_signals(signals)?;
        let fd = sys::signalfd(signals).and_then(sys::readable);
        match fd {
            Ok(fd) => Ok(Self { fd, blocked }),
            Err(error) => {
                sys::unblock_signals(&blocked)?;
                Err(error)
            }
        }
    }

    /// The next signal's number. Signals of one number that come before they are read count once. Cancel-safe.
    pub async fn next(&mut self) -> io::Result<i32> {
        let mut record = [0_u8; RECORD];
        self.fd
            .async_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, &mut record)?))
            .await?;
        let [a, b, c, d, ..] = record;
        Ok(i32::from_ne_bytes([a, b, c, d]))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Fails only for numbers that are no signals, and those were refused when they were blocked.
        let _ = sys::unblock_signals(&self.blocked);
    }
}
