//! Seccomp notification: the descriptor by which an agent judges calls, from the filtered process to the agent.
//!
//! ```text
//! filtered process                 runtime process                      agent at linux.seccomp.listenerPath
//!   loads the filter
//!   L number      ------------->   pidfd_getfd
//!                                  state as JSON, the descriptor  -->   judges from here on
//!                 <------------- G
//! ```
//!
//! The filtered process only writes and reads, and a rule that asks about `write` is refused with the configuration.

use std::io::{IoSlice, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use libcontainer::oci_spec::runtime::LinuxSeccomp;
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};

use crate::channel::{Channel, Message};
use crate::failure::Failure;
use crate::process::Child;
use crate::store::Record;
use crate::{Error, Status, sys};

/// The name of the descriptor in the message to the agent.
const DESCRIPTOR: &str = "seccompFd";

/// Gives the descriptor to the runtime process, and waits until the agent has it.
pub(crate) fn hand_over(channel: &Channel, listener: OwnedFd) -> Result<(), Failure> {
    channel
        .send(&Message::Listener(listener.as_raw_fd()))
        .map_err(Failure::step("tell of the seccomp listener"))?;
    if !channel.wait_for_go() {
        sys::exit_now(1);
    }
    Ok(())
}

/// Sends the agent what it needs to know of a process, and the descriptor that the process holds by `number`.
///
/// `status` is the container's. Needs the right to trace the process.
pub(crate) fn tell_agent(
    profile: Option<&LinuxSeccomp>,
    record: &Record,
    status: Status,
    child: &Child,
    number: i32,
) -> Result<(), Error> {
    let Some(path) = profile.and_then(|p| p.listener_path().as_ref()) else {
        return Err(Error::Unsupported {
            what: "SCMP_ACT_NOTIFY without a listenerPath".to_owned(),
        });
    };
    let listener = child
        .descriptor(number)
        .map_err(Error::system("take the seccomp listener over"))?;
    let init = record.init.map_or(child.pid, |init| init.pid);
    let mut message = serde_json::json!({
        "ociVersion": record.oci_version,
        "fds": [DESCRIPTOR],
        "pid": child.pid,
        "state": record.oci_state(status, Some(init)),
    });
    if let Some(metadata) = profile.and_then(|p| p.listener_metadata().as_ref()) {
        message["metadata"] = metadata.as_str().into();
    }
    let fail = Error::file("tell the seccomp agent at", path);
    match UnixStream::connect(path).and_then(|agent| send(&agent, message.to_string().as_bytes(), &listener))
    {
        Ok(()) => Ok(()),
        Err(error) => Err(fail(error)),
    }
}

fn send(agent: &UnixStream, message: &[u8], listener: &OwnedFd) -> std::io::Result<()> {
    let descriptors = [listener.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let data = [IoSlice::new(message)];
    let sent = sendmsg::<UnixAddr>(agent.as_raw_fd(), &data, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    // A stream takes as much as it has room for; the descriptor went with the first byte.
    let mut rest: &UnixStream = agent;
    rest.write_all(message.get(sent..).unwrap_or_default())
}
