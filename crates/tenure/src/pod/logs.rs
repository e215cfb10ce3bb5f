//! `tenure pod logs`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// `tenure pod logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {}

/// Not there yet.
pub(crate) fn execute(context: &Context, args: &LogsArgs) -> Result<Code, CommandError> {
    let _ = (context, args);
    Err(CommandError::message("not supported yet"))
}
