//! Whole lives: plain ones, start failures (S83), several apps (S82), sandbox failures, adopted pods.

mod support;

use support::simulator::{Behaviour, World};
use support::*;
use tenure_lifecycle::HandlerKind::Exec;
use tenure_lifecycle::{
    Action, Adopted, AdoptedState, ConditionType, ContainerAction, ContainerIndex, Event, Phase, PodMachine,
    Reason, Rejected, Request,
};

#[test]
fn a_plain_life_gives_its_orders_in_this_order() {
    let life = pod(Never)
        .with(init("i").exits(1.0, 0))
        .with(app("a").exits(1.0, 0))
        .live();
    let mut orders = Vec::new();
    for action in life
        .world
        .log
        .iter()
        .flat_map(|entry| entry.answer.iter().flatten())
    {
        match action {
            Action::CreateSandbox => orders.push("create sandbox".to_owned()),
            Action::RemoveSandbox => orders.push("remove sandbox".to_owned()),
            Action::Finish => orders.push("finish".to_owned()),
            Action::Notify(notice) => orders.push(notice.reason.as_str().to_owned()),
            Action::Container { container, action } => {
                let order = match action {
                    ContainerAction::Create { restart_count } => format!("create {restart_count}"),
                    other => format!("{other:?}").to_lowercase(),
                };
                orders.push(format!("{order} {}", container.0));
            }
        }
    }
    let expected = "create sandbox, SandboxCreated, create 0 0, Created, start 0, Started, Exited, create 0 1, delete 0, \
                    Created, start 1, Started, Exited, delete 1, remove sandbox, Finished, finish";
    assert_eq!(orders.join(", "), expected);
}

#[test]
fn s82_the_phase_is_failed_only_when_both_apps_have_ended() {
    let life = pod(Never)
        .with(app("a").exits(1.0, 1))
        .with(app("b").exits(5.0, 0))
        .live();
    assert_eq!(life.phase_at(3.0), Phase::Running);
    assert_eq!(life.phase_at(5.0), Phase::Failed);
    assert_eq!(life.end().exit_code, 1);
}

#[test]
fn the_exit_code_is_the_first_apps_that_is_not_zero_in_manifest_order() {
    let life = pod(Never)
        .with(app("a").exits(5.0, 0))
        .with(app("b").exits(4.0, 7))
        .with(app("c").exits(1.0, 3))
        .live();
    assert_eq!(life.end().exit_code, 7);
}

#[test]
fn s83_a_create_error_is_a_start_error_with_code_128_and_fails_a_never_pod() {
    let life = pod(Never)
        .with(app("app").create(1.0, Some(runtime_error())))
        .live();
    assert_eq!(life.terminated("app").reason, "StartError");
    assert_eq!(life.terminated("app").status, None);
    assert_eq!(life.exit_code("app"), 128);
    assert_eq!(life.terminated("app").message, "no such file");
    assert!(
        life.deleted("app").is_empty(),
        "nothing is left of a failed create"
    );
    assert_eq!(life.told(Reason::Failed), [1.0]);
    assert!(life.told(Reason::Exited).is_empty());
    assert_eq!(life.end().phase, Phase::Failed);
    assert_eq!(life.end().exit_code, 128);
}

#[test]
fn s83_a_start_error_is_the_same_and_is_deleted() {
    let life = pod(Never)
        .with(app("app").start(1.0, Some(runtime_error())))
        .live();
    assert_eq!(life.terminated("app").reason, "StartError");
    assert_eq!(life.exit_code("app"), 128);
    assert_eq!(
        life.killed("app"),
        [1.0],
        "s103: the runtime may have left it running"
    );
    assert_eq!(life.deleted("app"), [1.0]);
    assert_eq!(life.end().phase, Phase::Failed);
}

#[test]
fn a_start_error_is_restarted_as_a_failure_is() {
    let life = pod(OnFailure)
        .with(app("app").create(0.0, Some(runtime_error())))
        .live_for(15.0);
    assert_eq!(life.created("app"), [0.0, 0.0, 10.0]);
    assert_eq!(life.container_at(12.0, "app").restart_count, 2);
    assert_eq!(life.state_at(12.0, "app"), "CrashLoopBackOff");
}

