//! `tenure pod validate`.

use clap::Args;

use crate::exit::{Code, CommandError};

/// `tenure pod validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {}

/// Not there yet.
pub(crate) fn execute(args: &ValidateArgs) -> Result<Code, CommandError> {
    let _ = args;
    Err(CommandError::message("not supported yet"))
}
