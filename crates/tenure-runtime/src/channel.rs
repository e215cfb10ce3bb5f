//! The line between a runtime process and the child it sets up: short messages, and silence as the last word.
//!
//! ```text
//! child                          parent
//!   P pid   init was forked  -->          (only where a second fork is needed)
//!   H       namespaces stand -->          runs prestart and createRuntime hooks
//!                            <-- G        go on
//!   L number filter loaded   -->          takes the listener, gives it to the agent (SCMP_ACT_NOTIFY only)
//!                            <-- G        go on
//!   R       all is set up    -->          writes the record
//!                            <-- G        start, or wait to be started
//!   E error it failed        -->          undoes everything
//!   end     executed, or died
//! ```

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::failure::Failure;

/// The longest message. A longer error is cut.
const MAX_MESSAGE: usize = 16 * 1024;

/// What a child says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Init runs under this pid (as the parent sees it).
    Pid(i32),
    /// The namespaces stand and hooks may run.
    Hooks,
    /// The filter is loaded, and an agent must get the descriptor of this number.
    Listener(i32),
    /// Everything is set up.
    Ready,
    /// It failed.
    Failed(Failure),
    /// The other end is closed: the program has been executed, or the child is dead.
    Closed,
}

/// One end of the line.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Channel {
    /// Both ends: the parent's and the child's. An exec closes them.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        Ok((Self(a), Self(b)))
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: &Message) -> io::Result<()> {
        let mut bytes = Vec::new();
        match message {
            Message::Pid(pid) => {
                bytes.push(b'P');
                bytes.extend(pid.to_ne_bytes());
            }
            Message::Hooks => bytes.push(b'H'),
            Message::Listener(number) => {
                bytes.push(b'L');
                bytes.extend(number.to_ne_bytes());
            }
            Message::Ready => bytes.push(b'R'),
            Message::Failed(failure) => {
                bytes.push(b'E');
                bytes.extend(encode(failure));
            }
            Message::Closed => return Ok(()),
        }
        // A plain write: the child's filter may forbid what only we would use. A parent that is gone is told by an
        // error or SIGPIPE, and the child ends either way.
        loop {
            match rustix::io::write(&self.0, &bytes) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.map(drop).map_err(Into::into),
            }
        }
    }

    /// Lets the child go on. A child that is gone is an error, not a SIGPIPE.
    pub(crate) fn go(&self) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        loop {
            match nix::sys::socket::send(self.0.as_raw_fd(), b"G", nix::sys::socket::MsgFlags::MSG_NOSIGNAL) {
                Err(nix::errno::Errno::EINTR) => {}
                other => return other.map(drop).map_err(Into::into),
            }
        }
    }

    /// Waits for the parent's permission to go on; false if the parent is gone.
    pub(crate) fn wait_for_go(&self) -> bool {
        let mut byte = [0; 1];
        loop {
            match rustix::io::read(&self.0, &mut byte) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other == Ok(1),
            }
        }
    }

    /// Waits for the child's next message.
    pub(crate) fn receive(&self) -> io::Result<Message> {
        let mut bytes = vec![0; MAX_MESSAGE];
        let length = loop {
            match rustix::io::read(&self.0, &mut bytes) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(Message::Closed),
                other => break other?,
            }
        };
        bytes.truncate(length);
        let Some((tag, body)) = bytes.split_first() else {
            return Ok(Message::Closed);
        };
        let unknown = || io::Error::from(io::ErrorKind::InvalidData);
        match tag {
            b'P' | b'L' => {
                let number = i32::from_ne_bytes(body.try_into().map_err(|_| unknown())?);
                Ok(if *tag == b'P' {
                    Message::Pid(number)
                } else {
                    Message::Listener(number)
                })
            }
            b'H' => Ok(Message::Hooks),
            b'R' => Ok(Message::Ready),
            b'E' => Ok(Message::Failed(decode(body))),
            _ => Err(unknown()),
        }
    }
}

/// An error as bytes that fit into one message.
pub(crate) fn encode(failure: &Failure) -> Vec<u8> {
    let bytes = serde_json::to_vec(failure).unwrap_or_default();
    if bytes.len() < MAX_MESSAGE {
        return bytes;
    }
    let Failure::Step(reason) = failure else {
        return encode(&Failure::Step("an error too long to tell".to_owned()));
    };
    encode(&Failure::Step(reason.chars().take(1024).collect()))
}

/// The error in those bytes.
pub(crate) fn decode(bytes: &[u8]) -> Failure {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|_| Failure::Step(format!("unknown error {}", String::from_utf8_lossy(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_in_order_and_the_end_is_seen() {
        let (parent, child) = Channel::pair().unwrap();
        let failed = Message::Failed(Failure::Step("x".into()));
        child.send(&Message::Pid(42)).unwrap();
        child.send(&Message::Listener(7)).unwrap();
        child.send(&failed).unwrap();
        parent.go().unwrap();
        assert!(child.wait_for_go());
        drop(child);
        assert_eq!(parent.receive().unwrap(), Message::Pid(42));
        assert_eq!(parent.receive().unwrap(), Message::Listener(7));
        assert_eq!(parent.receive().unwrap(), failed);
        assert_eq!(parent.receive().unwrap(), Message::Closed);
        assert!(parent.go().is_err(), "an error, not a signal");
    }

    #[test]
    fn a_child_sees_that_its_parent_is_gone() {
        let (parent, child) = Channel::pair().unwrap();
        drop(parent);
        assert!(!child.wait_for_go());
    }

    #[test]
    fn an_error_of_any_length_fits() {
        let long = Failure::Step("x".repeat(1 << 20));
        assert!(encode(&long).len() < MAX_MESSAGE);
    }
}
