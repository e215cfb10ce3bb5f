//! Sidecars (`lifecycle-semantics 3b, 4`): S53 to S57, S59 to S61, S69, S71.

mod support;

use support::*;
use tenure_lifecycle::HandlerKind::Exec;
use tenure_lifecycle::{Phase, Reason};

fn polite(name: &str) -> Sim {
    sidecar(name).on_signal(1.0, 0)
}

#[test]
fn s53_sidecars_are_signalled_in_reverse_order_after_the_app() {
    let life = pod(Always)
        .with(polite("s1"))
        .with(polite("s2"))
        .with(polite("s3"))
        .with(app("app").on_signal(1.0, 0))
        .stop(10.0, None)
        .live();
    assert_eq!(life.signalled("app"), [10.0]);
    assert_eq!(life.signalled("s3"), [11.0]);
    assert_eq!(life.signalled("s2"), [12.0]);
    assert_eq!(life.signalled("s1"), [13.0]);
    assert_eq!(life.finished(), Some(14.0));
    assert_eq!(life.container_at(10.5, "s1").activity, "awaiting turn");
    assert_eq!(life.container_at(10.5, "s1").activity_until, Some(t(40.0)));
}

#[test]
fn s53_without_sidecars_all_apps_are_signalled_at_once() {
    let life = pod(Always)
        .with(app("a").on_signal(1.0, 0))
        .with(app("b").on_signal(1.0, 0))
        .stop(10.0, None)
        .live();
    assert_eq!(life.signalled("a"), [10.0]);
    assert_eq!(life.signalled("b"), [10.0]);
}

#[test]
fn s54_all_pre_stops_begin_together_and_the_signals_keep_their_order() {
    let life = pod(Always)
        .with(polite("s1").pre_stop(Exec, ok(1.0)))
        .with(polite("s2").pre_stop(Exec, ok(1.0)))
        .with(polite("s3").pre_stop(Exec, ok(1.0)))
        .with(app("app").on_signal(1.0, 0).pre_stop(Exec, ok(1.0)))
        .stop(10.0, None)
        .live();
    for name in ["s1", "s2", "s3", "app"] {
        assert_eq!(life.ran_pre_stop(name), [10.0]);
    }
    assert_eq!(life.signalled("app"), [11.0]);
    assert_eq!(life.signalled("s3"), [12.0]);
    assert_eq!(life.signalled("s2"), [13.0]);
    assert_eq!(life.signalled("s1"), [14.0]);
}

#[test]
fn s55_looping_pre_stops_share_the_grace_and_all_die_together() {
    let life = pod(Never)
        .with(sidecar("s1").pre_stop(Exec, hangs()).ignores_signal())
        .with(sidecar("s2").pre_stop(Exec, hangs()).ignores_signal())
        .with(app("app").exits(10.0, 0))
        .live();
    for name in ["s1", "s2"] {
        assert_eq!(life.signalled(name), [40.0]);
        assert_eq!(life.killed(name), [42.0]);
        assert_eq!(life.exit_code(name), 137);
    }
    assert_eq!(life.end().phase, Phase::Succeeded);
    assert_eq!(life.end().exit_code, 0);
}

#[test]
fn s56_an_app_that_uses_the_grace_up_leaves_its_sidecar_two_seconds() {
    let life = pod(Always)
        .grace(4.0)
        .with(polite("s"))
        .with(app("app").ignores_signal())
        .stop(10.0, None)
        .live();
    assert_eq!(life.killed("app"), [14.0]);
    assert_eq!(life.signalled("s"), [14.0]);
    assert!(life.killed("s").is_empty());
    assert_eq!(life.exit_code("s"), 0);
    assert_eq!(life.finished(), Some(15.0));
}

#[test]
fn order_is_lost_when_the_grace_is_used_up() {
    let life = pod(Always)
        .grace(4.0)
        .with(sidecar("s1").ignores_signal())
        .with(sidecar("s2").ignores_signal())
        .with(app("app").ignores_signal())
        .stop(10.0, None)
        .live();
    for name in ["s1", "s2"] {
        assert_eq!(life.signalled(name), [14.0]);
        assert_eq!(life.killed(name), [16.0]);
    }
}

#[test]
fn s57_a_sidecar_that_never_came_up_is_signalled_at_once_and_unstarted_ones_are_not_waited_for() {
    let life = pod(Always)
        .grace(600.0)
        .with(polite("s1"))
        .with(polite("s2").post_start(Exec, hangs()))
        .with(polite("s3"))
        .with(app("app"))
        .stop(10.0, None)
        .live();
    assert_eq!(life.signalled("s2"), [10.0]);
    assert_eq!(life.signalled("s1"), [11.0]);
    assert!(life.created("s3").is_empty());
    assert_eq!(life.finished(), Some(12.0));
}

#[test]
fn s59_a_sidecar_that_ends_during_the_apps_shutdown_is_not_restarted() {
    let life = pod(Always)
        .with(sidecar("s").exits(12.0, 0))
        .with(app("app").on_signal(5.0, 0))
        .stop(10.0, None)
        .live();
    assert_eq!(life.created("s"), [0.0]);
    assert!(life.signalled("s").is_empty());
    assert_eq!(life.finished(), Some(15.0));
}

