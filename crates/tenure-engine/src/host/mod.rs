//! The effects of a pod on this machine.
//!
//! ```text
//! create  layer ▶ config.json ▶ log, pipes ▶ record ▶ OCI create ▶ record       (meanwhile: the next one's layer)
//! start   record ▶ OCI start
//! ended   pidfd ▶ drain pipes ▶ OOM count, termination message
//! delete  record ▶ kill what init left ▶ drain pipes ▶ OCI delete ▶ layer ▶ record
//! ```
//!
//! Signals go by init's pidfd, which is ours since the OCI create: no process is run to send one, and no other process
//! can be hit.

mod failure;
mod probe;
mod record;
mod slot;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tenure_lifecycle::{
    ContainerIndex, Exit, ExitStatus, HookPoint, HookReport, ProbeKind, ProbeOutcome, StartFailure,
};
use tenure_spec::reference::Known;
use tenure_spec::{ContainerSpec, Image, PodSpec};
use tenure_supervise::ProcessExit;
use tenure_supervise::cgroup::{self, Cgroup};
use tenure_supervise::pidfd::PidFd;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::effects::Effects;
use crate::error::{EngineError, line};
use crate::hooks;
use crate::launch::Scope;
use crate::oci::{CreateRequest, CreatedContainer, OciRuntime};
use crate::offload::offload;
use crate::output::{self, Output};
use crate::sandbox::{Sandbox, bundle, files};
use crate::store::{ContainerRecord, ContainerStage, PodDir, ProcessId, SandboxStage};
use crate::tee::TeeOut;

pub(crate) use failure::{refused, unknown};
pub(crate) use probe::no_probe;
pub(crate) use record::RecordFile;
pub(crate) use slot::Slot;

/// How long a removal gives way to starts.
const GIVE_WAY: Duration = Duration::from_millis(100);

/// A pod on this machine.
#[derive(Debug)]
pub(crate) struct Host<R> {
    runtime: Rc<R>,
    dir: PodDir,
    spec: Rc<PodSpec>,
    sandbox: Sandbox,
    record: RefCell<RecordFile>,
    slots: Vec<RefCell<Slot>>,
    tee: Option<TeeOut>,
    /// What the manifest's references are resolved against.
    known: Rc<Known>,
    /// Told when a container has been started, or will not be.
    settled: Notify,
}

impl<R: OciRuntime> Host<R> {
    /// A pod of which nothing exists, or with `slots` (by index) what was found of it.
    pub(crate) fn new(
        runtime: Rc<R>,
        dir: PodDir,
        spec: PodSpec,
        record: RecordFile,
        slots: Vec<Slot>,
    ) -> Self {
        let spec = Rc::new(spec);
        let mut slots: Vec<_> = slots.into_iter().map(RefCell::new).collect();
        slots.resize_with(spec.all_containers().count(), RefCell::default);
        Self {
            runtime,
            sandbox: Sandbox::new(dir.clone(), Rc::clone(&spec)),
            dir,
            spec,
            record: RefCell::new(record),
            slots,
            tee: None,
            known: Rc::default(),
            settled: Notify::new(),
        }
    }

    /// Shows the containers' output in the foreground, too.
    pub(crate) fn with_tee(mut self, tee: Option<TeeOut>) -> Self {
        self.tee = tee;
        self
    }

    /// Resolves the manifest's references against this. Without it nothing may be started.
    pub(crate) fn with_known(mut self, known: Known) -> Self {
        self.known = Rc::new(known);
        self
    }

    /// Has the sandbox's cgroup made in this scope.
    pub(crate) fn with_scope(mut self, scope: Option<Scope>) -> Self {
        self.sandbox.set_scope(scope);
        self
    }

    /// Takes hold of the init of a shared PID namespace that was made before us.
    pub(crate) fn adopt_pod_init(&self, init: Option<PidFd>) {
        self.sandbox.adopt_pod_init(init);
    }

    /// What the machine speaks of. It knows only the containers of its plan, which is made from the same spec.
    fn container(&self, container: ContainerIndex) -> Option<(&ContainerSpec, &RefCell<Slot>)> {
        let spec = self.spec.all_containers().nth(container.0)?;
        Some((spec, self.slots.get(container.0)?))
    }

