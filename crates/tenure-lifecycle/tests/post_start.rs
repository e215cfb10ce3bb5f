//! postStart (`lifecycle-semantics 2`): S1, S3 to S8, S10, S22 to S25.

mod support;

use support::*;
use tenure_lifecycle::HandlerKind::{Exec, HttpGet, Sleep};
use tenure_lifecycle::{Phase, Reason, Request};

#[test]
fn s1_status_waits_for_post_start_while_the_program_runs() {
    let life = pod(Always)
        .with(app("app").post_start(Exec, ok(3.0)))
        .live_for(10.0);
    assert_eq!(life.started("app"), [0.0]);
    assert_eq!(life.ran_post_start("app"), [0.0]);
    assert_eq!(life.state_at(2.9, "app"), "ContainerCreating");
    assert_eq!(life.container_at(2.9, "app").activity, "postStart");
    assert!(!life.container_at(2.9, "app").started);
    assert_eq!(life.phase_at(2.9), Phase::Pending);
    assert_eq!(life.state_at(3.0, "app"), "Running");
    assert!(life.container_at(3.0, "app").ready);
    assert_eq!(life.phase_at(3.0), Phase::Running);
}

#[test]
fn s3_the_next_app_is_not_created_before_post_start_returns() {
    let life = pod(Always)
        .with(app("a").post_start(Exec, ok(3.0)))
        .with(app("b"))
        .live_for(10.0);
    assert_eq!(life.created("b"), [3.0]);
}

#[test]
fn without_post_start_the_next_app_is_created_once_the_first_has_started() {
    let life = pod(Always)
        .with(app("a").start(0.5, None))
        .with(app("b"))
        .live_for(10.0);
    assert_eq!(life.created("b"), [0.5]);
}

#[test]
fn s4_a_failed_post_start_holds_the_next_app_up_only_till_its_container_is_dead() {
    let life = pod(Never)
        .with(app("a").post_start(Exec, fails(1.0)).on_signal(2.0, 0))
        .with(app("b").exits(5.0, 0))
        .live();
    assert_eq!(life.told(Reason::FailedPostStartHook), [1.0]);
    assert_eq!(life.signalled("a"), [1.0]);
    assert_eq!(life.exited("a"), [3.0]);
    assert_eq!(life.created("b"), [3.0]);
}

#[test]
fn s5_after_a_failed_post_start_the_program_gets_its_stop_signal_and_may_succeed() {
    let life = pod(Never)
        .with(app("app").post_start(Exec, fails(0.0)).on_signal(1.0, 0))
        .live();
    assert_eq!(life.told(Reason::Killing), [0.0]);
    assert_eq!(life.signalled("app"), [0.0]);
    assert!(life.killed("app").is_empty());
    assert_eq!(life.terminated("app").reason, "Completed");
    assert_eq!(life.end().phase, Phase::Succeeded);
    assert_eq!(life.end().exit_code, 0);
}

#[test]
fn s6_a_program_that_ignores_the_signal_is_killed_at_the_pods_grace() {
    let life = pod(Never)
        .grace(4.0)
        .with(app("app").post_start(Exec, fails(1.0)).ignores_signal())
        .live();
    assert_eq!(life.signalled("app"), [1.0]);
    assert_eq!(life.killed("app"), [5.0]);
    assert_eq!(life.exit_code("app"), 137);
    assert_eq!(life.terminated("app").reason, "Error");
    assert_eq!(life.end().phase, Phase::Failed);
}

#[test]
fn s7_a_failing_post_start_restarts_with_back_off_and_is_called_at_every_start() {
    let life = pod(Always)
        .grace(4.0)
        .with(app("app").post_start(Exec, fails(0.0)).ignores_signal())
        .live_for(30.0);
    assert_eq!(life.state_at(1.0, "app"), "PostStartHookError");
    // Killed at 4, restarted at once; killed at 8, back-off till 18; killed at 22, back-off till 42.
    assert_eq!(life.ran_post_start("app"), [0.0, 4.0, 18.0]);
    assert_eq!(life.killed("app"), [4.0, 8.0, 22.0]);
    assert_eq!(life.state_at(10.0, "app"), "CrashLoopBackOff");
    assert_eq!(life.state_at(19.0, "app"), "PostStartHookError");
    assert_eq!(life.container_at(25.0, "app").restart_count, 2);
    assert_eq!(
        life.container_at(25.0, "app")
            .last
            .as_ref()
            .map(|last| last.exit_code),
        Some(137)
    );
    assert_eq!(life.told(Reason::BackOff), [8.0, 22.0]);
}

#[test]
fn s8_pre_stop_runs_after_a_failed_post_start_and_before_the_signal() {
    let life = pod(Never)
        .with(app("app").post_start(Exec, fails(1.0)).pre_stop(Exec, ok(2.0)))
        .live();
    assert_eq!(life.ran_pre_stop("app"), [1.0]);
    assert_eq!(life.signalled("app"), [3.0]);
}

#[test]
fn a_failed_post_start_with_no_grace_at_all_skips_pre_stop() {
    let life = pod(Never)
        .grace(0.0)
        .with(
            app("app")
                .post_start(Exec, fails(1.0))
                .pre_stop(Exec, ok(2.0))
                .ignores_signal(),
        )
        .live();
    assert!(life.ran_pre_stop("app").is_empty());
    assert_eq!(life.signalled("app"), [1.0]);
    assert_eq!(life.killed("app"), [3.0]);
}

