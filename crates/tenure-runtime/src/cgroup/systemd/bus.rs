//! A connection to systemd: calls, their answers, and the end of jobs.
//!
//! ```text
//! root            /run/systemd/private, systemd itself     or, without it, the system bus
//! anybody else    $XDG_RUNTIME_DIR/systemd/private, the user's systemd
//! ```
//!
//! systemd's own socket needs no bus daemon, no name and no subscription: who starts a job is told of its end.

use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, send};

use super::wire::{Call, Kind, Malformed, Message, Value};
use crate::failure::reason_of;

/// How long an answer or a job may take, as in runc.
const LIMIT: Duration = Duration::from_secs(30);
/// What systemd calls itself on a bus.
const SYSTEMD: &str = "org.freedesktop.systemd1";
/// Its one object of interest.
const OBJECT: &str = "/org/freedesktop/systemd1";
/// The methods on units.
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";
/// The bus daemon.
const DAEMON: &str = "org.freedesktop.DBus";

/// Why systemd did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is no systemd to ask.
    Absent(String),
    /// It answered with an error of this name and text.
    Refused { name: String, text: String },
    /// The conversation broke off.
    Broken(String),
}

impl Fault {
    /// Whether systemd's answer was this error (the last part of its name).
    pub(super) fn is(&self, error: &str) -> bool {
        matches!(self, Self::Refused { name, .. } if name.rsplit('.').next() == Some(error))
    }

    /// The reason in words.
    pub(super) fn text(self) -> String {
        match self {
            Self::Absent(reason) | Self::Broken(reason) => reason,
            Self::Refused { name, text } if text.is_empty() => name,
            Self::Refused { text, .. } => text,
        }
    }
}

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Self {
        Self::Broken("its answer is no D-Bus message".to_owned())
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    /// Received and not yet understood.
    incoming: Vec<u8>,
    serial: u32,
    /// Ends of jobs that came while something else was waited for.
    ended: Vec<JobRemoved>,
}

/// The signal at the end of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
struct JobRemoved {
    job: String,
    /// `done`, `failed`, `timeout`, ...
    result: String,
}

impl Bus {
    /// Connects to the systemd that serves this user.
    pub(super) fn connect() -> Result<Self, Fault> {
        if !rustix::process::geteuid().is_root() {
            let directory = std::env::var_os("XDG_RUNTIME_DIR").filter(|d| !d.is_empty());
            let Some(directory) = directory.map(PathBuf::from) else {
                let reason = "XDG_RUNTIME_DIR does not tell where the user's systemd is";
                return Err(Fault::Absent(reason.to_owned()));
            };
            return Self::open(&directory.join("systemd/private"));
        }
        // As sd_booted(3) tells it.
        let booted = Path::new("/run/systemd/system");
        if !booted.is_dir() {
            let reason = format!("there is no {}, so process 1 is not systemd", booted.display());
            return Err(Fault::Absent(reason));
        }
        match Self::open(Path::new("/run/systemd/private")) {
            Err(Fault::Absent(reason)) => {
                let daemon = Self::open(Path::new("/run/dbus/system_bus_socket"));
                let mut bus = daemon.map_err(|fault| match fault {
                    Fault::Absent(second) => Fault::Absent(format!("{reason}; {second}")),
                    other => other,
                })?;
                bus.introduce()?;
                Ok(bus)
            }
            other => other,
        }
    }

    /// Connects to a socket and says who is calling.
    fn open(path: &Path) -> Result<Self, Fault> {
        let stream = UnixStream::connect(path).map_err(|error| {
            Fault::Absent(format!(
                "cannot connect to {}: {}",
                path.display(),
                reason_of(&error)
            ))
        })?;
        let mut bus = Self {
            stream,
            incoming: Vec::new(),
            serial: 0,
            ended: Vec::new(),
        };
        let uid = rustix::process::geteuid().as_raw().to_string();
        let uid: String = uid.bytes().map(|b| format!("{b:02x}")).collect();
        bus.write(format!("\0AUTH EXTERNAL {uid}\r\nBEGIN\r\n").as_bytes())?;
        let deadline = Instant::now() + LIMIT;
        let end = loop {
            if let Some(end) = bus.incoming.iter().position(|b| *b == b'\n') {
                break end;
            }
            bus.read(deadline)?;
        };
        let line: Vec<u8> = bus.incoming.drain(..=end).collect();
        if !line.starts_with(b"OK") {
            let answer = String::from_utf8_lossy(&line).trim().to_owned();
            return Err(Fault::Broken(format!("{} says {answer}", path.display())));
        }
        Ok(bus)
    }

    /// Gets a name from a bus daemon, and the signals that matter.
    fn introduce(&mut self) -> Result<(), Fault> {
        let mut call = |member: &str, body: &[Value]| {
            let serial = self.send(&Call {
                destination: DAEMON,
                path: "/org/freedesktop/DBus",
                interface: DAEMON,
                member,
                body,
            })?;
            self.answer(serial).map(drop)
        };
        call("Hello", &[])?;
        let rule = format!("type='signal',sender='{SYSTEMD}',interface='{INTERFACE}',member='JobRemoved'");
        call("AddMatch", &[Value::Text(rule)])
    }

