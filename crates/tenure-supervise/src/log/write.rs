//! The writing side.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Stream, rotated};
use crate::error::Context;

/// When a log is rotated: NAME.log becomes NAME.log.1, which is replaced.
pub const DEFAULT_MAX_BYTES: u64 = 10 * 1024 * 1024;

/// The most text of one entry, in bytes; longer lines are cut into partial entries.
pub const MAX_PIECE: usize = 16 * 1024;

/// Appends to a log and rotates it by size. One writer per log.
#[derive(Debug)]
pub struct LogWriter {
    path: PathBuf,
    file: File,
    size: u64,
    max_bytes: u64,
    /// The file does not end with a newline: a write, of this process or of one that died, stopped half-way.
    torn: bool,
    buffer: Vec<u8>,
}

impl LogWriter {
    /// Opens or makes the log; rotates it when a write would take it beyond `max_bytes` ([`DEFAULT_MAX_BYTES`]).
    pub fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = open_file(path)?;
        let size = file.metadata()?.len();
        let mut last = *b"\n";
        if size > 0 {
            file.read_exact_at(&mut last, size - 1)
                .context("cannot read", path.display())?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            max_bytes,
            torn: last != *b"\n",
            buffer: Vec::new(),
        })
    }

    /// Appends what a container wrote, cut into lines; a last line without newline is marked partial (`P`).
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.buffer.clear();
        let head = format!("{:.9} {} ", jiff::Timestamp::now(), stream.as_str());
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ends) = line
                .strip_suffix(b"\n")
                .map_or((line, false), |text| (text, true));
            append_line(&mut self.buffer, &head, text, ends);
        }
        self.make_room()?;
        self.append().context("cannot write", self.path.display())
    }

    fn make_room(&mut self) -> io::Result<()> {
        if self.size == 0 || self.size.saturating_add(self.buffer.len() as u64) <= self.max_bytes {
            return Ok(());
        }
        match std::fs::rename(&self.path, rotated(&self.path)) {
            // Somebody has removed it: a new one is due all the same.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result.context("cannot rotate", self.path.display())?,
        }
        self.file = open_file(&self.path)?;
        self.size = self.file.metadata()?.len();
        self.torn = false;
        Ok(())
    }

    fn append(&mut self) -> io::Result<()> {
        if self.torn {
            self.buffer.insert(0, b'\n');
        }
        let mut rest = self.buffer.as_slice();
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(count) => {
                    self.size += count as u64;
                    rest = &rest[count..];
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Appends a line's entries: partial ones up to the last, which is full if the line `ends` there.
fn append_line(buffer: &mut Vec<u8>, head: &str, text: &[u8], ends: bool) {
    let mut rest = text;
    loop {
        let (piece, left) = rest.split_at(rest.len().min(MAX_PIECE));
        let full = ends && left.is_empty();
        buffer.extend_from_slice(head.as_bytes());
        buffer.extend_from_slice(if full { b"F " } else { b"P " });
        buffer.extend_from_slice(piece);
        buffer.push(b'\n');
        if left.is_empty() {
            return;
        }
        rest = left;
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(libc::O_NOFOLLOW);
    options.open(path).context("cannot open", path.display())
}
