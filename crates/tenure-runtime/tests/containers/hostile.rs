//! Images and containers that reach for the host by what the runtime holds or looks up while it makes them.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use serde_json::json;

use crate::fixture::{World, cgroups};
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "a_created_container_holds_no_directory_of_the_host",
        no_directory_held,
    ),
    (
        "no_program_is_reached_through_a_descriptor_of_the_runtime",
        program_through_descriptor,
    ),
    (
        "no_interpreter_is_reached_through_a_descriptor_of_the_runtime",
        interpreter_through_descriptor,
    ),
    (
        "no_working_directory_is_made_through_a_descriptor_of_the_runtime",
        directory_through_descriptor,
    ),
    (
        "what_execs_into_a_container_never_shows_it_the_host",
        root_of_joiner,
    ),
    (
        "the_hosts_null_device_is_not_given_to_a_container_without_one",
        null_device,
    ),
    (
        "another_device_of_the_host_is_not_given_in_place_of_the_configured_one",
        other_device,
    ),
    ("a_fifo_in_place_of_the_console_is_an_error", fifo_for_console),
    (
        "a_container_with_cgroups_deeper_than_a_path_is_long_can_be_deleted",
        deep_cgroups,
    ),
];

/// Descriptor numbers that the runtime may have in use.
const NUMBERS: std::ops::Range<u32> = 3..32;
/// A program that needs nothing else.
const HOSTS_PROGRAM: &str = "bin/busybox";
/// From any directory to the root it is below.
const UP: &str = "../../../../../../../../../../../..";

/// A container that runs until it is killed.
fn running() -> World {
    let world = World::new("sleep 1000");
    world.create();
    world.op("start", &[]).ok();
    world
}

fn no_directory_held() {
    let world = World::new("true");
    world.create();
    let folder = format!("/proc/{}/fd", world.state()["pid"]);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let aim = fs::read_link(&path).unwrap();
        let is_directory = fs::metadata(&path).is_ok_and(|m| m.is_dir());
        assert!(!is_directory, "{} is open: {}", path.display(), aim.display());
    }
}

/// CVE-2024-21626, by the program's own path.
fn program_through_descriptor() {
    let running = running();
    for number in NUMBERS {
        let program = format!("/proc/self/fd/{number}/{UP}/{HOSTS_PROGRAM}");
        let mut world = World::new("");
        world.set("/process/args", json!([program, "true"]));
        for outcome in [
            world.op("run", &[]),
            running.op("exec", &["--", &program, "true"]),
        ] {
            assert_eq!(outcome.code, 127, "{program}: {}", outcome.stderr);
        }
    }
}

/// The same by what the kernel reads in the program.
fn interpreter_through_descriptor() {
    let world = running();
    let script = world.rootfs().join("bin/script");
    for number in NUMBERS {
        let text = format!("#!/proc/self/fd/{number}/{UP}/{HOSTS_PROGRAM} true\n");
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let outcome = world.op("exec", &["--", "script"]);
        // Not executable, as what has that number is no directory, or not found.
        assert!(matches!(outcome.code, 126 | 127), "{number}: {}", outcome.stderr);
    }
}

fn directory_through_descriptor() {
    for number in NUMBERS {
        let mut world = World::new("true");
        let outside = tempfile::tempdir().unwrap();
        let link = format!("/proc/self/fd/{number}/{UP}{}", outside.path().display());
        symlink(link, world.rootfs().join("l")).unwrap();
        world.set("/process/cwd", json!("/l/made"));
        world.op("run", &[]);
        assert!(!outside.path().join("made").exists(), "descriptor {number}");
    }
}

/// CVE-2016-9962: a process of the container looks at whoever comes in.
fn root_of_joiner() {
    let mark = tempfile::NamedTempFile::new().unwrap();
    let looked_for = mark.path().display();
    let world = World::new(&format!(
        "echo ready; while :; do for p in /proc/[0-9]*; do for d in root cwd fd/3 fd/4 fd/5 fd/6 fd/7 fd/8; do \
         test -e $p/$d/{UP}{looked_for} && echo found $d; done; done; done"
    ));
    world.create();
    world.op("start", &[]).ok();
    world.wait_for("ready");
    for _ in 0..50 {
        world.op("exec", &["--", "true"]).ok();
    }
    assert_eq!(fs::read_to_string(world.path("out")).unwrap(), "ready\n");
}

fn null_device() {
    let world = running();
    world.op("exec", &["--", "rm", "/dev/null"]).ok();
    let mode = || fs::metadata("/dev/null").unwrap().permissions().mode();
    let before = mode();
    let outcome = world.op("exec", &["--", "chmod", "600", "/proc/self/fd/0"]);
    assert_eq!(mode(), before);
    outcome.fails(125, "/dev/null");
}

fn other_device() {
    let mut world = World::new("true");
    world.map_users();
    let zero_under_the_name_of_null = json!([{"path": "/dev/zero", "type": "c", "major": 1, "minor": 3}]);
    world.set("/linux/devices", zero_under_the_name_of_null);
    world
        .op("run", &[])
        .fails(125, "/dev/zero of the host is another");
    world.leaves_nothing();
}

/// Opened for writing it would hold the runtime up for ever.
fn fifo_for_console() {
    let mut world = World::new("true");
    let mounts = world.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    world.set("/process/terminal", json!(true));
    fs::create_dir(world.rootfs().join("dev")).unwrap();
    let fifo = world.rootfs().join("dev/console");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let socket = world.path("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let option = format!("--console-socket={}", socket.display());
    world
        .op("create", &[&option])
        .fails(125, "/dev/console is a fifo");
    world.leaves_nothing();
}

fn deep_cgroups() {
    let world = running();
    let name = "d".repeat(250);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |at: &OwnedFd, path: &Path| rustix::fs::openat(at, path, flags, Mode::empty()).unwrap();
    for cgroup in cgroups(&world.id) {
        let mut at = rustix::fs::openat(CWD, &cgroup, flags, Mode::empty()).unwrap();
        for _ in 0..20 {
            rustix::fs::mkdirat(&at, &name, Mode::RWXU).unwrap();
            at = open(&at, Path::new(&name));
        }
    }
    world.op("ps", &[]).ok();
    world.op("delete", &["--force"]).ok();
    world.leaves_nothing();
}
