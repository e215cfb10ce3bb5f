//! OCI runtime operations: create, start, state, kill, delete, exec.
//!
//! It does not know pods, lifecycle handlers, grace periods, or any async runtime.

mod bpf;
mod cgroup;
mod channel;
mod config;
mod console;
mod create;
mod delete;
mod error;
mod exec;
mod failure;
mod hook;
mod id;
mod init;
mod kill;
mod namespace;
mod process;
mod program;
mod protect;
mod query;
mod request;
mod rootfs;
mod runtime;
mod scheduler;
mod settle;
mod signal;
mod start;
mod state;
mod status;
mod store;
mod sys;
mod time;
mod validate;

pub use config::{exec_process, load_config};
pub use error::Error;
pub use id::ContainerId;
pub use libcontainer::oci_spec;
pub use protect::protect_own_binary;
pub use request::{CreateRequest, Created, ExecRequest, Executed, ProcessOverrides};
pub use runtime::{Runtime, RuntimeOptions};
pub use signal::Signal;
pub use state::{ContainerState, Status};
