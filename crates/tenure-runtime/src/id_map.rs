//! User namespaces that exist for nothing but their id mappings: mounts are mapped by them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use libcontainer::oci_spec::runtime::{Linux, LinuxIdMapping, Mount};
use rustix::fs::{Mode, OFlags};

use crate::Error;
use crate::channel::Channel;
use crate::namespace::{Namespaces, write_mapping};
use crate::process::Child;
use crate::sys::{self, Cloned};

/// What ids are mapped by: lines for users, lines for groups.
type Mappings<'a> = (&'a [LinuxIdMapping], &'a [LinuxIdMapping]);

/// The user namespaces of one container's id-mapped mounts, each made once.
pub(crate) struct IdMaps<'a> {
    linux: &'a Linux,
    namespaces: &'a Namespaces,
    made: Vec<(Mappings<'a>, OwnedFd)>,
}

impl<'a> IdMaps<'a> {
    /// None yet. `namespaces` are the container's.
    pub(crate) fn new(linux: &'a Linux, namespaces: &'a Namespaces) -> Self {
        Self {
            linux,
            namespaces,
            made: Vec::new(),
        }
    }

    /// The namespace for a mount: of its own mappings, or else of the container's.
    pub(crate) fn namespace(&mut self, mount: &'a Mount) -> Result<BorrowedFd<'_>, Error> {
        let list = |l: &'a Option<Vec<LinuxIdMapping>>| l.as_deref().unwrap_or_default();
        let own = (list(mount.uid_mappings()), list(mount.gid_mappings()));
        let wanted = if own.0.is_empty() && own.1.is_empty() {
            if let Some(joined) = self.namespaces.user.joined() {
                return Ok(joined);
            }
            (list(self.linux.uid_mappings()), list(self.linux.gid_mappings()))
        } else {
            own
        };
        let known = self.made.iter().position(|(mappings, _)| *mappings == wanted);
        let index = match known {
            Some(index) => index,
            None => {
                self.made.push((wanted, make(wanted)?));
                self.made.len() - 1
            }
        };
        let made = self.made.get(index).map(|(_, fd)| fd.as_fd());
        made.ok_or_else(|| Error::system("find a user namespace")(std::io::ErrorKind::NotFound.into()))
    }
}

/// Makes a user namespace. It lives as long as its descriptor: the process that makes it does nothing else.
fn make((users, groups): Mappings<'_>) -> Result<OwnedFd, Error> {
    let (ours, theirs) = Channel::pair().map_err(Error::system("create a socket pair"))?;
    let cloned = sys::clone3(libc::CLONE_NEWUSER as u64, None);
    let child = match cloned.map_err(Error::system("create a user namespace for id mappings"))? {
        Cloned::Child => {
            drop(ours);
            // Until the other end is closed, be it by death.
            theirs.wait_for_go();
            sys::exit_now(0)
        }
        Cloned::Parent(pid, pidfd) => Child::new(pid, pidfd),
    };
    write_mapping(Path::new(&format!("/proc/{}/uid_map", child.pid)), users)?;
    write_mapping(Path::new(&format!("/proc/{}/gid_map", child.pid)), groups)?;
    let path = format!("/proc/{}/ns/user", child.pid);
    rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::file("open namespace", path)(error.into()))
}
