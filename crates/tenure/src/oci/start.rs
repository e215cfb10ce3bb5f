//! `tenure start`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// Starts the program of a created container
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tenure start hello")]
pub(crate) struct StartArgs {
    /// A created container
    #[arg(value_name = "ID")]
    id: String,
}

/// Starts a created container's program.
///
/// # Errors
/// When there is no such container, it is not in `created`, or its program cannot be executed.
pub(crate) fn execute(context: &Context, args: &StartArgs) -> Result<Code, CommandError> {
    let id = super::container_id(&args.id)?;
    context.runtime()?.start(&id)?;
    Ok(Code::SUCCESS)
}
