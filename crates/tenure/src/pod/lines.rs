//! Showing log entries of several containers as lines, in the order of time.

use std::io::{self, BufWriter, Stdout, Write};
use std::path::PathBuf;

use tenure_supervise::log::{LogEntry, LogReader, Stream};

/// A line without end is shown in pieces of this size, so that it cannot fill the memory.
const LONGEST: usize = 1 << 20;

/// One container's log.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    /// The log file.
    pub(super) path: PathBuf,
    reader: LogReader,
    head: Option<LogEntry>,
    /// Lines that have begun, of stdout and of stderr.
    begun: [Begun; 2],
}

/// A line of which only pieces are known.
#[derive(Debug, Default)]
struct Begun {
    time: String,
    text: Vec<u8>,
}

impl Source {
    /// A log that is being read.
    pub(super) fn new(name: String, path: PathBuf, reader: LogReader) -> Self {
        Self {
            name,
            path,
            reader,
            head: None,
            begun: Default::default(),
        }
    }

    /// Adds a piece to its stream's line; gives the line's time and text when it is complete.
    fn complete(&mut self, entry: LogEntry) -> Option<(String, Vec<u8>)> {
        let begun = match entry.stream {
            Stream::Stdout => &mut self.begun[0],
            Stream::Stderr => &mut self.begun[1],
        };
        if begun.text.is_empty() {
            begun.time = entry.time;
        }
        begun.text.extend(entry.text);
        if entry.partial && begun.text.len() < LONGEST {
            return None;
        }
        let Begun { time, text } = std::mem::take(begun);
        Some((time, text))
    }
}

/// Prints entries to stdout.
#[derive(Debug)]
pub(super) struct Lines<W: Write = BufWriter<Stdout>> {
    out: W,
    prefix: bool,
    timestamps: bool,
}

impl Lines {
    /// Prints to stdout, with the container's name or the time before each line if asked for.
    pub(super) fn new(prefix: bool, timestamps: bool) -> Self {
        Self::to(BufWriter::new(io::stdout()), prefix, timestamps)
    }
}

impl<W: Write> Lines<W> {
    fn to(out: W, prefix: bool, timestamps: bool) -> Self {
        Self {
            out,
            prefix,
            timestamps,
        }
    }

    /// Prints everything that the sources have so far, the earliest first.
    pub(super) fn print_all(&mut self, sources: &mut [Source]) -> io::Result<()> {
        loop {
            let mut earliest: Option<usize> = None;
            for index in 0..sources.len() {
                let Some(source) = sources.get_mut(index) else {
                    continue;
                };
                if source.head.is_none() {
                    source.head = source.reader.next_entry()?;
                }
                let time = |at: usize| {
                    sources
                        .get(at)
                        .and_then(|source| source.head.as_ref())
                        .map(|head| &head.time)
                };
                let is_earlier = match (time(index), earliest.and_then(time)) {
                    (None, _) => false,
                    (Some(_), None) => true,
                    (Some(this), Some(best)) => this < best,
                };
                if is_earlier {
                    earliest = Some(index);
                }
            }
            let next = earliest.and_then(|index| sources.get_mut(index));
            let Some((source, entry)) = next.and_then(|source| {
                let entry = source.head.take()?;
                Some((source, entry))
            }) else {
                return self.out.flush();
            };
            self.print(source, entry)?;
        }
    }

    /// Prints one entry. With something before each line only whole lines are printed, as others may come between.
    fn print(&mut self, source: &mut Source, entry: LogEntry) -> io::Result<()> {
        if !self.prefix && !self.timestamps {
            self.out.write_all(&entry.text)?;
            return match entry.partial {
                true => Ok(()),
                false => self.out.write_all(b"\n"),
            };
        }
        match source.complete(entry) {
            Some((time, text)) => self.print_line(&source.name, &time, &text),
            None => Ok(()),
        }
    }

    /// Prints a whole line.
    fn print_line(&mut self, name: &str, time: &str, text: &[u8]) -> io::Result<()> {
        if self.prefix {
            write!(self.out, "{name} | ")?;
        }
        if self.timestamps {
            write!(self.out, "{time} ")?;
        }
        self.out.write_all(text)?;
        self.out.write_all(b"\n")
    }

    /// Prints lines that never ended.
    pub(super) fn finish(&mut self, sources: &mut [Source]) -> io::Result<()> {
        for source in sources {
            for begun in &mut source.begun {
                if !begun.text.is_empty() {
                    let Begun { time, text } = std::mem::take(begun);
                    self.print_line(&source.name, &time, &text)?;
                }
            }
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unwrap_used)]
    fn source(dir: &std::path::Path, name: &str, log: &str) -> Source {
        let path = dir.join(name);
        std::fs::write(&path, log).unwrap();
        let reader = LogReader::open(&path, None).unwrap();
        Source::new(name.into(), path, reader)
    }

    #[allow(clippy::unwrap_used)]
    fn shown(sources: &mut [Source], prefix: bool, timestamps: bool) -> String {
        let mut lines = Lines::to(Vec::new(), prefix, timestamps);
        lines.print_all(sources).unwrap();
        lines.finish(sources).unwrap();
        String::from_utf8(lines.out).unwrap()
    }

    #[test]
    fn two_containers_are_merged_in_the_order_of_time() {
        let dir = tempfile::tempdir().unwrap();
        let a =
            "2026-01-01T00:00:01.000000000Z stdout F one\n2026-01-01T00:00:03.000000000Z stderr F three\n";
        let b = "2026-01-01T00:00:02.000000000Z stdout F two\n";
        let mut sources = [source(dir.path(), "a", a), source(dir.path(), "b", b)];
        assert_eq!(shown(&mut sources, true, false), "a | one\nb | two\na | three\n");
    }

    #[test]
    fn pieces_of_a_line_stay_together_behind_their_name() {
        let dir = tempfile::tempdir().unwrap();
        let a = "2026-01-01T00:00:01.000000000Z stdout P on\n2026-01-01T00:00:03.000000000Z stdout F e\n\
                 2026-01-01T00:00:04.000000000Z stdout P begun\n";
        let b = "2026-01-01T00:00:02.000000000Z stdout F two\n";
        let mut sources = [source(dir.path(), "a", a), source(dir.path(), "b", b)];
        assert_eq!(shown(&mut sources, true, false), "b | two\na | one\na | begun\n");
    }

    #[test]
    fn one_container_is_shown_byte_for_byte() {
        let dir = tempfile::tempdir().unwrap();
        let a = "2026-01-01T00:00:01.000000000Z stdout P on\n2026-01-01T00:00:03.000000000Z stdout F e\n\
                 2026-01-01T00:00:04.000000000Z stdout P prompt> \n";
        let mut sources = [source(dir.path(), "a", a)];
        assert_eq!(shown(&mut sources, false, false), "one\nprompt> ");
    }

    #[test]
    fn the_time_is_put_before_each_line() {
        let dir = tempfile::tempdir().unwrap();
        let mut sources = [source(dir.path(), "a", "2026-01-01T00:00:01.5Z stdout F x\n")];
        assert_eq!(shown(&mut sources, false, true), "2026-01-01T00:00:01.5Z x\n");
    }
}