    fn cgroup(&self, name: &str) -> std::io::Result<Cgroup> {
        Ok(Cgroup::open(self.dir.cgroup().as_ref())?.child(name))
    }

    async fn try_create(
        &self,
        index: ContainerIndex,
        restart_count: u32,
        spec: &ContainerSpec,
        slot: &RefCell<Slot>,
    ) -> Result<(), StartFailure> {
        let prepared = slot.borrow_mut().prepared.take();
        let layer = match prepared {
            Some(layer) => layer,
            None => bundle::prepare(&self.dir, spec).map_err(bundle::runtime_failure)?,
        };
        let bundle = bundle::complete(&self.dir, &self.spec, spec, &self.known, layer)?;
        let (output, stdio) = Output::open(&self.dir, spec, restart_count, self.tee.as_ref())
            .map_err(bundle::runtime_failure)?;
        let id = self.dir.container_id(&spec.name, restart_count);
        {
            let mut slot = slot.borrow_mut();
            slot.restart_count = restart_count;
            slot.id.clone_from(&id);
            slot.stop_signal = bundle.stop_signal;
            slot.own_pid_namespace = bundle.own_pid_namespace;
            slot.output = Some(output);
        }
        let announced = self.record.borrow_mut().update(|record| {
            record.containers.insert(
                index.0,
                ContainerRecord {
                    id: id.clone(),
                    restart_count,
                    stage: ContainerStage::Creating,
                    init: None,
                    own_pid_namespace: bundle.own_pid_namespace,
                },
            );
        });
        announced.map_err(bundle::runtime_failure)?;
        let request = CreateRequest {
            id,
            bundle: bundle.path,
            stdio,
        };
        // While the runtime works, the next container's layer is made.
        let (created, ()) = tokio::join!(self.runtime.create(request), async {
            self.prepare(ContainerIndex(index.0 + 1));
        });
        let created = created.map_err(|error| refused(&error))?;
        self.created(index, slot, created)
    }

    fn created(
        &self,
        index: ContainerIndex,
        slot: &RefCell<Slot>,
        created: CreatedContainer,
    ) -> Result<(), StartFailure> {
        let init = ProcessId {
            pid: created.pid,
            start_time: created.start_time,
        };
        self.record.borrow_mut().note(|record| {
            if let Some(container) = record.containers.get_mut(&index.0) {
                container.init = Some(init);
            }
        });
        let mut slot = slot.borrow_mut();
        slot.init = Some(Rc::new(created.pidfd));
        match (slot.output.as_mut(), created.terminal) {
            (Some(output), Some(master)) => output.attach(master).map_err(|error| StartFailure::Runtime {
                message: format!("cannot read the container's terminal: {error}"),
            }),
            _ => Ok(()),
        }
    }

    /// Makes the layer of a container ahead of its first create. A failure shows when its turn comes.
    fn prepare(&self, index: ContainerIndex) {
        let Some((spec, slot)) = self.container(index) else {
            return;
        };
        let mut slot = slot.borrow_mut();
        if !slot.id.is_empty() || slot.prepared.is_some() || !matches!(spec.image, Image::Layered(_)) {
            return;
        }
        match bundle::prepare(&self.dir, spec) {
            Ok(layer) => slot.prepared = Some(layer),
            Err(error) => {
                tracing::debug!(error = line(&error), "a layer is not made ahead");
                if let Err(error) = bundle::discard(&self.dir, &spec.name) {
                    tracing::error!(error = line(&error), "half a layer is left");
                }
            }
        }
    }

    /// Removes layers that were made ahead of a sandbox that could not be.
    fn forget_layers(&self) {
        for (spec, slot) in self.spec.all_containers().zip(&self.slots) {
            if slot.borrow_mut().prepared.take().is_some()
                && let Err(error) = bundle::discard(&self.dir, &spec.name)
            {
                tracing::error!(error = line(&error), "a layer is left");
            }
        }
    }

    /// Lets containers that are being started go first: what is dead can wait, what is to run should not. Not for
    /// long, as a start may hang.
    async fn give_way(&self) {
        let quiet = async {
            while self.slots.iter().any(|slot| slot.borrow().starting) {
                self.settled.notified().await;
            }
        };
        // Whichever comes first is as good.
        let _ = timeout(GIVE_WAY, quiet).await;
    }

