//! Restarts of all containers (`lifecycle-semantics 5.3, 5.9`; KEP-5532).

mod support;

use support::*;
use tenure_lifecycle::HandlerKind::Exec;
use tenure_lifecycle::{Condition, ConditionType, ContainerState, Phase, PodStatus, Reason, Request};

#[allow(clippy::expect_used)] // A pod without the rule is a mistake in this file.
fn restarting(status: &PodStatus) -> &Condition {
    let mut all = status.conditions.iter();
    all.find(|condition| condition.kind == ConditionType::AllContainersRestarting)
        .expect("a pod with such a rule has the condition")
}

fn initialised(status: &PodStatus) -> bool {
    let mut all = status.conditions.iter();
    all.any(|condition| condition.kind == ConditionType::Initialized && condition.holds)
}

fn counts(status: &PodStatus) -> Vec<u32> {
    let containers = status.containers.iter();
    containers.map(|container| container.restart_count).collect()
}

/// An init container, a sidecar, an app that runs on and one that ends with 88 at 5 s and at last with 0.
fn watched() -> Pod {
    pod(Never)
        .with(init("init").exits(1.0, 0))
        .with(sidecar("side").pre_stop(Exec, ok(3.0)).on_signal(1.0, 0))
        .with(app("app").pre_stop(Exec, ok(3.0)).on_signal(0.5, 7))
        .with(
            app("trigger")
                .policy(Never)
                .restarts_all_on(&[88])
                .exits_in_turn(&[(4.0, 88), (4.0, 0)]),
        )
}

#[test]
fn an_exit_with_such_a_code_ends_all_without_pre_stop_and_order_and_begins_with_the_inits() {
    let life = watched().live_for(9.0);
    assert_eq!(life.signalled("side"), [5.0], "no turn is awaited");
    assert_eq!(life.signalled("app"), [5.0]);
    assert_eq!(life.deleted("app"), [5.5]);
    assert_eq!(life.deleted("trigger"), [6.0], "the last one");
    assert!(life.ran_pre_stop("side").is_empty() && life.ran_pre_stop("app").is_empty());
    assert_eq!(life.created("init"), [0.0, 6.0]);
    for name in ["side", "app", "trigger"] {
        assert_eq!(life.created(name), [1.0, 7.0], "{name}");
    }
    assert_eq!(counts(life.status_at(8.0)), [1, 1, 1, 1]);
    let last = |name| {
        life.container_at(8.0, name)
            .last
            .as_ref()
            .map(|last| last.exit_code)
    };
    assert_eq!(
        ["init", "side", "app", "trigger"].map(last),
        [Some(0), Some(0), Some(7), Some(88)]
    );
    assert_eq!(
        life.notices(Reason::RestartingAllContainers),
        [(
            5.0,
            "Container trigger exited with code 88, restarting all containers".to_owned()
        )]
    );
}

#[test]
fn while_all_are_restarted_the_status_says_so() {
    let life = watched().live_for(9.0);
    let before = life.status_at(4.0);
    assert_eq!(
        (restarting(before).holds, restarting(before).reason.as_str()),
        (false, "")
    );
    let during = life.status_at(5.7);
    assert_eq!(
        (restarting(during).holds, restarting(during).reason.as_str()),
        (true, "RestartAllContainersStarted")
    );
    assert_eq!(during.phase, Phase::Pending, "an init container is to run");
    assert!(initialised(during), "once initialised, a pod stays so");
    assert_eq!(life.state_at(5.7, "app"), "RestartingAllContainers");
    assert_eq!(life.state_at(5.7, "side"), "Running");
    assert_eq!(life.state_at(5.7, "trigger"), "Error");
    assert!(!restarting(life.status_at(6.0)).holds, "all are deleted");
    assert_eq!(life.state_at(6.5, "app"), "PodInitializing");
    assert_eq!(life.phase_at(6.5), Phase::Pending);
    assert_eq!(life.phase_at(8.0), Phase::Running);
}

#[test]
fn a_pod_without_such_a_rule_has_no_such_condition() {
    let life = pod(Never).with(app("a").exits(1.0, 0)).live();
    let kinds: Vec<_> = life.end().conditions.iter().map(|it| it.kind).collect();
    assert!(!kinds.contains(&ConditionType::AllContainersRestarting));
}

