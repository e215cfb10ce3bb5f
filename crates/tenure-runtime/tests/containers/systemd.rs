//! The systemd cgroup driver. Where systemd is not process 1, each test gets one that is: in namespaces of its own,
//! with a cgroup hierarchy without controllers.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use serde_json::json;

use crate::attack;
use crate::fixture::{Outcome, SYSTEMD, World, wait_until};
use crate::harness::{Test, WITH_SYSTEMD};

pub(crate) const TESTS: &[Test] = &[
    ("systemd_makes_the_scope_that_the_path_names", || {
        beside_systemd("systemd_makes_the_scope_that_the_path_names", scope_of_path)
    }),
    ("systemd_gets_the_properties_of_annotations", || {
        beside_systemd("systemd_gets_the_properties_of_annotations", annotations)
    }),
    ("systemd_forgets_a_container_whose_creator_was_killed", || {
        beside_systemd(
            "systemd_forgets_a_container_whose_creator_was_killed",
            killed_creator,
        )
    }),
    ("systemd_keeps_the_scope_of_somebody_else", || {
        beside_systemd("systemd_keeps_the_scope_of_somebody_else", foreign_scope)
    }),
    ("systemd_hosts_a_container_with_user_and_time_namespaces", || {
        beside_systemd(
            "systemd_hosts_a_container_with_user_and_time_namespaces",
            user_and_time,
        )
    }),
    ("systemd_forgets_a_container_killed_at_any_moment", || {
        beside_systemd(
            "systemd_forgets_a_container_killed_at_any_moment",
            killed_at_any_moment,
        )
    }),
    ("a_path_that_names_no_scope_is_an_error", malformed_path),
    (
        "an_annotation_that_is_no_property_is_an_error",
        malformed_annotation,
    ),
    ("without_systemd_its_driver_is_an_error", no_systemd),
];

/// What needs controllers, which the hierarchy beside a systemd of the tests' own has not.
pub(crate) const BOOTED: &[Test] = &[("systemd_knows_the_limits_and_keeps_them_over_a_reload", limits)];

/// Whether systemd is process 1 here.
pub(crate) fn is_booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// A test under a second name, by which the harness knows to run it with the driver.
pub(crate) fn with_driver((name, test): Test) -> Test {
    (Box::leak(format!("{WITH_SYSTEMD}{name}").into_boxed_str()), test)
}

/// Makes a systemd that is process 1 of a pid namespace, runs the rest of the arguments beside it, and ends it.
const BESIDE_SYSTEMD: &str = r#"
set -u
mount=$1
shift
[ -x /lib/systemd/systemd ] || { echo "these tests need the Debian package systemd"; exit 1; }
cgroup=$mount/tenure-test.$$
directory=$(mktemp -d)
mkdir "$cgroup"
mkfifo "$directory/end"
exec 9<>"$directory/end"
own=$mount$(sed -n 's/^0:://p' /proc/self/cgroup)
echo 0 >"$cgroup/cgroup.procs"
export directory
unshare --pid --fork --mount --cgroup --kill-child --propagation private bash -c '
  mount -t proc proc /proc
  umount -R /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mount -t tmpfs tmpfs /run
  mkdir -p /run/units
  printf "[Unit]\nDefaultDependencies=no\n" >/run/units/tests.target
  {
    for _ in {1..500}; do [ ! -S /run/systemd/private ] || break; sleep 0.02; done
    "$@" 9>&-
    echo $? >"$directory/end"
  } &
  export SYSTEMD_UNIT_PATH=/run/units container=tests SYSTEMD_LOG_LEVEL=err
  exec /lib/systemd/systemd --system --unit=tests.target --log-target=console 9>&-
' bash "$@" </dev/null &
namespace=$!
read -r -t 120 -u 9 status || status=1
kill -KILL "$namespace"
wait "$namespace" 2>/dev/null
echo 0 >"$own/cgroup.procs"
for _ in {1..100}; do
  find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
  [ -d "$cgroup" ] || break
  sleep 0.02
done
rm -rf "$directory"
exit "$status"
"#;

