#![allow(clippy::unwrap_used)]

use std::io::Read;

use tenure_lifecycle::{ContainerPlan, DEFAULT_MAX_BACKOFF, ExitStatus, Terminated, Timestamp};

use super::*;

fn plan(restart: RestartPolicy, apps: usize) -> PodPlan {
    let container = |kind| ContainerPlan {
        name: "c".into(),
        kind,
        restart,
        restart_rules: Vec::new(),
        post_start: None,
        pre_stop: None,
        probes: tenure_lifecycle::ProbePlans::default(),
    };
    let mut containers = vec![container(ContainerKind::Init)];
    containers.extend((0..apps).map(|_| container(ContainerKind::App)));
    PodPlan {
        containers,
        grace: std::time::Duration::from_secs(30),
        active_deadline: None,
        max_backoff: DEFAULT_MAX_BACKOFF,
    }
}

fn waiting() -> ContainerState {
    ContainerState::Waiting {
        reason: "ContainerCreating".into(),
        message: String::new(),
    }
}

fn running() -> ContainerState {
    ContainerState::Running {
        started_at: Timestamp::ZERO,
    }
}

fn ended(code: u8, reason: &str, message: &str) -> ContainerState {
    ContainerState::Terminated(Terminated {
        status: Some(ExitStatus::Code(code)),
        exit_code: code,
        reason: reason.into(),
        message: message.into(),
        started_at: None,
        finished_at: Timestamp::ZERO,
        restart_count: 0,
    })
}

fn status(phase: Phase, states: Vec<ContainerState>) -> PodStatus {
    let containers = states
        .into_iter()
        .enumerate()
        .map(|(index, state)| ContainerStatus {
            name: format!("c{index}"),
            state,
            last: None,
            restart_count: 0,
            ready: false,
            started: false,
            ever_created: true,
            activity: String::new(),
            activity_until: None,
        });
    PodStatus {
        phase,
        reason: String::new(),
        message: String::new(),
        conditions: Vec::new(),
        stopping_since: None,
        finished_at: None,
        containers: containers.collect(),
        exit_code: 0,
    }
}

/// What the pipe gets from these statuses in turn.
fn told(restart: RestartPolicy, statuses: &[PodStatus]) -> String {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let apps = statuses[0].containers.len() - 1;
    let mut ready = Ready::new(writer.into(), &plan(restart, apps));
    for status in statuses {
        ready.observe(status);
    }
    drop(ready);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_pod_is_up_once_every_app_has_been_seen_running() {
    let done = ended(0, "Completed", "");
    let first = status(Phase::Pending, vec![done.clone(), running(), waiting()]);
    // The first app has failed by the time the second one runs; up it was.
    let failed = ended(1, "Error", "");
    let second = status(Phase::Running, vec![done, failed, running()]);
    assert_eq!(
        told(RestartPolicy::Never, &[first.clone(), second]),
        "{\"ready\":true}\n"
    );
    assert_eq!(told(RestartPolicy::Never, &[first]), "");
}

#[test]
fn an_app_that_has_completed_counts_as_up() {
    let done = ended(0, "Completed", "");
    let both = status(Phase::Succeeded, vec![done.clone(), done]);
    assert_eq!(told(RestartPolicy::Never, &[both]), "{\"ready\":true}\n");
}

#[test]
fn a_failed_init_container_is_told_with_its_reason() {
    let failed = ended(3, "Error", "no such key\nmore");
    let status = status(Phase::Failed, vec![failed, waiting()]);
    assert_eq!(
        told(RestartPolicy::Never, &[status]),
        "{\"error\":\"container c0: Error (exit code 3): no such key\",\"code\":125}\n"
    );
}

#[test]
fn an_app_that_cannot_start_and_will_not_be_tried_again_is_told_at_once() {
    let lost = ended(128, "StartError", "not found");
    let states = vec![ended(0, "Completed", ""), lost, running()];
    let seen = status(Phase::Running, states.clone());
    let text = told(RestartPolicy::Never, &[seen]);
    assert_eq!(
        text,
        "{\"error\":\"container c1: StartError (exit code 128): not found\",\"code\":125}\n"
    );
    // With another policy it is tried again: not yet lost.
    assert_eq!(told(RestartPolicy::Always, &[status(Phase::Running, states)]), "");
}

#[test]
fn the_end_of_the_pod_is_an_answer_too() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let ready = Ready::new(writer.into(), &plan(RestartPolicy::Always, 1));
    let mut last = status(Phase::Failed, vec![waiting(), waiting()]);
    last.reason = "FailedCreatePodSandBox".into();
    last.message = "no cgroup".into();
    ready.finish(&last);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(
        text,
        "{\"error\":\"FailedCreatePodSandBox: no cgroup\",\"code\":125}\n"
    );
}
