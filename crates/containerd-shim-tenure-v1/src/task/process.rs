//! One process that containerd knows: a container's init, or a further one.

use std::cell::RefCell;
use std::rc::Rc;

use tenure_supervise::ProcessExit;
use tenure_supervise::pidfd::PidFd;
use tokio::sync::watch;

use crate::proto::Timestamp;
use crate::proto::task::Status as TaskStatus;
use crate::stdio::{Addresses, Streams};

/// Where a process is in its life.
///
/// ```text
/// init  Created ──▶ Starting ──▶ Running ──▶ Stopped
///          └──────────┴── killed, or failed ──▲
/// exec  Added ────▶ Starting ──▶ Running ──▶ Stopped
/// ```
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// Asked for, and not there yet.
    Added,
    /// Waits to be started.
    Created(Rc<PidFd>),
    /// Its start is under way, and not told yet. Init is there already.
    Starting(Option<Rc<PidFd>>),
    /// Its start has been told.
    Running(Rc<PidFd>),
    /// Its end has been told.
    Stopped(Exited),
}

/// How and when a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exited {
    pub(crate) pid: u32,
    /// Its code, or 128 and its signal.
    pub(crate) status: u32,
    pub(crate) at: Timestamp,
}

impl Exited {
    /// An end at this moment.
    pub(crate) fn now(pid: i32, exit: ProcessExit) -> Self {
        Self {
            pid: pid.unsigned_abs(),
            status: status_of(exit),
            at: Timestamp::now(),
        }
    }
}

/// An exit as containerd tells it: a code, or 128 and the signal.
pub(crate) fn status_of(exit: ProcessExit) -> u32 {
    match exit {
        ProcessExit::Code(code) => u32::from(code),
        ProcessExit::Signal(signal) => 128 + u32::from(signal),
        ProcessExit::Unknown => 255,
    }
}

/// A process and its streams.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) addresses: Addresses,
    pub(crate) streams: RefCell<Option<Streams>>,
    stage: watch::Sender<Stage>,
    /// What an exec that is not started is to run: the JSON text of a runtime-spec `process`.
    spec: RefCell<String>,
}

impl Process {
    pub(crate) fn new(addresses: Addresses, stage: Stage, streams: Option<Streams>) -> Self {
        Self {
            addresses,
            streams: RefCell::new(streams),
            stage: watch::Sender::new(stage),
            spec: RefCell::default(),
        }
    }

    /// Keeps what is to be run.
    pub(crate) fn set_spec(&self, spec: String) {
        *self.spec.borrow_mut() = spec;
    }

    /// Gives what is to be run, once.
    pub(crate) fn take_spec(&self) -> String {
        self.spec.take()
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

    /// The process, while there is one that has not been told to have ended.
    pub(crate) fn pidfd(&self) -> Option<Rc<PidFd>> {
        match &*self.stage.borrow() {
            Stage::Created(pidfd) | Stage::Running(pidfd) | Stage::Starting(Some(pidfd)) => {
                Some(Rc::clone(pidfd))
            }
            Stage::Added | Stage::Starting(None) | Stage::Stopped(_) => None,
        }
    }

    /// Its pid; also after its end, and 0 when there has been none.
    pub(crate) fn pid(&self) -> u32 {
        match &*self.stage.borrow() {
            Stage::Stopped(exited) => exited.pid,
            _ => self.pidfd().map_or(0, |pidfd| pidfd.pid().unsigned_abs()),
        }
    }

    pub(crate) fn exit(&self) -> Option<Exited> {
        match &*self.stage.borrow() {
            Stage::Stopped(exited) => Some(*exited),
            _ => None,
        }
    }

    /// What containerd calls its stage.
    pub(crate) fn status(&self) -> TaskStatus {
        match &*self.stage.borrow() {
            Stage::Added | Stage::Created(_) | Stage::Starting(_) => TaskStatus::Created,
            Stage::Running(_) => TaskStatus::Running,
            Stage::Stopped(_) => TaskStatus::Stopped,
        }
    }

    /// Waits until its end has been told.
    pub(crate) async fn stopped(&self) -> Exited {
        loop {
            let mut stages = self.stage.subscribe();
            if let Ok(stage) = stages.wait_for(|stage| matches!(stage, Stage::Stopped(_))).await
                && let Stage::Stopped(exited) = &*stage
            {
                return *exited;
            }
        }
    }

    /// Waits until no start is under way: what follows a start is told after it.
    pub(crate) async fn settled(&self) {
        let mut stages = self.stage.subscribe();
        // The sender is ours.
        let _ = stages
            .wait_for(|stage| !matches!(stage, Stage::Starting(_)))
            .await;
    }
}
