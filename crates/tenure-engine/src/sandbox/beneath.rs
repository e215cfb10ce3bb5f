//! Paths below a folder that containers can write to, resolved so that no link and no race leads out of it.
//!
//! A container may replace any part of a volume by a link at any time. So a path is never checked and used again by
//! name: the kernel resolves it with RESOLVE_BENEATH, and what is used from then on is the descriptor.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, statat};
use rustix::io::Errno;

/// What a folder made on the way has (kubelet: 0750 and the volume's owner; here as the images expect).
const FOLDER: Mode = Mode::from_raw_mode(0o755);

/// Opens `path` below `base` (O_PATH), making folders that are absent (0755). Links are followed as long as they
/// stay beneath `base`.
///
/// # Errors
/// `EXDEV` when a link leads out of `base`; `InvalidInput` when `path` is not a plain relative path.
pub(crate) fn open_or_create(base: &Path, path: &Path) -> io::Result<OwnedFd> {
    let base = openat(CWD, base, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let mut current = base.try_clone()?;
    let mut resolved = PathBuf::new();
    for component in path.components() {
        let Component::Normal(name) = component else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a plain relative path",
            ));
        };
        resolved.push(name);
        let next = match beneath(&base, &resolved) {
            Err(Errno::NOENT) if is_absent(&current, name)? => {
                match mkdirat(&current, name, FOLDER) {
                    // Somebody was quicker: whatever it is, it is resolved like everything else.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno.into()),
                }
                // mkdir is subject to our umask.
                beneath(&base, &resolved)?
            }
            other => other?,
        };
        current = next;
    }
    Ok(current)
}

/// Nothing has the name: not even a link that leads nowhere, through which a folder must not be made.
fn is_absent(folder: &OwnedFd, name: &std::ffi::OsStr) -> io::Result<bool> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(false),
        Err(Errno::NOENT) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

/// How often the kernel is asked again. Who renames without end can keep any single walk from being sure.
const ATTEMPTS: usize = 128;

fn beneath(base: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    insist(|| openat2(base, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), how))
}

/// Repeats a walk that a rename in the tree has made unsure (`EAGAIN`), a bounded number of times: the container
/// could rename for ever.
fn insist<T>(mut walk: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 1..ATTEMPTS {
        match walk() {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    walk()
}

/// Opens `path` as a process whose root is `root` would, for reading. Only regular files.
pub(crate) fn read_in_root(root: &Path, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let root = openat(CWD, root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = insist(|| openat2(&root, path, flags, Mode::empty(), how))?;
    let file = std::fs::File::from(file);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What `path` is for a process whose root is `root`; `None` when there is nothing.
pub(crate) fn kind_in_root(root: &Path, path: &Path) -> io::Result<Option<std::fs::FileType>> {
    let root = openat(CWD, root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match insist(|| openat2(&root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), how)) {
        Ok(file) => Ok(Some(std::fs::File::from(file).metadata()?.file_type())),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn place(fd: &OwnedFd) -> PathBuf {
        use std::os::fd::AsRawFd;
        fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap()
    }

    #[test]
    fn a_walk_that_is_disturbed_is_repeated_and_not_for_ever() {
        let (mut walks, mut quiet) = (0, 0);
        let result: Result<(), Errno> = insist(|| {
            walks += 1;
            Err(Errno::AGAIN)
        });
        assert_eq!((result, walks), (Err(Errno::AGAIN), ATTEMPTS));
        let result = insist(|| {
            quiet += 1;
            if quiet < 5 { Err(Errno::AGAIN) } else { Ok(quiet) }
        });
        assert_eq!(result, Ok(5));
    }

    #[test]
    fn absent_folders_are_made_beneath() {
        let base = tempfile::tempdir().unwrap();
        let fd = open_or_create(base.path(), Path::new("a/b/c")).unwrap();
        assert_eq!(place(&fd), base.path().canonicalize().unwrap().join("a/b/c"));
        assert!(base.path().join("a/b/c").is_dir());
    }

    #[test]
    fn a_file_can_be_a_sub_path() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("f"), "x").unwrap();
        let fd = open_or_create(base.path(), Path::new("f")).unwrap();
        assert!(place(&fd).ends_with("f"));
        assert!(open_or_create(base.path(), Path::new("f/below")).is_err());
    }

    #[test]
    fn links_that_lead_out_are_refused_and_nothing_is_made_outside() {
        let outside = tempfile::tempdir().unwrap();
        let base = tempfile::tempdir().unwrap();
        symlink(outside.path(), base.path().join("abs")).unwrap();
        symlink("../../..", base.path().join("up")).unwrap();
        symlink(outside.path().join("new"), base.path().join("dangling")).unwrap();
        for path in ["abs", "abs/x", "up", "up/tmp", "dangling", "dangling/x"] {
            assert!(open_or_create(base.path(), Path::new(path)).is_err(), "{path}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn links_that_stay_inside_are_followed() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("real")).unwrap();
        symlink("real", base.path().join("link")).unwrap();
        let fd = open_or_create(base.path(), Path::new("link/new")).unwrap();
        assert_eq!(place(&fd), base.path().canonicalize().unwrap().join("real/new"));
    }

    #[test]
    fn paths_that_are_not_plain_are_refused() {
        let base = tempfile::tempdir().unwrap();
        for path in ["/etc", "../x", "a/../../b"] {
            assert!(open_or_create(base.path(), Path::new(path)).is_err());
        }
    }

    #[test]
    fn reading_in_a_root_never_leaves_it_and_never_blocks() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        symlink("/etc/passwd", root.path().join("etc/shadow")).unwrap();
        fs::write(root.path().join("etc/passwd"), "inside").unwrap();
        let read = |path| read_in_root(root.path(), Path::new(path), 64);
        assert_eq!(read("/etc/shadow").unwrap(), b"inside");
        assert!(read("/etc").is_err());
        nix::unistd::mkfifo(
            &root.path().join("fifo"),
            nix::sys::stat::Mode::from_bits_truncate(0o600),
        )
        .unwrap();
        assert!(read("/fifo").is_err());
        assert!(
            kind_in_root(root.path(), Path::new("/etc"))
                .unwrap()
                .unwrap()
                .is_dir()
        );
        assert!(kind_in_root(root.path(), Path::new("/none")).unwrap().is_none());
    }
}
