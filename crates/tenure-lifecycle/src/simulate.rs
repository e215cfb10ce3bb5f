//! A pod's life without a pod: the machine in a world where everything behaves as assumed, on a clock that jumps.
//!
//! What `tenure pod plan` shows. Pure: no clock, no process; the same assumptions give the same life.
//!
//! ```text
//! PodMachine ─ orders ─▶ Simulation: schedules what they bring about, as assumed
//!      ▲                     │
//!      └── events, ticks ────┘   whichever is earliest, the clock moved there first
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::{Action, ContainerAction, Notice};
use crate::event::{ContainerEvent, ContainerIndex, Event, HookOutcome, HookPoint, HookReport, Request};
use crate::exit::{Exit, ExitStatus};
use crate::plan::{HandlerKind, PodPlan};
use crate::pod::PodMachine;
use crate::probe::{ProbeKind, ProbeOutcome};
use crate::status::PodStatus;
use crate::time::Timestamp;

/// How a container is assumed to behave, at every start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumption {
    /// How long it takes to create it, its bundle included.
    pub create: Duration,
    /// How long it takes to start its program.
    pub start: Duration,
    /// How long it takes to delete it.
    pub delete: Duration,
    /// How long its program runs when it is left alone; `None`: until it is stopped.
    pub runs: Option<Duration>,
    /// How its program ends by itself.
    pub exit: ExitStatus,
    /// How long it takes to end after its stop signal; `None`: it takes no notice.
    pub stops_in: Option<Duration>,
    /// How it ends after its stop signal.
    pub stop_exit: ExitStatus,
    /// How long postStart takes; `None`: it hangs.
    pub post_start: Option<Duration>,
    /// postStart fails.
    pub post_start_fails: bool,
    /// How long preStop takes; `None`: it hangs.
    pub pre_stop: Option<Duration>,
    /// preStop fails.
    pub pre_stop_fails: bool,
    /// Its startup and readiness probes succeed from so long after its program's start; `None`: never.
    pub ready_after: Option<Duration>,
    /// Its readiness and liveness probes fail from so long after its program's start; `None`: never.
    pub unhealthy_after: Option<Duration>,
}

impl Default for Assumption {
    /// A server that ends with code 0 on its stop signal, on a machine of today.
    fn default() -> Self {
        Self {
            create: Duration::from_millis(20),
            start: Duration::from_millis(5),
            delete: Duration::from_millis(10),
            runs: None,
            exit: ExitStatus::Code(0),
            stops_in: Some(Duration::ZERO),
            stop_exit: ExitStatus::Code(0),
            post_start: Some(Duration::ZERO),
            post_start_fails: false,
            pre_stop: Some(Duration::ZERO),
            pre_stop_fails: false,
            ready_after: Some(Duration::ZERO),
            unhealthy_after: None,
        }
    }
}

impl Assumption {
    /// What a probe finds so long after the program's start.
    fn probed(&self, kind: ProbeKind, age: Duration) -> ProbeOutcome {
        let is_up = self.ready_after.is_some_and(|after| age >= after);
        let is_ill = self.unhealthy_after.is_some_and(|after| age >= after);
        let succeeds = match kind {
            ProbeKind::Startup => is_up,
            ProbeKind::Readiness => is_up && !is_ill,
            ProbeKind::Liveness => !is_ill,
        };
        match succeeds {
            true => ProbeOutcome::Succeeded,
            false => ProbeOutcome::Failed {
                message: "assumed to fail".into(),
            },
        }
    }
}

/// What was told at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// When, from the pod's beginning.
    pub at: Timestamp,
    /// What.
    pub notice: Notice,
}

/// A life that is being simulated.
#[derive(Debug)]
pub struct Simulation {
    machine: PodMachine,
    plan: PodPlan,
    assumptions: Vec<Assumption>,
    containers: Vec<Container>,
    now: Timestamp,
    /// What will happen, by time and order.
    coming: BTreeMap<(Timestamp, u64), Happening>,
    next_order: u64,
    told: Vec<Told>,
}

/// A container as it is in the world.
#[derive(Debug, Clone, Default)]
struct Container {
    /// Counts starts, so that what was meant for an earlier one does not touch a later one.
    start: u64,
    alive: bool,
    hooks: Vec<HookPoint>,
    /// When its program was started.
    began: Timestamp,
}