    fn settle(&self, slot: &RefCell<Slot>) {
        slot.borrow_mut().starting = false;
        self.settled.notify_waiters();
    }

    /// Removes all that one start has; the container is dead, or is killed by it.
    async fn clear(&self, index: ContainerIndex, name: &str, slot: &RefCell<Slot>) -> Result<(), String> {
        let (id, own_pid_namespace, output) = {
            let mut slot = slot.borrow_mut();
            (slot.id.clone(), slot.own_pid_namespace, slot.output.take())
        };
        let mut left = Vec::new();
        if !own_pid_namespace && let Err(error) = self.kill_cgroup(name).await {
            left.push(line(&error));
        }
        if let Some(mut output) = output {
            output.end();
            output.drained().await;
        }
        if let Err(error) = self.runtime.delete(&id).await {
            left.push(line(&error));
        }
        let (dir, name) = (self.dir.clone(), name.to_owned());
        match offload(move || bundle::discard(&dir, &name)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => left.push(line(&error)),
            Err(error) => left.push(line(&error)),
        }
        slot.borrow_mut().init = None;
        if !left.is_empty() {
            return Err(left.join("; "));
        }
        self.record.borrow_mut().note(|record| {
            record.containers.remove(&index.0);
        });
        Ok(())
    }

    async fn kill_cgroup(&self, name: &str) -> Result<(), EngineError> {
        let killed = match self.cgroup(name) {
            Ok(cgroup) if cgroup.exists() => cgroup.kill().await,
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        killed.map_err(|source| EngineError::Process {
            operation: "kill the processes of a container",
            source,
        })
    }

    fn termination_message(&self, spec: &ContainerSpec, restart_count: u32, failed: bool) -> String {
        let message = files::read_termination_log(&files::termination_log(&self.dir, &spec.name));
        if message.is_empty() && failed && spec.termination_message_falls_back_to_logs {
            output::tail(&self.dir.log(&spec.name, restart_count))
        } else {
            message
        }
    }
}

impl<R: OciRuntime + 'static> Effects for Host<R> {
    async fn create_sandbox(&self) -> Result<(), String> {
        // While the kernel works, the first container's layer is made.
        let (made, ()) = tokio::join!(self.sandbox.create(&self.known), async {
            self.prepare(ContainerIndex(0));
        });
        if made.is_err() {
            self.forget_layers();
        }
        let recorded = self.record.borrow_mut().update(|record| match &made {
            Ok(pod_init) => record.pod_init = *pod_init,
            Err(_) => record.sandbox = SandboxStage::Absent,
        });
        if let (Ok(_), Err(error)) = (&made, &recorded) {
            // Without a record of it, it must not be.
            for left in self.sandbox.remove().await {
                tracing::error!(left, "left behind by a sandbox that could not be recorded");
            }
            return Err(line(error));
        }
        made.map(drop).map_err(|error| line(&error))
    }

    async fn remove_sandbox(&self) -> Vec<String> {
        let mut left = self.sandbox.remove().await;
        // Written in any case: containers that are gone may still be in the file.
        let is_gone = left.is_empty();
        let written = self.record.borrow_mut().update(|record| {
            if is_gone {
                record.sandbox = SandboxStage::Absent;
                record.pod_init = None;
            }
        });
        left.extend(written.err().map(|error| line(&error)));
        left
    }

    async fn create(&self, index: ContainerIndex, restart_count: u32) -> Result<(), StartFailure> {
        let (spec, slot) = self.container(index).ok_or_else(unknown)?;
        slot.borrow_mut().starting = true;
        let created = self.try_create(index, restart_count, spec, slot).await;
        if created.is_err() {
            self.settle(slot);
            if let Err(left) = self.clear(index, &spec.name, slot).await {
                tracing::error!(left, "left behind by a container that could not be made");
            }
        }
        created
    }

    async fn start(&self, index: ContainerIndex) -> Result<(), StartFailure> {
        let (_, slot) = self.container(index).ok_or_else(unknown)?;
        let announced = self.record.borrow_mut().update(|record| {
            if let Some(container) = record.containers.get_mut(&index.0) {
                container.stage = ContainerStage::Started;
            }
        });
        announced.map_err(bundle::runtime_failure)?;
        let id = slot.borrow().id.clone();
        self.runtime.start(&id).await.map_err(|error| refused(&error))
    }

