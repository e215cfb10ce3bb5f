//! cgroups: limits that hold, and removal that is complete.

use std::fs;

use serde_json::json;

use crate::fixture::{World, cgroup_file, cgroup_path, cgroups, wait_until};
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    ("limits_are_in_the_kernels_files", limits_are_set),
    ("a_container_over_its_memory_is_killed", memory_is_limited),
    ("a_container_over_its_cpu_quota_is_throttled", cpu_is_limited),
    ("a_container_cannot_fork_beyond_its_limit", pids_are_limited),
    ("devices_are_denied_but_for_the_harmless", devices_are_limited),
    ("a_container_cannot_lift_its_own_limits", limits_cannot_be_lifted),
    (
        "the_container_is_in_the_cgroup_of_every_hierarchy",
        every_hierarchy,
    ),
    ("sub_cgroups_are_removed_too", sub_cgroups),
    (
        "kill_reaches_all_processes_where_the_pid_namespace_is_shared",
        kill_in_shared_pid_namespace,
    ),
    ("delete_ends_what_a_dead_init_left_behind", orphans_are_ended),
    ("kill_all_signals_every_process", kill_all),
];

fn limits_are_set() {
    let mut world = World::new("sleep 100");
    world.set(
        "/linux/resources",
        json!({"memory": {"limit": 67_108_864}, "cpu": {"quota": 20_000, "period": 50_000, "shares": 512,
            "cpus": "0"}, "pids": {"limit": 77}}),
    );
    world.create();
    let read = |v1: &str, v2: &str| {
        fs::read_to_string(cgroup_file(&world.id, v1, v2))
            .unwrap()
            .trim()
            .to_owned()
    };
    assert_eq!(read("memory.limit_in_bytes", "memory.max"), "67108864");
    assert_eq!(read("pids.max", "pids.max"), "77");
    assert_eq!(read("cpuset.cpus", "cpuset.cpus"), "0");
    let quota = read("cpu.cfs_quota_us", "cpu.max");
    assert!(quota == "20000" || quota == "20000 50000", "{quota}");
}

fn memory_is_limited() {
    let mut world = World::new("dd if=/dev/zero of=/dev/null bs=100M count=1");
    world.set(
        "/linux/resources",
        json!({"memory": {"limit": 33_554_432, "swap": 33_554_432}}),
    );
    world.set(
        "/process/args",
        json!(["dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1"]),
    );
    assert_eq!(world.op("run", &[]).code, 128 + 9);
}

fn cpu_is_limited() {
    let mut world = World::new("while :; do :; done");
    world.set(
        "/linux/resources",
        json!({"cpu": {"quota": 10_000, "period": 100_000}}),
    );
    world.create();
    world.op("start", &[]).ok();
    // A cgroup without the controller has a cpu.stat too, which does not tell of throttling.
    let throttled = || {
        let files = cgroups(&world.id).into_iter().map(|c| c.join("cpu.stat"));
        let texts: Vec<String> = files.flat_map(fs::read_to_string).collect();
        let mut lines = texts.iter().flat_map(|text| text.lines());
        let periods = lines.find_map(|line| line.strip_prefix("nr_throttled "));
        periods.unwrap().parse::<u64>().unwrap()
    };
    wait_until("the kernel to have throttled the container", || throttled() >= 3);
}

fn pids_are_limited() {
    let mut world = World::new("for i in 1 2 3 4 5 6; do sleep 100 & done 2>/dev/null; echo unreached");
    world.set("/linux/resources", json!({"pids": {"limit": 4}}));
    let outcome = world.op("run", &[]);
    assert!(
        outcome.code != 0 && outcome.stdout.is_empty(),
        "{}",
        outcome.stdout
    );
}

