//! A worker's process: one operation of the runtime's, in a process that ends with it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use tenure_runtime::oci_spec::runtime::{Mount as OciMount, MountBuilder};
use tenure_runtime::{
    ContainerId, CreateRequest, Error, ExecRequest, ProcessOverrides, Runtime, RuntimeOptions, Signal,
};

use super::order::{Answer, Command, Creation, Operation, Order, Program, Refusal};
use crate::log::Log;
use crate::metrics;
use crate::proto::types::Mount;
use crate::ttrpc::Code;

/// The root file system's folder in a bundle.
const ROOTFS: &str = "rootfs";

/// Reads an order from a socket, performs it, and answers. `kept` is the log, the socket, and the operation's own.
pub(super) fn work(kept: Vec<OwnedFd>) -> u8 {
    let mut kept = kept.into_iter();
    let (Some(log), Some(socket)) = (kept.next(), kept.next()) else {
        return 1;
    };
    let _log = Log::adopt(log);
    let mut socket = File::from(socket);
    let answered = (|| {
        let mut order = Vec::new();
        socket.read_to_end(&mut order)?;
        let order: Order = serde_json::from_slice(&order)?;
        let answer = perform(order, kept.collect());
        socket.write_all(&serde_json::to_vec(&answer)?)
    })();
    match answered {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!(%error, "an operation was not understood, or its answer not taken");
            1
        }
    }
}

fn perform(order: Order, descriptors: Vec<OwnedFd>) -> Result<Answer, Refusal> {
    let id: ContainerId = order.id.parse().map_err(refusal)?;
    let runtime = |systemd_cgroup| {
        let options = RuntimeOptions {
            systemd_cgroup,
            ..RuntimeOptions::default()
        };
        Runtime::new(&order.root, options)
    };
    let any = runtime(false);
    match order.operation {
        Operation::Create(creation) => create(&runtime(creation.systemd_cgroup), &id, creation, descriptors),
        Operation::Start => done(any.start(&id)),
        Operation::Exec(program) => exec(&any, &id, program, descriptors),
        Operation::Kill { signal, all } => {
            let signal = Signal::from_raw(signal).ok_or_else(|| Refusal {
                code: Code::InvalidArgument,
                message: format!("{signal} is no signal"),
            })?;
            done(any.kill(&id, signal, all))
        }
        Operation::Delete { bundle } => done(clean_up(&any, &id, &bundle)),
        Operation::Pause => done(any.pause(&id)),
        Operation::Resume => done(any.resume(&id)),
        Operation::Update { resources } => {
            let resources = tenure_runtime::parse_resources(resources.as_bytes()).map_err(refusal)?;
            done(any.update(&id, &resources))
        }
        Operation::Stats => {
            let metrics = metrics::encode(&any.stats(&id).map_err(refusal)?);
            Ok(Answer::Metrics {
                type_url: metrics.type_url,
                value: metrics.value,
            })
        }
        Operation::Pids => any.processes(&id).map(Answer::Pids).map_err(refusal),
    }
}

/// Removes a container whatever its state, and unmounts its root.
///
/// # Errors
/// The first of what cannot be removed; the rest is removed all the same.
pub(crate) fn clean_up(runtime: &Runtime, id: &ContainerId, bundle: &Path) -> Result<(), Error> {
    let deleted = runtime.delete(id, true);
    let unmounted = tenure_runtime::unmount_root(&bundle.join(ROOTFS));
    deleted.and(unmounted)
}

fn create(
    runtime: &Runtime,
    id: &ContainerId,
    creation: Creation,
    descriptors: Vec<OwnedFd>,
) -> Result<Answer, Refusal> {
    let mounts: Result<Vec<OciMount>, Refusal> = creation.rootfs.into_iter().map(oci_mount).collect();
    let console_fd = attach(creation.terminal, descriptors)?;
    let target = creation.bundle.join(ROOTFS);
    tenure_runtime::mount_root(&mounts?, &target).map_err(refusal)?;
    let request = CreateRequest {
        // Where runc's shim leaves it, for whoever looks there.
        pid_file: Some(creation.bundle.join("init.pid")),
        bundle: creation.bundle,
        console_fd,
        no_pivot: creation.no_pivot,
        no_new_keyring: creation.no_new_keyring,
        detach: true,
        ..CreateRequest::default()
    };
    match runtime.create(id, &request) {
        Ok(created) => Ok(Answer::Process(created.pid)),
        Err(error) => {
            if let Err(error) = tenure_runtime::unmount_root(&target) {
                tracing::error!(%id, %error, "left behind");
            }
            Err(refusal(error))
        }
    }
}

