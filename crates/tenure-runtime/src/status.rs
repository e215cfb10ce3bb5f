//! Judging where a container is in its life, by facts alone.

use std::os::fd::OwnedFd;

use crate::store::{Entry, Record};
use crate::{Status, start};

/// A verdict, and init itself where it lives.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) status: Status,
    /// Init's pidfd, opened before its identity was checked.
    pub(crate) init: Option<OwnedFd>,
}

/// Judges a container.
///
/// ```text
/// init alive  set up  frozen  start.fifo has a reader  status
/// no          -       -       -                        stopped (creating while its creator lives)
/// yes         no      -       -                        creating
/// yes         yes     yes     -                        paused
/// yes         yes     no      yes                      created
/// yes         yes     no      no                       running
/// ```
pub(crate) fn judge(entry: &Entry, record: &Record) -> Judged {
    let Some(init) = record.init.and_then(|key| key.open()) else {
        let unborn = record.init.is_none() && record.creator.open().is_some();
        let status = if unborn { Status::Creating } else { Status::Stopped };
        return Judged { status, init: None };
    };
    let status = if !record.ready {
        Status::Creating
    } else if record.cgroups.is_frozen() {
        Status::Paused
    } else if start::is_waiting(entry) {
        Status::Created
    } else {
        Status::Running
    };
    Judged {
        status,
        init: Some(init),
    }
}
