//! Watches a pod machine from outside and fails on the first broken promise. It knows the contract of `lib.rs` and
//! nothing of how the machine works.

use std::time::Duration;

use tenure_lifecycle::{
    Action, ContainerAction, ContainerEvent, ContainerKind, ContainerState, Event, HookOutcome, HookPoint,
    Phase, PodPlan, PodStatus, ProbeKind, ProbeOutcome, Reason, Rejected, Request, Timestamp,
};

use super::simulator::Entry;

/// What was seen so far.
#[derive(Debug, Clone)]
pub struct Monitor {
    plan: PodPlan,
    pub starts: Vec<Start>,
    pub sandbox: Sandbox,
    interrupts: usize,
    /// A stop or a kill was accepted: SIGKILL is due to everything by then.
    pub kill_by: Option<Timestamp>,
    begun: bool,
    finished: bool,
    phase: Phase,
    /// All containers are being restarted; the time when that was told.
    restarting: Option<Timestamp>,
}

/// The sandbox, seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    None,
    Ordered,
    Up,
    RemovalOrdered,
    Gone,
}

/// The newest start of a container, seen from outside.
#[derive(Debug, Clone, Default)]
pub struct Start {
    pub create_owed: bool,
    /// Something is there to be deleted.
    pub exists: bool,
    pub start_owed: bool,
    pub delete_owed: bool,
    /// Hooks run in this start, and those that have not reported.
    ran: Vec<HookPoint>,
    pub hooks_owed: Vec<HookPoint>,
    /// Probes that have not reported, those told to end apart.
    probes_owed: Vec<ProbeKind>,
    probes_cancelled: Vec<ProbeKind>,
    /// The program runs and postStart, if there is one, has returned well.
    started: bool,
    post_start_ok: bool,
    exited: bool,
    start_failed: bool,
    signalled: bool,
    killed: bool,
    exits_told: usize,
    restart_count: Option<u32>,
}

impl Start {
    fn is_alive(&self) -> bool {
        self.exists && !self.exited && !self.start_failed
    }
}

impl Monitor {
    pub fn new(plan: PodPlan) -> Self {
        Self {
            starts: vec![Start::default(); plan.containers.len()],
            plan,
            sandbox: Sandbox::None,
            interrupts: 0,
            kill_by: None,
            begun: false,
            finished: false,
            phase: Phase::Pending,
            restarting: None,
        }
    }

    /// Takes note of one event and of what it brought.
    pub fn see(&mut self, entry: &Entry) {
        let Ok(actions) = &entry.answer else {
            assert_eq!(entry.answer, Err(Rejected::Finished));
            assert!(self.finished, "rejected before the end");
            assert!(
                matches!(entry.event, Event::Request(_)),
                "only requests may be rejected"
            );
            return;
        };
        assert!(!self.finished || actions.is_empty(), "after the end: {actions:?}");
        self.see_event(entry.at, &entry.event);
        for (place, action) in actions.iter().enumerate() {
            assert!(!self.finished, "Finish is not last: {actions:?}");
            self.see_restart_of_all(entry.at, action);
            self.see_action(action, &entry.status);
            if *action == Action::Finish {
                assert_eq!(place + 1, actions.len());
            }
        }
        self.see_status(entry);
    }

