//! Mounts that a pod needs on the host side.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use rustix::fs::{Mode, OFlags};

use crate::error::Context;

/// How a bind mount is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BindOptions {
    /// With everything mounted below the source.
    pub recursive: bool,
    /// Read-only (the top mount).
    pub read_only: bool,
}

/// Mounts an overlay of `upper` over `lower` on `target`. Any character may be in the paths. `upper` and `work` are
/// empty folders of one file system, which cannot itself be an overlay; they serve one mount only.
///
/// Devices and set-user-id programs work in it, as in the folder that it stands for: what may be done with them is
/// decided by the container's own configuration (noNewPrivileges, device rules).
pub fn overlay(lower: &Path, upper: &Path, work: &Path, target: &Path) -> io::Result<()> {
    // Options are one string of names with ',' and ':' between them: descriptors have neither.
    let (lower, upper, work) = (open_folder(lower)?, open_folder(upper)?, open_folder(work)?);
    let path = |fd: &OwnedFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        path(&lower),
        path(&upper),
        path(&work)
    );
    let kind = Some("overlay");
    let mount = |options: &str| mount(kind, target, kind, MsFlags::empty(), Some(options));
    // What is written goes with the mount: unmounting need not wait for the disk to have it all. Before Linux 5.10 it
    // does.
    match mount(&format!("{options},volatile")) {
        Err(Errno::EINVAL) => mount(&options),
        result => result,
    }
    .context("cannot mount an overlay on", target.display())
    .map_err(|error| explain_overlay(error, &upper))
}

/// Says so when the upper folder lies where overlayfs cannot write.
fn explain_overlay(error: io::Error, upper: &OwnedFd) -> io::Error {
    let on_overlay = nix::sys::statfs::fstatfs(upper)
        .is_ok_and(|stat| stat.filesystem_type() == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC);
    if on_overlay {
        let reason = "the writable layer would lie on an overlay itself, which the kernel refuses: \
                      use a root on another file system, e.g. a tmpfs";
        return io::Error::new(error.kind(), reason);
    }
    error
}

/// Binds `source` (which may be `/proc/self/fd/N`) on `target`, which must exist and be of the same kind. The last
/// component of `target` is not followed when it is a symbolic link.
pub fn bind(source: &Path, target: &Path, options: BindOptions) -> io::Result<()> {
    let at = open_place(target)?;
    let place = format!("/proc/self/fd/{}", at.as_raw_fd());
    let recursive = if options.recursive {
        MsFlags::MS_REC
    } else {
        MsFlags::empty()
    };
    let none = None::<&str>;
    mount(
        Some(source),
        place.as_str(),
        none,
        MsFlags::MS_BIND | recursive,
        none,
    )
    .context("cannot bind on", target.display())?;
    if options.read_only {
        make_read_only(target).inspect_err(|_| {
            // The error that matters is the one before.
            let _ = umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        })?;
    }
    Ok(())
}

fn make_read_only(target: &Path) -> io::Result<()> {
    // Opened anew: the descriptor from before the mount shows what lies below it.
    let mounted = open_place(target)?;
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    let now = fstatvfs(&mounted)?.flags();
    // A remount sets all flags: those there must be told again.
    let kept = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ];
    for (is, keep) in kept {
        if now.contains(is) {
            flags |= keep;
        }
    }
    let place = format!("/proc/self/fd/{}", mounted.as_raw_fd());
    let none = None::<&str>;
    mount(none, place.as_str(), none, flags, none).context("cannot make read-only", target.display())
}

/// Mounts a tmpfs without devices and set-user-id programs; `size` in bytes (default: half of the memory).
pub fn tmpfs(target: &Path, size: Option<u64>, mode: u32) -> io::Result<()> {
    let size = size.map(|size| format!(",size={size}")).unwrap_or_default();
    let options = format!("mode={mode:o}{size}");
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
    let kind = Some("tmpfs");
    mount(kind, target, kind, flags, Some(options.as_str()))
        .context("cannot mount a tmpfs on", target.display())
}

/// Mounts a tmpfs as [`tmpfs`] does, of which nothing comes into a swap area. Before Linux 6.4 it may.
pub fn tmpfs_without_swap(target: &Path, mode: u32) -> io::Result<()> {
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
    let kind = Some("tmpfs");
    let options = format!("mode={mode:o},noswap");
    match mount(kind, target, kind, flags, Some(options.as_str())) {
        Err(Errno::EINVAL) => tmpfs(target, None, mode),
        result => result.context("cannot mount a tmpfs on", target.display()),
    }
}

/// Where something is mounted on or below `dir`, deepest first; of several mounts on one place each is listed.
pub fn mounts_below(dir: &Path) -> io::Result<Vec<PathBuf>> {
    // The kernel tells resolved paths.
    let dir = match dir.canonicalize() {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("cannot resolve", dir.display()),
    };
    let mut found: Vec<PathBuf> = read_mountinfo()?
        .into_iter()
        .map(|mount| mount.point)
        .filter(|point| point.starts_with(&dir))
        .collect();
    // The later one of two on a place lies on top; parents are shorter than what is below them.
    found.reverse();
    found.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    Ok(found)
}

/// Detaches everything mounted on or below `dir`, deepest first. Tries all; gives the first error.
pub fn detach_all_below(dir: &Path) -> io::Result<()> {
    let mut failure = None;
    for point in mounts_below(dir)? {
        match umount2(&point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            // Gone with the one it was a copy of, by propagation.
            Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => {}
            Err(error) => {
                let error = Err::<(), _>(error).context("cannot unmount", point.display());
                failure.get_or_insert(error);
            }
        }
    }
    failure.unwrap_or(Ok(()))
}

/// The part of a line of /proc/self/mountinfo that is used here.
#[derive(Debug)]
pub(crate) struct MountEntry {
    /// What part of the file system is mounted.
    pub(crate) root: PathBuf,
    /// Where.
    pub(crate) point: PathBuf,
    /// The file system's type.
    pub(crate) kind: String,
    /// The file system's own options.
    pub(crate) options: String,
}

pub(crate) fn read_mountinfo() -> io::Result<Vec<MountEntry>> {
    let bytes = std::fs::read("/proc/self/mountinfo").context("cannot read", "/proc/self/mountinfo")?;
    Ok(bytes
        .split(|&byte| byte == b'\n')
        .filter_map(parse_mount)
        .collect())
}

fn parse_mount(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|&byte| byte == b' ');
    let root = unescape(fields.nth(3)?);
    let point = unescape(fields.next()?);
    let mut after_dash = fields.skip_while(|field| field != b"-").skip(1);
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let kind = text(after_dash.next()?);
    let options = text(after_dash.nth(1)?);
    Some(MountEntry {
        root,
        point,
        kind,
        options,
    })
}

/// Undoes the kernel's `\ooo` for space, tab, newline and backslash.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| first == b'\\');
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).context("cannot open the folder", path.display())
}

fn open_place(path: &Path) -> io::Result<File> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).context("cannot open", path.display())?;
    Ok(File::from(fd))
}
