//! Where a terminal's master end goes.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use crate::{Error, store::Entry};

/// The longest socket path the kernel takes, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// What a request says about the terminal.
pub(crate) struct Request<'a> {
    pub(crate) terminal: bool,
    pub(crate) socket: Option<&'a Path>,
    pub(crate) fd: Option<&'a OwnedFd>,
}

impl Request<'_> {
    /// A terminal and a socket come together or not at all.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let given = self.socket.is_some() || self.fd.is_some();
        let reason = match (self.terminal, given) {
            (true, false) => "process.terminal is set, but there is no console socket to send it to",
            (false, true) => "a console socket is given, but process.terminal is not set",
            _ => return Ok(()),
        };
        Err(Error::Console {
            reason: reason.to_owned(),
        })
    }

    /// The connected socket, if a terminal is asked for.
    pub(crate) fn connect(&self, entry: &Entry) -> Result<Option<OwnedFd>, Error> {
        if let Some(fd) = self.fd {
            return fd
                .try_clone()
                .map(Some)
                .map_err(Error::system("duplicate the console socket"));
        }
        let Some(path) = self.socket else { return Ok(None) };
        connect_to(path, "connect to console socket", entry).map(Some)
    }
}

/// Connects to a Unix socket of any path.
pub(crate) fn connect_to(path: &Path, operation: &'static str, entry: &Entry) -> Result<OwnedFd, Error> {
    let fail = |error: nix::errno::Errno| Error::file(operation, path)(error.into());
    let fd = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .map_err(fail)?;
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        let address = UnixAddr::new(path).map_err(fail)?;
        connect(fd.as_raw_fd(), &address).map_err(fail)?;
        return Ok(fd);
    }
    // A link whose own path is short leads there.
    let absolute = std::path::absolute(path).map_err(Error::file(operation, path))?;
    let link = entry.path.join("console.sock");
    symlink(absolute, &link).map_err(Error::file("create", &link))?;
    let short = format!("/proc/self/fd/{}/console.sock", entry.dir().as_raw_fd());
    let connected = UnixAddr::new(short.as_str())
        .and_then(|a| connect(fd.as_raw_fd(), &a))
        .map_err(fail);
    let _ = fs::remove_file(link);
    connected.map(|()| fd)
}
