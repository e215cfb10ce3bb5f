//! A pod's life, read from its events.

use jiff::Timestamp;
use tenure_engine::PodEvent;

/// A container as the manifest has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Member {
    /// Its name.
    pub(in super::super) name: String,
    /// `init`, `sidecar`, or nothing for an app container.
    pub(in super::super) kind: &'static str,
}

/// Microseconds since the pod's first event.
pub(super) type Micros = i64;

/// What a container is in for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SpanKind {
    /// Waiting for the next start.
    BackOff,
    /// Created, its program not started.
    Created,
    /// Its program runs.
    Running,
    /// It is being stopped.
    Terminating,
    /// The handler beside its start.
    PostStart,
    /// The handler before its stop signal.
    PreStop,
}

impl SpanKind {
    /// Every kind, in the order of a legend.
    pub(super) const ALL: [Self; 6] = [
        Self::Created,
        Self::Running,
        Self::Terminating,
        Self::BackOff,
        Self::PostStart,
        Self::PreStop,
    ];

    /// The word for people.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::BackOff => "back-off",
            Self::Created => "created",
            Self::Running => "running",
            Self::Terminating => "terminating",
            Self::PostStart => "postStart",
            Self::PreStop => "preStop",
        }
    }
}

/// A stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// What goes on.
    pub(super) kind: SpanKind,
    /// Its begin.
    pub(super) from: Micros,
    /// Its end; the story's end when it goes on.
    pub(super) to: Micros,
    /// It ended badly: a handler that failed.
    pub(super) failed: bool,
}

/// What a moment is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MarkKind {
    /// Something to look at: a probe that failed, a start that did.
    Warning,
    /// Ended well.
    Success,
    /// Ended badly.
    Failure,
    /// SIGKILL was sent.
    Killed,
}

/// A moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// When.
    pub(super) at: Micros,
    /// What.
    pub(super) kind: MarkKind,
    /// The event's message.
    pub(super) message: String,
}

/// One container's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Track {
    /// The container.
    pub(super) member: Member,
    /// What it was in, without overlaps, in order.
    pub(super) spans: Vec<Span>,
    /// Its handlers.
    pub(super) hooks: Vec<Span>,
    /// Moments.
    pub(super) marks: Vec<Mark>,
    /// How often it was started.
    pub(super) starts: u32,
    /// How its last run ended, as people say it; empty while it runs.
    pub(super) ending: String,
}

/// A pod's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Story {
    /// The pod.
    pub(super) name: String,
    /// The first event.
    pub(super) begin: Timestamp,
    /// The last event, or now.
    pub(super) end: Micros,
    /// The pod lives.
    pub(super) goes_on: bool,
    /// It was not lived.
    pub(super) is_planned: bool,
    /// Containers in the order of the manifest.
    pub(super) tracks: Vec<Track>,
    /// What happened to the pod as a whole: a stop, a deadline.
    pub(super) marks: Vec<Mark>,
}

impl Story {
    /// Reads the events; `until` is now for a pod that lives. `None` when there are none.
    pub(super) fn tell(
        name: &str,
        members: &[Member],
        events: &[PodEvent],
        until: Option<Timestamp>,
    ) -> Option<Self> {
        let timed: Vec<(Timestamp, &PodEvent)> = events
            .iter()
            .filter_map(|event| Some((event.time.parse().ok()?, event)))
            .collect();
        let begin = timed.iter().map(|(time, _)| *time).min()?;
        let mut story = Self {
            name: name.into(),
            begin,
            end: 0,
            goes_on: until.is_some(),
            is_planned: false,
            tracks: members.iter().cloned().map(Track::new).collect(),
            marks: Vec::new(),
        };
        for (time, event) in timed {
            let at = micros(begin, time);
            story.end = story.end.max(at);
            match event.container.as_deref() {
                Some(container) => story.track(container).take_in(at, event),
                None => story.pod_event(at, event),
            }
        }
        story.end = until.map_or(story.end, |now| story.end.max(micros(begin, now)));
        let end = story.end;
        for track in &mut story.tracks {
            track.close_all(end);
        }
        Some(story)
    }

