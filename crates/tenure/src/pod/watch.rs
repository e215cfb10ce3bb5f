//! Waiting for news of a pod: its files change, or its supervisor dies without a word.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use tenure_engine::store::PodDir;
use tenure_engine::{Observed, Supervisor};
use tenure_supervise::pidfd::PidFd;
use tenure_supervise::watch::FileWatch;

/// Watches a pod. Made before the first look at the pod, it misses nothing: look, wait, look again.
#[derive(Debug)]
pub(super) struct PodWatch {
    files: FileWatch,
    supervisor: Option<PidFd>,
    /// The supervisor died while it was being taken hold of.
    news: bool,
}

impl PodWatch {
    /// Watches the pod's status, and `more` files of it.
    ///
    /// # Errors
    /// When the kernel gives no more watches.
    pub(super) fn new(dir: &PodDir, more: &[&Path]) -> io::Result<Self> {
        let (status, record) = (dir.status(), dir.path().join("record.json"));
        let mut paths = vec![status.as_path(), record.as_path()];
        paths.extend(more);
        Ok(Self {
            files: FileWatch::new(&paths)?,
            supervisor: None,
            news: false,
        })
    }

    /// Takes hold of the supervisor that was just seen, to be told of its death.
    pub(super) fn hold(&mut self, observed: &Observed) {
        if let Supervisor::Alive { pid } = observed.supervisor
            && pid > 0
            && self.supervisor.as_ref().map(PidFd::pid) != Some(pid)
        {
            // A pid that is gone while somebody holds the lock is a supervisor's before: the record is about to change.
            self.supervisor = PidFd::open(pid).ok();
            self.news = !observed.dir.is_supervised().unwrap_or(true);
        }
    }

    /// Blocks until there may be news (true) or `deadline` has come (false).
    ///
    /// # Errors
    /// When waiting itself fails.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        if std::mem::take(&mut self.news) {
            return Ok(true);
        }
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut fds = vec![PollFd::from_borrowed_fd(self.files.as_fd(), PollFlags::IN)];
            if let Some(supervisor) = &self.supervisor {
                fds.push(PollFd::from_borrowed_fd(supervisor.as_fd(), PollFlags::IN));
            }
            match rustix::event::poll(&mut fds, timeout.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            if fds.get(1).is_some_and(|fd| !fd.revents().is_empty()) {
                self.supervisor = None;
                return Ok(true);
            }
            if self.files.wait(Some(Duration::ZERO))? {
                return Ok(true);
            }
        }
    }
}

/// True when nothing more will happen to a pod by itself.
pub(super) fn is_over(observed: &Observed) -> bool {
    match observed.supervisor {
        Supervisor::Alive { .. } => false,
        Supervisor::Ended | Supervisor::Dead => true,
    }
}
