//! Further processes of a container.

use std::rc::Rc;

use tenure_engine::oci::{ExecRequest, Execute, OciError, RuntimeExec};
use tenure_supervise::ProcessExit;
use tenure_supervise::pidfd::PidFd;
use tenure_supervise::subreaper;
use tokio::sync::oneshot;

use super::process::{Exited, Process, Stage};
use super::{Shim, Task, close, wait};
use crate::launcher::{Answer, Command, Launcher, Operation, Order, Program};
use crate::proto::events::{TaskExecAdded, TaskExecStarted};
use crate::proto::task::ExecProcessRequest;
use crate::stdio::{Addresses, Streams};
use crate::ttrpc::{Code, Status};

/// A process that was asked for, until it is started.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) process: Rc<Process>,
}

impl Shim {
    /// Takes a further process in; it runs once it is started.
    pub(crate) fn add_exec(&self, request: ExecProcessRequest) -> Result<(), Status> {
        let task = self.task(&request.id)?;
        if task.init.exit().is_some() {
            let text = format!("container {} has stopped", task.id);
            return Err(Status::new(Code::FailedPrecondition, text));
        }
        let spec = request.spec.unwrap_or_default();
        let wrong = |why: &str| Status::new(Code::InvalidArgument, format!("process: {why}"));
        let spec = String::from_utf8(spec.value).map_err(|_| wrong("it is not JSON"))?;
        if spec.is_empty() {
            return Err(wrong("there is none"));
        }
        let exec_id = request.exec_id;
        let addresses = Addresses {
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            terminal: request.terminal,
        };
        let process = Rc::new(Process::new(addresses, Stage::Added, None));
        process.set_spec(spec);
        if exec_id.is_empty() {
            return Err(wrong("it has no id"));
        }
        match task.execs.borrow_mut().entry(exec_id.clone()) {
            std::collections::btree_map::Entry::Occupied(_) => {
                let text = format!("process {exec_id} of container {} already exists", task.id);
                return Err(Status::new(Code::AlreadyExists, text));
            }
            std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(process)),
        }
        let event = TaskExecAdded {
            container_id: task.id.clone(),
            exec_id,
        };
        self.publisher
            .publish("/tasks/exec-added", "TaskExecAdded", &event);
        Ok(())
    }

    /// Starts a process that was added, and tells so.
    pub(super) async fn start_exec(self: &Rc<Self>, task: &Rc<Task>, asked: Asked) -> Result<u32, Status> {
        let Asked { id, process } = asked;
        let refuse = |why: &str| Status::new(Code::FailedPrecondition, format!("process {id} {why}"));
        if !matches!(process.stage(), Stage::Added) {
            return Err(refuse("has been started already"));
        }
        if task.init.exit().is_some() {
            return Err(refuse("cannot be started: its container has stopped"));
        }
        process.enter(Stage::Starting(None));
        match self.launch_exec(task, &process).await {
            Ok(pidfd) => {
                let pid = pidfd.pid().unsigned_abs();
                let event = TaskExecStarted {
                    container_id: task.id.clone(),
                    exec_id: id.clone(),
                    pid,
                };
                self.publisher
                    .publish("/tasks/exec-started", "TaskExecStarted", &event);
                process.enter(Stage::Running(Rc::clone(&pidfd)));
                let (shim, container) = (Rc::clone(self), task.id.clone());
                tokio::task::spawn_local(async move {
                    let exited = Exited::now(pidfd.pid(), wait(&pidfd).await);
                    shim.tell_exit(&container, &id, &process, exited);
                });
                Ok(pid)
            }
            Err(status) => {
                process.enter(Stage::Stopped(Exited::now(0, ProcessExit::Unknown)));
                Err(status)
            }
        }
    }

    async fn launch_exec(&self, task: &Task, process: &Process) -> Result<Rc<PidFd>, Status> {
        let unusable = |error: std::io::Error| Status::new(Code::InvalidArgument, error.to_string());
        let (mut streams, given) = Streams::open(&process.addresses, &task.id, &self.namespace)
            .await
            .map_err(unusable)?;
        let program = Program {
            terminal: process.addresses.terminal,
            command: Command::Process(process.take_spec()),
        };
        let hold = subreaper::hold();
        let answer = task
            .perform_with(Operation::Exec(program), &given.descriptors())
            .await?;
        drop(given);
        let pidfd = opened(answer)?;
        drop(hold);
        if let Err(error) = streams.take_terminal() {
            let _ = pidfd.signal(9);
            return Err(Status::new(Code::Internal, format!("exec: {error}")));
        }
        *process.streams.borrow_mut() = Some(streams);
        Ok(Rc::new(pidfd))
    }

    /// Removes a process that has ended, or was never started; gives how it ended.
    pub(super) async fn delete_exec(
        &self,
        task: &Task,
        exec_id: &str,
        process: &Process,
    ) -> Result<Exited, Status> {
        let exited = match process.stage() {
            Stage::Stopped(exited) => exited,
            Stage::Added => Exited::now(0, ProcessExit::Code(0)),
            Stage::Created(_) | Stage::Starting(_) | Stage::Running(_) => {
                let text = format!("process {exec_id} cannot be deleted: it is running");
                return Err(Status::new(Code::FailedPrecondition, text));
            }
        };
        close(process).await;
        task.execs.borrow_mut().remove(exec_id);
        Ok(exited)
    }
}

/// The process that an operation has made, by descriptor.
fn opened(answer: Answer) -> Result<PidFd, Status> {
    let Answer::Process(pid) = answer else {
        return Err(Status::new(Code::Internal, "the runtime tells no process"));
    };
    PidFd::open(pid).map_err(|error| Status::new(Code::Internal, format!("process {pid}: {error}")))
}

/// Runs the programs of handlers.
#[derive(Debug)]
pub(super) struct Handlers {
    pub(super) launcher: Rc<Launcher>,
    pub(super) root: std::path::PathBuf,
}

impl Execute for Handlers {
    async fn exec(&self, request: ExecRequest) -> Result<RuntimeExec, OciError> {
        let id = request.id.clone();
        let order = Order {
            root: self.root.clone(),
            id: request.id,
            operation: Operation::Exec(Program {
                terminal: false,
                command: Command::Arguments(request.command),
            }),
        };
        let (answer, answered) = oneshot::channel();
        let launcher = Rc::clone(&self.launcher);
        // Goes on when nobody waits any more: what has been started then is ended.
        tokio::task::spawn_local(async move {
            let hold = subreaper::hold();
            let started = run(&launcher, &order, request.output).await;
            drop(hold);
            if let Err(Ok(pidfd)) = answer.send(started) {
                let _ = pidfd.signal(9);
                let _ = pidfd.wait().await;
            }
        });
        let started = answered
            .await
            .unwrap_or_else(|_| Err(Status::new(Code::Internal, "the shim ends")));
        match started {
            Ok(pidfd) => Ok(RuntimeExec { pidfd, program: None }),
            Err(status) => Err(OciError::Refused {
                operation: "exec",
                id,
                message: status.message().to_owned(),
                code: 255,
            }),
        }
    }
}

async fn run(launcher: &Launcher, order: &Order, output: std::os::fd::OwnedFd) -> Result<PidFd, Status> {
    use std::os::fd::AsFd;
    let null = std::fs::File::open("/dev/null")
        .map_err(|error| Status::new(Code::Internal, format!("/dev/null: {error}")))?;
    let descriptors = [null.as_fd(), output.as_fd(), output.as_fd()];
    opened(launcher.perform(order, &descriptors).await?)
}
