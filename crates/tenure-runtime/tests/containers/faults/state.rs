//! Faults 3, 4, 7, 12 and 13: what is known of a container, and how it ends.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::fixture::{World, cgroup_file, wait_until};
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "fault_03_no_signal_spoils_the_state_of_a_created_container",
        signals_when_created,
    ),
    (
        "fault_03_no_signal_spoils_the_state_of_a_running_or_paused_container",
        signals_when_running,
    ),
    (
        "fault_04_a_recycled_pid_is_neither_the_container_nor_signalled",
        recycled_pid,
    ),
    (
        "fault_07_kill_ends_all_processes_where_the_pid_namespace_is_shared",
        kill_ends_all,
    ),
    (
        "fault_12_a_failing_poststop_hook_is_a_warning",
        poststop_is_a_warning,
    ),
    (
        "fault_12_a_failing_poststart_hook_leaves_no_container",
        poststart_leaves_nothing,
    ),
    (
        "fault_12_a_hook_is_killed_when_its_time_is_over_even_if_it_reads_nothing",
        hooks_are_timed,
    ),
    (
        "fault_12_a_hook_starts_with_no_signal_blocked",
        hooks_get_their_signals,
    ),
    (
        "fault_12_a_hook_in_the_container_needs_no_unusual_call",
        hooks_under_a_filter,
    ),
    (
        "fault_13_the_runtimes_own_program_cannot_be_overwritten",
        own_program,
    ),
];

/// The library would say "stopped" after USR1, "running" when it looks again, and refuse start for ever.
fn signals_when_created() {
    let world = World::new("echo started; sleep 100");
    world.create();
    for signal in ["0", "USR1", "TERM", "HUP"] {
        world.op("kill", &[signal]).ok();
        assert_eq!(world.status(), "created", "after {signal}");
    }
    world.op("start", &[]).ok();
    world.wait_for("started");
}

/// TERM would mark a container stopped that handles it, and USR1 a frozen one running, whose resume is then refused.
fn signals_when_running() {
    let world = World::new("trap 'echo got' TERM; echo ready; while :; do sleep 0.01; done");
    world.create();
    world.op("start", &[]).ok();
    world.wait_for("ready");
    world.op("kill", &["TERM"]).ok();
    world.wait_for("got");
    assert_eq!(world.status(), "running");
    let (file, frozen, thawed) = freezer(&world);
    fs::write(&file, frozen).unwrap();
    world.wait_for_status("paused");
    world.op("kill", &["TERM"]).ok();
    assert_eq!(world.status(), "paused");
    fs::write(&file, thawed).unwrap();
    world.wait_for_status("running");
}

/// The freezer's file, and what freezes and thaws.
fn freezer(world: &World) -> (std::path::PathBuf, &'static str, &'static str) {
    // A hybrid host has both, and v1's counts.
    let v1 = Path::new("/sys/fs/cgroup/freezer")
        .join(&world.id)
        .join("freezer.state");
    let file = if v1.exists() {
        v1
    } else {
        cgroup_file(&world.id, "cgroup.freeze", "cgroup.freeze")
    };
    if file.ends_with("freezer.state") {
        (file, "FROZEN", "THAWED")
    } else {
        (file, "1", "0")
    }
}

