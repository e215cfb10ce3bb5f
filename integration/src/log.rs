//! What a pod tells: log files in the CRI format and events as JSON lines.

use jiff::Timestamp;
use serde::Deserialize;

/// A line of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When Tenure read it.
    pub at: Timestamp,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The text, joined where the log holds it in parts.
    pub text: String,
}

/// An event of a pod, as `tenure pod events -o json` prints it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When it happened.
    pub time: Timestamp,
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The Kubernetes word for it.
    pub reason: String,
    /// The container it is about, if it is about one.
    #[serde(default)]
    pub container: Option<String>,
    /// What happened, for people.
    pub message: String,
}

/// Reads a log in the CRI format: `TIME STREAM F|P TEXT`. A last line that is being written is left out.
///
/// # Panics
/// When a finished line is not in that format.
pub fn parse_cri_log(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut open = false;
    for record in text.split_inclusive('\n').filter(|record| record.ends_with('\n')) {
        let mut fields = record.trim_end_matches('\n').splitn(4, ' ');
        let mut field = || {
            fields
                .next()
                .unwrap_or_else(|| panic!("not a CRI log line: {record:?}"))
        };
        let (time, stream, tag, content) = (field(), field(), field(), field());
        let at = time
            .parse()
            .unwrap_or_else(|error| panic!("time of log line {record:?}: {error}"));
        match lines.last_mut() {
            Some(last) if open && last.stream == stream => last.text.push_str(content),
            _ => lines.push(Line {
                at,
                stream: stream.to_owned(),
                text: content.to_owned(),
            }),
        }
        open = tag.split(':').next() == Some("P");
    }
    lines
}

/// Reads events, one JSON object a line. A last line that is being written is left out.
///
/// # Panics
/// When a finished line is not an event.
pub fn parse_events(text: &str) -> Vec<Event> {
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n') && !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("event {line:?}: {error}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_log_line_are_joined_and_an_unfinished_one_is_left_out() {
        let text = "2026-01-01T00:00:00.5Z stdout P one \n2026-01-01T00:00:01Z stdout F two\n\
                    2026-01-01T00:00:02Z stderr F \n2026-01-01T00:00:03Z stdout F thr";
        let lines = parse_cri_log(text);
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["one two", ""]);
        assert_eq!(lines[1].stream, "stderr");
    }

    #[test]
    fn an_event_may_be_about_the_pod_as_a_whole() {
        let events = parse_events(
            "{\"time\":\"2026-01-01T00:00:00.123456789Z\",\"type\":\"Normal\",\"reason\":\"Killing\",\"message\":\"m\"}\n",
        );
        assert_eq!(events[0].reason, "Killing");
        assert_eq!(events[0].container, None);
    }
}
