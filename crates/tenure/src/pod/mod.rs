//! `tenure pod`: one file per command, on `tenure-engine`.

mod board;
pub(crate) mod delete;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod init;
mod kubernetes;
mod lines;
pub(crate) mod list;
pub(crate) mod logs;
mod manifest;
pub(crate) mod plan;
mod progress;
pub(crate) mod run;
mod sources;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod supervise;
pub(crate) mod timeline;
pub(crate) mod validate;
pub(crate) mod wait;
mod watch;

use clap::{Args, Subcommand, ValueEnum};

use crate::context::Context;
use crate::exit::{Class, Code, CommandError};

/// Run and look after Kubernetes pods made of OCI bundles
// The subcommands are arguments of a command, which are made only when it is named: made along with the tree, they cost
// every `tenure state` 15 of its 121 page faults.
#[derive(Debug, Args)]
pub(crate) struct PodArgs {
    #[command(subcommand)]
    pub(crate) command: PodCommand,
}

/// The commands about pods.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum PodCommand {
    /// Run a pod
    Run(run::RunArgs),
    /// Tell everything that is wrong with a manifest
    Validate(validate::ValidateArgs),
    /// Simulate a pod's life without running anything
    Plan(plan::PlanArgs),
    /// List pods
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show what a pod and its containers are doing
    Status(status::StatusArgs),
    /// Stop a pod: preStop, the stop signal, SIGKILL at the end of the grace
    Stop(stop::StopArgs),
    /// Remove an ended pod's record and logs
    #[command(visible_alias = "rm")]
    Delete(delete::DeleteArgs),
    /// Show what containers wrote
    Logs(logs::LogsArgs),
    /// Run a command in a container of a pod
    Exec(exec::ExecArgs),
    /// Show what happened to a pod
    Events(events::EventsArgs),
    /// Wait until a pod is as you want it
    Wait(wait::WaitArgs),
    /// Draw a pod's life
    Timeline(timeline::TimelineArgs),
}

/// `-o json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JsonOutput {
    /// JSON
    Json,
}

impl PodCommand {
    /// How this command's failures become exit codes.
    pub(crate) fn exit_class(&self) -> Class {
        match self {
            Self::Run(_) | Self::Exec(_) => Class::Run,
            _ => Class::Plain,
        }
    }
}

/// Hands a pod command to its module.
pub(crate) fn execute(context: &Context, command: PodCommand) -> Result<Code, CommandError> {
    match command {
        PodCommand::Run(args) => run::execute(context, &args),
        PodCommand::Validate(args) => validate::execute(&args),
        PodCommand::List(args) => list::execute(context, &args),
        PodCommand::Status(args) => status::execute(context, &args),
        PodCommand::Stop(args) => stop::execute(context, &args),
        PodCommand::Delete(args) => delete::execute(context, &args),
        PodCommand::Logs(args) => logs::execute(context, &args),
        PodCommand::Exec(args) => exec::execute(context, &args),
        PodCommand::Events(args) => events::execute(context, &args),
        PodCommand::Wait(args) => wait::execute(context, &args),
        PodCommand::Plan(args) => plan::execute(&args),
        PodCommand::Timeline(args) => timeline::execute(context, &args),
    }
}

/// The error for a container that a pod does not have.
fn no_container(pod: &str, name: &str, containers: &[tenure_lifecycle::ContainerStatus]) -> CommandError {
    let known: Vec<&str> = containers
        .iter()
        .map(|container| container.name.as_str())
        .collect();
    CommandError::message(format!(
        "pod {pod} has no container {name:?}; it has: {}",
        known.join(", ")
    ))
}

/// How long ago `then` was: `5s`, `3m`, `2h`, `4d`.
fn age(then: jiff::Timestamp) -> String {
    rough(
        jiff::Timestamp::now()
            .as_second()
            .saturating_sub(then.as_second()),
    )
}

/// How long until `then`, rounded up.
fn until(then: jiff::Timestamp) -> String {
    let left = then
        .as_millisecond()
        .saturating_sub(jiff::Timestamp::now().as_millisecond());
    rough(left.saturating_add(999).div_euclid(1000))
}

/// Seconds in the largest unit that fits twice, or seconds.
fn rough(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
