//! The lifecycle that a container's annotations ask for (`containerd-facts`, Lifecycle in the shim).

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;

use tenure_engine::attached::{self, Container, Requests};
use tenure_lifecycle::ExitStatus;
use tenure_runtime::Signal;
use tenure_spec::annotations::ManagedLifecycle;
use tokio::sync::oneshot;

use super::exec::Handlers;
use super::{Shim, Task, exit_status};
use crate::launcher::Operation;
use crate::ttrpc::{Code, Status};

/// A container's managed life.
#[derive(Debug)]
pub(super) struct Managed {
    lifecycle: ManagedLifecycle,
    /// The signal of `lifecycle`, if it names one.
    named: Option<Signal>,
    /// The signal that asked for the stop.
    asked: Cell<Signal>,
    /// Which signals ask for a stop.
    stops: Stops,
    /// Once it has been started.
    requests: RefCell<Option<Requests>>,
}

/// Which signals ask a managed container to stop, besides its annotation's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stops {
    /// SIGTERM; whoever has the task may send others for other reasons.
    Term,
    /// All but SIGKILL: Kubernetes sends no other signal than the image's STOPSIGNAL, and does not tell which that is.
    Any,
}

impl Managed {
    pub(super) fn new(lifecycle: ManagedLifecycle, stops: Stops) -> Self {
        let name = lifecycle.lifecycle.stop_signal.as_deref();
        Self {
            named: name.and_then(|name| name.parse().ok()),
            asked: Cell::new(Signal::TERM),
            stops,
            requests: RefCell::new(None),
            lifecycle,
        }
    }

    /// Whether a signal asks for a stop.
    fn is_stop(&self, signal: Signal) -> bool {
        let any = self.stops == Stops::Any && signal != Signal::NULL;
        signal == Signal::TERM || self.named == Some(signal) || any
    }

    /// Takes a signal that is for the life, not for init; false when it is to be sent as it is.
    pub(super) fn takes(&self, signal: Signal) -> bool {
        let requests = self.requests.borrow();
        // Before its start there is nothing to manage.
        let Some(requests) = &*requests else { return false };
        if signal == Signal::KILL {
            // Handlers are cancelled; the signal itself goes on.
            requests.kill();
            return false;
        }
        if !self.is_stop(signal) {
            return false;
        }
        self.asked.set(signal);
        requests.stop();
        true
    }
}

/// A container under a life.
struct Attached {
    shim: Rc<Shim>,
    task: Rc<Task>,
    /// Who waits for the start.
    started: RefCell<Option<oneshot::Sender<Result<u32, Status>>>>,
}

impl Container for Attached {
    async fn start(&self) -> Result<(), String> {
        let started = self.shim.start_init(&self.task).await;
        let told = started
            .as_ref()
            .map(drop)
            .map_err(|status| status.message().to_owned());
        if let Some(waiting) = self.started.borrow_mut().take() {
            // A caller that has gone does not change what was done.
            let _ = waiting.send(started);
        }
        told
    }

    async fn ended(&self) -> ExitStatus {
        exit_status(self.task.init.stopped().await)
    }

    fn signal_stop(&self) {
        let Some(managed) = &self.task.managed else { return };
        let signal = managed.named.unwrap_or(managed.asked.get());
        if let Some(init) = self.task.init.pidfd()
            && let Err(error) = init.signal(signal.as_raw())
        {
            tracing::debug!(id = self.task.id, %error, "init is gone");
        }
    }

    async fn kill(&self) {
        let all = !self.task.own_pids;
        if let Err(error) = self.task.perform(Operation::Kill { signal: 9, all }).await {
            tracing::debug!(id = self.task.id, error = error.message(), "nothing more to kill");
        }
    }

    fn network(&self) -> Option<PathBuf> {
        let init = self.task.init.pidfd()?;
        Some(PathBuf::from(format!("/proc/{}/ns/net", init.pid())))
    }
}

/// Starts a container and leads its life beside the caller.
pub(super) async fn start(shim: &Rc<Shim>, task: &Rc<Task>, managed: &Managed) -> Result<u32, Status> {
    let (started, waiting) = oneshot::channel();
    let attached = Rc::new(Attached {
        shim: Rc::clone(shim),
        task: Rc::clone(task),
        started: RefCell::new(Some(started)),
    });
    let handlers = Rc::new(Handlers {
        launcher: Rc::clone(&task.launcher),
        root: task.root.clone(),
    });
    let (requests, life) = attached::live(&task.id, managed.lifecycle.clone(), attached, handlers);
    *managed.requests.borrow_mut() = Some(requests);
    tokio::task::spawn_local(life);
    waiting.await.unwrap_or_else(|_| {
        Err(Status::new(
            Code::FailedPrecondition,
            "it was stopped before its start",
        ))
    })
}
