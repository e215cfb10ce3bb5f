//! Container logs in the CRI format: `2026-01-02T03:04:05.000000006Z stdout F text`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// When a log file is rotated: NAME.log becomes NAME.log.1, which is replaced.
pub const DEFAULT_MAX_BYTES: u64 = 10 * 1024 * 1024;

/// Appends to a log and rotates it by size.
#[derive(Debug)]
pub struct LogWriter {
    #[allow(dead_code)]
    path: PathBuf,
}

impl LogWriter {
    /// Opens or makes the log; rotates at `max_bytes` ([`DEFAULT_MAX_BYTES`]).
    pub fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let _ = max_bytes;
        Ok(Self {
            path: path.to_owned(),
        })
    }
    /// Appends what a container wrote, cut into lines; a last line without newline is marked partial (`P`).
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let _ = (stream, bytes);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// One line, or piece of a line, of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// RFC 3339 with nanoseconds, as written.
    pub time: String,
    /// Where it was written.
    pub stream: Stream,
    /// The line goes on in this stream's next entry (`P`).
    pub partial: bool,
    /// The bytes, without newline.
    pub text: Vec<u8>,
}

/// Reads a log, the rotated part first.
#[derive(Debug)]
pub struct LogReader {
    #[allow(dead_code)]
    path: PathBuf,
}

impl LogReader {
    /// Opens a log from its beginning, or with `tail` from its last so many lines. The file may be absent yet.
    pub fn open(path: &Path, tail: Option<usize>) -> io::Result<Self> {
        let _ = tail;
        Ok(Self {
            path: path.to_owned(),
        })
    }
    /// The next entry; `None` at the end so far. Follows rotation. Lines that are not in the format are skipped.
    pub fn next_entry(&mut self) -> io::Result<Option<LogEntry>> {
        Ok(None)
    }
    /// Blocks until the log may have grown or `timeout` is over (false).
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let _ = timeout;
        Ok(false)
    }
}
