//! OCI hooks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::fixture::World;
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "hooks_of_all_kinds_run_in_order_with_the_right_status_and_pid",
        hooks_run,
    ),
    (
        "a_failing_hook_before_the_start_undoes_create",
        failing_hook_undoes_create,
    ),
    (
        "a_failing_start_container_hook_fails_start_and_ends_the_container",
        failing_start_container,
    ),
    (
        "a_failing_poststart_hook_fails_start_and_ends_the_container",
        failing_poststart,
    ),
    (
        "a_failing_poststop_hook_does_not_keep_the_container",
        failing_poststop,
    ),
    ("a_hook_that_takes_too_long_is_a_failure", slow_hook),
];

/// Writes a shell script on the host and returns its path.
fn script(world: &World, name: &str, body: &str) -> PathBuf {
    let path = world.path(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn hooks_run() {
    let mut world = World::new("sleep 100");
    let log = world.path("log");
    let hook = |name: &str, body: &str| {
        let path = script(&world, name, body);
        json!([{"path": path, "args": [name], "env": ["PATH=/bin:/usr/bin"]}])
    };
    let tell = |kind: &str| format!("echo {kind} $(cat) >>{}", log.display());
    let mut hooks = json!({});
    for kind in [
        "prestart",
        "createRuntime",
        "createContainer",
        "poststart",
        "poststop",
    ] {
        hooks[kind] = hook(kind, &tell(kind));
    }
    // This one runs in the container, where the log is not.
    fs::write(world.rootfs().join("hook"), "#!/bin/sh\ncat >/told\n").unwrap();
    fs::set_permissions(world.rootfs().join("hook"), fs::Permissions::from_mode(0o755)).unwrap();
    hooks["startContainer"] = json!([{"path": "/hook", "env": ["PATH=/bin"]}]);
    world.config["hooks"] = hooks;
    world.create();
    let pid = world.state()["pid"].as_i64().unwrap();
    assert!(!world.rootfs().join("told").exists());
    world.op("start", &[]).ok();
    world.op("delete", &["--force"]).ok();
    let log = fs::read_to_string(log).unwrap();
    let told: Vec<(String, Value)> = log
        .lines()
        .map(|l| l.split_once(' ').unwrap())
        .map(|(kind, state)| (kind.to_owned(), serde_json::from_str(state).unwrap()))
        .collect();
    let seen: Vec<(&str, &str)> = told
        .iter()
        .map(|(k, s)| (k.as_str(), s["status"].as_str().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            ("prestart", "creating"),
            ("createRuntime", "creating"),
            ("createContainer", "creating"),
            ("poststart", "running"),
            ("poststop", "stopped"),
        ]
    );
    for (kind, state) in &told[..4] {
        assert_eq!(
            (state["pid"].as_i64(), state["id"].as_str()),
            (Some(pid), Some(world.id.as_str())),
            "{kind}"
        );
        assert_eq!(state["bundle"], world.bundle().to_str().unwrap());
        assert_eq!(state["annotations"]["a"], "b");
    }
    let inside: Value = serde_json::from_slice(&fs::read(world.rootfs().join("told")).unwrap()).unwrap();
    assert_eq!(
        (inside["status"].as_str(), inside["pid"].as_i64()),
        (Some("created"), Some(pid))
    );
}

fn failing_hook_undoes_create() {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        for operation in ["create", "run"] {
            let mut world = World::new("true");
            let good = script(&world, "good", "cat >/dev/null");
            let bad = script(&world, "bad", "exit 3");
            world.config["hooks"] = json!({kind: [{"path": good}, {"path": bad}]});
            let outcome = world.op(operation, &[]);
            outcome.fails(
                125,
                &format!(
                    "{kind} hook 1 ({}): hook command exited with non-zero exit code: 3",
                    bad.display()
                ),
            );
            world.leaves_nothing();
        }
    }
}

fn failing_start_container() {
    let mut world = World::new("echo never");
    world.config["hooks"] = json!({"startContainer": [{"path": "/bin/false"}]});
    world.create();
    world
        .op("start", &[])
        .fails(125, "startContainer hook 0 (/bin/false)");
    world.wait_for_status("stopped");
    assert_eq!(fs::read_to_string(world.path("out")).unwrap(), "");
    world.op("delete", &[]).ok();
    world
        .op("run", &[])
        .fails(125, "startContainer hook 0 (/bin/false)");
    world.leaves_nothing();
}

fn failing_poststart() {
    let mut world = World::new("sleep 100");
    world.config["hooks"] = json!({"poststart": [{"path": "/bin/false"}]});
    world.create();
    world.op("start", &[]).fails(125, "poststart hook 0 (/bin/false)");
    world.leaves_nothing();
    world.op("run", &[]).fails(125, "poststart hook 0 (/bin/false)");
    world.leaves_nothing();
}

fn failing_poststop() {
    let mut world = World::new("true");
    let last = script(
        &world,
        "last",
        &format!("touch {}", world.path("last-ran").display()),
    );
    world.config["hooks"] =
        json!({"poststop": [{"path": "/bin/false"}, {"path": last, "env": ["PATH=/bin:/usr/bin"]}]});
    world.op("run", &[]).ok();
    world.op("delete", &[]).ok();
    world.leaves_nothing();
    assert!(
        world.path("last-ran").exists(),
        "the hooks after a failing one still run"
    );
}

fn slow_hook() {
    let mut world = World::new("true");
    world.config["hooks"] = json!({"createRuntime": [
        {"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}]});
    world.op("create", &[]).fails(125, "timeout");
    world.leaves_nothing();
}
