//! `tenure kill`.

use clap::Args;
use tenure_runtime::Signal;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// Sends a signal to a container's init process
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure kill hello            SIGTERM\n  tenure kill hello USR1\n  tenure kill --all hello 9"
)]
pub(crate) struct KillArgs {
    /// To every process of the container, not only its init
    #[arg(short, long)]
    all: bool,
    /// The container
    #[arg(value_name = "ID")]
    id: String,
    /// A name with or without SIG, or a number
    #[arg(value_name = "SIGNAL", default_value = "SIGTERM")]
    signal: String,
}

/// Sends a signal. The container's state is judged by its processes, never by what was sent.
///
/// # Errors
/// When there is no such container or signal, or the container is not running.
pub(crate) fn execute(context: &Context, args: &KillArgs) -> Result<Code, CommandError> {
    let id = super::container_id(&args.id)?;
    let signal: Signal = args.signal.parse()?;
    context.runtime()?.kill(&id, signal, args.all)?;
    Ok(Code::SUCCESS)
}
