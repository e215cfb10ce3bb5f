//! Showing a pod while it is run: its state in place on a terminal, or its events as lines: `+0.123s  web  Started  …`.

use std::io::IsTerminal;

use clap::ValueEnum;
use tenure_engine::{Display, PodEvent};
use tenure_lifecycle::{NoticeKind, PodPlan, PodStatus, Timestamp};
use tenure_spec::PodSpec;

use super::board::Board;
use crate::exit::flatten;
use crate::output;

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// Each container's state in place when stderr is a terminal, else nothing but what goes wrong
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

/// Shows a pod on stderr.
#[derive(Debug)]
pub(super) struct Progress {
    pod: String,
    shown: Shown,
    begun: Option<jiff::Timestamp>,
}

/// What is shown of it.
#[derive(Debug)]
enum Shown {
    /// What goes wrong.
    Failures,
    /// Every event, as a line.
    Lines,
    /// The state, in place, with the warnings above it: in the foreground of a terminal.
    InPlace(Box<Board>),
}

impl Progress {
    /// For a pod that goes on in the background: lines where somebody may be looking.
    pub(super) fn of_start(mode: Mode, pod: &str) -> Self {
        let has_lines = match mode {
            Mode::Auto => std::io::stderr().is_terminal(),
            Mode::Plain => true,
            Mode::None => false,
        };
        Self {
            pod: pod.into(),
            shown: if has_lines { Shown::Lines } else { Shown::Failures },
            begun: None,
        }
    }

    /// For a pod that runs in the foreground.
    pub(super) fn of_life(mode: Mode, pod: &PodSpec) -> Self {
        let shows = Self::of_start(mode, &pod.name);
        // A terminal that cannot move its cursor says so by this name.
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if mode == Mode::Auto && matches!(shows.shown, Shown::Lines) && !is_dumb {
            let plan = PodPlan::from(pod);
            let parts = plan.containers.iter().map(|container| container.kind).collect();
            return Self {
                shown: Shown::InPlace(Box::new(Board::new(&pod.name, parts))),
                ..shows
            };
        }
        shows
    }

    /// Shows one event of a start that may yet fail; what went wrong is given back, to be told with its outcome.
    pub(super) fn show_start(&mut self, event: &PodEvent) -> Option<String> {
        match self.shown {
            Shown::Lines => {
                output::say(&self.line(event));
                None
            }
            Shown::Failures | Shown::InPlace(_) => failure(event),
        }
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

impl Display for Progress {
    fn event(&mut self, event: &PodEvent) -> Option<String> {
        let line = self.line(event);
        match self.shown {
            Shown::Failures => failure(event).map(|failure| format!("tenure: pod {}: {failure}", self.pod)),
            Shown::Lines => Some(line),
            // What goes as planned is to be seen in the frame.
            Shown::InPlace(_) => (event.kind == NoticeKind::Warning).then_some(line),
        }
    }

    fn status(&mut self, status: PodStatus, now: Timestamp) {
        if let Shown::InPlace(board) = &mut self.shown {
            board.update(status, now);
        }
    }

    fn frame(&self, now: Timestamp) -> Vec<String> {
        match &self.shown {
            Shown::InPlace(board) => board.lines(now),
            Shown::Failures | Shown::Lines => Vec::new(),
        }
    }

    fn changes_at(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.shown {
            Shown::InPlace(board) => board.changes_at(now),
            Shown::Failures | Shown::Lines => None,
        }
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
        let mut progress = Progress::of_start(Mode::Plain, "web");
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
