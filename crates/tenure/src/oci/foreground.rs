//! Waiting for a process in the foreground: its end, our signals, its terminal; all by descriptor.
//!
//! Signals are blocked before the process is started, so none is lost and a process that ends at once cannot be
//! missed: its pidfd is readable from then on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{WaitId, WaitIdOptions};
use tenure_lifecycle::ExitStatus;
use tenure_supervise::pidfd::PidFd;

use crate::terminal::Relay;

/// Signals that are ours, not the process's: faults of our own code, what stops us at our terminal, the ends of
/// children, and what a broken pipe or a socket of ours sends.
const OURS: [Signal; 11] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGABRT,
    Signal::SIGTRAP,
    Signal::SIGCHLD,
    Signal::SIGPIPE,
    Signal::SIGURG,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

/// Our signals, blocked and to be read, until dropped.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks every signal that is to be passed on. To be called before the process is started.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub(crate) fn take() -> io::Result<Self> {
        let mut set = SigSet::all();
        for signal in OURS {
            set.remove(signal);
        }
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { fd })
    }

    /// Passes every signal that has come on to the process; a change of the window's size goes to the terminal.
    ///
    /// # Errors
    /// When signals cannot be read or sent.
    pub(crate) fn forward(&mut self, process: BorrowedFd<'_>, relay: Option<&Relay>) -> io::Result<()> {
        while let Some(info) = self.fd.read_signal()? {
            let number = i32::try_from(info.ssi_signo).unwrap_or(0);
            match (number == Signal::SIGWINCH as i32, relay) {
                (true, Some(relay)) => relay.resize(),
                _ => pass_on(process, number)?,
            }
        }
        Ok(())
    }
}

/// Readable when a signal has come.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Sends a signal, real-time ones too, to the process; one that has ended needs none.
fn pass_on(process: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    let process = PidFd::from_fd(process.try_clone_to_owned()?)?;
    match process.signal(number) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(()),
        result => result,
    }
}

/// Waits for the end of our child `process`, passing signals on and joining its terminal to ours.
///
/// # Errors
/// When waiting fails, or one of the terminals does.
pub(crate) fn wait(
    process: BorrowedFd<'_>,
    signals: &mut Signals,
    mut relay: Option<&mut Relay>,
) -> io::Result<ExitStatus> {
    loop {
        let ready = poll(process, signals.fd.as_fd(), relay.as_deref())?;
        if ready.signal {
            signals.forward(process, relay.as_deref())?;
        }
        if let Some(relay) = relay.as_deref_mut() {
            if ready.master {
                relay.flush_input()?;
                relay.take_output()?;
            }
            if ready.stdin {
                relay.take_input()?;
            }
        }
        if ready.ended {
            if let Some(relay) = relay {
                relay.drain()?;
            }
            return status(process);
        }
    }
}

/// What a poll has found.
struct Ready {
    ended: bool,
    signal: bool,
    master: bool,
    stdin: bool,
}

/// Waits for anything to do.
fn poll(process: BorrowedFd<'_>, signals: BorrowedFd<'_>, relay: Option<&Relay>) -> io::Result<Ready> {
    let mut fds = vec![
        PollFd::from_borrowed_fd(process, PollFlags::IN),
        PollFd::from_borrowed_fd(signals, PollFlags::IN),
    ];
    let master = relay.and_then(Relay::master_interest).map(|(fd, flags)| {
        fds.push(PollFd::from_borrowed_fd(fd, flags));
        fds.len() - 1
    });
    let input = relay.and_then(Relay::stdin_interest).map(|fd| {
        fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        fds.len() - 1
    });
    loop {
        match rustix::event::poll(&mut fds, None) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let is_ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
    Ok(Ready {
        ended: is_ready(0),
        signal: is_ready(1),
        master: master.is_some_and(is_ready),
        stdin: input.is_some_and(is_ready),
    })
}

/// The exit status of our child, which has ended.
fn status(process: BorrowedFd<'_>) -> io::Result<ExitStatus> {
    let status = rustix::process::waitid(WaitId::PidFd(process), WaitIdOptions::EXITED)?;
    let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
    Ok(match status {
        Some(status) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => ExitStatus::Code(byte(code)),
            (None, Some(signal)) => ExitStatus::Signal(byte(signal)),
            (None, None) => ExitStatus::Unknown,
        },
        None => ExitStatus::Unknown,
    })
}
