//! A few words to write pods and their expected lives in, on top of the simulator.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs
)]

pub mod monitor;
pub mod simulator;

use std::time::Duration;

use simulator::{Behaviour, Hook, Probing, World, report};
use tenure_lifecycle::{
    Action, ContainerAction, ContainerEvent, ContainerIndex, ContainerKind, ContainerPlan, ContainerState,
    ContainerStatus, Event, ExitStatus, HandlerKind, HookOutcome, HookPoint, Phase, PodPlan, PodStatus,
    ProbeKind, ProbeOutcome, ProbePlan, ProbePlans, Reason, Request, StartFailure, Terminated, Timestamp,
};
pub use tenure_spec::RestartPolicy::{Always, Never, OnFailure};
use tenure_spec::{RestartAction, RestartPolicy, RestartRule};

/// Seconds as a point in time.
pub fn t(seconds: f64) -> Timestamp {
    Timestamp::from_origin(secs(seconds))
}

/// Seconds as a length of time.
pub fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A container, as planned and as it behaves.
#[derive(Debug, Clone)]
pub struct Sim {
    pub plan: ContainerPlan,
    pub starts: Vec<Behaviour>,
    own_policy: bool,
}

pub fn app(name: &str) -> Sim {
    Sim::new(name, ContainerKind::App)
}

pub fn init(name: &str) -> Sim {
    Sim::new(name, ContainerKind::Init)
}

pub fn sidecar(name: &str) -> Sim {
    Sim::new(name, ContainerKind::Sidecar)
}

/// A handler that succeeds after so many seconds.
pub fn ok(seconds: f64) -> Hook {
    Hook {
        takes: Some(secs(seconds)),
        report: report(HookOutcome::Succeeded),
    }
}

/// A handler that fails after so many seconds.
pub fn fails(seconds: f64) -> Hook {
    let message = "exit code 1".to_owned();
    Hook {
        takes: Some(secs(seconds)),
        report: report(HookOutcome::Failed { message }),
    }
}

/// A handler that never ends by itself.
pub fn hangs() -> Hook {
    Hook {
        takes: None,
        report: report(HookOutcome::Succeeded),
    }
}

/// A probe's failure.
pub fn unhealthy() -> ProbeOutcome {
    ProbeOutcome::Failed {
        message: "no".to_owned(),
    }
}

/// An execution of a probe that could not be carried out.
pub fn errored() -> ProbeOutcome {
    ProbeOutcome::Errored {
        message: "cannot ask".to_owned(),
    }
}

/// A probe with period 1 that succeeds at once and whose every result counts.
pub fn probe() -> ProbePlan {
    ProbePlan {
        initial_delay: Duration::ZERO,
        period: secs(1.0),
        success_threshold: 1,
        failure_threshold: 1,
        grace: None,
    }
}

/// Executions that take no time; each outcome holds from so many seconds after the program's start.
pub fn goes(outcomes: &[(f64, ProbeOutcome)]) -> Probing {
    Probing {
        takes: Some(Duration::ZERO),
        outcomes: outcomes
            .iter()
            .map(|(from, outcome)| (secs(*from), outcome.clone()))
            .collect(),
    }
}

pub fn runtime_error() -> StartFailure {
    StartFailure::Runtime {
        message: "no such file".to_owned(),
    }
}

pub fn config_error() -> StartFailure {
    StartFailure::Config {
        message: "runAsNonRoot with uid 0".to_owned(),
    }
}

impl Sim {
    fn new(name: &str, kind: ContainerKind) -> Self {
        Self {
            plan: ContainerPlan {
                name: name.to_owned(),
                kind,
                restart: Never,
                restart_rules: Vec::new(),
                post_start: None,
                pre_stop: None,
                probes: ProbePlans::default(),
            },
            starts: vec![Behaviour::default()],
            own_policy: false,
        }
    }

    fn each(mut self, change: impl Fn(&mut Behaviour)) -> Self {
        self.starts.iter_mut().for_each(change);
        self
    }

    /// Ends by itself after so many seconds, at every start.
    pub fn exits(self, after: f64, code: u8) -> Self {
        self.each(|start| start.ends = Some((secs(after), ExitStatus::Code(code))))
    }

    /// Ends by itself, each start in its own way; the last one's repeats.
    pub fn exits_in_turn(mut self, starts: &[(f64, u8)]) -> Self {
        let first = self.starts[0].clone();
        let start = |&(after, code): &(f64, u8)| Behaviour {
            ends: Some((secs(after), ExitStatus::Code(code))),
            ..first.clone()
        };
        self.starts = starts.iter().map(start).collect();
        self
    }

    pub fn ignores_signal(self) -> Self {
        self.each(|start| start.on_signal = None)
    }

    /// Ends so many seconds after its stop signal.
    pub fn on_signal(self, after: f64, code: u8) -> Self {
        self.each(|start| start.on_signal = Some((secs(after), ExitStatus::Code(code))))
    }

