//! `tenure resume`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// Lets a paused container go on
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tenure resume hello")]
pub(crate) struct ResumeArgs {
    /// A paused container
    #[arg(value_name = "ID")]
    id: String,
}

/// Lets a paused container go on.
///
/// # Errors
/// When there is no such container or it is not paused.
pub(crate) fn execute(context: &Context, args: &ResumeArgs) -> Result<Code, CommandError> {
    let id = super::container_id(&args.id)?;
    context.runtime()?.resume(&id)?;
    Ok(Code::SUCCESS)
}
