//! Connections from inside another network namespace.

use std::io;
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tokio::net::{TcpSocket, TcpStream};

use crate::error::Context;
use crate::namespaces::on_own_thread;

/// Connects to `address` from inside the network namespace bound at `namespace` (e.g. a pod's `ns/net`, or
/// `/proc/PID/ns/net`; `None`: our own). One attempt; dropping the future gives it up.
///
/// A socket belongs for ever to the namespace in which it was made: it is made on a short-lived thread that has gone
/// there, and then used from here.
pub async fn connect(namespace: Option<&Path>, address: SocketAddr) -> io::Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let fd = match namespace {
        None => stream_socket(family)?,
        Some(path) => {
            let there =
                std::fs::File::open(path).context("cannot open the network namespace", path.display())?;
            on_own_thread(|| {
                setns(&there, CloneFlags::CLONE_NEWNET)
                    .context("cannot enter the network namespace", path.display())?;
                stream_socket(family)
            })?
        }
    };
    TcpSocket::from_std_stream(StdTcpStream::from(fd))
        .connect(address)
        .await
}

fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(family, SockType::Stream, flags, None)?)
}
