//! `exec`: one more process in a container.
//!
//! The process enters the container's cgroups first and its user namespace before all others: with the host's user
//! namespace it would be the host's root inside the container.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use libcontainer::oci_spec::runtime::{Linux, Process};
use libcontainer::process::cpu_affinity::set_cpuset_affinity_from_string;
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Signal as ProcessSignal};

use crate::announce::Audience;
use crate::cgroup::Entrance;
use crate::channel::{Channel, Message};
use crate::create::{limit, preserved, set_oom_score};
use crate::failure::Failure;
use crate::init::{become_root_of_namespace, join_keyring, open_terminal};
use crate::namespace::{PidNamespace, all_flags};
use crate::process::Child;
use crate::program::Program;
use crate::rootfs::change_root;
use crate::seccomp::{self, Filter};
use crate::settle::{Settlement, let_go_of_host, reopen_null, settle};
use crate::status::{Judged, judge};
use crate::store::{Entry, Record};
use crate::sys::{self, Cloned};
use crate::validate::validate_process;
use crate::{Error, ExecRequest, Executed, Status, config, console, notify};

/// What the new process needs, prepared by the runtime process.
struct Setup<'a> {
    linux: &'a Linux,
    process: &'a Process,
    record: &'a Record,
    entrance: Entrance,
    /// Init, through which its namespaces are entered.
    init: OwnedFd,
    namespaces: i32,
    /// Init's root, which no namespace brings along.
    root: Option<OwnedFd>,
    console: Option<OwnedFd>,
    filter: Option<Filter>,
    preserve_fds: u32,
    inherited_env: Vec<String>,
}

/// Runs a process in a container.
pub(crate) fn exec(
    entry: &Entry,
    filters: &seccomp::Cache,
    request: &ExecRequest,
) -> Result<Executed, Error> {
    let process = &request.process;
    validate_process(process).map_err(|(at, reason)| Error::process(&at, &reason))?;
    let console = console::Request {
        terminal: process.terminal() == Some(true),
        socket: request.console_socket.as_deref(),
        fd: request.console_fd.as_ref(),
    };
    console.check()?;
    let record = entry.load()?;
    let Judged { status, init } = judge(entry, &record);
    let init = init
        .filter(|_| match status {
            Status::Created | Status::Running => true,
            Status::Paused => request.ignore_paused,
            Status::Creating | Status::Stopped => false,
        })
        .ok_or_else(|| Error::CannotExec {
            id: entry.id.to_string(),
            status,
        })?;
    let spec = config::parse(&entry.config_path(), &entry.load_config()?)?;
    let Some(linux) = spec.linux() else {
        return Err(Error::Unsupported {
            what: "a configuration without linux".to_owned(),
        });
    };
    let (preserve_fds, inherited_env) = preserved(request.preserve_fds)?;
    let filter = Filter::prepare(linux.seccomp().as_ref(), filters)?;
    let mut namespaces = all_flags(linux);
    if same_user_namespace(&record) {
        namespaces &= !libc::CLONE_NEWUSER;
    }
    let setup = Setup {
        linux,
        process,
        record: &record,
        entrance: record.cgroups.open_below(&request.cgroups)?,
        init,
        root: own_root(&record, namespaces)?,
        namespaces,
        console: console.connect(entry)?,
        filter,
        preserve_fds,
        inherited_env,
    };
    let (channel, child) = fork(setup)?;
    let service = Service {
        channel,
        child,
        entry,
        request,
        record: &record,
        linux,
    };
    service.attend()
}

/// The root of a container that has no mount namespace.
fn own_root(record: &Record, namespaces: i32) -> Result<Option<OwnedFd>, Error> {
    let Some(init) = record.init.filter(|_| namespaces & libc::CLONE_NEWNS == 0) else {
        return Ok(None);
    };
    let path = format!("/proc/{}/root", init.pid);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        rustix::fs::open(&path, flags, Mode::empty()).map_err(|e| Error::file("open", &path)(e.into()))?;
    // Still the same process: it is its root that has been opened.
    if init.open().is_none() {
        return Err(Error::file("open", &path)(std::io::ErrorKind::NotFound.into()));
    }
    Ok(Some(root))
}

/// A user namespace cannot be joined by those who are in it already.
fn same_user_namespace(record: &Record) -> bool {
    let link = |pid: String| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let init = record.init.map_or(0, |i| i.pid).to_string();
    !record.user_namespace || link("self".to_owned()) == link(init)
}

fn fork(setup: Setup<'_>) -> Result<(Channel, Child), Error> {
    let (ours, theirs) = Channel::pair().map_err(Error::system("create a socket pair"))?;
    if rustix::process::geteuid().is_root() {
        // The container's processes must not be able to trace what joins them.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|e| Error::system("change dumpability")(e.into()))?;
    }
    let pid = setup.namespaces & libc::CLONE_NEWPID;
    let joined = (pid != 0).then(|| setup.init.as_fd());
    let pid_namespace = PidNamespace::of_children(joined, pid)?;
    let unified = setup.entrance.unified.as_ref().map(AsFd::as_fd);
    let cloned = match sys::clone3(0, unified) {
        // Its cgroup takes no process any more, as init has gone further down.
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
            let init = setup.record.init.map_or(0, |i| i.pid);
            let further = setup.record.cgroups.open_unified_of(init);
            sys::clone3(0, further.as_ref().map(AsFd::as_fd))
        }
        other => other,
    };
    let (pid, pidfd) = match cloned.map_err(Error::system("fork"))? {
        Cloned::Child => {
            drop(ours);
            new_process(setup, &theirs)
        }
        Cloned::Parent(pid, pidfd) => (pid, pidfd),
    };
    drop((pid_namespace, theirs));
    let child = Child::new(pid, pidfd);
    set_oom_score(setup.process, pid)?;
    Ok((ours, child))
}

