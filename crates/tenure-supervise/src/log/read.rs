//! The reading side.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{LogEntry, rotated};
use crate::error::Context;
use crate::watch::FileWatch;

/// How much is read at once.
const BLOCK: usize = 64 * 1024;

/// Reads a log, the rotated part first.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    part: Option<Part>,
    watch: Option<FileWatch>,
}

/// One file of the log.
#[derive(Debug)]
struct Part {
    file: File,
    inode: u64,
    offset: u64,
    /// Read and not given yet, from `start` on; without newline: a line still being written, or torn.
    pending: Vec<u8>,
    start: usize,
}

impl LogReader {
    /// Opens a log from its beginning, or with `tail` from its last so many lines. The file may be absent yet.
    pub fn open(path: &Path, tail: Option<usize>) -> io::Result<Self> {
        let part = match tail {
            None => None,
            Some(lines) => Self::open_tail(path, lines)?,
        };
        Ok(Self {
            path: path.to_owned(),
            part,
            watch: None,
        })
    }

    /// The part and the place in it where the last `lines` lines begin; `None` for the very beginning.
    fn open_tail(path: &Path, lines: usize) -> io::Result<Option<Part>> {
        let mut found = 0;
        let mut first = None;
        for file in [path, &rotated(path)] {
            if let Some(mut part) = Part::open(file)? {
                let (more, offset) = part.seek_lines_from_end(lines - found)?;
                part.offset = offset;
                found += more;
                first = Some(part);
            }
            if found >= lines && first.is_some() {
                break;
            }
        }
        Ok(first)
    }

    /// The next entry; `None` at the end so far. Goes on in the new file after a rotation; of several rotations since
    /// the last call only the last two files are still there. Lines not in the format, such as one torn when a
    /// supervisor died, are skipped.
    pub fn next_entry(&mut self) -> io::Result<Option<LogEntry>> {
        loop {
            let Some(part) = &mut self.part else {
                let first = Part::open(&rotated(&self.path))?;
                self.part = first.map_or_else(|| Part::open(&self.path), |part| Ok(Some(part)))?;
                if self.part.is_none() {
                    return Ok(None);
                }
                continue;
            };
            while let Some(line) = part.next_line()? {
                if let Some(entry) = LogEntry::parse(&line) {
                    return Ok(Some(entry));
                }
            }
            let Some(next) = part.successor(&self.path)? else {
                return Ok(None);
            };
            // It was renamed after its last write: what is still unread of it is there now.
            match part.next_line()? {
                Some(line) => match LogEntry::parse(&line) {
                    Some(entry) => return Ok(Some(entry)),
                    None => continue,
                },
                None => self.part = Some(next),
            }
        }
    }

    /// Blocks until the log may have grown (true; may be early) or `timeout` is over (false). The first call returns
    /// at once.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        match &mut self.watch {
            Some(watch) => watch.wait(timeout),
            None => {
                // What was written before the watch began must be read before waiting.
                self.watch = Some(FileWatch::new(&[&self.path])?);
                Ok(true)
            }
        }
    }
}

impl Part {
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("cannot open", path.display()),
        };
        let inode = file.metadata()?.ino();
        Ok(Some(Self {
            file,
            inode,
            offset: 0,
            pending: Vec::new(),
            start: 0,
        }))
    }

    /// The next line that has its newline, without it.
    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            let unread = &self.pending[self.start..];
            if let Some(length) = unread[searched..].iter().position(|&byte| byte == b'\n') {
                let line = unread[..searched + length].to_vec();
                self.start += searched + length + 1;
                return Ok(Some(line));
            }
            searched = unread.len();
            self.pending.drain(..self.start);
            self.start = 0;
            let kept = self.pending.len();
            self.pending.resize(kept + BLOCK, 0);
            let count = self.file.read_at(&mut self.pending[kept..], self.offset)?;
            self.pending.truncate(kept + count);
            self.offset += count as u64;
            if count == 0 {
                return Ok(None);
            }
        }
    }

    /// The file that comes after this one, if this one is no longer the newest.
    fn successor(&self, path: &Path) -> io::Result<Option<Self>> {
        let Some(newest) = Self::open(path)?.filter(|newest| newest.inode != self.inode) else {
            return Ok(None);
        };
        // Rotated twice since: the older of the two first.
        let between = Self::open(&rotated(path))?;
        Ok(Some(
            between.filter(|part| part.inode != self.inode).unwrap_or(newest),
        ))
    }

    /// How many lines (at most `lines`) the end of the file holds, and where the first of them begins. A line is over
    /// at a full entry; partial entries at the end count as one.
    fn seek_lines_from_end(&self, lines: usize) -> io::Result<(usize, u64)> {
        let size = self.file.metadata()?.len();
        let mut window = BLOCK as u64;
        loop {
            let from = size.saturating_sub(window);
            let mut bytes = vec![0; usize::try_from(size - from).unwrap_or(usize::MAX)];
            self.file.read_exact_at(&mut bytes, from)?;
            let (found, offset) = last_lines(&bytes, from == 0, lines);
            if from == 0 || found >= lines {
                return Ok((found, from + offset as u64));
            }
            window = window.saturating_mul(4);
        }
    }
}

/// As [`Part::seek_lines_from_end`], in the file's last bytes; unless they are `all`, they begin inside a line.
fn last_lines(bytes: &[u8], all: bool, lines: usize) -> (usize, usize) {
    let complete = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |last| last + 1);
    let first = match bytes.iter().position(|&byte| byte == b'\n') {
        _ if all => 0,
        Some(newline) => newline + 1,
        None => return (0, bytes.len()),
    };
    let mut found = 0;
    let mut end = complete;
    while end > first {
        let start = bytes[first..end - 1]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(first, |newline| first + newline + 1);
        let partial = LogEntry::parse(&bytes[start..end - 1]).is_some_and(|entry| entry.partial);
        if !partial || end == complete {
            if found == lines {
                return (found, end);
            }
            found += 1;
        }
        end = start;
    }
    // Entries before the window may belong to the first line found: without them it is not known to be whole.
    if all {
        (found, first)
    } else {
        (found.saturating_sub(1), first)
    }
}
