//! The containers of a shim, and what containerd asks of them.
//!
//! ```text
//! service ──▶ Shim ──▶ Task (a container) ──▶ init: Process, execs: Process ──▶ Streams
//!               │          └ Managed: the lifecycle of its annotations
//!               ├─ Launcher: does it        └ watches: init's end, its execs' ends, out of memory
//!               └─ Publisher: tells it
//! ```
//!
//! Order of events: `TaskStart` before `TaskExit`; an exec's exit before its init's; `TaskOOM` before the exit that it
//! caused; one `TaskExit` a process. Whoever tells something does it in one go with the change that it tells.

mod create;
mod exec;
mod managed;
mod oom;
mod process;
mod requests;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::rc::Rc;

use tenure_lifecycle::ExitStatus;
use tenure_supervise::ProcessExit;
use tokio::sync::watch;

use crate::daemon::Setting;
use crate::launcher::{Answer, Launcher, Operation, Order};
use crate::proto::events::{TaskExit, TaskStart};
use crate::publish::Publisher;
use crate::stdio::Streams;
use crate::ttrpc::{Code, Status};

use managed::Managed;
use oom::Oom;
pub(crate) use process::status_of;
use process::{Exited, Process, Stage};

/// What a shim has to do with, whole.
#[derive(Debug)]
pub(crate) struct Shim {
    namespace: String,
    /// Where it is found.
    socket: PathBuf,
    launcher: Rc<Launcher>,
    publisher: Publisher,
    tasks: RefCell<BTreeMap<String, Rc<Task>>>,
    /// Ids that are being created.
    taken: RefCell<BTreeSet<String>>,
    /// How the shim itself stands.
    duty: watch::Sender<Duty>,
}

/// How a shim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Nobody has asked for a container yet.
    Fresh,
    /// It has, or had, containers.
    Serving,
    /// It was asked to go, and has no containers.
    Over,
}

/// A container.
#[derive(Debug)]
pub(crate) struct Task {
    id: String,
    bundle: PathBuf,
    /// The runtime's root.
    root: PathBuf,
    launcher: Rc<Launcher>,
    init: Process,
    execs: RefCell<BTreeMap<String, Rc<Process>>>,
    /// Whether its processes end with its init.
    own_pids: bool,
    is_paused: Cell<bool>,
    managed: Option<Managed>,
    oom: RefCell<Option<Oom>>,
}

impl Task {
    /// Has an operation on this container performed.
    async fn perform(&self, operation: Operation) -> Result<Answer, Status> {
        self.perform_with(operation, &[]).await
    }

    async fn perform_with(
        &self,
        operation: Operation,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Answer, Status> {
        let order = Order {
            root: self.root.clone(),
            id: self.id.clone(),
            operation,
        };
        self.launcher.perform(&order, descriptors).await
    }

    /// A process of this container: its init, if no other is named.
    fn find(self: &Rc<Self>, exec_id: &str) -> Result<Found, Status> {
        if exec_id.is_empty() {
            return Ok(Found::Init(Rc::clone(self)));
        }
        let exec = self.execs.borrow().get(exec_id).map(Rc::clone);
        exec.map(Found::Exec).ok_or_else(|| {
            let text = format!("process {exec_id} of container {} does not exist", self.id);
            Status::new(Code::NotFound, text)
        })
    }
}

/// A process that was asked for.
#[derive(Debug)]
enum Found {
    Init(Rc<Task>),
    Exec(Rc<Process>),
}

impl std::ops::Deref for Found {
    type Target = Process;

    fn deref(&self) -> &Process {
        match self {
            Self::Init(task) => &task.init,
            Self::Exec(process) => process,
        }
    }
}

impl Shim {
    /// A shim without containers.
    pub(crate) fn new(setting: &Setting, launcher: Launcher, publisher: Publisher) -> Self {
        Self {
            namespace: setting.namespace.clone(),
            socket: setting.socket.clone(),
            launcher: Rc::new(launcher),
            publisher,
            tasks: RefCell::new(BTreeMap::new()),
            taken: RefCell::new(BTreeSet::new()),
            duty: watch::Sender::new(Duty::Fresh),
        }
    }

