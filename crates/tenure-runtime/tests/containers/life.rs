//! create, start, state, kill, delete: the plain life.

use std::fs;
use std::os::unix::fs::FileTypeExt;

use serde_json::json;

use crate::fixture::{World, tolerance};
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "run_passes_the_exit_status_on_and_delete_leaves_nothing",
        run_passes_the_exit_status_on,
    ),
    ("a_created_container_waits_until_it_is_started", created_waits),
    (
        "a_created_container_outlives_the_process_that_created_it",
        created_outlives_its_creator,
    ),
    ("a_container_starts_only_once", starts_only_once),
    (
        "no_signal_changes_what_is_known_of_a_container",
        signals_change_nothing,
    ),
    ("a_recycled_pid_is_never_taken_for_the_container", recycled_pid),
    ("a_live_container_is_deleted_only_by_force", deleted_only_by_force),
    (
        "kill_of_a_stopped_container_says_that_it_is_not_running",
        kill_of_stopped,
    ),
    ("state_tells_what_the_specification_wants", state_tells),
    ("list_is_sorted_and_survives_a_broken_record", list_survives),
    ("a_long_root_path_is_no_obstacle", long_root),
    ("the_pid_file_holds_inits_pid", pid_file),
    (
        "a_terminal_is_the_containers_own_and_its_master_arrives",
        terminal,
    ),
];

fn run_passes_the_exit_status_on() {
    let world = World::new("exit 42");
    assert_eq!(world.op("run", &[]).code, 42);
    assert_eq!(world.status(), "stopped");
    world.op("delete", &[]).ok();
    world.leaves_nothing();
}

fn created_waits() {
    let world = World::new("echo started; sleep 100");
    world.create();
    assert_eq!(world.status(), "created");
    assert!(
        world
            .record()
            .join("start.fifo")
            .symlink_metadata()
            .unwrap()
            .file_type()
            .is_fifo()
    );
    assert_eq!(fs::read_to_string(world.path("out")).unwrap(), "");
    world.op("start", &[]).ok();
    assert_eq!(world.status(), "running");
    world.wait_for("started");
}

fn created_outlives_its_creator() {
    // Many times, for what it depends on is a race; fewer where everything is slow.
    let world = World::new("true");
    for _ in 0..40 / tolerance() {
        world.create();
        assert_eq!(world.status(), "created");
        world.op("start", &[]).ok();
        world.wait_for_status("stopped");
        world.op("delete", &[]).ok();
    }
}

fn starts_only_once() {
    let world = World::new("sleep 100");
    world.create();
    world.op("start", &[]).ok();
    world
        .op("start", &[])
        .fails(125, "cannot start an already running container");
    world.op("kill", &["KILL"]).ok();
    world.wait_for_status("stopped");
    world
        .op("start", &[])
        .fails(125, "cannot start a container that has stopped");
}

fn signals_change_nothing() {
    let world = World::new("trap 'echo got' USR1; echo ready; while :; do sleep 0.01; done");
    world.create();
    world.op("kill", &["0"]).ok();
    world.op("kill", &["WINCH"]).ok();
    assert_eq!(world.status(), "created");
    world.op("start", &[]).ok();
    world.wait_for("ready");
    world.op("kill", &["SIGUSR1"]).ok();
    world.wait_for("got");
    assert_eq!(world.status(), "running");
}

