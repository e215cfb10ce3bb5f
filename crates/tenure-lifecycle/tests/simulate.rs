//! Lives without a pod, as `pod plan` shows them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use tenure_lifecycle::simulate::{Assumption, Simulation};
use tenure_lifecycle::{
    ContainerKind, ContainerPlan, DEFAULT_MAX_BACKOFF, ExitStatus, HandlerKind, Phase, PodPlan, ProbePlan,
    ProbePlans, Reason, Request, Timestamp,
};
use tenure_spec::RestartPolicy;

fn container(name: &str, kind: ContainerKind) -> ContainerPlan {
    ContainerPlan {
        name: name.into(),
        kind,
        restart: RestartPolicy::Never,
        restart_rules: Vec::new(),
        post_start: None,
        pre_stop: None,
        probes: ProbePlans::default(),
    }
}

fn probe(period: u64, failure_threshold: u32) -> ProbePlan {
    ProbePlan {
        initial_delay: Duration::ZERO,
        period: Duration::from_secs(period),
        success_threshold: 1,
        failure_threshold,
        grace: None,
    }
}

fn pod(containers: Vec<ContainerPlan>) -> PodPlan {
    PodPlan {
        containers,
        grace: Duration::from_secs(30),
        active_deadline: None,
        max_backoff: DEFAULT_MAX_BACKOFF,
    }
}

/// Reasons with their milliseconds, of one container's events.
fn told(simulation: &Simulation, reason: Reason) -> Vec<u128> {
    let told = simulation
        .told()
        .iter()
        .filter(|told| told.notice.reason == reason);
    told.map(|told| told.at.since_origin().as_millis()).collect()
}

#[test]
fn an_init_and_an_app_start_one_after_the_other_and_stop_as_assumed() {
    let mut web = container("web", ContainerKind::App);
    web.pre_stop = Some(HandlerKind::Exec);
    let plan = pod(vec![container("init", ContainerKind::Init), web]);
    let init = Assumption {
        runs: Some(Duration::from_secs(2)),
        ..Assumption::default()
    };
    let web = Assumption {
        pre_stop: Some(Duration::from_secs(5)),
        stops_in: Some(Duration::from_secs(1)),
        ..Assumption::default()
    };
    let mut simulation = Simulation::new(plan, vec![init, web]);
    simulation.request(Timestamp::from_secs(10), Request::Stop { grace: None });
    simulation.run(Timestamp::from_secs(1000), |_| false);
    assert_eq!(told(&simulation, Reason::Started), [25, 2050]);
    assert_eq!(told(&simulation, Reason::Killing), [10_000]);
    assert_eq!(told(&simulation, Reason::Exited), [2025, 16_000]);
    assert_eq!(told(&simulation, Reason::Finished), [16_010]);
    assert_eq!(simulation.status().phase, Phase::Succeeded);
}

#[test]
fn what_takes_no_notice_of_its_signal_is_killed_at_the_end_of_the_grace() {
    let stubborn = Assumption {
        stops_in: None,
        ..Assumption::default()
    };
    let mut simulation = Simulation::new(pod(vec![container("app", ContainerKind::App)]), vec![stubborn]);
    simulation.request(Timestamp::from_secs(1), Request::Stop { grace: None });
    simulation.run(Timestamp::from_secs(1000), |_| false);
    assert_eq!(told(&simulation, Reason::Killed), [31_000]);
    assert_eq!(simulation.status().exit_code, 137);
}

#[test]
fn a_crash_loop_is_simulated_as_far_as_is_asked_for() {
    let mut app = container("app", ContainerKind::App);
    app.restart = RestartPolicy::Always;
    let crashing = Assumption {
        create: Duration::ZERO,
        start: Duration::ZERO,
        delete: Duration::ZERO,
        runs: Some(Duration::from_secs(1)),
        exit: ExitStatus::Code(1),
        ..Assumption::default()
    };
    let mut simulation = Simulation::new(pod(vec![app]), vec![crashing]);
    simulation.run(Timestamp::from_secs(100), |_| false);
    assert_eq!(
        told(&simulation, Reason::Started),
        [0, 1000, 12_000, 33_000, 74_000]
    );
    assert!(simulation.now() <= Timestamp::from_secs(100));
}

#[test]
fn it_goes_on_until_the_status_is_as_wanted() {
    let mut simulation = Simulation::new(pod(vec![container("app", ContainerKind::App)]), Vec::new());
    simulation.run(Timestamp::from_secs(100), |status| status.phase == Phase::Running);
    assert_eq!(simulation.now(), Timestamp::from_millis(25));
    simulation.run(Timestamp::from_secs(100), |_| false);
    assert_eq!(simulation.status().phase, Phase::Running, "nothing ends it");
}

#[test]
fn probes_find_what_is_assumed() {
    let mut app = container("app", ContainerKind::App);
    app.probes.readiness = Some(probe(1, 1));
    app.probes.liveness = Some(probe(2, 2));
    let slow = Assumption {
        create: Duration::ZERO,
        start: Duration::ZERO,
        ready_after: Some(Duration::from_millis(2500)),
        unhealthy_after: Some(Duration::from_secs(10)),
        ..Assumption::default()
    };
    let mut simulation = Simulation::new(pod(vec![app]), vec![slow]);
    simulation.run(Timestamp::from_secs(100), |_| false);
    assert_eq!(told(&simulation, Reason::Ready), [3000]);
    let killed = told(&simulation, Reason::Killing);
    assert_eq!(killed, [12_000], "two liveness probes failed");
}