    /// How it stands, now and later.
    pub(crate) fn duty(&self) -> watch::Receiver<Duty> {
        self.duty.subscribe()
    }

    fn task(&self, id: &str) -> Result<Rc<Task>, Status> {
        let task = self.tasks.borrow().get(id).map(Rc::clone);
        task.ok_or_else(|| Status::new(Code::NotFound, format!("container {id} does not exist")))
    }

    /// Runs the program of a created container, and tells so.
    async fn start_init(&self, task: &Task) -> Result<u32, Status> {
        let Stage::Created(pidfd) = task.init.stage() else {
            let text = format!("container {} cannot be started: it is not created", task.id);
            return Err(Status::new(Code::FailedPrecondition, text));
        };
        task.init.enter(Stage::Starting(Some(Rc::clone(&pidfd))));
        match task.perform(Operation::Start).await {
            Ok(_) => {
                let pid = pidfd.pid().unsigned_abs();
                let event = TaskStart {
                    container_id: task.id.clone(),
                    pid,
                };
                self.publisher.publish("/tasks/start", "TaskStart", &event);
                task.init.enter(Stage::Running(pidfd));
                Ok(pid)
            }
            Err(status) => {
                // Its end, if it has ended, is told by its watch.
                task.init.enter(Stage::Created(pidfd));
                Err(status)
            }
        }
    }

    /// Waits for the end of a container's init, and tells it when all that must come before is told.
    async fn watch_init(self: Rc<Self>, task: Rc<Task>) {
        let Some(pidfd) = task.init.pidfd() else { return };
        let exited = Exited::now(pidfd.pid(), wait(&pidfd).await);
        task.init.settled().await;
        if !task.own_pids {
            // Init's death does not end the others here (lifecycle-semantics 3.33).
            let all = Operation::Kill { signal: 9, all: true };
            if let Err(error) = task.perform(all).await {
                tracing::warn!(id = task.id, error = error.message(), "processes may be left");
            }
        }
        let execs: Vec<Rc<Process>> = task.execs.borrow().values().map(Rc::clone).collect();
        for exec in execs {
            exec.settled().await;
            if exec.pidfd().is_some() {
                exec.stopped().await;
            }
        }
        task.look_for_oom(&self);
        self.tell_exit(&task.id, &task.id, &task.init, exited);
    }

    /// Tells the end of a process.
    fn tell_exit(&self, container: &str, id: &str, process: &Process, exited: Exited) {
        let event = TaskExit {
            container_id: container.to_owned(),
            id: id.to_owned(),
            pid: exited.pid,
            exit_status: exited.status,
            exited_at: Some(exited.at),
        };
        self.publisher.publish("/tasks/exit", "TaskExit", &event);
        if let Some(streams) = &*process.streams.borrow() {
            streams.ended();
        }
        process.enter(Stage::Stopped(exited));
    }
}

/// Waits for a process's end.
async fn wait(pidfd: &tenure_supervise::pidfd::PidFd) -> ProcessExit {
    pidfd.wait().await.unwrap_or_else(|error| {
        tracing::error!(%error, pid = pidfd.pid(), "a process's status is lost");
        ProcessExit::Unknown
    })
}

/// A status of containerd's in the machine's words.
fn exit_status(exited: Exited) -> ExitStatus {
    match u8::try_from(exited.status) {
        Ok(code) => ExitStatus::Code(code),
        Err(_) => ExitStatus::Unknown,
    }
}

/// Closes the streams of a process that has ended.
async fn close(process: &Process) {
    let streams: Option<Streams> = process.streams.borrow_mut().take();
    if let Some(streams) = streams {
        streams.close().await;
    }
}
