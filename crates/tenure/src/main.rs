//! `tenure`: runs OCI containers and pods of them through a managed life, without a daemon.
//!
//! Knows: the command line, exit codes, terminals, what people and callers of OCI runtimes want to read. Does not
//! know: when a container is started, stopped or restarted (that is `tenure-lifecycle`), nor how (that is
//! `tenure-runtime` and `tenure-engine`).
//!
//! ```text
//! argv[0] ─▶ containerd-shim-tenure-v1: the shim, if the program is executed by that name
//! argv ─args─▶ Command ─┬─ oci/*  ──▶ tenure-runtime          one short-lived, single-threaded process
//!                       ├─ pod/*  ──▶ tenure-engine           the supervisor in this process, or its files
//!                       └─ pod-supervise, pod-init            this binary executed again, for itself
//!              CommandError { kind, error, hint } ─exit─▶ one line on stderr (and in --log), exit code
//! ```
//!
//! Contract: `cli.md`. Nothing is done before the command is known; the OCI commands never see an async runtime.
//! Exit status stays code-or-signal until the last line of `main`.

mod args;
mod context;
mod exit;
mod man;
mod oci;
mod output;
mod pod;
mod telemetry;
mod terminal;
mod version;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Command, Invocation};
use crate::context::Context;
use crate::exit::{Code, CommandError};

fn main() -> ExitCode {
    if std::env::args_os()
        .next()
        .is_some_and(|name| containerd_shim_tenure_v1::is_meant(&name))
    {
        return containerd_shim_tenure_v1::main(&oci::features::text()).into();
    }
    let mut invocation = match Invocation::try_parse() {
        Ok(invocation) => invocation,
        Err(error) => return exit::usage(&error, &args::guess_log(std::env::args_os())).into(),
    };
    // As with runc, no file is meant.
    invocation.globals.log = invocation.globals.log.filter(|path| !path.as_os_str().is_empty());
    if invocation.version {
        return version::print().into();
    }
    let Some(command) = invocation.command else {
        output::say(args::help().trim_end());
        return Code::USAGE.into();
    };
    telemetry::install(&invocation.globals);
    let class = command.exit_class();
    let context = Context::new(invocation.globals);
    match dispatch(command, &context) {
        Ok(code) => code.into(),
        Err(error) => exit::report(&error, class, context.log()).into(),
    }
}

/// Hands a command to the module that does it.
fn dispatch(command: Command, context: &Context) -> Result<Code, CommandError> {
    match command {
        Command::Create(args) => oci::create::execute(context, &args),
        Command::Start(args) => oci::start::execute(context, &args),
        Command::State(args) => oci::state::execute(context, &args),
        Command::Kill(args) => oci::kill::execute(context, &args),
        Command::Delete(args) => oci::delete::execute(context, &args),
        Command::Run(args) => oci::run::execute(context, &args),
        Command::Exec(args) => oci::exec::execute(context, &args),
        Command::List(args) => oci::list::execute(context, &args),
        Command::Ps(args) => oci::ps::execute(context, &args),
        Command::Pause(args) => oci::pause::execute(context, &args),
        Command::Resume(args) => oci::resume::execute(context, &args),
        Command::Update(args) => oci::update::execute(context, &args),
        Command::Features => oci::features::execute(),
        Command::Spec(args) => oci::spec::execute(&args),
        Command::Events(args) => oci::events::execute(context, &args),
        Command::Checkpoint(args) => oci::checkpoint::checkpoint(context, &args),
        Command::Restore(args) => oci::checkpoint::restore(&args),
        Command::Pod(args) => pod::execute(context, args.command),
        Command::Completions(args) => man::completions(&args),
        Command::Man(args) => man::pages(&args),
        Command::PodSupervise => pod::supervise::execute(),
        Command::PodInit => pod::init::execute(),
    }
}
