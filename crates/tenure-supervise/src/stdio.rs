//! A process's input and output: pipes that survive whoever holds their other end, or a terminal, and the task that
//! copies what is written into a log.
//!
//! The writing end is opened for reading as well, so a process that writes after its supervisor has died is not ended
//! by SIGPIPE; it goes on until the pipe (64 KiB) is full, and then waits. The two ends are separate open file
//! descriptions: what the process does to its own (O_NONBLOCK) does not reach ours.
//!
//! A terminal's output is read from its master. We hold its slave as well: a program that closes it and opens it again
//! later has not hung up, and the end of the process is told by the process.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::pty::OpenptFlags;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use crate::log::{LogWriter, Stream};
use crate::sys;

/// How much is read at once: a quarter of a pipe.
const READ_SIZE: usize = 16 * 1024;

/// More than a terminal ever holds of what was written to it: the kernel's limit is 640 KiB and the line discipline's 4.
const TERMINAL_HOLDS: u64 = 1024 * 1024;

/// The input of a process that nobody writes to: reading it waits for ever, whatever becomes of us, as the one end that
/// it has is open for writing, too.
pub fn silent_input() -> io::Result<OwnedFd> {
    let (reading, _writing) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    open_both_ways(&reading)
}

/// Another open file description of a pipe, for reading and writing.
fn open_both_ways(pipe: &OwnedFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    Ok(rustix::fs::open(
        path,
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// The reading end of an output pipe, or a terminal's master.
#[derive(Debug)]
pub struct OutputPipe {
    fd: AsyncFd<OwnedFd>,
    /// Of a terminal: its slave.
    slave: Option<OwnedFd>,
    /// The last read found something, so the next one may as well.
    found: bool,
}

impl OutputPipe {
    /// A new pipe, inside the async runtime: our reading end, and the end to hand to the process (drop ours once it
    /// is started).
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (reading, writing) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let both = open_both_ways(&writing)?;
        Ok((Self::from_fd(reading)?, both))
    }

    /// A terminal by its master, inside the async runtime. What is written to it goes to one stream.
    pub fn terminal(master: OwnedFd) -> io::Result<Self> {
        let slave = open_slave(&master)?;
        let mut pipe = Self::from_fd(master)?;
        pipe.slave = Some(slave);
        Ok(pipe)
    }

    /// The reading end of a pipe that somebody else made, inside the async runtime.
    pub fn from_fd(reading: OwnedFd) -> io::Result<Self> {
        rustix::fs::fcntl_setfl(&reading, OFlags::NONBLOCK)?;
        let fd = sys::readable(reading)?;
        Ok(Self {
            fd,
            slave: None,
            found: false,
        })
    }

    /// Reads what is there, waiting for something; 0 when every writing end of a pipe is closed. Cancel-safe.
    ///
    /// Others have their turn before each read: what is written faster than it is read would never let go of the thread.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.found) {
            tokio::task::yield_now().await;
        }
        loop {
            let mut ready = self.fd.readable().await?;
            let has_hung_up = self.slave.is_some() && ready.ready().is_read_closed();
            match rustix::io::read(self.fd.get_ref(), &mut *buffer) {
                Ok(count) => {
                    self.found = true;
                    return Ok(count);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::IO) if has_hung_up => self.take_up()?,
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Goes on with a terminal that was hung up for all who had it open, us too (vhangup, as getty does before it opens
    /// it again). The async runtime takes a descriptor that has hung up for ready for ever: it is registered anew.
    fn take_up(&mut self) -> io::Result<()> {
        let master = self.fd.get_ref().try_clone()?;
        self.slave = Some(open_slave(&master)?);
        self.fd = sys::readable(master)?;
        Ok(())
    }

    /// Reads what is there without waiting; `None` when nothing is.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::read(self.fd.get_ref(), buffer) {
            Ok(count) => Ok(Some(count)),
            // A terminal whose slaves are closed is empty.
            Err(Errno::AGAIN | Errno::IO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// How many bytes are waiting to be read; of a terminal, which does not tell, more than can be.
    pub fn waiting(&self) -> io::Result<u64> {
        if self.slave.is_some() {
            return Ok(TERMINAL_HOLDS);
        }
        Ok(rustix::io::ioctl_fionread(self.fd.get_ref())?)
    }
}

fn open_slave(master: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    Ok(rustix::pty::ioctl_tiocgptpeer(master, flags)?)
}

/// What a tee gets: bytes as they were read, cut anywhere.
#[derive(Debug)]
pub struct Chunk {
    /// Where they were written.
    pub stream: Stream,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Copies a pipe into a log (shared by a process's two streams) and into `tee`, until every writer has closed the
/// pipe, or until `ended` is ready and what was in the pipe then has been copied: orphans may hold it for ever, and
/// write for ever.
///
/// While the channel of `tee` is full this pipe is not read, so its process is held back, and only it. The pipe is
/// drained also when the log cannot be written (a full disk must not stop the process); the first such error is given
/// at the end.
pub async fn copy(
    mut pipe: OutputPipe,
    stream: Stream,
    log: Rc<RefCell<LogWriter>>,
    tee: Option<mpsc::Sender<Chunk>>,
    ended: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut sink = Sink { stream, log, tee };
    let mut buffer = vec![0_u8; READ_SIZE];
    let mut ended = pin!(ended);
    let mut failure = None;
    loop {
        let count = tokio::select! {
            count = pipe.read(&mut buffer) => count?,
            () = &mut ended => break,
        };
        if count == 0 {
            return failure.map_or(Ok(()), Err);
        }
        sink.put(&buffer[..count], &mut failure).await;
    }
    let mut left = pipe.waiting()?;
    while left > 0 {
        match pipe.try_read(&mut buffer)? {
            None | Some(0) => break,
            Some(count) => {
                left = left.saturating_sub(count as u64);
                sink.put(&buffer[..count], &mut failure).await;
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

struct Sink {
    stream: Stream,
    log: Rc<RefCell<LogWriter>>,
    tee: Option<mpsc::Sender<Chunk>>,
}

impl Sink {
    async fn put(&mut self, bytes: &[u8], failure: &mut Option<io::Error>) {
        let written = self.log.borrow_mut().write(self.stream, bytes);
        if let Err(error) = written {
            failure.get_or_insert(error);
        }
        let Some(tee) = &self.tee else { return };
        let chunk = Chunk {
            stream: self.stream,
            bytes: bytes.to_vec(),
        };
        if tee.send(chunk).await.is_err() {
            // Nobody listens any more.
            self.tee = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(test);
    }

    /// A terminal that passes bytes as they are, and one who writes to it.
    fn terminal() -> (OutputPipe, File) {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let slave = open_slave(&master).unwrap();
        let mut attributes = tcgetattr(&slave).unwrap();
        attributes.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &attributes).unwrap();
        (OutputPipe::terminal(master).unwrap(), File::from(slave))
    }

    async fn read(pipe: &mut OutputPipe) -> String {
        let mut buffer = [0; 64];
        let count = pipe.read(&mut buffer).await.unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }

    #[test]
    fn a_terminal_that_everybody_closed_is_read_again_once_somebody_opens_it() {
        run(async {
            let (mut pipe, mut writer) = terminal();
            writer.write_all(b"one").unwrap();
            assert_eq!(read(&mut pipe).await, "one");
            drop(writer);
            let mut writer = File::from(open_slave(pipe.fd.get_ref()).unwrap());
            writer.write_all(b"two").unwrap();
            assert_eq!(read(&mut pipe).await, "two");
        });
    }

    #[test]
    fn a_terminal_that_was_hung_up_for_us_as_well_is_taken_up_again() {
        run(async {
            let (mut pipe, writer) = terminal();
            drop((
                pipe.slave.replace(File::open("/dev/null").unwrap().into()),
                writer,
            ));
            let mut buffer = [0; 64];
            let waits = tokio::time::timeout(std::time::Duration::from_millis(20), pipe.read(&mut buffer));
            assert!(waits.await.is_err());
            let mut writer = File::from(open_slave(pipe.fd.get_ref()).unwrap());
            writer.write_all(b"again").unwrap();
            assert_eq!(read(&mut pipe).await, "again");
        });
    }

    #[test]
    fn what_is_written_without_pause_leaves_others_their_turn() {
        run(async {
            let (mut pipe, writer) = OutputPipe::new().unwrap();
            let begun = std::time::Instant::now();
            // It waits for ever in the end, as its pipe can be read by itself.
            std::thread::spawn(move || {
                let mut writer = File::from(writer);
                while begun.elapsed().as_secs() < 5 && writer.write_all(&[b'x'; 65536]).is_ok() {}
            });
            let reading = async {
                let mut buffer = [0; 4096];
                while pipe.read(&mut buffer).await.unwrap() > 0 {
                    // Slower than what writes.
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
            };
            tokio::select! {
                () = reading => {}
                () = tokio::time::sleep(std::time::Duration::from_millis(50)) => {}
            }
            assert!(begun.elapsed().as_secs() < 3, "{:?}", begun.elapsed());
        });
    }

    #[test]
    fn what_was_written_to_a_terminal_before_the_end_is_there_after_it() {
        run(async {
            let (pipe, mut writer) = terminal();
            let text = vec![b'x'; 3000];
            writer.write_all(&text).unwrap();
            drop(writer);
            let mut left = Vec::new();
            let mut buffer = [0; 512];
            while let Some(count) = pipe.try_read(&mut buffer).unwrap() {
                left.extend_from_slice(&buffer[..count]);
            }
            assert_eq!(left, text);
        });
    }

    #[test]
    fn nobody_ever_ends_a_silent_input() {
        let input = silent_input().unwrap();
        rustix::fs::fcntl_setfl(&input, OFlags::NONBLOCK).unwrap();
        let mut buffer = [0; 1];
        assert_eq!(rustix::io::read(&input, &mut buffer), Err(Errno::AGAIN));
    }
}
