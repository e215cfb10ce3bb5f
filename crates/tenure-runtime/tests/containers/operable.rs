//! pause, resume and update of containers that exist.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::fixture::{World, cgroup_file, cgroups, wait_until};
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "a_paused_container_stands_still_until_it_is_resumed",
        paused_stands_still,
    ),
    (
        "a_created_container_can_be_paused_and_not_started",
        created_paused,
    ),
    (
        "pause_and_resume_at_the_wrong_time_are_refused",
        pause_at_the_wrong_time,
    ),
    (
        "a_signal_waits_for_resume_but_sigkill_takes_effect_at_once",
        signals_of_a_paused,
    ),
    (
        "kill_all_ends_a_paused_container_that_shares_its_pid_namespace",
        kill_all_of_a_paused,
    ),
    ("a_paused_container_is_deleted_only_by_force", delete_of_a_paused),
    ("exec_in_a_paused_container_is_refused", exec_in_a_paused),
    ("a_busy_container_is_frozen_too", busy_is_frozen),
    (
        "memory_and_swap_are_raised_and_lowered_together",
        memory_up_and_down,
    ),
    ("an_update_changes_what_it_names_and_what_is_kept", update_is_kept),
    (
        "a_refused_update_leaves_every_limit_as_it_was",
        refused_update_changes_nothing,
    ),
    ("an_update_never_touches_devices", update_keeps_devices),
    ("a_stopped_container_cannot_be_updated", update_of_stopped),
];

fn paused_stands_still() {
    let world = World::new("trap 'echo heard' USR1; echo ready; while :; do sleep 0.01; done");
    world.create();
    world.op("start", &[]).ok();
    world.wait_for("ready");
    world.op("pause", &[]).ok();
    assert_eq!(world.status(), "paused");
    assert_ne!(world.state()["pid"], 0);
    world.op("kill", &["USR1"]).ok();
    assert_eq!(world.status(), "paused");
    assert!(!fs::read_to_string(world.path("out")).unwrap().contains("heard"));
    world.op("resume", &[]).ok();
    assert_eq!(world.status(), "running");
    world.wait_for("heard");
}

fn created_paused() {
    let world = World::new("echo started; sleep 100");
    world.create();
    world.op("pause", &[]).ok();
    assert_eq!(world.status(), "paused");
    world
        .op("start", &[])
        .fails(125, "cannot start a container that is not created");
    world.op("resume", &[]).ok();
    assert_eq!(world.status(), "created");
    world.op("start", &[]).ok();
    world.wait_for("started");
}

fn pause_at_the_wrong_time() {
    let world = World::new("sleep 100");
    for operation in ["pause", "resume"] {
        world.op(operation, &[]).fails(125, "container does not exist");
    }
    world.create();
    world.op("resume", &[]).fails(125, "container not paused");
    world.op("start", &[]).ok();
    world.op("resume", &[]).fails(125, "container not paused");
    world.op("pause", &[]).ok();
    world.op("pause", &[]).fails(125, "container not running");
    world.op("kill", &["KILL"]).ok();
    world.wait_for_status("stopped");
    world.op("pause", &[]).fails(125, "container not running");
    world.op("resume", &[]).fails(125, "container not paused");
}

fn signals_of_a_paused() {
    let world = World::new("trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done");
    world.create();
    world.op("start", &[]).ok();
    world.wait_for("ready");
    world.op("pause", &[]).ok();
    for signal in ["TERM", "0", "CONT"] {
        world.op("kill", &[signal]).ok();
        assert_eq!(world.status(), "paused", "{signal}");
    }
    world.op("kill", &["KILL"]).ok();
    world.wait_for_status("stopped");
    world.op("delete", &[]).ok();
}

fn kill_all_of_a_paused() {
    let mut world = World::new("sleep 100 & sleep 100 & echo ready; wait");
    world.namespace("pid", None);
    world.create();
    world.op("start", &[]).ok();
    world.wait_for("ready");
    for kill in [&["TERM", "--all"][..], &["KILL", "--all"]] {
        if world.status() == "running" {
            world.op("pause", &[]).ok();
        }
        world.op("kill", kill).ok();
    }
    world.wait_for_status("stopped");
    assert_eq!(world.op("ps", &[]).ok(), "[]\n");
}

fn delete_of_a_paused() {
    let world = World::new("sleep 100");
    world.create();
    world.op("start", &[]).ok();
    world.op("pause", &[]).ok();
    world.op("delete", &[]).fails(125, "that is not stopped: paused");
    assert_eq!(world.status(), "paused");
    world.op("delete", &["--force"]).ok();
    world.leaves_nothing();
}

