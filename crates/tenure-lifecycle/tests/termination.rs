//! preStop and the stop algorithm (`lifecycle-semantics 3, 3d`): S27 to S35, S37, S39, S43, S46 to S49, S99 to S101.

mod support;

use support::*;
use tenure_lifecycle::HandlerKind::{Exec, Sleep};
use tenure_lifecycle::{Phase, Reason, Request};

#[test]
fn s27_the_stop_signal_follows_pre_stop() {
    let life = pod(Always)
        .grace(10.0)
        .with(app("app").pre_stop(Exec, ok(3.0)).on_signal(1.0, 0))
        .stop(100.0, None)
        .live();
    assert_eq!(life.ran_pre_stop("app"), [100.0]);
    assert_eq!(life.signalled("app"), [103.0]);
    assert!(life.killed("app").is_empty());
    assert_eq!(life.finished(), Some(104.0));
    assert_eq!(life.end().exit_code, 0);
}

#[test]
fn s28_the_grace_includes_pre_stop() {
    let life = pod(Always)
        .grace(10.0)
        .with(app("app").pre_stop(Exec, ok(3.0)).ignores_signal())
        .stop(100.0, None)
        .live();
    assert_eq!(life.signalled("app"), [103.0]);
    assert_eq!(life.killed("app"), [110.0]);
    assert_eq!(life.exit_code("app"), 137);
}

#[test]
fn s29_a_pre_stop_that_uses_the_grace_up_leaves_two_seconds_and_is_no_failure() {
    let life = pod(Always)
        .grace(5.0)
        .with(app("app").pre_stop(Exec, ok(60.0)).ignores_signal())
        .stop(100.0, None)
        .live();
    assert_eq!(life.signalled("app"), [105.0]);
    assert_eq!(life.killed("app"), [107.0]);
    assert!(life.told(Reason::FailedPreStopHook).is_empty());
    assert_eq!(life.finished(), Some(107.0));
    // Abandoned, not cancelled: only when the container is dead is it told to end.
    assert_eq!(life.cancelled("app"), [107.0]);
}

#[test]
fn s30_a_pre_stop_that_never_ends_lives_as_long_as_the_container() {
    let life = pod(Always)
        .with(app("app").pre_stop(Exec, hangs()).ignores_signal())
        .stop(0.5, None)
        .live();
    assert_eq!(life.signalled("app"), [30.5]);
    assert_eq!(life.killed("app"), [32.5]);
    assert_eq!(life.terminated("app").reason, "Error");
    assert_eq!(life.exit_code("app"), 137);
}

#[test]
fn pre_stop_that_ends_within_the_last_two_seconds_still_leaves_two() {
    let life = pod(Always)
        .grace(10.0)
        .with(app("app").pre_stop(Exec, ok(9.0)).ignores_signal())
        .stop(0.0, None)
        .live();
    assert_eq!(
        life.signalled("app"),
        Vec::<f64>::new(),
        "a stop at the very beginning starts nothing"
    );
    let life = pod(Always)
        .grace(10.0)
        .with(app("app").pre_stop(Exec, ok(9.0)).ignores_signal())
        .stop(1.0, None)
        .live();
    assert_eq!(life.signalled("app"), [10.0]);
    assert_eq!(life.killed("app"), [12.0]);
}

#[test]
fn s31_a_failing_pre_stop_is_told_and_the_signal_follows_at_once() {
    let life = pod(Always)
        .with(app("app").pre_stop(Exec, fails(1.0)))
        .stop(10.0, None)
        .live();
    assert_eq!(
        life.notices(Reason::FailedPreStopHook),
        [(11.0, "PreStopHook failed".to_owned())]
    );
    assert_eq!(life.signalled("app"), [11.0]);
    assert_eq!(life.exit_code("app"), 143);
}

#[test]
fn an_abandoned_pre_stop_that_fails_later_is_told() {
    let life = pod(Always)
        .grace(5.0)
        .with(app("app").pre_stop(Exec, fails(6.0)).ignores_signal())
        .stop(10.0, None)
        .live();
    assert_eq!(life.signalled("app"), [15.0]);
    assert_eq!(life.told(Reason::FailedPreStopHook), [16.0]);
    assert_eq!(life.killed("app"), [17.0]);
}

#[test]
fn s32_no_grace_in_the_manifest_gives_a_signal_and_two_seconds() {
    let life = pod(Always)
        .grace(0.0)
        .with(app("app").ignores_signal())
        .stop(10.0, None)
        .live();
    assert_eq!(life.signalled("app"), [10.0]);
    assert_eq!(life.killed("app"), [12.0]);
}

