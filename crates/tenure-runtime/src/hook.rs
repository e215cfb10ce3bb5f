//! OCI hooks: programs of the configuration, run at six points of a container's life.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use libcontainer::oci_spec::runtime::{Hook, Hooks};
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::failure::{Failure, reason_of};
use crate::process::wait_for_exit;
use crate::store::Record;
use crate::{Status, sys};

/// The points at which hooks run. "Handlers" of a pod's lifecycle are something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// In the runtime's namespaces, once the container's stand (old name).
    Prestart,
    /// The same, new name.
    CreateRuntime,
    /// In the container's namespaces, before its root is entered.
    CreateContainer,
    /// In the container, before its program.
    StartContainer,
    /// In the runtime's namespaces, after the program has been executed.
    Poststart,
    /// In the runtime's namespaces, after the container is deleted.
    Poststop,
}

impl Point {
    fn name(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    /// The status that hooks are told.
    fn status(self) -> Status {
        match self {
            Self::Prestart | Self::CreateRuntime | Self::CreateContainer => Status::Creating,
            Self::StartContainer => Status::Created,
            Self::Poststart => Status::Running,
            Self::Poststop => Status::Stopped,
        }
    }

    #[allow(deprecated)]
    fn of(self, hooks: &Hooks) -> &Option<Vec<Hook>> {
        match self {
            Self::Prestart => hooks.prestart(),
            Self::CreateRuntime => hooks.create_runtime(),
            Self::CreateContainer => hooks.create_container(),
            Self::StartContainer => hooks.start_container(),
            Self::Poststart => hooks.poststart(),
            Self::Poststop => hooks.poststop(),
        }
    }

    /// Whether the configuration has hooks for this point.
    pub(crate) fn is_used(self, hooks: Option<&Hooks>) -> bool {
        hooks
            .and_then(|h| self.of(h).as_ref())
            .is_some_and(|list| !list.is_empty())
    }

    /// Runs the hooks of this point in order, in `directory`; the first failure ends it. Without a directory they run in
    /// the caller's: then the static binary, too, starts them by vfork and execve alone. To change directory for a child,
    /// the standard library makes a socket pair there, which the container's filter may forbid.
    pub(crate) fn run(
        self,
        hooks: Option<&Hooks>,
        record: &Record,
        pid: Option<i32>,
        directory: Option<&Path>,
    ) -> Result<(), Failure> {
        let mut list = self.run_each(hooks, record, pid, directory);
        list.find(Result::is_err).unwrap_or(Ok(()))
    }

    /// Runs the hooks of this point in order, each when the iterator is asked for its result.
    pub(crate) fn run_each<'a>(
        self,
        hooks: Option<&'a Hooks>,
        record: &Record,
        pid: Option<i32>,
        directory: Option<&'a Path>,
    ) -> impl Iterator<Item = Result<(), Failure>> + 'a {
        let list = hooks.and_then(|h| self.of(h).as_ref());
        let state = list.map(|_| record.oci_state(self.status(), pid).to_string());
        list.into_iter().flatten().enumerate().map(move |(index, hook)| {
            let path = hook.path().display().to_string();
            tracing::debug!(kind = self.name(), index, path, "running hook");
            self.execute(hook, state.as_deref().unwrap_or_default(), directory)
                .map_err(|reason| Failure::Hook {
                    kind: self.name().to_owned(),
                    index,
                    path,
                    reason,
                })
        })
    }

    /// Runs one hook to its end, at the latest to the end of its time. Tells why it failed.
    fn execute(self, hook: &Hook, state: &str, directory: Option<&Path>) -> Result<(), String> {
        let mut child = self
            .spawn(hook, state, directory)
            .map_err(|e| format!("cannot execute it: {}", reason_of(&e)))?;
        let status =
            wait(&mut child, hook.timeout()).map_err(|e| format!("cannot wait for it: {}", reason_of(&e)))?;
        match status {
            None => {
                let seconds = hook.timeout().unwrap_or_default();
                Err(format!(
                    "it ran longer than its timeout of {seconds} s and was killed"
                ))
            }
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(match (status.code(), status.signal()) {
                (Some(code), _) => format!("hook command exited with non-zero exit code: {code}"),
                (None, signal) => format!("hook command was killed by signal {}", signal.unwrap_or_default()),
            }),
        }
    }

    /// Starts a hook.
    fn spawn(self, hook: &Hook, state: &str, directory: Option<&Path>) -> std::io::Result<Child> {
        let mut command = Command::new(hook.path());
        match hook.args().as_deref().and_then(|a| a.split_first()) {
            Some((name, args)) => command.arg0(name).args(args),
            None => command.arg0(hook.path()),
        };
        let variables = hook.env().iter().flatten().filter_map(|v| v.split_once('='));
        command.env_clear().envs(variables);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        command
            .stdin(state_to_read(state)?)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        if !matches!(self, Self::CreateContainer | Self::StartContainer) {
            // A foreground `run` has signals blocked that it forwards; hooks must not inherit that. Init has none, and may
            // be under a filter that forbids what this takes.
            sys::with_default_signals(&mut command);
        }
        command.spawn()
    }
}

/// What a pipe holds at the least, in bytes: so much can be written before anybody reads.
const PIPE_SIZE: usize = 4096;

/// The container's state, to be read by a hook. One that does not read it cannot hold us up: what a pipe might not
/// hold is in a file in memory. Pipes come first, for the container's filter may forbid such files.
fn state_to_read(state: &str) -> std::io::Result<Stdio> {
    if state.len() <= PIPE_SIZE {
        let (reader, mut writer) = std::io::pipe()?;
        writer.write_all(state.as_bytes())?;
        return Ok(reader.into());
    }
    let mut file = File::from(rustix::fs::memfd_create("state", MemfdFlags::CLOEXEC)?);
    file.write_all(state.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

/// Waits for a hook's end, and brings it about when its time is over (`None`).
fn wait(child: &mut Child, timeout: Option<i64>) -> std::io::Result<Option<ExitStatus>> {
    let Some(seconds) = timeout.and_then(|t| u64::try_from(t).ok()) else {
        return child.wait().map(Some);
    };
    // A child of ours that nobody has reaped: the pid is still its own.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pidfd = pidfd_open(pid.ok_or(rustix::io::Errno::SRCH)?, PidfdFlags::empty())?;
    // Longer than a machine lives is for ever.
    let limit = Duration::from_secs(seconds.min(u64::from(u32::MAX)));
    if wait_for_exit(pidfd.as_fd(), Some(limit))? {
        return child.wait().map(Some);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