fn exec_in_a_paused() {
    let world = World::new("sleep 100");
    world.create();
    world.op("start", &[]).ok();
    world.op("pause", &[]).ok();
    world
        .op("exec", &["--", "true"])
        .fails(125, "cannot exec in a paused container");
    // By leave, it starts at once where nothing is paused.
    world.op("resume", &[]).ok();
    world.op("exec", &["--ignore-paused", "--", "true"]).ok();
    world.op("pause", &[]).ok();
    let mut waiting = world
        .command("exec", &["--ignore-paused", "--", "echo", "late"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("a second process", || {
        world.op("ps", &[]).ok().matches(',').count() == 1
    });
    assert!(waiting.try_wait().unwrap().is_none());
    world.op("resume", &[]).ok();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "late\n");
}

fn busy_is_frozen() {
    let world =
        World::new("for i in 1 2 3; do (while :; do :; done) & done; echo ready; while :; do (true); done");
    world.create();
    world.op("start", &[]).ok();
    world.wait_for("ready");
    let files = cgroups(&world.id);
    let freezer = files.iter().map(|c| c.join("freezer.state")).find(|f| f.exists());
    let freezer = freezer.unwrap_or_else(|| cgroup_file(&world.id, "cgroup.events", "cgroup.events"));
    for _ in 0..5 {
        world.op("pause", &[]).ok();
        let state = fs::read_to_string(&freezer).unwrap();
        assert!(state.contains("FROZEN") || state.contains("frozen 1"), "{state}");
        world.op("resume", &[]).ok();
    }
}

/// What the kernel has in a file.
fn kernel(world: &World, v1: &str, v2: &str) -> String {
    fs::read_to_string(cgroup_file(&world.id, v1, v2))
        .unwrap()
        .trim()
        .to_owned()
}

/// `linux.resources` of the configuration that is kept.
fn kept(world: &World) -> Value {
    let text = fs::read(world.record().join("config.json")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["linux"]["resources"].take()
}

fn memory_up_and_down() {
    let mut world = World::new("sleep 100");
    world.set(
        "/linux/resources",
        json!({"memory": {"limit": 64 << 20, "swap": 128 << 20}}),
    );
    world.create();
    for limit in [256_u64 << 20, 32 << 20, 512 << 20, 48 << 20] {
        let change = json!({"memory": {"limit": limit, "swap": 2 * limit}});
        world.op("update", &[&change.to_string()]).ok();
        assert_eq!(
            kernel(&world, "memory.limit_in_bytes", "memory.max"),
            limit.to_string()
        );
        assert_eq!(kept(&world)["memory"], change["memory"]);
    }
    world.op("update", &[r#"{"memory":{"limit":-1}}"#]).ok();
    let unlimited = kernel(&world, "memory.memsw.limit_in_bytes", "memory.swap.max");
    assert!(unlimited == "max" || unlimited.len() > 15, "{unlimited}");
}

fn update_is_kept() {
    let mut world = World::new("sleep 100");
    world.set(
        "/linux/resources",
        json!({"cpu": {"quota": 20_000, "period": 50_000, "shares": 512}, "pids": {"limit": 50}, "own": [1]}),
    );
    world.create();
    world.op("start", &[]).ok();
    world
        .op(
            "update",
            &[r#"{"cpu":{"quota":40000},"pids":{"limit":-1},"memory":{"limit":67108864}}"#],
        )
        .ok();
    let quota = kernel(&world, "cpu.cfs_quota_us", "cpu.max");
    assert!(quota == "40000" || quota == "40000 50000", "{quota}");
    assert_eq!(kernel(&world, "pids.max", "pids.max"), "max");
    assert_eq!(kernel(&world, "memory.limit_in_bytes", "memory.max"), "67108864");
    assert_eq!(
        kept(&world),
        json!({"cpu": {"quota": 40_000, "period": 50_000, "shares": 512}, "pids": {"limit": -1}, "own": [1],
            "memory": {"limit": 67_108_864}})
    );
    // A paused container takes limits, too.
    world.op("pause", &[]).ok();
    world
        .op("update", &[r#"{"cpu":{"period":100000,"quota":-1}}"#])
        .ok();
    assert_eq!(world.status(), "paused");
}

fn refused_update_changes_nothing() {
    let mut world = World::new("sleep 100");
    world.set(
        "/linux/resources",
        json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 50}, "cpu": {"shares": 512}}),
    );
    world.create();
    let before = kept(&world);
    let table = [
        (
            r#"{"memory":{"limit":134217728},"pids":{"limit":60},"cpu":{"cpus":"4000"}}"#,
            "cpuset.cpus",
        ),
        (
            r#"{"memory":{"limit":134217728},"cpu":{"quota":1}}"#,
            "cannot write \"1",
        ),
        (
            r#"{"memory":{"limit":100,"swap":50}}"#,
            "memory.swap: 50 is below",
        ),
        (r#"{"memory":{"swappiness":200}}"#, "memory.swappiness"),
        (r#"{"memory":{"limit":"much"}}"#, "resources: memory.limit"),
        ("[", "resources: "),
    ];
    for (change, reason) in table {
        world.op("update", &[change]).fails(125, reason);
        assert_eq!(
            kernel(&world, "memory.limit_in_bytes", "memory.max"),
            "67108864",
            "{change}"
        );
        assert_eq!(kernel(&world, "pids.max", "pids.max"), "50", "{change}");
        assert_eq!(kept(&world), before, "{change}");
    }
}

fn update_keeps_devices() {
    let world = World::new("sleep 100");
    world.create();
    world.op("start", &[]).ok();
    let open = "mknod /k c 1 11; : </k";
    assert_ne!(world.op("exec", &["--", "sh", "-c", open]).code, 0);
    world
        .op(
            "update",
            &[r#"{"devices":[{"allow":true,"access":"rwm"}],"pids":{"limit":90}}"#],
        )
        .ok();
    assert_ne!(world.op("exec", &["--", "sh", "-c", open]).code, 0);
    assert_eq!(
        kept(&world)["devices"],
        world.config["linux"]["resources"]["devices"]
    );
}

fn update_of_stopped() {
    let world = World::new("exit 0");
    assert_eq!(world.op("run", &[]).code, 0);
    world
        .op("update", &[r#"{"pids":{"limit":9}}"#])
        .fails(125, "container not running");
}
