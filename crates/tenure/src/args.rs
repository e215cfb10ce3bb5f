//! The command line: the tree of commands and the options that all of them share.
//!
//! Each command's own options live in that command's file. Subcommands are built only when they are named
//! (`defer`), so that a lone `tenure state` does not pay for the whole tree.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::exit::Class;
use crate::telemetry::Log;
use crate::{man, oci, pod};

#[derive(Debug, Parser)]
#[command(
    name = "tenure",
    about = "Runs OCI containers and pods of them through a managed life, without a daemon",
    disable_version_flag = true,
    disable_help_subcommand = true,
    subcommand_required = false,
    max_term_width = 100,
    after_help = "Examples:\n  tenure pod run web.yaml          run a pod, its output and its end in this terminal\n  \
                  tenure pod run -d web.yaml       the same in the background\n  tenure pod stop web              \
                  preStop, the stop signal, SIGKILL at the end of the grace\n  tenure run -b ./bundle hello     run \
                  one OCI bundle as runc does\n\nTENURE_ROOT sets --root. TENURE_LOG=debug logs to stderr."
)]
pub(crate) struct Invocation {
    /// Print version, commit and specification
    #[arg(short = 'v', long, visible_short_alias = 'V')]
    pub(crate) version: bool,
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The options before the command.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Where records of containers and pods are [default: /run/tenure, else $XDG_RUNTIME_DIR/tenure]
    #[arg(long, value_name = "DIR", global = true, hide_short_help = true)]
    pub(crate) root: Option<PathBuf>,
    /// Write warnings and errors to this file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// The form of the lines in that file
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Log everything, to --log or else to stderr
    #[arg(long)]
    pub(crate) debug: bool,
    /// Have systemd make the cgroups: a scope for each container or pod
    #[arg(long)]
    pub(crate) systemd_cgroup: bool,
    /// Who makes the cgroups, as crun has it; disabled makes none
    #[arg(long, value_name = "DRIVER", hide_short_help = true)]
    pub(crate) cgroup_manager: Option<CgroupDriver>,
    /// Do without root's powers
    #[arg(long, value_name = "auto|true|false", default_value = "auto", value_parser = rootless)]
    pub(crate) rootless: Rootless,
}

/// `--log-format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `time="…" level=error msg="…"`
    #[default]
    Text,
    /// `{"level":"error","msg":"…","time":"…"}`
    Json,
}

impl LogFormat {
    /// The word on the command line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// `--cgroup-manager`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CgroupDriver {
    /// This program.
    Cgroupfs,
    /// systemd, as with `--systemd-cgroup`.
    Systemd,
    /// Nobody: the container stays in the caller's cgroups.
    Disabled,
}

/// Reads `--rootless`: `auto`, or one of Go's words for true and false, as callers send them.
fn rootless(text: &str) -> Result<Rootless, String> {
    match text {
        "auto" => Ok(Rootless::Auto),
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Rootless::True),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Rootless::False),
        _ => Err(format!("{text:?} is none of auto, true and false")),
    }
}

/// `--rootless`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Rootless {
    /// As the user is.
    #[default]
    Auto,
    /// Yes.
    True,
    /// No.
    False,
}

/// The log that a command line means which cannot be understood as a whole: callers read their errors there.
pub(crate) fn guess_log(arguments: impl Iterator<Item = OsString>) -> Log {
    let (mut path, mut format) = (None, LogFormat::Text);
    let mut arguments = arguments.skip(1);
    while let Some(argument) = arguments.next() {
        let argument = argument.to_string_lossy().into_owned();
        let Some(option) = argument.strip_prefix("--") else {
            break;
        };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None if TAKE_VALUE.contains(&option) => (option, arguments.next()),
            None => (option, None),
        };
        match (name, value) {
            ("log", value) => path = value.filter(|p| !p.is_empty()).map(PathBuf::from),
            ("log-format", Some(value)) if value == LogFormat::Json.as_str() => format = LogFormat::Json,
            _ => {}
        }
    }
    Log::new(path, format)
}

/// Global options that are followed by a value.
const TAKE_VALUE: [&str; 5] = ["root", "log", "log-format", "rootless", "cgroup-manager"];

/// Every command.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Run and look after Kubernetes pods made of OCI bundles
    #[command(visible_alias = "pods")]
    Pod(pod::PodArgs),

    /// Set up a container; its program waits for `start`
    Create(oci::create::CreateArgs),
    /// Start the program of a created container
    Start(oci::start::StartArgs),
    /// Print a container's state as JSON
    State(oci::state::StateArgs),
    /// Send a signal to a container
    Kill(oci::kill::KillArgs),
    /// Remove a stopped container
    Delete(oci::delete::DeleteArgs),
    /// Create and start a container, and wait for its end
    Run(oci::run::RunArgs),
    /// Run a further program in a container
    Exec(oci::exec::ExecArgs),
    /// List containers
    List(oci::list::ListArgs),
    /// List a container's processes
    Ps(oci::ps::PsArgs),
    /// Freeze a container
    Pause(oci::pause::PauseArgs),
    /// Let a paused container go on
    Resume(oci::resume::ResumeArgs),
    /// Change a container's limits
    Update(oci::update::UpdateArgs),
    /// Tell a container's figures and out-of-memory kills
    Events(oci::events::EventsArgs),
    /// Print what this runtime can do, as JSON
    #[command(after_help = "Example:\n  tenure features | jq .linux.seccomp")]
    Features,
    /// Write a config.json to begin with
    Spec(oci::spec::SpecArgs),

    /// Save a container to disk (not supported by this build)
    #[command(hide = true)]
    Checkpoint(Box<oci::checkpoint::CheckpointArgs>),
    /// Bring a saved container back (not supported by this build)
    #[command(hide = true)]
    Restore(Box<oci::checkpoint::RestoreArgs>),

    /// Print a completion script
    Completions(man::CompletionsArgs),
    /// Write the manual pages into a folder
    Man(man::ManArgs),
    /// The supervisor of a pod in the background
    #[command(hide = true, name = "pod-supervise")]
    PodSupervise,
    /// Process 1 of a pod's shared PID namespace
    #[command(hide = true, name = "pod-init")]
    PodInit,
}

impl Command {
    /// How this command's failures become exit codes.
    pub(crate) fn exit_class(&self) -> Class {
        match self {
            Self::Run(_) => Class::Run,
            Self::Exec(_) => Class::Exec,
            Self::Pod(args) => args.command.exit_class(),
            Self::PodSupervise | Self::PodInit => Class::Run,
            _ => Class::Plain,
        }
    }
}

/// The help that a command line without a command gets.
pub(crate) fn help() -> String {
    Invocation::command().render_help().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_a_wrong_command_line_is_found_before_the_command() {
        let log = |line: &str| guess_log(line.split(' ').map(OsString::from));
        let found = log("tenure --root /r --log /l --log-format json run --nope");
        assert_eq!(found.path(), Some(std::path::Path::new("/l")));
        assert_eq!(
            log("tenure --debug --log=/l --rootless x list").path(),
            found.path()
        );
        assert_eq!(log("tenure exec --log /l").path(), None);
        assert_eq!(log("tenure --log").path(), None);
    }

    #[test]
    fn rootless_takes_gos_words() {
        assert_eq!(rootless("auto"), Ok(Rootless::Auto));
        assert_eq!(rootless("True"), Ok(Rootless::True));
        assert_eq!(rootless("0"), Ok(Rootless::False));
        for text in ["", "yes", "tRUE", "2"] {
            assert!(rootless(text).is_err(), "{text}");
        }
    }
}
