//! `create` and `run`: from a bundle to a process that waits, or runs.
//!
//! ```text
//! runtime process                                     init
//!   read, validate, place
//!   record: name and cgroups
//!   make cgroups, apply limits
//!   clone3 ---------------------------------------->  enter cgroups, namespaces
//!   record: pid; rlimits; config                      mounts, devices        (at the same time)
//!   prestart, createRuntime hooks  <---- H ---------
//!                                  ----- G -------->  createContainer hooks, pivot, user, seccomp
//!   record: ready; pid file        <---- R ---------
//!                                  ----- G -------->  exec, or wait for `start`
//! ```
//!
//! Whatever fails on either side, [`Undo`] kills init and removes cgroups and record.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::{Linux, Process, Spec};
use rustix::process::{DumpableBehavior, Pid, Resource, Rlimit};

use crate::announce::Audience;
use crate::cgroup::{Cgroups, Property, StartError};
use crate::channel::{Channel, Message};
use crate::config::{self, Config};
use crate::console;
use crate::failure::Failure;
use crate::hook::Point;
use crate::init::{self, Setup, Start};
use crate::namespace::{Namespaces, PidNamespace, all_flags, write_mappings};
use crate::placement::Placement;
use crate::process::{Child, ProcessKey};
use crate::seccomp::Filter;
use crate::sources::sources;
use crate::store::{Entry, Record, Store};
use crate::sys::{self, Cloned};
use crate::{
    ContainerId, CreateRequest, Created, Error, RuntimeOptions, Status, net_device, notify, rootfs, start,
    time,
};

/// Whether the program starts at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Create,
    Run,
}

/// A container under construction. Dropped, it leaves nothing behind.
struct Undo {
    entry: Entry,
    record: Record,
    child: Option<Child>,
    done: bool,
}

impl Undo {
    /// Mounts the root of a container that has no mount namespace. What is to be unmounted is written down before.
    fn shared_root(&mut self, linux: &Linux) -> Result<Option<OwnedFd>, Error> {
        if all_flags(linux) & libc::CLONE_NEWNS != 0 {
            return Ok(None);
        }
        let directory = self.record.rootfs.clone();
        let failed = || Error::file("mount", &directory);
        let (tree, number) = rootfs::shared::detach(&directory).map_err(failed())?;
        self.record.root_mount = Some(number);
        self.entry.save(&self.record)?;
        rootfs::shared::attach(tree.as_fd(), &directory).map_err(failed())?;
        Ok(Some(tree))
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        drop(self.child.take());
        let record = &self.record;
        for result in [record.unmount(), record.cgroups.remove(), self.entry.remove()] {
            if let Err(error) = result {
                tracing::warn!(id = %self.entry.id, %error, "cannot undo a failed create");
            }
        }
    }
}

/// Creates a container, and starts it if `mode` says so.
pub(crate) fn create(
    store: &Store,
    options: &RuntimeOptions,
    id: &ContainerId,
    request: &CreateRequest,
    mode: Mode,
) -> Result<Created, Error> {
    let Config { spec, bytes } = config::read(&request.bundle)?;
    let (Some(linux), Some(process)) = (spec.linux(), spec.process()) else {
        return Err(Error::Unsupported {
            what: "a configuration without linux or process".to_owned(),
        });
    };
    let console = console::Request {
        terminal: process.terminal() == Some(true),
        socket: request.console_socket.as_deref(),
        fd: request.console_fd.as_ref(),
    };
    console.check()?;
    let (preserve_fds, inherited_env) = preserved(request.preserve_fds)?;
    let filter = Filter::prepare(linux.seccomp().as_ref(), &store.filters)?;
    let Placement { cgroups, unit } = Placement::of(id, &spec, request, options)?;
    let record = new_record(id, &spec, cgroups, request)?;
    let mut undo = claim(store, id, record)?;
    let entrance = undo.record.cgroups.prepare(linux.resources().as_ref())?;
    let root = undo.shared_root(linux)?;
    let record = undo.record.clone();
    let namespaces = Namespaces::open(linux)?;
    let setup = Setup {
        spec: &spec,
        linux,
        process,
        record: &record,
        cgroups: &record.cgroups,
        entrance,
        sources: sources(&spec, linux, &record, &namespaces)?,
        namespaces,
        root,
        console: console.connect(&undo.entry)?,
        start: match mode {
            Mode::Create => start::prepare(&undo.entry)?,
            Mode::Run => Start::AtOnce,
        },
        filter,
        no_pivot: request.no_pivot,
        no_new_keyring: request.no_new_keyring,
        preserve_fds,
        inherited_env,
        host_pid: None,
    };
    let mut birth = Birth {
        undo: &mut undo,
        spec: &spec,
        linux,
        process,
        unit,
    };
    let channel = birth.fork(setup)?;
    birth.undo.entry.save_config(&bytes)?;
    birth.attend(&channel)?;
    finish(undo, &spec, request, &channel, mode)
}

