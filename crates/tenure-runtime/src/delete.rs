//! `delete`: nothing of the container remains.

use std::os::fd::AsFd;
use std::time::Duration;

use crate::hook::Point;
use crate::process::wait_for_exit;
use crate::status::{Judged, judge};
use crate::store::{Entry, Record};
use crate::{Error, Status, config, sys};

/// How long a killed init may take to die.
const DEATH_LIMIT: Duration = Duration::from_secs(10);

/// Removes a container; one that lives only by `force`.
pub(crate) fn delete(entry: &Entry, force: bool) -> Result<(), Error> {
    // Before the lock: its holder may be a create that a hook holds up.
    if force {
        end(entry)?;
    } else if let Ok(record) = entry.load() {
        refuse_alive(entry, judge(entry, &record).status)?;
    }
    match entry.lock() {
        // It cleaned up after itself.
        Err(Error::NotFound { .. }) if force => return Ok(()),
        other => other?,
    }
    let record = match entry.load() {
        Ok(record) => record,
        // Left by a create that was killed before it had done anything.
        Err(Error::NotFound { id }) => {
            entry.remove()?;
            return if force {
                Ok(())
            } else {
                Err(Error::NotFound { id })
            };
        }
        Err(error) if force => {
            tracing::warn!(id = %entry.id, %error, "removing a container whose state is unreadable");
            return entry.remove();
        }
        Err(error) => return Err(error),
    };
    let Judged { status, init } = judge(entry, &record);
    if !force {
        refuse_alive(entry, status)?;
    }
    if let Some(init) = init {
        kill_and_wait(entry, init.as_fd())?;
    }
    record.unmount()?;
    record.cgroups.remove()?;
    poststop(entry, &record);
    entry.remove()
}

/// Only what has stopped may be deleted without force.
fn refuse_alive(entry: &Entry, status: Status) -> Result<(), Error> {
    if status == Status::Stopped {
        return Ok(());
    }
    let id = entry.id.to_string();
    Err(Error::CannotDelete { id, status })
}

/// Kills init, and the creator of a container that is still being made.
fn end(entry: &Entry) -> Result<(), Error> {
    let Ok(record) = entry.load() else { return Ok(()) };
    let Judged { status, init } = judge(entry, &record);
    let own = i32::try_from(std::process::id()).ok();
    if status == Status::Creating
        && Some(record.creator.pid) != own
        && let Some(creator) = record.creator.open()
    {
        // Fails only if it is dead already.
        let _ = sys::pidfd_send_signal(creator.as_fd(), libc::SIGKILL);
        wait_for_exit(creator.as_fd(), Some(DEATH_LIMIT)).map_err(Error::system("wait for the creator"))?;
    }
    match init {
        Some(init) => kill_and_wait(entry, init.as_fd()),
        None => Ok(()),
    }
}

fn kill_and_wait(entry: &Entry, init: std::os::fd::BorrowedFd<'_>) -> Result<(), Error> {
    let _ = sys::pidfd_send_signal(init, libc::SIGKILL);
    if let Ok(record) = entry.load()
        && record.cgroups.is_frozen()
    {
        record.cgroups.kill_all()?;
    }
    if wait_for_exit(init, Some(DEATH_LIMIT)).map_err(Error::system("wait for init"))? {
        return Ok(());
    }
    Err(Error::CannotDelete {
        id: entry.id.to_string(),
        status: Status::Running,
    })
}

/// Runs every poststop hook; a failing one is a warning, and the others still run.
fn poststop(entry: &Entry, record: &Record) {
    if !record.poststop {
        return;
    }
    let spec = entry
        .load_config()
        .and_then(|bytes| config::parse(&entry.config_path(), &bytes));
    let spec = match spec {
        Ok(spec) => spec,
        // A create that was killed early has saved none.
        Err(Error::NotFound { .. }) => return,
        Err(error) => return tracing::warn!(id = %entry.id, %error, "cannot run poststop hooks"),
    };
    for result in Point::Poststop.run_each(spec.hooks().as_ref(), record, None, Some(&record.bundle)) {
        if let Err(failure) = result {
            tracing::warn!(id = %entry.id, error = %Error::from(failure), "poststop hook failed");
        }
    }
}
