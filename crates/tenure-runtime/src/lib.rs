//! OCI runtime operations: create, start, run, state, kill, pause, resume, update, stats, delete, exec, list, ps.
//!
//! The choreography is this crate's own: one clone3, cgroups joined without moving a process by pid, mounts by
//! descriptor, a start signal that is itself the record of its being due, hooks that cannot outlive their time. Terminals,
//! AppArmor profiles, memory policies and the configuration's types are libcontainer's.
//!
//! It does not know pods, lifecycle handlers, grace periods, the command line, or any async runtime.
//!
//! ```text
//!            Runtime ── create ── start ── exec ── kill ── freeze ── update ── delete ── query
//!               │          │        │        │       └───────────────┬────────────────────┘
//!    Store ◄────┘          │        │        │            judge: pidfd + start time, set up?, freezer, start.fifo
//!    {root}/containers/ID  │        └ fifos  │
//!      state.json          ▼                 ▼
//!      config.json   ┌── fork ── channel ── fork ──┐      runtime process: record, limits, hooks, Undo
//!      start.fifo    │           (P H R E)         │
//!      exec.fifo     ▼                             ▼      the child, alone until exec:
//!                  init                      new process    cgroups, namespaces
//!                    │                             │        Rootfs: attach, populate, restrict, pivot, finish
//!                    └──────────► settle ◄─────────┘        settle: user, rights, limits, seccomp
//!                                    │
//!                                 Program: find, execute
//! ```
//!
//! # Contract
//! - **One thread.** Operations fork without exec, so the calling process must have a single thread. It becomes
//!   non-dumpable. No operation changes its working directory, environment or OOM score.
//! - **Facts, not memory.** A container's status is judged from its init's pidfd and start time, from whether
//!   `start.fifo` has a reader, and from its freezer. No record can make a recycled pid look alive, and no signal or
//!   killed command leaves a wrong status behind.
//! - **Record before effect.** The record names the cgroups before they are made. Killed at any moment, a creating
//!   process takes its init with it, and [`Runtime::delete`] removes what is left.
//! - **All or nothing.** An operation that fails half-way undoes what it did. Its error is one line, also where it
//!   happened on the container's side.
//! - **Init is the caller's child** until the caller ends, so the pidfds returned are good for waiting.
//! - **The configuration is kept.** exec and poststop hooks use the configuration as it was at create: the bundle
//!   may change or vanish while its container lives.
//! - **The container is hostile.** Nothing its image holds is trusted: destinations are resolved by the kernel
//!   inside the root and mounted on by descriptor, no descriptor of ours survives exec, user databases are read as
//!   text, and what enters a container first leaves the host's user namespace.
//!
//! Not yet: Intel RDT. It is one clear error.

mod announce;
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
mod freeze;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod hook;
mod id;
mod id_map;
mod init;
mod kill;
mod lenient;
mod namespace;
mod net_device;
mod notify;
mod placement;
mod process;
mod program;
mod protect;
mod query;
mod request;
mod rootfs;
mod runtime;
mod scheduler;
mod seccomp;
mod selinux;
mod settle;
mod signal;
mod small_file;
mod sources;
mod start;
mod state;
mod stats;
mod status;
mod store;
mod sys;
mod time;
mod update;
mod validate;

pub use cgroup::{DelegatedScope, OomWatch};
pub use config::{exec_process, load_config, load_process, parse_process};
pub use error::Error;
pub use id::ContainerId;
pub use libcontainer::oci_spec;
pub use protect::protect_own_binary;
pub use request::{CreateRequest, Created, ExecRequest, Executed, ProcessOverrides, SubCgroup};
pub use rootfs::{mount_options, mount_root, unmount_root};
pub use runtime::{Runtime, RuntimeOptions};
pub use signal::Signal;
pub use state::{ContainerState, Status};
pub use stats::{
    BlockIoEntry, BlockIoStats, CpuStats, CpuUsage, CpusetStats, HugetlbStats, MemoryStats, MemoryUsage,
    PidsStats, Pressure, PressureLine, Stats, Throttling,
};
pub use update::parse_resources;
