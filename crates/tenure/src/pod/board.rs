//! The frame that `tenure pod run` draws in place: the pod's state, and what each container does or waits for.
//!
//! ```text
//! pod web  Pending, init 2/3
//!   fetch    done
//!   unpack   running for 4s
//!   migrate  waits for init 2/3 (unpack)
//!   web      waits for init 2/3 (unpack)
//! ```

use std::time::Duration;

use tenure_lifecycle::{ContainerKind, ContainerState, ContainerStatus, Phase, PodStatus, Timestamp};

use super::rough;
use crate::exit::flatten;
use crate::output;

/// What is known of a pod, as lines.
#[derive(Debug)]
pub(super) struct Board {
    pod: String,
    parts: Vec<ContainerKind>,
    status: Option<PodStatus>,
    /// Since when each container does what it does.
    since: Vec<Timestamp>,
}

impl Board {
    /// The board of a pod that has not begun. `parts` are its containers', by index.
    pub(super) fn new(pod: &str, parts: Vec<ContainerKind>) -> Self {
        Self {
            pod: pod.into(),
            since: vec![Timestamp::ZERO; parts.len()],
            parts,
            status: None,
        }
    }

    /// What the pod has become by `now`.
    pub(super) fn update(&mut self, status: PodStatus, now: Timestamp) {
        for (index, since) in self.since.iter_mut().enumerate() {
            let before = self
                .status
                .as_ref()
                .and_then(|status| status.containers.get(index));
            if before.map(doing) != status.containers.get(index).map(doing) {
                *since = now;
            }
        }
        self.status = Some(status);
    }

    /// The lines at `now`.
    pub(super) fn lines(&self, now: Timestamp) -> Vec<String> {
        let Some(status) = &self.status else {
            return Vec::new();
        };
        let mut lines = vec![format!("pod {}  {}", self.pod, self.pod_state(status))];
        let rows: Vec<Vec<String>> = status
            .containers
            .iter()
            .enumerate()
            .map(|(index, container)| vec![container.name.clone(), self.cell(index, container, now)])
            .collect();
        lines.extend(output::table(&rows).lines().map(|line| format!("  {line}")));
        lines
    }

    /// When the lines change by time alone: with the next second, where one is counted.
    pub(super) fn changes_at(&self, now: Timestamp) -> Option<Timestamp> {
        let containers = self.status.iter().flat_map(|status| &status.containers);
        let mut parts = self.parts.iter().zip(containers);
        parts
            .any(|(part, container)| is_counted(*part, container))
            .then(|| Timestamp::from_secs(now.since_origin().as_secs().saturating_add(1)))
    }

    fn pod_state(&self, status: &PodStatus) -> String {
        let phase = status.phase.as_str();
        if status.finished_at.is_some() {
            return match status.reason.as_str() {
                "" => phase.into(),
                reason => format!("{phase}, {reason}"),
            };
        }
        if status.stopping_since.is_some() {
            return format!("{phase}, stopping");
        }
        match (self.current_init(status), status.phase) {
            (Some((number, all, _)), Phase::Pending) => format!("{phase}, init {number}/{all}"),
            (None, Phase::Pending | Phase::Succeeded | Phase::Failed) => phase.into(),
            (Some(_), Phase::Succeeded | Phase::Failed) => phase.into(),
            (_, Phase::Running) => {
                let served: Vec<&ContainerStatus> = self.of(status, ContainerKind::App).collect();
                let ready = served.iter().filter(|container| container.ready).count();
                format!("{phase}, ready {ready}/{}", served.len())
            }
        }
    }