#[test]
fn what_has_ended_for_good_is_restarted_too_whatever_its_policy() {
    let life = pod(Never)
        .with(app("done").exits_in_turn(&[(1.0, 0), (1.0, 3)]))
        .with(
            app("trigger")
                .policy(Never)
                .restarts_all_on(&[88])
                .exits_in_turn(&[(2.0, 88), (2.0, 0)]),
        )
        .live();
    assert_eq!(life.created("done"), [0.0, 2.0]);
    assert_eq!(life.exit_code("done"), 3);
    assert_eq!(life.end().phase, Phase::Failed);
    assert_eq!(restarting(&life.end()).reason, "PodFailed");
}

#[test]
fn an_app_begins_anew_only_when_the_one_before_has_come_through_its_first_start() {
    let life = pod(Never)
        .with(app("a").post_start(Exec, ok(1.0)))
        .with(
            app("trigger")
                .policy(Never)
                .restarts_all_on(&[88])
                .exits_in_turn(&[(2.0, 88), (2.0, 0)]),
        )
        .live_for(4.5);
    assert_eq!(life.created("a"), [0.0, 3.0]);
    assert_eq!(life.created("trigger"), [1.0, 4.0]);
}

#[test]
fn init_containers_and_sidecars_may_restart_all_too() {
    let life = pod(Never)
        .with(sidecar("side"))
        .with(
            init("init")
                .policy(Never)
                .restarts_all_on(&[88])
                .exits_in_turn(&[(1.0, 88), (1.0, 0)]),
        )
        .with(app("app").exits(1.0, 0))
        .live();
    assert_eq!(life.created("side"), [0.0, 1.0]);
    assert_eq!(life.created("init"), [0.0, 1.0]);
    assert_eq!(life.created("app"), [2.0]);
    assert_eq!(counts(&life.end()), [1, 1, 0], "the app had not begun");
    let life = pod(Never)
        .with(
            sidecar("side")
                .policy(Always)
                .restarts_all_on(&[88])
                .exits_in_turn(&[(1.0, 88), (9.0, 88)]),
        )
        .with(app("app").exits(3.0, 0))
        .live();
    assert_eq!(life.created("app"), [0.0, 1.0]);
    assert_eq!(life.finished(), Some(4.0));
}

#[test]
fn the_first_rule_about_the_code_counts() {
    let rules = |container: Sim| {
        container
            .policy(Never)
            .restarts_on(false, &[1])
            .restarts_all_on(&[1, 88])
            .exits_in_turn(&[(1.0, 1), (1.0, 0)])
    };
    let life = pod(Never).with(app("other")).with(rules(app("a"))).live_for(5.0);
    assert_eq!(life.created("a"), [0.0, 1.0]);
    assert_eq!(life.created("other"), [0.0]);
}

#[test]
fn a_loop_of_restarts_waits_longer_and_longer() {
    let life = pod(Never)
        .with(init("init").exits(0.0, 0))
        .with(app("app").policy(Never).restarts_all_on(&[88]).exits(1.0, 88))
        .live_for(60.0);
    // Ends at 1, 2, 13 and 34 s, and waits for 0, 10, 20 and 40 s.
    assert_eq!(life.created("init"), [0.0, 1.0, 12.0, 33.0]);
    assert_eq!(life.created("app"), [0.0, 1.0, 12.0, 33.0]);
    let waiting = life.container_at(5.0, "app");
    assert_eq!(life.state_at(5.0, "app"), "CrashLoopBackOff");
    assert_eq!(waiting.activity_until, Some(t(12.0)));
    assert_eq!(waiting.last.as_ref().map(|last| last.exit_code), Some(88));
    assert_eq!(life.state_at(5.0, "init"), "RestartingAllContainers");
    assert!(!restarting(life.status_at(5.0)).holds);
    assert_eq!(
        life.notices(Reason::BackOff)[0],
        (2.0, "Back-off 10 s restarting all containers".to_owned())
    );
}

#[test]
fn a_liveness_kill_restarts_only_its_own_container() {
    let bad = goes(&[(2.0, unhealthy())]);
    let life = pod(Never)
        .with(app("other"))
        .with(
            app("a")
                .policy(OnFailure)
                .restarts_all_on(&[7])
                .on_signal(0.0, 7)
                .liveness(probe(), bad),
        )
        .live_for(3.0);
    assert_eq!(life.created("a"), [0.0, 2.0]);
    assert_eq!(life.created("other"), [0.0]);
}

