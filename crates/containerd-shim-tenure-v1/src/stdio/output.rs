//! What a process writes, from its pipe or terminal to where containerd wants it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use tenure_supervise::stdio::OutputPipe;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::Phase;
use super::fifo::FifoWriter;

/// How much is copied at once.
const SIZE: usize = 16 * 1024;

/// A line that is longer is written in pieces.
const LINE_MAX: usize = 64 * 1024;

/// Where output goes.
#[derive(Debug)]
pub(super) enum Sink {
    Fifo(FifoWriter),
    /// The bytes as they are, of both streams in one file.
    File {
        file: File,
        /// The beginning of a line that is still being read.
        held: Vec<u8>,
    },
    /// To a logger.
    Pipe(pipe::Sender),
    Nowhere,
}

impl Sink {
    /// Opens an address; `None` for no address.
    ///
    /// # Errors
    /// Naming the address.
    pub(super) fn open(address: &str) -> io::Result<Option<Self>> {
        if address.is_empty() {
            return Ok(None);
        }
        let named = |error: io::Error| io::Error::new(error.kind(), format!("output {address}: {error}"));
        match address.split_once("://") {
            None => FifoWriter::open(Path::new(address)).map(Self::Fifo),
            Some(("fifo", path)) => FifoWriter::open(Path::new(path)).map(Self::Fifo),
            Some(("file", path)) => open_file(path).map(|file| Self::File {
                file,
                held: Vec::new(),
            }),
            Some(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "only fifo, file and binary are known",
            )),
        }
        .map(Some)
        .map_err(named)
    }

    /// A pipe's writing end.
    pub(super) fn pipe(writing: OwnedFd) -> io::Result<Self> {
        rustix::fs::fcntl_setfl(&writing, OFlags::NONBLOCK)?;
        Ok(Self::Pipe(pipe::Sender::from_owned_fd_unchecked(writing)?))
    }

    /// Puts bytes there, waiting for room and for a reader; false when there will be none. No bytes are the end.
    async fn put(&mut self, bytes: &[u8], phase: &mut watch::Receiver<Phase>) -> bool {
        match self {
            Self::Nowhere => true,
            Self::Pipe(pipe) => pipe.write_all(bytes).await.is_ok(),
            Self::File { file, held } => {
                held.extend_from_slice(bytes);
                // Whole lines: the other stream must not write into one. Nothing more comes, or too much: all of it.
                let cut = held
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |at| at + 1);
                let all = bytes.is_empty() || held.len() - cut > LINE_MAX;
                let whole = if all { held.len() } else { cut };
                if let Err(error) = file.write_all(held.get(..whole).unwrap_or_default()) {
                    // A full disk must not stop the process; what follows is let go, too.
                    tracing::error!(%error, "output is lost");
                    *self = Self::Nowhere;
                } else {
                    held.drain(..whole);
                }
                true
            }
            Self::Fifo(fifo) => put_into(fifo, bytes, phase).await,
        }
    }
}

fn open_file(path: &str) -> io::Result<File> {
    let path = Path::new(path.split('?').next().unwrap_or(path));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

async fn put_into(fifo: &mut FifoWriter, mut bytes: &[u8], phase: &mut watch::Receiver<Phase>) -> bool {
    while !bytes.is_empty() {
        match fifo.write(bytes).await {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                let found = tokio::select! {
                    found = fifo.reader() => found.map(|()| true),
                    // One that has come by now is there; who comes later has nothing to read any more.
                    _ = phase.wait_for(|phase| *phase == Phase::Leaving) => fifo.take_reader(),
                };
                match found {
                    Ok(true) => {}
                    Ok(false) => return false,
                    Err(error) => {
                        tracing::warn!(%error, "output is lost: its reader cannot be waited for");
                        return false;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "output is lost");
                return false;
            }
        }
    }
    true
}

/// Copies until every writer has closed the pipe, or until the process has ended and what was in the pipe then is
/// copied. Where nobody will read, the rest is read and let go: a full pipe would hold the process up.
pub(super) async fn copy(mut pipe: OutputPipe, mut sink: Sink, mut phase: watch::Receiver<Phase>) {
    let mut buffer = vec![0; SIZE];
    let mut waiting = phase.clone();
    loop {
        let count = tokio::select! {
            count = pipe.read(&mut buffer) => count,
            _ = phase.wait_for(|phase| *phase != Phase::Lives) => break,
        };
        match count {
            Ok(0) => {
                sink.put(&[], &mut waiting).await;
                return;
            }
            Ok(count) => {
                if !sink
                    .put(buffer.get(..count).unwrap_or_default(), &mut waiting)
                    .await
                {
                    sink = Sink::Nowhere;
                }
            }
            Err(error) => return tracing::warn!(%error, "output is lost"),
        }
    }
    let mut left = pipe.waiting().unwrap_or(0);
    while left > 0 {
        let Ok(Some(count @ 1..)) = pipe.try_read(&mut buffer) else {
            break;
        };
        left = left.saturating_sub(count as u64);
        if !sink
            .put(buffer.get(..count).unwrap_or_default(), &mut waiting)
            .await
        {
            return;
        }
    }
    sink.put(&[], &mut waiting).await;
}
