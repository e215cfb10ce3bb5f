//! Starting processes, and what /proc tells of them.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

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
    program: PathBuf,
    name: Option<OsString>,
    arguments: Vec<OsString>,
    env_cleared: bool,
    /// Variables set, and without a value those unset.
    env: BTreeMap<OsString, Option<OsString>>,
    stdio: [Option<OwnedFd>; 3],
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
        Self {
            program: program.to_owned(),
            name: None,
            arguments: Vec::new(),
            env_cleared: false,
            env: BTreeMap::new(),
            stdio: [None, None, None],
            inherited: Vec::new(),
            new_session: false,
        }
    }

    /// Sets the program's own name, the first of its arguments (default: its path).
    pub fn arg0(mut self, name: impl AsRef<OsStr>) -> Self {
        self.name = Some(name.as_ref().to_owned());
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.arguments.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        self.arguments.extend(args);
        self
    }

    /// Starts with no environment variable at all; later [`Spawn::env`]s are kept.
    pub fn env_clear(mut self) -> Self {
        self.env_cleared = true;
        self.env.clear();
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref().to_owned();
        self.env.insert(name.as_ref().to_owned(), Some(value));
        self
    }

    /// Unsets an environment variable.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), None);
        self
    }

    /// Its stdin.
    pub fn stdin(mut self, fd: OwnedFd) -> Self {
        self.stdio[0] = Some(fd);
        self
    }

    /// Its stdout.
    pub fn stdout(mut self, fd: OwnedFd) -> Self {
        self.stdio[1] = Some(fd);
        self
    }

    /// Its stderr.
    pub fn stderr(mut self, fd: OwnedFd) -> Self {
        self.stdio[2] = Some(fd);
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
        let descriptors = self.take_descriptors()?;
        let program = c_string(self.program.as_os_str())?;
        let name = self.name.as_deref().unwrap_or(self.program.as_os_str());
        let arguments: io::Result<Vec<_>> = std::iter::once(name)
            .chain(self.arguments.iter().map(OsString::as_os_str))
            .map(c_string)
            .collect();
        // What we were born with is not the child's business either. Fails before Linux 5.11 only.
        let _ = sys::close_all_on_exec();
        // Nobody may reap it before its descriptor is open.
        let hold = subreaper::hold();
        let started = sys::spawn(&sys::Program {
            path: &program,
            arguments: &arguments?,
            environment: &self.environment()?,
            descriptors: &descriptors,
            new_session: self.new_session,
        });
        let pid = started.context("cannot execute", self.program.display())?;
        let pidfd = PidFd::open(pid)?;
        drop(hold);
        Ok(Child { pid, pidfd })
    }

    /// Everything it inherits with the number that each gets, set apart.
    fn take_descriptors(&mut self) -> io::Result<Vec<(OwnedFd, i32)>> {
        let inherited = std::mem::take(&mut self.inherited);
        if inherited.iter().any(|(_, number)| *number < 3) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let stdio = std::mem::take(&mut self.stdio);
        let mut descriptors = Vec::with_capacity(stdio.len() + inherited.len());
        for (fd, number) in stdio.into_iter().zip(0..) {
            descriptors.push((fd.map_or_else(null, Ok)?, number));
        }
        descriptors.extend(inherited);
        set_apart(descriptors)
    }

    /// `NAME=VALUE` for every variable.
    fn environment(&self) -> io::Result<Vec<CString>> {
        let kept = std::env::vars_os().filter(|(name, _)| !self.env_cleared && !self.env.contains_key(name));
        let set = self.env.iter();
        let set = set.filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
        kept.chain(set)
            .map(|(mut variable, value)| {
                variable.push("=");
                variable.push(value);
                c_string(&variable)
            })
            .collect()
    }
}

fn null() -> io::Result<OwnedFd> {
    let file = File::options().read(true).write(true).open("/dev/null")?;
    Ok(file.into())
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(io::Error::from)
}

/// Moves the descriptors above every number that one of them is to get, so that none is overwritten by another.
fn set_apart(descriptors: Vec<(OwnedFd, i32)>) -> io::Result<Vec<(OwnedFd, i32)>> {
    let above = descriptors
        .iter()
        .map(|(_, number)| number + 1)
        .max()
        .unwrap_or(3);
    descriptors
        .into_iter()
        .map(|(fd, number)| {
            let apart = if fd.as_raw_fd() < above {
                rustix::io::fcntl_dupfd_cloexec(&fd, above)?
            } else {
                fd
            };
            Ok((apart, number))
        })
        .collect()
}
