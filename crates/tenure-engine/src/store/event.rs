//! `events.jsonl`: what happened, for people.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;
use serde::{Deserialize, Serialize};
use tenure_lifecycle::NoticeKind;

/// One event, as `events.jsonl` holds it and `pod events -o json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodEvent {
    /// When, RFC 3339 with nanoseconds.
    pub time: String,
    /// Normal or Warning.
    #[serde(rename = "type")]
    pub kind: NoticeKind,
    /// The Kubernetes word.
    pub reason: String,
    /// The container's name, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// One line for people.
    pub message: String,
}

/// RFC 3339 with nine digits, so that times sort as text.
pub(crate) fn rfc3339(time: jiff::Timestamp) -> String {
    format!("{time:.9}")
}

/// How large the file becomes, in bytes, before what a container can bring about as often as it likes is left out.
const ROOM: u64 = 8 << 20;
/// The longest message, in bytes.
const LONGEST_MESSAGE: usize = 4096;
/// What a container can bring about as often as it likes.
const AT_WILL: [&str; 4] = ["HookOutput", "ProbeWarning", "Unhealthy", "BackOff"];

/// Appends events, one `write` each, so that a reader sees whole lines unless the writer was killed in between.
#[derive(Debug)]
pub(crate) struct EventLog {
    file: File,
    size: u64,
}

impl EventLog {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }

    pub(crate) fn append(&mut self, event: &PodEvent) -> io::Result<()> {
        let was_full = self.size > ROOM;
        if was_full && AT_WILL.contains(&event.reason.as_str()) {
            return Ok(());
        }
        self.write(event)?;
        if !was_full && self.size > ROOM {
            let message = format!(
                "There are too many events: from now on those of {} are left out",
                AT_WILL.join(", ")
            );
            self.write(&PodEvent {
                time: event.time.clone(),
                kind: NoticeKind::Warning,
                reason: "EventsLeftOut".into(),
                container: None,
                message,
            })?;
        }
        Ok(())
    }

    fn write(&mut self, event: &PodEvent) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.size = self.size.saturating_add(line.len() as u64);
        Ok(())
    }
}

impl PodEvent {
    /// The same with a message of bearable length.
    pub(crate) fn cut(mut self) -> Self {
        self.message = crate::error::cut(self.message, LONGEST_MESSAGE);
        self
    }
}

/// Every event of a file in order. A torn line (its writer was killed) is left out.
pub(crate) fn parse(text: &[u8]) -> Vec<PodEvent> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str) -> PodEvent {
        PodEvent {
            time: "2026-01-02T03:04:05.000000006Z".into(),
            kind: NoticeKind::Normal,
            reason: "Started".into(),
            container: Some("web".into()),
            message: message.into(),
        }
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_the_rest_stands() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut log = EventLog::open(&path).unwrap();
        log.append(&event("one")).unwrap();
        log.append(&event("two\nlines")).unwrap();
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"time\":\"2026-");
        assert_eq!(parse(&text), vec![event("one"), event("two\nlines")]);
    }

    #[test]
    fn what_a_container_brings_about_at_will_is_left_out_once_it_is_too_much() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut log = EventLog::open(&path).unwrap();
        let flood = PodEvent {
            reason: "Unhealthy".into(),
            message: "\u{1}".repeat(100_000),
            ..event("")
        }
        .cut();
        for _ in 0..1000 {
            log.append(&flood).unwrap();
        }
        log.append(&event("the end")).unwrap();
        let mut again = EventLog::open(&path).unwrap();
        again.append(&flood).unwrap();
        let text = std::fs::read(&path).unwrap();
        assert!(text.len() as u64 <= ROOM + 64 * 1024, "{}", text.len());
        let told = parse(&text);
        let last: Vec<_> = told
            .iter()
            .rev()
            .take(2)
            .map(|event| event.reason.as_str())
            .collect();
        assert_eq!(last, ["Started", "EventsLeftOut"]);
    }

    #[test]
    fn times_have_nine_digits() {
        let time = jiff::Timestamp::new(1_767_323_045, 6).unwrap();
        assert_eq!(rfc3339(time), "2026-01-02T03:04:05.000000006Z");
    }

    #[test]
    fn an_event_has_the_promised_fields() {
        let json = serde_json::to_value(event("m")).unwrap();
        assert_eq!(json["type"], "Normal");
        assert_eq!(json["reason"], "Started");
        assert_eq!(json["container"], "web");
    }
}