    /// A life that was simulated; the times count from the epoch.
    pub(in super::super) fn plan(name: &str, members: &[Member], events: &[PodEvent]) -> Self {
        let story = Self::tell(name, members, events, None);
        let story = story.unwrap_or_else(|| Self {
            name: name.into(),
            begin: Timestamp::UNIX_EPOCH,
            end: 0,
            goes_on: false,
            is_planned: true,
            tracks: members.iter().cloned().map(Track::new).collect(),
            marks: Vec::new(),
        });
        Self {
            is_planned: true,
            ..story
        }
    }

    /// When it was, for a heading.
    pub(super) fn dates(&self) -> String {
        let length = super::span_text(self.end);
        match (self.is_planned, self.goes_on) {
            (true, _) => format!("planned, {length} in all"),
            (false, true) => format!("from {:.3}, {length} so far", self.begin),
            (false, false) => format!("from {:.3}, {length} in all", self.begin),
        }
    }

    /// The track of a container; a new one for a name that the manifest has not.
    fn track(&mut self, name: &str) -> &mut Track {
        let known = self.tracks.iter().position(|track| track.member.name == name);
        let at = known.unwrap_or_else(|| {
            let member = Member {
                name: name.into(),
                kind: "",
            };
            self.tracks.push(Track::new(member));
            self.tracks.len() - 1
        });
        &mut self.tracks[at]
    }

    fn pod_event(&mut self, at: Micros, event: &PodEvent) {
        let kind = match event.reason.as_str() {
            "FailedCreatePodSandBox" => MarkKind::Failure,
            "Stopping" | "DeadlineExceeded" => MarkKind::Warning,
            _ => return,
        };
        // Nothing is started again after that.
        for track in &mut self.tracks {
            let waiting = |span: &&mut Span| span.to == OPEN && span.kind == SpanKind::BackOff;
            if let Some(wait) = track.spans.last_mut().filter(waiting) {
                wait.to = at.max(wait.from);
            }
        }
        let message = event.message.clone();
        self.marks.push(Mark { at, kind, message });
    }

    /// Every moment at which something begins, ends or happens, in order, each once.
    pub(super) fn moments(&self) -> Vec<Micros> {
        let mut moments: Vec<Micros> = self
            .tracks
            .iter()
            .flat_map(|track| {
                let spans = track.spans.iter().chain(&track.hooks);
                let marks = track.marks.iter().map(|mark| mark.at);
                spans.flat_map(|span| [span.from, span.to]).chain(marks)
            })
            .chain(self.marks.iter().map(|mark| mark.at))
            .chain([0, self.end])
            .collect();
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    /// Kinds of spans that the story has, in the order of a legend.
    pub(super) fn kinds(&self) -> Vec<SpanKind> {
        let mut spans = self
            .tracks
            .iter()
            .flat_map(|track| track.spans.iter().chain(&track.hooks));
        let all: Vec<SpanKind> = spans.by_ref().map(|span| span.kind).collect();
        SpanKind::ALL
            .into_iter()
            .filter(|kind| all.contains(kind))
            .collect()
    }
}

impl Track {
    const fn new(member: Member) -> Self {
        Self {
            member,
            spans: Vec::new(),
            hooks: Vec::new(),
            marks: Vec::new(),
            starts: 0,
            ending: String::new(),
        }
    }

    fn take_in(&mut self, at: Micros, event: &PodEvent) {
        match event.reason.as_str() {
            "Created" => self.go_into(SpanKind::Created, at),
            "Started" => {
                self.starts = self.starts.saturating_add(1);
                self.ending.clear();
                self.go_into(SpanKind::Running, at);
            }
            "Killing" => self.go_into(SpanKind::Terminating, at),
            "BackOff" => self.go_into(SpanKind::BackOff, at),
            "Exited" => {
                self.close_all(at);
                self.ending = ending(&event.message);
                let kind = match self.ending.as_str() {
                    "exit 0" => MarkKind::Success,
                    _ => MarkKind::Failure,
                };
                self.mark(at, kind, event);
            }
            "Failed" => {
                self.close_all(at);
                self.ending = "not started".into();
                self.mark(at, MarkKind::Failure, event);
            }
            "Killed" => self.mark(at, MarkKind::Killed, event),
            "Unhealthy" | "FailedDelete" | "LifecycleHTTPFallback" | "RestartingAllContainers" => {
                self.mark(at, MarkKind::Warning, event);
            }
            "HookStarted" => self.hooks.push(Span {
                kind: hook_of(&event.message),
                from: at,
                to: OPEN,
                failed: false,
            }),
            "HookSucceeded" => self.end_hook(at, event, false),
            "HookFailed" => self.end_hook(at, event, true),
            _ => {}
        }
    }

