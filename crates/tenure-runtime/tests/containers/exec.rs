//! exec.

use std::fs;

use crate::fixture::{World, cgroups, wait_until};
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "exec_runs_in_the_containers_namespaces_and_passes_the_exit_status_on",
        exec_runs_inside,
    ),
    (
        "exec_gets_the_containers_environment_directory_and_user_unless_told_otherwise",
        exec_overrides,
    ),
    (
        "exec_works_in_a_created_container_and_not_in_a_stopped_one",
        exec_needs_a_live_container,
    ),
    ("exec_tells_missing_programs_from_unusable_ones", exec_refuses),
    (
        "exec_into_a_user_namespace_is_root_there_and_not_on_the_host",
        exec_in_user_namespace,
    ),
    ("exec_lands_in_the_containers_cgroup", exec_in_cgroup),
    (
        "exec_follows_init_where_its_cgroup_takes_no_process_any_more",
        exec_follows_init,
    ),
    ("exec_survives_that_the_bundle_is_gone", exec_without_bundle),
    ("exec_has_the_containers_seccomp_filter", exec_is_filtered),
];

/// A container that runs until it is killed.
fn running() -> World {
    let world = World::new("sleep 100");
    world.create();
    world.op("start", &[]).ok();
    world
}

fn exec_runs_inside() {
    let world = running();
    let script = "hostname; cat /proc/1/comm; exit 7";
    let outcome = world.op("exec", &["--", "sh", "-c", script]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (7, "inside\nsleep\n"));
    let pid = world.state()["pid"].to_string();
    for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        let inside = world
            .op("exec", &["--", "readlink", &format!("/proc/self/ns/{kind}")])
            .ok();
        assert_eq!(inside.trim(), link.to_str().unwrap());
    }
}

fn exec_overrides() {
    let world = running();
    let env = world.op("exec", &["--env=A=b", "--", "env"]).ok();
    assert_eq!(env, "PATH=/bin\nTERM=xterm\nA=b\nHOME=/\n");
    assert_eq!(world.op("exec", &["--cwd=/bin", "--", "pwd"]).ok(), "/bin\n");
    world
        .op("exec", &["--cwd=/absent", "--", "pwd"])
        .fails(125, "no such file or directory");
    assert_eq!(world.op("exec", &["--user=7", "--", "id", "-u"]).ok(), "7\n");
    assert_eq!(world.op("exec", &["--", "id", "-G"]).ok(), "0\n");
}

fn exec_needs_a_live_container() {
    let world = World::new("sleep 100");
    world
        .op("exec", &["--", "true"])
        .fails(125, "container does not exist");
    world.create();
    assert_eq!(world.op("exec", &["--", "hostname"]).ok(), "inside\n");
    assert_eq!(world.status(), "created");
    world.op("kill", &["KILL"]).ok();
    world.wait_for_status("stopped");
    world
        .op("exec", &["--", "true"])
        .fails(125, "cannot exec in a stopped container");
}

fn exec_refuses() {
    let world = running();
    world
        .op("exec", &["--", "absent"])
        .fails(127, "executable file not found in $PATH");
    world
        .op("exec", &["--", "/absent"])
        .fails(127, "no such file or directory");
    world.op("exec", &["--", "/etc"]).fails(126, "is a directory");
    fs::write(world.rootfs().join("bin/plain"), "x").unwrap();
    world.op("exec", &["--", "plain"]).fails(126, "permission denied");
    assert_eq!(world.status(), "running");
}

fn exec_in_user_namespace() {
    let mut world = World::new("cat /proc/self/uid_map; echo ready; sleep 100");
    world.map_users();
    world.create();
    world.op("start", &[]).ok();
    world.wait_for("ready");
    let map = fs::read_to_string(world.path("out")).unwrap();
    assert_eq!(
        map.split_whitespace().take(3).collect::<Vec<_>>(),
        ["0", "100000", "65536"]
    );
    let host = fs::read_link("/proc/self/ns/user").unwrap();
    let inside = world.op("exec", &["--", "readlink", "/proc/self/ns/user"]).ok();
    assert_ne!(inside.trim(), host.to_str().unwrap());
    let pid_file = world.path("pid");
    let option = format!("--pid-file={}", pid_file.display());
    let mut exec = world
        .command("exec", &[&option, "--", "sh", "-c", "id -u; sleep 100"])
        .spawn()
        .unwrap();
    wait_until("pid file", || pid_file.exists());
    let pid = fs::read_to_string(pid_file).unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(
        status.contains("Uid:\t100000\t100000\t100000\t100000"),
        "{status}"
    );
    world.op("delete", &["--force"]).ok();
    exec.wait().unwrap();
}

fn exec_in_cgroup() {
    let world = running();
    let before: Vec<i32> = serde_json::from_str(&world.op("ps", &[]).ok()).unwrap();
    assert_eq!(before.len(), 1);
    let mut exec = world.command("exec", &["--", "sleep", "100"]).spawn().unwrap();
    let count = || {
        serde_json::from_str::<Vec<i32>>(&world.op("ps", &[]).ok())
            .unwrap()
            .len()
    };
    wait_until("a second process", || count() == 2);
    let cgroup = world.op("exec", &["--", "cat", "/proc/self/cgroup"]).ok();
    assert!(
        cgroup.lines().all(|l| l.ends_with(":/")),
        "seen from the cgroup namespace: {cgroup}"
    );
    world.op("delete", &["--force"]).ok();
    exec.wait().unwrap();
}

fn exec_follows_init() {
    let world = running();
    let unified = cgroups(&world.id)
        .into_iter()
        .find(|c| c.join("cgroup.subtree_control").exists());
    let cgroup = unified.expect("a cgroup2 mount");
    let controllers = fs::read_to_string(cgroup.join("cgroup.controllers")).unwrap();
    let Some(controller) = controllers.split_whitespace().next() else {
        // A hybrid host that keeps all controllers on the v1 side: no cgroup there ever refuses a process.
        return;
    };
    fs::create_dir(cgroup.join("further")).unwrap();
    fs::write(
        cgroup.join("further/cgroup.procs"),
        world.state()["pid"].to_string(),
    )
    .unwrap();
    fs::write(cgroup.join("cgroup.subtree_control"), format!("+{controller}")).unwrap();
    let table = world.op("exec", &["--", "cat", "/proc/self/cgroup"]).ok();
    assert!(table.contains("0::/further\n"), "{table}");
}

fn exec_without_bundle() {
    let world = running();
    fs::remove_file(world.bundle().join("config.json")).unwrap();
    assert_eq!(world.op("exec", &["--", "hostname"]).ok(), "inside\n");
}

fn exec_is_filtered() {
    let mut world = World::new("sleep 100");
    world.set("/linux/seccomp", crate::isolation::no_mkdir());
    world.create();
    world.op("start", &[]).ok();
    let outcome = world.op("exec", &["--", "mkdir", "/x"]);
    assert!(
        outcome.code != 0 && !world.rootfs().join("x").exists(),
        "{}",
        outcome.stderr
    );
}
