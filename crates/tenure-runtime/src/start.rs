//! `start`: two fifos between a container that waits and whoever starts it.
//!
//! Init reads `start.fifo`: that it has a reader is the very fact that the container is created and not started, so
//! no record can be wrong about it. Init holds `exec.fifo` open for writing: a successful exec closes it, a failed
//! one leaves its reason in it.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::channel::decode;
use crate::hook::Point;
use crate::init::Start;
use crate::status::{Judged, judge};
use crate::store::Entry;
use crate::{Error, Status, config};

/// Init's end is read.
const START: &str = "start.fifo";
/// Init's end is written.
const EXEC: &str = "exec.fifo";

/// Makes both fifos and opens init's ends.
pub(crate) fn prepare(entry: &Entry) -> Result<Start, Error> {
    let make = |name: &str| -> Result<OwnedFd, Error> {
        let fail = |error: Errno| Error::file("create", entry.path.join(name))(error.into());
        rustix::fs::mknodat(entry.dir(), name, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .map_err(fail)?;
        // Both ways, so that neither opening nor reading ever sees the other end missing.
        rustix::fs::openat(entry.dir(), name, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(fail)
    };
    Ok(Start::OnRequest(make(START)?, make(EXEC)?))
}

/// The way to start a container, if it waits for it.
fn open_start(entry: &Entry) -> Option<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(entry.dir(), START, flags, Mode::empty()).ok()
}

/// Whether the container waits to be started.
pub(crate) fn is_waiting(entry: &Entry) -> bool {
    open_start(entry).is_some()
}

/// Starts a created container and waits until its program has been executed.
pub(crate) fn start(entry: &Entry) -> Result<(), Error> {
    entry.lock()?;
    let record = entry.load()?;
    let Judged { status, init: _ } = judge(entry, &record);
    let refuse = |status| Error::CannotStart {
        id: entry.id.to_string(),
        status,
    };
    if status != Status::Created {
        return Err(refuse(status));
    }
    // Opened before the byte is sent: nothing can be missed.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let exec = rustix::fs::openat(entry.dir(), EXEC, flags, Mode::empty())
        .map_err(|e| Error::file("open", entry.path.join(EXEC))(e.into()))?;
    let start = open_start(entry).ok_or_else(|| refuse(Status::Stopped))?;
    rustix::io::write(&start, b"s").map_err(|e| Error::file("write", entry.path.join(START))(e.into()))?;
    drop(start);
    let failure = await_exec(&exec)?;
    for name in [START, EXEC] {
        let _ = rustix::fs::unlinkat(entry.dir(), name, AtFlags::empty());
    }
    if !failure.is_empty() {
        return Err(decode(&failure).into());
    }
    if !record.poststart {
        return Ok(());
    }
    let spec = config::parse(&entry.config_path(), &entry.load_config()?)?;
    let pid = record.init.map(|i| i.pid);
    let hooks = spec.hooks().as_ref();
    if let Err(failure) = Point::Poststart.run(hooks, &record, pid, Some(&record.bundle)) {
        // A failing poststart hook ends the container, and nothing of it remains (lifecycle-semantics 9.21, S103).
        crate::delete::delete(entry, true)?;
        return Err(failure.into());
    }
    Ok(())
}

/// Waits until init closes its end; what it wrote before is why the exec failed.
fn await_exec(exec: &OwnedFd) -> Result<Vec<u8>, Error> {
    use rustix::event::{PollFd, PollFlags, poll};
    let fail = |error: Errno| Error::system("wait for the program to start")(error.into());
    let mut bytes = Vec::new();
    loop {
        let mut fds = [PollFd::new(exec, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other.map_err(fail)?,
        };
        let mut chunk = [0; 4096];
        match rustix::io::read(exec, &mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(chunk.get(..length).unwrap_or_default()),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(fail(error)),
        }
    }
}
