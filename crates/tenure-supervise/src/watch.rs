//! Waiting for files to change.

use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;

use crate::error::Context;
use crate::sys;

/// Watches files by name: they may be absent, made later, replaced by rename, or go with their folder.
///
/// What is watched is each file's folder (or, while that is absent, the nearest one above), so that a name matters and
/// not what it stood for. Made before the first look at the files, it misses nothing: look, wait, look again.
#[derive(Debug)]
pub struct FileWatch {
    fd: OwnedFd,
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    path: PathBuf,
    /// The folder watched, by the kernel's number, and the name in it that leads to `path`.
    watched: Option<(i32, OsString)>,
}

impl FileWatch {
    /// Begins to watch; what changes from now on is told. Paths are absolute.
    pub fn new(paths: &[&Path]) -> io::Result<Self> {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let target = |path: &&Path| Target {
            path: path.to_path_buf(),
            watched: None,
        };
        let mut watch = Self {
            fd,
            targets: paths.iter().map(target).collect(),
        };
        watch.arm()?;
        Ok(watch)
    }

    /// Blocks until one of them may have changed (true) or the time is over (false).
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], left.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) if self.take_events()? => return Ok(true),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The same, asynchronously and for ever. Cancel-safe.
    pub async fn changed(&mut self) -> io::Result<()> {
        loop {
            {
                let fd = sys::readable(self.fd.try_clone()?)?;
                fd.readable().await?.retain_ready();
            }
            if self.take_events()? {
                return Ok(());
            }
        }
    }

    /// Watches, for every target, its folder or the nearest one above that exists.
    fn arm(&mut self) -> io::Result<()> {
        let before: Vec<i32> = self.targets.iter().filter_map(Target::descriptor).collect();
        for target in &mut self.targets {
            target.watched = Some(watch_nearest(&self.fd, &target.path)?);
        }
        for stale in before {
            if !self
                .targets
                .iter()
                .any(|target| target.descriptor() == Some(stale))
            {
                // EINVAL: it went with its folder.
                let _ = inotify::remove_watch(&self.fd, stale);
            }
        }
        Ok(())
    }

    /// Reads all events; true when one of them concerns a target.
    fn take_events(&mut self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut changed = false;
        let mut reader = inotify::Reader::new(self.fd.as_fd(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    changed |= self
                        .targets
                        .iter()
                        .any(|target| target.is_concerned(event.wd(), event.events(), name));
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if changed {
            self.arm()?;
        }
        Ok(changed)
    }
}

/// Readable when something may have changed; `wait` with no time then tells whether it did. For waiting on more than files.
impl AsFd for FileWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Target {
    fn descriptor(&self) -> Option<i32> {
        self.watched.as_ref().map(|(descriptor, _)| *descriptor)
    }

    fn is_concerned(&self, descriptor: i32, events: ReadFlags, name: Option<&OsStr>) -> bool {
        if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            return true;
        }
        let Some((watched, wanted)) = &self.watched else {
            return false;
        };
        let folder = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED | ReadFlags::UNMOUNT;
        *watched == descriptor && (events.intersects(folder) || name == Some(wanted.as_os_str()))
    }
}

/// Watches the nearest existing folder above `path`; gives its number and the name in it that leads to `path`.
fn watch_nearest(fd: &OwnedFd, path: &Path) -> io::Result<(i32, OsString)> {
    let flags = WatchFlags::MODIFY
        | WatchFlags::CREATE
        | WatchFlags::MOVE
        | WatchFlags::DELETE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ONLYDIR;
    let mut last = Errno::NOENT;
    let mut below = path;
    while let (Some(folder), Some(name)) = (below.parent(), below.file_name()) {
        match inotify::add_watch(fd, folder, flags) {
            // Made between the look at the one below and the watch on this one: look again.
            Ok(_) if below != path && below.is_dir() => below = path,
            Ok(descriptor) => return Ok((descriptor, name.to_owned())),
            Err(error @ (Errno::NOENT | Errno::NOTDIR)) => {
                last = error;
                below = folder;
            }
            Err(error) => return Err(error).context("cannot watch", folder.display()),
        }
    }
    Err(last).context("cannot watch", path.display())
}