    fn of<'a>(
        &'a self,
        status: &'a PodStatus,
        part: ContainerKind,
    ) -> impl Iterator<Item = &'a ContainerStatus> {
        let both = self.parts.iter().zip(&status.containers);
        both.filter(move |(this, _)| **this == part)
            .map(|(_, container)| container)
    }

    /// The init container, sidecars counted, that the others wait for: its number, how many there are, its name.
    fn current_init<'a>(&self, status: &'a PodStatus) -> Option<(usize, usize, &'a str)> {
        let all = self
            .parts
            .iter()
            .filter(|part| **part != ContainerKind::App)
            .count();
        let mut both = self.parts.iter().zip(&status.containers).take(all).enumerate();
        both.find(|(_, (part, container))| match part {
            ContainerKind::Sidecar => !container.started,
            ContainerKind::Init | ContainerKind::App => !container.ready,
        })
        .map(|(index, (_, container))| (index + 1, all, container.name.as_str()))
    }

    /// What a container does or waits for, and what became of it before.
    fn cell(&self, index: usize, container: &ContainerStatus, now: Timestamp) -> String {
        let part = self.parts.get(index).copied().unwrap_or(ContainerKind::App);
        let since = self.since.get(index).copied().unwrap_or(now);
        let mut cell = match (container.activity.as_str(), container.activity_until) {
            ("", _) => self.at_rest(part, container),
            ("awaiting turn", _) => "waits for its turn to stop".into(),
            ("back-off", Some(until)) => format!("back-off, starts again in {}", left(now, until)),
            (activity, _) => activity.into(),
        };
        if is_counted(part, container) && container.activity != "back-off" {
            cell.push_str(&for_seconds(since, now));
        }
        if let ("preStop" | "terminating", Some(until)) =
            (container.activity.as_str(), container.activity_until)
        {
            cell.push_str(&format!(", SIGKILL in {}", left(now, until)));
        }
        if container.restart_count > 0 {
            cell.push_str(&format!(", restarts {}", container.restart_count));
        }
        if let Some(last) = container.last.as_ref().filter(|last| last.exit_code != 0) {
            cell.push_str(&format!(", last {} {}", last.reason, last.exit_code));
        }
        cell
    }

    /// The state of a container in which nothing special goes on.
    fn at_rest(&self, part: ContainerKind, container: &ContainerStatus) -> String {
        match &container.state {
            ContainerState::Terminated(ended) if ended.exit_code == 0 => "done".into(),
            ContainerState::Terminated(ended) => format!("{} {}", ended.reason, ended.exit_code),
            ContainerState::Running { .. } if part == ContainerKind::Init => "running".into(),
            ContainerState::Running { .. } if container.ready => "running, ready".into(),
            ContainerState::Running { .. } => "running, not ready".into(),
            ContainerState::Waiting { reason, message } => match reason.as_str() {
                "PodInitializing" | "ContainerCreating" => self.waits(container),
                reason if message.is_empty() => reason.into(),
                reason => format!("{reason}: {}", flatten(message)),
            },
        }
    }

    /// What a container waits for that has not run yet.
    fn waits(&self, container: &ContainerStatus) -> String {
        let status = self.status.as_ref();
        if status.is_some_and(|status| status.stopping_since.is_some() || status.phase.is_terminal()) {
            return "never ran".into();
        }
        match status.and_then(|status| self.current_init(status)) {
            Some((number, all, name)) if name != container.name => {
                format!("waits for init {number}/{all} ({name})")
            }
            Some(_) | None => "waits".into(),
        }
    }
}

/// What tells one thing that a container does from the next.
fn doing(container: &ContainerStatus) -> (&str, u32, u8) {
    let state = match container.state {
        ContainerState::Waiting { .. } => 0,
        ContainerState::Running { .. } => 1,
        ContainerState::Terminated(_) => 2,
    };
    (&container.activity, container.restart_count, state)
}

/// Whether the seconds of what a container does are shown: it is to end, and others may wait for that.
fn is_counted(part: ContainerKind, container: &ContainerStatus) -> bool {
    match container.activity.as_str() {
        "" => part == ContainerKind::Init && matches!(container.state, ContainerState::Running { .. }),
        "awaiting turn" => false,
        _ => true,
    }
}

fn for_seconds(since: Timestamp, now: Timestamp) -> String {
    match passed(since, now).as_secs() {
        0 => String::new(),
        seconds => format!(" for {}", rough(i64::try_from(seconds).unwrap_or(i64::MAX))),
    }
}

fn left(now: Timestamp, until: Timestamp) -> String {
    let left = passed(now, until).as_millis().div_ceil(1000);
    rough(i64::try_from(left).unwrap_or(i64::MAX))
}

fn passed(from: Timestamp, to: Timestamp) -> Duration {
    to.since_origin().saturating_sub(from.since_origin())
}

#[cfg(test)]
mod tests;
