//! Telling callers of a new process: its pid in a file, itself over a socket.

use std::fs::{self, File};
use std::io::{IoSlice, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::process::Child;
use crate::store::Entry;
use crate::{Error, console};

/// Whom to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience<'a> {
    /// The file for the pid.
    pub(crate) pid_file: Option<&'a Path>,
    /// The socket for the pidfd.
    pub(crate) pidfd_socket: Option<&'a Path>,
    /// What the process is called there, as in runc: `standard` is init, `setns` a further one.
    pub(crate) kind: &'static str,
}

impl Audience<'_> {
    /// Tells of `child`, whose program has not been executed yet.
    pub(crate) fn tell(&self, child: &Child, entry: &Entry) -> Result<(), Error> {
        if let Some(path) = self.pid_file {
            write_pid_file(path, child.pid)?;
        }
        let (Some(path), Some(pidfd)) = (self.pidfd_socket, child.pidfd()) else {
            return Ok(());
        };
        let operation = "send the pidfd to";
        let socket = console::connect_to(path, operation, entry)?;
        let descriptors = [pidfd.as_raw_fd()];
        sendmsg::<()>(
            socket.as_raw_fd(),
            &[IoSlice::new(self.kind.as_bytes())],
            &[ControlMessage::ScmRights(&descriptors)],
            MsgFlags::MSG_NOSIGNAL,
            None,
        )
        .map(drop)
        .map_err(|error| Error::file(operation, path)(error.into()))
    }
}

/// Makes a file in a folder that others may write to, too: what is there already, a link for one, is not written to.
fn create_new(path: &Path) -> std::io::Result<File> {
    match File::create_new(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            File::create_new(path)
        }
        other => other,
    }
}

/// Writes a pid file in one step, so that nobody reads half of it.
fn write_pid_file(path: &Path, pid: i32) -> Result<(), Error> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = create_new(&temporary)
        .and_then(|mut file| file.write_all(pid.to_string().as_bytes()))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        Error::file("write pid file", path)(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_way_of_a_pid_file_is_not_written_through() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("target"), "kept").unwrap();
        let temporary = format!("pid.{}.tmp", std::process::id());
        std::os::unix::fs::symlink(at("target"), at(&temporary)).unwrap();
        write_pid_file(&at("pid"), 7).unwrap();
        assert_eq!(fs::read_to_string(at("target")).unwrap(), "kept");
        assert_eq!(fs::read_to_string(at("pid")).unwrap(), "7");
        assert!(!at(&temporary).exists());
    }
}