#[test]
fn s60_sidecars_end_in_reverse_order_after_the_apps_have_completed() {
    let life = pod(Never)
        .with(polite("s1"))
        .with(polite("s2"))
        .with(app("app").exits(10.0, 0))
        .live();
    assert_eq!(life.signalled("s2"), [10.0]);
    assert_eq!(life.signalled("s1"), [11.0]);
    assert_eq!(life.phase_at(10.0), Phase::Running);
    assert_eq!(life.phase_at(11.9), Phase::Running);
    assert_eq!(life.phase_at(12.0), Phase::Succeeded);
    assert_eq!(life.terminated("s1").reason, "Completed");
    assert_eq!(life.terminated("s2").reason, "Completed");
    assert_eq!(life.status_at(10.0).stopping_since, Some(t(10.0)));
}

#[test]
fn s61_a_sidecars_code_does_not_bear_on_the_phase() {
    let life = pod(Never)
        .with(sidecar("s").on_signal(1.0, 5))
        .with(app("app").exits(10.0, 0))
        .live();
    assert_eq!(life.end().phase, Phase::Succeeded);
    assert_eq!(life.end().exit_code, 0);
    assert_eq!(life.exit_code("s"), 5);
}

#[test]
fn s69_the_next_init_waits_for_a_sidecars_post_start() {
    let life = pod(Always)
        .with(sidecar("s").post_start(Exec, ok(2.0)))
        .with(init("init").exits(1.0, 0))
        .with(app("app"))
        .live_for(10.0);
    assert_eq!(life.created("init"), [2.0]);
    assert_eq!(life.created("app"), [3.0]);
}

#[test]
fn s71_a_sidecar_that_ends_is_restarted_whatever_the_policy() {
    let life = pod(Never)
        .with(sidecar("s").exits(5.0, 0))
        .with(app("app"))
        .live_for(40.0);
    assert_eq!(life.created("s"), [0.0, 5.0, 20.0]);
    assert_eq!(life.created("app"), [0.0]);
    assert_eq!(life.phase_at(30.0), Phase::Running);
    assert_eq!(life.told(Reason::BackOff), [10.0, 25.0]);
}

#[test]
fn a_sidecar_that_ends_during_a_later_init_is_restarted_beside_it() {
    let life = pod(Never)
        .with(sidecar("s").exits_in_turn(&[(2.0, 1), (500.0, 0)]))
        .with(init("init").exits(5.0, 0))
        .with(app("app"))
        .live_for(10.0);
    assert_eq!(life.created("s"), [0.0, 2.0]);
    assert_eq!(life.created("init"), [0.0]);
    assert_eq!(life.created("app"), [5.0]);
}

#[test]
fn an_init_waits_for_a_sidecar_that_cannot_be_started() {
    let life = pod(Never)
        .with(sidecar("s").create(0.0, Some(runtime_error())))
        .with(init("init").exits(5.0, 0))
        .with(app("app"))
        .live_for(100.0);
    assert_eq!(life.created("s"), [0.0, 0.0, 10.0, 30.0, 70.0]);
    assert!(life.created("init").is_empty());
    assert_eq!(life.phase_at(100.0), Phase::Pending);
}

#[test]
fn a_sidecars_failed_post_start_restarts_it_and_does_not_fail_the_pod() {
    let life = pod(Never)
        .with(polite("s").post_start(Exec, fails(1.0)))
        .with(init("init"))
        .with(app("app"))
        .live_for(20.0);
    assert_eq!(life.created("s"), [0.0, 2.0, 14.0]);
    assert!(life.created("init").is_empty());
    assert_eq!(life.phase_at(20.0), Phase::Pending);
}

#[test]
fn a_sidecar_in_back_off_is_given_up_when_the_last_app_ends() {
    let life = pod(Never)
        .with(sidecar("s").exits(5.0, 1))
        .with(app("app").exits(20.0, 0))
        .live();
    // Ends at 5, again at 10; due at 20, which is when the app ends.
    assert_eq!(life.created("s"), [0.0, 5.0]);
    assert_eq!(life.finished(), Some(20.0));
    assert_eq!(life.end().phase, Phase::Succeeded);
}

#[test]
fn a_shorter_stop_also_shortens_the_wait_for_a_turn() {
    let life = pod(Always)
        .with(sidecar("s").ignores_signal())
        .with(app("app").ignores_signal())
        .stop(10.0, None)
        .stop(15.0, Some(3))
        .live();
    assert_eq!(life.killed("app"), [18.0]);
    assert_eq!(life.signalled("s"), [18.0]);
    assert_eq!(life.killed("s"), [20.0]);
}

#[test]
fn a_stop_during_the_natural_end_shortens_it() {
    let life = pod(Never)
        .with(sidecar("s").pre_stop(Exec, hangs()).ignores_signal())
        .with(app("app").exits(10.0, 0))
        .stop(12.0, Some(1))
        .live();
    assert_eq!(life.ran_pre_stop("s"), [10.0]);
    assert_eq!(life.signalled("s"), [13.0]);
    assert_eq!(life.killed("s"), [15.0]);
    assert_eq!(life.end().phase, Phase::Succeeded);
}
