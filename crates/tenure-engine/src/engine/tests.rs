//! The loop under a paused clock: containers and handlers are scripts, time jumps from one event to the next.

#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tenure_lifecycle::{
    ContainerKind, ContainerPlan, ContainerState, DEFAULT_MAX_BACKOFF, Exit, ExitStatus, HandlerKind,
    HookOutcome, HookReport, Phase, PodPlan, ProbeOutcome, ProbePlan, ProbePlans, StartFailure,
};
use tenure_spec::RestartPolicy;
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

use super::*;

/// How long the fake's create, start and delete take.
const OPERATION: Duration = Duration::from_millis(10);

/// What a container of the fake does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    /// Ends by itself so long after its start.
    pub(crate) ends: Option<(Duration, u8)>,
    /// Ends so long after the stop signal; `None` ignores it.
    pub(crate) obeys: Option<(Duration, u8)>,
    pub(crate) post_start: Option<Duration>,
    pub(crate) pre_stop: Option<Duration>,
    /// Has a liveness, readiness or startup probe that fails after so long.
    pub(crate) probed: Option<(ProbeKind, Duration)>,
}

impl Script {
    pub(crate) const FOR_EVER: Self = Self {
        ends: None,
        obeys: None,
        post_start: None,
        pre_stop: None,
        probed: None,
    };

