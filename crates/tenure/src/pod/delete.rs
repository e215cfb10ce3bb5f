//! `tenure pod delete`.

use clap::Args;
use tenure_engine::client;

use crate::context::Context;
use crate::exit::{Code, CommandError};

/// Removes an ended pod's record, logs and leftovers
///
/// It works without the pod's supervisor, too.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure pod delete web\n  tenure pod delete web --force    SIGKILL first, no handlers"
)]
pub(crate) struct DeleteArgs {
    /// The pod
    #[arg(value_name = "NAME")]
    name: String,
    /// Kill it first if it still runs
    #[arg(short, long)]
    force: bool,
}

/// Removes a pod's record, logs and leftovers.
///
/// # Errors
/// When there is no such pod, it lives and `--force` is not given, or something cannot be removed.
pub(crate) fn execute(context: &Context, args: &DeleteArgs) -> Result<Code, CommandError> {
    let deleted = client::delete(&context.root()?, &args.name, args.force);
    match deleted {
        Ok(()) => Ok(Code::SUCCESS),
        Err(error @ tenure_engine::EngineError::Running { .. }) => {
            let hint = format!(
                "`tenure pod stop {0}` first, or `tenure pod delete --force {0}`",
                args.name
            );
            Err(CommandError::from(error).hint(hint))
        }
        Err(error) => Err(error.into()),
    }
}