#[test]
fn no_grace_in_the_manifest_gives_pre_stop_one_second() {
    let life = pod(Always)
        .grace(0.0)
        .with(app("app").pre_stop(Exec, ok(5.0)).ignores_signal())
        .stop(10.0, None)
        .live();
    assert_eq!(life.ran_pre_stop("app"), [10.0]);
    assert_eq!(life.signalled("app"), [11.0]);
    assert_eq!(life.killed("app"), [13.0]);
}

#[test]
fn s33_a_stop_with_grace_zero_gives_pre_stop_one_second() {
    let life = pod(Always)
        .with(app("app").pre_stop(Exec, ok(5.0)).ignores_signal())
        .stop(10.0, Some(0))
        .live();
    assert_eq!(life.ran_pre_stop("app"), [10.0]);
    assert_eq!(life.signalled("app"), [11.0]);
    assert_eq!(life.killed("app"), [13.0]);
}

#[test]
fn s34_pre_stop_never_runs_after_a_crash() {
    let life = pod(Never)
        .with(app("app").pre_stop(Exec, ok(1.0)).exits(5.0, 2))
        .live();
    assert!(life.ran_pre_stop("app").is_empty());
    assert!(life.signalled("app").is_empty());
    assert_eq!(life.end().phase, Phase::Failed);
    assert_eq!(life.end().exit_code, 2);
}

#[test]
fn s35_pre_stop_never_runs_after_completion() {
    let life = pod(Never)
        .with(app("app").pre_stop(Exec, ok(1.0)).exits(5.0, 0))
        .live();
    assert!(life.ran_pre_stop("app").is_empty());
    assert_eq!(life.end().phase, Phase::Succeeded);
    assert_eq!(life.terminated("app").reason, "Completed");
}

#[test]
fn s37_all_containers_stop_at_the_same_time() {
    let life = pod(Always)
        .with(app("a").pre_stop(Exec, ok(1.0)))
        .with(app("b").pre_stop(Exec, ok(2.0)))
        .with(app("c").pre_stop(Exec, ok(3.0)))
        .stop(10.0, None)
        .live();
    for (name, exit) in [("a", 11.0), ("b", 12.0), ("c", 13.0)] {
        assert_eq!(life.ran_pre_stop(name), [10.0]);
        assert_eq!(life.exited(name), [exit]);
    }
    assert_eq!(
        life.deleted("a"),
        [11.0],
        "its delete does not wait for the others"
    );
    assert_eq!(life.finished(), Some(13.0));
}

#[test]
fn s39_an_exit_ends_pre_stop_and_no_signal_follows() {
    let life = pod(Always)
        .with(app("app").pre_stop(Sleep, ok(5.0)).exits(11.0, 0))
        .stop(10.0, None)
        .live();
    assert_eq!(life.cancelled("app"), [11.0]);
    assert!(life.signalled("app").is_empty());
    assert_eq!(life.finished(), Some(11.0));
}

#[test]
fn s39_an_exec_pre_stop_cut_short_by_the_exit_has_not_failed() {
    let life = pod(Always)
        .with(app("app").pre_stop(Exec, ok(5.0)).exits(11.0, 0))
        .stop(10.0, None)
        .live();
    assert!(life.told(Reason::FailedPreStopHook).is_empty());
    assert!(life.signalled("app").is_empty());
    assert_eq!(life.finished(), Some(11.0));
}

#[test]
fn s43_a_shell_that_ignores_the_signal_is_killed_at_the_grace() {
    let life = pod(Always)
        .grace(3.0)
        .with(app("app").ignores_signal())
        .stop(10.0, None)
        .live();
    assert_eq!(life.signalled("app"), [10.0]);
    assert_eq!(life.killed("app"), [13.0]);
    assert_eq!(life.exit_code("app"), 137);
    assert_eq!(life.end().exit_code, 137);
}

#[test]
fn s46_the_signal_is_sent_once_however_often_a_stop_is_asked() {
    let life = pod(Always)
        .with(app("app").ignores_signal())
        .stop(10.0, None)
        .stop(11.0, None)
        .stop(12.0, Some(5))
        .live();
    assert_eq!(life.signalled("app"), [10.0]);
    assert_eq!(life.killed("app"), [17.0]);
}

#[test]
fn s47_a_second_stop_shortens_the_first() {
    let life = pod(Always)
        .with(app("app").ignores_signal())
        .stop(10.0, None)
        .stop(12.0, Some(1))
        .live();
    assert_eq!(life.signalled("app"), [10.0]);
    assert_eq!(life.killed("app"), [14.0]);
}

