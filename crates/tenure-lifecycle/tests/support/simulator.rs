//! A fake world for the pod machine: containers that behave as told, and a clock that jumps from event to deadline.
//!
//! Deterministic: what happens at the same time happens in the order in which it was brought about.
//!
//! ```text
//! PodMachine ─ actions ─▶ World: schedules what they bring about
//!      ▲                    │
//!      └── events, ticks ───┘   whichever is earliest, the clock moved there first
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_lifecycle::{
    Action, ContainerAction, ContainerEvent, ContainerIndex, Event, Exit, ExitStatus, HandlerKind,
    HookOutcome, HookPoint, HookReport, PodMachine, PodPlan, PodStatus, ProbeKind, ProbeOutcome, Rejected,
    Request, StartFailure, Timestamp,
};

/// How one start of a container behaves.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// How long `Create` takes, and whether it fails.
    pub create: (Duration, Option<StartFailure>),
    /// How long `Start` takes, and whether it fails. The program begins when it is ordered.
    pub start: (Duration, Option<StartFailure>),
    /// The program ends by itself so long after it began, so; `None`: it runs on.
    pub ends: Option<(Duration, ExitStatus)>,
    /// The program ends so long after its stop signal, so; `None`: it takes no notice.
    pub on_signal: Option<(Duration, ExitStatus)>,
    /// The postStart handler.
    pub post_start: Hook,
    /// The preStop handler.
    pub pre_stop: Hook,
    /// How the probes go, by kind; one that is not named succeeds at once.
    pub probes: BTreeMap<ProbeKind, Probing>,
    /// How long `Delete` takes, and whether it fails.
    pub delete: (Duration, Option<String>),
}

/// How the executions of one probe go.
#[derive(Debug, Clone)]
pub struct Probing {
    /// How long each takes; `None`: it never ends by itself.
    pub takes: Option<Duration>,
    /// What comes of one that begins so long after the program or later; in order.
    pub outcomes: Vec<(Duration, ProbeOutcome)>,
}

/// How a handler behaves.
#[derive(Debug, Clone)]
pub struct Hook {
    /// How long it takes; `None`: it never ends by itself.
    pub takes: Option<Duration>,
    /// How it ends.
    pub report: HookReport,
}

impl Default for Behaviour {
    /// A program that runs till its stop signal and then ends at once, of it; everything else succeeds at once.
    fn default() -> Self {
        let hook = Hook {
            takes: Some(Duration::ZERO),
            report: report(HookOutcome::Succeeded),
        };
        Self {
            create: (Duration::ZERO, None),
            start: (Duration::ZERO, None),
            ends: None,
            on_signal: Some((Duration::ZERO, ExitStatus::Signal(15))),
            post_start: hook.clone(),
            pre_stop: hook,
            probes: BTreeMap::new(),
            delete: (Duration::ZERO, None),
        }
    }
}

/// A report without output.
pub fn report(outcome: HookOutcome) -> HookReport {
    HookReport {
        outcome,
        output: String::new(),
        http_fallback: false,
    }
}

/// The world around one pod machine.
pub struct World {
    machine: PodMachine,
    plan: PodPlan,
    /// By container, then by start; the last start's behaviour repeats.
    behaviours: Vec<Vec<Behaviour>>,
    containers: Vec<Container>,
    now: Timestamp,
    /// What will happen, by time and order.
    coming: BTreeMap<(Timestamp, u64), Happening>,
    next_order: u64,
    /// What has happened.
    pub log: Vec<Entry>,
}

/// One line of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What the machine was told.
    pub event: Event,
    /// What it ordered.
    pub answer: Result<Vec<Action>, Rejected>,
    /// What is published afterwards.
    pub status: PodStatus,
}

/// The container as it is in the world.
#[derive(Debug, Clone, Default)]
struct Container {
    /// Counts starts, so that what was meant for an earlier one does not touch a later one.
    start: usize,
    alive: bool,
    began: Timestamp,
    hooks: Vec<HookPoint>,
    probes: Vec<ProbeKind>,
}

#[derive(Debug, Clone)]
enum Happening {
    Told(Event),
    Ends {
        container: usize,
        start: usize,
        status: ExitStatus,
    },
    HookEnds {
        container: usize,
        start: usize,
        point: HookPoint,
        report: HookReport,
    },
    ProbeEnds {
        container: usize,
        start: usize,
        kind: ProbeKind,
        outcome: ProbeOutcome,
    },
}

impl World {
    /// A pod whose containers behave so; its life begins at once.
    pub fn new(plan: PodPlan, behaviours: Vec<Vec<Behaviour>>) -> Self {
        let machine = PodMachine::new(plan.clone());
        Self::around(machine, plan, behaviours)
    }

