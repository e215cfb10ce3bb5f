//! `tenure pod stop`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use nix::sys::signal::SigSet;
use tenure_engine::client::{self, EndedBy};
use tenure_engine::{Observed, Supervisor, observe};

use super::status::activity;
use super::watch::PodWatch;
use crate::context::Context;
use crate::exit::{Code, CommandError};
use crate::output;

/// Stops a pod as Kubernetes does on deletion, and returns when it has ended
///
/// Every container gets its preStop handler, then its stop signal, then SIGKILL at the end of the grace period.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure pod stop web\n  tenure pod stop web --grace 5    a later stop may only shorten"
)]
pub(crate) struct StopArgs {
    /// The pod
    #[arg(value_name = "NAME")]
    name: String,
    /// In place of the pod's terminationGracePeriodSeconds
    #[arg(long, value_name = "SECONDS")]
    grace: Option<u64>,
}

/// Stops a pod and returns when it has ended; an ended pod is stopped already.
///
/// # Errors
/// When there is no such pod, it cannot be reached, or something of it cannot be removed.
pub(crate) fn execute(context: &Context, args: &StopArgs) -> Result<Code, CommandError> {
    let root = context.root()?;
    // A dead supervisor's pod is stopped by this process, which must have a single thread then.
    let observed = observe(&root, &args.name)?;
    if matches!(observed.supervisor, Supervisor::Alive { .. }) && std::io::stderr().is_terminal() {
        show_waiting(root.clone(), observed);
    }
    let outcome = client::stop(&root, &args.name, args.grace)?;
    match outcome.ended_by {
        EndedBy::Supervisor => {}
        EndedBy::Recovery => output::complain(&format!(
            "pod {}: its supervisor was dead; stopped here",
            args.name
        )),
        EndedBy::Nobody => output::complain(&format!("pod {} had ended before", args.name)),
    }
    Ok(Code::SUCCESS)
}

/// After a second, tells what the stop waits for, and again when that changes; beside the stop itself.
fn show_waiting(root: PathBuf, observed: Observed) {
    let show = move || -> std::io::Result<()> {
        // Signals are for the thread that stops.
        SigSet::all().thread_block()?;
        let mut watch = PodWatch::new(&observed.dir, &[])?;
        let mut shown = String::new();
        let mut deadline = Some(Instant::now() + Duration::from_secs(1));
        while let Ok(observed) = observe(&root, &observed.name) {
            if deadline.is_none() {
                let line = waiting_for(&observed);
                if !line.is_empty() && line != shown {
                    output::say(&line);
                    shown = line;
                }
            }
            if !watch.wait(deadline)? {
                deadline = None;
            }
        }
        Ok(())
    };
    // Without it the stop goes on all the same.
    let _ = std::thread::Builder::new().name("display".into()).spawn(show);
}

/// `waiting for web: preStop, at most 27s more; db: terminating, …`; empty when nothing is known.
fn waiting_for(observed: &Observed) -> String {
    let Some(published) = &observed.published else {
        return String::new();
    };
    let busy: Vec<String> = published
        .status
        .containers
        .iter()
        .filter(|container| !container.activity.is_empty())
        .map(|container| format!("{}: {}", container.name, activity(published, container)))
        .collect();
    match busy.is_empty() {
        true => String::new(),
        false => format!("waiting for {}", busy.join("; ")),
    }
}
