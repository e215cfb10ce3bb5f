//! A process's output: a pipe that survives its reader, and the task that copies it into a log.
//!
//! The writing end is opened for reading as well, so a process that writes after its supervisor has died is not ended
//! by SIGPIPE; it goes on until the pipe (64 KiB) is full, and then waits. The two ends are separate open file
//! descriptions: what the process does to its own (O_NONBLOCK) does not reach ours.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use crate::log::{LogWriter, Stream};
use crate::sys;

/// How much is read at once: a quarter of a pipe.
const READ_SIZE: usize = 16 * 1024;

/// The reading end of an output pipe.
#[derive(Debug)]
pub struct OutputPipe {
    fd: AsyncFd<OwnedFd>,
}

impl OutputPipe {
    /// A new pipe, inside the async runtime: our reading end, and the end to hand to the process (drop ours once it
    /// is started).
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (reading, writing) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let path = format!("/proc/self/fd/{}", writing.as_raw_fd());
        let both = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        Ok((Self::from_fd(reading)?, both))
    }

    /// The reading end of a pipe that somebody else made, inside the async runtime.
    pub fn from_fd(reading: OwnedFd) -> io::Result<Self> {
        rustix::fs::fcntl_setfl(&reading, OFlags::NONBLOCK)?;
        let fd = sys::readable(reading)?;
        Ok(Self { fd })
    }

    /// Reads what is there, waiting for something; 0 when every writing end is closed. Cancel-safe.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fd
            .async_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, &mut *buffer)?))
            .await
    }

    /// Reads what is there without waiting; `None` when nothing is.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::read(self.fd.get_ref(), buffer) {
            Ok(count) => Ok(Some(count)),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// How many bytes are waiting to be read.
    pub fn waiting(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(self.fd.get_ref())?)
    }
}

/// What a tee gets: bytes as they were read, cut anywhere.
#[derive(Debug)]
pub struct Chunk {
    /// Where they were written.
    pub stream: Stream,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Copies a pipe into a log (shared by a process's two streams) and into `tee`, until every writer has closed the
/// pipe, or until `ended` is ready and what was in the pipe then has been copied: orphans may hold it for ever, and
/// write for ever.
///
/// While the channel of `tee` is full this pipe is not read, so its process is held back, and only it. The pipe is
/// drained also when the log cannot be written (a full disk must not stop the process); the first such error is given
/// at the end.
pub async fn copy(
    pipe: OutputPipe,
    stream: Stream,
    log: Rc<RefCell<LogWriter>>,
    tee: Option<mpsc::Sender<Chunk>>,
    ended: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut sink = Sink { stream, log, tee };
    let mut buffer = vec![0_u8; READ_SIZE];
    let mut ended = pin!(ended);
    let mut failure = None;
    loop {
        let count = tokio::select! {
            count = pipe.read(&mut buffer) => count?,
            () = &mut ended => break,
        };
        if count == 0 {
            return failure.map_or(Ok(()), Err);
        }
        sink.put(&buffer[..count], &mut failure).await;
    }
    let mut left = pipe.waiting()?;
    while left > 0 {
        match pipe.try_read(&mut buffer)? {
            None | Some(0) => break,
            Some(count) => {
                left = left.saturating_sub(count as u64);
                sink.put(&buffer[..count], &mut failure).await;
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

struct Sink {
    stream: Stream,
    log: Rc<RefCell<LogWriter>>,
    tee: Option<mpsc::Sender<Chunk>>,
}

impl Sink {
    async fn put(&mut self, bytes: &[u8], failure: &mut Option<io::Error>) {
        let written = self.log.borrow_mut().write(self.stream, bytes);
        if let Err(error) = written {
            failure.get_or_insert(error);
        }
        let Some(tee) = &self.tee else { return };
        let chunk = Chunk {
            stream: self.stream,
            bytes: bytes.to_vec(),
        };
        if tee.send(chunk).await.is_err() {
            // Nobody listens any more.
            self.tee = None;
        }
    }
}