#[test]
fn s9_the_text_of_a_failed_post_start_is_fixed_and_output_has_its_own_event() {
    let mut hook = fails(1.0);
    hook.report.output = "secret\n".to_owned();
    let life = pod(Never).with(app("app").post_start(Exec, hook)).live();
    assert_eq!(
        life.notices(Reason::FailedPostStartHook),
        [(1.0, "PostStartHook failed".to_owned())]
    );
    assert_eq!(
        life.notices(Reason::HookOutput),
        [(1.0, "postStart of container app: secret".to_owned())]
    );
    let failed = "postStart of container app failed: exit code 1".to_owned();
    assert_eq!(life.notices(Reason::HookFailed), [(1.0, failed)]);
}

#[test]
fn s10_post_start_has_no_time_limit() {
    let life = pod(Always)
        .with(app("app").post_start(Exec, ok(40.0)))
        .live_for(50.0);
    assert_eq!(life.phase_at(39.9), Phase::Pending);
    assert_eq!(life.state_at(40.0, "app"), "Running");
    assert!(life.signalled("app").is_empty());
}

#[test]
fn s19_an_http_fallback_is_told() {
    let mut hook = ok(0.0);
    hook.report.http_fallback = true;
    let life = pod(Always)
        .with(app("app").post_start(HttpGet, hook))
        .live_for(1.0);
    assert_eq!(life.told(Reason::LifecycleHTTPFallback), [0.0]);
}

#[test]
fn s22_post_start_sleep_delays_running() {
    let life = pod(Always)
        .with(app("app").post_start(Sleep, ok(2.0)))
        .live_for(5.0);
    assert_eq!(life.state_at(1.9, "app"), "ContainerCreating");
    assert_eq!(life.state_at(2.0, "app"), "Running");
}

#[test]
fn s23_an_exec_post_start_fails_with_the_end_of_its_container() {
    let life = pod(Never)
        .with(app("app").post_start(Exec, ok(10.0)).exits(1.0, 3))
        .live();
    assert_eq!(life.told(Reason::FailedPostStartHook), [1.0]);
    assert_eq!(life.exit_code("app"), 3);
    assert_eq!(life.end().phase, Phase::Failed);
    assert_eq!(life.finished(), Some(1.0));
    assert!(life.signalled("app").is_empty());
}

#[test]
fn s24_a_sleeping_post_start_ends_with_its_container_and_has_not_failed() {
    let life = pod(Never)
        .with(app("app").post_start(Sleep, ok(5.0)).exits(1.0, 0))
        .live();
    assert_eq!(life.cancelled("app"), [1.0]);
    assert!(life.told(Reason::FailedPostStartHook).is_empty());
    assert_eq!(life.finished(), Some(1.0));
    assert_eq!(life.end().phase, Phase::Succeeded);
}

#[test]
fn an_http_post_start_fails_with_the_end_of_its_container() {
    let life = pod(Never)
        .with(app("app").post_start(HttpGet, hangs()).exits(1.0, 0))
        .live();
    assert_eq!(life.cancelled("app"), [1.0]);
    assert_eq!(life.told(Reason::FailedPostStartHook), [1.0]);
    assert_eq!(life.end().phase, Phase::Succeeded);
}

#[test]
fn s25_a_stop_cancels_a_hanging_post_start() {
    let life = pod(Never)
        .grace(3.0)
        .with(app("app").post_start(Exec, hangs()).ignores_signal())
        .stop(2.0, None)
        .live();
    assert_eq!(life.cancelled("app"), [2.0]);
    assert_eq!(life.signalled("app"), [2.0]);
    assert_eq!(life.killed("app"), [5.0]);
    assert!(life.told(Reason::FailedPostStartHook).is_empty());
    assert_eq!(life.finished(), Some(5.0));
}

#[test]
fn a_stop_during_post_start_still_runs_pre_stop() {
    let life = pod(Never)
        .grace(10.0)
        .with(app("app").post_start(Exec, hangs()).pre_stop(Exec, ok(3.0)))
        .with(app("never"))
        .stop(2.0, None)
        .live();
    assert_eq!(life.cancelled("app"), [2.0]);
    assert_eq!(life.ran_pre_stop("app"), [2.0]);
    assert_eq!(life.signalled("app"), [5.0]);
    assert!(life.created("never").is_empty());
}

#[test]
fn a_kill_during_post_start_ends_at_once() {
    let life = pod(Always)
        .with(app("app").post_start(Exec, hangs()))
        .request(2.0, Request::Kill)
        .live();
    assert_eq!(life.killed("app"), [2.0]);
    assert!(life.signalled("app").is_empty());
    assert!(life.told(Reason::FailedPostStartHook).is_empty());
    assert_eq!(life.finished(), Some(2.0));
}

#[test]
fn a_program_that_ends_before_its_start_is_confirmed_gets_no_post_start_but_its_failure_is_told() {
    let life = pod(Never)
        .with(
            app("app")
                .post_start(Exec, ok(0.0))
                .start(1.0, None)
                .exits(0.5, 0),
        )
        .live();
    assert!(life.ran_post_start("app").is_empty());
    assert_eq!(life.told(Reason::Started), [1.0]);
    assert_eq!(life.told(Reason::FailedPostStartHook), [1.0]);
    assert_eq!(life.told(Reason::Exited), [1.0]);
    assert_eq!(life.terminated("app").finished_at, t(0.5));
    assert_eq!(life.end().phase, Phase::Succeeded);
}

#[test]
fn a_restarted_container_gets_its_post_start_again_and_the_next_app_is_not_recreated() {
    let life = pod(Always)
        .with(app("a").post_start(Exec, ok(1.0)).exits(5.0, 0))
        .with(app("b"))
        .live_for(8.0);
    assert_eq!(life.ran_post_start("a"), [0.0, 5.0]);
    assert_eq!(life.created("b"), [1.0]);
}
