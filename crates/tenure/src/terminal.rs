//! Our side of a container's terminal: raw mode, window size, and the copying between the two.
//!
//! ```text
//! our stdin (raw mode) ──▶ pending ──▶ pty master ◀══▶ slave: the container's fd 0, 1, 2
//! our stdout ◀──────────────────────── pty master
//! ```

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::termios::{OptionalActions, Termios};

/// How much is copied at once.
const CHUNK: usize = 32 * 1024;
/// What a terminal takes for the end of input.
const END_OF_INPUT: u8 = 4;

/// A connected pair of sockets for one terminal's master: the first is ours, the second goes to the runtime.
///
/// # Errors
/// When the process is out of descriptors.
pub(crate) fn console_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    Ok((ours, theirs))
}

/// Repeats a call that a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Rows and columns of our own terminal; `None` where stdin is none.
pub(crate) fn our_size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdin()).ok()?;
    Some((size.ws_row, size.ws_col))
}

/// Our own terminal in raw mode, until dropped.
#[derive(Debug)]
struct RawMode {
    terminal: OwnedFd,
    before: Termios,
}

impl RawMode {
    /// Makes a terminal raw; `None` when it is none.
    fn enter(terminal: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        if !rustix::termios::isatty(terminal) {
            return Ok(None);
        }
        let before = rustix::termios::tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        let terminal = terminal.try_clone_to_owned()?;
        rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        Ok(Some(Self { terminal, before }))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing better can be done about a failure than to leave: `reset` is the user's remedy.
        let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// A container's terminal joined to ours.
#[derive(Debug)]
pub(crate) struct Relay {
    master: OwnedFd,
    stdin: OwnedFd,
    stdout: OwnedFd,
    pending: Vec<u8>,
    stdin_open: bool,
    stdout_open: bool,
    master_open: bool,
    _raw: Option<RawMode>,
}

impl Relay {
    /// Joins `master` to our stdin and stdout: raw mode where stdin is a terminal, and our window's size.
    ///
    /// # Errors
    /// When one of the terminals refuses.
    pub(crate) fn new(master: OwnedFd) -> io::Result<Self> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        Self::join(master, stdin, stdout)
    }

    /// Joins `master` to those two.
    fn join(master: OwnedFd, stdin: OwnedFd, stdout: OwnedFd) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK)?;
        let raw = RawMode::enter(stdin.as_fd())?;
        let relay = Self {
            master,
            stdin,
            stdout,
            pending: Vec::new(),
            stdin_open: true,
            stdout_open: true,
            master_open: true,
            _raw: raw,
        };
        relay.resize();
        Ok(relay)
    }

    /// Gives the container our window's size; without a window of our own, nothing.
    pub(crate) fn resize(&self) {
        if let Ok(size) = rustix::termios::tcgetwinsize(&self.stdin) {
            // A terminal whose last holder has gone has no size to set.
            let _ = rustix::termios::tcsetwinsize(&self.master, size);
        }
    }

    /// The master, and what to wait for on it.
    pub(crate) fn master_interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let flags = if self.pending.is_empty() {
            PollFlags::IN
        } else {
            PollFlags::IN | PollFlags::OUT
        };
        self.master_open.then(|| (self.master.as_fd(), flags))
    }

    /// Our stdin, while it is to be waited for.
    pub(crate) fn stdin_interest(&self) -> Option<BorrowedFd<'_>> {
        (self.stdin_open && self.master_open && self.pending.is_empty()).then(|| self.stdin.as_fd())
    }

    /// Reads what stdin has, once, and passes it on.
    ///
    /// # Errors
    /// When stdin cannot be read.
    pub(crate) fn take_input(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match retry(|| rustix::io::read(&self.stdin, &mut buffer)) {
            Ok(0) => {
                self.stdin_open = false;
                self.pending.push(END_OF_INPUT);
            }
            Ok(length) => self.pending.extend(buffer.iter().take(length)),
            Err(Errno::AGAIN) => {}
            // A terminal that went away.
            Err(Errno::IO) => self.stdin_open = false,
            Err(error) => return Err(error.into()),
        }
        self.flush_input()
    }

    /// Passes on what waits for the container, as much as its terminal takes.
    ///
    /// # Errors
    /// When the terminal fails.
    pub(crate) fn flush_input(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            match retry(|| rustix::io::write(&self.master, &self.pending)) {
                Ok(length) => {
                    self.pending.drain(..length);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::IO) => self.pending.clear(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Copies what the container wrote, until nothing is left for now.
    ///
    /// # Errors
    /// When the terminal or stdout fails. A stdout whose reader went away is no failure.
    pub(crate) fn take_output(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        // One pass must end even when the container writes without pause: signals and input wait.
        for _ in 0..64 {
            match retry(|| rustix::io::read(&self.master, &mut buffer)) {
                // Every slave is closed.
                Ok(0) | Err(Errno::IO) => {
                    self.master_open = false;
                    return Ok(());
                }
                Ok(length) => self.show(buffer.get(..length).unwrap_or_default())?,
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Copies everything that is still in the terminal after the container's end.
    ///
    /// # Errors
    /// As [`Relay::take_output`].
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        while self.master_open {
            match retry(|| rustix::io::read(&self.master, &mut buffer)) {
                Ok(0) | Err(Errno::IO | Errno::AGAIN) => break,
                Ok(length) => self.show(buffer.get(..length).unwrap_or_default())?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Writes to our stdout.
    fn show(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while self.stdout_open && !bytes.is_empty() {
            match retry(|| rustix::io::write(&self.stdout, bytes)) {
                Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
                Err(Errno::PIPE | Errno::IO) => self.stdout_open = false,
                // A stdout that somebody made non-blocking: wait for it.
                Err(Errno::AGAIN) => wait_writable(self.stdout.as_fd())?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Waits until `fd` takes bytes.
fn wait_writable(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut poll = [rustix::event::PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    retry(|| rustix::event::poll(&mut poll, None))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pseudo-terminal: its master and its slave, which is raw so that bytes come as they are sent.
    #[allow(clippy::unwrap_used)]
    fn pseudo_terminal() -> (OwnedFd, std::fs::File) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let slave = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
        let mut termios = rustix::termios::tcgetattr(&slave).unwrap();
        termios.make_raw();
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &termios).unwrap();
        (master, slave.into())
    }

    #[test]
    fn every_byte_written_before_the_end_is_shown_after_it() {
        let (master, mut slave) = pseudo_terminal();
        let (input, _input_end) = rustix::pipe::pipe().unwrap();
        let (out, out_end) = rustix::pipe::pipe().unwrap();
        let mut relay = Relay::join(master, input, out_end).unwrap();
        std::io::Write::write_all(&mut slave, b"last words").unwrap();
        drop(slave);
        relay.drain().unwrap();
        drop(relay);
        let mut shown = String::new();
        std::io::Read::read_to_string(&mut std::fs::File::from(out), &mut shown).unwrap();
        assert_eq!(shown, "last words");
    }

    #[test]
    fn input_that_the_program_does_not_read_waits_without_blocking() {
        let (master, slave) = pseudo_terminal();
        let (input, input_end) = rustix::pipe::pipe().unwrap();
        let (_out, out_end) = rustix::pipe::pipe().unwrap();
        let mut relay = Relay::join(master, input, out_end).unwrap();
        let much = vec![b'x'; 48 * 1024];
        std::io::Write::write_all(&mut std::fs::File::from(input_end), &much).unwrap();
        while relay.stdin_interest().is_some() {
            relay.take_input().unwrap();
        }
        assert!(!relay.pending.is_empty());
        assert!(relay.master_interest().unwrap().1.contains(PollFlags::OUT));
        drop(slave);
    }

    #[test]
    fn the_end_of_input_is_typed_and_a_reader_that_left_is_no_failure() {
        let (master, mut slave) = pseudo_terminal();
        let (input, input_end) = rustix::pipe::pipe().unwrap();
        let (out, out_end) = rustix::pipe::pipe().unwrap();
        drop((input_end, out));
        let mut relay = Relay::join(master, input, out_end).unwrap();
        relay.take_input().unwrap();
        assert!(relay.stdin_interest().is_none());
        let mut typed = [0];
        std::io::Read::read_exact(&mut slave, &mut typed).unwrap();
        assert_eq!(typed, [END_OF_INPUT]);
        std::io::Write::write_all(&mut slave, b"unheard").unwrap();
        relay.take_output().unwrap();
        assert!(!relay.stdout_open);
    }
}
