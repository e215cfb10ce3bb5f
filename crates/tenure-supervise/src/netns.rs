//! Connections from inside another network namespace.

use std::io;
use std::net::{SocketAddr, TcpStream as StdTcpStream, UdpSocket as StdUdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use crate::error::Context;
use crate::namespaces::on_own_thread;

/// Connects to `address` from inside the network namespace bound at `namespace` (e.g. a pod's `ns/net`, or
/// `/proc/PID/ns/net`; `None`: our own). One attempt; dropping the future gives it up.
///
/// A socket belongs for ever to the namespace in which it was made: it is made on a short-lived thread that has gone
/// there, and then used from here.
pub async fn connect(namespace: Option<&Path>, address: SocketAddr) -> io::Result<TcpStream> {
    let fd = socket_in(namespace, address, SockType::Stream)?;
    TcpSocket::from_std_stream(StdTcpStream::from(fd))
        .connect(address)
        .await
}

/// A UDP socket inside that namespace that speaks with `peer` only. Nothing is sent yet.
pub async fn connect_udp(namespace: Option<&Path>, peer: SocketAddr) -> io::Result<UdpSocket> {
    let fd = socket_in(namespace, peer, SockType::Datagram)?;
    let socket = UdpSocket::from_std(StdUdpSocket::from(fd))?;
    socket.connect(peer).await?;
    Ok(socket)
}

fn socket_in(namespace: Option<&Path>, peer: SocketAddr, kind: SockType) -> io::Result<OwnedFd> {
    let family = match peer {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let make = || socket(family, kind, flags, None).context("cannot make a socket for", peer);
    let Some(path) = namespace else {
        return make();
    };
    let there = std::fs::File::open(path).context("cannot open the network namespace", path.display())?;
    on_own_thread(|| {
        setns(&there, CloneFlags::CLONE_NEWNET)
            .context("cannot enter the network namespace", path.display())?;
        make()
    })
}
