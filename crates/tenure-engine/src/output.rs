//! A container's standard streams: two pipes or a terminal, one log, and the foreground's view.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{FsWord, Mode, OFlags, fstatfs, open};
use rustix::io::Errno;
use tenure_lifecycle::HookPoint;
use tenure_spec::ContainerSpec;
use tenure_supervise::log::{DEFAULT_MAX_BYTES, LogReader, LogWriter, Stream};
use tenure_supervise::stdio::{Chunk, OutputPipe, copy, silent_input};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::error::EngineError;
use crate::oci::Stdio;
use crate::store::{PodDir, file_error, make_private_dir};
use crate::tee::TeeOut;

/// How much of a log stands in for a termination message (`lifecycle-semantics 5.22`).
const FALLBACK_LINES: usize = 80;
const FALLBACK_BYTES: usize = 2048;

/// The file system of unnamed pipes (linux/magic.h).
const PIPEFS_MAGIC: FsWord = 0x5049_5045;

/// How many starts of a container have a log: a container that fails for ever must not fill the disk.
const LOGS_KEPT: u32 = 10;

/// What becomes of one start's output.
#[derive(Debug)]
pub(crate) struct Output {
    log: Rc<RefCell<LogWriter>>,
    ended: watch::Sender<bool>,
    copies: Vec<JoinHandle<io::Result<()>>>,
    /// The foreground's view of a terminal that is still to come.
    tee: Option<mpsc::Sender<Chunk>>,
}

impl Output {
    /// Opens the log of one start and begins to copy into it what the container will write to the returned streams. The
    /// logs of the last starts stay, for `logs --previous` and for whoever looks into a container that keeps failing.
    ///
    /// Nobody attaches to a container: with `stdin` its input is open and silent. A terminal comes with the container,
    /// see [`Output::attach`].
    pub(crate) fn open(
        dir: &PodDir,
        container: &ContainerSpec,
        restart_count: u32,
        tee: Option<&TeeOut>,
    ) -> Result<(Self, Stdio), EngineError> {
        let name = &container.name;
        make_private_dir(&dir.container_logs(name))?;
        if let Some(old) = restart_count.checked_sub(LOGS_KEPT) {
            forget(&dir.log(name, old));
        }
        let path = dir.log(name, restart_count);
        let failed = |source| file_error("open", &path, source);
        let mut output = Self::log(&path).map_err(failed)?;
        let tee = tee.map(|tee| tee.source(name, output.ended.subscribe()));
        if container.tty {
            output.tee = tee;
            return Ok((output, Stdio::Terminal));
        }
        let stdin = container.stdin.then(silent_input).transpose().map_err(failed)?;
        let mut end = |stream| {
            let (pipe, end) = OutputPipe::new().map_err(failed)?;
            output.copy(pipe, stream, tee.clone());
            Ok(end)
        };
        let stdio = Stdio::Descriptors {
            stdin,
            stdout: end(Stream::Stdout)?,
            stderr: end(Stream::Stderr)?,
        };
        Ok((output, stdio))
    }

    fn log(path: &Path) -> io::Result<Self> {
        let log = LogWriter::open(path, DEFAULT_MAX_BYTES)?;
        let (ended, _) = watch::channel(false);
        Ok(Self {
            log: Rc::new(RefCell::new(log)),
            ended,
            copies: Vec::with_capacity(2),
            tee: None,
        })
    }

    fn copy(&mut self, pipe: OutputPipe, stream: Stream, tee: Option<mpsc::Sender<Chunk>>) {
        let mut ended = self.ended.subscribe();
        let ended = async move {
            // A sender that is gone means the end as well.
            let _ = ended.wait_for(|ended| *ended).await;
        };
        let copy = copy(pipe, stream, Rc::clone(&self.log), tee, ended);
        self.copies.push(tokio::task::spawn_local(copy));
    }

    /// Begins to copy what is written to the container's terminal, all of it as stdout.
    pub(crate) fn attach(&mut self, master: OwnedFd) -> io::Result<()> {
        let terminal = OutputPipe::terminal(master)?;
        let tee = self.tee.take();
        self.copy(terminal, Stream::Stdout, tee);
        Ok(())
    }

    /// Goes on with the log of a container whose supervisor died, from the pipes that its init has as stdout and
    /// stderr: what it wrote since then is in them, and a full pipe would hold up its end. Whatever else init has there
    /// by now is left alone; a terminal has hung up with the supervisor.
    pub(crate) fn adopt(
        dir: &PodDir,
        container: &str,
        restart_count: u32,
        init: i32,
    ) -> Result<Self, EngineError> {
        let path = dir.log(container, restart_count);
        let failed = |source| file_error("open", &path, source);
        let mut output = Self::log(&path).map_err(failed)?;
        for (number, stream) in [(1, Stream::Stdout), (2, Stream::Stderr)] {
            if let Some(pipe) = reopen(init, number).map_err(failed)? {
                output.copy(pipe, stream, None);
            }
        }
        Ok(output)
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use tenure_spec::manifest::{Origin, load};

    use super::*;
    use crate::store::Store;
    use crate::testing::terminal;

    /// One container of a manifest with these fields.
    fn container(fields: &str) -> ContainerSpec {
        let text = format!(
            "{{kind: Pod, apiVersion: v1, metadata: {{name: p}}, spec: {{containers: [{{name: a, image: bundle:b, {fields}}}]}}}}"
        );
        let origin = Origin {
            file: "pod.yaml".into(),
            dir: "/".into(),
        };
        load(text.as_bytes(), &origin).unwrap().pod.containers.remove(0)
    }

    fn run(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn the_input_is_open_only_where_the_manifest_says_so() {
        run(async {
            let root = tempfile::tempdir().unwrap();
            let claim = Store::new(root.path()).claim("p").unwrap();
            for (fields, open) in [("stdin: true", true), ("stdin: false", false), ("", false)] {
                let (_output, stdio) = Output::open(claim.dir(), &container(fields), 0, None).unwrap();
                assert!(
                    matches!(stdio, Stdio::Descriptors { stdin, .. } if stdin.is_some() == open),
                    "{fields}"
                );
            }
        });
    }

    #[test]
    fn all_that_was_written_to_a_terminal_is_in_the_log_as_stdout() {
        run(async {
            let root = tempfile::tempdir().unwrap();
            let claim = Store::new(root.path()).claim("p").unwrap();
            let spec = container("tty: true, stdin: true");
            let (mut output, stdio) = Output::open(claim.dir(), &spec, 0, None).unwrap();
            assert!(matches!(stdio, Stdio::Terminal));
            let (master, slave) = terminal();
            output.attach(master).unwrap();
            // An orphan holds the terminal for ever.
            let orphan = slave.try_clone().unwrap();
            for line in 0..200 {
                writeln!(File::from(slave.try_clone().unwrap()), "line {line}").unwrap();
                tokio::task::yield_now().await;
            }
            output.end();
            output.drained().await;
            drop(orphan);
            let mut log = LogReader::open(&claim.dir().log("a", 0), None).unwrap();
            let mut text = String::new();
            while let Some(entry) = log.next_entry().unwrap() {
                assert_eq!(entry.stream, Stream::Stdout);
                text.push_str(&String::from_utf8(entry.text).unwrap());
                text.push_str(if entry.partial { "" } else { "\n" });
            }
            let expected: String = (0..200).map(|line| format!("line {line}\r\n")).collect();
            assert_eq!(text, expected);
        });
    }
}