fn recycled_pid() {
    let world = World::new("true");
    world.op("run", &[]).ok();
    // As if the pid had come back as this very process.
    let path = world.record().join("state.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["init"]["pid"] = json!(std::process::id());
    fs::write(&path, record.to_string()).unwrap();
    assert_eq!(world.status(), "stopped");
    world.op("kill", &["KILL"]).fails(125, "container not running");
    world.op("delete", &["--force"]).ok();
}

fn deleted_only_by_force() {
    let world = World::new("sleep 100");
    world.create();
    world.op("delete", &[]).fails(125, "that is not stopped");
    assert_eq!(world.status(), "created");
    world.op("start", &[]).ok();
    world.op("delete", &[]).fails(125, "that is not stopped");
    world.op("delete", &["--force"]).ok();
    world.leaves_nothing();
    world.op("delete", &["--force"]).ok();
    world.op("delete", &[]).fails(125, "container does not exist");
    world.op("state", &[]).fails(125, "container does not exist");
}

fn kill_of_stopped() {
    let world = World::new("true");
    world.op("run", &[]).ok();
    world.op("kill", &["TERM"]).fails(125, "container not running");
    world.op("kill", &["TERM", "--all"]).ok();
    world.op("kill", &["NOSUCH"]).fails(125, "invalid signal");
}

fn state_tells() {
    let world = World::new("sleep 100");
    world.create();
    let state = world.state();
    assert_eq!(state["ociVersion"], "1.0.2");
    assert_eq!(state["id"], world.id.as_str());
    assert_eq!(state["bundle"], world.bundle().to_str().unwrap());
    assert_eq!(state["rootfs"], world.rootfs().to_str().unwrap());
    assert_eq!(state["annotations"], json!({"a": "b"}));
    assert_eq!(state["owner"], "root");
    assert!(state["pid"].as_i64().unwrap() > 1);
    assert!(state["created"].as_str().unwrap().ends_with('Z'));
    world.op("delete", &["--force"]).ok();
}

fn list_survives() {
    let world = World::new("sleep 100");
    assert_eq!(world.op("list", &[]).ok().trim(), "[]");
    world.create();
    let broken = world.path("root/containers/broken");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("state.json"), "{").unwrap();
    let list: serde_json::Value = serde_json::from_str(&world.op("list", &[]).ok()).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["status"], "created");
}

fn long_root() {
    let world = World::new("echo started");
    world.write_config();
    let root = world.path(&"d".repeat(120)).join("e".repeat(120));
    let op = |operation: &str| {
        let mut command = std::process::Command::new("/proc/self/exe");
        command
            .arg("operate")
            .arg(&root)
            .args([operation, &world.id])
            .arg(world.bundle());
        command.status().unwrap()
    };
    for operation in ["create", "start", "state"] {
        assert!(op(operation).success(), "{operation}");
    }
    let mut command = std::process::Command::new("/proc/self/exe");
    assert!(
        command
            .arg("operate")
            .arg(&root)
            .args(["delete", &world.id, "--force"])
            .status()
            .unwrap()
            .success()
    );
}

fn pid_file() {
    let world = World::new("sleep 100");
    let file = world.path("pid");
    world
        .command("create", &[&format!("--pid-file={}", file.display())])
        .status()
        .unwrap();
    assert_eq!(
        fs::read_to_string(file).unwrap(),
        world.state()["pid"].to_string()
    );
}

fn terminal() {
    use std::io::Read;
    use std::os::unix::net::UnixListener;
    let mut world = World::new("test -t 0 && test -t 1 && tty && stat -c %u $(tty)");
    world.set("/process/terminal", json!(true));
    world.set("/process/user", json!({"uid": 7, "gid": 7}));
    world.op("run", &[]).fails(125, "console socket");
    let socket = world.path("console.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let option = format!("--console-socket={}", socket.display());
    let run = world.command("run", &[&option]).spawn().unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut master = receive_descriptor(&stream);
    // Closing the last slave makes reading the master fail.
    let mut output = Vec::new();
    let _ = master.read_to_end(&mut output);
    assert!(run.wait_with_output().unwrap().status.success());
    assert_eq!(
        String::from_utf8_lossy(&output).replace('\r', ""),
        "/dev/pts/0\n7\n"
    );
}

pub(crate) fn receive_descriptor(stream: &std::os::unix::net::UnixStream) -> fs::File {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    use std::os::fd::AsRawFd;
    let mut space = nix::cmsg_space!([i32; 1]);
    let mut buffer = [0; 256];
    let mut data = [std::io::IoSliceMut::new(&mut buffer)];
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut data, Some(&mut space), MsgFlags::empty()).unwrap();
    let fd = message.cmsgs().unwrap().find_map(|c| match c {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    duplicate(fd.expect("the terminal's master end"))
}

/// A copy of a descriptor that is known by its number only.
pub(crate) fn duplicate(fd: i32) -> fs::File {
    let pid = rustix::process::getpid();
    let own = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    let flags = rustix::process::PidfdGetfdFlags::empty();
    rustix::process::pidfd_getfd(own, fd, flags).unwrap().into()
}
