//! `tenure pod events`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// `tenure pod events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {}

/// Not there yet.
pub(crate) fn execute(context: &Context, args: &EventsArgs) -> Result<Code, CommandError> {
    let _ = (context, args);
    Err(CommandError::message("not supported yet"))
}