#[test]
fn an_app_that_cannot_be_started_does_not_hold_up_the_next() {
    let life = pod(Never)
        .with(app("a").create(1.0, Some(runtime_error())))
        .with(app("b").exits(1.0, 0))
        .live();
    assert_eq!(life.created("b"), [1.0]);
    assert_eq!(life.end().exit_code, 128);
}

#[test]
fn s83_a_config_error_waits_and_is_tried_again_as_the_same_start() {
    let life = pod(Always)
        .with(app("app").create(0.0, Some(config_error())))
        .live_for(15.0);
    assert_eq!(life.created("app"), [0.0, 0.0, 10.0]);
    assert_eq!(life.state_at(5.0, "app"), "CreateContainerConfigError");
    assert_eq!(life.container_at(12.0, "app").restart_count, 0);
    assert_eq!(life.phase_at(12.0), Phase::Pending);
}

#[test]
fn s83_a_config_error_fails_a_never_pod() {
    let life = pod(Never)
        .with(app("app").create(0.0, Some(config_error())))
        .live();
    assert_eq!(life.end().phase, Phase::Failed);
    assert_eq!(life.end().exit_code, 125);
    assert_eq!(life.state_at(0.0, "app"), "CreateContainerConfigError");
}

#[test]
fn an_exit_before_the_start_fails_is_judged_by_the_failed_start() {
    let life = {
        let mut world = pod(Never)
            .with(app("app").start(1.0, Some(runtime_error())))
            .world();
        world.run_until(t(0.5));
        world
    };
    let mut machine = life.machine().clone();
    let exit = tenure_lifecycle::Exit::plain(tenure_lifecycle::ExitStatus::Code(1));
    let exited = simulator::event(0, tenure_lifecycle::ContainerEvent::Exited(exit));
    assert_eq!(machine.on_event(t(0.6), exited).unwrap(), []);
    let failed = simulator::event(0, tenure_lifecycle::ContainerEvent::StartFailed(runtime_error()));
    let orders = machine.on_event(t(1.0), failed).unwrap();
    let delete = Action::Container {
        container: ContainerIndex(0),
        action: ContainerAction::Delete,
    };
    assert!(orders.contains(&delete));
    assert_eq!(machine.status().exit_code, 128);
}

#[test]
fn a_failed_sandbox_fails_the_pod_and_leaves_nothing_to_do() {
    let mut machine = PodMachine::new(pod(Always).with(app("app")).plan);
    assert_eq!(
        machine.on_event(t(0.0), Event::Begin).unwrap(),
        [Action::CreateSandbox]
    );
    let failed = Event::SandboxFailed {
        message: "no cgroup".to_owned(),
    };
    let orders = machine.on_event(t(1.0), failed).unwrap();
    assert_eq!(orders.last(), Some(&Action::Finish));
    assert!(machine.is_finished());
    let status = machine.status();
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!(status.reason, "FailedCreatePodSandBox");
    assert_eq!(status.message, "no cgroup");
    assert_eq!(status.exit_code, 125);
}

#[test]
fn a_request_to_a_finished_pod_is_rejected() {
    let life = pod(Never).with(app("app").exits(1.0, 0)).live();
    let mut machine = life.world.machine().clone();
    for request in [Request::Kill, Request::Interrupt, Request::Stop { grace: None }] {
        assert_eq!(
            machine.on_event(t(2.0), Event::Request(request)),
            Err(Rejected::Finished)
        );
    }
    assert_eq!(machine.on_event(t(2.0), Event::Tick), Ok(Vec::new()));
}

#[test]
fn a_stop_before_the_beginning_finishes_at_once() {
    let mut machine = PodMachine::new(pod(Always).with(app("app")).plan);
    let orders = machine
        .on_event(t(0.0), Event::Request(Request::Stop { grace: None }))
        .unwrap();
    assert_eq!(orders.last(), Some(&Action::Finish));
    assert_eq!(machine.on_event(t(0.0), Event::Begin).unwrap(), []);
}

fn adopted(state: AdoptedState) -> Adopted {
    Adopted {
        restart_count: 2,
        last: None,
        state,
    }
}