    /// A machine that exists already; `Begin` comes at once.
    pub fn around(machine: PodMachine, plan: PodPlan, behaviours: Vec<Vec<Behaviour>>) -> Self {
        let mut world = Self {
            machine,
            containers: vec![Container::default(); plan.containers.len()],
            plan,
            behaviours,
            now: Timestamp::ZERO,
            coming: BTreeMap::new(),
            next_order: 0,
            log: Vec::new(),
        };
        world.schedule(Duration::ZERO, Happening::Told(Event::Begin));
        world
    }

    /// Says that a container runs already, as recovery would find it.
    pub fn is_alive(&mut self, container: usize) {
        if let Some(container) = self.containers.get_mut(container) {
            container.alive = true;
            container.start = 1;
        }
    }

    /// A request `seconds` after the beginning.
    pub fn request(&mut self, seconds: f64, request: Request) {
        let at = Timestamp::from_origin(Duration::from_secs_f64(seconds));
        self.schedule_at(at, Happening::Told(Event::Request(request)));
    }

    /// Runs until the pod has finished, nothing can happen any more, or `until` is reached.
    pub fn run_until(&mut self, until: Timestamp) {
        loop {
            let coming = self.coming.first_key_value().map(|(key, _)| *key);
            let deadline = self.machine.next_deadline();
            let event_is_first = match (coming, deadline) {
                (None, None) => return,
                (Some((at, _)), Some(deadline)) => at <= deadline,
                (Some(_), None) => true,
                (None, Some(_)) => false,
            };
            let at = if event_is_first {
                coming.map(|(at, _)| at)
            } else {
                deadline
            };
            let Some(at) = at.filter(|at| *at <= until) else {
                return;
            };
            self.now = self.now.max(at);
            if event_is_first {
                if let Some((_, happening)) = self.coming.pop_first() {
                    self.happen(happening);
                }
            } else {
                self.tell(Event::Tick);
            }
        }
    }

    /// The machine.
    pub fn machine(&self) -> &PodMachine {
        &self.machine
    }

    /// The plan.
    pub fn plan(&self) -> &PodPlan {
        &self.plan
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    fn schedule(&mut self, after: Duration, happening: Happening) {
        self.schedule_at(self.now + after, happening);
    }

    fn schedule_at(&mut self, at: Timestamp, happening: Happening) {
        self.next_order += 1;
        self.coming.insert((at, self.next_order), happening);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Told(event) => self.tell(event),
            Happening::Ends {
                container,
                start,
                status,
            } => self.end(container, start, status),
            Happening::HookEnds {
                container,
                start,
                point,
                report,
            } => {
                if self.containers[container].start == start {
                    self.end_hook(container, point, report);
                }
            }
            Happening::ProbeEnds {
                container,
                start,
                kind,
                outcome,
            } => {
                if self.containers[container].start == start {
                    self.end_probe(container, kind, outcome);
                }
            }
        }
    }

    fn tell(&mut self, event: Event) {
        let answer = self.machine.on_event(self.now, event.clone());
        let actions = answer.clone().unwrap_or_default();
        self.log.push(Entry {
            at: self.now,
            event,
            answer,
            status: self.machine.status(),
        });
        for action in actions {
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::CreateSandbox => self.schedule(Duration::ZERO, Happening::Told(Event::SandboxCreated)),
            Action::RemoveSandbox => self.schedule(Duration::ZERO, Happening::Told(Event::SandboxRemoved)),
            Action::Container { container, action } => self.carry_out_on(container.0, action),
            Action::Notify(_) | Action::Finish => {}
        }
    }

    fn carry_out_on(&mut self, container: usize, action: ContainerAction) {
        match action {
            ContainerAction::Create { restart_count: _ } => {
                self.containers[container] = Container {
                    start: self.containers[container].start + 1,
                    ..Container::default()
                };
                let (takes, failure) = self.behaviour(container).create;
                self.answer(
                    container,
                    takes,
                    ContainerEvent::Created,
                    failure.map(ContainerEvent::CreateFailed),
                );
                // Init can be killed from here on.
                self.containers[container].alive = true;
            }
            ContainerAction::Start => {
                self.containers[container].began = self.now;
                let behaviour = self.behaviour(container);
                let (takes, failure) = behaviour.start;
                let fails = failure.is_some();
                self.answer(
                    container,
                    takes,
                    ContainerEvent::Started,
                    failure.map(ContainerEvent::StartFailed),
                );
                if let (false, Some((after, status))) = (fails, behaviour.ends) {
                    self.end_after(container, after, status);
                }
            }
            ContainerAction::RunHook { point } => self.run_hook(container, point),
            ContainerAction::CancelHook { point } => {
                self.end_hook(container, point, report(HookOutcome::Cancelled));
            }
            ContainerAction::Probe { kind } => self.probe(container, kind),
            ContainerAction::CancelProbe { kind } => {
                self.end_probe(container, kind, ProbeOutcome::Cancelled);
            }
            ContainerAction::SignalStop => {
                if let Some((after, status)) = self.behaviour(container).on_signal {
                    self.end_after(container, after, status);
                }
            }
            ContainerAction::Kill => self.end_after(container, Duration::ZERO, ExitStatus::Signal(9)),
            ContainerAction::Delete => {
                let (takes, failure) = self.behaviour(container).delete;
                let failure = failure.map(|message| ContainerEvent::DeleteFailed { message });
                self.answer(container, takes, ContainerEvent::Deleted, failure);
            }
        }
    }

