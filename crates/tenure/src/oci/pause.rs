//! `tenure pause`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// Freezes a container: its processes stop where they are
///
/// SIGKILL and `delete --force` still end it; other signals wait for `resume`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tenure pause hello && tenure resume hello")]
pub(crate) struct PauseArgs {
    /// A created or running container
    #[arg(value_name = "ID")]
    id: String,
}

/// Freezes a container; returns when none of its processes runs any more.
///
/// # Errors
/// When there is no such container, it is neither created nor running, or a process does not stop.
pub(crate) fn execute(context: &Context, args: &PauseArgs) -> Result<Code, CommandError> {
    let id = super::container_id(&args.id)?;
    context.runtime()?.pause(&id)?;
    Ok(Code::SUCCESS)
}
