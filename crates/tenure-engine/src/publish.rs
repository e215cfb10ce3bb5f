//! What the loop tells the world: `status.json`, `events.jsonl`, and whoever watches a foreground run.

use tenure_lifecycle::{Notice, NoticeKind, PodStatus, Reason, Timestamp};

use crate::clock::Clock;
use crate::error::EngineError;
use crate::launch::Progress;
use crate::store::{EventLog, PodDir, PodEvent, Published, file_error, rfc3339, write_json};
use crate::tee::ToScreen;

/// Writes status and events. A disk that refuses them does not stop the pod: it is logged, and tried again next time.
#[derive(Debug)]
pub(crate) struct Publisher {
    dir: Option<PodDir>,
    events: Option<EventLog>,
    clock: Clock,
    names: Vec<String>,
    published: Option<PodStatus>,
    progress: Option<Progress>,
    screen: Option<ToScreen>,
}

impl Publisher {
    /// Publishes in a pod's folder. `names` are the containers', by index.
    pub(crate) fn open(
        dir: &PodDir,
        clock: Clock,
        names: Vec<String>,
        progress: Option<Progress>,
    ) -> Result<Self, EngineError> {
        let path = dir.events();
        let events = EventLog::open(&path).map_err(|source| file_error("open", &path, source))?;
        Ok(Self {
            dir: Some(dir.clone()),
            events: Some(events),
            clock,
            names,
            published: None,
            progress,
            screen: None,
        })
    }

    /// Publishes nowhere but to the log: a single bundle has no record of its own.
    pub(crate) fn nowhere(clock: Clock, names: Vec<String>) -> Self {
        Self {
            dir: None,
            events: None,
            clock,
            names,
            published: None,
            progress: None,
            screen: None,
        }
    }

    /// Tells a foreground's screen, too.
    pub(crate) fn with_screen(mut self, screen: ToScreen) -> Self {
        self.screen = Some(screen);
        self
    }

    /// Publishes a status, if it differs from the last one.
    pub(crate) fn publish(&mut self, status: PodStatus) {
        if self.published.as_ref() == Some(&status) {
            return;
        }
        if let Some(screen) = &self.screen {
            screen.tell(|news| news.status(&status));
        }
        if let Some(dir) = &self.dir {
            let published = Published {
                origin: rfc3339(self.clock.origin()),
                supervisor_pid: i32::try_from(std::process::id()).unwrap_or_default(),
                status,
            };
            match write_json(&dir.status(), &published) {
                Ok(()) => self.published = Some(published.status),
                Err(error) => tracing::error!(%error, "the status is not published"),
            }
        } else {
            self.published = Some(status);
        }
    }

    /// Tells an event of the machine's.
    pub(crate) fn notify(&mut self, now: Timestamp, notice: Notice) {
        let container = notice
            .container
            .and_then(|index| self.names.get(index.0).cloned());
        self.tell(PodEvent {
            time: rfc3339(self.clock.wall(now)),
            kind: notice.kind,
            reason: notice.reason.as_str().to_owned(),
            container,
            message: notice.message,
        });
    }

    /// Tells that something of the pod could not be removed.
    pub(crate) fn notify_leftover(&mut self, now: Timestamp, what: &str) {
        self.notify(
            now,
            Notice {
                kind: NoticeKind::Warning,
                reason: Reason::FailedDelete,
                container: None,
                message: format!("left behind: {what}"),
            },
        );
    }

    fn tell(&mut self, event: PodEvent) {
        let event = event.cut();
        tracing::info!(
            reason = event.reason,
            container = event.container,
            message = event.message
        );
        if let Some(log) = &mut self.events
            && let Err(error) = log.append(&event)
        {
            tracing::error!(%error, "an event is not recorded");
        }
        if let Some(progress) = &mut self.progress {
            (progress.0)(&event);
        }
        if let Some(screen) = &self.screen {
            screen.tell(|news| news.event(&event));
        }
    }
}
