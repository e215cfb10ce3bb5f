//! OCI runtime operations: create, start, state, kill, delete, exec.
//!
//! It does not know pods, lifecycle handlers, grace periods, or any async runtime.

mod config;
mod error;
mod id;
mod protect;
mod request;
mod runtime;
mod signal;
mod state;

pub use config::{exec_process, load_config};
pub use error::Error;
pub use id::ContainerId;
pub use libcontainer::oci_spec;
pub use protect::protect_own_binary;
pub use request::{CreateRequest, Created, ExecRequest, Executed, ProcessOverrides};
pub use runtime::{Runtime, RuntimeOptions};
pub use signal::Signal;
pub use state::{ContainerState, Status};
