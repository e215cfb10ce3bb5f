//! The launcher's own process: takes operations, forks a worker for each, reaps it.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, Shutdown};
use tenure_supervise::process::Child;

use super::{DESCRIPTORS_MAX, perform};
use crate::log::Log;

/// An operation under way.
struct Worker {
    process: Child,
    /// Shut down when the process is reaped: that is what the shim waits for. An init that waits to be started still has
    /// it open.
    order: OwnedFd,
}

impl Worker {
    /// Reaps it if it has ended; true if so.
    fn is_over(&self) -> bool {
        let over = !self.process.pidfd.is_alive() && self.process.pidfd.wait_blocking().is_ok();
        if over {
            // The shim may have gone meanwhile.
            let _ = rustix::net::shutdown(&self.order, Shutdown::Both);
        }
        over
    }
}

/// Serves until the shim is gone. `kept` is the line and the log.
pub(super) fn serve(kept: Vec<OwnedFd>) -> u8 {
    let Ok([line, log]) = <[OwnedFd; 2]>::try_from(kept) else {
        return 1;
    };
    let log = Log::adopt(log);
    match attend(line.as_fd(), &log) {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!(%error, "no operation can be performed any more");
            1
        }
    }
}

fn attend(line: BorrowedFd<'_>, log: &Log) -> io::Result<()> {
    let mut workers: Vec<Worker> = Vec::new();
    loop {
        let mut fds: Vec<PollFd<'_>> = workers
            .iter()
            .map(|worker| PollFd::from_borrowed_fd(worker.process.pidfd.as_fd(), PollFlags::IN))
            .collect();
        fds.push(PollFd::from_borrowed_fd(line, PollFlags::IN));
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let called = fds.pop().is_some_and(|fd| !fd.revents().is_empty());
        drop(fds);
        workers.retain(|worker| !worker.is_over());
        if called {
            match receive(line)? {
                Some(descriptors) => workers.extend(begin(descriptors, log)),
                None => return Ok(()),
            }
        }
    }
}

/// Takes the descriptors of one operation; `None` when the shim is gone.
fn receive(line: BorrowedFd<'_>) -> io::Result<Option<Vec<OwnedFd>>> {
    let mut byte = [0; 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX + 1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let mut buffers = [IoSliceMut::new(&mut byte)];
        rustix::net::recvmsg(line, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok(Some(descriptors.flatten().collect()))
}

/// Forks the worker of one operation. One that cannot be forked is told by its socket's end.
fn begin(descriptors: Vec<OwnedFd>, log: &Log) -> Option<Worker> {
    let forked = (|| {
        let order = descriptors
            .first()
            .ok_or(io::ErrorKind::InvalidData)?
            .try_clone()?;
        let mut kept = vec![log.descriptor()?];
        kept.extend(descriptors);
        let process = tenure_supervise::fork::fork(kept, perform::work)?;
        Ok::<_, io::Error>(Worker { process, order })
    })();
    forked
        .inspect_err(|error| tracing::error!(%error, "an operation's process cannot be forked"))
        .ok()
}