#[test]
fn a_stubborn_container_is_killed_two_seconds_after_its_signal() {
    let life = pod(Never)
        .grace(60.0)
        .with(app("stubborn").ignores_signal())
        .with(
            app("trigger")
                .policy(Never)
                .restarts_all_on(&[88])
                .exits_in_turn(&[(1.0, 88), (9.0, 0)]),
        )
        .live_for(5.0);
    assert_eq!(life.killed("stubborn"), [3.0]);
    assert_eq!(life.created("stubborn"), [0.0, 3.0]);
}

#[test]
fn a_stop_meanwhile_ends_the_pod_and_nothing_is_begun_anew() {
    let life = pod(Never)
        .with(app("stubborn").ignores_signal())
        .with(app("trigger").policy(Never).restarts_all_on(&[88]).exits(1.0, 88))
        .stop(2.0, None)
        .live();
    assert_eq!(life.created("stubborn"), [0.0]);
    assert_eq!(life.created("trigger"), [0.0]);
    assert_eq!(life.killed("stubborn"), [3.0], "the window is not opened again");
    assert_eq!(life.finished(), Some(3.0));
    assert_eq!(counts(&life.end()), [0, 0]);
    assert_eq!((life.exit_code("trigger"), life.end().phase), (88, Phase::Failed));
}

#[test]
fn a_stop_during_the_wait_ends_the_pod_at_once_and_keeps_the_last_exits() {
    let life = pod(Never)
        .with(init("init").exits(0.0, 0))
        .with(app("app").policy(Never).restarts_all_on(&[88]).exits(1.0, 88))
        .request(5.0, Request::Interrupt)
        .live();
    assert_eq!(life.finished(), Some(5.0));
    assert_eq!(life.exit_code("app"), 88);
    assert_eq!(life.end().exit_code, 88);
    assert_eq!(counts(&life.end()), [1, 1]);
}

#[test]
fn the_deadline_of_the_pod_counts_on() {
    let life = pod(Never)
        .active_deadline(5.0)
        .with(app("app").policy(Never).restarts_all_on(&[88]).exits(1.0, 88))
        .live();
    assert_eq!(life.finished(), Some(5.0), "in the wait");
    assert_eq!(life.end().reason, "DeadlineExceeded");
}

#[test]
fn an_init_that_fails_at_the_second_time_fails_the_pod() {
    let life = pod(Never)
        .with(init("init").exits_in_turn(&[(0.0, 0), (0.0, 3)]))
        .with(app("app").policy(Never).restarts_all_on(&[88]).exits(1.0, 88))
        .live();
    assert_eq!((life.finished(), life.end().phase), (Some(1.0), Phase::Failed));
    assert_eq!(life.end().exit_code, 3);
    assert!(
        matches!(&life.end().containers[1].state, ContainerState::Terminated(end) if end.exit_code == 88)
    );
}

#[test]
fn what_is_being_created_or_started_is_done_away_with() {
    let life = pod(Never)
        .with(
            sidecar("trigger")
                .policy(Always)
                .restarts_all_on(&[88])
                .exits_in_turn(&[(1.0, 88), (60.0, 88)]),
        )
        .with(app("slow").create(2.0, None))
        .live_for(10.0);
    assert_eq!(life.created("slow"), [0.0, 2.0]);
    assert_eq!(life.started("slow"), [4.0]);
    assert_eq!(life.created("trigger"), [0.0, 2.0]);
    assert_eq!(counts(life.status_at(5.0)), [1, 0]);
}

#[test]
fn a_create_that_fails_is_no_exit_and_is_tried_again_alone() {
    let life = pod(Never)
        .with(app("other"))
        .with(
            app("a")
                .policy(Never)
                .restarts_all_on(&[128])
                .create(0.0, Some(runtime_error())),
        )
        .live_for(5.0);
    assert_eq!(life.created("other"), [0.0]);
    assert_eq!(life.created("a"), [0.0, 0.0]);
}

#[test]
fn a_stop_while_an_init_runs_again_fails_the_pod_although_its_apps_had_succeeded() {
    let life = pod(Never)
        .with(init("init").exits_in_turn(&[(0.0, 0), (60.0, 0)]))
        .with(app("app").policy(Never).restarts_all_on(&[0]).exits(1.0, 0))
        .stop(5.0, None)
        .live();
    assert_eq!(life.finished(), Some(5.0));
    assert_eq!((life.end().phase, life.end().exit_code), (Phase::Failed, 143));
}