/// Runs a test here if systemd is there, and else itself again beside one.
fn beside_systemd(name: &str, test: fn()) {
    if is_booted() {
        return test();
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let unified = mounts.lines().find(|l| l.contains(" - cgroup2 "));
    let mount = unified
        .and_then(|l| l.split(' ').nth(4))
        .expect("a cgroup2 mount is needed");
    let output = Command::new("bash")
        .args(["-c", BESIDE_SYSTEMD, "beside", mount])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

/// A container under the driver.
fn world(command: &str) -> World {
    let mut world = World::new(command);
    world.systemd = true;
    world
}

/// Properties of a unit, in the order of their names.
fn show(unit: &str, properties: &str) -> String {
    let output = Command::new("systemctl")
        .args(["show", unit, "--property", properties])
        .output()
        .unwrap();
    // Versions differ in what they quote.
    let text = Outcome::from(output).ok().replace('"', "");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join(" ")
}

fn scope_of_path() {
    let mut world = world("cat /proc/self/cgroup; sleep 1000");
    world.namespace("cgroup", None);
    let path = format!("tenure-tests.slice:pre:{}", world.id);
    world.set("/linux/cgroupsPath", json!(path));
    let unit = format!("pre-{}.scope", world.id);
    let cgroup = format!("/tenure.slice/tenure-tests.slice/{unit}");
    world.create();
    assert_eq!(
        show(&unit, "ActiveState,Slice,ControlGroup,Delegate"),
        format!("ActiveState=active ControlGroup={cgroup} Delegate=yes Slice=tenure-tests.slice")
    );
    world.op("start", &[]).ok();
    world.wait_for(&format!("0::{cgroup}"));
    let executed = world.op("exec", &["--", "cat", "/proc/self/cgroup"]).ok();
    assert!(
        executed.lines().any(|l| l == format!("0::{cgroup}")),
        "{executed}"
    );
    world.op("delete", &["--force"]).ok();
    assert_eq!(
        show(&unit, "ActiveState,LoadState"),
        "ActiveState=inactive LoadState=not-found"
    );
    assert!(!Path::new("/sys/fs/cgroup").join(&cgroup[1..]).exists());
}

fn annotations() {
    let mut world = world("sleep 1000");
    world.set(
        "/annotations",
        json!({"org.systemd.property.TimeoutStopSec": "uint64 7", "org.systemd.property.Documentation": "['man:a(1)']"}),
    );
    world.create();
    assert_eq!(
        show(
            &format!("tenure-{}.scope", world.id),
            "TimeoutStopUSec,Documentation"
        ),
        "Documentation=man:a(1) TimeoutStopUSec=7s"
    );
}

fn limits() {
    let mut world = world("sleep 1000");
    world.set(
        "/linux/resources",
        json!({"memory": {"limit": 64 << 20}, "cpu": {"quota": 20_000, "period": 50_000}, "pids": {"limit": 50}}),
    );
    world.create();
    let unit = format!("tenure-{}.scope", world.id);
    let told = || show(&unit, "MemoryMax,TasksMax,CPUQuotaPerSecUSec");
    assert_eq!(told(), "CPUQuotaPerSecUSec=400ms MemoryMax=67108864 TasksMax=50");
    world
        .op(
            "update",
            &[r#"{"memory":{"limit":33554432},"cpu":{"quota":40000},"pids":{"limit":60}}"#],
        )
        .ok();
    let updated = "CPUQuotaPerSecUSec=800ms MemoryMax=33554432 TasksMax=60";
    assert_eq!(told(), updated);
    // It writes what it knows into the kernel's files anew.
    let reload = Command::new("systemctl").arg("daemon-reload").output().unwrap();
    Outcome::from(reload).ok();
    assert_eq!(told(), updated);
    for (file, value) in [
        ("memory.max", "33554432"),
        ("cpu.max", "40000 50000"),
        ("pids.max", "60"),
    ] {
        let file = Path::new("/sys/fs/cgroup/system.slice").join(&unit).join(file);
        assert_eq!(
            fs::read_to_string(&file).unwrap().trim(),
            value,
            "{}",
            file.display()
        );
    }
}

fn killed_creator() {
    let mut world = world("sleep 1000");
    let hook = "echo hook >>out; exec sleep 1000";
    let script = format!("cd {}; {hook}", world.path("").display());
    world.set(
        "/hooks",
        json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}),
    );
    let mut creator = world
        .command("create", &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    world.wait_for("hook");
    let unit = format!("tenure-{}.scope", world.id);
    assert_eq!(show(&unit, "ActiveState"), "ActiveState=active");
    creator.kill().unwrap();
    creator.wait().unwrap();
    world.op("delete", &["--force"]).ok();
    assert_eq!(show(&unit, "LoadState"), "LoadState=not-found");
    world.leaves_nothing();
}

fn killed_at_any_moment() {
    SYSTEMD.store(true, Ordering::Relaxed);
    attack::killed_at_any_moment();
    let output = Command::new("systemctl")
        .args(["list-units", "--all", "--plain", "--no-legend", "tenure-*.scope"])
        .output()
        .unwrap();
    assert_eq!(Outcome::from(output).ok(), "");
}

fn foreign_scope() {
    let mut first = world("sleep 1000");
    let path = format!(":shared:{}", first.id);
    first.set("/linux/cgroupsPath", json!(path));
    first.create();
    let mut second = world("sleep 1000");
    second.set("/linux/cgroupsPath", json!(path));
    second.op("create", &[]).fails(125, "it holds processes already");
    assert_eq!(first.status(), "created");
    assert!(!second.record().exists());
}

fn user_and_time() {
    let mut world = world("id -u; cat /proc/self/cgroup");
    world.map_users();
    world.config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "time"}));
    let out = world.op("run", &[]).ok();
    assert!(out.starts_with("0\n") && out.contains("0::/\n"), "{out}");
    let unit = format!("tenure-{}.scope", world.id);
    world.op("delete", &[]).ok();
    wait_until("the end of the scope", || {
        show(&unit, "LoadState") == "LoadState=not-found"
    });
}

fn malformed_path() {
    let mut world = world("true");
    for path in ["/a/b", "a:b:c", "a.slice:b:c.slice", "a.slice:b"] {
        world.set("/linux/cgroupsPath", json!(path));
        world
            .op("create", &[])
            .fails(125, "config.json: linux.cgroupsPath: ");
    }
    world.set("/linux/cgroupsPath", json!("/a/b"));
    world
        .op("create", &[])
        .fails(125, "\"/a/b\" is not of the form SLICE:PREFIX:NAME");
}

fn malformed_annotation() {
    let mut world = world("true");
    world.set("/annotations", json!({"org.systemd.property.X": "("}));
    world
        .op("create", &[])
        .fails(125, "annotations[\"org.systemd.property.X\"]: ");
}

fn no_systemd() {
    let world = world("true");
    let create = world.command("create", &[]);
    let output = Command::new("unshare")
        .args([
            "--mount",
            "sh",
            "-c",
            "mount -t tmpfs none /run && exec \"$@\"",
            "sh",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(create.get_args())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Outcome::from(output).fails(
        125,
        "--systemd-cgroup) needs systemd: there is no /run/systemd/system",
    );
    assert!(!world.record().exists());
}
