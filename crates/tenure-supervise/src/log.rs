//! Container logs in the CRI format: `2026-01-02T03:04:05.000000006Z stdout F text`.
//!
//! ```text
//!  LogWriter ──append──▶ NAME.log ──when full, by rename──▶ NAME.log.1 (the one before it is lost)
//!                            └────────────▶ LogReader ◀──────────┘
//! ```
//!
//! The tag `F` ends a line, `P` says that it goes on in the stream's next entry. What was read from a container is
//! written at once, a line's beginning too: nothing waits in memory for a newline, so nothing is lost with the
//! process. Any byte but a newline may be in the text.

mod read;
mod write;

pub use read::LogReader;
pub use write::{DEFAULT_MAX_BYTES, LogWriter, MAX_PIECE};

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Which of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
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

impl LogEntry {
    /// Reads one line of a log, without its newline; `None` when it is not in the format.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.splitn(4, |&byte| byte == b' ');
        let time = std::str::from_utf8(fields.next()?).ok()?;
        let stream = match fields.next()? {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        let partial = match fields.next()?.split(|&byte| byte == b':').next()? {
            b"F" => false,
            b"P" => true,
            _ => return None,
        };
        Some(Self {
            time: time.to_owned(),
            stream,
            partial,
            text: fields.next()?.to_vec(),
        })
    }
}

/// Where a log's older part is: NAME.log.1.
pub fn rotated(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".1");
    PathBuf::from(name)
}
