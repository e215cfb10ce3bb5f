//! A pod that runs while the test looks at it.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::{Outcome, Spawned, finish, run, spawn};
use crate::host::Host;
use crate::log::{Event, Line, parse_cri_log, parse_events};
use crate::timing::{seconds_between, wait_until};

/// Limit for everything that a pod is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// A pod of a test, alive or ended.
pub struct RunningPod<'h> {
    /// The host it runs on.
    pub host: &'h Host,
    /// The pod's name.
    pub name: String,
    /// When `tenure pod run` was called.
    pub begun: Timestamp,
    foreground: RefCell<Option<Spawned>>,
}

impl<'h> RunningPod<'h> {
    pub(crate) fn spawn(host: &'h Host, name: String, command: &mut Command) -> Self {
        let begun = Timestamp::now();
        Self {
            host,
            name,
            begun,
            foreground: RefCell::new(Some(spawn(command))),
        }
    }

    pub(crate) fn detached(host: &'h Host, name: String) -> Self {
        Self {
            host,
            name,
            begun: Timestamp::now(),
            foreground: RefCell::new(None),
        }
    }

    /// Waits for `tenure pod run` to end.
    #[track_caller]
    pub fn finish(&self) -> Outcome {
        let spawned = self
            .foreground
            .borrow_mut()
            .take()
            .expect("the pod was run in the foreground, and not finished");
        finish(spawned, LIMIT)
    }

    /// Whether the foreground command is still running.
    pub fn is_running(&self) -> bool {
        self.foreground
            .borrow_mut()
            .as_mut()
            .is_some_and(Spawned::is_running)
    }

    /// Sends a signal to the foreground command.
    pub fn signal(&self, signal: Signal) {
        let foreground = self.foreground.borrow();
        let pid = foreground.as_ref().expect("the pod runs in the foreground").id();
        kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
    }

    /// `tenure pod stop`, to its end. Gives what came of it, and when it was called.
    #[track_caller]
    pub fn stop(&self, arguments: &[&str]) -> Stopped {
        let asked = Timestamp::now();
        let mut all = vec!["pod", "stop", &self.name];
        all.extend(arguments);
        let outcome = run(&mut self.host.tenure(&all), LIMIT);
        Stopped { asked, outcome }
    }

    /// Starts `tenure pod stop` and does not wait for it.
    #[track_caller]
    pub fn begin_stop(&self, arguments: &[&str]) -> Spawned {
        let mut all = vec!["pod", "stop", &self.name];
        all.extend(arguments);
        spawn(&mut self.host.tenure(&all))
    }

    /// The pod's directory under the root.
    pub fn directory(&self) -> PathBuf {
        self.host.root().join("pods").join(&self.name)
    }

