//! Terminals that a runtime makes: it connects to a socket and sends the master over it.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};

/// The longest name of a socket.
const NAME_MAX: usize = 107;

/// A socket for one terminal's master, in the file system until dropped.
#[derive(Debug)]
pub struct ConsoleSocket {
    socket: OwnedFd,
    path: PathBuf,
    name: PathBuf,
    /// What a long path is shortened by.
    _folder: File,
}

impl ConsoleSocket {
    /// Listens at an absolute path of any length; what is there is replaced.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let folder = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(path.parent().unwrap_or(Path::new("/")))?;
        let through = |process: &str| {
            let name = path.file_name().unwrap_or_default();
            let fd = folder.as_raw_fd().to_string();
            Path::new("/proc").join(process).join("fd").join(fd).join(name)
        };
        let name = if path.as_os_str().len() > NAME_MAX {
            through(&std::process::id().to_string())
        } else {
            path.to_owned()
        };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(through("self"))?)?;
        let this = Self {
            socket,
            path: path.to_owned(),
            name,
            _folder: folder,
        };
        rustix::net::listen(&this.socket, 1)?;
        Ok(this)
    }

    /// The name to give to the runtime: it is short enough to connect to.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Takes the master that was sent, from a runtime that is done: waits for nothing.
    pub fn take(self) -> io::Result<OwnedFd> {
        let connection = match rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC) {
            Err(Errno::AGAIN) => return Err(not_sent()),
            accepted => accepted?,
        };
        rustix::io::ioctl_fionbio(&connection, true)?;
        match receive_master(connection.as_fd()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(not_sent()),
            received => received,
        }
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        // What cannot be removed goes with its folder.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Receives the master that a runtime sends over a connected socket.
///
/// # Errors
/// When the other end was closed without sending one.
pub fn receive_master(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut name = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut buffers = [IoSliceMut::new(&mut name)];
    rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let descriptors = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptors.ok_or_else(not_sent)
}

fn not_sent() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal was not sent")
}

#[cfg(test)]
mod tests {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

    use super::*;

    /// Sends a file as a runtime sends a master.
    fn send(name: &Path, file: &File) {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        rustix::net::connect(&socket, &SocketAddrUnix::new(name).unwrap()).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [file.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let bytes = [io::IoSlice::new(b"/dev/ptmx")];
        rustix::net::sendmsg(&socket, &bytes, &mut control, SendFlags::empty()).unwrap();
    }

    #[test]
    fn what_was_sent_is_taken_whatever_the_length_of_the_path() {
        let whole = tempfile::tempdir().unwrap();
        for length in [8, 200] {
            let folder = whole.path().join("d".repeat(length));
            std::fs::create_dir(&folder).unwrap();
            let path = folder.join("s");
            File::create(&path).unwrap();
            let socket = ConsoleSocket::listen(&path).unwrap();
            assert!(socket.name().as_os_str().len() <= NAME_MAX || length < 100);
            let file = tempfile::tempfile().unwrap();
            // A connection of which only the name is too long would fail here.
            send(socket.name(), &file);
            let taken = socket.take().unwrap();
            let inode = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).unwrap().st_ino;
            assert_eq!(inode(taken.as_fd()), inode(file.as_fd()));
            let flags = rustix::io::fcntl_getfd(&taken).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_runtime_that_sends_nothing_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let unconnected = ConsoleSocket::listen(&path).unwrap();
        assert_eq!(
            unconnected.take().unwrap_err().to_string(),
            "the terminal was not sent"
        );
        for stays in [true, false] {
            let silent = ConsoleSocket::listen(&path).unwrap();
            let connection = std::os::unix::net::UnixStream::connect(silent.name()).unwrap();
            let connection = stays.then_some(connection);
            assert_eq!(
                silent.take().unwrap_err().to_string(),
                "the terminal was not sent"
            );
            drop(connection);
        }
        assert!(!path.exists());
    }
}
