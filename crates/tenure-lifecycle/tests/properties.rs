//! Promises that hold for every sequence of events, sensible or not; `support::monitor` has them all.

mod support;

use proptest::prelude::*;
use support::monitor::Monitor;
use support::simulator::{Behaviour, Entry, Hook, Probing, World, event, report};
use support::*;
use tenure_lifecycle::{
    ContainerEvent, ContainerKind, ContainerPlan, Event, Exit, ExitStatus, HandlerKind, HookOutcome,
    HookPoint, PodMachine, PodPlan, ProbeKind, ProbeOutcome, ProbePlan, ProbePlans, Request, StartFailure,
    Timestamp,
};
use tenure_spec::{RestartAction, RestartPolicy, RestartRule};

/// What a random life is made of.
#[derive(Debug, Clone)]
enum Step {
    /// Anything, also what cannot be.
    Anything(Event),
    /// The n-th (modulo) event that answers something owed.
    Answer(usize),
    /// Time passes, in ms; ticks come when they are due.
    Wait(u64),
}

fn policy() -> impl Strategy<Value = RestartPolicy> {
    prop_oneof![Just(Always), Just(OnFailure), Just(Never)]
}

fn handler() -> impl Strategy<Value = Option<HandlerKind>> {
    prop_oneof![
        Just(None),
        Just(Some(HandlerKind::Exec)),
        Just(Some(HandlerKind::HttpGet)),
        Just(Some(HandlerKind::Sleep))
    ]
}

fn probe_plan(own_grace: bool) -> impl Strategy<Value = Option<ProbePlan>> {
    let grace = prop::option::weighted(0.3, 1_u64..12).prop_map(move |grace| grace.filter(|_| own_grace));
    let plan = (0_u64..6, 0_u64..5, 0_u32..3, 0_u32..4, grace);
    let plan = plan.prop_map(|(delay, period, success, failure, grace)| ProbePlan {
        initial_delay: secs(delay as f64),
        period: secs(period as f64),
        success_threshold: success,
        failure_threshold: failure,
        grace: grace.map(|seconds| secs(seconds as f64)),
    });
    prop::option::weighted(0.4, plan)
}

fn probe_plans() -> impl Strategy<Value = ProbePlans> {
    (probe_plan(true), probe_plan(false), probe_plan(true)).prop_map(|(startup, readiness, liveness)| {
        ProbePlans {
            startup,
            readiness,
            liveness,
        }
    })
}

fn container(kind: ContainerKind) -> impl Strategy<Value = ContainerPlan> {
    let codes = prop::collection::vec(0_u8..4, 1..3);
    let action = prop_oneof![
        Just(RestartAction::Restart),
        Just(RestartAction::RestartAllContainers)
    ];
    let rule = (action, any::<bool>(), codes).prop_map(|(action, excludes, codes)| RestartRule {
        action,
        excludes,
        codes,
    });
    let rules = prop::collection::vec(rule, 0..2);
    (policy(), rules, handler(), handler(), probe_plans()).prop_map(
        move |(policy, restart_rules, post_start, pre_stop, probes)| {
            let hooked = kind != ContainerKind::Init;
            ContainerPlan {
                name: format!("{kind:?}").to_lowercase(),
                kind,
                restart: match (kind, policy) {
                    (ContainerKind::Sidecar, _) => Always,
                    (ContainerKind::Init, Always) => OnFailure,
                    (ContainerKind::Init | ContainerKind::App, policy) => policy,
                },
                restart_rules,
                post_start: post_start.filter(|_| hooked),
                pre_stop: pre_stop.filter(|_| hooked),
                probes: if hooked { probes } else { ProbePlans::default() },
            }
        },
    )
}

fn plan() -> impl Strategy<Value = PodPlan> {
    let early = prop_oneof![container(ContainerKind::Init), container(ContainerKind::Sidecar)];
    let inits = prop::collection::vec(early, 0..3);
    let apps = prop::collection::vec(container(ContainerKind::App), 1..3);
    let deadline = prop::option::weighted(0.2, 0_u64..60);
    (inits, apps, 0_u64..12, deadline, 0_u64..30).prop_map(|(inits, apps, grace, deadline, max)| PodPlan {
        containers: inits.into_iter().chain(apps).collect(),
        grace: secs(grace as f64),
        active_deadline: deadline.map(|seconds| secs(seconds as f64)),
        max_backoff: secs(max as f64),
    })
}

fn status() -> impl Strategy<Value = ExitStatus> {
    prop_oneof![
        3 => Just(ExitStatus::Code(0)),
        2 => (1_u8..4).prop_map(ExitStatus::Code),
        1 => Just(ExitStatus::Signal(9)),
        1 => Just(ExitStatus::Unknown),
    ]
}

