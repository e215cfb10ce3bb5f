//! What somebody writes for a process, from a fifo to its stdin.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use tenure_supervise::ready::register;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

use super::fifo::open_reading;

/// How much is copied at once.
const SIZE: usize = 4096;

/// The process's side: the writing end of a pipe, or a terminal's master.
#[derive(Debug)]
pub(super) struct Target(AsyncFd<OwnedFd>);

impl Target {
    /// A pipe, which ends with us.
    pub(super) fn pipe(writing: OwnedFd) -> io::Result<Self> {
        rustix::fs::fcntl_setfl(&writing, OFlags::NONBLOCK)?;
        register(writing, Interest::WRITABLE).map(Self)
    }

    /// A terminal, which does not.
    pub(super) fn terminal(master: OwnedFd) -> io::Result<Self> {
        Self::pipe(master)
    }

    async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await?;
            match rustix::io::write(self.0.get_ref(), bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// An input under way; it ends with this value.
#[derive(Debug)]
pub(super) struct Input {
    /// A writing end of our own: clients come and go, and the last one's leaving is no end yet.
    held: Option<OwnedFd>,
    copy: JoinHandle<()>,
}

impl Input {
    /// Begins to copy from a fifo.
    pub(super) fn open(address: &str, target: Target) -> io::Result<Self> {
        let path = Path::new(address.strip_prefix("fifo://").unwrap_or(address));
        let (from, held) = open_reading(path)
            .map_err(|error| io::Error::new(error.kind(), format!("stdin {address}: {error}")))?;
        Ok(Self {
            held: Some(held),
            copy: tokio::task::spawn_local(copy(from, target)),
        })
    }

    /// From now on the last client's leaving is the end.
    pub(super) fn let_end(&mut self) {
        self.held = None;
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.copy.abort();
    }
}

/// Copies until the fifo ends, or until the process does not take it any more.
async fn copy(from: Receiver, mut to: Target) {
    let mut buffer = vec![0; SIZE];
    loop {
        if from.readable().await.is_err() {
            return;
        }
        let count = match from.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return tracing::warn!(%error, "an input is lost"),
        };
        if let Err(error) = to.write(buffer.get(..count).unwrap_or_default()).await {
            return tracing::debug!(%error, "an input is not taken");
        }
    }
}
