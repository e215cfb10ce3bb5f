//! `tenure exec`.

use std::os::fd::AsFd;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tenure_lifecycle::ExitStatus;
use tenure_runtime::oci_spec::runtime::{BoxBuilder, Process};
use tenure_runtime::{ContainerId, ExecRequest, ProcessOverrides, Runtime, SubCgroup};

use super::foreground::{self, Signals};
use super::run::join_terminal;
use crate::context::{Context, absolute};
use crate::exit::{Code, CommandError};
use crate::terminal;

/// Runs a further program in a container
///
/// Its user, environment, directory and capabilities are those of the container's own program unless told otherwise.
/// In the foreground its exit code is passed on: 127 when there is no such program, 126 when it cannot be executed,
/// 255 when it could not be started for another reason.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure exec hello ls -l /\n  tenure exec -t hello sh\n  \
                        tenure exec --process process.json --detach --pid-file pid hello\n\n\
                        Everything behind ID belongs to the command."
)]
pub(crate) struct ExecArgs {
    /// Unix socket that receives the terminal's master end
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// Working directory in the container
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Set an environment variable; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Run on a terminal
    #[arg(short, long)]
    tty: bool,
    /// Run as this user
    #[arg(short, long, value_name = "UID[:GID]", value_parser = user)]
    user: Option<User>,
    /// A further group; may be repeated
    #[arg(short = 'g', long, value_name = "GID")]
    additional_gids: Vec<u32>,
    /// A file with the whole process in place of COMMAND
    #[arg(short, long, value_name = "FILE")]
    process: Option<PathBuf>,
    /// Return once the program runs
    #[arg(short, long)]
    detach: bool,
    /// Write the program's pid to this file
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Unix socket that receives the program's pidfd
    #[arg(long, value_name = "SOCKET")]
    pidfd_socket: Option<PathBuf>,
    /// Run in this cgroup below the container's; may be repeated for controllers of v1
    #[arg(long, value_name = "[CONTROLLER:]PATH")]
    cgroup: Vec<SubCgroup>,
    /// SELinux label of the process
    #[arg(long, value_name = "LABEL")]
    process_label: Option<String>,
    /// AppArmor profile of the process
    #[arg(long, value_name = "PROFILE")]
    apparmor: Option<String>,
    /// The program may gain no privileges
    #[arg(long)]
    no_new_privs: bool,
    /// Start the program in a paused container, too: it runs once the container is resumed
    #[arg(long)]
    ignore_paused: bool,
    /// Add a capability; may be repeated
    #[arg(short, long, value_name = "CAPABILITY")]
    cap: Vec<String>,
    /// Pass N further descriptors, from 3 on
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    preserve_fds: u32,
    /// The container
    #[arg(value_name = "ID")]
    id: String,
    /// The program and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// `--user`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: Option<u32>,
}

/// Reads `UID` or `UID:GID`.
fn user(text: &str) -> Result<User, String> {
    let number = |part: &str| part.parse().map_err(|_| format!("{part:?} is not a number"));
    match text.split_once(':') {
        Some((uid, gid)) => Ok(User {
            uid: number(uid)?,
            gid: Some(number(gid)?),
        }),
        None => Ok(User {
            uid: number(text)?,
            gid: None,
        }),
    }
}

/// Runs a further program in a container; in the foreground, waits for its end.
///
/// # Errors
/// When it cannot be started: 127 when there is no such program, 126 when it cannot be executed, else 255.
pub(crate) fn execute(context: &Context, args: &ExecArgs) -> Result<Code, CommandError> {
    let id = super::container_id(&args.id)?;
    tenure_runtime::protect_own_binary()?;
    let runtime = context.runtime()?;
    let mut process = match (&args.process, args.command.is_empty()) {
        (Some(file), true) => tenure_runtime::load_process(file)?,
        (None, false) => own_process(&runtime, &id, &overrides(args))?,
        (Some(_), false) => {
            return Err(CommandError::usage(
                "exec: --process and COMMAND exclude each other",
            ));
        }
        (None, true) => return Err(CommandError::usage("exec: no COMMAND and no --process FILE")),
    };
    if args.tty {
        process.set_terminal(Some(true));
    }
    let terminal = process.terminal().unwrap_or(false);
    if terminal && args.detach && args.console_socket.is_none() {
        return Err(CommandError::message(
            "cannot allocate tty if tenure will detach without setting console socket",
        ));
    }
    let mut request = ExecRequest::new(process);
    request.pid_file = args.pid_file.as_deref().map(absolute).transpose()?;
    request.pidfd_socket = args.pidfd_socket.as_deref().map(absolute).transpose()?;
    request.cgroups.clone_from(&args.cgroup);
    request.console_socket = args.console_socket.as_deref().map(absolute).transpose()?;
    request.preserve_fds = args.preserve_fds;
    request.detach = args.detach;
    request.ignore_paused = args.ignore_paused;
    run(&runtime, &id, request)
}

/// Starts the process; in the foreground waits for its end, with its terminal joined to ours.
///
/// # Errors
/// When it cannot be started or waited for.
pub(crate) fn run(
    runtime: &Runtime,
    id: &ContainerId,
    mut request: ExecRequest,
) -> Result<Code, CommandError> {
    if request.detach {
        runtime.exec(id, &request)?;
        return Ok(Code::SUCCESS);
    }
    let mut signals = Signals::take().context("cannot take signals")?;
    let own_terminal = request.process.terminal().unwrap_or(false) && request.console_socket.is_none();
    let console = own_terminal
        .then(terminal::console_pair)
        .transpose()
        .context("cannot make a socket pair for the terminal")?;
    let (ours, theirs) = console.unzip();
    request.console_fd = theirs;
    if let Some((height, width)) = terminal::our_size().filter(|_| own_terminal) {
        let size = BoxBuilder::default().height(height).width(width).build();
        request
            .process
            .set_console_size(Some(size.context("cannot tell the size of the terminal")?));
    }
    let executed = runtime.exec(id, &request)?;
    drop(request);
    let status: ExitStatus = ours
        .as_ref()
        .map(join_terminal)
        .transpose()
        .and_then(|mut relay| foreground::wait(executed.pidfd.as_fd(), &mut signals, relay.as_mut()))
        .with_context(|| format!("cannot wait for the program in container {id}"))?;
    Ok(Code::of(status))
}

/// The container's own process with `overrides` on top.
///
/// # Errors
/// When there is no such container, or its configuration cannot be read.
pub(crate) fn own_process(
    runtime: &Runtime,
    id: &ContainerId,
    overrides: &ProcessOverrides,
) -> Result<Process, CommandError> {
    Ok(tenure_runtime::exec_process(&runtime.config(id)?, overrides)?)
}

/// What the options change in the container's own process.
fn overrides(args: &ExecArgs) -> ProcessOverrides {
    ProcessOverrides {
        args: args.command.clone(),
        env: args.env.clone(),
        cwd: args.cwd.clone(),
        user: args.user.map(|user| (user.uid, user.gid)),
        additional_gids: args.additional_gids.clone(),
        capabilities: args.cap.clone(),
        terminal: args.tty,
        no_new_privileges: args.no_new_privs.then_some(true),
        apparmor_profile: args.apparmor.clone(),
        selinux_label: args.process_label.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_numbers() {
        assert_eq!(user("5"), Ok(User { uid: 5, gid: None }));
        assert_eq!(user("5:7"), Ok(User { uid: 5, gid: Some(7) }));
        for text in ["", "root", "5:", ":7", "5:7:9", "-1"] {
            assert!(user(text).is_err(), "{text}");
        }
    }
}
