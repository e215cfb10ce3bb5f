//! `tenure run` of one bundle whose config.json carries lifecycle annotations.
//!
//! The same machine and loop as a pod's, with one container that never restarts; the bundle is used in place, the
//! container has this process's stdio, and nothing is recorded.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;

use nix::libc;
use tenure_lifecycle::{
    ContainerIndex, Event, Exit, ExitStatus, HookPoint, HookReport, PodMachine, ProbeKind, ProbeOutcome,
    Request, StartFailure,
};
use tenure_spec::annotations::ManagedLifecycle;
use tenure_supervise::pidfd::PidFd;
use tokio::sync::oneshot;

use crate::attached::plan;
use crate::clock::Clock;
use crate::effects::Effects;
use crate::engine::{Engine, Input};
use crate::error::{EngineError, line};
use crate::hooks::{self, HookContext};
use crate::host::{no_probe, refused, signal, wait};
use crate::oci::cli::CliRuntime;
use crate::oci::{CreateRequest, OciRuntime, RuntimeLocation, Stdio};
use crate::publish::Publisher;
use crate::sandbox::signal::number;
use crate::supervision::Supervision;

/// All that [`run_single`] needs.
#[derive(Debug)]
pub struct SingleLaunch {
    /// The container's id, the user's choice.
    pub id: String,
    /// The bundle, used in place; absolute.
    pub bundle: PathBuf,
    /// What the annotations ask for.
    pub lifecycle: ManagedLifecycle,
    /// Who creates the container: its `create` must not look at the lifecycle annotations.
    pub runtime: RuntimeLocation,
    /// `--pid-file`: gets init's pid.
    pub pid_file: Option<PathBuf>,
    /// `--keep`: the container is not deleted at its end.
    pub keep: bool,
}

/// Runs a bundle under its managed lifecycle, with this process's stdio, and returns the container's exit code.
///
/// SIGINT and SIGTERM are a managed stop (the second shortens, the third kills); other signals go to the container.
/// What handlers write and why they failed goes to the log (tracing). To be called once, from a process with a single
/// thread.
///
/// # Errors
/// When the container could not be created or started, or this process cannot supervise.
pub fn run_single(launch: SingleLaunch) -> Result<u8, EngineError> {
    let folder = Scratch::create()?;
    let supervision = Supervision::begin_with(&forwarded())?;
    let runtime = CliRuntime::new(launch.runtime, folder.0.clone());
    let stop_signal = launch.lifecycle.lifecycle.stop_signal.as_deref();
    let name = stop_signal.unwrap_or("SIGTERM");
    let stop_signal = number(name).ok_or_else(|| EngineError::Bundle {
        message: format!("{name} is not a signal"),
    })?;
    let plan = plan(&launch.id, &launch.lifecycle);
    let single = Rc::new(Single {
        runtime: Rc::new(runtime),
        id: launch.id.clone(),
        bundle: launch.bundle,
        lifecycle: launch.lifecycle,
        stop_signal,
        pid_file: launch.pid_file,
        keep: launch.keep,
        init: RefCell::new(None),
        failure: RefCell::new(None),
    });
    let clock = Clock::start();
    let publisher = Publisher::nowhere(clock, vec![launch.id]);
    let status = supervision.block_on(async |mut watch| {
        let engine = Engine::new(PodMachine::new(plan), Rc::clone(&single), clock, publisher);
        let inits = Rc::clone(&single);
        let translate = move |signo| match signo {
            libc::SIGINT | libc::SIGTERM => Input::Event(Event::Request(Request::Interrupt)),
            _ => {
                signal(inits.init().as_deref(), signo);
                Input::Event(Event::Tick)
            }
        };
        watch.with_signals(engine, Event::Begin, translate).await
    });
    match single.failure.borrow_mut().take() {
        Some(message) => Err(EngineError::Start {
            code: start_code(&message),
            message,
        }),
        None => Ok(status.exit_code),
    }
}

/// A folder for the runtime's pid files, removed with this value.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn create() -> Result<Self, EngineError> {
        let path = std::env::temp_dir().join(format!("tenure-run-{}", std::process::id()));
        let failed = |source| crate::store::file_error("create", &path, source);
        // Never one that somebody else has prepared.
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "left behind");
        }
    }
}

/// All signals that a program can be sent on purpose, but not those of job control, which concern this process.
fn forwarded() -> Vec<i32> {
    let kept_out = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGCHLD,
        libc::SIGPIPE,
        libc::SIGURG,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGABRT,
        libc::SIGSYS,
    ];
    (1..=31)
        .chain(libc::SIGRTMIN()..=libc::SIGRTMAX())
        .filter(|number| !kept_out.contains(number))
        .collect()
}

/// 127 not found, 126 not executable, 125 otherwise (`cli.md`, exit codes), from the words all runtimes use.
fn start_code(message: &str) -> u8 {
    let program = message.contains("exec: ") || message.contains("exec /") || message.contains("executable");
    if program
        && (message.contains("executable file not found") || message.contains("no such file or directory"))
    {
        127
    } else if program && message.contains("permission denied") {
        126
    } else {
        125
    }
}

