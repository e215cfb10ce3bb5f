//! A container's output: two pipes, one log, and the foreground's view.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{FsWord, Mode, OFlags, fstatfs, open};
use rustix::io::Errno;
use tenure_lifecycle::HookPoint;
use tenure_supervise::log::{DEFAULT_MAX_BYTES, LogReader, LogWriter, Stream};
use tenure_supervise::stdio::{OutputPipe, copy};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::EngineError;
use crate::store::{PodDir, file_error, make_private_dir};
use crate::tee::TeeOut;

/// How much of a log stands in for a termination message (`lifecycle-semantics 5.22`).
const FALLBACK_LINES: usize = 80;
const FALLBACK_BYTES: usize = 2048;

/// The file system of unnamed pipes (linux/magic.h).
const PIPEFS_MAGIC: FsWord = 0x5049_5045;

/// How many starts of a container have a log: a container that fails for ever must not fill the disk.
const LOGS_KEPT: u32 = 10;

/// The ends that a container writes to.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// What becomes of one start's output.
#[derive(Debug)]
pub(crate) struct Output {
    log: Rc<RefCell<LogWriter>>,
    ended: watch::Sender<bool>,
    copies: Vec<JoinHandle<io::Result<()>>>,
}

impl Output {
    /// Opens the log of one start and begins to copy into it what comes out of the returned ends. The logs of the
    /// last starts stay, for `logs --previous` and for whoever looks into a container that keeps failing.
    pub(crate) fn open(
        dir: &PodDir,
        container: &str,
        restart_count: u32,
        tee: Option<&TeeOut>,
    ) -> Result<(Self, Ends), EngineError> {
        make_private_dir(&dir.container_logs(container))?;
        if let Some(old) = restart_count.checked_sub(LOGS_KEPT) {
            forget(&dir.log(container, old));
        }
        let path = dir.log(container, restart_count);
        let failed = |source| file_error("open", &path, source);
        let log = LogWriter::open(&path, DEFAULT_MAX_BYTES).map_err(failed)?;
        let log = Rc::new(RefCell::new(log));
        let (ended, _) = watch::channel(false);
        let tee = tee.map(|tee| tee.source(container, ended.subscribe()));
        let mut copies = Vec::with_capacity(2);
        let mut end = |stream| {
            let (pipe, end) = OutputPipe::new().map_err(failed)?;
            let mut ended = ended.subscribe();
            let ended = async move {
                // A sender that is gone means the end as well.
                let _ = ended.wait_for(|ended| *ended).await;
            };
            let copy = copy(pipe, stream, Rc::clone(&log), tee.clone(), ended);
            copies.push(tokio::task::spawn_local(copy));
            Ok(end)
        };
        let ends = Ends {
            stdout: end(Stream::Stdout)?,
            stderr: end(Stream::Stderr)?,
        };
        let output = Self { log, ended, copies };
        Ok((output, ends))
    }

    /// Goes on with the log of a container whose supervisor died, from the pipes that its init has as stdout and
    /// stderr: what it wrote since then is in them, and a full pipe would hold up its end. Whatever else init has there
    /// by now is left alone.
    pub(crate) fn adopt(
        dir: &PodDir,
        container: &str,
        restart_count: u32,
        init: i32,
    ) -> Result<Self, EngineError> {
        let path = dir.log(container, restart_count);
        let failed = |source| file_error("open", &path, source);
        let log = LogWriter::open(&path, DEFAULT_MAX_BYTES).map_err(failed)?;
        let log = Rc::new(RefCell::new(log));
        let (ended, _) = watch::channel(false);
        let mut copies = Vec::with_capacity(2);
        for (number, stream) in [(1, Stream::Stdout), (2, Stream::Stderr)] {
            let Some(pipe) = reopen(init, number).map_err(failed)? else {
                continue;
            };
            let mut ended = ended.subscribe();
            let ended = async move {
                let _ = ended.wait_for(|ended| *ended).await;
            };
            let copy = copy(pipe, stream, Rc::clone(&log), None, ended);
            copies.push(tokio::task::spawn_local(copy));
        }
        Ok(Self { log, ended, copies })
    }

    /// The container is dead: what is in the pipes is all that is left.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Waits until everything is in the log. To be called after [`Output::end`]: a slow terminal does not hold it up.
    pub(crate) async fn drained(&mut self) {
        for copy in self.copies.drain(..) {
            match copy.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "output is not logged"),
                Err(error) => tracing::error!(%error, "output is lost"),
            }
        }
    }

    /// Puts what a handler wrote into the log, each line marked with the handler.
    pub(crate) fn hook(&self, point: HookPoint, text: &str) {
        let name = match point {
            HookPoint::PostStart => "postStart",
            HookPoint::PreStop => "preStop",
        };
        let lines: String = text.lines().map(|line| format!("[{name}] {line}\n")).collect();
        let written = self.log.borrow_mut().write(Stream::Stderr, lines.as_bytes());
        if let Err(error) = written {
            tracing::error!(%error, "a handler's output is not logged");
        }
    }
}

/// A reading end of the pipe that a process has as this descriptor; `None` when it is no pipe. A container can put
/// anything there: nothing is opened before it is known what it is.
fn reopen(pid: i32, number: i32) -> io::Result<Option<OutputPipe>> {
    let place = format!("/proc/{pid}/fd/{number}");
    let found = match open(place, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    // Unnamed pipes only: a named one belongs to somebody else.
    if fstatfs(&found)?.f_type != PIPEFS_MAGIC {
        return Ok(None);
    }
    let ours = format!("/proc/self/fd/{}", found.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let reading = open(ours, flags, Mode::empty())?;
    OutputPipe::from_fd(reading).map(Some)
}

/// Removes a log and its rotated part. Best effort: it is only old.
fn forget(log: &Path) {
    let mut rotated = log.as_os_str().to_owned();
    rotated.push(".1");
    for path in [log, Path::new(&rotated)] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %path.display(), "an old log stays");
            }
            _ => {}
        }
    }
}

/// The end of a log, where a termination message falls back to it: at most 80 lines and 2048 bytes.
pub(crate) fn tail(log: &Path) -> String {
    let mut text = Vec::new();
    let read = LogReader::open(log, Some(FALLBACK_LINES)).and_then(|mut reader| {
        while let Some(entry) = reader.next_entry()? {
            text.extend_from_slice(&entry.text);
            if !entry.partial {
                text.push(b'\n');
            }
        }
        Ok(())
    });
    if let Err(error) = read {
        tracing::warn!(%error, "no termination message from the log");
    }
    let from = text.len().saturating_sub(FALLBACK_BYTES);
    String::from_utf8_lossy(&text[from..]).into_owned()
}