/// Without the start time, this very process would be running, and be signalled.
fn recycled_pid() {
    let world = World::new("true");
    world.op("run", &[]).ok();
    // The kernel tells start times in hundredths of a second: within one, the two could not be told apart.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let mut bystander = std::process::Command::new("sleep").arg("100").spawn().unwrap();
    let path = world.record().join("state.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["init"]["pid"] = json!(bystander.id());
    fs::write(&path, record.to_string()).unwrap();
    assert_eq!(world.status(), "stopped");
    world.op("kill", &["KILL"]).fails(125, "container not running");
    world
        .op("exec", &["--", "true"])
        .fails(125, "cannot exec in a stopped container");
    world.op("delete", &["--force"]).ok();
    assert_eq!(bystander.try_wait().unwrap(), None, "it lives on");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

/// The library signals init alone: the others would live on, unknown to anybody.
fn kill_ends_all() {
    let mut world = World::new("sleep 1000 & sleep 1000 & echo ready; wait");
    world.namespace("pid", None);
    world.create();
    world.op("start", &[]).ok();
    world.wait_for("ready");
    world.op("kill", &["KILL"]).ok();
    wait_until("the end of all", || world.op("ps", &[]).ok().trim() == "[]");
    world.op("delete", &[]).ok();
    world.leaves_nothing();
}

/// The library's delete fails, and the container can never be removed.
fn poststop_is_a_warning() {
    let mut world = World::new("true");
    world.config["hooks"] = json!({"poststop": [{"path": "/bin/false"}, {"path": "/absent"}]});
    world.op("run", &[]).ok();
    world.op("delete", &[]).ok();
    world.leaves_nothing();
    world.op("state", &[]).fails(125, "does not exist");
}

/// The library's start fails and leaves the program running.
fn poststart_leaves_nothing() {
    let mut world = World::new("sleep 100");
    world.config["hooks"] = json!({"poststart": [{"path": "/bin/false"}]});
    world.create();
    let pid = world.state()["pid"].as_i64().unwrap();
    world.op("start", &[]).fails(125, "poststart hook 0 (/bin/false)");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    assert!(stat.is_err_or_is_a_corpse(), "its program is gone");
    world.leaves_nothing();
}

trait Corpse {
    fn is_err_or_is_a_corpse(&self) -> bool;
}

impl Corpse for std::io::Result<String> {
    fn is_err_or_is_a_corpse(&self) -> bool {
        self.as_ref().map_or(true, |stat| stat.contains(") Z "))
    }
}

/// The library writes the state into a pipe before it looks at the clock: a hook that reads nothing, of a container
/// with much to tell, would hold create up for ever.
fn hooks_are_timed() {
    for (kind, path) in [("createRuntime", "/bin/sh"), ("createContainer", "/bin/sh")] {
        let mut world = World::new("true");
        world.config["annotations"] = json!({"long": "x".repeat(200_000)});
        let script = "trap '' TERM INT; exec sleep 100";
        world.config["hooks"] = json!({kind: [{"path": path, "args": ["sh", "-c", script], "timeout": 1,
            "env": ["PATH=/bin:/usr/bin"]}]});
        let begin = std::time::Instant::now();
        world.op("create", &[]).fails(
            125,
            &format!("{kind} hook 0 (/bin/sh): it ran longer than its timeout of 1 s"),
        );
        assert!(begin.elapsed() < std::time::Duration::from_secs(20));
        world.leaves_nothing();
    }
}

/// A hook in the container is under its filter, as in runc; what runs it must not need more than it did.
fn hooks_under_a_filter() {
    let mut world = World::new("true");
    let names = json!(["memfd_create", "pidfd_open", "socketpair"]);
    world.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": names, "action": "SCMP_ACT_KILL_PROCESS"}]}),
    );
    fs::write(world.rootfs().join("hook"), "#!/bin/sh\ncat >/told\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(world.rootfs().join("hook"), executable).unwrap();
    world.config["hooks"] = json!({"startContainer": [{"path": "/hook", "env": ["PATH=/bin"]}]});
    world.op("run", &[]).ok();
    let told = fs::read_to_string(world.rootfs().join("told")).unwrap();
    assert!(told.contains(&world.id), "{told}");
}

/// A foreground `run` blocks the signals it forwards; the library's hooks would inherit that.
fn hooks_get_their_signals() {
    let mut world = World::new("true");
    let told = world.path("told");
    let script = format!("grep SigBlk /proc/self/status >{}", told.display());
    world.config["hooks"] = json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script],
        "env": ["PATH=/bin:/usr/bin"]}]});
    world.op("run-blocked", &[]).ok();
    let blocked = fs::read_to_string(told).unwrap();
    assert_eq!(
        blocked.split_whitespace().nth(1),
        Some("0000000000000000"),
        "{blocked}"
    );
}

/// The library leaves it to its caller. What a container gets hold of is the file that the runtime runs from; once
/// the runtime is gone, nothing but a read-only mount or a seal keeps it.
fn own_program() {
    let world = World::new("true");
    let program = world.path("runtime");
    fs::copy("/proc/self/exe", &program).unwrap();
    let length = || fs::metadata(&program).unwrap().len();
    let before = length();
    let attack = |how: &str| {
        let mut command = std::process::Command::new(&program);
        command
            .arg("operate")
            .arg(world.path("root"))
            .arg(how)
            .output()
            .unwrap()
    };
    let outcome = attack("protected");
    let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(
        told.contains("Read-only file system") || told.contains("not permitted"),
        "{told}"
    );
    assert_eq!(length(), before);
    // The attack is one: without protection it succeeds.
    assert!(attack("unprotected").status.success());
    assert_eq!(length(), before + 2);
}
