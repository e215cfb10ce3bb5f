//! How containerd starts its shim, without containerd: both ways that its versions know, and what becomes of a shim that
//! nobody uses.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tenure_integration::{Host, host, wait_until};

/// A field of a protobuf message that holds text: its number (below 16) and the text.
fn text(number: u8, text: &str) -> Vec<u8> {
    let mut field = vec![number << 3 | 2, u8::try_from(text.len()).unwrap()];
    field.extend(text.as_bytes());
    field
}

/// A bundle for a container of this id, which nobody will create.
fn bundle(host: &Host, id: &str) -> PathBuf {
    let bundle = host.directory().join(id);
    fs::create_dir(&bundle).unwrap();
    fs::write(bundle.join("config.json"), "{}").unwrap();
    bundle
}

/// Executes `start` in a bundle as containerd does, with this on its standard input, and gives what it prints.
fn start(host: &Host, bundle: &Path, id: &str, input: &[u8]) -> Vec<u8> {
    let mut command = host.tenure(&["-namespace", host.token(), "-id", id]);
    command
        .arg0("containerd-shim-tenure-v1")
        .args([
            "-address",
            "/absent/containerd.sock",
            "-publish-binary",
            "/absent/containerd",
            "start",
        ])
        .current_dir(bundle)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    // At its end, not at the shim's: the shim must not hold the pipes.
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The socket of an address.
fn socket(address: &str) -> PathBuf {
    PathBuf::from(address.strip_prefix("unix://").unwrap())
}

/// Calls a method of the task API whose request begins with an id; true if it was done.
fn call(socket: &Path, service: &str, method: &str, id: &str) -> bool {
    let mut connection = UnixStream::connect(socket).unwrap();
    let mut request = text(1, service);
    request.extend(text(2, method));
    request.extend([3 << 3 | 2, u8::try_from(id.len() + 2).unwrap()]);
    request.extend(text(1, id));
    let mut frame = u32::try_from(request.len()).unwrap().to_be_bytes().to_vec();
    frame.extend([0, 0, 0, 1, 1, 0]);
    frame.extend(request);
    connection.write_all(&frame).unwrap();
    let mut header = [0; 10];
    connection.read_exact(&mut header).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(header[..4].try_into().unwrap()) as usize];
    connection.read_exact(&mut answer).unwrap();
    // A response's first field is its status, which is empty when all is well.
    answer.starts_with(&[1 << 3 | 2, 0])
}

/// Has a shim go, and waits until it has.
fn shut_down(socket: &Path, service: &str, id: &str) {
    assert!(call(socket, service, "Shutdown", id));
    assert!(!socket.exists(), "its socket is gone before it answers");
}

#[test]
fn containerd_before_2_3_gets_the_address_as_text() {
    let Some(host) = host("shim-address") else { return };
    let id = host.container_id();
    let bundle = bundle(&host, &id);
    // Options of a runtime, which are no parameters.
    let address = String::from_utf8(start(&host, &bundle, &id, &text(7, "/run/root"))).unwrap();
    assert_eq!(fs::read_to_string(bundle.join("address")).unwrap(), address);
    let socket = socket(&address);
    assert!(call(&socket, "containerd.task.v2.Task", "Connect", &id));
    assert!(
        !call(&socket, "containerd.task.v2.Task", "State", &id),
        "there is no task"
    );
    let again = String::from_utf8(start(&host, &bundle, &id, b"")).unwrap();
    assert_eq!(again, address, "a shim that lives is found again");
    shut_down(&socket, "containerd.task.v2.Task", &id);
}

#[test]
fn containerd_from_2_3_on_gets_a_bootstrap_result() {
    let Some(host) = host("shim-bootstrap") else {
        return;
    };
    let id = host.container_id();
    let bundle = bundle(&host, &id);
    let mut params = text(1, &id);
    params.extend(text(2, host.token()));
    params.extend(text(5, "/absent/containerd.sock.ttrpc"));
    params.extend(text(6, "/absent/containerd.sock"));
    let result = start(&host, &bundle, &id, &params);
    let address = fs::read_to_string(bundle.join("address")).unwrap();
    // The version of the task API, the address, and the protocol.
    let mut expected = vec![1 << 3, 3];
    expected.extend(text(2, &address));
    expected.extend(text(3, "ttrpc"));
    assert_eq!(result, expected);
    let socket = socket(&address);
    assert!(call(&socket, "containerd.task.v3.Task", "Connect", &id));
    shut_down(&socket, "containerd.task.v3.Task", &id);
}

#[test]
fn a_shim_that_gets_no_container_ends() {
    let Some(host) = host("shim-unused") else { return };
    let id = host.container_id();
    let bundle = bundle(&host, &id);
    let address = String::from_utf8(start(&host, &bundle, &id, b"")).unwrap();
    let socket = socket(&address);
    assert!(socket.exists());
    // Twenty seconds after its start.
    let gone = wait_until(Duration::from_secs(40), || (!socket.exists()).then_some(()));
    assert_eq!(gone, Some(()));
}

#[test]
fn delete_of_what_never_was_succeeds_and_tells_how_it_ended() {
    let Some(host) = host("shim-delete") else { return };
    let id = host.container_id();
    let bundle = bundle(&host, &id);
    let output = host
        .tenure(&["-namespace", host.token(), "-id", &id, "-bundle"])
        .arg0("containerd-shim-tenure-v1")
        .arg(&bundle)
        .arg("delete")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // exit_status = 137, in two bytes.
    assert!(
        output.stdout.starts_with(&[2 << 3, 0x89, 0x01]),
        "{:?}",
        output.stdout
    );
    // The namespace's folder was made by nobody else.
    let _ = fs::remove_dir_all(Path::new("/run/containerd/tenure").join(host.token()));
}

#[test]
fn a_wrong_command_line_is_told_in_one_line() {
    let Some(host) = host("shim-usage") else { return };
    for arguments in [&["-id", "../x", "start"][..], &["begin"], &[]] {
        let output = host
            .tenure(arguments)
            .arg0("containerd-shim-tenure-v1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            error.starts_with("containerd-shim-tenure-v1: ") && error.lines().count() == 1,
            "{error}"
        );
    }
}
