//! Faults 2 and 10: cgroups.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::fixture::{World, cgroup_file, cgroups};
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "fault_02_the_cgroup_mount_keeps_its_options",
        cgroup_mount_options,
    ),
    (
        "fault_10_unified_is_applied_or_refused_and_never_ignored",
        unified,
    ),
    (
        "fault_10_the_v2_side_of_a_hybrid_host_is_joined",
        hybrid_is_joined,
    ),
    ("fault_10_a_pids_limit_of_0_is_a_limit", no_pids),
    ("fault_10_the_oom_killer_can_be_disabled", oom_killer),
    ("fault_10_a_frozen_cgroup_is_refused", frozen_cgroup),
    ("fault_10_a_cgroup_with_processes_is_refused", occupied_cgroup),
    ("fault_10_sub_cgroups_are_removed", sub_cgroups),
    ("fault_10_an_update_leaves_device_rules_alone", update_and_devices),
    (
        "fault_10_a_user_namespace_does_not_need_the_systemd_driver",
        user_namespace,
    ),
    ("fault_11_rdma_is_limited_or_refused", rdma),
];

/// The library mounts them writable: a limited container raised its own limit.
fn cgroup_mount_options() {
    let script = "grep ' /sys/fs/cgroup' /proc/mounts | cut -d' ' -f4; \
        for f in /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max; do \
        test -e $f && { echo max >$f; } 2>/dev/null && echo lifted; done; true";
    let mut world = World::new(&script.replace("cut", "busybox cut"));
    world.set("/linux/resources", json!({"pids": {"limit": 50}}));
    let told = world.op("run", &[]).ok();
    assert!(!told.is_empty(), "there is no cgroup mount");
    for line in told.lines() {
        for option in ["ro", "nosuid", "nodev", "noexec"] {
            assert!(
                line.split(',').any(|o| o == option),
                "{option} is missing in {line}"
            );
        }
    }
}

/// A file of the unified hierarchy that every host has, and one that none has.
fn unified() {
    let mut world = World::new("sleep 100");
    world.set(
        "/linux/resources",
        json!({"unified": {"cgroup.max.descendants": "7"}}),
    );
    let unified: Vec<PathBuf> = hierarchies()
        .filter(|h| h.join("cgroup.controllers").exists())
        .collect();
    if unified.is_empty() {
        world.op("create", &[]).fails(125, "linux.resources.unified");
        return;
    }
    world.create();
    let file = cgroup_file(&world.id, "cgroup.max.descendants", "cgroup.max.descendants");
    assert_eq!(fs::read_to_string(file).unwrap(), "7\n");
    let mut world = World::new("true");
    world.set("/linux/resources", json!({"unified": {"no.such.file": "7"}}));
    world.op("create", &[]).fails(125, "no.such.file");
    world.leaves_nothing();
}

/// The mount points of the hierarchies. On a v2 host, what lies below the only one are cgroups.
fn hierarchies() -> impl Iterator<Item = PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let unified = root.join("cgroup.controllers").exists();
    let below = fs::read_dir(root).unwrap().flatten().map(|e| e.path());
    below.filter(move |_| !unified).chain([root.to_owned()])
}

/// The library joins the v1 hierarchies alone: its processes stay in the caller's cgroup on the other side.
fn hybrid_is_joined() {
    let world = World::new("sleep 100");
    world.create();
    let table = fs::read_to_string(format!("/proc/{}/cgroup", world.state()["pid"])).unwrap();
    let unified = table.lines().find(|l| l.starts_with("0::"));
    assert!(
        unified.is_none_or(|l| l == format!("0::/{}", world.id)),
        "{table}"
    );
}

/// The library takes 0 for "no limit".
fn no_pids() {
    for (limit, time) in [(0, false), (1, false), (1, true)] {
        let mut world = World::new("sleep 100");
        world.set("/linux/resources", json!({"pids": {"limit": limit}}));
        if time {
            // Init is then forked by a process that is in the cgroup itself.
            world.namespace("time", None);
        }
        world.create();
        assert_eq!(
            fs::read_to_string(cgroup_file(&world.id, "pids.max", "pids.max")).unwrap(),
            format!("{limit}\n")
        );
    }
}

