//! `containerd-shim-tenure-v1`: containerd's containers under Tenure's runtime and managed lifecycle (runtime type
//! `io.containerd.tenure.v1`).
//!
//! Knows: containerd's ways (how a shim is started, its task API and events, standard streams by fifo). Does not know: how
//! a container is made (`tenure-runtime`), nor when a handler runs or a grace period ends (`tenure-lifecycle`).
//!
//! ```text
//! containerd ──exec──▶ start ──fork──▶ shim, one for a pod           ──fork──▶ launcher ──fork──▶ a worker an operation
//!      │                 └▶ address      one thread, an event loop             one thread          tenure-runtime
//!      └──ttrpc: task v2, v3──▶ service ──▶ task ──▶ launcher, stdio
//!      ◀──ttrpc: events──────── publish ◀───┘ └──▶ tenure-engine: handlers, preStop, grace (annotations only)
//!      └──exec──▶ delete: what a shim that has died left behind
//! ```
//!
//! # Contract
//! - It is the `tenure` program under another name: whoever executes `tenure` as `containerd-shim-tenure-v1` gets it, and
//!   no further program is executed for any operation on a container.
//! - Both ways of being started that containerd 1.6 to 2.3 know, and both versions of the task API, on one socket.
//! - Nothing waits for containerd: it may be killed and come back. A shim that gets no container within
//!   20 seconds ends, and so does one that is told to when it has none.
//! - The shim killed at any moment, `delete` finds everything by the bundle and the runtime's records.
//! - Without lifecycle annotations every signal passes unchanged; with them a stop signal begins the managed stop.

mod arguments;
mod bundle;
mod daemon;
mod delete;
mod info;
mod launcher;
mod log;
mod metrics;
mod proto;
mod publish;
mod service;
mod settings;
mod start;
mod stdio;
mod task;
mod ttrpc;

use std::ffi::OsStr;
use std::path::Path;

use arguments::{Arguments, Command};

/// The name by which containerd executes the shim of the runtime type `io.containerd.tenure.v1`.
pub const NAME: &str = "containerd-shim-tenure-v1";

/// Whether a program that was executed by this name (the first of its arguments) is to be the shim.
pub fn is_meant(name: &OsStr) -> bool {
    Path::new(name).file_name() == Some(OsStr::new(NAME))
}

/// Is the shim, with this process's arguments and standard streams; gives the exit code. `features` is the runtime-spec's
/// features object of the runtime, as JSON.
///
/// To be called first thing, from a process with a single thread.
pub fn main(features: &str) -> u8 {
    match run(features) {
        Ok(()) => 0,
        Err(message) => {
            // What containerd puts into its own error.
            eprintln!("{NAME}: {message}");
            1
        }
    }
}

fn run(features: &str) -> Result<(), String> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    match arguments.command {
        Command::Version => info::version(),
        Command::Info => info::info(features),
        Command::Start => start::start(&arguments),
        Command::Delete => delete::delete(&arguments),
    }
}
