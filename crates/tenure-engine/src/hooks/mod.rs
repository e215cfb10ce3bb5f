//! The lifecycle handlers: exec, httpGet, sleep (`lifecycle-semantics 2.4` to `2.11`).
//!
//! ```text
//!  run(handler, context, cancel) ─┬─ exec      a program in the container, by the OCI runtime
//!                                 ├─ http_get  one GET from inside the pod's network namespace
//!                                 └─ sleep     a timer
//! ```
//!
//! A handler has no time limit of its own; it ends by itself or by `cancel`. Exactly one report comes of every run.

pub(crate) mod exec;
#[cfg(test)]
pub(crate) mod exec_tests;
pub(crate) mod http_get;
mod sleep;

use std::path::PathBuf;
use std::rc::Rc;

use tenure_lifecycle::{HookOutcome, HookPoint, HookReport};
use tenure_spec::Handler;
use tenure_spec::container::Lifecycle;
use tokio::sync::oneshot;

use crate::oci::Execute;

/// What a handler, or a probe, needs to know of its container.
#[derive(Debug)]
pub struct HookContext<R> {
    /// Runs programs in the container.
    pub runtime: Rc<R>,
    /// The container's id in the runtime.
    pub container_id: String,
    /// The network namespace that is connected from, e.g. the pod's `ns/net` or `/proc/PID/ns/net`; `None` is
    /// the host's.
    pub network: Option<PathBuf>,
}

/// Runs what a container has for one point of its life; a report of failure where it has nothing.
pub(crate) async fn run_at<R: Execute>(
    point: HookPoint,
    lifecycle: &Lifecycle,
    context: HookContext<R>,
    cancel: oneshot::Receiver<()>,
) -> HookReport {
    let handler = match point {
        HookPoint::PostStart => &lifecycle.post_start,
        HookPoint::PreStop => &lifecycle.pre_stop,
    };
    match handler.clone() {
        Some(handler) => run(handler, context, cancel).await,
        None => no_handler(),
    }
}

/// Runs a handler to its end. Sending on `cancel`, or dropping the sender, ends it at once: an exec'd program is
/// killed, a request given up, a sleep left; the report is then `Cancelled`.
pub async fn run<R: Execute>(
    handler: Handler,
    context: HookContext<R>,
    mut cancel: oneshot::Receiver<()>,
) -> HookReport {
    match handler {
        Handler::Exec { command } => exec::run(command, context, cancel).await,
        Handler::HttpGet(get) => tokio::select! {
            report = http_get::run(get, context.network.as_deref()) => report,
            _ = &mut cancel => cancelled(String::new()),
        },
        Handler::Sleep { seconds } => tokio::select! {
            report = sleep::run(seconds) => report,
            _ = &mut cancel => cancelled(String::new()),
        },
    }
}

/// The report for a container that has nothing for that point, or is none.
pub(crate) fn no_handler() -> HookReport {
    failed("there is no such handler".into(), String::new())
}

fn report(outcome: HookOutcome, output: String) -> HookReport {
    HookReport {
        outcome,
        output,
        http_fallback: false,
    }
}

fn succeeded(output: String) -> HookReport {
    report(HookOutcome::Succeeded, output)
}

fn failed(message: String, output: String) -> HookReport {
    report(HookOutcome::Failed { message }, output)
}

fn cancelled(output: String) -> HookReport {
    report(HookOutcome::Cancelled, output)
}

/// An error and what is behind it, in one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