#[derive(Debug, Clone)]
enum Happening {
    Told(Event),
    Ends {
        container: usize,
        start: u64,
        status: ExitStatus,
    },
    HookEnds {
        container: usize,
        start: u64,
        point: HookPoint,
        outcome: HookOutcome,
    },
}

impl Simulation {
    /// A pod whose containers behave so, in the order of `ContainerIndex`; the default where there is no assumption.
    pub fn new(plan: PodPlan, mut assumptions: Vec<Assumption>) -> Self {
        assumptions.resize_with(plan.containers.len(), Assumption::default);
        let mut simulation = Self {
            machine: PodMachine::new(plan.clone()),
            containers: vec![Container::default(); plan.containers.len()],
            plan,
            assumptions,
            now: Timestamp::ZERO,
            coming: BTreeMap::new(),
            next_order: 0,
            told: Vec::new(),
        };
        simulation.schedule(Duration::ZERO, Happening::Told(Event::Begin));
        simulation
    }

    /// Asks the pod for something at a time.
    pub fn request(&mut self, at: Timestamp, request: Request) {
        self.schedule_at(at, Happening::Told(Event::Request(request)));
    }

    /// Goes on until the pod's life is over, `until` is reached, `enough` says so of the published status, or nothing
    /// can happen any more.
    pub fn run(&mut self, until: Timestamp, mut enough: impl FnMut(&PodStatus) -> bool) {
        loop {
            let coming = self.coming.first_key_value().map(|((at, _), _)| *at);
            let deadline = self.machine.next_deadline();
            let (at, event_is_first) = match (coming, deadline) {
                (None, None) => return,
                (Some(at), Some(deadline)) => (at.min(deadline), at <= deadline),
                (Some(at), None) => (at, true),
                (None, Some(deadline)) => (deadline, false),
            };
            if at > until {
                return;
            }
            self.now = self.now.max(at);
            match event_is_first.then(|| self.coming.pop_first()).flatten() {
                Some((_, happening)) => self.happen(happening),
                None => self.tell(Event::Tick),
            }
            if enough(&self.machine.status()) {
                return;
            }
        }
    }

    /// The time that has been reached.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// What has been told so far, in order.
    pub fn told(&self) -> &[Told] {
        &self.told
    }

    /// The status now.
    pub fn status(&self) -> PodStatus {
        self.machine.status()
    }

    fn schedule(&mut self, after: Duration, happening: Happening) {
        self.schedule_at(self.now + after, happening);
    }

