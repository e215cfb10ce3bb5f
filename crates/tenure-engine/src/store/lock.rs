//! The lock whose holder is a pod's one supervisor.
//!
//! An open-file-description lock: as flock, it goes with the descriptor that no other process has, so it is free the
//! moment its holder is dead. Unlike flock it can be asked about and waited for without being in the way of a
//! supervisor's claim. The holder has the flock as well: it is what people and tools look for (`lslocks` names its
//! holder), and what keeps a pod's name taken for as long as somebody outside holds it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{FlockOperation, flock};

/// A held lock; free again when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Lets the flock go first. Closing the file alone would wake those who wait for the other lock while the flock is
    /// still held for a moment, and they would take the name for taken.
    fn drop(&mut self) {
        if let Err(error) = flock(&self.file, FlockOperation::Unlock) {
            tracing::debug!(%error, "cannot let a pod's flock go before its lock");
        }
        release(&self.file);
    }
}

/// Lets a lock go now. Closing the file is not enough while another thread starts a process: until that executes its
/// program it has our descriptors, too.
fn release(file: &File) {
    if let Err(error) = fcntl(file.as_raw_fd(), FcntlArg::F_OFD_SETLK(&whole(libc::F_UNLCK))) {
        tracing::debug!(%error, "a lock goes with its file only");
    }
}

/// Takes the lock if nobody holds it. The file is made when absent (0600).
pub(crate) fn try_lock(path: &Path) -> io::Result<Option<Lock>> {
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        match fcntl(file.as_raw_fd(), FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK))) {
            Ok(_) => {}
            Err(Errno::EAGAIN | Errno::EACCES) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        // Somebody who deletes the pod may have removed the file between our open and our lock.
        let held = file.metadata()?;
        match path.symlink_metadata() {
            Ok(there) if there.ino() == held.ino() && there.dev() == held.dev() => {
                return Ok(Some(Lock { file }));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Gone with its folder: opening it again says so, or makes it anew.
            }
            Err(error) => return Err(error),
        }
    }
}

/// True while somebody holds the lock. Takes nothing; false when there is no such file.
pub(crate) fn is_held(path: &Path) -> io::Result<bool> {
    let file = match OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut probe = whole(libc::F_WRLCK);
    fcntl(file.as_raw_fd(), FcntlArg::F_OFD_GETLK(&mut probe))?;
    Ok(i32::from(probe.l_type) != libc::F_UNLCK)
}

/// Waits until nobody holds the lock, or at once when the file is gone. Takes it for a moment and lets it go.
pub(crate) fn wait_until_free(path: &Path) -> io::Result<()> {
    let file = match OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    // A read lock: waiters do not hinder each other, and need no turn.
    loop {
        match fcntl(file.as_raw_fd(), FcntlArg::F_OFD_SETLKW(&whole(libc::F_RDLCK))) {
            Ok(_) => {
                release(&file);
                return Ok(());
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn whole(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: libc::c_short::try_from(kind).unwrap_or_default(),
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_until_dropped_and_looking_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(!is_held(&path).unwrap());
        let lock = try_lock(&path).unwrap().unwrap();
        assert!(is_held(&path).unwrap());
        assert!(try_lock(&path).unwrap().is_none());
        drop(lock);
        assert!(!is_held(&path).unwrap());
        wait_until_free(&path).unwrap();
        assert!(try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn who_waited_for_the_lock_can_take_it_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        for round in 0..100 {
            let lock = try_lock(&path).unwrap().unwrap();
            std::thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    wait_until_free(&path).unwrap();
                    try_lock(&path).unwrap().is_some()
                });
                std::thread::sleep(std::time::Duration::from_micros(300));
                drop(lock);
                assert!(waiter.join().unwrap(), "round {round}");
            });
        }
    }

    #[test]
    fn a_link_in_place_of_the_lock_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert!(try_lock(&path).is_err());
        assert!(!dir.path().join("elsewhere").exists());
    }
}
