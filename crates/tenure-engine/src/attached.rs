//! The managed life of a container that somebody else creates, starts and deletes, as under containerd.
//!
//! The same machine and loop as a pod's, with one container that never restarts. What the owner does is done when the
//! machine orders it; what the owner must not do, because it does it itself, is left out.

use std::cell::Cell;
use std::future::Future;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tenure_lifecycle::{
    ContainerIndex, ContainerKind, ContainerPlan, DEFAULT_MAX_BACKOFF, Event, Exit, ExitStatus, HandlerKind,
    HookOutcome, HookPoint, HookReport, PodMachine, PodPlan, ProbeKind, ProbeOutcome, ProbePlans, Request,
    StartFailure,
};
use tenure_spec::RestartPolicy;
use tenure_spec::annotations::ManagedLifecycle;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::effects::Effects;
use crate::engine::{Engine, Input, Inputs};
use crate::hooks::{self, HookContext};
use crate::host::no_probe;
use crate::oci::Execute;
use crate::publish::Publisher;

/// A container that has been created by its owner.
pub trait Container: 'static {
    /// Starts it. On an error the message is one line.
    fn start(&self) -> impl Future<Output = Result<(), String>>;

    /// Waits for its init's end.
    fn ended(&self) -> impl Future<Output = ExitStatus>;

    /// Sends its stop signal to init (`lifecycle-semantics 3.30, 3.32`). At once; it may be gone.
    fn signal_stop(&self);

    /// SIGKILL to every process of it (`lifecycle-semantics 3.33`).
    fn kill(&self) -> impl Future<Output = ()>;

    /// Its init's network namespace, for `httpGet`.
    fn network(&self) -> Option<PathBuf>;
}

/// A way to tell a life what is asked for. Clones mean the same life.
#[derive(Clone, Debug)]
pub struct Requests(Inputs);

impl Requests {
    /// preStop, then the stop signal, then SIGKILL when the grace period is over (`lifecycle-semantics 3`). Asked twice,
    /// it is one stop.
    pub fn stop(&self) {
        self.send(Request::Stop { grace: None });
    }

    /// SIGKILL now; a handler that runs is cancelled.
    pub fn kill(&self) {
        self.send(Request::Kill);
    }

    fn send(&self, request: Request) {
        // A life that is over has nothing left to stop.
        let _ = self.0.send(Input::Event(Event::Request(request)));
    }
}

/// A created container's life from its start to its end, and the way to ask something of it.
///
/// The future starts the container, runs its handlers and ends it as `lifecycle` says; it is ready when init has ended.
/// To be awaited inside a `LocalSet`. What handlers write and why they failed goes to the log (tracing).
pub fn live<C: Container, R: Execute + 'static>(
    id: &str,
    lifecycle: ManagedLifecycle,
    container: Rc<C>,
    runtime: Rc<R>,
) -> (Requests, impl Future<Output = ()> + use<C, R>) {
    let plan = plan(id, &lifecycle);
    let effects = Rc::new(Attached {
        id: id.to_owned(),
        lifecycle,
        container,
        runtime,
        begun: Cell::new(false),
    });
    let clock = Clock::start();
    let publisher = Publisher::nowhere(clock, vec![id.to_owned()]);
    let engine = Engine::new(PodMachine::new(plan), Rc::clone(&effects), clock, publisher);
    let requests = Requests(engine.inputs());
    let life = async move {
        engine.run(Event::Begin).await;
        // What was to stop before it had been started is not to wait for ever.
        if !effects.begun.get() {
            effects.container.kill().await;
        }
    };
    (requests, life)
}

/// The plan of one container that is run once under its annotations.
pub(crate) fn plan(id: &str, managed: &ManagedLifecycle) -> PodPlan {
    PodPlan {
        containers: vec![ContainerPlan {
            name: id.to_owned(),
            kind: ContainerKind::App,
            restart: RestartPolicy::Never,
            restart_rules: Vec::new(),
            post_start: managed.lifecycle.post_start.as_ref().map(HandlerKind::from),
            pre_stop: managed.lifecycle.pre_stop.as_ref().map(HandlerKind::from),
            // The annotations know none.
            probes: ProbePlans::default(),
        }],
        grace: Duration::from_secs(managed.termination_grace_period_seconds),
        active_deadline: None,
        max_backoff: DEFAULT_MAX_BACKOFF,
    }
}

/// The effects on a container of somebody else's.
#[derive(Debug)]
struct Attached<C, R> {
    id: String,
    lifecycle: ManagedLifecycle,
    container: Rc<C>,
    runtime: Rc<R>,
    /// Whether its start was ever tried.
    begun: Cell<bool>,
}

