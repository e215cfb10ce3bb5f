//! Telling a pod's events while it is run: `+0.123s  web  Started  …`.

use std::io::IsTerminal;

use clap::ValueEnum;
use tenure_engine::PodEvent;
use tenure_lifecycle::NoticeKind;

use crate::exit::flatten;
use crate::output;

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// Lines when stderr is a terminal
    Auto,
    /// Lines
    Plain,
    /// Nothing but what goes wrong
    None,
}

/// What goes wrong with a pod besides its containers' own exits: told even without progress.
const FAILURES: [&str; 7] = [
    "DeadlineExceeded",
    "Failed",
    "FailedCreatePodSandBox",
    "FailedDelete",
    "HookFailed",
    "LifecycleHTTPFallback",
    "Unhealthy",
];

/// Shows events on stderr.
#[derive(Debug)]
pub(super) struct Progress {
    pod: String,
    lines: bool,
    begun: Option<jiff::Timestamp>,
}

impl Progress {
    /// A display of that kind for that pod.
    pub(super) fn new(mode: Mode, pod: &str) -> Self {
        Self {
            pod: pod.into(),
            lines: match mode {
                Mode::Auto => std::io::stderr().is_terminal(),
                Mode::Plain => true,
                Mode::None => false,
            },
            begun: None,
        }
    }

    /// Shows one event.
    pub(super) fn show(&mut self, event: &PodEvent) {
        if self.lines {
            output::say(&self.line(event));
        } else if let Some(failure) = failure(event) {
            output::complain(&format!("pod {}: {failure}", self.pod));
        }
    }

    /// Shows one event of a start that may yet fail; what went wrong is given back, to be told with its outcome.
    pub(super) fn show_start(&mut self, event: &PodEvent) -> Option<String> {
        if self.lines {
            output::say(&self.line(event));
            return None;
        }
        failure(event)
    }

    /// The line for an event.
    fn line(&mut self, event: &PodEvent) -> String {
        let after = self.since_begin(event);
        let who = event.container.as_deref().unwrap_or(&self.pod);
        let warning = match event.kind {
            NoticeKind::Normal => "",
            NoticeKind::Warning => "! ",
        };
        let (reason, message) = (&event.reason, flatten(&event.message));
        let line = format!("+{after:.3}s  {who}  {warning}{reason}  {message}");
        line.trim_end().into()
    }

    /// Seconds since the first event.
    fn since_begin(&mut self, event: &PodEvent) -> f64 {
        let Ok(time) = event.time.parse::<jiff::Timestamp>() else {
            return 0.0;
        };
        let begun = *self.begun.get_or_insert(time);
        time.duration_since(begun).as_secs_f64().max(0.0)
    }
}

/// What an event tells of a failure, if it is one.
fn failure(event: &PodEvent) -> Option<String> {
    let is_failure = event.kind == NoticeKind::Warning && FAILURES.contains(&event.reason.as_str());
    is_failure.then(|| {
        let container = event.container.as_ref().map(|name| format!("container {name}: "));
        let (reason, message) = (&event.reason, flatten(&event.message));
        format!("{}{reason}: {message}", container.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: NoticeKind, reason: &str, time: &str) -> PodEvent {
        PodEvent {
            time: time.into(),
            kind,
            reason: reason.into(),
            container: Some("app".into()),
            message: "Stopping\ncontainer".into(),
        }
    }

    #[test]
    fn lines_count_from_the_first_event() {
        let mut progress = Progress::new(Mode::Plain, "web");
        let first = event(NoticeKind::Normal, "Created", "2026-01-01T00:00:00.5Z");
        let second = event(NoticeKind::Warning, "Failed", "2026-01-01T00:00:01.623Z");
        assert_eq!(progress.line(&first), "+0.000s  app  Created  Stopping container");
        assert_eq!(
            progress.line(&second),
            "+1.123s  app  ! Failed  Stopping container"
        );
    }

    #[test]
    fn failures_are_told_without_progress_and_exits_are_not() {
        let time = "2026-01-01T00:00:00Z";
        assert_eq!(failure(&event(NoticeKind::Normal, "Started", time)), None);
        assert_eq!(failure(&event(NoticeKind::Warning, "Exited", time)), None);
        assert_eq!(
            failure(&event(NoticeKind::Warning, "Failed", time)).as_deref(),
            Some("container app: Failed: Stopping container")
        );
    }
}
