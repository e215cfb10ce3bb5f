//! The creating process is killed, at every moment: `delete` leaves nothing.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::fixture::{World, tolerance};
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "killed_in_a_hook_the_creator_leaves_what_delete_removes",
        killed_in_a_hook,
    ),
    (
        "killed_at_any_moment_the_creator_leaves_what_delete_removes",
        killed_at_any_moment,
    ),
    (
        "force_ends_a_creator_that_a_hook_holds_up",
        force_ends_the_creator,
    ),
];

fn killed_in_a_hook() {
    for kind in ["prestart", "createRuntime", "poststart"] {
        for operation in ["create", "run"] {
            if (kind, operation) == ("poststart", "create") {
                continue;
            }
            let mut world = World::new("sleep 100");
            let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "kill -9 $PPID"], "env": ["PATH=/bin:/usr/bin"]}]);
            world.config["hooks"] = json!({kind: hook});
            // Its output goes nowhere: the container may outlive what reads it.
            let status = world
                .command(operation, &[])
                .stdout(Stdio::null())
                .status()
                .unwrap();
            assert_eq!(status.signal(), Some(9), "{kind}");
            // poststart: the container runs, and nobody will ever say that its hook has succeeded.
            let force: &[&str] = if kind == "poststart" { &["--force"] } else { &[] };
            if kind != "poststart" {
                // Its death is init's.
                world.wait_for_status("stopped");
            }
            world.config["hooks"] = json!({});
            world.op("delete", force).ok();
            world.leaves_nothing();
        }
    }
}

pub(crate) fn killed_at_any_moment() {
    let slowness = tolerance();
    for step in (0..60).step_by(usize::try_from(slowness).unwrap()) {
        let world = World::new("sleep 100");
        let mut creator = world.command("create", &[]).spawn().unwrap();
        let moment = Instant::now() + Duration::from_micros(step * 250 * slowness);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        creator.kill().unwrap();
        creator.wait().unwrap();
        // Created, stopped, or never begun; and the name is free after delete whatever it was.
        let state = world.op("state", &[]);
        assert!(
            state.code == 0 || state.stderr.contains("does not exist"),
            "step {step}: {}",
            state.stderr
        );
        world.op("delete", &["--force"]).ok();
        assert_eq!(world.leftovers(), Vec::<String>::new(), "step {step}");
        assert_eq!(world.op("state", &[]).code, 125);
    }
}

fn force_ends_the_creator() {
    let mut world = World::new("true");
    world.config["hooks"] = json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "10"]}]});
    let mut creator = world.command("create", &[]).spawn().unwrap();
    world.wait_for_status("creating");
    let begin = Instant::now();
    world
        .op("delete", &[])
        .fails(125, "that is not stopped: creating");
    world.op("delete", &["--force"]).ok();
    assert!(
        begin.elapsed() < Duration::from_secs(8),
        "it must not wait for the hook"
    );
    assert_eq!(creator.wait().unwrap().signal(), Some(9));
    world.leaves_nothing();
}
