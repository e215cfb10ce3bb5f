//! `tenure pod status`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// `tenure pod status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {}

/// Not there yet.
pub(crate) fn execute(context: &Context, args: &StatusArgs) -> Result<Code, CommandError> {
    let _ = (context, args);
    Err(CommandError::message("not supported yet"))
}