    fn for_millis(millis: u64) -> Self {
        Self {
            ends: Some((Duration::from_millis(millis), 0)),
            ..Self::FOR_EVER
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Process {
    started: Option<Instant>,
    stopped: Option<Instant>,
    killed: bool,
}

/// Records what it is told to do, with the time in milliseconds.
pub(crate) struct Fake {
    scripts: Vec<Script>,
    processes: Vec<watch::Sender<Process>>,
    began: Instant,
    log: RefCell<Vec<(u64, String)>>,
    existing: Cell<usize>,
    sandbox: Cell<bool>,
}

impl Fake {
    pub(crate) fn new(scripts: Vec<Script>) -> Rc<Self> {
        Rc::new(Self {
            processes: scripts
                .iter()
                .map(|_| watch::channel(Process::default()).0)
                .collect(),
            scripts,
            began: Instant::now(),
            log: RefCell::new(Vec::new()),
            existing: Cell::new(0),
            sandbox: Cell::new(false),
        })
    }

    fn note(&self, what: &str, container: ContainerIndex) {
        let at = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.log
            .borrow_mut()
            .push((at, format!("{what} {}", container.0)));
    }

    fn text(&self) -> String {
        let log = self.log.borrow();
        let words: Vec<_> = log.iter().map(|(at, what)| format!("{at} {what}")).collect();
        words.join(", ")
    }

    /// When something was done first; `None` if never.
    fn when(&self, what: &str) -> Option<u64> {
        let log = self.log.borrow();
        log.iter().find(|(_, done)| done == what).map(|(at, _)| *at)
    }

    fn count(&self, what: &str) -> usize {
        self.log
            .borrow()
            .iter()
            .filter(|(_, done)| done.starts_with(what))
            .count()
    }
}

impl Effects for Fake {
    async fn create_sandbox(&self) -> Result<(), String> {
        self.sandbox.set(true);
        sleep(OPERATION).await;
        Ok(())
    }

    async fn remove_sandbox(&self) -> Vec<String> {
        assert_eq!(self.existing.get(), 0, "the sandbox goes last: {}", self.text());
        self.sandbox.set(false);
        Vec::new()
    }

    async fn create(&self, container: ContainerIndex, _: u32) -> Result<(), StartFailure> {
        assert!(self.sandbox.get());
        self.note("create", container);
        self.existing.set(self.existing.get() + 1);
        self.processes[container.0].send_replace(Process::default());
        sleep(OPERATION).await;
        Ok(())
    }

    async fn start(&self, container: ContainerIndex) -> Result<(), StartFailure> {
        self.note("start", container);
        self.processes[container.0].send_modify(|process| process.started = Some(Instant::now()));
        sleep(OPERATION).await;
        Ok(())
    }

    async fn ended(&self, container: ContainerIndex) -> Exit {
        let script = self.scripts[container.0];
        let mut process = self.processes[container.0].subscribe();
        loop {
            let now = *process.borrow_and_update();
            let due = if now.killed {
                Some((Instant::now(), ExitStatus::Signal(9)))
            } else {
                let alone = now.started.zip(script.ends);
                let asked = now.stopped.zip(script.obeys);
                let ends = [alone, asked].into_iter().flatten();
                ends.map(|(from, (after, code))| (from + after, ExitStatus::Code(code)))
                    .min_by_key(|(at, _)| *at)
            };
            let end = async {
                match due {
                    Some((at, status)) => {
                        sleep_until(at).await;
                        status
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                status = end => {
                    self.note("exit", container);
                    return Exit::plain(status);
                }
                _ = process.changed() => {}
            }
        }
    }

    async fn run_hook(
        &self,
        container: ContainerIndex,
        point: HookPoint,
        cancel: oneshot::Receiver<()>,
    ) -> HookReport {
        let script = self.scripts[container.0];
        let (name, time) = match point {
            HookPoint::PostStart => ("postStart", script.post_start),
            HookPoint::PreStop => ("preStop", script.pre_stop),
        };
        self.note(name, container);
        let outcome = tokio::select! {
            () = sleep(time.unwrap_or_default()) => HookOutcome::Succeeded,
            _ = cancel => {
                self.note("cancelled", container);
                HookOutcome::Cancelled
            }
        };
        HookReport {
            outcome,
            output: String::new(),
            http_fallback: false,
        }
    }

    async fn run_probe(
        &self,
        container: ContainerIndex,
        kind: ProbeKind,
        cancel: oneshot::Receiver<()>,
    ) -> ProbeOutcome {
        self.note(kind.as_str(), container);
        let probed = self.scripts[container.0].probed;
        match probed.filter(|(probed, _)| *probed == kind) {
            None => ProbeOutcome::Succeeded,
            Some((_, takes)) => tokio::select! {
                () = sleep(takes) => ProbeOutcome::Failed { message: "no".into() },
                _ = cancel => {
                    self.note("cancelled", container);
                    ProbeOutcome::Cancelled
                }
            },
        }
    }

    fn signal_stop(&self, container: ContainerIndex) {
        self.note("term", container);
        self.processes[container.0].send_modify(|process| {
            process.stopped = process.started.map(|_| Instant::now());
        });
    }

    async fn kill(&self, container: ContainerIndex) {
        self.note("kill", container);
        self.processes[container.0].send_modify(|process| process.killed = true);
    }

    async fn delete(&self, container: ContainerIndex) -> Result<(), String> {
        self.note("delete", container);
        sleep(OPERATION).await;
        self.existing.set(self.existing.get() - 1);
        Ok(())
    }
}

/// Asked each second; each result counts.
fn probes(script: &Script) -> ProbePlans {
    let mut plans = ProbePlans::default();
    let plan = ProbePlan {
        initial_delay: Duration::ZERO,
        period: Duration::from_secs(1),
        success_threshold: 1,
        failure_threshold: 1,
        grace: None,
    };
    match script.probed {
        None => {}
        Some((ProbeKind::Startup, _)) => plans.startup = Some(plan),
        Some((ProbeKind::Readiness, _)) => plans.readiness = Some(plan),
        Some((ProbeKind::Liveness, _)) => plans.liveness = Some(plan),
    }
    plans
}

pub(crate) fn plan(scripts: &[Script], inits: usize, grace: u64) -> PodPlan {
    let containers = scripts.iter().enumerate().map(|(index, script)| ContainerPlan {
        name: format!("c{index}"),
        kind: if index < inits {
            ContainerKind::Init
        } else {
            ContainerKind::App
        },
        restart: RestartPolicy::Never,
        restart_rules: Vec::new(),
        post_start: script.post_start.map(|_| HandlerKind::Exec),
        pre_stop: script.pre_stop.map(|_| HandlerKind::Exec),
        probes: probes(script),
    });
    PodPlan {
        containers: containers.collect(),
        grace: Duration::from_secs(grace),
        active_deadline: None,
        max_backoff: DEFAULT_MAX_BACKOFF,
    }
}

/// Runs a pod to its end; `asks` are requests by the millisecond.
fn live(scripts: &[Script], inits: usize, grace: u64, asks: &[(u64, Request)]) -> (Rc<Fake>, PodStatus, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let fake = Fake::new(scripts.to_vec());
        let plan = plan(scripts, inits, grace);
        let clock = Clock::start();
        let publisher = Publisher::nowhere(clock, Vec::new());
        let engine = Engine::new(PodMachine::new(plan), Rc::clone(&fake), clock, publisher);
        let inputs = engine.inputs();
        let asks = asks.to_vec();
        tokio::task::spawn_local(async move {
            let began = Instant::now();
            for (at, request) in asks {
                sleep_until(began + Duration::from_millis(at)).await;
                let _ = inputs.send(Input::Event(Event::Request(request)));
            }
        });
        let status = timeout(Duration::from_secs(10_000), engine.run(Event::Begin))
            .await
            .unwrap_or_else(|_| panic!("never ends: {}", fake.text()));
        let took = u64::try_from(fake.began.elapsed().as_millis()).unwrap();
        (fake, status, took)
    })
}

const STOP: Request = Request::Stop { grace: None };

#[test]
fn containers_start_in_order_each_after_the_one_before() {
    let scripts = [
        Script::for_millis(100),
        Script::for_millis(100),
        Script {
            post_start: Some(Duration::from_millis(500)),
            ..Script::for_millis(900)
        },
        Script::for_millis(100),
    ];
    let (fake, status, _) = live(&scripts, 2, 30, &[]);
    assert_eq!(status.phase, Phase::Succeeded);
    let at = |what| fake.when(what).unwrap();
    assert!(at("create 1") >= at("exit 0"), "{}", fake.text());
    assert!(at("create 2") >= at("exit 1"), "{}", fake.text());
    // The second app is not created before the first one's postStart has returned.
    assert!(at("create 3") >= at("postStart 2") + 500, "{}", fake.text());
    assert_eq!(fake.count("delete"), 4);
}

#[test]
fn the_next_container_is_created_in_the_moment_the_one_before_ends() {
    let scripts = [Script::for_millis(137), Script::for_millis(1)];
    let (fake, ..) = live(&scripts, 1, 30, &[]);
    assert_eq!(fake.when("create 1"), fake.when("exit 0"), "{}", fake.text());
}

#[test]
fn a_stop_at_any_moment_ends_in_time_and_leaves_nothing() {
    let scripts = [
        Script {
            ends: Some((Duration::from_millis(60), 0)),
            ..Script::FOR_EVER
        },
        Script {
            post_start: Some(Duration::from_millis(100)),
            pre_stop: Some(Duration::from_secs(100)),
            ..Script::FOR_EVER
        },
        Script {
            obeys: Some((Duration::from_millis(50), 0)),
            ..Script::FOR_EVER
        },
    ];
    for at in (0..400).step_by(5) {
        let (fake, status, took) = live(&scripts, 1, 3, &[(at, STOP)]);
        // Grace and 2 s after the request, and what the last operations take.
        assert!(
            took <= at + 5_000 + 60,
            "stop at {at} took {took}: {}",
            fake.text()
        );
        assert!(!fake.sandbox.get() && fake.existing.get() == 0);
        assert!(status.finished_at.is_some());
        let log = fake.log.borrow();
        let begun = |what: &str| what.starts_with("create") || what.starts_with("start");
        assert!(
            log.iter().all(|(done, what)| *done <= at || !begun(what)),
            "stop at {at}: {log:?}"
        );
    }
}

#[test]
fn a_stop_cancels_a_post_start_that_never_ends() {
    let scripts = [Script {
        post_start: Some(Duration::from_secs(5_000)),
        obeys: Some((Duration::ZERO, 0)),
        ..Script::FOR_EVER
    }];
    let (fake, _, took) = live(&scripts, 0, 3, &[(2_000, STOP)]);
    assert_eq!(fake.when("cancelled 0"), Some(2_000), "{}", fake.text());
    assert!(took < 2_100, "{}", fake.text());
}

#[test]
fn sigkill_comes_at_the_end_of_the_grace_to_the_millisecond() {
    let (fake, status, _) = live(&[Script::FOR_EVER], 0, 3, &[(500, STOP)]);
    assert_eq!(fake.when("term 0"), Some(500));
    let killed = fake.when("kill 0").unwrap();
    assert!((3_500..=3_502).contains(&killed), "{}", fake.text());
    assert_eq!(status.exit_code, 137);
}

#[test]
fn interrupts_stop_then_shorten_then_kill() {
    let interrupts = [
        (1_000, Request::Interrupt),
        (6_000, Request::Interrupt),
        (6_500, Request::Interrupt),
    ];
    let (fake, ..) = live(&[Script::FOR_EVER], 0, 60, &interrupts);
    assert_eq!(fake.count("term"), 1);
    assert_eq!(fake.when("kill 0"), Some(6_500), "{}", fake.text());
    let (fake, ..) = live(&[Script::FOR_EVER], 0, 60, &interrupts[..2]);
    let killed = fake.when("kill 0").unwrap();
    assert!((8_000..=8_002).contains(&killed), "{}", fake.text());
}

#[test]
fn a_kill_during_create_kills_what_appears_and_never_starts_it() {
    let (fake, _, took) = live(&[Script::FOR_EVER], 0, 60, &[(15, Request::Kill)]);
    assert!(fake.when("create 0").unwrap() < 15);
    assert_eq!(fake.when("start 0"), None);
    assert_eq!(fake.count("delete"), 1);
    assert!(took < 100);
}

#[test]
fn an_idle_pod_waits_for_nothing_but_its_inputs() {
    let scripts = [Script::FOR_EVER];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let fake = Fake::new(scripts.to_vec());
        let clock = Clock::start();
        let machine = PodMachine::new(plan(&scripts, 0, 30));
        let engine = Engine::new(
            machine,
            Rc::clone(&fake),
            clock,
            Publisher::nowhere(clock, Vec::new()),
        );
        let inputs = engine.inputs();
        let life = tokio::task::spawn_local(engine.run(Event::Begin));
        sleep(Duration::from_secs(3_600)).await;
        let (reply, replied) = oneshot::channel();
        let request = Request::Kill;
        inputs.send(Input::Request { request, reply }).unwrap();
        assert_eq!(replied.await.unwrap(), Ok(()));
        let status = life.await.unwrap();
        assert!(matches!(
            status.containers[0].state,
            ContainerState::Terminated(_)
        ));
        assert!(fake.began.elapsed() < Duration::from_secs(3_601));
    });
}

#[test]
fn a_failing_liveness_probe_ends_the_container_and_a_stop_cancels_a_running_one() {
    let failing = Script {
        probed: Some((ProbeKind::Liveness, Duration::from_millis(300))),
        obeys: Some((Duration::from_millis(100), 7)),
        ..Script::FOR_EVER
    };
    let (fake, status, _) = live(&[failing], 0, 5, &[]);
    assert_eq!(status.exit_code, 7, "{}", fake.text());
    assert_eq!(fake.count("liveness"), 1, "{}", fake.text());
    let asked = fake.when("liveness 0").unwrap();
    assert_eq!(fake.when("term 0"), Some(asked + 300), "{}", fake.text());

    let hanging = Script {
        probed: Some((ProbeKind::Liveness, Duration::from_secs(1000))),
        ..failing
    };
    let (fake, _, _) = live(&[hanging], 0, 5, &[(2000, STOP)]);
    assert_eq!(fake.when("cancelled 0"), Some(2000), "{}", fake.text());
    assert_eq!(fake.when("term 0"), Some(2000), "{}", fake.text());
}

#[test]
fn readiness_goes_on_till_the_container_has_ended() {
    let script = Script {
        probed: Some((ProbeKind::Readiness, Duration::from_secs(1000))),
        obeys: Some((Duration::from_millis(500), 0)),
        ..Script::FOR_EVER
    };
    let (fake, _, _) = live(&[script], 0, 5, &[(2000, STOP)]);
    assert_eq!(fake.when("cancelled 0"), Some(2500), "{}", fake.text());
    assert!(fake.when("delete 0") >= Some(2500), "{}", fake.text());
}
