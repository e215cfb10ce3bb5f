//! The probes: exec, httpGet, tcpSocket, grpc (`lifecycle-semantics 6.8`).
//!
//! ```text
//!  run(probe, context, cancel) ─┬─ exec        a program in the container, by the OCI runtime
//!     within timeoutSeconds     ├─ http_get    one GET from inside the pod's network namespace
//!                               ├─ tcp_socket  one connection from inside it
//!                               └─ grpc        one health check from inside it
//! ```
//!
//! One execution, one outcome. Thresholds, periods and what follows are the machine's.

mod exec;
mod grpc;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use tenure_lifecycle::ProbeOutcome;
use tenure_spec::HttpGet;
use tenure_spec::probe::{Probe, ProbeAction};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::cut;
use crate::hooks::http_get::{self, HttpError};
use crate::hooks::{HookContext, told};
use crate::oci::Execute;

/// The most that an outcome says, in bytes.
const LONGEST_MESSAGE: usize = 1024;
/// Where a probe goes that names no host: the pod itself.
const POD: &str = "127.0.0.1";

/// Executes a probe once, within its time limit. Sending on `cancel`, or dropping the sender, ends it at once: an
/// exec'd program is killed, a request given up; the outcome is then `Cancelled`.
pub(crate) async fn run<R: Execute>(
    probe: Probe,
    context: HookContext<R>,
    mut cancel: oneshot::Receiver<()>,
) -> ProbeOutcome {
    let limit = Duration::from_secs(probe.timeout_seconds);
    if let ProbeAction::Exec { command } = probe.action {
        // Ends what it has begun before it returns.
        return exec::run(command, limit, &context, cancel).await;
    }
    let asked = ask(&probe.action, context.network.as_deref());
    tokio::select! {
        asked = timeout(limit, asked) => {
            asked.unwrap_or_else(|_| failed(format!("no answer within {} s", limit.as_secs())))
        }
        _ = &mut cancel => ProbeOutcome::Cancelled,
    }
}

async fn ask(action: &ProbeAction, network: Option<&Path>) -> ProbeOutcome {
    match action {
        ProbeAction::Exec { .. } => errored("is not asked by network".to_owned()),
        ProbeAction::HttpGet(get) => http(get, network).await,
        ProbeAction::TcpSocket { host, port } => tcp(host.as_deref().unwrap_or(POD), *port, network).await,
        ProbeAction::Grpc { port, service } => grpc::ask(*port, service, network).await,
    }
}

async fn http(get: &HttpGet, network: Option<&Path>) -> ProbeOutcome {
    match http_get::fetch(get, network).await {
        Ok(200..=299) => ProbeOutcome::Succeeded,
        Ok(status @ 300..=399) => ProbeOutcome::Warned {
            message: format!("a redirect that is not followed was answered, status code {status}"),
        },
        Ok(status) => failed(format!("HTTP probe failed with statuscode: {status}")),
        // The manifest's values make no request: nobody was asked.
        Err(error @ HttpError::Request(_)) => errored(told(&error)),
        Err(error) => failed(told(&error)),
    }
}

async fn tcp(host: &str, port: u16, network: Option<&Path>) -> ProbeOutcome {
    match http_get::connect(host, port, network).await {
        Ok(_) => ProbeOutcome::Succeeded,
        Err(error) => failed(told(&error)),
    }
}

fn failed(message: String) -> ProbeOutcome {
    ProbeOutcome::Failed {
        message: cut(message, LONGEST_MESSAGE),
    }
}

fn errored(message: String) -> ProbeOutcome {
    ProbeOutcome::Errored {
        message: cut(message, LONGEST_MESSAGE),
    }
}
