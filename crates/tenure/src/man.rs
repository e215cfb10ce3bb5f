//! `tenure completions` and `tenure man`: made from the same definitions as the command line itself.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Invocation;
use crate::exit::{Code, CommandError};
use crate::output;

/// Prints a completion script
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tenure completions bash > /usr/share/bash-completion/completions/tenure")]
pub(crate) struct CompletionsArgs {
    /// The shell to complete for
    shell: Shell,
}

/// Writes the manual pages into a folder
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tenure man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The folder to write into; made if absent
    dir: PathBuf,
}

/// Prints a completion script.
///
/// # Errors
/// When stdout cannot be written.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<Code, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Invocation::command(), "tenure", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// Writes one page per command.
///
/// # Errors
/// When the folder cannot be made or written.
pub(crate) fn pages(args: &ManArgs) -> Result<Code, CommandError> {
    let dir = &args.dir;
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    clap_mangen::generate_to(Invocation::command(), dir)
        .with_context(|| format!("cannot write manual pages to {}", dir.display()))?;
    Ok(Code::SUCCESS)
}
