//! `tenure pod stop`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// `tenure pod stop`.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {}

/// Not there yet.
pub(crate) fn execute(context: &Context, args: &StopArgs) -> Result<Code, CommandError> {
    let _ = (context, args);
    Err(CommandError::message("not supported yet"))
}
