//! What containerd asks of a container that is there.

use std::rc::Rc;

use prost::Message;
use rustix::termios::{Winsize, tcsetwinsize};
use tenure_runtime::Signal;

use super::exec::Asked;
use super::process::{Exited, Stage};
use super::{Duty, Found, Shim, managed};
use crate::launcher::{Answer, Operation};
use crate::proto::Any;
use crate::proto::events::TaskFact;
use crate::proto::task::{
    CloseIoRequest, ConnectResponse, KillRequest, PidsResponse, ProcessInfo, ProcessRequest,
    ResizePtyRequest, ShutdownRequest, StateResponse, Status as TaskStatus, UpdateTaskRequest,
};
use crate::ttrpc::{Code, Status};

/// `containerd.runc.v1.ProcessDetails`: which of a container's processes are execs.
#[derive(Clone, PartialEq, Message)]
struct ProcessDetails {
    #[prost(string, tag = "1")]
    exec_id: String,
}

impl Shim {
    fn find(&self, id: &str, exec_id: &str) -> Result<Found, Status> {
        self.task(id)?.find(exec_id)
    }

    /// `State`.
    pub(crate) fn state(&self, request: ProcessRequest) -> Result<StateResponse, Status> {
        let task = self.task(&request.id)?;
        let process = task.find(&request.exec_id)?;
        let exit = process.exit();
        let status = match process.status() {
            TaskStatus::Running if task.is_paused.get() => TaskStatus::Paused,
            other => other,
        };
        Ok(StateResponse {
            id: request.id,
            bundle: task.bundle.to_string_lossy().into_owned(),
            pid: process.pid(),
            status: status as i32,
            stdin: process.addresses.stdin.clone(),
            stdout: process.addresses.stdout.clone(),
            stderr: process.addresses.stderr.clone(),
            terminal: process.addresses.terminal,
            exit_status: exit.map_or(0, |exit| exit.status),
            exited_at: exit.map(|exit| exit.at),
            exec_id: request.exec_id,
        })
    }

    /// `Start`; gives the pid.
    pub(crate) async fn start(self: &Rc<Self>, request: ProcessRequest) -> Result<u32, Status> {
        let task = self.task(&request.id)?;
        match (task.find(&request.exec_id)?, &task.managed) {
            (Found::Exec(process), _) => {
                let id = request.exec_id;
                self.start_exec(&task, Asked { id, process }).await
            }
            (Found::Init(_), Some(managed)) if matches!(task.init.stage(), Stage::Created(_)) => {
                managed::start(self, &task, managed).await
            }
            (Found::Init(_), _) => self.start_init(&task).await,
        }
    }

    /// `Delete`.
    pub(crate) async fn remove(&self, request: ProcessRequest) -> Result<Exited, Status> {
        let task = self.task(&request.id)?;
        match task.find(&request.exec_id)? {
            Found::Init(_) => self.delete(&task).await,
            Found::Exec(process) => self.delete_exec(&task, &request.exec_id, &process).await,
        }
    }

    /// `Wait`.
    pub(crate) async fn wait(&self, request: ProcessRequest) -> Result<Exited, Status> {
        Ok(self.find(&request.id, &request.exec_id)?.stopped().await)
    }

    /// `Kill`. A stop signal for a managed container is the beginning of its stop, and this returns at once.
    pub(crate) async fn kill(&self, request: KillRequest) -> Result<(), Status> {
        let task = self.task(&request.id)?;
        let process = task.find(&request.exec_id)?;
        let signal = i32::try_from(request.signal)
            .ok()
            .and_then(Signal::from_raw)
            .ok_or_else(|| Status::new(Code::InvalidArgument, format!("{} is no signal", request.signal)))?;
        let finished = || {
            let text = "process already finished: not found";
            Status::new(Code::NotFound, text)
        };
        if process.exit().is_some() {
            return Err(finished());
        }
        if let Found::Exec(process) = process {
            let pidfd = process.pidfd().ok_or_else(|| {
                Status::new(
                    Code::FailedPrecondition,
                    format!("process {} is not started", request.exec_id),
                )
            })?;
            return pidfd.signal(signal.as_raw()).map_err(|_| finished());
        }
        if !request.all && task.managed.as_ref().is_some_and(|managed| managed.takes(signal)) {
            return Ok(());
        }
        let operation = Operation::Kill {
            signal: signal.as_raw(),
            all: request.all,
        };
        let is_done = task.managed.is_some() && signal == Signal::KILL;
        match task.perform(operation).await {
            Err(status) if status.is(Code::FailedPrecondition) || status.is(Code::NotFound) => {
                // It has ended just now; of a managed life perhaps by its own SIGKILL, which was faster.
                if is_done { Ok(()) } else { Err(finished()) }
            }
            other => other.map(drop),
        }
    }

