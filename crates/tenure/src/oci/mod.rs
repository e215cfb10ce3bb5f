//! The commands of an OCI runtime, one file each, on `tenure-runtime`.
//!
//! They behave as runc's where callers (podman, containerd, Docker, CRI-O) look: flags, texts, exit codes. None of them
//! makes a thread.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod exec;
pub(crate) mod features;
pub(crate) mod foreground;
pub(crate) mod kill;
pub(crate) mod list;
pub(crate) mod pause;
mod peek;
pub(crate) mod ps;
pub(crate) mod resume;
pub(crate) mod run;
mod size;
pub(crate) mod spec;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod update;

use std::ffi::OsString;

use clap::Args;
use tenure_runtime::ContainerId;

use crate::args::Command;
use crate::exit::CommandError;

/// The arguments of a command that does not work yet: anything.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<OsString>,
}

/// The error of such a command.
pub(crate) fn not_yet(command: &Command) -> CommandError {
    let name = match command {
        Command::Events(_) => "events",
        Command::Checkpoint(_) => "checkpoint",
        Command::Restore(_) => "restore",
        _ => "this command",
    };
    CommandError::message(format!("{name} is not supported yet"))
}

/// A container's id from the command line.
///
/// # Errors
/// When the text is no id.
fn container_id(text: &str) -> Result<ContainerId, CommandError> {
    Ok(text.parse::<ContainerId>()?)
}
