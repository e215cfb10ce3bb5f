//! `tenure delete`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// Removes a stopped container and everything that was made for it
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tenure delete hello\n  tenure delete --force hello    kills it first")]
pub(crate) struct DeleteArgs {
    /// Kill it first if it still runs; an unknown container is no error then
    #[arg(short, long)]
    force: bool,
    /// The container
    #[arg(value_name = "ID")]
    id: String,
}

/// Removes a container and everything the runtime made for it.
///
/// # Errors
/// When there is no such container, it still runs and `--force` is not given, or something cannot be removed.
pub(crate) fn execute(context: &Context, args: &DeleteArgs) -> Result<Code, CommandError> {
    let id = super::container_id(&args.id)?;
    context.runtime()?.delete(&id, args.force)?;
    Ok(Code::SUCCESS)
}