    fn mark(&mut self, at: Micros, kind: MarkKind, event: &PodEvent) {
        let message = event.message.clone();
        self.marks.push(Mark { at, kind, message });
    }

    /// Ends what it was in and begins something else.
    fn go_into(&mut self, kind: SpanKind, at: Micros) {
        close(&mut self.spans, at);
        self.spans.push(Span {
            kind,
            from: at,
            to: OPEN,
            failed: false,
        });
    }

    fn end_hook(&mut self, at: Micros, event: &PodEvent, failed: bool) {
        let kind = hook_of(&event.message);
        let hook = self.hooks.iter_mut().rev().find(|hook| hook.kind == kind);
        if let Some(hook) = hook.filter(|hook| hook.to == OPEN) {
            hook.to = at.max(hook.from);
            hook.failed = failed;
        }
    }

    fn close_all(&mut self, at: Micros) {
        close(&mut self.spans, at);
        close(&mut self.hooks, at);
    }

    /// What it is in at the story's end.
    pub(super) fn now(&self, end: Micros) -> Option<SpanKind> {
        let last = self.spans.last()?;
        (last.to >= end && last.kind != SpanKind::Created).then_some(last.kind)
    }
}

/// The end of a span that has none yet.
const OPEN: Micros = Micros::MAX;

fn close(spans: &mut [Span], at: Micros) {
    for span in spans.iter_mut().filter(|span| span.to == OPEN) {
        span.to = at.max(span.from);
    }
}

/// Which handler an event is about: `tenure-lifecycle` names it in the message.
fn hook_of(message: &str) -> SpanKind {
    match message.contains("preStop of container") || message.starts_with("Running preStop") {
        true => SpanKind::PreStop,
        false => SpanKind::PostStart,
    }
}

/// `Container web exited with code 3` in two words.
fn ending(message: &str) -> String {
    let (head, note) = match message.strip_suffix(", out of memory") {
        Some(head) => (head, ", out of memory"),
        None => (message, ""),
    };
    let last = head.rsplit(' ').next().unwrap_or_default();
    let known = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    match (known, head.contains("ended by signal")) {
        (true, false) => format!("exit {last}{note}"),
        (true, true) => format!("signal {last}{note}"),
        (false, _) => format!("ended{note}"),
    }
}

fn micros(begin: Timestamp, time: Timestamp) -> Micros {
    time.as_microsecond().saturating_sub(begin.as_microsecond())
}

#[cfg(test)]
pub(super) mod tests {
    use tenure_lifecycle::NoticeKind;

    use super::*;

    /// An event `at` milliseconds after the first.
    #[allow(clippy::unwrap_used)]
    fn event(at: i64, container: Option<&str>, reason: &str, message: &str) -> PodEvent {
        let begin: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        PodEvent {
            time: format!("{:.9}", begin + jiff::SignedDuration::from_millis(at)),
            kind: NoticeKind::Normal,
            reason: reason.into(),
            container: container.map(String::from),
            message: message.into(),
        }
    }

    /// One init and one app with both handlers and a SIGKILL.
    #[allow(clippy::unwrap_used)]
    pub(in super::super) fn sample() -> Story {
        let (setup, web) = (Some("setup"), Some("web"));
        let events = [
            event(0, None, "SandboxCreated", "Created the pod's sandbox"),
            event(10, setup, "Created", "Created container setup"),
            event(20, setup, "Started", "Started container setup"),
            event(1020, setup, "Exited", "Container setup exited with code 0"),
            event(1030, web, "Created", "Created container web"),
            event(1040, web, "Started", "Started container web"),
            event(1040, web, "HookStarted", "Running postStart of container web"),
            event(2040, web, "HookSucceeded", "postStart of container web succeeded"),
            event(
                4000,
                None,
                "Stopping",
                "Asked to stop the pod with a grace of 2 s",
            ),
            event(4000, web, "Killing", "Stopping container web"),
            event(4000, web, "HookStarted", "Running preStop of container web"),
            event(
                5000,
                web,
                "HookFailed",
                "preStop of container web failed: exit code 1",
            ),
            event(
                6000,
                web,
                "Killed",
                "Container web did not end within its grace period, sent SIGKILL",
            ),
            event(6010, web, "Exited", "Container web was ended by signal 9"),
            event(6020, None, "Finished", "The pod's life is over"),
        ];
        let members = [
            Member {
                name: "setup".into(),
                kind: "init",
            },
            Member {
                name: "web".into(),
                kind: "",
            },
        ];
        Story::tell("shop", &members, &events, None).unwrap()
    }