    fn run_hook(&mut self, container: usize, point: HookPoint) {
        let behaviour = self.behaviour(container);
        let hook = match point {
            HookPoint::PostStart => behaviour.post_start,
            HookPoint::PreStop => behaviour.pre_stop,
        };
        self.containers[container].hooks.push(point);
        let start = self.containers[container].start;
        if let Some(takes) = hook.takes {
            self.schedule(
                takes,
                Happening::HookEnds {
                    container,
                    start,
                    point,
                    report: hook.report,
                },
            );
        }
    }

    fn end_hook(&mut self, container: usize, point: HookPoint, report: HookReport) {
        let hooks = &mut self.containers[container].hooks;
        if let Some(place) = hooks.iter().position(|running| *running == point) {
            hooks.remove(place);
            self.schedule_event(
                container,
                Duration::ZERO,
                ContainerEvent::HookFinished { point, report },
            );
        }
    }

    fn probe(&mut self, container: usize, kind: ProbeKind) {
        let probing = self.behaviour(container).probes.remove(&kind);
        let probing = probing.unwrap_or(Probing {
            takes: Some(Duration::ZERO),
            outcomes: Vec::new(),
        });
        let world = &mut self.containers[container];
        world.probes.push(kind);
        let (start, age) = (world.start, self.now - world.began);
        let outcomes = probing.outcomes.into_iter().rev();
        let outcome = outcomes.into_iter().find(|(from, _)| *from <= age);
        let outcome = outcome.map_or(ProbeOutcome::Succeeded, |(_, outcome)| outcome);
        if let Some(takes) = probing.takes {
            let happening = Happening::ProbeEnds {
                container,
                start,
                kind,
                outcome,
            };
            self.schedule(takes, happening);
        }
    }

    fn end_probe(&mut self, container: usize, kind: ProbeKind, outcome: ProbeOutcome) {
        let probes = &mut self.containers[container].probes;
        if let Some(place) = probes.iter().position(|running| *running == kind) {
            probes.remove(place);
            let told = ContainerEvent::ProbeFinished { kind, outcome };
            self.schedule_event(container, Duration::ZERO, told);
        }
    }

    fn end_after(&mut self, container: usize, after: Duration, status: ExitStatus) {
        let start = self.containers[container].start;
        self.schedule(
            after,
            Happening::Ends {
                container,
                start,
                status,
            },
        );
    }

    /// The program ends, and with it every handler that runs in the container.
    fn end(&mut self, container: usize, start: usize, status: ExitStatus) {
        let world = &mut self.containers[container];
        if world.start != start || !world.alive {
            return;
        }
        world.alive = false;
        let hooks = world.hooks.clone();
        self.tell(event(container, ContainerEvent::Exited(Exit::plain(status))));
        for point in hooks {
            let plan = &self.plan.containers[container];
            let kind = match point {
                HookPoint::PostStart => plan.post_start,
                HookPoint::PreStop => plan.pre_stop,
            };
            if kind == Some(HandlerKind::Exec) {
                self.end_hook(container, point, report(HookOutcome::Cancelled));
            }
        }
    }

    fn answer(
        &mut self,
        container: usize,
        takes: Duration,
        good: ContainerEvent,
        bad: Option<ContainerEvent>,
    ) {
        self.schedule_event(container, takes, bad.unwrap_or(good));
    }

    fn schedule_event(&mut self, container: usize, after: Duration, told: ContainerEvent) {
        self.schedule(after, Happening::Told(event(container, told)));
    }

    /// Of the container's current start.
    fn behaviour(&self, container: usize) -> Behaviour {
        let starts = &self.behaviours[container];
        let place = self.containers[container]
            .start
            .saturating_sub(1)
            .min(starts.len().saturating_sub(1));
        starts.get(place).cloned().unwrap_or_default()
    }
}

/// An event of a container.
pub fn event(container: usize, event: ContainerEvent) -> Event {
    Event::Container {
        container: ContainerIndex(container),
        event,
    }
}
