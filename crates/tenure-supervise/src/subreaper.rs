//! Orphans: those we want, and those that only need reaping.
//!
//! Children belong to the whole process, so what is wanted of them is recorded once for the process: every
//! [`crate::pidfd::PidFd`] claims its pid, and a [`Hold`] claims whatever is born until it is dropped.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, WaitId, WaitIdOptions};
use tokio::sync::Notify;

use crate::signal::Signals;
use crate::sys;

struct Wanted {
    pids: BTreeMap<i32, usize>,
    holds: usize,
}

static WANTED: Mutex<Wanted> = Mutex::new(Wanted {
    pids: BTreeMap::new(),
    holds: 0,
});
/// Told when something is no longer wanted: it may be a zombie by now.
static GIVEN_UP: Notify = Notify::const_new();

fn wanted() -> MutexGuard<'static, Wanted> {
    WANTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A claim on a pid; see the module.
#[derive(Debug)]
pub(crate) struct Claim(i32);

impl Claim {
    pub(crate) fn new(pid: i32) -> Self {
        *wanted().pids.entry(pid).or_insert(0) += 1;
        Self(pid)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut wanted = wanted();
        if let Some(count) = wanted.pids.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                wanted.pids.remove(&self.0);
                GIVEN_UP.notify_one();
            }
        }
    }
}

/// Makes orphaned descendants our children from now on, instead of process 1's.
pub fn become_subreaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// While one exists, no [`Reaper`] of this process reaps anything: held from before an operation that leaves us a new
/// child until that child's [`crate::pidfd::PidFd`] is open.
#[derive(Debug)]
pub struct Hold {
    _private: (),
}

/// Holds the reaper back.
pub fn hold() -> Hold {
    wanted().holds += 1;
    Hold { _private: () }
}

impl Drop for Hold {
    fn drop(&mut self) {
        wanted().holds -= 1;
        GIVEN_UP.notify_one();
    }
}

/// Reaps orphans that no `PidFd` claims. One per process, made on the main thread before others exist, inside the
/// async runtime. Whoever starts children by other means than [`crate::process::Spawn`] loses their status to it.
#[derive(Debug)]
pub struct Reaper {
    child_signals: Signals,
}

impl Reaper {
    /// Begins to watch for ended children (blocks SIGCHLD in this thread).
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            child_signals: Signals::new(&[libc::SIGCHLD])?,
        })
    }

    /// Reaps for ever; returns only on an error. Cancel-safe.
    pub async fn run(&mut self) -> io::Result<()> {
        loop {
            sweep()?;
            tokio::select! {
                signal = self.child_signals.next() => { signal?; }
                () = GIVEN_UP.notified() => {}
            }
        }
    }
}

/// Reaps every ended child that nobody wants.
fn sweep() -> io::Result<()> {
    let wanted = wanted();
    if wanted.holds > 0 {
        return Ok(());
    }
    loop {
        match sys::peek_ended_child() {
            // The kernel always shows the same one first: behind a wanted one, look at each.
            Ok(Some(pid)) if wanted.pids.contains_key(&pid) => return sweep_each(&wanted),
            Ok(Some(pid)) => reap(pid),
            Ok(None) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn sweep_each(wanted: &Wanted) -> io::Result<()> {
    for thread in std::fs::read_dir("/proc/self/task")? {
        // A thread may end meanwhile; its children are another's then, and another SIGCHLD tells of their end.
        let Ok(children) = std::fs::read_to_string(thread?.path().join("children")) else {
            continue;
        };
        let pids = children
            .split_ascii_whitespace()
            .filter_map(|pid| pid.parse().ok());
        pids.filter(|pid| !wanted.pids.contains_key(pid)).for_each(reap);
    }
    Ok(())
}

/// Reaps one child if it has ended.
fn reap(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // ECHILD: it is nobody's any more, which is what was wanted.
        let _ = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}
