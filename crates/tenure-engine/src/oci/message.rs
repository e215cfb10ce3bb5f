//! What a runtime says of its failure, in one line.

use serde::Deserialize;

/// A line of a log in JSON (`--log-format json`), as runc, crun and tenure write it.
#[derive(Deserialize)]
struct LogLine {
    level: String,
    msg: String,
}

/// The last error of a JSON log.
pub(super) fn from_log(log: &str) -> Option<String> {
    log.lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<LogLine>(line).ok())
        .find(|line| matches!(line.level.as_str(), "error" | "fatal" | "panic"))
        .map(|line| one_line(&line.msg))
        .filter(|message| !message.is_empty())
}

/// The last line of what a runtime wrote on its stderr, without time stamps and levels.
pub(super) fn from_stderr(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    // logrus' text format; what follows the message are its fields.
    let message = match line.split_once(" msg=") {
        Some((head, quoted)) if head.contains("level=") => unquote(quoted),
        _ => line.to_owned(),
    };
    let message = message
        .strip_prefix("error: ")
        .or(message.strip_prefix("ERRO "))
        .unwrap_or(&message);
    Some(one_line(message))
}

/// The Go string at the beginning of `text`, or its first word.
fn unquote(text: &str) -> String {
    let Some(inside) = text.strip_prefix('"') else {
        return text.split(' ').next().unwrap_or_default().to_owned();
    };
    let mut message = String::new();
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => match characters.next() {
                Some('n') => message.push('\n'),
                Some('t') => message.push('\t'),
                Some(other) => message.push(other),
                None => {}
            },
            other => message.push(other),
        }
    }
    message
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// True when the runtime says that there is no such container, or no living process in it: what was to be gone is.
pub(super) fn says_gone(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let gone = [
        "does not exist",
        "not running",
        "no such process",
        "process already finished",
        "already stopped",
    ];
    gone.iter().any(|words| message.contains(words))
}

/// True when the runtime says that there is no such container.
pub(super) fn says_unknown(message: &str) -> bool {
    message.to_ascii_lowercase().contains("does not exist")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_of_a_json_log_counts() {
        let log = r#"{"level":"error","msg":"first","time":"x"}
{"level":"warning","msg":"careful","time":"x"}
not json
{"level":"error","msg":"runc create failed:\n  no such file\n","time":"x"}
{"level":"debug","msg":"bye","time":"x"}
"#;
        assert_eq!(from_log(log).as_deref(), Some("runc create failed: no such file"));
        assert_eq!(from_log(""), None);
        assert_eq!(from_log(r#"{"level":"info","msg":"fine"}"#), None);
    }

    #[test]
    fn the_noise_around_a_message_on_stderr_is_taken_off() {
        let text = "time=\"2026-01-02T03:04:05Z\" level=error msg=\"exec: \\\"x\\\": not found\" id=a\n";
        assert_eq!(from_stderr(text).as_deref(), Some("exec: \"x\": not found"));
        assert_eq!(
            from_stderr("usage\nerror: bad flag\n\n").as_deref(),
            Some("bad flag")
        );
        assert_eq!(from_stderr("level=fatal msg=short x=1").as_deref(), Some("short"));
        assert_eq!(from_stderr("plain  text").as_deref(), Some("plain text"));
        assert_eq!(from_stderr("\n"), None);
    }
}
