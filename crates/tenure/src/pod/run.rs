//! `tenure pod run`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// `tenure pod run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {}

/// Not there yet.
pub(crate) fn execute(context: &Context, args: &RunArgs) -> Result<Code, CommandError> {
    let _ = (context, args);
    Err(CommandError::message("not supported yet"))
}
