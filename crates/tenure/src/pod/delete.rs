//! `tenure pod delete`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// `tenure pod delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {}

/// Not there yet.
pub(crate) fn execute(context: &Context, args: &DeleteArgs) -> Result<Code, CommandError> {
    let _ = (context, args);
    Err(CommandError::message("not supported yet"))
}