    /// The pod object as `tenure pod status -o json` prints it.
    #[track_caller]
    pub fn object(&self) -> Pod {
        let outcome = self.host.run(&["pod", "status", &self.name, "-o", "json"]).ok();
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}"))
    }

    /// The pod's status.
    #[track_caller]
    pub fn status(&self) -> PodStatus {
        self.object().status.expect("the pod has a status")
    }

    /// Waits until the status is as wanted and gives it.
    #[track_caller]
    pub fn until_status(&self, what: &str, wanted: impl Fn(&PodStatus) -> bool) -> PodStatus {
        let found = wait_until(LIMIT, || {
            let outcome = self.host.run(&["pod", "status", &self.name, "-o", "json"]);
            let pod: Pod = serde_json::from_str(&outcome.stdout).ok()?;
            pod.status.filter(&wanted)
        });
        found.unwrap_or_else(|| panic!("waited in vain for {what}; the status is {:#?}", self.status()))
    }

    /// Waits until the pod has a phase.
    #[track_caller]
    pub fn until_phase(&self, phase: &str) -> PodStatus {
        self.until_status(phase, |status| status.phase.as_deref() == Some(phase))
    }

    /// The status of a container, init or app.
    #[track_caller]
    pub fn container(&self, name: &str) -> ContainerStatus {
        container_of(&self.status(), name)
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Event> {
        parse_events(&fs::read_to_string(self.directory().join("events.jsonl")).unwrap_or_default())
    }

    /// The events with a reason.
    pub fn events_of(&self, reason: &str) -> Vec<Event> {
        self.events()
            .into_iter()
            .filter(|event| event.reason == reason)
            .collect()
    }

    /// The first event with this reason about this container.
    #[track_caller]
    pub fn event(&self, reason: &str, container: &str) -> Event {
        let events = self.events();
        let wanted = |event: &&Event| event.reason == reason && event.container.as_deref() == Some(container);
        events
            .iter()
            .find(wanted)
            .cloned()
            .unwrap_or_else(|| panic!("no {reason} of {container} in {events:#?}"))
    }

    /// Waits for an event with this reason about this container.
    #[track_caller]
    pub fn until_event(&self, reason: &str, container: &str) -> Event {
        let find = || {
            let events = self.events_of(reason);
            events
                .into_iter()
                .find(|event| event.container.as_deref() == Some(container))
        };
        wait_until(LIMIT, find)
            .unwrap_or_else(|| panic!("waited in vain for {reason} of {container}: {:#?}", self.events()))
    }

    /// The lines of a container's instance; 0 is the first.
    pub fn log_of(&self, container: &str, restarts: u32) -> Vec<Line> {
        let file = self
            .directory()
            .join("logs")
            .join(container)
            .join(format!("{restarts}.log"));
        parse_cri_log(&fs::read_to_string(file).unwrap_or_default())
    }

    /// The texts of the lines of a container's first instance.
    pub fn log(&self, container: &str) -> Vec<String> {
        self.log_of(container, 0)
            .into_iter()
            .map(|line| line.text)
            .collect()
    }

    /// When the first instance of a container wrote a line that contains `text`.
    #[track_caller]
    pub fn wrote(&self, container: &str, text: &str) -> Timestamp {
        let lines = self.log_of(container, 0);
        let line = lines.iter().find(|line| line.text.contains(text));
        line.unwrap_or_else(|| {
            panic!(
                "{container} wrote no {text:?} but {lines:#?}; events {:#?}",
                self.events()
            )
        })
        .at
    }

    /// Waits until the first instance of a container has written a line that contains `text`.
    #[track_caller]
    pub fn until_wrote(&self, container: &str, text: &str) -> Timestamp {
        let find = || {
            let lines = self.log_of(container, 0);
            lines
                .iter()
                .find(|line| line.text.contains(text))
                .map(|line| line.at)
        };
        let early = || {
            self.foreground
                .borrow_mut()
                .as_mut()
                .is_some_and(|run| !run.is_running())
        };
        let found = wait_until(LIMIT, || find().map(Some).or_else(|| early().then(find)));
        found.flatten().unwrap_or_else(|| {
            let outcome = if early() {
                self.finish().to_string()
            } else {
                "the pod is running".to_owned()
            };
            panic!(
                "{container} did not write {text:?} but {:#?}; {outcome}",
                self.log(container)
            )
        })
    }
}

/// The status of a container in a pod's status. Panics when there is none.
#[track_caller]
fn container_of(status: &PodStatus, name: &str) -> ContainerStatus {
    let apps = status.container_statuses.iter().flatten();
    let mut all = status.init_container_statuses.iter().flatten().chain(apps);
    let found = all.find(|container| container.name == name);
    found
        .cloned()
        .unwrap_or_else(|| panic!("no container {name} in {status:#?}"))
}

/// What came of `tenure pod stop`.
pub struct Stopped {
    /// When it was called.
    pub asked: Timestamp,
    /// What it ended with.
    pub outcome: Outcome,
}

impl Stopped {
    /// Seconds from the call to its return. Panics unless it succeeded.
    #[track_caller]
    pub fn seconds(&self) -> f64 {
        assert!(self.outcome.code == 0, "{}", self.outcome);
        self.outcome.took.as_secs_f64()
    }

    /// Seconds from the call to a moment.
    pub fn until(&self, moment: Timestamp) -> f64 {
        seconds_between(self.asked, moment)
    }
}
