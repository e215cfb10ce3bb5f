//! `tenure pod exec`.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use rustix::fs::MemfdFlags;
use serde::Deserialize;
use tenure_engine::{Observed, observe};
use tenure_lifecycle::{ContainerState, ContainerStatus};
use tenure_runtime::{ExecRequest, ProcessOverrides, Runtime, RuntimeOptions};
use tenure_supervise::process::Spawn;

use super::kubernetes;
use crate::context::Context;
use crate::exit::{Class, Code, CommandError, Kind};
use crate::oci;
use crate::oci::foreground::{self, Signals};

/// Runs a command in a running container of a pod
///
/// The exit code is the command's own; 127 when there is no such program, 126 when it cannot be executed, 125 when
/// Tenure failed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tenure pod exec web -- ls -l /\n  tenure pod exec web -c app -it -- sh")]
pub(crate) struct ExecArgs {
    /// The pod
    #[arg(value_name = "NAME")]
    name: String,
    /// The container [default: the first app container]
    #[arg(short, long)]
    container: Option<String>,
    /// Pass stdin on
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Run on a terminal
    #[arg(short = 't', long)]
    tty: bool,
    /// The program and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    command: Vec<String>,
}

/// Who made a pod's containers, as its record tells.
#[derive(Debug, Deserialize)]
struct MadeBy {
    runtime: PathBuf,
    runtime_root: PathBuf,
}

/// Runs a command in a running container of a pod and passes its exit code on.
///
/// # Errors
/// When there is no such pod or container, it does not run, or the command cannot be started (125, 126, 127).
pub(crate) fn execute(context: &Context, args: &ExecArgs) -> Result<Code, CommandError> {
    let root = context.root()?;
    let observed = observe(&root, &args.name)?;
    let id = running_id(&observed, args)?;
    let path = observed.dir.launched();
    let record = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let made_by: MadeBy = serde_json::from_slice(&record)
        .with_context(|| format!("{} cannot be understood", path.display()))?;
    if !args.stdin {
        let null = File::open("/dev/null").context("cannot open /dev/null")?;
        rustix::stdio::dup2_stdin(&null).context("cannot close stdin")?;
    }
    if !context.is_own_binary(&made_by.runtime) {
        return by_foreign_runtime(&made_by, &id, args);
    }
    tenure_runtime::protect_own_binary()?;
    let id = id.parse()?;
    let runtime = Runtime::new(&made_by.runtime_root, RuntimeOptions::default());
    let overrides = ProcessOverrides {
        args: args.command.clone(),
        terminal: args.tty,
        ..ProcessOverrides::default()
    };
    let mut process = oci::exec::own_process(&runtime, &id, &overrides)?;
    process.set_terminal(Some(args.tty));
    oci::exec::run(&runtime, &id, ExecRequest::new(process))
}

/// The id of the container that is meant.
fn running_id(observed: &Observed, args: &ExecArgs) -> Result<String, CommandError> {
    let containers = observed
        .published
        .as_ref()
        .map_or(&[][..], |published| published.status.containers.as_slice());
    let container = match &args.container {
        Some(name) => containers
            .iter()
            .find(|container| container.name == *name)
            .ok_or_else(|| super::no_container(&args.name, name, containers))?,
        None => containers
            .get(kubernetes::init_count(observed))
            .ok_or_else(|| anyhow!("pod {} has no containers yet", args.name))?,
    };
    if is_running(container) {
        return Ok(observed
            .dir
            .container_id(&container.name, container.restart_count));
    }
    Err(CommandError::message(format!(
        "container {} of pod {} is not running",
        container.name, args.name
    )))
}

/// True while the main process runs. During postStart the published state is still `Waiting`.
fn is_running(container: &ContainerStatus) -> bool {
    match &container.state {
        ContainerState::Running { .. } => true,
        ContainerState::Waiting { .. } => container.ever_created && container.activity == "postStart",
        ContainerState::Terminated(_) => false,
    }
}

/// Has the runtime that made the container do it, with our stdio. Such a runtime tells on stderr what went wrong; its
/// log tells the same to us, for the exit code.
fn by_foreign_runtime(made_by: &MadeBy, id: &str, args: &ExecArgs) -> Result<Code, CommandError> {
    let program = &made_by.runtime;
    let running = || format!("cannot run {}", program.display());
    let mut log = File::from(
        rustix::fs::memfd_create("log", MemfdFlags::CLOEXEC).context("cannot make a file in memory")?,
    );
    let log_path = format!("/proc/{}/fd/{}", std::process::id(), log.as_raw_fd());
    let stdio = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().context("cannot copy a descriptor");
    let mut signals = Signals::take().context("cannot take signals")?;
    let child = Spawn::new(program)
        .args(["--log", &log_path, "--log-format", "json", "--root"])
        .arg(&made_by.runtime_root)
        .arg("exec")
        .args(args.tty.then_some("--tty"))
        .arg(id)
        .args(&args.command)
        .stdin(stdio(io::stdin().as_fd())?)
        .stdout(stdio(io::stdout().as_fd())?)
        .stderr(stdio(io::stderr().as_fd())?)
        .spawn()
        .with_context(running)?;
    let status = foreground::wait(child.pidfd.as_fd(), &mut signals, None).with_context(running)?;
    let mut told = String::new();
    let read = log.rewind().and_then(|()| log.read_to_string(&mut told));
    Ok(match read {
        Ok(_) if !status.is_success() => {
            error_kind(&told).map_or(Code::of(status), |kind| kind.code(Class::Run))
        }
        _ => Code::of(status),
    })
}

/// What a runtime's log says went wrong; `None` when it tells of no error: the program ran.
fn error_kind(log: &str) -> Option<Kind> {
    let is_error =
        |line: &&str| line.contains("\"level\":\"error\"") || line.contains("\"level\": \"error\"");
    let line = log.lines().rfind(is_error)?.to_lowercase();
    let says = |words: &str| line.contains(words);
    Some(
        if says("no such file or directory") || says("executable file not found") {
            Kind::ProgramNotFound
        } else if says("permission denied") || says("exec format error") || says("is a directory") {
            Kind::ProgramNotExecutable
        } else {
            Kind::Failed
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_runtimes_log_tells_the_kind_of_failure() {
        let line =
            |text: &str| format!("{{\"level\":\"error\",\"msg\":\"exec failed: {text}\",\"time\":\"t\"}}\n");
        let table = [
            ("stat /x: no such file or directory", Kind::ProgramNotFound),
            ("executable file not found in $PATH", Kind::ProgramNotFound),
            ("exec: permission denied", Kind::ProgramNotExecutable),
            ("cannot exec in a stopped container", Kind::Failed),
        ];
        for (text, kind) in table {
            assert_eq!(error_kind(&line(text)), Some(kind), "{text}");
        }
        assert_eq!(error_kind(""), None);
        assert_eq!(error_kind("{\"level\":\"warning\",\"msg\":\"x\"}\n"), None);
    }
}
