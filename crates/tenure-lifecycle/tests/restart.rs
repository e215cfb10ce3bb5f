//! Restarts (`lifecycle-semantics 5`): S74 to S80.

mod support;

use support::*;
use tenure_lifecycle::{Phase, Reason};

#[test]
fn s74_a_failing_app_is_restarted_at_once_and_then_with_growing_waits() {
    let life = pod(Always).with(app("app").exits(0.0, 1)).live_for(90.0);
    assert_eq!(life.created("app"), [0.0, 0.0, 10.0, 30.0, 70.0]);
    assert_eq!(life.state_at(20.0, "app"), "CrashLoopBackOff");
    assert_eq!(life.container_at(20.0, "app").activity_until, Some(t(30.0)));
    assert_eq!(life.container_at(20.0, "app").restart_count, 2);
    assert_eq!(life.told(Reason::BackOff), [0.0, 10.0, 30.0, 70.0]);
}

#[test]
fn s75_an_app_that_completes_is_restarted_on_the_same_schedule() {
    let life = pod(Always).with(app("app").exits(0.0, 0)).live_for(90.0);
    assert_eq!(life.created("app"), [0.0, 0.0, 10.0, 30.0, 70.0]);
    let last = life.container_at(20.0, "app").last.clone();
    assert_eq!(last.map(|last| last.reason), Some("Completed".to_owned()));
}

#[test]
fn s76_on_failure_does_not_restart_what_succeeded() {
    let life = pod(OnFailure).with(app("app").exits(1.0, 0)).live();
    assert_eq!(life.created("app"), [0.0]);
    assert_eq!(life.end().phase, Phase::Succeeded);
}

#[test]
fn s77_on_failure_restarts_what_failed_and_the_phase_stays_running() {
    let life = pod(OnFailure)
        .with(app("app").exits_in_turn(&[(1.0, 1), (1.0, 1), (1.0, 0)]))
        .live();
    assert_eq!(life.created("app"), [0.0, 1.0, 12.0]);
    assert_eq!(life.phase_at(5.0), Phase::Running);
    assert_eq!(life.end().phase, Phase::Succeeded);
    assert_eq!(life.finished(), Some(13.0));
}

#[test]
fn s78_the_longest_wait_can_be_set() {
    let life = pod(Always)
        .max_backoff(2.0)
        .with(app("app").exits(0.0, 1))
        .live_for(7.0);
    assert_eq!(life.created("app"), [0.0, 0.0, 2.0, 4.0, 6.0]);
}

#[test]
fn s79_a_long_run_makes_the_next_restart_immediate() {
    let life = pod(Always)
        .with(app("app").exits_in_turn(&[(0.0, 1), (0.0, 1), (700.0, 1), (0.0, 1), (5000.0, 0)]))
        .live_for(1000.0);
    assert_eq!(life.created("app"), [0.0, 0.0, 10.0, 710.0, 720.0]);
}

#[test]
fn s80_a_containers_own_policy_beats_the_pods() {
    let life = pod(Never)
        .with(app("app").policy(OnFailure).exits_in_turn(&[(1.0, 1), (1.0, 0)]))
        .live();
    assert_eq!(life.created("app"), [0.0, 1.0]);
    assert_eq!(life.end().phase, Phase::Succeeded);
}

#[test]
fn the_wait_counts_from_the_exit_and_not_from_the_delete() {
    let life = pod(Always)
        .with(app("app").exits(1.0, 1).delete(4.0, None))
        .live_for(30.0);
    // Exit at 1, deleted at 5: at once. Exit at 6, deleted at 10: 16. Exit at 17, deleted at 21: 37.
    assert_eq!(life.created("app"), [0.0, 5.0, 16.0]);
}

#[test]
fn a_dead_start_is_deleted_before_the_next_is_created() {
    let life = pod(Always)
        .with(app("app").exits(1.0, 1).delete(4.0, None))
        .live_for(30.0);
    assert_eq!(life.deleted("app"), [1.0, 6.0, 17.0]);
}

#[test]
fn one_apps_back_off_does_not_touch_the_other() {
    let life = pod(Always)
        .with(app("a").exits(1.0, 1))
        .with(app("b"))
        .live_for(100.0);
    assert_eq!(life.created("b"), [0.0]);
    assert!(life.exited("b").is_empty());
}

#[test]
fn s81_a_restart_rule_comes_before_the_policy() {
    let life = pod(Never)
        .with(
            app("a")
                .policy(Never)
                .restarts_on(false, &[42])
                .exits_in_turn(&[(1.0, 42), (1.0, 1)]),
        )
        .live();
    assert_eq!(life.created("a"), [0.0, 1.0]);
    assert_eq!(life.end().containers[0].restart_count, 1);
    assert_eq!(life.end().phase, Phase::Failed);
    assert_eq!(life.end().exit_code, 1);
}

#[test]
fn a_restart_rule_may_name_the_codes_that_it_is_not_about() {
    let life = pod(Never)
        .with(
            app("a")
                .policy(Never)
                .restarts_on(true, &[0, 3])
                .exits_in_turn(&[(1.0, 1), (1.0, 3)]),
        )
        .live();
    assert_eq!(life.created("a"), [0.0, 1.0]);
}

#[test]
fn restart_rules_are_not_looked_at_after_a_liveness_kill() {
    let bad = goes(&[(2.0, unhealthy())]);
    let life = pod(Never)
        .with(
            app("a")
                .policy(Never)
                .restarts_on(false, &[7])
                .on_signal(0.0, 7)
                .liveness(probe(), bad),
        )
        .live();
    assert_eq!(life.created("a"), [0.0]);
}
