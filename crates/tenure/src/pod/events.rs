//! `tenure pod events`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tenure_engine::{EngineError, PodEvent, Store, observe};
use tenure_lifecycle::NoticeKind;

use super::JsonOutput;
use super::watch::{PodWatch, is_over};
use crate::context::Context;
use crate::exit::{Code, CommandError, flatten};

/// Shows what happened to a pod
///
/// The reasons are Kubernetes' words: Created, Started, Killing, FailedPostStartHook, BackOff and so on. What lifecycle
/// handlers wrote is shown, too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tenure pod events web\n  tenure pod events web -f -o json | jq .reason")]
pub(crate) struct EventsArgs {
    /// The pod
    #[arg(value_name = "NAME")]
    name: String,
    /// Go on until the pod has ended
    #[arg(short, long)]
    follow: bool,
    /// The form of the events: one JSON object a line [default: columns]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<JsonOutput>,
}

/// Shows a pod's events.
///
/// # Errors
/// When there is no such pod, or its events cannot be read.
pub(crate) fn execute(context: &Context, args: &EventsArgs) -> Result<Code, CommandError> {
    let root = context.root()?;
    let dir = Store::new(&root).open(&args.name)?;
    let path = dir.events();
    let watching = || format!("cannot watch pod {}", args.name);
    let mut watch = args
        .follow
        .then(|| PodWatch::new(&dir, &[&path]))
        .transpose()
        .with_context(watching)?;
    let mut tail = Tail::new(path.clone());
    let mut printer = Printer {
        json: args.output.is_some(),
        heading_due: args.output.is_none(),
    };
    loop {
        // The look at the supervisor comes first: what it wrote before it ended is read afterwards.
        let observed = match observe(&root, &args.name) {
            Err(EngineError::NotFound { .. }) if !printer.heading_due || args.follow => {
                return Ok(Code::SUCCESS);
            }
            observed => observed?,
        };
        let lines = tail
            .read()
            .with_context(|| format!("cannot read {}", path.display()))?;
        match printer.print(&lines) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Code::SUCCESS),
            printed => printed.context("cannot write to stdout")?,
        }
        let Some(watch) = watch.as_mut().filter(|_| !is_over(&observed)) else {
            return Ok(Code::SUCCESS);
        };
        watch.hold(&observed);
        watch.wait(None).with_context(watching)?;
    }
}

/// The lines of a file that grows.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    file: Option<File>,
    begun: Vec<u8>,
}

impl Tail {
    /// The lines of a file that may be absent yet.
    const fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            begun: Vec::new(),
        }
    }

    /// The whole lines that have come since the last call.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        if let Some(file) = &mut self.file {
            file.read_to_end(&mut self.begun)?;
        }
        let end = self
            .begun
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        Ok(self.begun.drain(..end).collect())
    }
}

/// Prints events.
struct Printer {
    json: bool,
    heading_due: bool,
}

impl Printer {
    /// Prints whole lines of the file; with columns, those that are events.
    fn print(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            out.write_all(lines)?;
        } else {
            if std::mem::take(&mut self.heading_due) {
                out.write_all(row("TIME", "TYPE", "REASON", "CONTAINER", "MESSAGE").as_bytes())?;
            }
            for line in lines.split(|byte| *byte == b'\n') {
                if let Ok(event) = serde_json::from_slice::<PodEvent>(line) {
                    out.write_all(event_row(&event).as_bytes())?;
                }
            }
        }
        out.flush()
    }
}

/// An event's row. Times are UTC with thousandths.
fn event_row(event: &PodEvent) -> String {
    let time = event
        .time
        .parse::<jiff::Timestamp>()
        .map_or_else(|_| event.time.clone(), |time| format!("{time:.3}"));
    let kind = match event.kind {
        NoticeKind::Normal => "Normal",
        NoticeKind::Warning => "Warning",
    };
    let container = event.container.as_deref().unwrap_or("-");
    row(&time, kind, &event.reason, container, &flatten(&event.message))
}

/// Columns of fixed width: rows come one by one.
fn row(time: &str, kind: &str, reason: &str, container: &str, message: &str) -> String {
    format!("{time:<24}  {kind:<7}  {reason:<20}  {container:<12}  {message}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_are_given_and_none_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut tail = Tail::new(path.clone());
        assert_eq!(tail.read().unwrap(), b"");
        std::fs::write(&path, "one\ntw").unwrap();
        assert_eq!(tail.read().unwrap(), b"one\n");
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"o\n").unwrap();
        assert_eq!(tail.read().unwrap(), b"two\n");
        assert_eq!(tail.read().unwrap(), b"");
    }

    #[test]
    fn a_row_shows_time_kind_reason_container_and_message() {
        let event = PodEvent {
            time: "2026-01-02T03:04:05.123456789Z".into(),
            kind: NoticeKind::Warning,
            reason: "FailedPreStopHook".into(),
            container: Some("app".into()),
            message: "a\nb".into(),
        };
        let words: Vec<String> = event_row(&event).split_whitespace().map(String::from).collect();
        assert_eq!(
            words,
            [
                "2026-01-02T03:04:05.123Z",
                "Warning",
                "FailedPreStopHook",
                "app",
                "a",
                "b"
            ]
        );
    }
}
