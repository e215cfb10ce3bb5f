//! `pause` and `resume`: every process of a container stops where it is, and goes on.
//!
//! Neither changes a record, so neither needs its lock: a killed `pause` leaves what `resume` can undo.

use std::fs;
use std::os::fd::AsFd;

use crate::status::{Judged, judge};
use crate::store::Entry;
use crate::{Error, Status};

/// Freezes a created or running container.
pub(crate) fn pause(entry: &Entry) -> Result<(), Error> {
    let record = entry.load()?;
    let Judged { status, init } = judge(entry, &record);
    let refuse = |status| Error::NotRunning {
        id: entry.id.to_string(),
        status,
    };
    let init = init
        .filter(|_| matches!(status, Status::Created | Status::Running))
        .ok_or_else(|| refuse(status))?;
    record.cgroups.freeze(init.as_fd())?;
    // A kill that came in between must not wait for a resume.
    let Judged { status, .. } = judge(entry, &record);
    if status != Status::Paused || record.init.is_some_and(|key| is_doomed(key.pid)) {
        record.cgroups.thaw()?;
        return Err(refuse(Status::Stopped));
    }
    Ok(())
}

/// Lets a paused container go on.
pub(crate) fn resume(entry: &Entry) -> Result<(), Error> {
    let record = entry.load()?;
    let Judged { status, .. } = judge(entry, &record);
    if status != Status::Paused {
        return Err(Error::NotPaused {
            id: entry.id.to_string(),
            status,
        });
    }
    record.cgroups.thaw()
}

/// Whether SIGKILL is on its way to a process; it cannot be taken back.
fn is_doomed(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    pending_kill(&status)
}

/// Whether `/proc/PID/status` tells of a SIGKILL that waits for the process or its main thread.
fn pending_kill(status: &str) -> bool {
    let mask = |line: &str| {
        line.strip_prefix("SigPnd:")
            .or_else(|| line.strip_prefix("ShdPnd:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
    };
    status
        .lines()
        .filter_map(mask)
        .any(|pending| pending & (1 << (libc::SIGKILL - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pending_sigkill_dooms_a_process() {
        assert!(pending_kill(
            "SigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\n"
        ));
        assert!(pending_kill(
            "SigPnd:\t0000000000000000\nShdPnd:\t0000000000000101\n"
        ));
        assert!(!pending_kill(
            "SigPnd:\t0000000000004000\nSigBlk:\t0000000000000100\n"
        ));
        assert!(!pending_kill(""));
    }
}