    /// Calls a method on units and returns its answer.
    pub(super) fn call(&mut self, member: &str, body: &[Value]) -> Result<Message, Fault> {
        let serial = self.send_to_systemd(INTERFACE, member, body)?;
        self.answer(serial)
    }

    /// Calls a method that starts a job, and waits for the end of the job. Returns how it ended.
    pub(super) fn job(&mut self, member: &str, body: &[Value]) -> Result<String, Fault> {
        let job = self.call(member, body)?.arguments().text()?;
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.ended.iter().position(|e| e.job == job) {
                return Ok(self.ended.swap_remove(at).result);
            }
            let message = self.receive(deadline)?;
            self.keep(&message);
        }
    }

    /// Returns when systemd has acted on all that was called before, besides having answered.
    ///
    /// It puts new limits into effect after its answer, and before it takes the next call.
    pub(super) fn settle(&mut self) -> Result<(), Fault> {
        let serial = self.send_to_systemd("org.freedesktop.DBus.Peer", "Ping", &[])?;
        self.answer(serial).map(drop)
    }

    /// A property of systemd itself that is a text.
    pub(super) fn property(&mut self, name: &str) -> Result<String, Fault> {
        let body = [Value::text(INTERFACE), Value::text(name)];
        let serial = self.send_to_systemd("org.freedesktop.DBus.Properties", "Get", &body)?;
        Ok(self.answer(serial)?.arguments().text_variant()?)
    }

    fn send_to_systemd(&mut self, interface: &str, member: &str, body: &[Value]) -> Result<u32, Fault> {
        self.send(&Call {
            destination: SYSTEMD,
            path: OBJECT,
            interface,
            member,
            body,
        })
    }

    fn send(&mut self, call: &Call<'_>) -> Result<u32, Fault> {
        self.serial += 1;
        self.write(&call.encode(self.serial))?;
        Ok(self.serial)
    }

    /// Waits for the answer to a call.
    fn answer(&mut self, serial: u32) -> Result<Message, Fault> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let message = self.receive(deadline)?;
            match message.kind {
                Kind::Return if message.reply_to == serial => return Ok(message),
                Kind::Error if message.reply_to == serial => {
                    let text = message.arguments().text().unwrap_or_default();
                    return Err(Fault::Refused {
                        name: message.error,
                        text,
                    });
                }
                _ => self.keep(&message),
            }
        }
    }

    /// Remembers the end of a job: it may be told before the answer that names the job.
    fn keep(&mut self, message: &Message) {
        if message.kind != Kind::Signal || message.member != "JobRemoved" {
            return;
        }
        let mut arguments = message.arguments();
        let parsed = (|| {
            arguments.number()?;
            let job = arguments.text()?;
            arguments.text()?;
            let result = arguments.text()?;
            Ok::<_, Malformed>(JobRemoved { job, result })
        })();
        self.ended.extend(parsed);
    }

    fn receive(&mut self, deadline: Instant) -> Result<Message, Fault> {
        loop {
            if let Some((message, length)) = Message::decode(&self.incoming)? {
                self.incoming.drain(..length);
                return Ok(message);
            }
            self.read(deadline)?;
        }
    }

    /// Waits for more bytes.
    fn read(&mut self, deadline: Instant) -> Result<(), Fault> {
        let late = || Fault::Broken(format!("no answer within {} s", LIMIT.as_secs()));
        let mut bytes = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late());
            }
            let read = self
                .stream
                .set_read_timeout(Some(left))
                .and_then(|()| self.stream.read(&mut bytes));
            match read {
                Ok(0) => return Err(Fault::Broken("it closed the connection".to_owned())),
                Ok(length) => {
                    self.incoming.extend_from_slice(&bytes[..length]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(late()),
                Err(error) => return Err(Fault::Broken(reason_of(&error))),
            }
        }
    }

    /// Sends bytes. A peer that is gone is an error, not a SIGPIPE.
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            match send(self.stream.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(Fault::Broken(reason_of(&errno.into()))),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_peer_that_closes_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let absent = Bus::open(&path).unwrap_err();
        assert!(matches!(&absent, Fault::Absent(reason) if reason.contains("socket: no such file")));
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(b"OK 1234\r\n").unwrap();
            let mut greeting = [0; 64];
            let length = peer.read(&mut greeting).unwrap();
            greeting[..length].to_vec()
        });
        let mut bus = Bus::open(&path).unwrap();
        let greeting = server.join().unwrap();
        assert!(greeting.starts_with(b"\0AUTH EXTERNAL 3") && greeting.ends_with(b"\r\nBEGIN\r\n"));
        assert!(matches!(bus.call("Reload", &[]), Err(Fault::Broken(_))));
    }

    #[test]
    fn an_error_is_known_by_the_end_of_its_name() {
        let fault = Fault::Refused {
            name: "org.freedesktop.systemd1.NoSuchUnit".to_owned(),
            text: String::new(),
        };
        assert!(fault.is("NoSuchUnit") && !fault.is("SuchUnit"));
        assert_eq!(fault.text(), "org.freedesktop.systemd1.NoSuchUnit");
    }
}
