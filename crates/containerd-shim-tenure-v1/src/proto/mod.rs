//! The messages that containerd and a shim exchange, as far as this shim reads or writes them.
//!
//! Field numbers are those of containerd's interface definitions: `api/runtime/task/v3/shim.proto` (v2 is the same under
//! another name), `api/events/task.proto`, `api/types`, `api/runtime/bootstrap/v1` and the two `stats/metrics.proto` of
//! containerd/cgroups. Fields that are not listed are skipped when a message is read.

pub(crate) mod bootstrap;
pub(crate) mod events;
pub(crate) mod metrics_v1;
pub(crate) mod metrics_v2;
pub(crate) mod options;
pub(crate) mod task;
pub(crate) mod types;

pub(crate) use types::{Any, Empty, Timestamp};