/// What the runtime process knows while it serves a new process.
struct Service<'a> {
    channel: Channel,
    child: Child,
    entry: &'a Entry,
    request: &'a ExecRequest,
    record: &'a Record,
    linux: &'a Linux,
}

impl Service<'_> {
    /// Serves the new process until its program has been executed.
    fn attend(mut self) -> Result<Executed, Error> {
        let mut message = self.receive()?;
        if let Message::Listener(number) = message {
            let profile = self.linux.seccomp().as_ref();
            notify::tell_agent(profile, self.record, Status::Running, &self.child, number)?;
            self.go()?;
            message = self.receive()?;
        }
        match message {
            Message::Ready => {
                if self.record.user_namespace {
                    limit(&self.request.process, Some(self.child.pid))?;
                }
                let audience = Audience {
                    pid_file: self.request.pid_file.as_deref(),
                    pidfd_socket: self.request.pidfd_socket.as_deref(),
                    kind: "setns",
                };
                audience.tell(&self.child, self.entry)?;
                self.go()?;
            }
            Message::Failed(failure) => return Err(failure.into()),
            Message::Hooks | Message::Closed | Message::Pid(_) | Message::Listener(_) => {
                return Err(Error::InitDied {
                    during: "exec",
                    how: self.child.wait(),
                });
            }
        }
        if let Message::Failed(failure) = self.receive()? {
            return Err(failure.into());
        }
        let (pid, pidfd) = self.child.keep()?;
        Ok(Executed { pid, pidfd })
    }

    fn receive(&self) -> Result<Message, Error> {
        self.channel
            .receive()
            .map_err(Error::system("hear from the process"))
    }

    fn go(&self) -> Result<(), Error> {
        self.channel.go().map_err(Error::system("let the process go on"))
    }
}

/// Runs in the new process. Never returns.
fn new_process(setup: Setup<'_>, channel: &Channel) -> ! {
    let _ = rustix::process::set_parent_process_death_signal(Some(ProcessSignal::KILL));
    let failure = match prepare(setup, channel) {
        Ok(program) => {
            let ready = channel.send(&Message::Ready);
            if ready.is_err() || !channel.wait_for_go() {
                sys::exit_now(1);
            }
            program.execute()
        }
        Err(failure) => failure,
    };
    let _ = channel.send(&Message::Failed(failure));
    sys::exit_now(1)
}

fn prepare(setup: Setup<'_>, channel: &Channel) -> Result<Program, Failure> {
    let affinity = setup.process.exec_cpu_affinity().as_ref();
    pin(affinity.and_then(|a| a.initial().as_deref()))?;
    setup
        .entrance
        .enter()
        .map_err(Failure::step("enter the container's cgroups"))?;
    drop(setup.entrance);
    pin(affinity.and_then(|a| a.cpu_affinity_final().as_deref()))?;
    let mut keep = vec![channel.as_fd(), setup.init.as_fd()];
    keep.extend(setup.root.as_ref().map(AsFd::as_fd));
    keep.extend(setup.console.as_ref().map(AsFd::as_fd));
    let_go_of_host(&keep, setup.preserve_fds)?;
    rustix::process::setsid().map_err(Failure::step("create a session"))?;
    // The pid namespace was entered by birth. The kernel takes the user namespace first.
    let others = setup.namespaces & !libc::CLONE_NEWPID;
    sys::setns(setup.init.as_fd(), others).map_err(Failure::step("join the container's namespaces"))?;
    if others & libc::CLONE_NEWUSER != 0 {
        become_root_of_namespace()?;
    }
    if let Some(root) = setup.root {
        change_root(root.as_fd()).map_err(Failure::step("change to the container's root"))?;
    }
    drop(setup.init);
    join_keyring(&setup.record.id)?;
    match setup.console {
        Some(console) => open_terminal(console, setup.process, false)?,
        None => reopen_null().map_err(Failure::step("open the container's /dev/null"))?,
    }
    settle(&Settlement {
        process: setup.process,
        linux: setup.linux,
        in_user_namespace: setup.record.user_namespace,
        filter: setup.filter.as_ref(),
        channel,
        preserved: setup.preserve_fds,
        inherited_env: &setup.inherited_env,
    })
}

fn pin(cpus: Option<&str>) -> Result<(), Failure> {
    let Some(cpus) = cpus else { return Ok(()) };
    set_cpuset_affinity_from_string(Pid::from_raw(0), cpus)
        .map_err(|e| Failure::Step(format!("cannot run on CPUs {cpus}: {e}")))
}
