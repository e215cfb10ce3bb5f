//! OCI operations from a process that runs an event loop and therefore must not do them itself.
//!
//! ```text
//! shim (event loop) ──line: a socket and the descriptors of one operation──▶ launcher (one thread, forked first)
//!      │                                                                        │ fork
//!      └──────────── order (JSON) ▶ ─── socket of the operation ─── ◀ answer ── worker ──▶ tenure-runtime
//! ```
//!
//! No program is executed for an operation. The answer is complete when the socket is shut down, which the launcher does
//! after it has reaped the worker: from then on the shim, a subreaper, is the parent of the init that the worker made.

mod order;
mod perform;
mod serve;

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, socketpair,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

pub(crate) use order::{Answer, Command, Creation, Operation, Order, Program};
pub(crate) use perform::clean_up;

use crate::log::Log;
use crate::ttrpc::{Code, Status};

/// How many descriptors an operation has besides its socket: stdin, stdout and stderr, or a console socket.
const DESCRIPTORS_MAX: usize = 3;

/// The shim's end of the line.
#[derive(Debug)]
pub(crate) struct Launcher {
    line: OwnedFd,
}

impl Launcher {
    /// Forks the launcher. Before any thread exists.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn start(log: &Log) -> io::Result<Self> {
        let (ours, theirs) = pair(SocketType::SEQPACKET)?;
        let kept = vec![theirs, log.descriptor()?];
        tenure_supervise::fork::fork(kept, serve::serve)?;
        Ok(Self { line: ours })
    }

    /// Performs an operation and gives what came of it, when its worker is gone.
    ///
    /// # Errors
    /// The runtime's refusal, or `Internal` when there is no launcher any more.
    pub(crate) async fn perform(
        &self,
        order: &Order,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Answer, Status> {
        let internal = |error: io::Error| Status::new(Code::Internal, format!("the launcher: {error}"));
        let answer = self.ask(order, descriptors).await.map_err(internal)?;
        if answer.is_empty() {
            return Err(Status::new(Code::Internal, "the operation's process died"));
        }
        let answer: Result<Answer, order::Refusal> =
            serde_json::from_slice(&answer).map_err(|error| internal(error.into()))?;
        answer.map_err(|refusal| Status::new(refusal.code, refusal.message))
    }

    async fn ask(&self, order: &Order, descriptors: &[BorrowedFd<'_>]) -> io::Result<Vec<u8>> {
        let (ours, theirs) = pair(SocketType::STREAM)?;
        self.send(theirs.as_fd(), descriptors)?;
        drop(theirs);
        let ours = std::os::unix::net::UnixStream::from(ours);
        ours.set_nonblocking(true)?;
        let mut socket = UnixStream::from_std(ours)?;
        socket.write_all(&serde_json::to_vec(order)?).await?;
        socket.shutdown().await?;
        let mut answer = Vec::new();
        match socket.read_to_end(&mut answer).await {
            // It died before it had read its order.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            other => drop(other?),
        }
        Ok(answer)
    }

    /// Hands the descriptors of an operation over.
    fn send(&self, socket: BorrowedFd<'_>, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut all = vec![socket];
        all.extend_from_slice(descriptors);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX + 1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&all)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let sent = rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(
                &self.line,
                &[IoSlice::new(b"o")],
                &mut control,
                SendFlags::NOSIGNAL,
            )
        });
        Ok(sent.map(drop)?)
    }
}

fn pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}