    async fn ended(&self, index: ContainerIndex) -> Exit {
        let Some((spec, slot)) = self.container(index) else {
            return Exit::plain(ExitStatus::Unknown);
        };
        let (init, restart_count) = {
            let slot = slot.borrow();
            (slot.init.clone(), slot.restart_count)
        };
        let Some(init) = init else {
            return Exit::plain(ExitStatus::Unknown);
        };
        let status = wait(&init).await;
        let failed = !status.is_success();
        let output = {
            let mut slot = slot.borrow_mut();
            if let Some(output) = &slot.output {
                output.end();
            }
            // The message may be in the last lines: they are waited for, and by nobody else.
            if failed && spec.termination_message_falls_back_to_logs {
                slot.output.take()
            } else {
                None
            }
        };
        if let Some(mut output) = output {
            output.drained().await;
            slot.borrow_mut().output = Some(output);
        }
        let cgroup = format!("/{}/{}", self.dir.cgroup(), spec.name);
        let oom_killed = match cgroup::oom_kills(&cgroup) {
            Ok(kills) => kills.is_some_and(|kills| kills > 0),
            Err(error) => {
                tracing::warn!(%error, "out-of-memory kills are not counted");
                false
            }
        };
        Exit {
            status,
            oom_killed,
            message: self.termination_message(spec, restart_count, failed),
        }
    }

    async fn run_hook(
        &self,
        index: ContainerIndex,
        point: HookPoint,
        cancel: oneshot::Receiver<()>,
    ) -> HookReport {
        let Some((spec, slot)) = self.container(index) else {
            return hooks::no_handler();
        };
        let context = self.hook_context(slot);
        let report = hooks::run_at(point, &spec.lifecycle, context, cancel).await;
        if let Some(output) = slot.borrow().output.as_ref()
            && !report.output.is_empty()
        {
            output.hook(point, &report.output);
        }
        report
    }

    async fn run_probe(
        &self,
        index: ContainerIndex,
        kind: ProbeKind,
        cancel: oneshot::Receiver<()>,
    ) -> ProbeOutcome {
        self.probe(index, kind, cancel).await
    }

    fn signal_stop(&self, index: ContainerIndex) {
        if let Some((_, slot)) = self.container(index) {
            let slot = slot.borrow();
            signal(slot.init.as_deref(), slot.stop_signal);
        }
    }

    async fn kill(&self, index: ContainerIndex) {
        let Some((spec, slot)) = self.container(index) else {
            return;
        };
        let own_pid_namespace = {
            let slot = slot.borrow();
            signal(slot.init.as_deref(), nix::libc::SIGKILL);
            slot.own_pid_namespace
        };
        if !own_pid_namespace && let Err(error) = self.kill_cgroup(&spec.name).await {
            tracing::error!(error = line(&error), container = spec.name);
        }
    }

    async fn delete(&self, index: ContainerIndex) -> Result<(), String> {
        let Some((spec, slot)) = self.container(index) else {
            return Ok(());
        };
        self.settle(slot);
        self.give_way().await;
        self.clear(index, &spec.name, slot).await
    }
}

/// How init ended, in the machine's words.
pub(crate) async fn wait(init: &PidFd) -> ExitStatus {
    match init.wait().await {
        Ok(ProcessExit::Code(code)) => ExitStatus::Code(code),
        Ok(ProcessExit::Signal(signal)) => ExitStatus::Signal(signal),
        Ok(ProcessExit::Unknown) => ExitStatus::Unknown,
        Err(error) => {
            tracing::error!(%error, "a container's end is not seen");
            ExitStatus::Unknown
        }
    }
}

/// Sends a signal to init. That it has ended by now is its own affair: the end is told anyway.
pub(crate) fn signal(init: Option<&PidFd>, number: i32) {
    if let Some(init) = init
        && let Err(error) = init.signal(number)
        && error.raw_os_error() != Some(nix::libc::ESRCH)
    {
        tracing::error!(%error, number, "a signal is not sent");
    }
}
