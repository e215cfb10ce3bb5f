//! Probes in simulated time (`lifecycle-semantics 6`).

mod support;

use support::simulator::Probing;
use support::*;
use tenure_lifecycle::HandlerKind::{Exec, Sleep};
use tenure_lifecycle::{ConditionType, Phase, ProbeKind, ProbeOutcome, ProbePlan, Reason};

use ProbeKind::{Liveness, Readiness, Startup};

/// Fails `count` times in a row before it counts.
fn failing_after(count: u32) -> ProbePlan {
    ProbePlan {
        failure_threshold: count,
        ..probe()
    }
}

fn with_grace(seconds: f64) -> ProbePlan {
    ProbePlan {
        grace: Some(secs(seconds)),
        ..probe()
    }
}

fn always(outcome: ProbeOutcome) -> Probing {
    goes(&[(0.0, outcome)])
}

fn well() -> Probing {
    goes(&[])
}

/// Each execution lasts for ever.
fn hanging() -> Probing {
    Probing {
        takes: None,
        outcomes: Vec::new(),
    }
}

fn is_ready(life: &Life, at: f64) -> bool {
    let conditions = &life.status_at(at).conditions;
    let holds = |kind| {
        conditions
            .iter()
            .any(|condition| condition.kind == kind && condition.holds)
    };
    assert_eq!(holds(ConditionType::Ready), holds(ConditionType::ContainersReady));
    holds(ConditionType::Ready)
}

#[test]
fn s26_nothing_is_probed_before_post_start_has_returned() {
    let life = pod(Always)
        .with(
            app("app")
                .post_start(Sleep, ok(5.0))
                .readiness(probe(), well())
                .liveness(probe(), well()),
        )
        .live_for(7.5);
    assert_eq!(life.probed("app", Readiness), [5.0, 6.0, 7.0]);
    assert_eq!(life.probed("app", Liveness), [5.0, 6.0, 7.0]);
    assert!(!life.container_at(4.9, "app").ready);
    assert!(life.container_at(5.0, "app").ready);
}

#[test]
fn nothing_is_probed_when_post_start_fails() {
    let life = pod(Never)
        .with(
            app("app")
                .post_start(Exec, fails(2.0))
                .on_signal(5.0, 0)
                .startup(probe(), well())
                .liveness(probe(), well()),
        )
        .live();
    for kind in ProbeKind::ALL {
        assert!(life.probed("app", kind).is_empty());
    }
}

#[test]
fn s88_a_failing_startup_probe_holds_liveness_back_and_ends_the_container() {
    let life = pod(Never)
        .with(
            app("app")
                .startup(failing_after(3), always(unhealthy()))
                .liveness(probe(), well())
                .readiness(probe(), well()),
        )
        .live();
    assert_eq!(life.probed("app", Startup), [0.0, 1.0, 2.0]);
    assert!(life.probed("app", Liveness).is_empty() && life.probed("app", Readiness).is_empty());
    assert_eq!(life.told(Reason::Unhealthy), [0.0, 1.0, 2.0]);
    assert_eq!(life.signalled("app"), [2.0]);
    let killing = life.notices(Reason::Killing);
    assert_eq!(killing, [(2.0, "Container app failed startup probe".to_owned())]);
    assert_eq!(life.end().phase, Phase::Failed);
}