/// The effects of one bundle.
#[derive(Debug)]
struct Single<R> {
    runtime: Rc<R>,
    id: String,
    bundle: PathBuf,
    lifecycle: ManagedLifecycle,
    stop_signal: i32,
    pid_file: Option<PathBuf>,
    keep: bool,
    init: RefCell<Option<Rc<PidFd>>>,
    /// Why it could not be created or started.
    failure: RefCell<Option<String>>,
}

impl<R: OciRuntime> Single<R> {
    fn init(&self) -> Option<Rc<PidFd>> {
        self.init.borrow().clone()
    }

    async fn try_create(&self) -> Result<(), StartFailure> {
        let own = |fd: io::Result<OwnedFd>| {
            fd.map_err(|error| StartFailure::Runtime {
                message: format!("cannot hand on our stdio: {error}"),
            })
        };
        let request = CreateRequest {
            id: self.id.clone(),
            bundle: self.bundle.clone(),
            stdio: Stdio::Descriptors {
                stdin: Some(own(io::stdin().as_fd().try_clone_to_owned())?),
                stdout: own(io::stdout().as_fd().try_clone_to_owned())?,
                stderr: own(io::stderr().as_fd().try_clone_to_owned())?,
            },
        };
        let created = self
            .runtime
            .create(request)
            .await
            .map_err(|error| refused(&error))?;
        *self.init.borrow_mut() = Some(Rc::new(created.pidfd));
        if let Some(path) = &self.pid_file {
            let written =
                tenure_supervise::atomic::write_atomic(path, created.pid.to_string().as_bytes(), 0o644);
            if let Err(error) = written {
                self.abandon().await;
                return Err(StartFailure::Runtime {
                    message: format!("cannot write {}: {error}", path.display()),
                });
            }
        }
        Ok(())
    }

    /// Removes a container that will not be started.
    async fn abandon(&self) {
        if let Some(init) = self.init() {
            signal(Some(&init), libc::SIGKILL);
            wait(&init).await;
        }
        if let Err(error) = self.runtime.delete(&self.id).await {
            tracing::error!(error = line(&error), "left behind");
        }
    }

    fn remember(&self, failure: &StartFailure) {
        let (StartFailure::Config { message } | StartFailure::Runtime { message }) = failure;
        *self.failure.borrow_mut() = Some(message.clone());
    }
}

impl<R: OciRuntime + 'static> Effects for Single<R> {
    async fn create_sandbox(&self) -> Result<(), String> {
        Ok(())
    }

    async fn remove_sandbox(&self) -> Vec<String> {
        Vec::new()
    }

    async fn create(&self, _: ContainerIndex, _: u32) -> Result<(), StartFailure> {
        let created = self.try_create().await;
        if let Err(failure) = &created {
            self.remember(failure);
        }
        created
    }

    async fn start(&self, _: ContainerIndex) -> Result<(), StartFailure> {
        let started = self.runtime.start(&self.id).await;
        started.map_err(|error| {
            let failure = refused(&error);
            self.remember(&failure);
            failure
        })
    }

    async fn ended(&self, _: ContainerIndex) -> Exit {
        match self.init() {
            Some(init) => Exit::plain(wait(&init).await),
            None => Exit::plain(ExitStatus::Unknown),
        }
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
            network: self
                .init()
                .map(|init| PathBuf::from(format!("/proc/{}/ns/net", init.pid()))),
        };
        hooks::run_at(point, &self.lifecycle.lifecycle, context, cancel).await
    }

    async fn run_probe(&self, _: ContainerIndex, _: ProbeKind, _: oneshot::Receiver<()>) -> ProbeOutcome {
        no_probe()
    }

    fn signal_stop(&self, _: ContainerIndex) {
        signal(self.init().as_deref(), self.stop_signal);
    }

    async fn kill(&self, _: ContainerIndex) {
        signal(self.init().as_deref(), libc::SIGKILL);
        // Whoever shares the PID namespace with others does not end with init.
        if let Err(error) = self.runtime.kill(&self.id, "SIGKILL", true).await {
            tracing::debug!(error = line(&error), "nothing more to kill");
        }
    }

    async fn delete(&self, _: ContainerIndex) -> Result<(), String> {
        if self.keep {
            return Ok(());
        }
        let deleted = self.runtime.delete(&self.id).await;
        deleted.map_err(|error| line(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtimes_words_tell_not_found_from_not_executable() {
        assert_eq!(
            start_code("exec: \"nope\": executable file not found in $PATH"),
            127
        );
        assert_eq!(
            start_code("exec: \"/nope\": stat /nope: no such file or directory"),
            127
        );
        assert_eq!(start_code("exec: \"/etc/passwd\": permission denied"), 126);
        assert_eq!(start_code("rootfs: no such file or directory"), 125);
    }

    #[test]
    fn kill_stop_and_job_control_are_not_forwarded() {
        let signals = forwarded();
        assert!(signals.contains(&libc::SIGUSR1) && signals.contains(&libc::SIGRTMIN()));
        for kept_out in [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, libc::SIGTSTP] {
            assert!(!signals.contains(&kept_out));
        }
    }
}
