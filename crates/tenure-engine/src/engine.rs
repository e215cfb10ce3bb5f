//! The loop: events in, orders out, one timer.

use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;

use tenure_lifecycle::{
    Action, ContainerAction, ContainerEvent, ContainerIndex, Event, HookPoint, PodMachine, PodStatus,
    ProbeKind, Rejected, Request,
};
use tenure_supervise::memory::release_code;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::clock::Clock;
use crate::effects::Effects;
use crate::publish::Publisher;
use crate::ready::Ready;

/// Something for the loop.
#[derive(Debug)]
pub(crate) enum Input {
    /// A fact, or a request that nobody waits for.
    Event(Event),
    /// A request with somebody to answer.
    Request {
        /// What is asked.
        request: Request,
        /// Who asks.
        reply: oneshot::Sender<Result<(), Rejected>>,
    },
    /// The sandbox is gone but for this.
    Leftovers(Vec<String>),
}

/// Where inputs go; any number of clones.
pub(crate) type Inputs = mpsc::UnboundedSender<Input>;

/// One pod's loop. To be run inside a `LocalSet`: operations are local tasks that report through [`Inputs`].
pub(crate) struct Engine<E> {
    machine: PodMachine,
    effects: Rc<E>,
    clock: Clock,
    publisher: Publisher,
    ready: Option<Ready>,
    /// Start-up is over: what follows is mostly waiting.
    settles: bool,
    inputs: mpsc::UnboundedReceiver<Input>,
    sender: Inputs,
    /// How to cancel the handlers and probes that run.
    running: HashMap<(ContainerIndex, Running), oneshot::Sender<()>>,
}

/// Something that runs beside a container and can be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Running {
    Hook(HookPoint),
    Probe(ProbeKind),
}

impl Running {
    /// What has ended by this event.
    fn ended_by(event: &ContainerEvent) -> Option<Self> {
        match event {
            ContainerEvent::HookFinished { point, .. } => Some(Self::Hook(*point)),
            ContainerEvent::ProbeFinished { kind, .. } => Some(Self::Probe(*kind)),
            ContainerEvent::Created
            | ContainerEvent::CreateFailed(_)
            | ContainerEvent::Started
            | ContainerEvent::StartFailed(_)
            | ContainerEvent::Exited(_)
            | ContainerEvent::Deleted
            | ContainerEvent::DeleteFailed { .. } => None,
        }
    }
}

impl<E: Effects> Engine<E> {
    /// A loop that has not begun.
    pub(crate) fn new(machine: PodMachine, effects: Rc<E>, clock: Clock, publisher: Publisher) -> Self {
        let (sender, inputs) = mpsc::unbounded_channel();
        Self {
            machine,
            effects,
            clock,
            publisher,
            ready: None,
            settles: false,
            inputs,
            sender,
            running: HashMap::new(),
        }
    }

    /// Tells `ready` once start-up has succeeded or failed for good.
    pub(crate) fn with_ready(mut self, ready: Option<Ready>) -> Self {
        self.ready = ready;
        self
    }

    /// Where to send inputs.
    pub(crate) fn inputs(&self) -> Inputs {
        self.sender.clone()
    }

    /// Waits for the end of a container that lived before the loop did.
    pub(crate) fn adopt(&self, container: ContainerIndex) {
        self.watch(container);
    }

    /// Lives the pod's life and returns its last status. `first` is the event that sets it going.
    pub(crate) async fn run(mut self, first: Event) -> PodStatus {
        self.deliver(first);
        while !self.machine.is_finished() {
            match self.next().await {
                Input::Event(event) => self.deliver(event),
                Input::Request { request, reply } => {
                    let result = self.try_deliver(Event::Request(request));
                    // Whoever asked may be gone; the pod is stopped all the same.
                    let _ = reply.send(result);
                }
                Input::Leftovers(what) => {
                    let now = self.clock.now();
                    for what in &what {
                        self.publisher.notify_leftover(now, what);
                    }
                }
            }
        }
        if let Some(ready) = self.ready.take() {
            ready.finish(&self.machine.status());
        }
        self.machine.status()
    }

