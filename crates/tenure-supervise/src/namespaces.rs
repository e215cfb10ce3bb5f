//! Namespaces of a pod without a pause container.

use std::io;
use std::path::Path;

use crate::pidfd::PidFd;

/// Which namespaces a pod has of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Network, with the loopback up.
    pub network: bool,
    /// IPC.
    pub ipc: bool,
    /// Host name.
    pub uts: bool,
}

/// Makes the namespaces and binds them on `dir/net`, `dir/ipc`, `dir/uts`. `sysctls` (name with dots, value) are
/// written inside them. After an error nothing is left.
pub fn create(kinds: Kinds, hostname: &str, sysctls: &[(String, String)], dir: &Path) -> io::Result<()> {
    let _ = (kinds, hostname, sysctls, dir);
    Err(io::ErrorKind::Unsupported.into())
}

/// The first process of a shared PID namespace.
#[derive(Debug)]
pub struct PodInit {
    /// Its pid in our namespace, for records.
    pub pid: i32,
    /// Field 22 of its /proc/PID/stat.
    pub start_time: u64,
    /// The process; our child. SIGKILL to it ends everything in the namespace.
    pub pidfd: PidFd,
}

/// Starts `binary argument` (Tenure's hidden `pod-init`, which calls [`pod_init`]) as process 1 of a new PID
/// namespace and binds that namespace on `dir/pid`. After an error nothing is left.
pub fn create_pid(dir: &Path, binary: &Path, argument: &str) -> io::Result<PodInit> {
    let _ = (dir, binary, argument);
    Err(io::ErrorKind::Unsupported.into())
}

/// The body of `pod-init`: isolates itself, then reaps for ever. Returns only an error, to exit with code 1.
pub fn pod_init() -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Unbinds and removes what [`create`] and [`create_pid`] put into `dir`. Absence is success.
pub fn remove(dir: &Path) -> io::Result<()> {
    let _ = dir;
    Err(io::ErrorKind::Unsupported.into())
}
