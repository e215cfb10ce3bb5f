//! One loop per pod: performs what the lifecycle machine orders and tells it what happened.
//!
//! Knows: processes, files, namespaces, cgroups, the OCI runtime seam, the clock. Does not know: YAML, the command
//! line, containerd, libcontainer; and it decides nothing, all decisions are [`tenure_lifecycle`]'s.
//!
//! ```text
//!  client ──control.sock──▶ ┌────────────────────────────┐      ┌ oci    create, start, exec, delete (processes)
//!  SIGINT, SIGTERM ───────▶ │ engine: one select loop    │─────▶│ sandbox namespaces, cgroup, volumes, layers
//!  container exits ───────▶ │   PodMachine::on_event     │      │ hooks  exec, httpGet, sleep
//!  operation results ─────▶ │   next_deadline ─▶ one timer│◀────│ probes exec, httpGet, tcpSocket, grpc
//!                           │                            │      └ output CRI logs, the foreground's lines
//!                           └─────────────┬──────────────┘
//!                store: record.json before the effect, status.json, events.jsonl, lock
//!                         │                       │
//!                 recover (supervisor died)   observe, client (other processes)
//! ```
//!
//! Contract:
//! - [`run`] owns a pod from claim to end; whoever holds the pod's `lock` is its one supervisor.
//! - What could be left behind is on disk before it is made: a SIGKILL at any moment leaves a pod that [`client`]
//!   can stop, kill and delete completely.
//! - The loop never blocks on a container, a handler, a terminal or a file tree; operations report by channel.
//! - Nothing is polled: at rest there are no wake-ups.

pub mod attached;
pub mod client;
mod clock;
mod control;
mod effects;
mod engine;
mod error;
pub mod hooks;
mod host;
mod launch;
pub mod observe;
pub mod oci;
mod offload;
mod output;
mod probes;
mod publish;
mod ready;
mod recover;
mod sandbox;
mod screen;
pub mod single;
pub mod store;
mod supervision;
mod tee;
#[cfg(test)]
mod testing;

pub use error::EngineError;
pub use launch::{PodLaunch, PodOptions, Progress, Scope, Tee, run};
pub use observe::{Observed, Supervisor, observe};
pub use oci::RuntimeLocation;
pub use screen::{Display, NoDisplay};
pub use store::{PodEvent, Published, Store};