/// The library drops it on v1; v2 has no such switch.
fn oom_killer() {
    let mut world = World::new("sleep 100");
    world.set(
        "/linux/resources",
        json!({"memory": {"limit": 33_554_432, "disableOOMKiller": true}}),
    );
    world.create();
    let control = cgroups(&world.id)
        .into_iter()
        .map(|c| c.join("memory.oom_control"))
        .find(|f| f.exists());
    if let Some(control) = control {
        assert!(
            fs::read_to_string(control)
                .unwrap()
                .contains("oom_kill_disable 1")
        );
    }
}

/// The library's init enters it and is frozen: create never returns.
fn frozen_cgroup() {
    let world = World::new("true");
    let frozen = hierarchies().find_map(|h| {
        let cgroup = h.join(&world.id);
        let v1 = h.join("cgroup.procs").exists() && h.ends_with("freezer");
        let v2 = h == Path::new("/sys/fs/cgroup") && h.join("cgroup.controllers").exists();
        let (file, word) = if v1 {
            ("freezer.state", "FROZEN")
        } else {
            ("cgroup.freeze", "1")
        };
        (v1 || v2).then_some((cgroup, file, word))
    });
    let (cgroup, file, word) = frozen.expect("a freezer");
    fs::create_dir(&cgroup).unwrap();
    fs::write(cgroup.join(file), word).unwrap();
    world.op("create", &[]).fails(125, "it is frozen");
    assert!(!world.record().exists());
    assert!(cgroup.exists(), "it is not ours");
    fs::remove_dir(cgroup).unwrap();
}

/// The library would kill whatever is in it together with the container.
fn occupied_cgroup() {
    let world = World::new("true");
    let cgroup = hierarchies()
        .find(|h| h.join("cgroup.procs").exists())
        .unwrap()
        .join(&world.id);
    fs::create_dir(&cgroup).unwrap();
    let mut bystander = std::process::Command::new("sleep").arg("100").spawn().unwrap();
    fs::write(cgroup.join("cgroup.procs"), bystander.id().to_string()).unwrap();
    world.op("create", &[]).fails(125, "it holds processes already");
    assert_eq!(bystander.try_wait().unwrap(), None, "it lives on");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    crate::fixture::wait_until("the cgroup's end", || fs::remove_dir(&cgroup).is_ok());
}

/// The library removes its own directory, which is refused while there is one in it.
fn sub_cgroups() {
    let world = World::new("sleep 100");
    world.create();
    for cgroup in cgroups(&world.id) {
        fs::create_dir_all(cgroup.join("sub/deeper")).unwrap();
    }
    world.op("kill", &["KILL"]).ok();
    world.wait_for_status("stopped");
    world.op("delete", &[]).ok();
    world.leaves_nothing();
}

/// The library takes the systemd driver for every user namespace, whether there is a systemd or not.
fn user_namespace() {
    let mut world = World::new("cat /proc/self/cgroup");
    world.map_users();
    world.set("/linux/resources", json!({"pids": {"limit": 30}}));
    let table = world.op("run", &[]).ok();
    assert!(
        table.lines().count() > 0 && table.lines().all(|l| l.ends_with(":/")),
        "{table}"
    );
}

/// The library ignores it.
fn rdma() {
    let mut world = World::new("true");
    world.set(
        "/linux/resources",
        json!({"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}}),
    );
    let outcome = world.op("create", &[]);
    assert_ne!(outcome.code, 0);
    assert!(outcome.stderr.contains("rdma"), "{}", outcome.stderr);
    world.leaves_nothing();
}

/// The library writes the rules anew, from nothing but the update: what was allowed is denied, or the other way round.
fn update_and_devices() {
    let mut world = World::new("echo ready; sleep 100");
    let all = json!(["CAP_MKNOD", "CAP_SYSLOG"]);
    for set in ["bounding", "effective", "permitted"] {
        world.set(&format!("/process/capabilities/{set}"), all.clone());
    }
    world.set(
        "/linux/resources",
        json!({"devices": [{"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]}),
    );
    world.create();
    world.op("start", &[]).ok();
    world.wait_for("ready");
    let opens = |world: &World| {
        let script = "rm -f /k /m; mknod /k c 1 11; mknod /m c 1 1; (: </k) 2>/dev/null && echo log; \
            (: </m) 2>/dev/null && echo memory; true";
        world.op("exec", &["--", "sh", "-c", script]).ok()
    };
    assert_eq!(opens(&world), "log\n");
    world
        .op("update", &[r#"{"pids":{"limit":50},"devices":[{"allow":true}]}"#])
        .ok();
    assert_eq!(opens(&world), "log\n");
}
