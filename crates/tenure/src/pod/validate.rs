//! `tenure pod validate`.

use std::path::PathBuf;

use clap::Args;

use super::sources::SourceArgs;
use crate::exit::{Code, CommandError};

/// Tells everything that is wrong with a manifest, and with the bundles it names
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure pod validate web.yaml\n  generate | tenure pod validate -\n\n\
                        Exit code 0, or 2 and every error with its line and path."
)]
pub(crate) struct ValidateArgs {
    /// A Kubernetes v1 Pod in YAML or JSON; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    sources: SourceArgs,
}

/// Validates a manifest and the bundles it names. Says nothing when all is well.
///
/// # Errors
/// Everything that is wrong (exit code 2).
pub(crate) fn execute(args: &ValidateArgs) -> Result<Code, CommandError> {
    super::manifest::read(&args.file, &args.sources)?;
    Ok(Code::SUCCESS)
}