#[test]
fn s48_a_second_stop_never_lengthens_the_first() {
    let life = pod(Always)
        .grace(5.0)
        .with(app("app").ignores_signal())
        .stop(10.0, None)
        .stop(11.0, Some(60))
        .live();
    assert_eq!(life.killed("app"), [15.0]);
}

#[test]
fn s49_the_default_grace_is_thirty_seconds() {
    let life = pod(Always)
        .with(app("app").ignores_signal())
        .stop(10.0, None)
        .live();
    assert_eq!(life.killed("app"), [40.0]);
}

#[test]
fn a_shorter_second_stop_cuts_pre_stop() {
    let life = pod(Always)
        .with(app("app").pre_stop(Exec, ok(60.0)).ignores_signal())
        .stop(10.0, None)
        .stop(20.0, Some(1))
        .live();
    assert_eq!(life.signalled("app"), [21.0]);
    assert_eq!(life.killed("app"), [23.0]);
}

#[test]
fn s99_an_interrupt_during_an_init_terminates_it_and_starts_nothing() {
    let life = pod(Always)
        .grace(4.0)
        .with(init("init").ignores_signal())
        .with(app("app"))
        .request(1.0, Request::Interrupt)
        .live();
    assert_eq!(life.signalled("init"), [1.0]);
    assert_eq!(life.killed("init"), [5.0]);
    assert!(life.created("app").is_empty());
    assert_eq!(life.end().exit_code, 137);
    assert_eq!(life.end().phase, Phase::Failed);
}

#[test]
fn s99_an_init_that_ends_well_on_its_signal_does_not_hide_the_interrupt() {
    let life = pod(Always)
        .with(init("init").on_signal(1.0, 0))
        .with(app("app"))
        .request(1.0, Request::Interrupt)
        .live();
    assert!(life.created("app").is_empty());
    assert_eq!(life.end().exit_code, 143);
    assert_eq!(life.end().phase, Phase::Failed);
}

#[test]
fn s100_a_second_interrupt_leaves_two_seconds() {
    let life = pod(Always)
        .grace(60.0)
        .with(app("app").ignores_signal())
        .request(1.0, Request::Interrupt)
        .request(6.0, Request::Interrupt)
        .live();
    assert_eq!(life.signalled("app"), [1.0]);
    assert_eq!(life.killed("app"), [8.0]);
}

#[test]
fn a_third_interrupt_kills() {
    let life = pod(Always)
        .grace(60.0)
        .with(app("app").pre_stop(Exec, hangs()).ignores_signal())
        .request(1.0, Request::Interrupt)
        .request(1.5, Request::Interrupt)
        .request(1.8, Request::Interrupt)
        .live();
    assert!(life.signalled("app").is_empty());
    assert_eq!(life.cancelled("app"), [1.8]);
    assert_eq!(life.killed("app"), [1.8]);
    assert_eq!(life.finished(), Some(1.8));
}

#[test]
fn an_interrupt_after_a_stop_with_a_grace_is_still_the_first() {
    let life = pod(Always)
        .with(app("app").ignores_signal())
        .stop(1.0, Some(20))
        .request(2.0, Request::Interrupt)
        .live();
    assert_eq!(life.killed("app"), [21.0]);
}

#[test]
fn s101_a_stop_during_back_off_ends_at_once_and_keeps_the_last_exit() {
    let life = pod(Always)
        .with(app("app").exits_in_turn(&[(1.0, 7), (1.0, 8), (1.0, 9)]))
        .request(5.0, Request::Interrupt)
        .live();
    assert_eq!(life.state_at(4.0, "app"), "CrashLoopBackOff");
    assert_eq!(life.created("app"), [0.0, 1.0]);
    assert_eq!(life.finished(), Some(5.0));
    assert_eq!(life.exit_code("app"), 8);
    assert_eq!(life.end().exit_code, 8);
    assert_eq!(life.end().phase, Phase::Failed);
}

#[test]
fn stop_during_create_never_starts_the_container() {
    let life = pod(Always)
        .with(app("app").create(5.0, None))
        .stop(2.0, None)
        .live();
    assert!(life.started("app").is_empty());
    assert_eq!(life.killed("app"), [5.0]);
    assert_eq!(life.exited("app"), [5.0]);
    assert_eq!(life.deleted("app"), [5.0]);
    assert_eq!(life.end().phase, Phase::Failed);
    assert_eq!(life.end().exit_code, 143);
}