    /// `Pause`.
    pub(crate) async fn pause(&self, id: &str) -> Result<(), Status> {
        let task = self.task(id)?;
        task.perform(Operation::Pause).await?;
        task.is_paused.set(true);
        self.tell_fact(id, "/tasks/paused", "TaskPaused");
        Ok(())
    }

    /// `Resume`.
    pub(crate) async fn resume(&self, id: &str) -> Result<(), Status> {
        let task = self.task(id)?;
        task.perform(Operation::Resume).await?;
        task.is_paused.set(false);
        self.tell_fact(id, "/tasks/resumed", "TaskResumed");
        Ok(())
    }

    fn tell_fact(&self, id: &str, topic: &str, name: &str) {
        let event = TaskFact {
            container_id: id.to_owned(),
        };
        self.publisher.publish(topic, name, &event);
    }

    /// `Pids`.
    pub(crate) async fn pids(&self, id: &str) -> Result<PidsResponse, Status> {
        let task = self.task(id)?;
        let Answer::Pids(pids) = task.perform(Operation::Pids).await? else {
            return Err(Status::new(Code::Internal, "the runtime tells no processes"));
        };
        let execs = task.execs.borrow();
        let processes = pids.into_iter().map(|pid| {
            let pid = pid.unsigned_abs();
            let exec = execs.iter().find(|(_, process)| process.pid() == pid);
            let details = exec.map(|(id, _)| {
                let details = ProcessDetails { exec_id: id.clone() };
                Any::of("containerd.runc.v1.ProcessDetails", &details)
            });
            ProcessInfo { pid, info: details }
        });
        Ok(PidsResponse {
            processes: processes.collect(),
        })
    }

    /// `Update`.
    pub(crate) async fn update(&self, request: UpdateTaskRequest) -> Result<(), Status> {
        let task = self.task(&request.id)?;
        let resources = String::from_utf8(request.resources.unwrap_or_default().value)
            .ok()
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Status::new(Code::InvalidArgument, "resources: they are not JSON"))?;
        task.perform(Operation::Update { resources }).await.map(drop)
    }

    /// `Stats`.
    pub(crate) async fn stats(&self, id: &str) -> Result<Any, Status> {
        match self.task(id)?.perform(Operation::Stats).await? {
            Answer::Metrics { type_url, value } => Ok(Any { type_url, value }),
            _ => Err(Status::new(Code::Internal, "the runtime tells no figures")),
        }
    }

    /// `ResizePty`.
    pub(crate) fn resize(&self, request: &ResizePtyRequest) -> Result<(), Status> {
        let process = self.find(&request.id, &request.exec_id)?;
        let streams = process.streams.borrow();
        let Some(terminal) = streams.as_ref().and_then(|streams| streams.terminal()) else {
            // Not started yet, or over, or without: nothing that could be resized, as in runc's shim.
            return Ok(());
        };
        let cells = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
        let size = Winsize {
            ws_row: cells(request.height),
            ws_col: cells(request.width),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(terminal, size)
            .map_err(|error| Status::new(Code::Unknown, format!("the terminal cannot be resized: {error}")))
    }

    /// `CloseIO`.
    pub(crate) fn close_io(&self, request: &CloseIoRequest) -> Result<(), Status> {
        let process = self.find(&request.id, &request.exec_id)?;
        if request.stdin
            && let Some(streams) = &mut *process.streams.borrow_mut()
        {
            streams.close_input();
        }
        Ok(())
    }

    /// `Connect`.
    pub(crate) fn connect(&self, id: &str) -> Result<ConnectResponse, Status> {
        let pid = self.tasks.borrow().get(id).map_or(0, |task| task.init.pid());
        Ok(ConnectResponse {
            shim_pid: std::process::id(),
            task_pid: pid,
            version: String::new(),
        })
    }

    /// `Shutdown`: the shim goes, unless it has containers.
    pub(crate) fn shutdown(&self, request: &ShutdownRequest) {
        let has_none = self.tasks.borrow().is_empty() && self.taken.borrow().is_empty();
        if has_none || request.now {
            self.retire();
        }
    }

    /// Is not to be found any more: from now on a container of the same name gets a shim, and a socket, of its own.
    pub(crate) fn retire(&self) {
        if self.duty.send_replace(Duty::Over) != Duty::Over
            && let Err(error) = std::fs::remove_file(&self.socket)
        {
            tracing::warn!(%error, socket = %self.socket.display(), "left behind");
        }
    }

    /// Waits until containerd has heard everything, but not for long.
    pub(crate) async fn flush(&self) {
        self.publisher.flush().await;
    }
}