    pub fn post_start(mut self, kind: HandlerKind, hook: Hook) -> Self {
        self.plan.post_start = Some(kind);
        self.each(|start| start.post_start = hook.clone())
    }

    pub fn pre_stop(mut self, kind: HandlerKind, hook: Hook) -> Self {
        self.plan.pre_stop = Some(kind);
        self.each(|start| start.pre_stop = hook.clone())
    }

    pub fn startup(mut self, plan: ProbePlan, probing: Probing) -> Self {
        self.plan.probes.startup = Some(plan);
        self.probing(ProbeKind::Startup, probing)
    }

    pub fn readiness(mut self, plan: ProbePlan, probing: Probing) -> Self {
        self.plan.probes.readiness = Some(plan);
        self.probing(ProbeKind::Readiness, probing)
    }

    pub fn liveness(mut self, plan: ProbePlan, probing: Probing) -> Self {
        self.plan.probes.liveness = Some(plan);
        self.probing(ProbeKind::Liveness, probing)
    }

    fn probing(self, kind: ProbeKind, probing: Probing) -> Self {
        self.each(|start| {
            start.probes.insert(kind, probing.clone());
        })
    }

    pub fn create(self, takes: f64, failure: Option<StartFailure>) -> Self {
        self.each(|start| start.create = (secs(takes), failure.clone()))
    }

    pub fn start(self, takes: f64, failure: Option<StartFailure>) -> Self {
        self.each(|start| start.start = (secs(takes), failure.clone()))
    }

    pub fn delete(self, takes: f64, failure: Option<&str>) -> Self {
        self.each(|start| start.delete = (secs(takes), failure.map(str::to_owned)))
    }

    /// Restarts after an exit with one of these codes, or, `excludes`, with any other.
    pub fn restarts_on(self, excludes: bool, codes: &[u8]) -> Self {
        self.rule(RestartAction::Restart, excludes, codes)
    }

    /// Restarts all containers of the pod after an exit with one of these codes.
    pub fn restarts_all_on(self, codes: &[u8]) -> Self {
        self.rule(RestartAction::RestartAllContainers, false, codes)
    }

    fn rule(mut self, action: RestartAction, excludes: bool, codes: &[u8]) -> Self {
        self.plan.restart_rules.push(RestartRule {
            action,
            excludes,
            codes: codes.to_vec(),
        });
        self
    }

    /// The container's own restart policy.
    pub fn policy(mut self, policy: RestartPolicy) -> Self {
        self.plan.restart = policy;
        self.own_policy = true;
        self
    }
}

/// A pod of simulated containers.
pub struct Pod {
    policy: RestartPolicy,
    pub plan: PodPlan,
    pub behaviours: Vec<Vec<Behaviour>>,
    requests: Vec<(f64, Request)>,
}

/// Grace 30 unless told otherwise.
pub fn pod(policy: RestartPolicy) -> Pod {
    Pod {
        policy,
        plan: PodPlan {
            containers: Vec::new(),
            grace: secs(30.0),
            active_deadline: None,
            max_backoff: tenure_lifecycle::DEFAULT_MAX_BACKOFF,
        },
        behaviours: Vec::new(),
        requests: Vec::new(),
    }
}

impl Pod {
    pub fn with(mut self, mut container: Sim) -> Self {
        if !container.own_policy {
            container.plan.restart = match (container.plan.kind, self.policy) {
                (ContainerKind::Sidecar, _) => Always,
                (ContainerKind::Init, Always) => OnFailure,
                (ContainerKind::Init | ContainerKind::App, policy) => policy,
            };
        }
        self.plan.containers.push(container.plan);
        self.behaviours.push(container.starts);
        self
    }

    pub fn grace(mut self, seconds: f64) -> Self {
        self.plan.grace = secs(seconds);
        self
    }

    pub fn active_deadline(mut self, seconds: f64) -> Self {
        self.plan.active_deadline = Some(secs(seconds));
        self
    }

    pub fn max_backoff(mut self, seconds: f64) -> Self {
        self.plan.max_backoff = secs(seconds);
        self
    }

    pub fn stop(mut self, at: f64, grace: Option<u64>) -> Self {
        self.requests.push((at, Request::Stop { grace }));
        self
    }

    pub fn request(mut self, at: f64, request: Request) -> Self {
        self.requests.push((at, request));
        self
    }

    pub fn world(self) -> World {
        let mut world = World::new(self.plan, self.behaviours);
        for (at, request) in self.requests {
            world.request(at, request);
        }
        world
    }

    /// Lives to its end, or for ten thousand seconds.
    pub fn live(self) -> Life {
        self.live_for(10_000.0)
    }

    pub fn live_for(self, seconds: f64) -> Life {
        let mut world = self.world();
        world.run_until(t(seconds));
        Life { world }
    }
}

/// A simulated life, to be asked what happened when, in seconds.
pub struct Life {
    pub world: World,
}

impl Life {
    fn index(&self, name: &str) -> usize {
        let place = self
            .world
            .plan()
            .containers
            .iter()
            .position(|container| container.name == name);
        place.unwrap_or_else(|| panic!("no container {name}"))
    }