#[test]
fn stop_during_a_create_that_fails_leaves_nothing_to_delete() {
    let life = pod(Always)
        .with(app("app").create(5.0, Some(runtime_error())))
        .stop(2.0, None)
        .live();
    assert!(life.deleted("app").is_empty());
    assert_eq!(life.created("app"), [0.0]);
    assert_eq!(life.finished(), Some(5.0));
}

#[test]
fn stop_during_start_is_a_full_stop_with_its_grace_from_the_request() {
    let life = pod(Always)
        .grace(10.0)
        .with(
            app("app")
                .start(3.0, None)
                .post_start(Exec, ok(1.0))
                .pre_stop(Exec, ok(2.0))
                .ignores_signal(),
        )
        .stop(1.0, None)
        .live();
    assert!(life.ran_post_start("app").is_empty());
    assert_eq!(life.ran_pre_stop("app"), [3.0]);
    assert_eq!(life.signalled("app"), [5.0]);
    assert_eq!(life.killed("app"), [11.0]);
}

#[test]
fn a_start_that_hangs_is_killed_at_the_end_of_the_grace() {
    let life = pod(Always)
        .grace(10.0)
        .with(app("app").start(600.0, None))
        .stop(1.0, None)
        .live_for(700.0);
    assert_eq!(life.killed("app"), [11.0]);
    assert_eq!(life.exited("app"), [11.0]);
    assert_eq!(life.finished(), Some(600.0), "the start still owes its answer");
}

#[test]
fn kill_during_create_waits_for_it_and_kills() {
    let life = pod(Always)
        .with(app("app").create(5.0, None))
        .request(2.0, Request::Kill)
        .live();
    assert!(life.started("app").is_empty());
    assert_eq!(life.killed("app"), [5.0]);
    assert_eq!(life.finished(), Some(5.0));
}

#[test]
fn kill_ends_everything_now_without_handlers() {
    let life = pod(Always)
        .with(sidecar("s").pre_stop(Exec, ok(1.0)).ignores_signal())
        .with(app("a").pre_stop(Exec, ok(1.0)).ignores_signal())
        .request(2.0, Request::Kill)
        .live();
    for name in ["s", "a"] {
        assert_eq!(life.killed(name), [2.0]);
        assert!(life.ran_pre_stop(name).is_empty());
        assert!(life.signalled(name).is_empty());
    }
    assert_eq!(life.finished(), Some(2.0));
}

#[test]
fn kill_after_a_stop_ends_it_at_once() {
    let life = pod(Always)
        .with(app("a").ignores_signal())
        .stop(2.0, None)
        .request(4.0, Request::Kill)
        .live();
    assert_eq!(life.signalled("a"), [2.0]);
    assert_eq!(life.killed("a"), [4.0]);
    assert_eq!(life.finished(), Some(4.0));
}

#[test]
fn a_stop_while_the_sandbox_is_made_starts_nothing() {
    let life = pod(Always).with(app("app")).stop(0.0, None).live();
    assert!(life.created("app").is_empty());
    assert_eq!(life.finished(), Some(0.0));
    assert_eq!(life.end().phase, Phase::Failed);
    assert_eq!(life.end().exit_code, 143);
}

#[test]
fn the_deadline_of_the_pod_stops_it_with_its_grace() {
    let life = pod(Always)
        .grace(4.0)
        .active_deadline(20.0)
        .with(app("app").pre_stop(Exec, ok(1.0)).ignores_signal())
        .live();
    assert_eq!(life.told(Reason::DeadlineExceeded), [20.0]);
    assert_eq!(life.ran_pre_stop("app"), [20.0]);
    assert_eq!(life.killed("app"), [24.0]);
    assert_eq!(life.status_at(20.0).reason, "DeadlineExceeded");
    assert_eq!(
        life.phase_at(20.0),
        Phase::Running,
        "not terminal while something lives"
    );
    assert_eq!(life.end().phase, Phase::Failed);
    assert_eq!(life.end().reason, "DeadlineExceeded");
}

#[test]
fn a_deadline_that_ends_a_well_behaved_app_still_fails_the_pod() {
    let life = pod(Always)
        .active_deadline(20.0)
        .with(app("app").on_signal(1.0, 0))
        .live();
    assert_eq!(life.end().phase, Phase::Failed);
    assert_eq!(life.end().exit_code, 143);
}

#[test]
fn a_failing_delete_is_told_and_holds_nothing_up() {
    let life = pod(Never)
        .with(app("app").exits(1.0, 0).delete(0.5, Some("device busy")))
        .live();
    assert_eq!(life.told(Reason::FailedDelete), [1.5]);
    assert_eq!(life.finished(), Some(1.5));
    assert_eq!(life.end().phase, Phase::Succeeded);
}