fn outcome() -> impl Strategy<Value = HookOutcome> {
    prop_oneof![
        Just(HookOutcome::Succeeded),
        Just(HookOutcome::Failed {
            message: "exit code 1".to_owned()
        }),
        Just(HookOutcome::Cancelled),
    ]
}

fn probe_kind() -> impl Strategy<Value = ProbeKind> {
    (0_usize..3).prop_map(|place| ProbeKind::ALL[place])
}

fn probe_outcome() -> impl Strategy<Value = ProbeOutcome> {
    prop_oneof![
        3 => Just(ProbeOutcome::Succeeded),
        1 => Just(ProbeOutcome::Warned { message: "elsewhere".to_owned() }),
        3 => Just(unhealthy()),
        1 => Just(errored()),
        1 => Just(ProbeOutcome::Cancelled),
    ]
}

fn failure() -> impl Strategy<Value = StartFailure> {
    prop_oneof![Just(runtime_error()), Just(config_error())]
}

fn exited() -> impl Strategy<Value = ContainerEvent> {
    status().prop_map(|status| ContainerEvent::Exited(Exit::plain(status)))
}

fn container_event() -> impl Strategy<Value = ContainerEvent> {
    let point = prop_oneof![Just(HookPoint::PostStart), Just(HookPoint::PreStop)];
    prop_oneof![
        Just(ContainerEvent::Created),
        failure().prop_map(ContainerEvent::CreateFailed),
        Just(ContainerEvent::Started),
        failure().prop_map(ContainerEvent::StartFailed),
        exited(),
        (point, outcome()).prop_map(|(point, outcome)| ContainerEvent::HookFinished {
            point,
            report: report(outcome)
        }),
        (probe_kind(), probe_outcome())
            .prop_map(|(kind, outcome)| ContainerEvent::ProbeFinished { kind, outcome }),
        Just(ContainerEvent::Deleted),
        Just(ContainerEvent::DeleteFailed {
            message: "busy".to_owned()
        }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        2 => prop::option::of(0_u64..20).prop_map(|grace| Request::Stop { grace }),
        2 => Just(Request::Interrupt),
        1 => Just(Request::Kill),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let strange = prop_oneof![
        Just(Event::Begin),
        Just(Event::SandboxCreated),
        Just(Event::SandboxFailed {
            message: "no".to_owned()
        }),
        Just(Event::SandboxRemoved),
        Just(Event::Tick),
    ];
    prop_oneof![
        12 => (0_usize..40).prop_map(Step::Answer),
        3 => (0_usize..5, container_event()).prop_map(|(place, told)| Step::Anything(event(place, told))),
        4 => (0_usize..5, exited()).prop_map(|(place, told)| Step::Anything(event(place, told))),
        1 => strange.prop_map(Step::Anything),
        1 => request().prop_map(|request| Step::Anything(Event::Request(request))),
        6 => (0_u64..9000).prop_map(Step::Wait),
    ]
}

/// A machine, its monitor and a clock.
struct Watched {
    machine: PodMachine,
    monitor: Monitor,
    now: Timestamp,
}

impl Watched {
    fn tell(&mut self, event: Event) {
        let answer = self.machine.on_event(self.now, event.clone());
        let status = self.machine.status();
        self.monitor.see(&Entry {
            at: self.now,
            event,
            answer,
            status,
        });
        assert_eq!(self.machine.is_finished(), self.monitor.is_finished());
        if let Some(deadline) = self.machine.next_deadline() {
            assert!(
                deadline > self.now,
                "a deadline in the past: what is due was not done"
            );
        }
    }

    fn wait(&mut self, length: std::time::Duration) {
        let until = self.now + length;
        while let Some(deadline) = self.machine.next_deadline().filter(|deadline| *deadline <= until) {
            self.now = deadline;
            self.tell(Event::Tick);
        }
        self.now = until;
        self.tell(Event::Tick);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Anything(event) => self.tell(event),
            Step::Answer(n) => {
                let answers = self.monitor.answers();
                if !answers.is_empty() {
                    self.tell(answers[n % answers.len()].clone());
                }
            }
            Step::Wait(millis) => self.wait(secs(millis as f64 / 1000.0)),
        }
    }

    /// A stop, and from then on a world that answers well and lets the killed die.
    fn bring_to_an_end(&mut self) {
        self.tell(Event::Request(Request::Stop { grace: None }));
        for _ in 0..200 {
            while let Some(answer) = self.monitor.answers().into_iter().next() {
                self.tell(answer);
            }
            if self.machine.is_finished() {
                return;
            }
            self.wait(secs(1.0));
            if self.monitor.kill_by.is_some_and(|kill_by| kill_by <= self.now) {
                for place in 0..self.monitor.starts.len() {
                    let exit = Exit::plain(ExitStatus::Signal(9));
                    self.tell(event(place, ContainerEvent::Exited(exit)));
                }
            }
        }
    }
}

fn hook() -> impl Strategy<Value = Hook> {
    let good = prop_oneof![3 => Just(HookOutcome::Succeeded), 1 => outcome()];
    (prop::option::weighted(0.8, 0_u64..9000), good).prop_map(|(takes, outcome)| Hook {
        takes: takes.map(|millis| secs(millis as f64 / 1000.0)),
        report: report(outcome),
    })
}

fn ending() -> impl Strategy<Value = Option<(std::time::Duration, ExitStatus)>> {
    prop::option::of((0_u64..20_000, status()))
        .prop_map(|ending| ending.map(|(millis, status)| (secs(millis as f64 / 1000.0), status)))
}

fn probing() -> impl Strategy<Value = Probing> {
    let outcomes = prop::collection::vec((0_u64..20_000, probe_outcome()), 0..4);
    (prop::option::weighted(0.9, 0_u64..3000), outcomes).prop_map(|(takes, mut outcomes)| {
        let length = |millis: u64| secs(millis as f64 / 1000.0);
        outcomes.sort_by_key(|(from, _)| *from);
        Probing {
            takes: takes.map(length),
            outcomes: outcomes
                .into_iter()
                .map(|(from, outcome)| (length(from), outcome))
                .collect(),
        }
    })
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    let length = || (0_u64..2000).prop_map(|millis| secs(millis as f64 / 1000.0));
    let fails = || prop::option::weighted(0.1, failure());
    let delete = (length(), prop::option::weighted(0.1, Just("busy".to_owned())));
    (
        (length(), fails()),
        (length(), fails()),
        ending(),
        ending(),
        hook(),
        hook(),
        prop::collection::btree_map(probe_kind(), probing(), 0..4),
        delete,
    )
        .prop_map(
            |(create, start, ends, on_signal, post_start, pre_stop, probes, delete)| Behaviour {
                create,
                start,
                ends,
                on_signal,
                post_start,
                pre_stop,
                probes,
                delete,
            },
        )
}

/// A plan, how each start of each container behaves, and what is asked when (in ms).
type Lived = (PodPlan, Vec<Vec<Behaviour>>, Vec<(u64, Request)>);

fn lived() -> impl Strategy<Value = Lived> {
    let behaviours = prop::collection::vec(prop::collection::vec(behaviour(), 1..4), 5);
    let requests = prop::collection::vec((0_u64..60_000, request()), 1..4);
    (plan(), behaviours, requests)
}

/// A thousand cases each, or more if `PROPTEST_CASES` says so.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: default.cases.max(1000),
        failure_persistence: None,
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_promise_holds_for_any_sequence_of_events(plan in plan(), steps in prop::collection::vec(step(), 0..120)) {
        let monitor = Monitor::new(plan.clone());
        let mut watched = Watched { machine: PodMachine::new(plan), monitor, now: Timestamp::ZERO };
        for step in steps {
            watched.take(step);
        }
    }

    #[test]
    fn whatever_happened_a_stop_brings_the_pod_to_its_end(
        plan in plan(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let monitor = Monitor::new(plan.clone());
        let mut watched = Watched { machine: PodMachine::new(plan), monitor, now: Timestamp::ZERO };
        for step in steps {
            watched.take(step);
        }
        if !watched.machine.is_finished() {
            watched.bring_to_an_end();
        }
        prop_assert!(watched.machine.is_finished(), "{:?}", watched.machine);
    }

    #[test]
    fn simulated_lives_keep_every_promise_and_end_in_time((plan, behaviours, requests) in lived()) {
        let asked = requests.iter().map(|(at, _)| *at).min().unwrap_or(0);
        let bound = asked as f64 / 1000.0 + plan.grace.as_secs_f64().max(20.0) + 2.0;
        let mut world = World::new(plan.clone(), behaviours);
        for (at, request) in requests {
            world.request(at as f64 / 1000.0, request);
        }
        world.run_until(t(10_000.0));
        let mut monitor = Monitor::new(plan);
        for entry in &world.log {
            monitor.see(entry);
        }
        prop_assert!(world.machine().is_finished());
        let finished = world.machine().status().finished_at.unwrap();
        // A create, a start and a delete may be under way, 2 s each at most.
        prop_assert!(finished <= t(bound + 6.0), "finished at {finished:?}, bound {bound}");
    }

    #[test]
    fn the_same_events_give_the_same_orders((plan, behaviours, requests) in lived()) {
        let lives: Vec<World> = (0..2)
            .map(|_| {
                let mut world = World::new(plan.clone(), behaviours.clone());
                for (at, request) in &requests {
                    world.request(*at as f64 / 1000.0, *request);
                }
                world.run_until(t(200.0));
                world
            })
            .collect();
        let answers = |world: &World| world.log.iter().map(|entry| entry.answer.clone()).collect::<Vec<_>>();
        prop_assert_eq!(answers(&lives[0]), answers(&lives[1]));
    }
}