fn adopted_world(states: Vec<AdoptedState>, sims: Vec<Sim>) -> World {
    let mut planned = pod(Always);
    for sim in sims {
        planned = planned.with(sim);
    }
    let alive: Vec<bool> = states
        .iter()
        .map(|state| matches!(state, AdoptedState::Running { .. } | AdoptedState::Created))
        .collect();
    let machine = PodMachine::adopt(
        planned.plan.clone(),
        states.into_iter().map(adopted).collect(),
        t(0.0),
    );
    let behaviours: Vec<Vec<Behaviour>> = planned.behaviours;
    let mut world = World::around(machine, planned.plan, behaviours);
    for (container, alive) in alive.into_iter().enumerate() {
        if alive {
            world.is_alive(container);
        }
    }
    world
}

#[test]
fn an_adopted_pod_runs_on_and_can_be_stopped() {
    let running = AdoptedState::Running { since: t(0.0) };
    let mut world = adopted_world(
        vec![AdoptedState::Ended { terminated: None }, running],
        vec![app("a"), app("b").pre_stop(Exec, ok(1.0))],
    );
    world.request(10.0, Request::Stop { grace: None });
    world.run_until(t(5.0));
    let early = Life { world };
    assert_eq!(early.deleted("a"), [0.0]);
    assert_eq!(early.phase_at(5.0), Phase::Running);
    assert_eq!(early.container_at(5.0, "a").restart_count, 2);
    let mut world = early.world;
    world.run_until(t(100.0));
    let life = Life { world };
    assert_eq!(life.ran_pre_stop("b"), [10.0]);
    assert_eq!(life.signalled("b"), [11.0]);
    assert_eq!(life.finished(), Some(11.0));
    assert!(life.created("a").is_empty());
    assert_eq!(life.terminated("a").reason, "ContainerStatusUnknown");
    assert_eq!(life.end().exit_code, 137);
}

#[test]
fn an_adopted_pod_restarts_nothing_and_ends_by_itself() {
    let mut world = adopted_world(vec![AdoptedState::Running { since: t(0.0) }], vec![app("a")]);
    world.run_until(t(5.0));
    let mut machine = world.machine().clone();
    let exit = tenure_lifecycle::Exit::plain(tenure_lifecycle::ExitStatus::Code(3));
    machine
        .on_event(
            t(6.0),
            simulator::event(0, tenure_lifecycle::ContainerEvent::Exited(exit)),
        )
        .unwrap();
    let orders = machine
        .on_event(
            t(6.0),
            simulator::event(0, tenure_lifecycle::ContainerEvent::Deleted),
        )
        .unwrap();
    assert!(orders.contains(&Action::RemoveSandbox));
    assert_eq!(machine.status().exit_code, 3);
}

#[test]
fn an_adopted_pod_with_nothing_alive_is_cleaned_up() {
    let states = vec![
        AdoptedState::Ended { terminated: None },
        AdoptedState::Created,
        AdoptedState::NeverCreated,
    ];
    let mut world = adopted_world(states, vec![app("a"), app("b"), app("c")]);
    world.run_until(t(5.0));
    let life = Life { world };
    assert_eq!(life.deleted("a"), [0.0]);
    assert_eq!(life.killed("b"), [0.0]);
    assert_eq!(life.deleted("b"), [0.0]);
    assert!(life.deleted("c").is_empty());
    assert_eq!(life.finished(), Some(0.0));
    assert_eq!(life.end().phase, Phase::Failed);
}

#[test]
fn an_adopted_init_that_had_completed_is_not_taken_for_a_failure() {
    let completed = {
        let life = pod(Never)
            .with(init("i").exits(1.0, 0))
            .with(app("a").exits(1.0, 0))
            .live();
        life.terminated("i")
    };
    let states = vec![
        AdoptedState::Ended {
            terminated: Some(completed),
        },
        AdoptedState::Running { since: t(0.0) },
    ];
    let mut world = adopted_world(states, vec![init("i"), app("a")]);
    world.run_until(t(5.0));
    let life = Life { world };
    assert_eq!(life.phase_at(5.0), Phase::Running);
    assert!(
        life.status_at(5.0)
            .conditions
            .iter()
            .any(|c| c.kind == ConditionType::Ready && c.holds)
    );
    assert_eq!(life.finished(), None);
}
