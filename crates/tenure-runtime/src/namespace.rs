//! Which namespaces a container joins and which it gets new.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use libcontainer::oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType, Spec};
use libcontainer::user_ns::UserNamespaceConfig;
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags};

use crate::failure::Failure;
use crate::{Error, sys};

/// Where one namespace of a container comes from.
#[derive(Debug, Default)]
pub(crate) enum Origin {
    /// The runtime's own.
    #[default]
    Inherited,
    /// A new one.
    New,
    /// An existing one.
    Joined(OwnedFd),
}

impl Origin {
    pub(crate) fn is_new(&self) -> bool {
        matches!(self, Self::New)
    }

    pub(crate) fn joined(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Joined(fd) => Some(fd.as_fd()),
            Self::Inherited | Self::New => None,
        }
    }
}

/// The namespaces of a container.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    pub(crate) user: Origin,
    pub(crate) pid: Origin,
    /// Whether a time namespace is to be made. Its maker does not enter it, only its children do.
    pub(crate) new_time: bool,
    /// `CLONE_NEW*` of the others that are new.
    new: i32,
    /// The others that are joined, by descriptor and flag.
    joined: Vec<(OwnedFd, i32, LinuxNamespaceType)>,
}

/// The flag of clone(2) and setns(2) for a type.
fn flag(kind: LinuxNamespaceType) -> i32 {
    match kind {
        LinuxNamespaceType::Mount => libc::CLONE_NEWNS,
        LinuxNamespaceType::Cgroup => libc::CLONE_NEWCGROUP,
        LinuxNamespaceType::Uts => libc::CLONE_NEWUTS,
        LinuxNamespaceType::Ipc => libc::CLONE_NEWIPC,
        LinuxNamespaceType::User => libc::CLONE_NEWUSER,
        LinuxNamespaceType::Pid => libc::CLONE_NEWPID,
        LinuxNamespaceType::Network => libc::CLONE_NEWNET,
        LinuxNamespaceType::Time => libc::CLONE_NEWTIME,
    }
}

/// The flags of all namespaces a configuration lists.
pub(crate) fn all_flags(linux: &Linux) -> i32 {
    linux
        .namespaces()
        .iter()
        .flatten()
        .fold(0, |flags, n| flags | flag(n.typ()))
}

/// Opens a namespace, and makes sure that it is one of this kind.
fn open(path: &Path, kind: LinuxNamespaceType) -> Result<OwnedFd, Error> {
    let fail = Error::file("open namespace", path);
    // Not blocking: it might be a fifo.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(error) => return Err(fail(error.into())),
    };
    match sys::namespace_type(fd.as_fd()) {
        Ok(found) if found == flag(kind) => Ok(fd),
        Ok(_) | Err(_) => Err(fail(io::Error::other(format!("it is no {kind} namespace")))),
    }
}

impl Namespaces {
    /// Opens what is to be joined, with the runtime's rights.
    pub(crate) fn open(linux: &Linux) -> Result<Self, Error> {
        let mut all = Self {
            user: Origin::Inherited,
            pid: Origin::Inherited,
            new_time: false,
            new: 0,
            joined: Vec::new(),
        };
        for namespace in linux.namespaces().iter().flatten() {
            let kind = namespace.typ();
            let fd = namespace
                .path()
                .as_deref()
                .map(|path| open(path, kind))
                .transpose()?;
            match (kind, fd) {
                (LinuxNamespaceType::User, fd) => all.user = fd.map_or(Origin::New, Origin::Joined),
                (LinuxNamespaceType::Pid, fd) => all.pid = fd.map_or(Origin::New, Origin::Joined),
                (LinuxNamespaceType::Time, None) => all.new_time = true,
                (kind, None) => all.new |= flag(kind),
                (kind, Some(fd)) => all.joined.push((fd, flag(kind), kind)),
            }
        }
        Ok(all)
    }

    /// Whether init cannot be the first process forked: what it must be born into has to be entered before.
    pub(crate) fn need_second_fork(&self) -> bool {
        self.new_time || self.user.joined().is_some()
    }

