//! A process's output: a pipe that survives its reader, and the task that copies it into a log.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use tokio::sync::mpsc;

use crate::log::{LogWriter, Stream};

/// The reading end of an output pipe.
#[derive(Debug)]
pub struct OutputPipe {}

impl OutputPipe {
    /// A new pipe: our reading end, and the end to hand to the process (drop ours once it is started).
    /// The latter is open for reading too, so that the process never gets SIGPIPE when we die.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Reads what is there, waiting for something; 0 when every writing end is closed. Cancel-safe.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let _ = buffer;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Reads what is there without waiting; `None` when nothing is.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let _ = buffer;
        Err(io::ErrorKind::Unsupported.into())
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

/// Copies a pipe into a log, and into `tee` (whose full channel holds back this pipe only), until every writer has
/// closed it, or until `ended` is ready and what was in the pipe then has been copied: orphans may hold the pipe.
/// A log that cannot be written is reported at the end; the pipe is drained all the same.
pub async fn copy(
    pipe: OutputPipe,
    stream: Stream,
    log: Rc<RefCell<LogWriter>>,
    tee: Option<mpsc::Sender<Chunk>>,
    ended: impl Future<Output = ()>,
) -> io::Result<()> {
    let _ = (pipe, stream, log, tee);
    ended.await;
    Err(io::ErrorKind::Unsupported.into())
}
