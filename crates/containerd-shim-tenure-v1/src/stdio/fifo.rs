//! The writing end of a fifo whose readers come and go.
//!
//! A reader is there, or not; the kernel tells the one by accepting, and the other by EPIPE. While none is, a watch on
//! the fifo tells when somebody opens it. What was written before the reader went stays in the fifo for the next one.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, WatchFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tenure_supervise::ready::register;
use tokio::io::Interest;
use tokio::net::unix::pipe::{Receiver, Sender};

const WRITE: OFlags = OFlags::WRONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A fifo's writing end.
#[derive(Debug)]
pub(super) struct FifoWriter {
    path: PathBuf,
    sender: Sender,
}

impl FifoWriter {
    /// Opens it, whether or not somebody reads.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let opened = match rustix::fs::open(path, WRITE, Mode::empty()) {
            // Without a reader it opens only while we read ourselves.
            Err(Errno::NXIO) => {
                let both = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let _reader = rustix::fs::open(path, both, Mode::empty())?;
                rustix::fs::open(path, WRITE, Mode::empty())?
            }
            other => other?,
        };
        Ok(Self {
            path: path.to_owned(),
            sender: Sender::from_owned_fd(opened)?,
        })
    }

    /// Writes as much as there is room for, waiting for room.
    ///
    /// # Errors
    /// `BrokenPipe`: nobody reads now; see [`reader`](Self::reader).
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.sender.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.sender.writable().await?,
                other => return other,
            }
        }
    }

    /// Waits until somebody reads. Cancel-safe.
    ///
    /// # Errors
    /// When the fifo was removed, or this user has too many watches.
    pub(super) async fn reader(&mut self) -> io::Result<()> {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        inotify::add_watch(&watch, &self.path, WatchFlags::OPEN)?;
        let watch = register(watch, Interest::READABLE)?;
        // The watch was there first: whoever opens it from now on is seen.
        while !self.take_reader()? {
            watch.readable().await?.clear_ready();
            let mut buffer = [MaybeUninit::uninit(); 512];
            let mut events = inotify::Reader::new(watch.get_ref().as_fd(), &mut buffer);
            while events.next().is_ok() {}
        }
        Ok(())
    }

    /// Whether somebody reads now; then it can be written to again.
    pub(super) fn take_reader(&mut self) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.sender, PollFlags::OUT)];
        poll(&mut fds, Some(&Timespec::default()))?;
        if fds.iter().any(|fd| fd.revents().contains(PollFlags::ERR)) {
            return Ok(false);
        }
        // The event loop takes an end without a reader for ready for ever: it is registered anew.
        match rustix::fs::open(&self.path, WRITE, Mode::empty()) {
            Ok(again) => self.sender = Sender::from_owned_fd(again)?,
            // It has gone already.
            Err(Errno::NXIO) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }
}

/// The reading end of a fifo, with a writing end that keeps it from ending.
pub(super) fn open_reading(path: &Path) -> io::Result<(Receiver, OwnedFd)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let reading = rustix::fs::open(path, flags, Mode::empty())?;
    let held = rustix::fs::open(path, WRITE, Mode::empty())?;
    Ok((Receiver::from_owned_fd(reading)?, held))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    fn fifo(folder: &Path) -> PathBuf {
        let path = folder.join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        path
    }

    fn open_as_reader(path: &Path) -> File {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).unwrap().into()
    }

    #[test]
    fn a_reader_that_comes_late_is_waited_for_and_gets_everything() {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let path = fifo(folder.path());
            let mut writer = FifoWriter::open(&path).unwrap();
            let error = writer.write(b"x").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            let opened = tokio::task::spawn_local({
                let path = path.clone();
                async move { open_as_reader(&path) }
            });
            writer.reader().await.unwrap();
            let mut reader = opened.await.unwrap();
            assert_eq!(writer.write(b"x").await.unwrap(), 1);
            drop(writer);
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "x");
        });
    }

    #[test]
    fn what_the_last_reader_left_is_there_for_the_next_one() {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let path = fifo(folder.path());
            let first = open_as_reader(&path);
            let mut writer = FifoWriter::open(&path).unwrap();
            writer.write(b"one").await.unwrap();
            drop(first);
            assert!(writer.write(b"two").await.is_err());
            let mut second = open_as_reader(&path);
            writer.reader().await.unwrap();
            writer.write(b"two").await.unwrap();
            drop(writer);
            let mut text = String::new();
            second.read_to_string(&mut text).unwrap();
            assert_eq!(text, "onetwo");
        });
    }

    #[test]
    fn an_input_does_not_end_while_it_is_held_open() {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let path = fifo(folder.path());
            let (reading, held) = open_reading(&path).unwrap();
            let mut buffer = [0; 8];
            let waits = reading.try_read(&mut buffer).unwrap_err();
            assert_eq!(waits.kind(), io::ErrorKind::WouldBlock);
            drop(held);
            reading.readable().await.unwrap();
            assert_eq!(reading.try_read(&mut buffer).unwrap(), 0);
        });
    }
}