    /// Whether a namespace of this type is new.
    pub(crate) fn is_new(&self, kind: LinuxNamespaceType) -> bool {
        self.new & flag(kind) != 0
    }

    /// Enters everything but the user, pid and time namespaces.
    pub(crate) fn enter(&self) -> Result<(), Failure> {
        for (fd, flag, kind) in &self.joined {
            sys::setns(fd.as_fd(), *flag).map_err(Failure::step(format!("join {kind} namespace")))?;
        }
        sys::unshare(self.new).map_err(Failure::step("create namespaces"))
    }
}

/// Makes the children of this process start in another pid namespace, until dropped.
#[derive(Debug)]
pub(crate) struct PidNamespace(Option<OwnedFd>);

impl PidNamespace {
    /// Future children start in `namespace`.
    pub(crate) fn of_children(namespace: Option<BorrowedFd<'_>>, flags: i32) -> Result<Self, Error> {
        let Some(namespace) = namespace else {
            return Ok(Self(None));
        };
        let path = "/proc/self/ns/pid";
        let own = File::open(path).map_err(Error::file("open namespace", path))?;
        sys::setns(namespace, flags).map_err(Error::system("join pid namespace"))?;
        Ok(Self(Some(own.into())))
    }
}

impl Drop for PidNamespace {
    fn drop(&mut self) {
        if let Some(own) = &self.0
            && let Err(error) = sys::setns(own.as_fd(), libc::CLONE_NEWPID)
        {
            tracing::warn!(%error, "cannot return to the own pid namespace");
        }
    }
}

/// Writes the id mappings of a new user namespace, made by process `pid`.
pub(crate) fn write_mappings(spec: &Spec, linux: &Linux, pid: i32) -> Result<(), Error> {
    if rustix::process::geteuid().is_root() {
        let list = |l: &'_ Option<Vec<LinuxIdMapping>>| l.clone().unwrap_or_default();
        write_mapping(
            Path::new(&format!("/proc/{pid}/uid_map")),
            &list(linux.uid_mappings()),
        )?;
        return write_mapping(
            Path::new(&format!("/proc/{pid}/gid_map")),
            &list(linux.gid_mappings()),
        );
    }
    let init = |reason: String| Error::Init {
        reason: format!("cannot write id mappings: {reason}"),
    };
    let path = format!("/proc/{pid}/setgroups");
    let config = UserNamespaceConfig::new(spec).map_err(|e| init(e.to_string()))?;
    let Some(config) = config else { return Ok(()) };
    if config.newgidmap.is_none() {
        // Without a privileged program to write it, the kernel wants setgroups given up first.
        fs::write(&path, "deny").map_err(Error::file("write", &path))?;
    }
    config
        .write_uid_mapping(Pid::from_raw(pid))
        .map_err(|e| init(e.to_string()))?;
    config
        .write_gid_mapping(Pid::from_raw(pid))
        .map_err(|e| init(e.to_string()))
}

/// Writes one id mapping, in a single write as the kernel wants it.
pub(crate) fn write_mapping(path: &Path, mappings: &[LinuxIdMapping]) -> Result<(), Error> {
    let lines = mappings.iter();
    let text: String = lines
        .map(|m| format!("{} {} {}\n", m.container_id(), m.host_id(), m.size()))
        .collect();
    fs::write(path, text).map_err(Error::file("write", path))
}

/// The offsets of a new time namespace, as the kernel reads them.
pub(crate) fn time_offsets(linux: &Linux) -> Option<String> {
    let offsets = linux.time_offsets().as_ref().filter(|o| !o.is_empty())?;
    let line = |(clock, offset): (&String, &libcontainer::oci_spec::runtime::LinuxTimeOffset)| {
        format!(
            "{clock} {} {}\n",
            offset.secs().unwrap_or(0),
            offset.nanosecs().unwrap_or(0)
        )
    };
    Some(offsets.iter().map(line).collect())
}
