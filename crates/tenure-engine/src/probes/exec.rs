//! The exec probe: exit 0 is success, all else a failure, and so is too long a run (`lifecycle-semantics 6.8`).

use std::time::Duration;

use tenure_lifecycle::ProbeOutcome;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{errored, failed};
use crate::hooks::exec::{NotStarted, Program, why_not};
use crate::hooks::{HookContext, told};
use crate::oci::Execute;

/// How much of what a probe writes is kept, in bytes.
const KEPT: usize = 10 * 1024;
/// How long the runtime may take to start the program. The probe's own limit counts from there: it is the
/// container's, and a busy machine is none of its faults.
const START_LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn run<R: Execute>(
    command: Vec<String>,
    limit: Duration,
    context: &HookContext<R>,
    mut cancel: oneshot::Receiver<()>,
) -> ProbeOutcome {
    let line = command.join(" ");
    // Dropped before it has started, the runtime's process is killed.
    let program = tokio::select! {
        program = timeout(START_LIMIT, Program::start(command, context, KEPT)) => program,
        _ = &mut cancel => return ProbeOutcome::Cancelled,
    };
    let mut program = match program {
        Ok(Ok(program)) => program,
        Ok(Err(NotStarted { error, output })) => return errored(with_output(told(&error), &output)),
        Err(_) => {
            let limit = START_LIMIT.as_secs();
            return errored(format!("command {line:?} was not started within {limit} s"));
        }
    };
    let exit = tokio::select! {
        exit = program.ended() => exit,
        () = sleep(limit) => {
            let _ = program.kill().await;
            let text = format!("command {line:?} timed out after {} s", limit.as_secs());
            return failed(with_output(text, &program.output()));
        }
        _ = &mut cancel => {
            let _ = program.kill().await;
            return ProbeOutcome::Cancelled;
        }
    };
    match why_not(&exit) {
        None => ProbeOutcome::Succeeded,
        Some(why) => failed(with_output(why, &program.output())),
    }
}

fn with_output(text: String, output: &str) -> String {
    match output.trim() {
        "" => text,
        output => format!("{text}: {output}"),
    }
}
