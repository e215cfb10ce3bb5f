//! `tenure pod exec`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// `tenure pod exec`.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {}

/// Not there yet.
pub(crate) fn execute(context: &Context, args: &ExecArgs) -> Result<Code, CommandError> {
    let _ = (context, args);
    Err(CommandError::message("not supported yet"))
}