    fn see_event(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::Begin => self.begun = true,
            Event::SandboxCreated if self.sandbox == Sandbox::Ordered => self.sandbox = Sandbox::Up,
            Event::SandboxFailed { .. } if self.sandbox == Sandbox::Ordered => self.sandbox = Sandbox::Gone,
            Event::SandboxRemoved if self.sandbox == Sandbox::RemovalOrdered => self.sandbox = Sandbox::Gone,
            Event::SandboxCreated | Event::SandboxFailed { .. } | Event::SandboxRemoved | Event::Tick => {}
            Event::Request(request) => self.see_request(at, *request),
            Event::Container { container, event } => {
                if let Some(start) = self.starts.get_mut(container.0) {
                    start.see_event(event);
                }
            }
        }
    }

    fn see_request(&mut self, at: Timestamp, request: Request) {
        let grace = match request {
            Request::Stop { grace: Some(seconds) } => Some(Duration::from_secs(seconds)),
            Request::Stop { grace: None } => Some(self.plan.grace),
            Request::Kill => None,
            Request::Interrupt => {
                self.interrupts += 1;
                match self.interrupts {
                    1 => Some(self.plan.grace),
                    2 => Some(Duration::ZERO),
                    _ => None,
                }
            }
        };
        let bound = match grace {
            Some(grace) => at + grace.max(Duration::from_secs(1)) + Duration::from_secs(2),
            None => at,
        };
        self.kill_by = Some(self.kill_by.map_or(bound, |earlier| earlier.min(bound)));
    }

    /// Between the end that restarts all containers and the next create, which is the first container's: everything is
    /// deleted, no preStop is run, and SIGKILL is due 2 s after that end.
    fn see_restart_of_all(&mut self, at: Timestamp, action: &Action) {
        match action {
            Action::Notify(notice) if notice.reason == Reason::RestartingAllContainers => {
                assert_eq!(self.kill_by, None, "restarted after a stop was accepted");
                self.restarting = Some(at);
            }
            Action::Container { container, action } => match action {
                ContainerAction::Create { restart_count: _ } if self.restarting.take().is_some() => {
                    assert_eq!(container.0, 0, "begun in the middle");
                    for start in &self.starts {
                        assert!(
                            !start.exists && !start.create_owed && !start.delete_owed,
                            "begun anew beside {start:?}"
                        );
                    }
                }
                ContainerAction::RunHook {
                    point: HookPoint::PreStop,
                } => {
                    assert_eq!(self.restarting, None, "preStop although all are restarted");
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn see_action(&mut self, action: &Action, status: &PodStatus) {
        match action {
            Action::CreateSandbox => {
                assert_eq!(self.sandbox, Sandbox::None);
                self.sandbox = Sandbox::Ordered;
            }
            Action::RemoveSandbox => {
                assert_eq!(self.sandbox, Sandbox::Up);
                for start in &self.starts {
                    assert!(
                        !start.exists && !start.create_owed && !start.delete_owed,
                        "left behind: {start:?}"
                    );
                }
                self.sandbox = Sandbox::RemovalOrdered;
            }
            Action::Finish => {
                assert!(
                    matches!(self.sandbox, Sandbox::None | Sandbox::Gone),
                    "{:?}",
                    self.sandbox
                );
                self.finished = true;
            }
            Action::Notify(notice) => {
                if let (Reason::Exited, Some(container)) = (notice.reason, notice.container) {
                    self.starts[container.0].exits_told += 1;
                }
            }
            Action::Container { container, action } => {
                if matches!(action, ContainerAction::Create { .. }) {
                    assert_eq!(self.sandbox, Sandbox::Up);
                    assert_eq!(self.kill_by, None, "created after a stop was accepted");
                    self.check_inits_are_done(container.0, status);
                }
                if *action == ContainerAction::Start {
                    assert_eq!(self.kill_by, None, "started after a stop was accepted");
                }
                let ending = self.kill_by.is_some();
                let has_post_start = self.plan.containers[container.0].post_start.is_some();
                if let ContainerAction::Probe { kind } = action {
                    let start = &self.starts[container.0];
                    let returned = start.post_start_ok || !has_post_start;
                    assert!(
                        start.started && returned,
                        "{kind:?} probed before postStart returned"
                    );
                    let readiness = *kind == ProbeKind::Readiness;
                    assert!(readiness || !ending, "{kind:?} probed after a stop was accepted");
                }
                self.starts[container.0].see_action(action);
            }
        }
    }

    fn check_inits_are_done(&self, created: usize, status: &PodStatus) {
        if self.plan.containers[created].kind != ContainerKind::App {
            return;
        }
        for (container, status) in self.plan.containers.iter().zip(&status.containers) {
            if container.kind == ContainerKind::Init {
                let done = matches!(&status.state, ContainerState::Terminated(end) if end.exit_code == 0);
                assert!(done, "an app is created before init {} is done", container.name);
            }
        }
    }

    fn see_status(&mut self, entry: &Entry) {
        if self.phase.is_terminal() {
            assert_eq!(entry.status.phase, self.phase, "a terminal phase has changed");
        }
        self.phase = entry.status.phase;
        if entry.status.phase.is_terminal() {
            let alive = self.starts.iter().any(Start::is_alive);
            assert!(!alive, "terminal while something lives");
        }
        if self.kill_by.is_some_and(|kill_by| kill_by <= entry.at) {
            for start in &self.starts {
                assert!(
                    !start.is_alive() || start.killed,
                    "not killed by the bound: {start:?}"
                );
            }
        }
        let kill_by = self.restarting.map(|since| since + Duration::from_secs(2));
        if kill_by.is_some_and(|kill_by| kill_by <= entry.at) {
            for start in &self.starts {
                assert!(
                    !start.is_alive() || start.killed || start.create_owed,
                    "not killed when all were restarted: {start:?}"
                );
            }
        }
        if self.finished && self.begun {
            assert!(entry.status.phase.is_terminal());
            assert_eq!(
                entry.status.exit_code == 0,
                entry.status.phase == Phase::Succeeded
            );
        }
    }

    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The events that would answer what is owed, all the good ones first, then the bad.
    pub fn answers(&self) -> Vec<Event> {
        if self.finished {
            return Vec::new();
        }
        let mut good = Vec::new();
        let mut bad = Vec::new();
        match self.sandbox {
            Sandbox::None => good.push(Event::Begin),
            Sandbox::Ordered => good.push(Event::SandboxCreated),
            Sandbox::RemovalOrdered => good.push(Event::SandboxRemoved),
            Sandbox::Up | Sandbox::Gone => {}
        }
        for (container, start) in self.starts.iter().enumerate() {
            start.answers(container, &mut good, &mut bad);
        }
        good.extend(bad);
        good
    }
}

impl Start {
    fn answers(&self, container: usize, good: &mut Vec<Event>, bad: &mut Vec<Event>) {
        use super::simulator::{event, report};
        use tenure_lifecycle::HookOutcome::{Cancelled, Failed, Succeeded};
        self.probe_answers(container, good, bad);
        if self.create_owed {
            good.push(event(container, ContainerEvent::Created));
            bad.push(event(
                container,
                ContainerEvent::CreateFailed(super::runtime_error()),
            ));
        }
        if self.start_owed {
            good.push(event(container, ContainerEvent::Started));
            bad.push(event(
                container,
                ContainerEvent::StartFailed(super::config_error()),
            ));
        }
        if self.delete_owed {
            good.push(event(container, ContainerEvent::Deleted));
            bad.push(event(
                container,
                ContainerEvent::DeleteFailed {
                    message: "busy".to_owned(),
                },
            ));
        }
        for &point in &self.hooks_owed {
            good.push(event(
                container,
                ContainerEvent::HookFinished {
                    point,
                    report: report(Succeeded),
                },
            ));
            for outcome in [
                Failed {
                    message: "exit code 1".to_owned(),
                },
                Cancelled,
            ] {
                bad.push(event(
                    container,
                    ContainerEvent::HookFinished {
                        point,
                        report: report(outcome),
                    },
                ));
            }
        }
    }

    fn probe_answers(&self, container: usize, good: &mut Vec<Event>, bad: &mut Vec<Event>) {
        use super::simulator::event;
        let told = |kind, outcome| event(container, ContainerEvent::ProbeFinished { kind, outcome });
        for &kind in self.probes_owed.iter().chain(&self.probes_cancelled) {
            let message = || "no".to_owned();
            good.push(told(kind, ProbeOutcome::Succeeded));
            bad.push(told(kind, ProbeOutcome::Failed { message: message() }));
            bad.push(told(kind, ProbeOutcome::Failed { message: message() }));
            bad.push(told(kind, ProbeOutcome::Errored { message: message() }));
            bad.push(told(kind, ProbeOutcome::Cancelled));
        }
    }

    /// Only what was owed counts, as the contract says.
    fn see_event(&mut self, event: &ContainerEvent) {
        match event {
            ContainerEvent::Created if self.create_owed => {
                self.create_owed = false;
                self.exists = true;
            }
            ContainerEvent::CreateFailed(_) if self.create_owed => self.create_owed = false,
            ContainerEvent::Started if self.start_owed => {
                self.start_owed = false;
                self.started = true;
            }
            ContainerEvent::ProbeFinished { kind, outcome: _ } => {
                self.probes_owed.retain(|owed| owed != kind);
                self.probes_cancelled.retain(|owed| owed != kind);
            }
            ContainerEvent::StartFailed(_) if self.start_owed => {
                self.start_owed = false;
                self.start_failed = true;
            }
            ContainerEvent::Exited(_) => self.exited |= self.exists || self.create_owed,
            ContainerEvent::HookFinished { point, report } => {
                if *point == HookPoint::PostStart && self.hooks_owed.contains(point) {
                    self.post_start_ok = report.outcome == HookOutcome::Succeeded;
                }
                self.hooks_owed.retain(|owed| owed != point);
            }
            ContainerEvent::Deleted | ContainerEvent::DeleteFailed { .. } if self.delete_owed => {
                self.delete_owed = false;
                self.exists = false;
            }
            ContainerEvent::Created
            | ContainerEvent::CreateFailed(_)
            | ContainerEvent::Started
            | ContainerEvent::StartFailed(_)
            | ContainerEvent::Deleted
            | ContainerEvent::DeleteFailed { .. } => {}
        }
    }

    fn see_action(&mut self, action: &ContainerAction) {
        match action {
            ContainerAction::Create { restart_count } => {
                assert!(
                    !self.exists && !self.create_owed && !self.delete_owed,
                    "created over {self:?}"
                );
                assert!(self.restart_count.is_none_or(|earlier| earlier <= *restart_count));
                *self = Self {
                    create_owed: true,
                    restart_count: Some(*restart_count),
                    ..Self::default()
                };
            }
            ContainerAction::Start => {
                assert!(
                    self.is_alive() && !self.start_owed && !self.killed,
                    "started in {self:?}"
                );
                self.start_owed = true;
            }
            ContainerAction::RunHook { point } => {
                assert!(self.is_alive() && !self.killed, "hook in {self:?}");
                assert!(!self.ran.contains(point), "{point:?} ran twice in {self:?}");
                assert!(!self.signalled, "hook after the signal in {self:?}");
                self.ran.push(*point);
                self.hooks_owed.push(*point);
            }
            ContainerAction::CancelHook { point } => {
                assert!(
                    self.hooks_owed.contains(point),
                    "cancelled what does not run in {self:?}"
                );
            }
            ContainerAction::Probe { kind } => self.see_probe(*kind),
            ContainerAction::CancelProbe { kind } => self.see_probe_cancelled(*kind),
            ContainerAction::SignalStop => {
                assert!(self.is_alive(), "signal to the dead in {self:?}");
                assert!(!self.signalled && !self.killed, "signal again in {self:?}");
                self.signalled = true;
            }
            ContainerAction::Kill => {
                assert!(self.exists, "kill of nothing in {self:?}");
                self.killed = true;
            }
            ContainerAction::Delete => self.see_delete(),
        }
    }

    fn see_probe(&mut self, kind: ProbeKind) {
        assert!(self.is_alive() && !self.killed, "{kind:?} probed in {self:?}");
        let stopping = self.signalled || self.ran.contains(&HookPoint::PreStop);
        assert!(
            kind == ProbeKind::Readiness || !stopping,
            "{kind:?} probed in {self:?}"
        );
        let mut owed = self.probes_owed.iter().chain(&self.probes_cancelled);
        assert!(owed.all(|owed| *owed != kind), "{kind:?} twice in {self:?}");
        self.probes_owed.push(kind);
    }

    fn see_probe_cancelled(&mut self, kind: ProbeKind) {
        let runs = self.probes_owed.contains(&kind);
        assert!(runs, "cancelled what does not run in {self:?}");
        self.probes_owed.retain(|owed| *owed != kind);
        self.probes_cancelled.push(kind);
    }

    fn see_delete(&mut self) {
        assert!(self.exists && !self.delete_owed, "delete in {self:?}");
        assert!(
            !self.start_owed
                && self.hooks_owed.is_empty()
                && self.probes_owed.is_empty()
                && self.probes_cancelled.is_empty(),
            "delete while owed in {self:?}"
        );
        assert!(!self.is_alive(), "delete of the living in {self:?}");
        let told = if self.start_failed { 0..=1 } else { 1..=1 };
        assert!(
            told.contains(&self.exits_told),
            "exit told {} times in {self:?}",
            self.exits_told
        );
        self.delete_owed = true;
    }
}
