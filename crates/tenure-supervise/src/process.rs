//! Starting processes.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::pidfd::PidFd;

/// When the process started, in clock ticks after boot: field 22 of /proc/PID/stat. With the pid it names a process
/// for ever.
pub fn start_time(pid: i32) -> io::Result<u64> {
    let _ = pid;
    Err(io::ErrorKind::Unsupported.into())
}

/// A process to be started. Its stdio is /dev/null unless given; it inherits our environment unless cleared, and no
/// other descriptor.
#[derive(Debug)]
pub struct Spawn {
    #[allow(dead_code)]
    program: PathBuf,
    #[allow(dead_code)]
    args: Vec<OsString>,
}

/// A started process.
#[derive(Debug)]
pub struct Child {
    /// Its pid, for records and display.
    pub pid: i32,
    /// The process; our child.
    pub pidfd: PidFd,
}

impl Spawn {
    /// A process of this program (a path; PATH is not searched).
    pub fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            args: Vec::new(),
        }
    }
    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }
    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }
    /// Starts with no environment variable at all; later [`Spawn::env`]s are kept.
    pub fn env_clear(self) -> Self {
        self
    }
    /// Sets an environment variable.
    pub fn env(self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let _ = (name, value);
        self
    }
    /// Unsets an environment variable.
    pub fn env_remove(self, name: impl AsRef<OsStr>) -> Self {
        let _ = name;
        self
    }
    /// Its working directory.
    pub fn current_dir(self, dir: &Path) -> Self {
        let _ = dir;
        self
    }
    /// Its stdin.
    pub fn stdin(self, fd: OwnedFd) -> Self {
        let _ = fd;
        self
    }
    /// Its stdout.
    pub fn stdout(self, fd: OwnedFd) -> Self {
        let _ = fd;
        self
    }
    /// Its stderr.
    pub fn stderr(self, fd: OwnedFd) -> Self {
        let _ = fd;
        self
    }
    /// Lets it inherit `fd` as descriptor `number` (3 or more).
    pub fn inherit(self, fd: OwnedFd, number: i32) -> Self {
        let _ = (fd, number);
        self
    }
    /// Makes it the leader of a new session (setsid).
    pub fn new_session(self) -> Self {
        self
    }
    /// Starts it.
    pub fn spawn(self) -> io::Result<Child> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
