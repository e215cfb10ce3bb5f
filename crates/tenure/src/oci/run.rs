//! `tenure run`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::Context as _;
use clap::Args;
use tenure_engine::RuntimeLocation;
use tenure_engine::single::{SingleLaunch, run_single};
use tenure_lifecycle::ExitStatus;
use tenure_runtime::{ContainerId, CreateRequest, Runtime};
use tenure_spec::annotations::ManagedLifecycle;
use tenure_supervise::terminal::receive_master;

use super::create::ContainerOptions;
use super::foreground::{self, Signals};
use super::peek::Peek;
use crate::context::Context;
use crate::exit::{Code, CommandError};
use crate::terminal::{self, Relay};

/// Creates and starts a container, waits for its end and deletes it
///
/// Signals are passed on to the container, and its exit code is passed on to the caller: 128 + n when signal n ended it,
/// 127 when there is no such program, 126 when it cannot be executed, 125 when Tenure failed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure run -b ./hello hello                  its output here, its exit code ours\n  \
                        tenure run -d --pid-file pid -b ./web web\n\nWith org.tenure.lifecycle.* annotations in \
                        config.json the container's life is managed: its postStart runs, and SIGTERM means preStop, \
                        the stop signal, SIGKILL at the end of the grace."
)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    options: ContainerOptions,
    /// Return once the program runs
    #[arg(short, long)]
    detach: bool,
    /// Do not delete the container at its end
    #[arg(long)]
    keep: bool,
    /// Accepted for runc's sake: a container in the foreground needs no subreaper
    #[arg(long, hide = true)]
    no_subreaper: bool,
    /// The container's name: letters, digits, `_+.-`
    #[arg(value_name = "ID")]
    id: String,
}

/// Creates and starts a container; in the foreground, waits for its end and deletes it.
///
/// # Errors
/// When the container cannot be created or started (125; 126 and 127 for its program), or cannot be deleted.
pub(crate) fn execute(context: &Context, args: &RunArgs) -> Result<Code, CommandError> {
    let _ = args.no_subreaper;
    let id = super::container_id(&args.id)?;
    let request = args.options.request(args.detach)?;
    let peek = Peek::at(&request.bundle);
    peek.check_console(request.console_socket.is_some(), args.detach)?;
    if let Some(lifecycle) = peek.lifecycle()? {
        return managed(context, args, &request, &peek, lifecycle);
    }
    tenure_runtime::protect_own_binary()?;
    let runtime = context.runtime()?;
    if args.detach {
        runtime.run(&id, &request)?;
        return Ok(Code::SUCCESS);
    }
    let own_terminal = peek.terminal() && request.console_socket.is_none();
    let status = in_foreground(&runtime, &id, request, own_terminal)?;
    if !args.keep {
        runtime.delete(&id, true)?;
    }
    Ok(Code::of(status))
}

/// Runs the container and waits for its end.
fn in_foreground(
    runtime: &Runtime,
    id: &ContainerId,
    mut request: CreateRequest,
    own_terminal: bool,
) -> Result<ExitStatus, CommandError> {
    let mut signals = Signals::take().context("cannot take signals")?;
    if !own_terminal {
        let created = runtime.run(id, &request)?;
        let waited = foreground::wait(created.pidfd.as_fd(), &mut signals, None);
        return waited.map_err(|error| unwatched(runtime, id, error));
    }
    let (ours, theirs) = terminal::console_pair().context("cannot make a socket pair for the terminal")?;
    request.console_fd = Some(theirs);
    let created = runtime.create(id, &request)?;
    drop(request);
    // Joined before the program starts: it sees our window's size from the beginning.
    let mut relay = join_terminal(&ours).map_err(|error| unwatched(runtime, id, error))?;
    if let Err(error) = runtime.start(id) {
        drop(relay);
        let _ = runtime.delete(id, true);
        return Err(error.into());
    }
    let waited = foreground::wait(created.pidfd.as_fd(), &mut signals, Some(&mut relay));
    drop(relay);
    waited.map_err(|error| unwatched(runtime, id, error))
}

/// The error for a container that nobody can wait for; it is deleted, as nobody would look after it any more.
fn unwatched(runtime: &Runtime, id: &ContainerId, error: io::Error) -> CommandError {
    let error = anyhow::Error::new(error).context(format!("cannot wait for container {id}"));
    match runtime.delete(id, true) {
        Ok(()) => CommandError::failed(error),
        Err(_) => CommandError::failed(error).hint(format!("`tenure delete --force {id}` removes it")),
    }
}

/// Takes the terminal that the runtime has sent over `socket` and joins it to ours.
pub(super) fn join_terminal(socket: &OwnedFd) -> io::Result<Relay> {
    Relay::new(receive_master(socket.as_fd())?)
}

/// Runs the container under the lifecycle that its annotations ask for.
fn managed(
    context: &Context,
    args: &RunArgs,
    request: &CreateRequest,
    peek: &Peek,
    lifecycle: ManagedLifecycle,
) -> Result<Code, CommandError> {
    let refused = [
        (args.detach, "--detach"),
        (
            request.console_socket.is_some() || peek.terminal(),
            "process.terminal",
        ),
        (request.pidfd_socket.is_some(), "--pidfd-socket"),
        (request.preserve_fds > 0, "--preserve-fds"),
        (request.no_pivot, "--no-pivot"),
        (request.no_new_keyring, "--no-new-keyring"),
    ];
    if let Some((_, option)) = refused.iter().find(|(given, _)| *given) {
        return Err(CommandError::message(format!(
            "{option} is not supported yet for a bundle with org.tenure.lifecycle annotations"
        )));
    }
    let code = run_single(SingleLaunch {
        id: args.id.clone(),
        bundle: request.bundle.clone(),
        lifecycle,
        runtime: RuntimeLocation {
            binary: context.own_binary()?,
            root: context.root()?,
        },
        pid_file: request.pid_file.clone(),
        keep: args.keep,
    })?;
    Ok(Code(code))
}
