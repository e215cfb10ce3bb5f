//! `Create` and `Delete` of a container.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use prost::Message;
use tenure_supervise::pidfd::PidFd;
use tenure_supervise::subreaper;

use super::managed::{Managed, Stops};
use super::oom::Oom;
use super::process::{Exited, Process, Stage};
use super::{Duty, Shim, Task, close};
use crate::bundle::Bundle;
use crate::launcher::{Answer, Creation, Operation, Order};
use crate::proto::events::{TaskCreate, TaskDelete, TaskIo};
use crate::proto::options::{RuncOptions, RuntimeOptions};
use crate::proto::task::CreateTaskRequest;
use crate::proto::{Any, events};
use crate::settings::Settings;
use crate::stdio::{Addresses, Streams};
use crate::ttrpc::{Code, Status};

impl Shim {
    /// Creates a container; its program waits for `start`.
    pub(crate) async fn create(self: &Rc<Self>, request: CreateTaskRequest) -> Result<u32, Status> {
        self.duty.send_replace(Duty::Serving);
        let id = request.id.clone();
        let exists = self.tasks.borrow().contains_key(&id) || !self.taken.borrow_mut().insert(id.clone());
        if exists {
            return Err(Status::new(
                Code::AlreadyExists,
                format!("container {id} already exists"),
            ));
        }
        let created = self.try_create(request).await;
        self.taken.borrow_mut().remove(&id);
        created
    }

    async fn try_create(self: &Rc<Self>, request: CreateTaskRequest) -> Result<u32, Status> {
        if !request.checkpoint.is_empty() {
            let text = "restoring a container from a checkpoint is not supported";
            return Err(Status::new(Code::Unimplemented, text));
        }
        let folder = PathBuf::from(&request.bundle);
        let bundle = Bundle::read(&folder)?;
        let stops = if bundle.is_kubernetes() {
            Stops::Any
        } else {
            Stops::Term
        };
        let managed = bundle
            .lifecycle()?
            .map(|lifecycle| Managed::new(lifecycle, stops));
        let options = options(request.options.as_ref())?;
        let settings = Settings::of(&options, &self.namespace);
        settings.save(&folder)?;
        let creation = Creation {
            bundle: folder.clone(),
            rootfs: request.rootfs.clone(),
            terminal: request.terminal,
            no_pivot: options.no_pivot_root,
            no_new_keyring: options.no_new_keyring,
            systemd_cgroup: options.systemd_cgroup || bundle.has_systemd_cgroup(),
        };
        let addresses = Addresses {
            stdin: request.stdin.clone(),
            stdout: request.stdout.clone(),
            stderr: request.stderr.clone(),
            terminal: request.terminal,
        };
        let order = Order {
            root: settings.root.clone(),
            id: request.id.clone(),
            operation: Operation::Create(creation),
        };
        let (pidfd, streams) = self.launch(order, &addresses).await?;
        let pid = pidfd.pid().unsigned_abs();
        let task = Rc::new(Task {
            id: request.id.clone(),
            bundle: folder,
            root: settings.root,
            launcher: Rc::clone(&self.launcher),
            init: Process::new(addresses, Stage::Created(pidfd), Some(streams)),
            execs: RefCell::new(BTreeMap::new()),
            own_pids: bundle.has_own_pid_namespace(),
            is_paused: Cell::new(false),
            managed,
            oom: RefCell::new(None),
        });
        Oom::watch(self, &task);
        self.tasks
            .borrow_mut()
            .insert(request.id.clone(), Rc::clone(&task));
        self.publisher
            .publish("/tasks/create", "TaskCreate", &created(request, pid));
        tokio::task::spawn_local(Rc::clone(self).watch_init(task));
        Ok(pid)
    }

    /// Has init created with its streams. After an error nothing is left.
    async fn launch(&self, order: Order, addresses: &Addresses) -> Result<(Rc<PidFd>, Streams), Status> {
        let unusable = |error: std::io::Error| Status::new(Code::InvalidArgument, error.to_string());
        let (mut streams, given) = Streams::open(addresses, &order.id, &self.namespace)
            .await
            .map_err(unusable)?;
        // Init may end at once: its status must wait for us.
        let hold = subreaper::hold();
        let answer = self.launcher.perform(&order, &given.descriptors()).await?;
        drop(given);
        let Answer::Process(pid) = answer else {
            return Err(Status::new(Code::Internal, "the runtime tells no process"));
        };
        let opened = PidFd::open(pid).and_then(|pidfd| streams.take_terminal().map(|()| pidfd));
        drop(hold);
        match opened {
            Ok(pidfd) => Ok((Rc::new(pidfd), streams)),
            Err(error) => {
                if let Operation::Create(creation) = order.operation {
                    let bundle = creation.bundle;
                    let operation = Operation::Delete { bundle };
                    self.launcher.perform(&Order { operation, ..order }, &[]).await?;
                }
                Err(Status::new(Code::Internal, format!("init: {error}")))
            }
        }
    }

