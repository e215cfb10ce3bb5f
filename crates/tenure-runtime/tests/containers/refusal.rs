//! What is refused: one clear line, and nothing left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::fixture::{World, cgroups};
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    ("bad_bundles_are_refused_in_one_line", bad_bundles),
    ("bad_configurations_name_their_fault", bad_configurations),
    ("a_missing_program_fails_create_with_127", missing_program),
    ("an_unusable_program_fails_create_with_126", unusable_program),
    ("a_name_in_use_is_refused_and_its_container_lives_on", name_in_use),
    (
        "a_cgroup_in_use_is_refused_and_its_processes_live_on",
        cgroup_in_use,
    ),
    (
        "a_limit_the_kernel_refuses_is_named_and_nothing_is_left",
        refused_limit,
    ),
    ("a_mount_that_fails_is_named_and_nothing_is_left", failing_mount),
    (
        "a_rlimit_the_kernel_refuses_is_named_and_nothing_is_left",
        refused_rlimit,
    ),
];

fn bad_bundles() {
    let world = World::new("true");
    let keep = |text: &str| {
        fs::write(world.bundle().join("keep-config"), "").unwrap();
        fs::write(world.bundle().join("config.json"), text).unwrap();
    };
    world.write_config();
    let good = fs::read_to_string(world.bundle().join("config.json")).unwrap();
    keep("{\"ociVersion\": ");
    world.op("create", &[]).fails(125, "config.json: ");
    keep(&good.replace("\"type\":\"uts\"", "\"type\":\"galaxy\""));
    world
        .op("create", &[])
        .fails(125, "linux.namespaces[3].type: unknown variant `galaxy`");
    keep("\u{0}");
    world.op("create", &[]).fails(125, "config.json");
    fs::remove_file(world.bundle().join("config.json")).unwrap();
    world
        .op("create", &[])
        .fails(125, "config.json: No such file or directory");
    fs::create_dir(world.bundle().join("config.json")).unwrap();
    world.op("create", &[]).fails(125, "is not a regular file");
    fs::rename(world.bundle(), world.path("elsewhere")).unwrap();
    // The bundle is asked for by its path, which names nothing, then a file.
    let plain = |text: &str| {
        let mut command = std::process::Command::new("/proc/self/exe");
        command
            .arg("operate")
            .arg(world.path("root"))
            .args(["create", &world.id])
            .arg(world.bundle());
        crate::fixture::Outcome::from(command.output().unwrap()).fails(125, text);
    };
    plain("No such file or directory");
    fs::write(world.bundle(), "").unwrap();
    plain("not a directory");
    world.leaves_nothing();
}

fn bad_configurations() {
    let table = [
        ("/root/path", json!("absent"), "root.path: cannot open"),
        ("/root/path", json!("config.json"), "root.path: "),
        (
            "/process/args",
            json!([]),
            "process.args: must hold at least the program",
        ),
        ("/process/cwd", json!("here"), "process.cwd: "),
        ("/ociVersion", json!("3.0"), "ociVersion: "),
        (
            "/hooks",
            json!({"prestart": [{"path": "rel"}]}),
            "hooks.prestart[0].path: ",
        ),
    ];
    for (pointer, value, text) in table {
        let mut world = World::new("true");
        world.set(pointer, value);
        world.op("create", &[]).fails(125, text);
        world.leaves_nothing();
    }
}

fn missing_program() {
    for (program, text) in [
        ("absent", "executable file not found in $PATH"),
        ("/absent", "no such file or directory"),
    ] {
        for operation in ["create", "run"] {
            let mut world = World::new("");
            world.set("/process/args", json!([program]));
            world.op(operation, &[]).fails(127, text);
            world.leaves_nothing();
        }
    }
}

fn unusable_program() {
    let mut world = World::new("");
    fs::write(world.rootfs().join("bin/plain"), "x").unwrap();
    world.set("/process/args", json!(["plain"]));
    world.op("create", &[]).fails(126, "permission denied");
    fs::set_permissions(
        world.rootfs().join("bin/plain"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    world.op("run", &[]).fails(126, "exec format error");
    // Its contents are looked at only by exec.
    world.create();
    world.op("start", &[]).fails(126, "exec format error");
    world.wait_for_status("stopped");
    world.op("delete", &[]).ok();
    fs::write(world.rootfs().join("bin/plain"), "#!/absent\n").unwrap();
    world.op("run", &[]).fails(127, "no such file or directory");
    world.leaves_nothing();
}

fn name_in_use() {
    let world = World::new("sleep 100");
    world.create();
    world
        .op("create", &[])
        .fails(125, "container with given ID already exists");
    world
        .op("run", &[])
        .fails(125, "container with given ID already exists");
    assert_eq!(world.status(), "created");
}

fn cgroup_in_use() {
    let world = World::new("sleep 100");
    world.create();
    let mut other = World::new("true");
    other.set("/linux/cgroupsPath", json!(format!("/{}", world.id)));
    other.op("run", &[]).fails(125, "it holds processes already");
    assert_eq!(world.status(), "created");
    assert!(!cgroups(&world.id).is_empty());
    for path in ["/", "a/.."] {
        other.set("/linux/cgroupsPath", json!(path));
        other.op("run", &[]).fails(125, "cgroupsPath");
    }
}

fn refused_limit() {
    let mut world = World::new("true");
    world.set("/linux/resources", json!({"cpu": {"cpus": "4000"}}));
    world.op("create", &[]).fails(125, "cpuset.cpus");
    world.leaves_nothing();
}

fn failing_mount() {
    let mut world = World::new("true");
    world.mount(json!({"destination": "/x", "source": "/absent/source", "options": ["bind"]}));
    world.op("create", &[]).fails(
        125,
        "cannot mount /absent/source at /x: no such file or directory",
    );
    world.leaves_nothing();
    world.set(
        "/mounts/7",
        json!({"destination": "/proc/sys", "type": "tmpfs", "source": "tmpfs"}),
    );
    world.op("create", &[]).fails(125, "/proc");
    world.leaves_nothing();
}

fn refused_rlimit() {
    let mut world = World::new("true");
    let most = 1u64 << 62;
    world.set(
        "/process/rlimits",
        json!([{"type": "RLIMIT_NOFILE", "soft": most, "hard": most}]),
    );
    world.op("create", &[]).fails(125, "cannot set RLIMIT_NOFILE");
    world.leaves_nothing();
}