impl<C: Container, R: Execute + 'static> Effects for Attached<C, R> {
    async fn create_sandbox(&self) -> Result<(), String> {
        Ok(())
    }

    async fn remove_sandbox(&self) -> Vec<String> {
        Vec::new()
    }

    async fn create(&self, _: ContainerIndex, _: u32) -> Result<(), StartFailure> {
        Ok(())
    }

    async fn start(&self, _: ContainerIndex) -> Result<(), StartFailure> {
        self.begun.set(true);
        let started = self.container.start().await;
        started.map_err(|message| StartFailure::Runtime { message })
    }

    async fn ended(&self, _: ContainerIndex) -> Exit {
        Exit::plain(self.container.ended().await)
    }

    async fn run_hook(
        &self,
        _: ContainerIndex,
        point: HookPoint,
        cancel: oneshot::Receiver<()>,
    ) -> HookReport {
        let context = HookContext {
            runtime: Rc::clone(&self.runtime),
            container_id: self.id.clone(),
            network: self.container.network(),
        };
        let report = hooks::run_at(point, &self.lifecycle.lifecycle, context, cancel).await;
        tell(&self.id, point, &report);
        report
    }

    async fn run_probe(&self, _: ContainerIndex, _: ProbeKind, _: oneshot::Receiver<()>) -> ProbeOutcome {
        no_probe()
    }

    fn signal_stop(&self, _: ContainerIndex) {
        self.container.signal_stop();
    }

    async fn kill(&self, _: ContainerIndex) {
        self.container.kill().await;
    }

    async fn delete(&self, _: ContainerIndex) -> Result<(), String> {
        // Its owner does.
        Ok(())
    }
}

/// Tells the log how a handler went: nobody else hears of it.
fn tell(id: &str, point: HookPoint, report: &HookReport) {
    let point = point.as_str();
    match &report.outcome {
        HookOutcome::Succeeded => tracing::info!(id, point, output = report.output, "handler succeeded"),
        HookOutcome::Failed { message } => {
            tracing::warn!(id, point, message, output = report.output, "handler failed");
        }
        HookOutcome::Cancelled => tracing::info!(id, point, "handler cancelled"),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use tenure_spec::annotations;
    use tokio::sync::watch;

    use super::*;
    use crate::hooks::exec_tests::Here;

    /// A container that ends by SIGKILL only, and notes what is done to it.
    struct Fake {
        done: RefCell<Vec<&'static str>>,
        lives: watch::Sender<bool>,
    }

    impl Container for Fake {
        async fn start(&self) -> Result<(), String> {
            self.done.borrow_mut().push("start");
            Ok(())
        }
        async fn ended(&self) -> ExitStatus {
            let mut lives = self.lives.subscribe();
            lives.wait_for(|lives| !lives).await.unwrap();
            ExitStatus::Signal(9)
        }
        fn signal_stop(&self) {
            self.done.borrow_mut().push("stop signal");
        }
        async fn kill(&self) {
            self.done.borrow_mut().push("kill");
            self.lives.send_replace(false);
        }
        fn network(&self) -> Option<PathBuf> {
            None
        }
    }

    /// Leads a life under these settings while `owner` asks for things, and gives what was done.
    fn lead(settings: &[(&str, &str)], owner: impl AsyncFnOnce(Requests)) -> Vec<&'static str> {
        let annotations: BTreeMap<String, String> = settings
            .iter()
            .map(|(key, value)| (format!("{}{key}", annotations::PREFIX), (*value).to_owned()))
            .collect();
        let lifecycle = annotations::lifecycle(&annotations, None).unwrap().unwrap();
        let container = Rc::new(Fake {
            done: RefCell::default(),
            lives: watch::Sender::new(true),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let led = Rc::clone(&container);
        tokio::task::LocalSet::new().block_on(&runtime, async move {
            let (requests, life) = live("a", lifecycle, led, Rc::new(Here::default()));
            let ((), ()) = tokio::join!(owner(requests), life);
        });
        container.done.take()
    }

    #[test]
    fn a_stop_is_the_handler_then_the_signal_then_sigkill_when_the_grace_is_over() {
        let settings = [
            ("preStop", r#"{"sleep":{"seconds":1}}"#),
            ("terminationGracePeriodSeconds", "3"),
        ];
        let done = lead(&settings, async |requests| {
            tokio::time::sleep(Duration::from_secs(5)).await;
            requests.stop();
            tokio::time::sleep(Duration::from_secs(1)).await;
            requests.stop();
        });
        assert_eq!(done, ["start", "stop signal", "kill"]);
    }

    #[test]
    fn what_is_to_stop_before_its_start_is_not_left_waiting() {
        let settings = [("terminationGracePeriodSeconds", "3")];
        let done = lead(&settings, async |requests| requests.stop());
        assert_eq!(done.last(), Some(&"kill"), "{done:?}");
    }

    #[test]
    fn sigkill_needs_no_grace() {
        let settings = [("preStop", r#"{"sleep":{"seconds":10}}"#)];
        let done = lead(&settings, async |requests| {
            tokio::time::sleep(Duration::from_secs(5)).await;
            requests.stop();
            tokio::time::sleep(Duration::from_secs(1)).await;
            requests.kill();
        });
        assert_eq!(done, ["start", "kill"]);
    }
}
