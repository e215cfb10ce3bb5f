//! Paths the container may not see, and paths it may not write.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, makedev};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};

use super::mounts::attach;
use super::path::resolve;
use crate::failure::Failure;
use crate::sys::{self, MountAttr};

const ATTR_RDONLY: u64 = 0x1;

/// Hides `masked` behind `/dev/null` or an empty directory, makes `read_only` so. What does not exist is left out.
///
/// Works on the root before it is entered, so that the null device and the mount are the host's.
pub(super) fn apply(root: BorrowedFd<'_>, masked: &[String], read_only: &[String]) -> Result<(), Failure> {
    for path in read_only {
        make_read_only(root, Path::new(path)).map_err(Failure::step(format!("make {path} read-only")))?;
    }
    if masked.is_empty() {
        return Ok(());
    }
    let null = open_null().map_err(Failure::step("open /dev/null"))?;
    let mut empty = None;
    for path in masked {
        mask(root, Path::new(path), &null, &mut empty).map_err(Failure::step(format!("mask {path}")))?;
    }
    Ok(())
}

/// Opens a place, or tells that there is none.
fn existing(root: BorrowedFd<'_>, path: &Path) -> io::Result<Option<OwnedFd>> {
    match resolve(root, path) {
        Ok(place) => Ok(Some(place)),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn copy(place: BorrowedFd<'_>, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(place, c"", flags).map_err(Into::into)
}

fn make_read_only(root: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let Some(place) = existing(root, path)? else {
        return Ok(());
    };
    let tree = copy(place.as_fd(), true)?;
    sys::mount_setattr(
        tree.as_fd(),
        &MountAttr {
            set: ATTR_RDONLY,
            ..MountAttr::default()
        },
        false,
    )?;
    attach(tree.as_fd(), place.as_fd())
}

fn mask(root: BorrowedFd<'_>, path: &Path, null: &OwnedFd, empty: &mut Option<OwnedFd>) -> io::Result<()> {
    let Some(place) = existing(root, path)? else {
        return Ok(());
    };
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&place)?.st_mode);
    if kind != FileType::Directory {
        return attach(copy(null.as_fd(), false)?.as_fd(), place.as_fd());
    }
    match empty {
        Some(first) => attach(copy(first.as_fd(), false)?.as_fd(), place.as_fd()),
        // Before Linux 6.15 only a mount that is attached somewhere can be copied: the first serves as it is.
        None => {
            let first = empty_directory()?;
            attach(first.as_fd(), place.as_fd())?;
            *empty = Some(first);
            Ok(())
        }
    }
}

/// The host's null device, checked to be one.
fn open_null() -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let null = rustix::fs::open("/dev/null", flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&null)?;
    let is_null =
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == makedev(1, 3);
    if is_null {
        Ok(null)
    } else {
        Err(io::Error::other("it is not the null device"))
    }
}

/// One read-only, empty file system, shown at every masked directory.
fn empty_directory() -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "size", "0k").ok();
    rustix::mount::fsconfig_set_string(context.as_fd(), "mode", "0755")?;
    rustix::mount::fsconfig_set_string(context.as_fd(), "nr_blocks", "1")?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    Ok(mount)
}
