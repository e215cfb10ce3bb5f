//! Waiting for a descriptor of any kind in the async runtime.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys;

/// Registers a descriptor, inside the async runtime. The event queue knows a descriptor only once: for a second wait, a
/// clone of it.
///
/// # Errors
/// When the kernel cannot wait for such a descriptor (a regular file).
pub fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    sys::register(fd, interest)
}
