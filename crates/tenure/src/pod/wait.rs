//! `tenure pod wait`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// `tenure pod wait`.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {}

/// Not there yet.
pub(crate) fn execute(context: &Context, args: &WaitArgs) -> Result<Code, CommandError> {
    let _ = (context, args);
    Err(CommandError::message("not supported yet"))
}