    /// Removes a container that has stopped, or was never started; gives how its init ended.
    pub(crate) async fn delete(&self, task: &Rc<Task>) -> Result<Exited, Status> {
        match task.init.stage() {
            Stage::Stopped(_) | Stage::Created(_) => {}
            Stage::Added | Stage::Starting(_) | Stage::Running(_) => {
                let text = format!("container {} cannot be deleted: it is running", task.id);
                return Err(Status::new(Code::FailedPrecondition, text));
            }
        }
        if task.init.exit().is_some() {
            // Whoever has it reads the rest before it goes.
            close(&task.init).await;
        }
        let bundle = task.bundle.clone();
        task.perform(Operation::Delete { bundle }).await?;
        let exited = task.init.stopped().await;
        close(&task.init).await;
        if self.tasks.borrow_mut().remove(&task.id).is_none() {
            return Err(Status::new(
                Code::NotFound,
                format!("container {} is deleted already", task.id),
            ));
        }
        let event = TaskDelete {
            container_id: task.id.clone(),
            pid: exited.pid,
            exit_status: exited.status,
            exited_at: Some(exited.at),
            id: String::new(),
        };
        self.publisher.publish("/tasks/delete", "TaskDelete", &event);
        Ok(exited)
    }
}

fn created(request: CreateTaskRequest, pid: u32) -> events::TaskCreate {
    TaskCreate {
        container_id: request.id,
        bundle: request.bundle,
        rootfs: request.rootfs,
        io: Some(TaskIo {
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            terminal: request.terminal,
        }),
        checkpoint: request.checkpoint,
        pid,
    }
}

/// What a request sets for the runtime.
fn options(any: Option<&Any>) -> Result<RuncOptions, Status> {
    let wrong =
        |error: &dyn std::fmt::Display| Status::new(Code::InvalidArgument, format!("options: {error}"));
    match any {
        None => Ok(RuncOptions::default()),
        Some(any) if any.value.is_empty() => Ok(RuncOptions::default()),
        Some(any) if any.is("containerd.runc.v1.Options") => {
            RuncOptions::decode(any.value.as_slice()).map_err(|error| wrong(&error))
        }
        Some(any) if any.is("runtimeoptions.v1.Options") => {
            let options = RuntimeOptions::decode(any.value.as_slice()).map_err(|error| wrong(&error))?;
            read_options(&options)
        }
        Some(any) => Err(wrong(&format!("unknown type {}", any.type_url))),
    }
}

/// Reads the settings that containerd hands on for a runtime that is not runc's: its `ConfigBody`, or the file at its
/// `ConfigPath`.
fn read_options(options: &RuntimeOptions) -> Result<RuncOptions, Status> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default, rename_all = "camelCase", deny_unknown_fields)]
    struct Config {
        root: String,
        systemd_cgroup: bool,
        no_pivot_root: bool,
        no_new_keyring: bool,
    }
    let path = Path::new(&options.config_path);
    let wrong = |error: &dyn std::fmt::Display| {
        let name = if options.config_body.is_empty() {
            &options.config_path
        } else {
            "ConfigBody"
        };
        Status::new(Code::InvalidArgument, format!("options: {name}: {error}"))
    };
    let text = match (options.config_body.is_empty(), options.config_path.is_empty()) {
        (false, _) => options.config_body.clone(),
        (true, true) => return Ok(RuncOptions::default()),
        (true, false) => std::fs::read(path).map_err(|error| wrong(&error))?,
    };
    let config: Config = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
    Ok(RuncOptions {
        no_pivot_root: config.no_pivot_root,
        no_new_keyring: config.no_new_keyring,
        root: config.root,
        systemd_cgroup: config.systemd_cgroup,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cri(body: &str) -> Result<RuncOptions, Status> {
        let message = RuntimeOptions {
            config_path: String::new(),
            config_body: body.as_bytes().to_vec(),
        };
        options(Some(&Any::of("runtimeoptions.v1.Options", &message)))
    }

    #[test]
    fn options_come_as_runcs_message_or_as_json() {
        let runc = RuncOptions {
            root: "/r".to_owned(),
            systemd_cgroup: true,
            ..RuncOptions::default()
        };
        let any = Any::of("containerd.runc.v1.Options", &runc);
        assert_eq!(options(Some(&any)).unwrap(), runc);
        assert_eq!(cri(r#"{"root": "/r", "systemdCgroup": true}"#).unwrap(), runc);
        assert_eq!(options(None).unwrap(), RuncOptions::default());
    }

    #[test]
    fn options_that_nobody_knows_are_refused_by_name() {
        let error = cri(r#"{"rood": "/r"}"#).unwrap_err();
        assert!(error.message().contains("ConfigBody") && error.message().contains("rood"));
        let unknown = Any::of(
            "x.y.Options",
            &RuncOptions {
                no_pivot_root: true,
                ..Default::default()
            },
        );
        assert!(
            options(Some(&unknown))
                .unwrap_err()
                .message()
                .contains("x.y.Options")
        );
    }
}
