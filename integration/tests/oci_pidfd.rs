//! `--pidfd-socket`: whoever has a container made can hold its process, where a pid may be another's by then.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use tenure_integration::{ShellBox, shell_box};

/// A container and a socket; `None` with a runtime that need not know the option (runc does since 1.2).
fn listening(test: &str) -> Option<(ShellBox, UnixListener, PathBuf)> {
    let this = shell_box(test, "echo ready; while :; do sleep 1000 & wait $!; done")?;
    if this.host.runtime().is_some() {
        return None;
    }
    let path = this.host.directory().join("pidfd.sock");
    Some((this, UnixListener::bind(&path).unwrap(), path))
}

/// What is called for a process, and the process that the descriptor stands for.
fn receive(listener: &UnixListener) -> (String, u32) {
    // The connection and its message stay with the listener when the sender has gone.
    listener.set_nonblocking(true).unwrap();
    let (stream, _) = listener.accept().expect("somebody has connected");
    let mut text = [0; 64];
    let mut space = nix::cmsg_space!([i32; 4]);
    let mut parts = [IoSliceMut::new(&mut text)];
    let message = recvmsg::<()>(
        stream.as_raw_fd(),
        &mut parts,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )
    .unwrap();
    let mut descriptors = Vec::new();
    for part in message.cmsgs().unwrap() {
        if let ControlMessageOwned::ScmRights(received) = part {
            descriptors.extend(received);
        }
    }
    let length = message.bytes;
    let [descriptor] = descriptors[..] else {
        panic!("one descriptor, not {descriptors:?}");
    };
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap();
    nix::unistd::close(descriptor).unwrap();
    let pid = info
        .lines()
        .find_map(|line| line.strip_prefix("Pid:"))
        .expect("it is a pidfd");
    let name = String::from_utf8_lossy(&text[..length]).into_owned();
    (name, pid.trim().parse().unwrap())
}

fn pid_in(file: &Path) -> u32 {
    fs::read_to_string(file).unwrap().parse().unwrap()
}

#[test]
fn create_sends_a_descriptor_of_the_containers_init() {
    let Some((this, listener, path)) = listening("pidfdcreate") else {
        return;
    };
    this.create(&["--pidfd-socket", path.to_str().unwrap()]);
    let (name, pid) = receive(&listener);
    assert_eq!(
        (name.as_str(), this.state()["pid"].clone()),
        ("standard", pid.into())
    );
    this.delete(&["--force"]);
}

#[test]
fn exec_sends_a_descriptor_of_the_process_it_starts() {
    let Some((this, listener, path)) = listening("pidfdexec") else {
        return;
    };
    this.start();
    let pid_file = this.host.directory().join("exec.pid");
    let arguments = [
        "exec",
        "--detach",
        "--pidfd-socket",
        path.to_str().unwrap(),
        "--pid-file",
        pid_file.to_str().unwrap(),
        &this.id,
        "sleep",
        "1000",
    ];
    // What outlives the command would hold an output of ours open.
    let mut command = this.host.oci(&arguments);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.unwrap().success());
    assert_eq!(receive(&listener), ("setns".to_owned(), pid_in(&pid_file)));
    this.delete(&["--force"]);
}
