//! Process 1 of a shared PID namespace: isolates itself, then reaps.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::unistd::{fchdir, pivot_root};
use rustix::fs::{Mode, OFlags};
use rustix::process::{WaitId, WaitIdOptions};

use crate::error::Context;
use crate::memory::release_code;
use crate::sys;

/// What it says on its stdout once it is isolated; anything else is the reason why it could not.
pub(super) const READY: &str = "ready\n";

/// The body of `pod-init`: isolates itself, says so, then reaps for ever. Returns only when it could not, after saying
/// why; the caller exits with code 1. To be called before anything else in `main`, as process 1 of a PID namespace
/// ([`super::create_pid`]).
///
/// A container of the pod can look at process 1 through /proc if it holds CAP_SYS_PTRACE. It finds an empty read-only
/// root, no descriptor but /dev/null, no capability and no environment there. Every signal is blocked; SIGKILL and
/// SIGSTOP reach process 1 only from outside the namespace.
pub fn pod_init() -> io::Error {
    match prepare() {
        Ok(()) => reap_for_ever(),
        Err(error) => {
            let mut reason = error.to_string();
            if let Some(source) = error.get_ref().and_then(std::error::Error::source) {
                reason = format!("{reason}: {source}");
            }
            // Nobody may listen any more; the exit code says it too.
            let _ = io::stdout().write_all(reason.as_bytes());
            error
        }
    }
}

fn prepare() -> io::Result<()> {
    if std::process::id() != 1 {
        let reason = "pod-init is only of use as process 1 of a PID namespace";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    let blockable: Vec<i32> = (1..=sys::LAST_SIGNAL)
        .filter(|signal| !matches!(signal, 32 | 33))
        .collect();
    sys::block_signals(&blockable)?;
    prctl::set_name(c"tenure-pod-init")?;
    sys::close_from(3).context("cannot close descriptors", "")?;
    // Last to be killed when memory is short, as far as we are allowed to ask for it.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-998");
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .context("cannot open", "/dev/null")?;
    // While there is a /proc to see the mappings in; without it they only cost more memory.
    let _ = release_code();
    leave_the_file_system().context("cannot leave the host's file system", "")?;
    sys::drop_capabilities().context("cannot drop capabilities", "")?;
    prctl::set_no_new_privs()?;
    prctl::set_dumpable(false)?;
    tell_ready(&null)
}

/// Puts an empty read-only root in the place of the host's.
fn leave_the_file_system() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount(
        Some("tmpfs"),
        "/proc",
        Some("tmpfs"),
        flags,
        Some("mode=0755,size=0,nr_inodes=1"),
    )?;
    let old = open_path("/")?;
    let new = open_path("/proc")?;
    fchdir(std::os::fd::AsRawFd::as_raw_fd(&new))?;
    // The old root then lies on top of the new one, and is taken away from there.
    pivot_root(".", ".")?;
    fchdir(std::os::fd::AsRawFd::as_raw_fd(&old))?;
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")
}

fn open_path(path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn tell_ready(null: &OwnedFd) -> io::Result<()> {
    rustix::io::write(rustix::stdio::stdout(), READY.as_bytes())?;
    rustix::stdio::dup2_stdout(null.as_fd())?;
    Ok(())
}

fn reap_for_ever() -> io::Error {
    loop {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        while let Ok(Some(_)) = rustix::process::waitid(WaitId::All, options) {}
        match sys::wait_for_signal(&[libc::SIGCHLD]) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error,
        }
    }
}
