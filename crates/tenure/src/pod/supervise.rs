//! `tenure pod-supervise`: the supervisor of a pod in the background.

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// Not there yet.
pub(crate) fn execute(context: &Context) -> Result<Code, CommandError> {
    let _ = context;
    Err(CommandError::message("not supported yet"))
}