/// Takes the id and writes down which cgroups are about to be made.
fn claim(store: &Store, id: &ContainerId, record: Record) -> Result<Undo, Error> {
    let entry = store.create(id)?;
    if let Err(error) = record.cgroups.check_free() {
        entry.remove()?;
        return Err(error);
    }
    let undo = Undo {
        entry,
        record,
        child: None,
        done: false,
    };
    undo.entry.save(&undo.record)?;
    Ok(undo)
}

/// The record of a container that is about to be made.
fn new_record(
    id: &ContainerId,
    spec: &Spec,
    cgroups: Cgroups,
    request: &CreateRequest,
) -> Result<Record, Error> {
    let canonical = |path: &Path| fs::canonicalize(path).map_err(Error::file("resolve", path));
    let bundle = canonical(&request.bundle)?;
    let root: PathBuf = spec
        .root()
        .as_ref()
        .map(|r| bundle.join(r.path()))
        .unwrap_or_default();
    let pid = i32::try_from(std::process::id()).unwrap_or(0);
    use libcontainer::oci_spec::runtime::LinuxNamespaceType as Kind;
    let namespaces = spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
    let namespace = |kind: Kind| namespaces.into_iter().flatten().find(|n| n.typ() == kind);
    let annotations: BTreeMap<String, String> = spec
        .annotations()
        .iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    Ok(Record {
        oci_version: spec.version().clone(),
        id: id.to_string(),
        rootfs: canonical(&root)?,
        bundle,
        created: time::now(),
        owner: rustix::process::geteuid().as_raw(),
        annotations,
        creator: ProcessKey::of(pid).map_err(Error::file("read", "/proc/self/stat"))?,
        init: None,
        ready: false,
        cgroups,
        user_namespace: namespace(Kind::User).is_some(),
        private_pid_namespace: namespace(Kind::Pid).is_some_and(|n| n.path().is_none()),
        poststart: Point::Poststart.is_used(spec.hooks().as_ref()),
        poststop: Point::Poststop.is_used(spec.hooks().as_ref()),
        root_mount: None,
    })
}

/// Checks the descriptors to be passed on, and adds those of socket activation.
///
/// Returns their number and the variables that tell the program about the latter.
pub(crate) fn preserved(count: u32) -> Result<(u32, Vec<String>), Error> {
    let listen: u32 = std::env::var("LISTEN_FDS")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(0);
    let total = count.saturating_add(listen);
    for fd in 3..total.saturating_add(3) {
        if !i32::try_from(fd).is_ok_and(sys::is_open) {
            let what = "find a descriptor that is to be preserved";
            return Err(Error::file(what, fd.to_string())(
                std::io::ErrorKind::NotFound.into(),
            ));
        }
    }
    let env = if listen > 0 {
        vec![format!("LISTEN_FDS={listen}"), "LISTEN_PID=1".to_owned()]
    } else {
        Vec::new()
    };
    Ok((total, env))
}

/// The time from init's birth to the moment when it is set up.
struct Birth<'a> {
    undo: &'a mut Undo,
    spec: &'a Spec,
    linux: &'a Linux,
    process: &'a Process,
    /// What systemd is told of the container, if it makes its cgroup.
    unit: Vec<Property>,
}