    fn actions(&self) -> impl Iterator<Item = (f64, &Action)> {
        self.world.log.iter().flat_map(|entry| {
            let at = entry.at.since_origin().as_secs_f64();
            entry.answer.iter().flatten().map(move |action| (at, action))
        })
    }

    fn ordered(&self, name: &str, wanted: impl Fn(&ContainerAction) -> bool) -> Vec<f64> {
        let index = ContainerIndex(self.index(name));
        self.actions()
            .filter_map(|(at, action)| match action {
                Action::Container { container, action } if *container == index && wanted(action) => Some(at),
                _ => None,
            })
            .collect()
    }

    pub fn created(&self, name: &str) -> Vec<f64> {
        self.ordered(name, |action| matches!(action, ContainerAction::Create { .. }))
    }

    pub fn started(&self, name: &str) -> Vec<f64> {
        self.ordered(name, |action| *action == ContainerAction::Start)
    }

    pub fn signalled(&self, name: &str) -> Vec<f64> {
        self.ordered(name, |action| *action == ContainerAction::SignalStop)
    }

    pub fn killed(&self, name: &str) -> Vec<f64> {
        self.ordered(name, |action| *action == ContainerAction::Kill)
    }

    pub fn deleted(&self, name: &str) -> Vec<f64> {
        self.ordered(name, |action| *action == ContainerAction::Delete)
    }

    pub fn ran_post_start(&self, name: &str) -> Vec<f64> {
        self.ordered(name, |action| {
            *action
                == ContainerAction::RunHook {
                    point: HookPoint::PostStart,
                }
        })
    }

    pub fn ran_pre_stop(&self, name: &str) -> Vec<f64> {
        self.ordered(name, |action| {
            *action
                == ContainerAction::RunHook {
                    point: HookPoint::PreStop,
                }
        })
    }

    pub fn probed(&self, name: &str, kind: ProbeKind) -> Vec<f64> {
        self.ordered(name, |action| *action == ContainerAction::Probe { kind })
    }

    pub fn cancelled_probe(&self, name: &str, kind: ProbeKind) -> Vec<f64> {
        self.ordered(name, |action| *action == ContainerAction::CancelProbe { kind })
    }

    pub fn cancelled(&self, name: &str) -> Vec<f64> {
        self.ordered(name, |action| {
            matches!(action, ContainerAction::CancelHook { .. })
        })
    }

    pub fn exited(&self, name: &str) -> Vec<f64> {
        let index = ContainerIndex(self.index(name));
        let exit = |event: &Event| match event {
            Event::Container {
                container,
                event: ContainerEvent::Exited(_),
            } => *container == index,
            _ => false,
        };
        let entries = self.world.log.iter().filter(|entry| exit(&entry.event));
        entries
            .map(|entry| entry.at.since_origin().as_secs_f64())
            .collect()
    }

    /// When events with this reason were told, of whatever container.
    pub fn told(&self, reason: Reason) -> Vec<f64> {
        self.notices(reason).into_iter().map(|(at, _)| at).collect()
    }

    pub fn notices(&self, reason: Reason) -> Vec<(f64, String)> {
        self.actions()
            .filter_map(|(at, action)| match action {
                Action::Notify(notice) if notice.reason == reason => Some((at, notice.message.clone())),
                _ => None,
            })
            .collect()
    }

    /// The published status at a time, everything of that time done.
    pub fn status_at(&self, seconds: f64) -> &PodStatus {
        let entry = self.world.log.iter().rev().find(|entry| entry.at <= t(seconds));
        &entry.expect("something has happened by then").status
    }

    pub fn phase_at(&self, seconds: f64) -> Phase {
        self.status_at(seconds).phase
    }

    pub fn container_at(&self, seconds: f64, name: &str) -> &ContainerStatus {
        &self.status_at(seconds).containers[self.index(name)]
    }

    /// `Waiting`'s or `Terminated`'s reason, or `Running`.
    pub fn state_at(&self, seconds: f64, name: &str) -> String {
        match &self.container_at(seconds, name).state {
            ContainerState::Waiting { reason, .. } => reason.clone(),
            ContainerState::Running { .. } => "Running".to_owned(),
            ContainerState::Terminated(terminated) => terminated.reason.clone(),
        }
    }

    pub fn end(&self) -> PodStatus {
        self.world.machine().status()
    }

    /// When the pod finished.
    pub fn finished(&self) -> Option<f64> {
        self.end().finished_at.map(|at| at.since_origin().as_secs_f64())
    }

    /// How the container ended, as last published.
    pub fn terminated(&self, name: &str) -> Terminated {
        match &self.end().containers[self.index(name)].state {
            ContainerState::Terminated(terminated) => terminated.clone(),
            other => panic!("{name} is {other:?}"),
        }
    }

    pub fn exit_code(&self, name: &str) -> u8 {
        self.terminated(name).exit_code
    }
}
