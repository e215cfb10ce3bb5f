//! `tenure pod list`.

use clap::Args;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// `tenure pod list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {}

/// Not there yet.
pub(crate) fn execute(context: &Context, args: &ListArgs) -> Result<Code, CommandError> {
    let _ = (context, args);
    Err(CommandError::message("not supported yet"))
}
