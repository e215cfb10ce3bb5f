//! The root of a container that has no mount namespace of its own.
//!
//! Its mounts are the host's, so they are all made below one mount that the creator attaches and writes down before:
//! `delete` takes that one away, and nothing else that may be mounted at the same place.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags};

use super::path::magic;
use crate::sys::{self, MountAttr};

/// `STATX_MNT_ID_UNIQUE`, Linux 6.8: never given to another mount until the next boot.
const MNT_ID_UNIQUE: u32 = 0x4000;

/// A copy of the root's directory as a mount, not attached anywhere yet, and its number.
///
/// What is mounted below it stays below it, whatever the propagation of the host's mounts.
pub(crate) fn detach(directory: &Path) -> io::Result<(OwnedFd, u64)> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(CWD, directory, flags)?;
    let private = MountAttr {
        propagation: libc::MS_PRIVATE,
        ..MountAttr::default()
    };
    sys::mount_setattr(tree.as_fd(), &private, true)?;
    let number = number(tree.as_fd())?;
    Ok((tree, number))
}

/// Attaches it over the directory.
pub(crate) fn attach(tree: BorrowedFd<'_>, directory: &Path) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", CWD, directory, flags).map_err(Into::into)
}

/// Unmounts it, with all that is below. Does nothing if it is not there any more.
pub(crate) fn unmount(directory: &Path, wanted: u64) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = match rustix::fs::open(directory, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(()),
        other => other?,
    };
    if number(top.as_fd())? != wanted {
        return Ok(());
    }
    rustix::mount::unmount(magic(top.as_fd()), UnmountFlags::DETACH).map_err(Into::into)
}

fn number(mount: BorrowedFd<'_>) -> io::Result<u64> {
    let mask = StatxFlags::MNT_ID | StatxFlags::from_bits_retain(MNT_ID_UNIQUE);
    let stat = rustix::fs::statx(mount, c"", AtFlags::EMPTY_PATH, mask)?;
    Ok(stat.stx_mnt_id)
}
