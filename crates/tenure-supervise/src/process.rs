//! Starting processes, and what /proc tells of them.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Context;
use crate::pidfd::PidFd;
use crate::{subreaper, sys};

/// When the process started, in clock ticks after boot: field 22 of /proc/PID/stat. With the pid it names a process
/// for ever.
pub fn start_time(pid: i32) -> io::Result<u64> {
    Ok(Stat::read(pid)?.start_time)
}

/// The pid of the process's parent.
pub fn parent(pid: i32) -> io::Result<i32> {
    Ok(Stat::read(pid)?.parent)
}

/// The part of /proc/PID/stat that is used here.
pub(crate) struct Stat {
    state: char,
    parent: i32,
    start_time: u64,
    exit_code: Option<i32>,
}

impl Stat {
    pub(crate) fn read(pid: i32) -> io::Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let bytes = std::fs::read(&path)?;
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, format!("{path} is not understood"));
        Self::parse(&bytes).ok_or_else(malformed)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        // The second field is the program's name in brackets, any byte allowed: the fields go on after the last one.
        let after_name = bytes.iter().rposition(|&byte| byte == b')')? + 1;
        let rest = std::str::from_utf8(bytes.get(after_name..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        // The third field comes first here: 22 is 17 after 5, 52 is 29 after 23.
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let start_time = fields.nth(17)?.parse().ok()?;
        let exit_code = fields.nth(29).and_then(|code| code.parse().ok());
        Some(Self {
            state,
            parent,
            start_time,
            exit_code,
        })
    }

    /// The wait status of a zombie, where we may see it.
    pub(crate) fn zombie_status(&self) -> Option<i32> {
        self.exit_code.filter(|_| self.state == 'Z')
    }
}

/// A process to be started. Its stdio is /dev/null unless given; it inherits our environment unless cleared, and no
/// other descriptor. Its signal mask is empty and every signal has its default action, whatever ours are.
#[derive(Debug)]
pub struct Spawn {
    command: Command,
    program: PathBuf,
    inherited: Vec<(OwnedFd, i32)>,
    new_session: bool,
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
        let mut command = Command::new(program);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self {
            command,
            program: program.to_owned(),
            inherited: Vec::new(),
            new_session: false,
        }
    }

    /// Sets the program's own name, the first of its arguments (default: its path).
    pub fn arg0(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.arg0(name);
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Starts with no environment variable at all; later [`Spawn::env`]s are kept.
    pub fn env_clear(mut self) -> Self {
        self.command.env_clear();
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Unsets an environment variable.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Its working directory.
    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Its stdin.
    pub fn stdin(mut self, fd: OwnedFd) -> Self {
        self.command.stdin(fd);
        self
    }

    /// Its stdout.
    pub fn stdout(mut self, fd: OwnedFd) -> Self {
        self.command.stdout(fd);
        self
    }

    /// Its stderr.
    pub fn stderr(mut self, fd: OwnedFd) -> Self {
        self.command.stderr(fd);
        self
    }

    /// Lets it inherit `fd` as descriptor `number` (3 or more).
    pub fn inherit(mut self, fd: OwnedFd, number: i32) -> Self {
        self.inherited.push((fd, number));
        self
    }

    /// Makes it the leader of a new session (setsid).
    pub fn new_session(mut self) -> Self {
        self.new_session = true;
        self
    }

    /// Starts it; returns once the program has been executed, or with the reason why it could not be.
    pub fn spawn(mut self) -> io::Result<Child> {
        let default_signals = sys::ignored_signals();
        let mut reserved = Vec::new();
        let is_plain = !self.new_session && self.inherited.is_empty() && default_signals.is_empty();
        if !is_plain || sys::blocks_signals()? {
            // Otherwise there is nothing to do after the fork, and the faster vfork is taken.
            let descriptors = set_apart(std::mem::take(&mut self.inherited), &mut reserved)?;
            let new_session = self.new_session;
            let setup = sys::ChildSetup {
                default_signals,
                descriptors,
                new_session,
            };
            sys::prepare_child(&mut self.command, setup);
        }
        // What we were born with is not the child's business either. Fails before Linux 5.11 only.
        let _ = sys::close_all_on_exec();
        // Nobody may reap it before its descriptor is open.
        let hold = subreaper::hold();
        let child = self.command.spawn();
        drop(reserved);
        let child = child.context("cannot execute", self.program.display())?;
        let pid = child.id().cast_signed();
        let pidfd = PidFd::open(pid)?;
        drop(hold);
        Ok(Child { pid, pidfd })
    }
}

/// Moves the descriptors above every number that one of them is to get, and occupies those numbers until the child is
/// started, so that no descriptor of the start itself is there to be overwritten.
fn set_apart(
    descriptors: Vec<(OwnedFd, i32)>,
    reserved: &mut Vec<OwnedFd>,
) -> io::Result<Vec<(OwnedFd, i32)>> {
    let above = descriptors
        .iter()
        .map(|(_, number)| number + 1)
        .max()
        .unwrap_or(3);
    let mut moved = Vec::new();
    for (fd, number) in descriptors {
        if number < 3 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let apart = rustix::io::fcntl_dupfd_cloexec(&fd, above)?;
        drop(fd);
        reserved.push(rustix::io::fcntl_dupfd_cloexec(&apart, number)?);
        moved.push((apart, number));
    }
    Ok(moved)
}
