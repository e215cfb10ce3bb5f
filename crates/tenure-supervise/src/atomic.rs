//! Files replaced as a whole, and the lock that tells a live owner from a dead one.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, fcntl};

use crate::error::Context;

/// Replaces `path` by a file of these bytes and this mode, so that a reader sees the old or the new one, and so that a
/// writer killed at any moment leaves one of the two (and perhaps `.NAME.tmp` beside it, which the next write takes
/// over). One writer at a time.
///
/// Not synced to disk: what is recorded (running processes, mounts) does not outlive the machine either, and it is
/// usually kept on tmpfs.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary_beside(path)?;
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW);
        let mut file = match options.open(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                std::fs::remove_file(&temporary)?;
                options.open(&temporary)?
            }
            file => file?,
        };
        file.write_all(bytes)?;
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        std::fs::rename(&temporary, path)
    };
    write().context("cannot write", path.display())
}

fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(".tmp");
    Ok(path.with_file_name(name))
}

/// A lock held until this value is dropped or the process ends, however it ends. Children do not inherit it.
///
/// It is a lock of the open file description (`F_OFD_SETLK`): like flock's it goes with the descriptor, and unlike
/// flock's it can be asked after without being taken.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

/// Takes the lock of `path`, making the file (0600) if absent; `None` when somebody else holds it.
pub fn lock_exclusive_nonblocking(path: &Path) -> io::Result<Option<FileLock>> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW);
    let file = options.open(path).context("cannot open", path.display())?;
    match fcntl(file.as_raw_fd(), FcntlArg::F_OFD_SETLK(&whole_file())) {
        Ok(_) => Ok(Some(FileLock { _file: file })),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(None),
        Err(error) => Err(error).context("cannot lock", path.display()),
    }
}

/// True while some process holds the lock of `path`. Takes nothing, so it never disturbs another's attempt.
/// An absent file is not locked.
pub fn is_locked(path: &Path) -> io::Result<bool> {
    let mut options = OpenOptions::new();
    let file = match options.read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).context("cannot open", path.display()),
    };
    let mut lock = whole_file();
    fcntl(file.as_raw_fd(), FcntlArg::F_OFD_GETLK(&mut lock))
        .context("cannot ask for the lock of", path.display())?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

#[allow(clippy::cast_possible_truncation)] // The constants are below 3.
fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
