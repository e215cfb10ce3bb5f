//! Logging: the file of `--log`, and a tracing subscriber when somebody wants to read one.
//!
//! Without `--log`, `--debug` and `TENURE_LOG` nothing is set up and every tracing call costs one load. Lines look
//! as callers of OCI runtimes read them: `{"level":"error","msg":"…","time":"…"}` or the same as text.
//!
//! With `--log` alone only the program's own warnings are written besides the final error: podman parses the whole
//! file as one object, and the container library logs every error that it also returns.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::args::{Globals, LogFormat};

/// The file of `--log`, opened when there is something to write.
#[derive(Debug)]
pub(crate) struct Log {
    path: Option<PathBuf>,
    format: LogFormat,
}

impl Log {
    /// A log in that file. Does no I/O.
    pub(crate) const fn new(path: Option<PathBuf>, format: LogFormat) -> Self {
        Self { path, format }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Adds an error line; true when it is there. A log that cannot be written is told on stderr.
    pub(crate) fn error(&self, message: &str) -> bool {
        let Some(path) = &self.path else { return false };
        let line = line(self.format, "error", message);
        let written = open(path).and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = &written {
            crate::output::complain(&format!("cannot write log {}: {error}", path.display()));
        }
        written.is_ok()
    }
}

/// Opens a log for appending; made with runc's mode, since callers of another user read it.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o644)
        .open(path)
}

/// One log line with its line feed.
fn line(format: LogFormat, level: &str, message: &str) -> String {
    let time = jiff::Timestamp::now();
    match format {
        LogFormat::Json => {
            let message = serde_json::Value::from(message);
            format!("{{\"level\":\"{level}\",\"msg\":{message},\"time\":\"{time:.9}\"}}\n")
        }
        LogFormat::Text => format!("time=\"{time:.9}\" level={level} msg={message:?}\n"),
    }
}

/// Sets a subscriber up if `--debug`, `--log` or `TENURE_LOG` asks for one. Called once.
///
/// `TENURE_LOG` is a level or a list of `target=level`, e.g. `info,tenure_engine=trace`.
pub(crate) fn install(globals: &Globals) {
    let wanted = std::env::var("TENURE_LOG")
        .ok()
        .filter(|filter| !filter.is_empty());
    if !globals.debug && globals.log.is_none() && wanted.is_none() {
        return;
    }
    let filter = match (wanted.as_deref().map(str::parse::<Targets>), globals.debug) {
        (Some(Ok(targets)), _) => targets,
        (Some(Err(error)), _) => {
            crate::output::complain(&format!("TENURE_LOG is ignored: {error}"));
            quiet()
        }
        (None, true) => Targets::new().with_default(Level::DEBUG),
        (None, false) => quiet(),
    };
    let sink = Sink(Mutex::new(Target::Closed(globals.log.clone())));
    let layer = tracing_subscriber::fmt::layer()
        .event_format(Lines(globals.log_format))
        .with_writer(sink)
        .with_filter(filter);
    let subscriber = tracing_subscriber::registry().with(layer);
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Warnings and errors of our own crates only.
fn quiet() -> Targets {
    [
        "tenure",
        "tenure_engine",
        "tenure_lifecycle",
        "tenure_runtime",
        "tenure_spec",
        "tenure_supervise",
    ]
    .into_iter()
    .fold(Targets::new(), |targets, name| {
        targets.with_target(name, Level::WARN)
    })
}

/// Where the subscriber writes: opened at the first line, so that a silent command makes no file.
struct Sink(Mutex<Target>);

enum Target {
    Closed(Option<PathBuf>),
    File(File),
    Stderr,
}

impl Sink {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut target = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Target::Closed(path) = &*target {
            *target = match path {
                Some(path) => Target::File(open(path)?),
                None => Target::Stderr,
            };
        }
        match &mut *target {
            Target::File(file) => file.write_all(bytes),
            Target::Stderr | Target::Closed(_) => io::stderr().write_all(bytes),
        }
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Sink {
    type Writer = SinkWriter<'a>;
    fn make_writer(&'a self) -> SinkWriter<'a> {
        SinkWriter(self)
    }
}

/// One use of a [`Sink`].
struct SinkWriter<'a>(&'a Sink);

impl Write for SinkWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map(|()| bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Formats an event as a log line, its spans and fields behind the message.
struct Lines(LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let mut text = Text::default();
        event.record(&mut text);
        let mut message = String::new();
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            let _ = write!(message, "{}", span.name());
            if let Some(fields) = span
                .extensions()
                .get::<tracing_subscriber::fmt::FormattedFields<N>>()
            {
                let _ = write!(message, "{{{fields}}}");
            }
            message.push_str(": ");
        }
        message.push_str(&text.message);
        message.push_str(&text.fields);
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        writer.write_str(&line(self.0, level, &message))
    }
}

/// The fields of an event as text.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            let _ = write!(self.fields, " {}={value}", field.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_line_has_what_callers_read() {
        let line = line(LogFormat::Json, "error", "a \"b\"\nc");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["level"], "error");
        assert_eq!(value["msg"], "a \"b\"\nc");
        assert!(value["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        assert!(line.ends_with("}\n") && line.lines().count() == 1);
    }

    #[test]
    fn a_text_line_stays_one_line() {
        let line = line(LogFormat::Text, "warning", "a \"b\"\nc");
        assert!(
            line.contains(" level=warning msg=\"a \\\"b\\\"\\nc\"\n"),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn an_error_is_appended_to_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.json");
        let log = Log::new(Some(path.clone()), LogFormat::Json);
        assert!(!path.exists());
        log.error("one");
        log.error("two");
        let text = std::fs::read_to_string(path).unwrap();
        let messages: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["msg"].clone())
            .collect();
        assert_eq!(messages, ["one", "two"]);
    }
}
