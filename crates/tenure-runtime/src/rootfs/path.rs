//! Paths inside the container's root, resolved by the kernel so that no link in them can lead out.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How many dangling links may be followed while a path is made.
const MAX_LINKS: usize = 40;

/// How often a path is asked for again: who shares the image could rename in it without end.
const MAX_ATTEMPTS: usize = 128;

/// A path relative to the root, with `.` and `..` resolved by text.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

/// Opens `path` below `root` as a place (`O_PATH`).
pub(super) fn resolve(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    open_in(root, path, OFlags::PATH, ResolveFlags::empty())
}

/// Opens a directory below `root` as a place; a link anywhere on the way is an error.
pub(super) fn resolve_without_links(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    open_in(root, path, OFlags::PATH, ResolveFlags::NO_SYMLINKS)
}

fn open_in(root: BorrowedFd<'_>, path: &Path, flags: OFlags, resolve: ResolveFlags) -> io::Result<OwnedFd> {
    let path = path.strip_prefix("/").unwrap_or(path);
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut attempts = 0;
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // A rename somewhere made the kernel unsure about "..": ask again, but not for ever.
            Err(Errno::AGAIN | Errno::INTR) if attempts < MAX_ATTEMPTS => attempts += 1,
            other => return other.map_err(Into::into),
        }
    }
}

/// Opens `path` below `root` as a place, making what is missing. Tells whether the last component was made.
pub(super) fn ensure(root: BorrowedFd<'_>, path: &Path, directory: bool) -> io::Result<(OwnedFd, bool)> {
    ensure_counting(root, path, directory, &mut 0)
}

fn ensure_counting(
    root: BorrowedFd<'_>,
    path: &Path,
    directory: bool,
    links: &mut usize,
) -> io::Result<(OwnedFd, bool)> {
    match resolve(root, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other.map(|fd| (fd, false)),
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    };
    let (parent, _) = ensure_counting(root, parent, true, links)?;
    match make(parent.as_fd(), name, directory) {
        Ok(()) => {
            return Ok((
                open_in(
                    parent.as_fd(),
                    Path::new(name),
                    OFlags::PATH,
                    ResolveFlags::NO_SYMLINKS,
                )?,
                true,
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    // It exists and does not resolve: a dangling link. Make what it points to.
    *links += 1;
    if *links > MAX_LINKS {
        return Err(Errno::LOOP.into());
    }
    let target = match rustix::fs::readlinkat(&parent, name, Vec::new()) {
        Err(Errno::INVAL) => return resolve(root, path).map(|fd| (fd, false)),
        other => PathBuf::from(std::ffi::OsString::from_vec(other?.into_bytes())),
    };
    let target = if target.is_absolute() {
        target
    } else {
        location(root, parent.as_fd())?.join(target)
    };
    ensure_counting(root, &target, directory, links)
}

fn make(parent: BorrowedFd<'_>, name: &OsStr, directory: bool) -> io::Result<()> {
    if directory {
        return rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)).map_err(Into::into);
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644))
        .map(drop)
        .map_err(Into::into)
}

/// Where `place` is, as a path from `root`.
pub(super) fn location(root: BorrowedFd<'_>, place: BorrowedFd<'_>) -> io::Result<PathBuf> {
    let (root, place) = (name_of(root)?, name_of(place)?);
    let inside = place
        .strip_prefix(&root)
        .map_err(|_| io::Error::from(io::ErrorKind::NotFound))?;
    Ok(Path::new("/").join(inside))
}

/// The path by which the host knows a descriptor.
fn name_of(fd: BorrowedFd<'_>) -> io::Result<PathBuf> {
    let name = rustix::fs::readlink(magic(fd), Vec::new())?;
    Ok(PathBuf::from(OsStr::from_bytes(name.as_bytes())))
}

/// A path that names the descriptor, for system calls that want a path. Needs the host's `/proc`.
pub(super) fn magic(fd: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[allow(clippy::unwrap_used)]
    fn root() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let fd = rustix::fs::open(dir.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        (dir, fd)
    }

    #[test]
    fn missing_directories_and_files_are_made() {
        let (dir, root) = root();
        assert!(ensure(root.as_fd(), Path::new("/a/b/c"), true).unwrap().1);
        assert!(!ensure(root.as_fd(), Path::new("/a/b/c"), true).unwrap().1);
        assert!(ensure(root.as_fd(), Path::new("/a/b/f"), false).unwrap().1);
        assert!(dir.path().join("a/b/c").is_dir() && dir.path().join("a/b/f").is_file());
    }

    #[test]
    fn links_cannot_lead_out_of_the_root() {
        let (dir, root) = root();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("abs")).unwrap();
        symlink("../../../../../../tmp", dir.path().join("rel")).unwrap();
        ensure(root.as_fd(), Path::new("/abs/x"), true).unwrap();
        assert!(!outside.path().join("x").exists());
        assert!(
            dir.path()
                .join(outside.path().strip_prefix("/").unwrap())
                .join("x")
                .is_dir()
        );
        ensure(root.as_fd(), Path::new("/rel/y"), true).unwrap();
        assert!(dir.path().join("tmp/y").is_dir());
    }

    #[test]
    fn a_dangling_link_gets_its_target() {
        let (dir, root) = root();
        fs::create_dir(dir.path().join("d")).unwrap();
        symlink("../target/file", dir.path().join("d/link")).unwrap();
        ensure(root.as_fd(), Path::new("/d/link"), false).unwrap();
        assert!(dir.path().join("target/file").is_file());
    }

    #[test]
    fn links_in_a_circle_are_an_error() {
        let (dir, root) = root();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert!(ensure(root.as_fd(), Path::new("/a/x"), true).is_err());
    }

    #[test]
    fn cleaning_keeps_paths_inside() {
        assert_eq!(clean(Path::new("/../a/./b/../c/")), Path::new("a/c"));
        assert_eq!(clean(Path::new("/")), Path::new(""));
    }
}
