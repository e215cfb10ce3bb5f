//! A process's standard streams, between what containerd names and what the process has.
//!
//! ```text
//! fifo ──input──▶ pipe ──▶ process ──pipe──▶ output ──▶ fifo, file
//!                                   └──pipe────────────▶ logger (binary://), which reads the pipe itself
//! fifo ──input──▶ terminal's master ──output──▶ fifo, file
//! ```
//!
//! The process never has the fifo itself: a reader that goes away would be its SIGPIPE. It is held back instead, by its
//! own full pipe, until somebody reads again; and its end and deletion do not wait for that.

mod fifo;
mod input;
mod logger;
mod output;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::pipe::PipeFlags;
use tenure_supervise::stdio::OutputPipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use input::Input;
use logger::Logger;
use output::{Sink, copy};

/// How long a reader that does not read may hold up a deletion.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where containerd wants the streams: paths of fifos, `file://` or `binary://` addresses, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) stdin: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) terminal: bool,
}

/// Where the process of some streams is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It may write.
    Lives,
    /// What is in the pipes is all that is left.
    Ended,
    /// Whoever does not read now is not waited for.
    Leaving,
}

/// Our side of a process's streams.
#[derive(Debug)]
pub(crate) struct Streams {
    phase: watch::Sender<Phase>,
    input: Option<Input>,
    outputs: Vec<JoinHandle<()>>,
    logger: Option<Logger>,
    terminal: Option<Terminal>,
    /// Where a terminal's output will go.
    sink: Option<Sink>,
}

/// A terminal that a process has, or will have.
#[derive(Debug)]
enum Terminal {
    /// The socket that its master will come through, and where its input comes from.
    Awaited(OwnedFd, String),
    /// Its master.
    Here(OwnedFd),
}

/// What the process itself gets: its three streams, or the socket that its terminal's master is to be sent to.
#[derive(Debug)]
pub(crate) struct Given(Vec<OwnedFd>);

impl Given {
    /// The descriptors, for a launcher.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.0.iter().map(AsFd::as_fd).collect()
    }
}

impl Streams {
    /// Opens what the addresses name, and begins to copy. Inside the event loop.
    ///
    /// `id` and `namespace` are told to a logger.
    ///
    /// # Errors
    /// Naming the address that cannot be used.
    pub(crate) async fn open(addresses: &Addresses, id: &str, namespace: &str) -> io::Result<(Self, Given)> {
        let mut streams = Self {
            phase: watch::Sender::new(Phase::Lives),
            input: None,
            outputs: Vec::new(),
            logger: None,
            terminal: None,
            sink: None,
        };
        if addresses.stdout.starts_with("binary://") {
            let (logger, [stdout, stderr]) = Logger::start(&addresses.stdout, id, namespace).await?;
            streams.logger = Some(logger);
            if addresses.terminal {
                streams.sink = Some(Sink::pipe(stdout)?);
                return streams.await_terminal(&addresses.stdin);
            }
            let stdin = streams.open_input(&addresses.stdin)?;
            return Ok((streams, Given(vec![stdin, stdout, stderr])));
        }
        if addresses.terminal {
            streams.sink = Sink::open(&addresses.stdout)?;
            return streams.await_terminal(&addresses.stdin);
        }
        let stdin = streams.open_input(&addresses.stdin)?;
        let stdout = streams.open_output(&addresses.stdout)?;
        let stderr = streams.open_output(&addresses.stderr)?;
        Ok((streams, Given(vec![stdin, stdout, stderr])))
    }

    fn await_terminal(mut self, stdin: &str) -> io::Result<(Self, Given)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        self.terminal = Some(Terminal::Awaited(ours, stdin.to_owned()));
        Ok((self, Given(vec![theirs])))
    }

    fn open_input(&mut self, address: &str) -> io::Result<OwnedFd> {
        if address.is_empty() {
            return null();
        }
        let (reading, writing) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        self.input = Some(Input::open(address, input::Target::pipe(writing)?)?);
        Ok(reading)
    }

    fn open_output(&mut self, address: &str) -> io::Result<OwnedFd> {
        let Some(sink) = Sink::open(address)? else {
            return null();
        };
        let (pipe, end) = OutputPipe::new()?;
        self.copy(pipe, sink);
        Ok(end)
    }

    fn copy(&mut self, pipe: OutputPipe, sink: Sink) {
        let copy = copy(pipe, sink, self.phase.subscribe());
        self.outputs.push(tokio::task::spawn_local(copy));
    }

    /// Takes the terminal, from a runtime that has sent it; nothing where none was asked for.
    ///
    /// # Errors
    /// When it was not sent, or does not work.
    pub(crate) fn take_terminal(&mut self) -> io::Result<()> {
        let Some(Terminal::Awaited(socket, stdin)) = self.terminal.take() else {
            return Ok(());
        };
        let master = tenure_supervise::terminal::receive_master(socket.as_fd())?;
        if !stdin.is_empty() {
            self.input = Some(Input::open(
                &stdin,
                input::Target::terminal(master.try_clone()?)?,
            )?);
        }
        let pipe = OutputPipe::terminal(master.try_clone()?)?;
        self.terminal = Some(Terminal::Here(master));
        // Without a reader it is read all the same, or its process would wait.
        let sink = self.sink.take().unwrap_or(Sink::Nowhere);
        self.copy(pipe, sink);
        Ok(())
    }

    /// The terminal's master, once it is there.
    pub(crate) fn terminal(&self) -> Option<BorrowedFd<'_>> {
        match &self.terminal {
            Some(Terminal::Here(master)) => Some(master.as_fd()),
            _ => None,
        }
    }

    /// Lets the process's input end when whoever writes to it has ended (`CloseIO`).
    pub(crate) fn close_input(&mut self) {
        if let Some(input) = &mut self.input {
            input.let_end();
        }
    }

    /// The process has ended: orphans may hold its pipes for ever.
    pub(crate) fn ended(&self) {
        self.phase.send_replace(Phase::Ended);
    }

    /// Waits until all that the process has written is where it belongs, but not for readers that are not there, nor
    /// for long for those that do not read; and lets everything go.
    pub(crate) async fn close(mut self) {
        self.phase.send_replace(Phase::Leaving);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        for mut output in self.outputs.drain(..) {
            if tokio::time::timeout_at(deadline, &mut output).await.is_err() {
                tracing::warn!("a reader does not read: output is lost");
                output.abort();
            }
        }
        if let Some(logger) = self.logger.take() {
            // It may have much to write still.
            tokio::task::spawn_local(logger.end());
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        for output in &self.outputs {
            output.abort();
        }
    }
}

fn null() -> io::Result<OwnedFd> {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    Ok(file.into())
}
