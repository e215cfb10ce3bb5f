//! `tenure state`.

use anyhow::Context as _;
use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};
use crate::output;

/// Prints a container's state as JSON
///
/// The form is the OCI runtime specification's, with the further fields that runc prints.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tenure state hello")]
pub(crate) struct StateArgs {
    /// The container
    #[arg(value_name = "ID")]
    id: String,
}

/// Prints a container's state as the OCI specification has it, with runc's further fields.
///
/// # Errors
/// When there is no such container or its record cannot be read.
pub(crate) fn execute(context: &Context, args: &StateArgs) -> Result<Code, CommandError> {
    let id = super::container_id(&args.id)?;
    let state = context.runtime()?.state(&id)?;
    let mut text = serde_json::to_string_pretty(&state).context("cannot write the state as JSON")?;
    text.push('\n');
    output::print(&text)
}
