//! Runs real bundles through the built `tenure` binary, and checks what a person would see.
//!
//! This crate knows the command line, the files that Tenure promises, and the kernel. It links none of Tenure's
//! crates: what it finds out, it finds out as a stranger would.
//!
//! ```text
//! Host --- a root directory of its own, a bundle, the binary, the guard against leftovers
//!   |
//!   +-- Manifest + Container --run--> RunningPod --- status, events, log lines, stop, signals
//!   +-- oci(...)             --run--> Outcome    --- exit code, stdout, stderr, duration
//!   |      '-- ShellBox                          a container whose program is a shell script
//!   +-- HttpServer                                   records the requests of httpGet handlers
//!   +-- HealthServer                                 answers grpc probes
//!   '-- Gate                                         a port that accepts connections, or refuses them
//! ```
//!
//! Contract: tests in one binary run at the same time, so nothing here is global. Waiting is for a condition with a
//! time-out, never for a length of time. Every [`Host`] checks when it is dropped that no process, mount, cgroup or
//! file of its test is left, and removes what is, so that one failed test does not spoil the next.
//!
//! Environment: `TENURE_BIN` is the binary (default: where `scripts/build` leaves it), `TENURE_RUNTIME` an OCI runtime
//! to be used in place of Tenure's own, `TENURE_SYSTEMD_CGROUP=1` has systemd make the cgroups,
//! `TENURE_TOLERANCE` is how many times slower than usual the machine is (half a second of lateness and every limit of
//! waiting are multiplied with it), `TENURE_SKIP_ROOT=1` passes tests over when not run as root, and
//! `TENURE_REQUIRE_ALL=1` forbids that.

// A harness speaks by panicking: a broken expectation is a failed test.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)]

mod bundle;
mod command;
mod gate;
mod grpc;
mod host;
mod http;
mod leftovers;
mod log;
mod manifest;
mod pod;
mod shell_box;
mod timing;

pub use bundle::{Bundle, busybox_rootfs};
pub use command::{Outcome, Spawned, finish, run, spawn};
pub use gate::Gate;
pub use grpc::HealthServer;
pub use host::{Host, host};
pub use http::{Answer, ClosedPort, HttpServer, Request};
pub use leftovers::Leftovers;
pub use log::{Event, Line, parse_cri_log, parse_events};
pub use manifest::{
    AWAIT_READY, Container, Manifest, STAY, ends_on_term, exec, http_get, ignores_term, shell, sleep,
};
pub use pod::{RunningPod, Stopped};
pub use shell_box::{ShellBox, shell_box};
pub use timing::{assert_about, assert_between, seconds_between, tolerance, wait_until};