fn devices_are_limited() {
    let world = World::new("head -c 1 /dev/zero >/dev/null && echo allowed");
    assert_eq!(world.op("run", &[]).ok(), "allowed\n");
    // The kernel's log needs this capability besides; with it, the rules alone decide.
    let opens = |rules: serde_json::Value| {
        let mut world = World::new("mknod /k c 1 11 && (: </k) 2>/dev/null && echo opened || echo denied");
        for set in ["bounding", "effective", "permitted"] {
            world.set(
                &format!("/process/capabilities/{set}"),
                json!(["CAP_MKNOD", "CAP_SYSLOG"]),
            );
        }
        world.set("/linux/resources", json!({"devices": rules}));
        world.op("run", &[]).ok()
    };
    assert_eq!(opens(json!([{"allow": false, "access": "rwm"}])), "denied\n");
    assert_eq!(opens(json!([])), "denied\n");
    let log = |allow: bool, access: &str| json!({"allow": allow, "type": "c", "major": 1, "minor": 11, "access": access});
    assert_eq!(opens(json!([log(true, "r")])), "opened\n");
    assert_eq!(opens(json!([log(true, "w")])), "denied\n");
    assert_eq!(opens(json!([log(true, "rw"), log(false, "r")])), "denied\n");
    assert_eq!(
        opens(json!([{"allow": true, "type": "a", "access": "w"}])),
        "denied\n"
    );
    assert_eq!(opens(json!([{"allow": true}])), "opened\n");
}

fn limits_cannot_be_lifted() {
    let script = "ls /sys/fs/cgroup | head -n 1 >/dev/null || echo hidden; \
        for f in /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max; do test -e $f && echo found; \
        echo 1000 2>/dev/null >$f && echo lifted; done; mkdir /sys/fs/cgroup/x 2>/dev/null && echo made; true";
    let mut world = World::new(script);
    world.set("/linux/resources", json!({"pids": {"limit": 20}}));
    assert_eq!(world.op("run", &[]).ok(), "found\n");
}

fn every_hierarchy() {
    let world = World::new("sleep 100");
    world.create();
    let pid = world.state()["pid"].to_string();
    let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let mine = format!(":/{}", cgroup_path(&world.id, world.systemd));
    assert!(table.lines().all(|l| l.ends_with(&mine)), "{table}");
    assert_eq!(
        table.lines().count(),
        fs::read_to_string("/proc/self/cgroup").unwrap().lines().count()
    );
}

fn sub_cgroups() {
    let world = World::new("sleep 100");
    world.create();
    for cgroup in cgroups(&world.id) {
        fs::create_dir_all(cgroup.join("sub/deeper")).unwrap();
    }
    world.op("delete", &["--force"]).ok();
    world.leaves_nothing();
}

/// A container in the host's pid namespace whose processes outlive its init.
fn sharing() -> World {
    let mut world = World::new("sleep 1000 & sleep 1000 & echo ready; wait");
    world.namespace("pid", None);
    world.create();
    world.op("start", &[]).ok();
    world.wait_for("ready");
    world
}

fn processes(world: &World) -> Vec<i32> {
    serde_json::from_str(&world.op("ps", &[]).ok()).unwrap()
}

fn kill_in_shared_pid_namespace() {
    let world = sharing();
    assert_eq!(processes(&world).len(), 3);
    world.op("kill", &["KILL"]).ok();
    wait_until("the end of all", || processes(&world).is_empty());
    world.op("delete", &[]).ok();
}

fn orphans_are_ended() {
    let world = sharing();
    let pids = processes(&world);
    world.op("kill", &["TERM"]).ok();
    world.wait_for_status("stopped");
    assert_eq!(processes(&world).len(), 2);
    world.op("delete", &[]).ok();
    world.leaves_nothing();
    let alive =
        |pid: &i32| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "));
    assert!(!pids.iter().any(alive));
}

fn kill_all() {
    let world = sharing();
    world.op("kill", &["TERM", "--all"]).ok();
    wait_until("the end of all", || processes(&world).is_empty());
}