    /// The next input, or the machine's deadline.
    async fn next(&mut self) -> Input {
        if self.settles && self.inputs.is_empty() {
            self.settles = false;
            if let Err(error) = release_code() {
                tracing::debug!(%error, "start-up's pages are kept");
            }
        }
        let deadline = self.machine.next_deadline().map(|at| self.clock.instant(at));
        let timer = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            // We hold a sender ourselves, so there is always one.
            Some(input) = self.inputs.recv() => input,
            () = timer => Input::Event(Event::Tick),
        }
    }

    fn deliver(&mut self, event: Event) {
        if let Err(rejected) = self.try_deliver(event) {
            tracing::debug!(%rejected, "request refused");
        }
    }

    fn try_deliver(&mut self, event: Event) -> Result<(), Rejected> {
        let now = self.clock.now();
        tracing::info!(at = ?now.since_origin(), ?event);
        if let Event::Container { container, event } = &event
            && let Some(ended) = Running::ended_by(event)
        {
            self.running.remove(&(*container, ended));
        }
        let actions = self.machine.on_event(now, event)?;
        let status = self.machine.status();
        // First what people see, then what it announces: whoever is told that the pod is up may look at once.
        let up = self.ready.is_some().then(|| status.clone());
        self.publisher.publish(status);
        if let (Some(ready), Some(status)) = (&mut self.ready, up) {
            self.settles |= ready.observe(&status);
        }
        for action in actions {
            self.perform(action);
        }
        Ok(())
    }

    fn perform(&mut self, action: Action) {
        tracing::info!(?action);
        match action {
            Action::CreateSandbox => self.operate(|effects| async move {
                match effects.create_sandbox().await {
                    Ok(()) => Event::SandboxCreated,
                    Err(message) => Event::SandboxFailed { message },
                }
            }),
            Action::RemoveSandbox => self.remove_sandbox(),
            Action::Container { container, action } => self.perform_on(container, action),
            Action::Notify(notice) => self.publisher.notify(self.clock.now(), notice),
            // The loop ends by itself: the machine is finished.
            Action::Finish => {}
        }
    }

    fn perform_on(&mut self, container: ContainerIndex, action: ContainerAction) {
        match action {
            ContainerAction::Create { restart_count } => self.create(container, restart_count),
            ContainerAction::Start => self.operate_on(container, move |effects| async move {
                match effects.start(container).await {
                    Ok(()) => ContainerEvent::Started,
                    Err(failure) => ContainerEvent::StartFailed(failure),
                }
            }),
            ContainerAction::RunHook { point } => self.run_hook(container, point),
            ContainerAction::CancelHook { point } => self.cancel(container, Running::Hook(point)),
            ContainerAction::Probe { kind } => self.run_probe(container, kind),
            ContainerAction::CancelProbe { kind } => self.cancel(container, Running::Probe(kind)),
            ContainerAction::SignalStop => self.effects.signal_stop(container),
            ContainerAction::Kill => {
                let effects = Rc::clone(&self.effects);
                tokio::task::spawn_local(async move { effects.kill(container).await });
            }
            ContainerAction::Delete => self.operate_on(container, move |effects| async move {
                match effects.delete(container).await {
                    Ok(()) => ContainerEvent::Deleted,
                    Err(message) => ContainerEvent::DeleteFailed { message },
                }
            }),
        }
    }

    fn create(&self, container: ContainerIndex, restart_count: u32) {
        let effects = Rc::clone(&self.effects);
        let sender = self.sender.clone();
        tokio::task::spawn_local(async move {
            match effects.create(container, restart_count).await {
                Ok(()) => {
                    report(&sender, container, ContainerEvent::Created);
                    // From here on, so that `Created` is always told before `Exited`.
                    let exit = effects.ended(container).await;
                    report(&sender, container, ContainerEvent::Exited(exit));
                }
                Err(failure) => report(&sender, container, ContainerEvent::CreateFailed(failure)),
            }
        });
    }

    fn watch(&self, container: ContainerIndex) {
        self.operate_on(container, move |effects| async move {
            ContainerEvent::Exited(effects.ended(container).await)
        });
    }

    fn run_hook(&mut self, container: ContainerIndex, point: HookPoint) {
        let cancelled = self.cancellable(container, Running::Hook(point));
        self.operate_on(container, move |effects| async move {
            let report = effects.run_hook(container, point, cancelled).await;
            ContainerEvent::HookFinished { point, report }
        });
    }

    fn run_probe(&mut self, container: ContainerIndex, kind: ProbeKind) {
        let cancelled = self.cancellable(container, Running::Probe(kind));
        self.operate_on(container, move |effects| async move {
            let outcome = effects.run_probe(container, kind, cancelled).await;
            ContainerEvent::ProbeFinished { kind, outcome }
        });
    }

    fn cancellable(&mut self, container: ContainerIndex, what: Running) -> oneshot::Receiver<()> {
        let (cancel, cancelled) = oneshot::channel();
        self.running.insert((container, what), cancel);
        cancelled
    }

    fn cancel(&mut self, container: ContainerIndex, what: Running) {
        if let Some(cancel) = self.running.remove(&(container, what)) {
            // What has just ended does not listen any more.
            let _ = cancel.send(());
        }
    }

    fn remove_sandbox(&self) {
        let effects = Rc::clone(&self.effects);
        let sender = self.sender.clone();
        tokio::task::spawn_local(async move {
            let left = effects.remove_sandbox().await;
            // The loop outlives its tasks unless it is being dropped.
            let _ = sender.send(Input::Leftovers(left));
            let _ = sender.send(Input::Event(Event::SandboxRemoved));
        });
    }

    /// Runs an operation beside the loop and delivers the event it ends with.
    fn operate<O, F>(&self, operation: O)
    where
        O: FnOnce(Rc<E>) -> F,
        F: Future<Output = Event> + 'static,
    {
        let done = operation(Rc::clone(&self.effects));
        let sender = self.sender.clone();
        tokio::task::spawn_local(async move {
            let _ = sender.send(Input::Event(done.await));
        });
    }

    fn operate_on<O, F>(&self, container: ContainerIndex, operation: O)
    where
        O: FnOnce(Rc<E>) -> F,
        F: Future<Output = ContainerEvent> + 'static,
    {
        let done = operation(Rc::clone(&self.effects));
        let sender = self.sender.clone();
        tokio::task::spawn_local(async move { report(&sender, container, done.await) });
    }
}

fn report(sender: &Inputs, container: ContainerIndex, event: ContainerEvent) {
    let _ = sender.send(Input::Event(Event::Container { container, event }));
}

#[cfg(test)]
pub(crate) mod tests;
