//! What `pod run -d` waits for: start-up succeeded, or failed for good.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use serde::Serialize;
use tenure_lifecycle::{ContainerKind, ContainerState, ContainerStatus, Phase, PodPlan, PodStatus};
use tenure_spec::RestartPolicy;

use crate::error::{EngineError, line};

/// The code that `-d` ends with when start-up failed for good (`cli.md`).
const FAILED: u8 = 125;

/// Watches a pod's start-up and tells the outcome once.
#[derive(Debug)]
pub(crate) struct Ready {
    pipe: Option<OwnedFd>,
    /// The apps by index: has it been seen up, and may it never restart?
    apps: Vec<App>,
}

#[derive(Debug)]
struct App {
    index: usize,
    up: bool,
    final_at_once: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Verdict {
    Up { ready: bool },
    Failed { error: String, code: u8 },
}

impl Ready {
    pub(crate) fn new(pipe: OwnedFd, plan: &PodPlan) -> Self {
        let ends_for_good = !plan.may_restart_all_containers();
        let apps = plan
            .containers
            .iter()
            .enumerate()
            .filter(|(_, container)| container.kind == ContainerKind::App)
            .map(|(index, container)| App {
                index,
                up: false,
                final_at_once: container.restart == RestartPolicy::Never
                    && container.restart_rules.is_empty()
                    && ends_for_good,
            })
            .collect();
        Self {
            pipe: Some(pipe),
            apps,
        }
    }

    /// Looks at every published status; true when start-up is over with this one.
    pub(crate) fn observe(&mut self, status: &PodStatus) -> bool {
        if self.pipe.is_none() {
            return false;
        }
        match self.judge(status) {
            Some(verdict) => {
                self.tell(&verdict);
                true
            }
            None => false,
        }
    }

    /// The pod's life is over: whoever still waits is told how.
    pub(crate) fn finish(mut self, status: &PodStatus) {
        if self.pipe.is_some() {
            let verdict = if status.phase == Phase::Succeeded {
                Verdict::Up { ready: true }
            } else {
                failed(explain(status))
            };
            self.tell(&verdict);
        }
    }

    /// The pod could not even begin.
    pub(crate) fn refuse(pipe: OwnedFd, error: &EngineError) {
        let mut ready = Self {
            pipe: Some(pipe),
            apps: Vec::new(),
        };
        ready.tell(&failed(line(error)));
    }

    fn judge(&mut self, status: &PodStatus) -> Option<Verdict> {
        let mut lost = None;
        for app in &mut self.apps {
            let Some(container) = status.containers.get(app.index) else {
                continue;
            };
            app.up |= is_up(container);
            if !app.up && app.final_at_once && matches!(container.state, ContainerState::Terminated(_)) {
                lost = Some(describe(container));
            }
        }
        if self.apps.iter().all(|app| app.up) {
            Some(Verdict::Up { ready: true })
        } else if status.phase == Phase::Failed {
            Some(failed(explain(status)))
        } else {
            lost.map(failed)
        }
    }

    fn tell(&mut self, verdict: &Verdict) {
        let Some(pipe) = self.pipe.take() else { return };
        let mut line = serde_json::to_vec(verdict).unwrap_or_default();
        line.push(b'\n');
        if let Err(error) = File::from(pipe).write_all(&line) {
            tracing::warn!(%error, "nobody waits for the start-up any more");
        }
    }
}

fn failed(error: String) -> Verdict {
    Verdict::Failed { error, code: FAILED }
}

/// Running as published means that postStart has returned (`lifecycle-semantics 2.2`); ended well counts too.
fn is_up(container: &ContainerStatus) -> bool {
    match &container.state {
        ContainerState::Running { .. } => true,
        ContainerState::Terminated(end) => end.reason == "Completed",
        ContainerState::Waiting { .. } => false,
    }
}

/// Why the pod failed, in one line.
fn explain(status: &PodStatus) -> String {
    let failed = status.containers.iter().find(
        |container| matches!(&container.state, ContainerState::Terminated(end) if end.reason != "Completed"),
    );
    let waiting = status.containers.iter().find(|container| {
        matches!(&container.state, ContainerState::Waiting { message, .. } if !message.is_empty())
    });
    match (status.reason.as_str(), failed.or(waiting)) {
        ("", Some(container)) => describe(container),
        ("", None) => "the pod ended before it was up".to_owned(),
        (reason, _) if status.message.is_empty() => reason.to_owned(),
        (reason, _) => format!("{reason}: {}", status.message),
    }
}

fn describe(container: &ContainerStatus) -> String {
    let (reason, message) = match &container.state {
        ContainerState::Waiting { reason, message } => (reason.clone(), message),
        ContainerState::Terminated(end) => (
            format!("{} (exit code {})", end.reason, end.exit_code),
            &end.message,
        ),
        ContainerState::Running { .. } => return format!("container {} runs", container.name),
    };
    let message = message.lines().next().unwrap_or_default();
    if message.is_empty() {
        format!("container {}: {reason}", container.name)
    } else {
        format!("container {}: {reason}: {message}", container.name)
    }
}

#[cfg(test)]
mod tests;