fn oci_mount(mount: Mount) -> Result<OciMount, Refusal> {
    MountBuilder::default()
        .typ(mount.r#type)
        .source(mount.source)
        .destination(mount.target)
        .options(mount.options)
        .build()
        .map_err(|error| Refusal {
            code: Code::InvalidArgument,
            message: format!("rootfs: {error}"),
        })
}

fn exec(
    runtime: &Runtime,
    id: &ContainerId,
    program: Program,
    descriptors: Vec<OwnedFd>,
) -> Result<Answer, Refusal> {
    let mut process = match program.command {
        Command::Process(text) => tenure_runtime::parse_process(text.as_bytes()),
        Command::Arguments(args) => runtime.config(id).and_then(|config| {
            let overrides = ProcessOverrides {
                args,
                ..ProcessOverrides::default()
            };
            tenure_runtime::exec_process(&config, &overrides)
        }),
    }
    .map_err(refusal)?;
    process.set_terminal(Some(program.terminal));
    let mut request = ExecRequest::new(process);
    request.console_fd = attach(program.terminal, descriptors)?;
    request.detach = true;
    let executed = runtime.exec(id, &request).map_err(refusal)?;
    Ok(Answer::Process(executed.pid))
}

/// Makes the operation's descriptors this process's standard streams, which its child inherits; gives the console
/// socket of a terminal.
fn attach(terminal: bool, descriptors: Vec<OwnedFd>) -> Result<Option<OwnedFd>, Refusal> {
    let failed = |message: String| Refusal {
        code: Code::Internal,
        message,
    };
    if terminal {
        let socket = descriptors.into_iter().next();
        return socket
            .map(Some)
            .ok_or_else(|| failed("no console socket".to_owned()));
    }
    let [stdin, stdout, stderr] =
        <[OwnedFd; 3]>::try_from(descriptors).map_err(|_| failed("no standard streams".to_owned()))?;
    redirect(&stdin, &stdout, &stderr).map_err(|error| failed(format!("standard streams: {error}")))?;
    Ok(None)
}

fn redirect(stdin: &OwnedFd, stdout: &OwnedFd, stderr: &OwnedFd) -> io::Result<()> {
    rustix::stdio::dup2_stdin(stdin.as_fd())?;
    rustix::stdio::dup2_stdout(stdout.as_fd())?;
    Ok(rustix::stdio::dup2_stderr(stderr.as_fd())?)
}

fn done(result: Result<(), Error>) -> Result<Answer, Refusal> {
    result.map(|()| Answer::Done).map_err(refusal)
}

/// A runtime's error in one line, with what is behind it.
#[allow(clippy::needless_pass_by_value)] // For `map_err`.
fn refusal(error: Error) -> Refusal {
    let code = match &error {
        Error::NotFound { .. } => Code::NotFound,
        Error::AlreadyExists { .. } => Code::AlreadyExists,
        Error::NotRunning { .. }
        | Error::NotPaused { .. }
        | Error::CannotStart { .. }
        | Error::CannotExec { .. }
        | Error::CannotDelete { .. } => Code::FailedPrecondition,
        Error::InvalidId { .. }
        | Error::InvalidSignal { .. }
        | Error::InvalidConfig { .. }
        | Error::InvalidProcess { .. }
        | Error::InvalidResources { .. }
        | Error::Console { .. } => Code::InvalidArgument,
        Error::Unsupported { .. } => Code::Unimplemented,
        _ => Code::Unknown,
    };
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    let message = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    Refusal { code, message }
}