    fn shape(spans: &[Span]) -> Vec<(SpanKind, Micros, Micros)> {
        spans
            .iter()
            .map(|span| (span.kind, span.from / 1000, span.to / 1000))
            .collect()
    }

    #[test]
    fn a_life_is_cut_into_spans_that_follow_each_other() {
        let story = sample();
        let web = &story.tracks[1];
        assert_eq!(
            shape(&web.spans),
            [
                (SpanKind::Created, 1030, 1040),
                (SpanKind::Running, 1040, 4000),
                (SpanKind::Terminating, 4000, 6010),
            ]
        );
        assert_eq!(
            shape(&web.hooks),
            [(SpanKind::PostStart, 1040, 2040), (SpanKind::PreStop, 4000, 5000)]
        );
        assert_eq!(
            web.hooks.iter().map(|hook| hook.failed).collect::<Vec<_>>(),
            [false, true]
        );
        assert_eq!(web.ending, "signal 9");
        assert_eq!(story.tracks[0].ending, "exit 0");
        assert_eq!(story.end, 6_020_000);
    }

    #[test]
    fn what_goes_on_ends_now() {
        let web = Some("web");
        let events = [event(0, web, "Created", ""), event(5, web, "Started", "")];
        let now = "2026-01-02T03:04:15Z".parse().ok();
        let story = Story::tell("shop", &[], &events, now).unwrap();
        assert_eq!(story.end, 10_000_000);
        assert_eq!(story.tracks[0].spans[1].to, 10_000_000);
        assert_eq!(story.tracks[0].now(story.end), Some(SpanKind::Running));
    }

    #[test]
    fn a_crash_loop_alternates_between_runs_and_waits() {
        let web = Some("web");
        let events = [
            event(0, web, "Started", ""),
            event(5, web, "Exited", "Container web exited with code 1"),
            event(6, web, "BackOff", ""),
            event(10_005, web, "Created", ""),
            event(10_006, web, "Started", ""),
            event(
                10_010,
                web,
                "Exited",
                "Container web exited with code 1, out of memory",
            ),
        ];
        let story = Story::tell("shop", &[], &events, None).unwrap();
        assert_eq!(
            shape(&story.tracks[0].spans),
            [
                (SpanKind::Running, 0, 5),
                (SpanKind::BackOff, 6, 10_005),
                (SpanKind::Created, 10_005, 10_006),
                (SpanKind::Running, 10_006, 10_010),
            ]
        );
        assert_eq!(
            (story.tracks[0].starts, story.tracks[0].ending.as_str()),
            (2, "exit 1, out of memory")
        );
    }

    #[test]
    fn a_stop_ends_the_wait_for_the_next_start() {
        let web = Some("web");
        let events = [
            event(0, web, "BackOff", ""),
            event(2000, None, "Stopping", ""),
            event(3000, None, "Finished", ""),
        ];
        let story = Story::tell("shop", &[], &events, None).unwrap();
        assert_eq!(shape(&story.tracks[0].spans), [(SpanKind::BackOff, 0, 2000)]);
    }

    #[test]
    fn nothing_makes_no_story_and_strange_events_do_no_harm() {
        assert!(Story::tell("shop", &[], &[], None).is_none());
        let events = [
            event(
                5,
                Some("web"),
                "HookSucceeded",
                "preStop of container web succeeded",
            ),
            event(3, Some("web"), "Exited", ""),
            event(1, Some("web"), "Killing", ""),
            event(0, Some("web"), "Surprise", ""),
        ];
        let story = Story::tell("shop", &[], &events, None).unwrap();
        assert!(story.tracks[0].spans.iter().all(|span| span.from <= span.to));
    }
}