impl Birth<'_> {
    /// Forks init, or the process that forks it, and sees to what only its parent can do for it.
    fn fork(&mut self, setup: Setup<'_>) -> Result<Channel, Error> {
        let (ours, theirs) = Channel::pair().map_err(Error::system("create a socket pair"))?;
        if rustix::process::geteuid().is_root() {
            // A process of a namespace that init joins must not be able to trace it.
            rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
                .map_err(|e| Error::system("change dumpability")(e.into()))?;
        }
        let namespaces = &setup.namespaces;
        let second_fork = namespaces.need_second_fork();
        let mut flags = if namespaces.user.is_new() {
            libc::CLONE_NEWUSER
        } else {
            0
        };
        if !second_fork && namespaces.pid.is_new() {
            flags |= libc::CLONE_NEWPID;
        }
        let joined = namespaces.pid.joined().filter(|_| !second_fork);
        let pid_namespace = PidNamespace::of_children(joined, libc::CLONE_NEWPID)?;
        let unified = setup.entrance.unified.as_ref().map(AsFd::as_fd);
        let new_user = namespaces.user.is_new();
        let (pid, pidfd) = match sys::clone3(flags as u64, unified).map_err(Error::system("fork init"))? {
            Cloned::Child => {
                drop(ours);
                init::first_process(setup, &theirs)
            }
            Cloned::Parent(pid, pidfd) => (pid, pidfd),
        };
        drop((pid_namespace, theirs, setup));
        let mut child = Child::new(pid, pidfd);
        if let Err(error) = self.provide(pid, new_user, &ours) {
            // It must be dead before its cgroups are removed.
            drop(child);
            return Err(error);
        }
        if second_fork {
            child = self.second(child, &ours)?;
        }
        self.undo
            .record
            .cgroups
            .init_is_in(self.linux.resources().as_ref())?;
        self.undo.record.init = Some(
            ProcessKey::of(child.pid).map_err(Error::file("read", format!("/proc/{}/stat", child.pid)))?,
        );
        set_oom_score(self.process, child.pid)?;
        self.undo.child = Some(child);
        self.undo.entry.save(&self.undo.record)?;
        Ok(ours)
    }

    /// Gives the first process forked what it waits for: systemd's cgroup, and the mappings of its user namespace.
    fn provide(&mut self, pid: i32, new_user: bool, channel: &Channel) -> Result<(), Error> {
        if self.undo.record.cgroups.scope.is_some() {
            self.start_scope(pid)?;
            channel.go().map_err(Error::system("let init go on"))?;
        }
        if new_user {
            write_mappings(self.spec, self.linux, pid)?;
            channel.go().map_err(Error::system("let init go on"))?;
        }
        Ok(())
    }

    /// Has systemd put a process into the container's scope, and does to its cgroup what systemd does not.
    fn start_scope(&mut self, pid: i32) -> Result<(), Error> {
        let cgroups = &self.undo.record.cgroups;
        match cgroups.start_scope(pid, &self.unit) {
            Ok(()) => {}
            Err(StartError::Failed(error)) => return Err(error),
            Err(StartError::NotOurs(error)) => {
                self.undo.record.cgroups = Cgroups::default();
                return Err(error);
            }
        }
        cgroups.create()?;
        cgroups.apply(self.linux.resources().as_ref())?;
        cgroups.admit_init(self.linux.resources().as_ref())
    }

    /// Hears of init from the process that forks it.
    fn second(&mut self, mut first: Child, channel: &Channel) -> Result<Child, Error> {
        let message = channel.receive().map_err(Error::system("hear from init"))?;
        match message {
            Message::Pid(pid) => {
                // A child of ours that nobody has reaped: the pid is still its own.
                let pidfd = Pid::from_raw(pid)
                    .ok_or(rustix::io::Errno::SRCH)
                    .and_then(|p| rustix::process::pidfd_open(p, rustix::process::PidfdFlags::empty()))
                    .map_err(|e| Error::system("open init")(e.into()))?;
                first.wait();
                Ok(Child::new(pid, pidfd))
            }
            Message::Failed(failure) => Err(failure.into()),
            _ => Err(Error::InitDied {
                during: "create",
                how: first.wait(),
            }),
        }
    }

    /// Serves init until it is set up.
    fn attend(&mut self, channel: &Channel) -> Result<(), Error> {
        let hooks = self.spec.hooks().as_ref();
        loop {
            match channel.receive().map_err(Error::system("hear from init"))? {
                Message::Hooks => {
                    let record = &self.undo.record;
                    let pid = record.init.map(|i| i.pid);
                    net_device::move_all(self.linux, pid.unwrap_or_default())?;
                    for point in [Point::Prestart, Point::CreateRuntime] {
                        point.run(hooks, record, pid, Some(&record.bundle))?;
                    }
                    channel.go().map_err(Error::system("let init go on"))?;
                }
                Message::Listener(number) => {
                    let child = self.undo.child.as_ref().ok_or(Error::InitDied {
                        during: "create",
                        how: String::new(),
                    })?;
                    let profile = self.linux.seccomp().as_ref();
                    notify::tell_agent(profile, &self.undo.record, Status::Creating, child, number)?;
                    channel.go().map_err(Error::system("let init go on"))?;
                }
                Message::Ready if self.undo.record.user_namespace => {
                    let pid = self.undo.child.as_ref().map(|c| c.pid);
                    return limit(self.process, pid).map_err(Into::into);
                }
                Message::Ready => return Ok(()),
                Message::Failed(failure) => return Err(failure.into()),
                Message::Closed | Message::Pid(_) => {
                    let how = self.undo.child.as_mut().map(Child::wait).unwrap_or_default();
                    return Err(Error::InitDied {
                        during: "create",
                        how,
                    });
                }
            }
        }
    }
}

