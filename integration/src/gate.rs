//! A TCP port of the host's loopback that listens when it is told to.

use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, setsockopt,
    shutdown, socket, sockopt,
};

/// The port. It is the test's own from the first moment to the last, whether it listens or not.
pub struct Gate {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// Bound, and never listens.
    _held: OwnedFd,
    open: Option<(Arc<TcpListener>, JoinHandle<()>)>,
}

impl Gate {
    /// Takes a port, on which nothing listens.
    pub fn closed() -> Self {
        let held = bound(0);
        let address: SockaddrIn = getsockname(held.as_raw_fd()).unwrap();
        Self {
            port: address.port(),
            _held: held,
            open: None,
        }
    }

    /// Takes a port, and accepts every connection to it.
    pub fn opened() -> Self {
        let mut gate = Self::closed();
        gate.open();
        gate
    }

    /// From now on connections are accepted, and closed at once.
    pub fn open(&mut self) {
        if self.open.is_some() {
            return;
        }
        let socket = bound(self.port);
        listen(&socket, Backlog::MAXCONN).unwrap();
        let listener = Arc::new(TcpListener::from(socket));
        let accepts = Arc::clone(&listener);
        let thread = std::thread::spawn(move || while accepts.accept().is_ok() {});
        self.open = Some((listener, thread));
    }

    /// From now on connections are refused.
    pub fn close(&mut self) {
        if let Some((listener, thread)) = self.open.take() {
            shutdown(listener.as_raw_fd(), Shutdown::Both).unwrap();
            thread.join().unwrap();
        }
    }
}

/// A socket on a port, 0 for any, that others of this gate may be bound to as well.
fn bound(port: u16) -> OwnedFd {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .unwrap();
    setsockopt(&socket, sockopt::ReusePort, &true).unwrap();
    bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)).unwrap();
    socket
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_gate_keeps_its_port_while_it_opens_and_closes() {
        let mut gate = Gate::closed();
        let connect = |gate: &Gate| TcpStream::connect(("127.0.0.1", gate.port));
        for _ in 0..100 {
            assert_eq!(connect(&gate).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            gate.open();
            connect(&gate).unwrap();
            gate.close();
        }
    }
}
