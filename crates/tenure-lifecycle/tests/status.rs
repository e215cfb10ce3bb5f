//! What is published (`lifecycle-semantics 5 reasons, 7`) beside what the other files look at in passing.

#![allow(clippy::unwrap_used)] // In the functions that the tests share.

mod support;

use support::simulator::event;
use support::*;
use tenure_lifecycle::HandlerKind::Exec;
use tenure_lifecycle::{
    Condition, ConditionType, ContainerEvent, ContainerIndex, ContainerState, Event, Exit, ExitStatus, Phase,
    PodMachine, PodStage, Reason, StateName,
};

fn condition(life: &Life, at: f64, kind: ConditionType) -> Condition {
    let conditions = &life.status_at(at).conditions;
    conditions
        .iter()
        .find(|condition| condition.kind == kind)
        .unwrap()
        .clone()
}

#[test]
fn conditions_follow_the_life_and_keep_the_time_of_their_last_change() {
    use ConditionType::{ContainersReady, Initialized, PodReadyToStartContainers, PodScheduled, Ready};
    let life = pod(Never)
        .with(
            app("app")
                .post_start(Exec, ok(2.0))
                .exits(10.0, 0)
                .delete(3.0, None),
        )
        .live();
    let holds = |at, kind| condition(&life, at, kind).holds;
    assert!(holds(1.0, PodScheduled));
    assert!(holds(1.0, PodReadyToStartContainers));
    assert!(holds(1.0, Initialized), "there are no init containers");
    assert!(!holds(1.0, ContainersReady));
    assert_eq!(condition(&life, 1.0, Ready).reason, "ContainersNotReady");
    assert!(holds(2.0, ContainersReady));
    assert!(holds(5.0, Ready));
    assert_eq!(condition(&life, 5.0, Ready).since, t(2.0));
    assert_eq!(condition(&life, 10.0, Ready).reason, "PodCompleted");
    assert_eq!(condition(&life, 10.0, Ready).since, t(10.0));
    assert!(!holds(13.0, PodReadyToStartContainers));
    assert!(holds(13.0, Initialized));
}

#[test]
fn a_failed_pod_says_so_in_its_conditions() {
    let life = pod(Never).with(app("app").exits(10.0, 1)).live();
    assert_eq!(
        condition(&life, 10.0, ConditionType::ContainersReady).reason,
        "PodFailed"
    );
    assert!(
        condition(&life, 10.0, ConditionType::Initialized).holds,
        "the app ran once"
    );
}

#[test]
fn a_pod_is_pending_till_every_container_has_come_up_once() {
    let life = pod(Always)
        .with(app("a"))
        .with(app("b").create(3.0, None))
        .live_for(10.0);
    assert_eq!(life.state_at(1.0, "a"), "Running");
    assert_eq!(life.phase_at(1.0), Phase::Pending);
    assert_eq!(life.container_at(1.0, "b").activity, "creating");
    assert_eq!(life.phase_at(3.0), Phase::Running);
}

#[test]
fn a_restarting_container_shows_its_last_end() {
    let life = pod(Always)
        .with(app("a").exits(5.0, 3).post_start(Exec, ok(1.0)))
        .live_for(5.5);
    let status = life.container_at(5.5, "a");
    assert_eq!(life.state_at(5.5, "a"), "ContainerCreating");
    assert_eq!(status.restart_count, 1);
    let last = status.last.clone().unwrap();
    assert_eq!((last.exit_code, last.restart_count), (3, 0));
    assert_eq!((last.started_at, last.finished_at), (Some(t(0.0)), t(5.0)));
    assert_eq!(life.phase_at(5.5), Phase::Running);
}

#[test]
fn a_stop_shows_what_goes_on_and_until_when() {
    let life = pod(Always)
        .grace(20.0)
        .with(app("a").pre_stop(Exec, ok(5.0)).ignores_signal())
        .stop(10.0, None)
        .live();
    let activity = |at| {
        let status = life.container_at(at, "a");
        (status.activity.clone(), status.activity_until)
    };
    assert_eq!(activity(11.0), ("preStop".to_owned(), Some(t(30.0))));
    assert_eq!(activity(16.0), ("terminating".to_owned(), Some(t(30.0))));
    assert_eq!(life.state_at(16.0, "a"), "Running");
    assert_eq!(life.status_at(16.0).stopping_since, Some(t(10.0)));
    assert_eq!(life.status_at(16.0).finished_at, None);
    assert_eq!(activity(30.0), (String::new(), None));
}

fn running_machine() -> PodMachine {
    let mut world = pod(Never).with(app("a")).world();
    world.run_until(t(1.0));
    world.machine().clone()
}

fn reason_of(exit: Exit) -> String {
    let mut machine = running_machine();
    machine
        .on_event(t(2.0), event(0, ContainerEvent::Exited(exit)))
        .unwrap();
    match &machine.status().containers[0].state {
        ContainerState::Terminated(terminated) => terminated.reason.clone(),
        other => format!("{other:?}"),
    }
}

#[test]
fn s84_an_out_of_memory_kill_is_told_by_its_reason() {
    let mut killed = Exit::plain(ExitStatus::Signal(9));
    killed.oom_killed = true;
    assert_eq!(reason_of(killed), "OOMKilled");
    let mut unharmed = Exit::plain(ExitStatus::Code(0));
    unharmed.oom_killed = true;
    assert_eq!(
        reason_of(unharmed),
        "Completed",
        "a child was killed, the program was not"
    );
}

#[test]
fn an_exit_that_nobody_saw_has_its_own_reason() {
    assert_eq!(
        reason_of(Exit::plain(ExitStatus::Unknown)),
        "ContainerStatusUnknown"
    );
}

#[test]
fn the_termination_message_is_published() {
    let mut machine = running_machine();
    let mut exit = Exit::plain(ExitStatus::Code(1));
    exit.message = "could not bind".to_owned();
    machine
        .on_event(t(2.0), event(0, ContainerEvent::Exited(exit)))
        .unwrap();
    let ContainerState::Terminated(terminated) = &machine.status().containers[0].state else {
        panic!("not terminated");
    };
    assert_eq!(terminated.message, "could not bind");
}

#[test]
fn the_phase_is_terminal_at_the_last_exit_and_before_the_deletes() {
    let life = pod(Never).with(app("a").exits(1.0, 0).delete(5.0, None)).live();
    assert_eq!(life.phase_at(1.0), Phase::Succeeded);
    assert_eq!(life.finished(), Some(6.0));
}

#[test]
fn the_end_is_told_with_phase_and_code() {
    let life = pod(Never).with(app("a").exits(1.0, 4)).live();
    assert_eq!(
        life.notices(Reason::Finished),
        [(1.0, "The pod is Failed, exit code 4".to_owned())]
    );
}

#[test]
fn an_event_of_a_container_that_does_not_exist_is_absorbed() {
    let mut machine = running_machine();
    let before = machine.status();
    assert_eq!(
        machine.on_event(t(2.0), event(7, ContainerEvent::Started)),
        Ok(Vec::new())
    );
    assert_eq!(machine.status(), before);
}

#[test]
fn states_and_stage_can_be_read_for_the_log() {
    let mut machine = running_machine();
    assert_eq!(machine.stage(), PodStage::Active);
    assert_eq!(
        machine.container_state(ContainerIndex(0)),
        Some(StateName::Running)
    );
    assert_eq!(machine.container_state(ContainerIndex(1)), None);
    assert_eq!(machine.next_deadline(), None);
    assert_eq!(machine.on_event(t(3.0), Event::Tick), Ok(Vec::new()));
}