/// Sets the resource limits of a process: of the caller where `pid` is `None`.
///
/// A limit that suits the program can be too tight for the set-up, so this comes last. Init sets its own just before
/// it becomes its user: another user's cannot be set without CAP_SYS_RESOURCE. In a user namespace, where it could not
/// raise any, its parent does it, when all else is set up.
pub(crate) fn limit(process: &Process, pid: Option<i32>) -> Result<(), Failure> {
    for limit in process.rlimits().iter().flatten() {
        let Some(resource) = resource(&limit.typ().to_string()) else {
            continue;
        };
        let infinite = |v: u64| Some(v).filter(|v| *v != u64::MAX);
        let new = Rlimit {
            current: infinite(limit.soft()),
            maximum: infinite(limit.hard()),
        };
        let what = format!("set {} to {}:{}", limit.typ(), limit.soft(), limit.hard());
        rustix::process::prlimit(pid.and_then(Pid::from_raw), resource, new).map_err(Failure::step(what))?;
    }
    Ok(())
}

/// Sets the OOM score of a child.
pub(crate) fn set_oom_score(process: &Process, pid: i32) -> Result<(), Failure> {
    let Some(score) = process.oom_score_adj() else {
        return Ok(());
    };
    fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string())
        .map_err(Failure::step(format!("set oomScoreAdj to {score}")))
}

/// The kernel's number of a limit by the name that a configuration has for it.
pub(crate) fn resource(name: &str) -> Option<Resource> {
    Some(match name.strip_prefix("RLIMIT_")? {
        "CPU" => Resource::Cpu,
        "FSIZE" => Resource::Fsize,
        "DATA" => Resource::Data,
        "STACK" => Resource::Stack,
        "CORE" => Resource::Core,
        "RSS" => Resource::Rss,
        "NPROC" => Resource::Nproc,
        "NOFILE" => Resource::Nofile,
        "MEMLOCK" => Resource::Memlock,
        "AS" => Resource::As,
        "LOCKS" => Resource::Locks,
        "SIGPENDING" => Resource::Sigpending,
        "MSGQUEUE" => Resource::Msgqueue,
        "NICE" => Resource::Nice,
        "RTPRIO" => Resource::Rtprio,
        "RTTIME" => Resource::Rttime,
        _ => return None,
    })
}

/// Makes the container known as created and lets init go.
fn finish(
    mut undo: Undo,
    spec: &Spec,
    request: &CreateRequest,
    channel: &Channel,
    mode: Mode,
) -> Result<Created, Error> {
    undo.record.ready = true;
    undo.entry.save(&undo.record)?;
    let pid = undo.record.init.map_or(0, |i| i.pid);
    if let Some(child) = &undo.child {
        let audience = Audience {
            pid_file: request.pid_file.as_deref(),
            pidfd_socket: request.pidfd_socket.as_deref(),
            kind: "standard",
        };
        audience.tell(child, &undo.entry)?;
    }
    undo.entry.unlock()?;
    channel.go().map_err(Error::system("let init go on"))?;
    if mode == Mode::Run {
        match channel.receive().map_err(Error::system("hear from init"))? {
            Message::Failed(failure) => return Err(failure.into()),
            _ => {
                let hooks = spec.hooks().as_ref();
                Point::Poststart.run(hooks, &undo.record, Some(pid), Some(&undo.record.bundle))?;
            }
        }
    }
    undo.done = true;
    let child = undo.child.take().ok_or(Error::InitDied {
        during: "create",
        how: String::new(),
    })?;
    let (pid, pidfd) = child.keep()?;
    Ok(Created { pid, pidfd })
}