#[test]
fn after_the_startup_probe_the_others_begin_and_it_rests() {
    let startup = goes(&[(0.0, unhealthy()), (3.5, ProbeOutcome::Succeeded)]);
    let life = pod(Always)
        .with(
            app("app")
                .startup(failing_after(30), startup)
                .readiness(probe(), well())
                .liveness(probe(), well()),
        )
        .live_for(5.5);
    assert_eq!(life.probed("app", Startup), [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(life.probed("app", Liveness), [4.0, 5.0]);
    assert_eq!(life.told(Reason::StartedUp), [4.0]);
    assert_eq!(life.told(Reason::Ready), [4.0]);
    let before = life.container_at(3.9, "app");
    assert!(!before.started && !before.ready);
    assert_eq!(before.activity, "startup probe");
    let after = life.container_at(4.0, "app");
    assert!(after.started && after.ready);
    assert_eq!(life.state_at(3.9, "app"), "Running");
}

#[test]
fn an_app_that_has_not_started_up_does_not_hold_up_the_next() {
    let life = pod(Always)
        .with(app("a").startup(failing_after(100), always(unhealthy())))
        .with(app("b"))
        .live_for(5.0);
    assert_eq!(life.created("b"), [0.0]);
    assert_eq!(life.phase_at(4.0), Phase::Running);
    assert!(!is_ready(&life, 4.0));
}

#[test]
fn s89_readiness_turns_with_its_threshold_and_ends_nothing() {
    let goes = goes(&[
        (0.0, ProbeOutcome::Succeeded),
        (3.0, unhealthy()),
        (6.0, ProbeOutcome::Succeeded),
    ]);
    let life = pod(Always)
        .with(app("app").readiness(failing_after(2), goes))
        .live_for(8.0);
    assert!(is_ready(&life, 3.0), "one failure is not enough");
    assert!(!is_ready(&life, 4.0));
    assert!(!is_ready(&life, 5.9));
    assert!(is_ready(&life, 6.0));
    assert_eq!(life.told(Reason::NotReady), [4.0]);
    assert_eq!(life.told(Reason::Ready), [0.0, 6.0]);
    assert!(life.signalled("app").is_empty());
    assert_eq!(life.container_at(8.0, "app").restart_count, 0);
}

#[test]
fn a_success_threshold_delays_readiness() {
    let plan = ProbePlan {
        success_threshold: 3,
        ..probe()
    };
    let life = pod(Always).with(app("app").readiness(plan, well())).live_for(5.0);
    assert!(!is_ready(&life, 1.9));
    assert!(is_ready(&life, 2.0));
}

#[test]
fn s36_a_liveness_failure_runs_pre_stop_and_restarts_at_once() {
    let life = pod(Always)
        .grace(10.0)
        .with(
            app("app")
                .pre_stop(Exec, ok(1.0))
                .on_signal(1.0, 0)
                .liveness(failing_after(3), goes(&[(5.0, unhealthy())])),
        )
        .live_for(12.0);
    assert_eq!(life.told(Reason::Unhealthy)[..3], [5.0, 6.0, 7.0]);
    assert_eq!(life.ran_pre_stop("app"), [7.0]);
    assert_eq!(life.signalled("app"), [8.0]);
    assert_eq!(life.created("app"), [0.0, 9.0]);
    assert_eq!(life.container_at(10.0, "app").restart_count, 1);
    let text = "Container app failed liveness probe, will be restarted".to_owned();
    assert_eq!(life.notices(Reason::Killing), [(7.0, text)]);
    assert!(life.told(Reason::BackOff).is_empty());
    // Onhold from the failure on, and a prober of its own for the next start.
    assert_eq!(
        life.probed("app", Liveness)
            .iter()
            .filter(|at| **at < 9.0)
            .count(),
        8
    );
    assert_eq!(life.probed("app", Liveness)[8], 9.0);
}

#[test]
fn an_on_failure_container_that_ends_well_on_a_liveness_kill_is_restarted_all_the_same() {
    let life = pod(OnFailure)
        .with(
            app("app")
                .on_signal(0.0, 0)
                .liveness(probe(), goes(&[(3.0, unhealthy())])),
        )
        .live_for(5.0);
    assert_eq!(life.created("app"), [0.0, 3.0]);
}

#[test]
fn a_never_container_is_killed_and_not_restarted() {
    let life = pod(Never)
        .with(
            app("app")
                .on_signal(0.0, 0)
                .liveness(probe(), goes(&[(3.0, unhealthy())])),
        )
        .live();
    assert_eq!(life.created("app"), [0.0]);
    assert_eq!(life.end().phase, Phase::Succeeded);
}

#[test]
fn s50_the_probes_grace_is_shorter_than_the_pods() {
    let life = pod(Never)
        .with(
            app("app")
                .ignores_signal()
                .liveness(with_grace(2.0), goes(&[(3.0, unhealthy())])),
        )
        .live();
    assert_eq!(life.signalled("app"), [3.0]);
    assert_eq!(life.killed("app"), [5.0]);
    assert_eq!(life.exit_code("app"), 137);
}

#[test]
fn s51_the_probes_grace_is_longer_than_the_pods() {
    let life = pod(Never)
        .grace(3.0)
        .with(
            app("app")
                .ignores_signal()
                .startup(with_grace(20.0), always(unhealthy())),
        )
        .live();
    assert_eq!(life.signalled("app"), [0.0]);
    assert_eq!(life.killed("app"), [20.0]);
}

#[test]
fn s52_the_grace_of_a_stop_wins_over_the_probes() {
    let life = pod(Always)
        .with(
            app("app")
                .ignores_signal()
                .liveness(with_grace(2.0), goes(&[(3.0, unhealthy())])),
        )
        .stop(2.5, Some(8))
        .live();
    assert_eq!(life.signalled("app"), [2.5]);
    assert_eq!(life.killed("app"), [10.5]);
    assert_eq!(life.created("app"), [0.0]);
}

#[test]
fn a_stop_during_a_liveness_kill_keeps_the_earlier_end_and_restarts_nothing() {
    let life = pod(Always)
        .with(
            app("app")
                .ignores_signal()
                .liveness(with_grace(4.0), goes(&[(3.0, unhealthy())])),
        )
        .stop(5.0, None)
        .live();
    assert_eq!(life.killed("app"), [7.0]);
    assert_eq!(life.created("app"), [0.0]);
    assert_eq!(life.finished(), Some(7.0));
}

#[test]
fn s90_while_the_pod_ends_liveness_and_startup_rest_and_readiness_goes_on() {
    let plan = failing_after(5);
    let life = pod(Always)
        .grace(10.0)
        .with(
            app("app")
                .ignores_signal()
                .liveness(plan, always(unhealthy()))
                .readiness(probe(), goes(&[(5.0, unhealthy())])),
        )
        .with(
            app("b")
                .ignores_signal()
                .startup(failing_after(50), always(unhealthy())),
        )
        .stop(3.5, None)
        .live();
    assert_eq!(life.probed("app", Liveness), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(life.probed("b", Startup), [0.0, 1.0, 2.0, 3.0]);
    let readiness = life.probed("app", Readiness);
    assert_eq!(readiness.last(), Some(&13.0));
    assert_eq!(readiness.len(), 14);
    assert!(life.container_at(4.0, "app").ready && !life.container_at(5.0, "app").ready);
    assert_eq!(life.created("app"), [0.0]);
}

#[test]
fn a_probe_under_way_is_cancelled_when_it_has_no_meaning_any_more() {
    let life = pod(Always)
        .with(
            app("app")
                .on_signal(2.0, 0)
                .liveness(probe(), hanging())
                .readiness(probe(), hanging()),
        )
        .stop(3.0, None)
        .live();
    assert_eq!(life.cancelled_probe("app", Liveness), [3.0]);
    assert_eq!(life.cancelled_probe("app", Readiness), [5.0]);
    assert_eq!(life.finished(), Some(5.0));
}

#[test]
fn only_one_execution_of_a_probe_is_under_way_and_a_late_one_is_made_up_for() {
    let slow = Probing {
        takes: Some(secs(2.5)),
        outcomes: Vec::new(),
    };
    let life = pod(Always)
        .with(app("app").readiness(probe(), slow))
        .live_for(6.0);
    assert_eq!(life.probed("app", Readiness), [0.0, 2.5, 5.0]);
}

#[test]
fn the_initial_delay_counts_from_the_programs_start() {
    let plan = ProbePlan {
        initial_delay: secs(4.0),
        ..failing_after(2)
    };
    let life = pod(Never)
        .with(
            app("app")
                .post_start(Sleep, ok(2.0))
                .liveness(plan, always(unhealthy())),
        )
        .live();
    assert_eq!(life.probed("app", Liveness), [4.0, 5.0]);
    assert_eq!(life.signalled("app"), [5.0], "delay + (threshold - 1) x period");
}

#[test]
fn an_error_is_tried_three_times_and_is_no_verdict() {
    let plan = ProbePlan {
        period: secs(10.0),
        ..probe()
    };
    let life = pod(Always)
        .with(app("app").liveness(plan, always(errored())))
        .live_for(15.0);
    assert_eq!(life.probed("app", Liveness), [0.0, 0.0, 0.0, 10.0, 10.0, 10.0]);
    let text = "Liveness probe errored: cannot ask".to_owned();
    assert_eq!(life.notices(Reason::Unhealthy)[0], (0.0, text));
    assert!(life.signalled("app").is_empty());
}

#[test]
fn a_readiness_probe_that_fails_for_ever_is_not_told_for_ever() {
    let life = pod(Always)
        .with(app("app").readiness(failing_after(3), always(unhealthy())))
        .live_for(100.0);
    assert_eq!(life.told(Reason::Unhealthy), [0.0, 1.0, 2.0]);
}

#[test]
fn a_warning_counts_as_success_and_is_told() {
    let warned = ProbeOutcome::Warned {
        message: "status code 302".to_owned(),
    };
    let life = pod(Always)
        .with(app("app").liveness(probe(), always(warned)))
        .live_for(3.0);
    let text = "Liveness probe warning: status code 302".to_owned();
    assert_eq!(life.notices(Reason::ProbeWarning)[0], (0.0, text));
    assert!(life.signalled("app").is_empty());
}

#[test]
fn the_back_off_after_a_liveness_kill_counts_from_the_end_before() {
    // Killed after 3 s each time: at once, then 10 s after the first end, then 20 s after the second.
    let life = pod(Always)
        .with(
            app("app")
                .on_signal(0.0, 1)
                .liveness(probe(), goes(&[(3.0, unhealthy())])),
        )
        .live_for(60.0);
    assert_eq!(life.created("app")[..4], [0.0, 3.0, 13.0, 26.0]);
    assert_eq!(life.told(Reason::BackOff)[..2], [6.0, 16.0]);
}

#[test]
fn s68_a_sidecar_lets_the_next_begin_when_its_startup_probe_has_succeeded() {
    let startup = goes(&[(0.0, unhealthy()), (4.0, ProbeOutcome::Succeeded)]);
    let life = pod(Never)
        .with(sidecar("s").startup(failing_after(30), startup))
        .with(init("i").exits(1.0, 0))
        .with(app("a").exits(1.0, 0))
        .live();
    assert_eq!(life.created("i"), [4.0]);
    assert_eq!(life.phase_at(3.9), Phase::Pending);
    assert!(!life.container_at(3.9, "s").started && life.container_at(4.0, "s").started);
    assert_eq!(life.end().phase, Phase::Succeeded);
}

#[test]
fn s70_a_sidecar_that_is_never_ready_lets_the_app_begin_and_keeps_the_pod_unready() {
    let life = pod(Never)
        .with(sidecar("s").readiness(probe(), always(unhealthy())))
        .with(app("a"))
        .live_for(5.0);
    assert_eq!(life.created("a"), [0.0]);
    assert_eq!(life.phase_at(4.0), Phase::Running);
    assert!(life.container_at(4.0, "a").ready && !is_ready(&life, 4.0));
}

#[test]
fn s72_a_sidecar_that_never_starts_up_is_restarted_and_the_pod_stays_pending() {
    let life = pod(Never)
        .with(sidecar("s").startup(failing_after(3), always(unhealthy())))
        .with(app("a"))
        .live_for(120.0);
    assert!(life.created("s").len() >= 4, "{:?}", life.created("s"));
    assert!(life.created("a").is_empty());
    assert_eq!(life.phase_at(119.0), Phase::Pending);
}

#[test]
fn s73_a_sidecars_liveness_failure_restarts_it_and_leaves_the_app_alone() {
    let life = pod(Never)
        .with(
            sidecar("s")
                .pre_stop(Exec, ok(1.0))
                .on_signal(1.0, 0)
                .liveness(probe(), goes(&[(3.0, unhealthy())])),
        )
        .with(app("a"))
        .live_for(6.0);
    assert_eq!(life.ran_pre_stop("s"), [3.0]);
    assert_eq!(life.signalled("s"), [4.0], "no turn to be awaited");
    assert_eq!(life.created("s"), [0.0, 5.0]);
    assert!(life.signalled("a").is_empty());
    assert_eq!(life.created("a"), [0.0]);
}

#[test]
fn s57_a_sidecar_that_has_not_started_up_is_stopped_first_and_nobody_waits_for_the_unstarted() {
    let life = pod(Never)
        .grace(600.0)
        .with(sidecar("s1").on_signal(1.0, 0))
        .with(
            sidecar("s2")
                .on_signal(1.0, 0)
                .startup(failing_after(900), always(unhealthy())),
        )
        .with(sidecar("s3"))
        .with(app("a"))
        .stop(10.0, None)
        .live();
    assert_eq!(life.signalled("s2"), [10.0]);
    assert_eq!(life.signalled("s1"), [11.0]);
    assert!(life.created("s3").is_empty() && life.created("a").is_empty());
    assert_eq!(life.finished(), Some(12.0));
}
