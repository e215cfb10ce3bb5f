//! Init containers (`lifecycle-semantics 4`): S58, S62 to S66.

mod support;

use support::*;
use tenure_lifecycle::{ConditionType, Phase, Reason, StateName};

#[test]
fn s62_inits_run_one_after_the_other_and_then_the_app() {
    let life = pod(Always)
        .with(init("i1").exits(1.0, 0))
        .with(init("i2").exits(1.0, 0))
        .with(app("app"))
        .live_for(10.0);
    assert_eq!(life.created("i1"), [0.0]);
    assert_eq!(life.created("i2"), [1.0]);
    assert_eq!(life.created("app"), [2.0]);
    assert_eq!(life.phase_at(1.5), Phase::Pending);
    assert_eq!(life.state_at(1.5, "app"), "PodInitializing");
    assert_eq!(life.state_at(1.5, "i1"), "Completed");
    assert_eq!(life.state_at(1.5, "i2"), "Running");
    let initialised = |at| {
        let conditions = &life.status_at(at).conditions;
        conditions
            .iter()
            .find(|condition| condition.kind == ConditionType::Initialized)
            .unwrap()
            .clone()
    };
    assert!(!initialised(1.9).holds);
    assert_eq!(initialised(1.9).reason, "ContainersNotInitialized");
    assert!(initialised(2.0).holds);
    assert_eq!(initialised(5.0).since, t(2.0));
    assert_eq!(life.phase_at(2.0), Phase::Running);
}

#[test]
fn the_next_container_does_not_wait_for_the_last_ones_delete() {
    let life = pod(Never)
        .with(init("init").exits(1.0, 0).delete(5.0, None))
        .with(app("app").exits(1.0, 0))
        .live();
    assert_eq!(life.created("app"), [1.0]);
    assert_eq!(life.deleted("app"), [2.0]);
    assert_eq!(life.finished(), Some(6.0), "the sandbox waits for every delete");
}

#[test]
fn s63_a_failed_init_fails_the_pod_and_stops_running_sidecars() {
    let life = pod(Never)
        .with(sidecar("s").on_signal(1.0, 0))
        .with(init("i1").exits(2.0, 1))
        .with(init("i2"))
        .with(app("app"))
        .live();
    assert!(life.created("i2").is_empty());
    assert!(life.created("app").is_empty());
    assert_eq!(life.signalled("s"), [2.0]);
    assert_eq!(life.end().phase, Phase::Failed);
    assert_eq!(life.end().exit_code, 1);
    assert_eq!(life.finished(), Some(3.0));
}

#[test]
fn s64_a_failing_init_is_retried_with_back_off() {
    let life = pod(Always)
        .with(init("i1").exits_in_turn(&[(1.0, 1), (1.0, 1), (1.0, 0)]))
        .with(app("app"))
        .live_for(60.0);
    assert_eq!(life.created("i1"), [0.0, 1.0, 12.0]);
    assert_eq!(life.created("app"), [13.0]);
    assert_eq!(life.container_at(50.0, "i1").restart_count, 2);
    assert_eq!(life.told(Reason::BackOff), [2.0]);
    assert_eq!(life.phase_at(5.0), Phase::Pending);
}

#[test]
fn s65_on_failure_retries_a_failing_init_as_well() {
    let life = pod(OnFailure)
        .with(init("i1").exits_in_turn(&[(1.0, 1), (1.0, 1), (1.0, 0)]))
        .with(app("app").exits(1.0, 0))
        .live();
    assert_eq!(life.created("i1"), [0.0, 1.0, 12.0]);
    assert_eq!(life.created("app"), [13.0]);
    assert_eq!(life.end().phase, Phase::Succeeded);
}

#[test]
fn s66_inits_are_not_run_again_when_the_app_restarts() {
    let life = pod(Always)
        .with(init("i1").exits(1.0, 0))
        .with(app("app").exits(1.0, 1))
        .live_for(50.0);
    assert_eq!(life.created("i1"), [0.0]);
    assert_eq!(life.created("app"), [1.0, 2.0, 13.0, 34.0]);
    assert_eq!(life.phase_at(20.0), Phase::Running);
}

#[test]
fn s58_a_stop_during_an_init_ends_in_time_and_starts_no_sidecar() {
    let life = pod(Always)
        .grace(3.0)
        .with(init("init").ignores_signal())
        .with(sidecar("s1"))
        .with(sidecar("s2"))
        .with(app("app"))
        .stop(1.0, None)
        .live();
    assert_eq!(life.signalled("init"), [1.0]);
    assert_eq!(life.killed("init"), [4.0]);
    assert!(life.created("s1").is_empty());
    assert_eq!(life.finished(), Some(4.0));
    assert_eq!(life.end().exit_code, 137);
    assert_eq!(life.state_at(100.0, "app"), "PodInitializing");
    assert!(!life.container_at(100.0, "app").ever_created);
}

#[test]
fn a_stop_between_two_inits_starts_nothing_more() {
    let life = pod(Always)
        .with(init("i1").exits(1.0, 0))
        .with(init("i2").create(2.0, None))
        .with(app("app"))
        .stop(2.0, None)
        .live();
    assert!(life.started("i2").is_empty());
    assert!(life.created("app").is_empty());
    assert_eq!(life.finished(), Some(3.0));
    assert_eq!(life.end().exit_code, 143);
}

#[test]
fn a_stop_while_an_init_backs_off_gives_its_code() {
    let life = pod(Always)
        .with(init("i1").exits(1.0, 9))
        .with(app("app"))
        .stop(5.0, None)
        .live();
    assert_eq!(life.finished(), Some(5.0));
    assert_eq!(life.end().exit_code, 9);
    assert_eq!(
        life.world
            .machine()
            .container_state(tenure_lifecycle::ContainerIndex(0)),
        Some(StateName::Deleted)
    );
}