    fn schedule_at(&mut self, at: Timestamp, happening: Happening) {
        self.next_order = self.next_order.saturating_add(1);
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
                outcome,
            } => {
                if self.is_at(container, start) {
                    self.end_hook(container, point, outcome);
                }
            }
        }
    }

    fn tell(&mut self, event: Event) {
        // A request that comes after the end is refused, and that is all.
        let orders = self.machine.on_event(self.now, event).unwrap_or_default();
        for order in orders {
            self.carry_out(order);
        }
    }

    fn carry_out(&mut self, order: Action) {
        match order {
            Action::CreateSandbox => self.schedule(Duration::ZERO, Happening::Told(Event::SandboxCreated)),
            Action::RemoveSandbox => self.schedule(Duration::ZERO, Happening::Told(Event::SandboxRemoved)),
            Action::Container { container, action } => self.carry_out_on(container.0, action),
            Action::Notify(notice) => self.told.push(Told { at: self.now, notice }),
            Action::Finish => {}
        }
    }

    fn carry_out_on(&mut self, container: usize, order: ContainerAction) {
        let Some(assumed) = self.assumptions.get(container).cloned() else {
            return;
        };
        match order {
            ContainerAction::Create { restart_count: _ } => {
                if let Some(place) = self.containers.get_mut(container) {
                    *place = Container {
                        start: place.start.saturating_add(1),
                        // Init can be killed from here on.
                        alive: true,
                        hooks: Vec::new(),
                        began: Timestamp::ZERO,
                    };
                }
                self.answer(container, assumed.create, ContainerEvent::Created);
            }
            ContainerAction::Start => {
                let began = self.now + assumed.start;
                if let Some(place) = self.containers.get_mut(container) {
                    place.began = began;
                }
                self.answer(container, assumed.start, ContainerEvent::Started);
                if let Some(runs) = assumed.runs {
                    self.end_after(container, assumed.start + runs, assumed.exit);
                }
            }
            ContainerAction::RunHook { point } => self.run_hook(container, point, &assumed),
            ContainerAction::CancelHook { point } => self.end_hook(container, point, HookOutcome::Cancelled),
            ContainerAction::Probe { kind } => {
                let began = self
                    .containers
                    .get(container)
                    .map_or(self.now, |place| place.began);
                let outcome = assumed.probed(kind, self.now - began);
                self.answer(
                    container,
                    Duration::ZERO,
                    ContainerEvent::ProbeFinished { kind, outcome },
                );
            }
            // A probe takes no time here: its answer is on its way.
            ContainerAction::CancelProbe { kind: _ } => {}
            ContainerAction::SignalStop => {
                if let Some(after) = assumed.stops_in {
                    self.end_after(container, after, assumed.stop_exit);
                }
            }
            ContainerAction::Kill => self.end_after(container, Duration::ZERO, ExitStatus::Signal(9)),
            ContainerAction::Delete => self.answer(container, assumed.delete, ContainerEvent::Deleted),
        }
    }

    fn run_hook(&mut self, container: usize, point: HookPoint, assumed: &Assumption) {
        let (takes, fails) = match point {
            HookPoint::PostStart => (assumed.post_start, assumed.post_start_fails),
            HookPoint::PreStop => (assumed.pre_stop, assumed.pre_stop_fails),
        };
        let Some(place) = self.containers.get_mut(container) else {
            return;
        };
        place.hooks.push(point);
        let start = place.start;
        let outcome = match fails {
            true => HookOutcome::Failed {
                message: "assumed to fail".into(),
            },
            false => HookOutcome::Succeeded,
        };
        if let Some(takes) = takes {
            let end = Happening::HookEnds {
                container,
                start,
                point,
                outcome,
            };
            self.schedule(takes, end);
        }
    }

    fn end_hook(&mut self, container: usize, point: HookPoint, outcome: HookOutcome) {
        let Some(place) = self.containers.get_mut(container) else {
            return;
        };
        let Some(running) = place.hooks.iter().position(|running| *running == point) else {
            return;
        };
        place.hooks.remove(running);
        let report = HookReport {
            outcome,
            output: String::new(),
            http_fallback: false,
        };
        self.answer(
            container,
            Duration::ZERO,
            ContainerEvent::HookFinished { point, report },
        );
    }

    fn end_after(&mut self, container: usize, after: Duration, status: ExitStatus) {
        let start = self.containers.get(container).map_or(0, |place| place.start);
        let end = Happening::Ends {
            container,
            start,
            status,
        };
        self.schedule(after, end);
    }

    /// The program ends, and with it every handler that runs in the container.
    fn end(&mut self, container: usize, start: u64, status: ExitStatus) {
        if !self.is_at(container, start) {
            return;
        }
        let Some(place) = self.containers.get_mut(container).filter(|place| place.alive) else {
            return;
        };
        place.alive = false;
        let hooks = place.hooks.clone();
        self.tell(event(container, ContainerEvent::Exited(Exit::plain(status))));
        for point in hooks {
            let kind = self.plan.containers.get(container).and_then(|plan| match point {
                HookPoint::PostStart => plan.post_start,
                HookPoint::PreStop => plan.pre_stop,
            });
            if kind == Some(HandlerKind::Exec) {
                self.end_hook(container, point, HookOutcome::Cancelled);
            }
        }
    }

    fn is_at(&self, container: usize, start: u64) -> bool {
        self.containers
            .get(container)
            .is_some_and(|place| place.start == start)
    }

    fn answer(&mut self, container: usize, after: Duration, answer: ContainerEvent) {
        self.schedule(after, Happening::Told(event(container, answer)));
    }
}

fn event(container: usize, event: ContainerEvent) -> Event {
    Event::Container {
        container: ContainerIndex(container),
        event,
    }
}
