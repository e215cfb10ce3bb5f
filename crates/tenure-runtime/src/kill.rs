//! `kill`: a signal for a container. It never changes what is recorded.

use std::io;
use std::os::fd::AsFd;

use crate::status::{Judged, judge};
use crate::store::Entry;
use crate::{Error, Signal, Status, sys};

/// Sends `signal` to init, or to `all` processes of the container.
pub(crate) fn kill(entry: &Entry, signal: Signal, all: bool) -> Result<(), Error> {
    let record = entry.load()?;
    let Judged { status, init } = judge(entry, &record);
    let not_running = |status| Error::NotRunning {
        id: entry.id.to_string(),
        status,
    };
    let alive = matches!(status, Status::Created | Status::Running | Status::Paused);
    if all && status != Status::Creating {
        // Also for what a dead init left behind, as in runc.
        return record.cgroups.signal_all(signal.as_raw());
    }
    let (true, Some(init)) = (alive, init) else {
        return Err(not_running(status));
    };
    match sys::pidfd_send_signal(init.as_fd(), signal.as_raw()) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Err(not_running(Status::Stopped)),
        other => other.map_err(|e: io::Error| Error::system("signal init")(e))?,
    }
    if signal != Signal::KILL {
        return Ok(());
    }
    if !record.private_pid_namespace {
        // Init's death does not end the others here (lifecycle-semantics 3.33).
        record.cgroups.signal_all(signal.as_raw())?;
    }
    record.cgroups.release_killed();
    Ok(())
}
