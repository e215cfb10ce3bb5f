//! What the container sees of the host, and what it may do.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use crate::fixture::{World, wait_until};
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    ("the_environment_is_exactly_the_configurations", environment),
    ("no_descriptor_of_the_runtime_reaches_the_program", descriptors),
    ("masked_and_read_only_paths_hold", restricted_paths),
    ("user_groups_and_capabilities_are_those_asked_for", identity),
    (
        "without_capabilities_in_the_configuration_there_are_none",
        no_capabilities,
    ),
    ("seccomp_works_with_and_without_no_new_privileges", seccomp),
    (
        "a_filter_does_what_each_action_says_compiled_and_from_the_cache",
        every_action,
    ),
    ("a_filter_compares_arguments_under_a_mask", masked_argument),
    (
        "a_profile_that_cannot_be_compiled_is_one_clear_error",
        bad_profile,
    ),
    ("a_filter_may_forbid_what_only_the_runtime_needs", strict_filter),
    ("a_read_only_root_and_dev_cannot_be_written", read_only),
    (
        "bind_mounts_of_files_and_directories_keep_their_options",
        bind_mounts,
    ),
    (
        "a_link_in_the_image_cannot_turn_a_mount_to_the_host",
        hostile_links,
    ),
    (
        "a_tmpfs_keeps_the_mode_and_copies_the_contents_of_its_directory",
        tmpfs,
    ),
    ("namespaces_are_joined_by_path", joined_namespaces),
    ("a_mount_namespace_is_joined_by_path", joined_mounts),
    (
        "without_a_mount_namespace_the_mounts_go_with_the_container",
        shared_mounts,
    ),
    ("a_shared_uts_namespace_keeps_its_name", shared_uts),
    ("loopback_is_up_in_a_new_network_namespace", loopback),
    ("limits_umask_and_oom_score_are_set", process_settings),
    (
        "limits_too_tight_for_the_set_up_hold_for_the_program_only",
        tight_limits,
    ),
    ("sysctls_reach_the_containers_namespaces_only", sysctls),
    ("a_time_namespace_has_its_offsets", time_namespace),
    ("a_user_namespace_can_be_joined_by_path", joined_user_namespace),
    ("the_working_directory_is_made", working_directory),
];

/// Runs a container that runs `command`, to its end, and returns what it printed.
fn output(command: &str, change: impl FnOnce(&mut World)) -> String {
    let mut world = World::new(command);
    change(&mut world);
    let outcome = world.op("run", &[]);
    assert_eq!(outcome.stderr, "");
    outcome.ok()
}

/// A filter that lets everything pass but making directories.
pub(crate) fn no_mkdir() -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]})
}

fn environment() {
    let env = output("", |w| {
        w.set("/process/args", json!(["env"]));
        w.set("/process/env", json!(["B=2", "PATH=/bin", "A=1"]));
        fs::write(w.rootfs().join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    });
    assert_eq!(env, "B=2\nPATH=/bin\nA=1\nHOME=/root\n");
}

fn descriptors() {
    // ls has one more, for the directory it lists.
    let listed = output("", |w| w.set("/process/args", json!(["ls", "/proc/self/fd"])));
    assert_eq!(
        listed.split_whitespace().collect::<Vec<_>>(),
        ["0", "1", "2", "3"]
    );
    let world = World::new("true");
    world
        .op("run", &["--preserve-fds=7"])
        .fails(125, "descriptor that is to be preserved");
}

fn restricted_paths() {
    let script = "test -c /proc/kcore && head -c 1 /proc/kcore | head -c 1; test -c /proc/keys || echo seen; \
        test -z \"$(ls /sys/firmware)\" || echo firmware; echo 1 2>/dev/null >/proc/sys/kernel/printk || echo denied; \
        touch /sys/firmware/x 2>/dev/null || echo denied";
    assert_eq!(output(script, |_| ()), "denied\ndenied\n");
}

fn identity() {
    let script = "id -u; id -g; id -G; grep -E 'Cap|NoNewPrivs' /proc/self/status";
    let told = output(script, |w| {
        w.set(
            "/process/user",
            json!({"uid": 7, "gid": 8, "additionalGids": [10, 9, 10]}),
        );
    });
    // Without ambient ones, a user that is not root loses them on exec.
    let bounding = 1u64 << 29 | 1 << 5 | 1 << 10 | 1 << 27;
    assert_eq!(
        told,
        format!(
            "7\n8\n8 9 10\nCapInh:\t{0:016x}\nCapPrm:\t{0:016x}\nCapEff:\t{0:016x}\nCapBnd:\t{bounding:016x}\n\
             CapAmb:\t{0:016x}\nNoNewPrivs:\t1\n",
            0
        )
    );
}

fn no_capabilities() {
    let told = output("grep -E 'CapEff|CapBnd|Groups' /proc/self/status", |w| {
        w.config["process"]
            .as_object_mut()
            .unwrap()
            .remove("capabilities");
    });
    assert_eq!(
        told,
        format!("Groups:\t \nCapEff:\t{0:016x}\nCapBnd:\t{0:016x}\n", 0)
    );
}

fn seccomp() {
    for no_new_privileges in [json!(null), json!(false), json!(true)] {
        let told = output(
            "mkdir /x 2>/dev/null && echo made; grep Seccomp: /proc/self/status",
            |w| {
                w.set("/linux/seccomp", no_mkdir());
                w.set("/process/noNewPrivileges", no_new_privileges.clone());
            },
        );
        assert_eq!(told, "Seccomp:\t2\n", "noNewPrivileges {no_new_privileges}");
    }
}

fn every_action() {
    // What the shell says of a program that was killed is not of interest.
    let script = "sh -c 'mkdir /x; code=$?; test ! -d /x || rm -r /x; echo $code' 2>/dev/null";
    let actions = [
        ("SCMP_ACT_KILL", "159"),
        ("SCMP_ACT_KILL_THREAD", "159"),
        ("SCMP_ACT_KILL_PROCESS", "159"),
        ("SCMP_ACT_TRAP", "159"),
        ("SCMP_ACT_ERRNO", "1"),
        ("SCMP_ACT_TRACE", "1"),
        ("SCMP_ACT_LOG", "0"),
        ("SCMP_ACT_ALLOW", "0"),
    ];
    let mut world = World::new(script);
    let cache = world.path("root/seccomp");
    for (i, (action, code)) in actions.into_iter().enumerate() {
        let default = if i < 6 { "SCMP_ACT_ALLOW" } else { "SCMP_ACT_LOG" };
        world.set(
            "/linux/seccomp",
            json!({"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
                "flags": ["SECCOMP_FILTER_FLAG_LOG"],
                "syscalls": [{"names": ["mkdir", "mkdirat", "no_such_call"], "action": action, "errnoRet": 42}]}),
        );
        for from in ["compiled", "from the cache"] {
            let outcome = world.op("run", &[]);
            assert_eq!(outcome.stderr, "");
            assert_eq!(outcome.ok(), format!("{code}\n"), "{action} {from}");
            world.op("delete", &[]).ok();
            assert_eq!(fs::read_dir(&cache).unwrap().count(), i + 1, "{action} {from}");
        }
    }
}

fn masked_argument() {
    // Signals 16 to 23, of which SIGCONT is one. In Docker's profile, clone is judged in this way.
    let told = output(
        "kill -0 $$ && echo allowed; kill -CONT $$ 2>/dev/null || echo denied",
        |w| {
            let under_mask = json!({"index": 1, "value": 0x18, "valueTwo": 0x10, "op": "SCMP_CMP_MASKED_EQ"});
            let rule = json!({"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [under_mask]});
            w.set(
                "/linux/seccomp",
                json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}),
            );
        },
    );
    assert_eq!(told, "allowed\ndenied\n");
}

fn bad_profile() {
    let mut world = World::new("true");
    let args = json!([{"index": 7, "value": 0, "op": "SCMP_CMP_EQ"}]);
    let rule = json!({"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": args});
    world.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}),
    );
    world
        .op("run", &[])
        .fails(125, "linux.seccomp.syscalls[0].args[0].index: must be 0 to 5");
    world.leaves_nothing();
}

fn strict_filter() {
    // Without noNewPrivileges the filter is there before the user changes, which takes prctl and capset. Filters of
    // some years ago do not know the calls that have a 2 or 3 to their names, nor close_range.
    let needless = json!([
        "sendto",
        "sendmsg",
        "recvfrom",
        "accept4",
        "socket",
        "openat2",
        "mount",
        "clone3",
        "close_range",
        "faccessat2"
    ]);
    let all = json!([
        "prctl",
        "capset",
        "sendto",
        "sendmsg",
        "recvfrom",
        "accept4",
        "socket",
        "openat2",
        "mount",
        "clone3",
        "close_range",
        "faccessat2"
    ]);
    for (no_new_privileges, names) in [(false, needless), (true, all)] {
        let mut world = World::new("echo started; sleep 100");
        let rule = json!([{"names": names, "action": "SCMP_ACT_ERRNO"}]);
        world.set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rule}),
        );
        world.set("/process/noNewPrivileges", json!(no_new_privileges));
        world.create();
        assert_eq!(world.status(), "created", "it outlives its creator");
        world.op("start", &[]).ok();
        world.wait_for("started");
        world.op("exec", &["--", "true"]).ok();
    }
}

fn read_only() {
    let script = "touch /x 2>/dev/null || echo denied; touch /dev/x 2>/dev/null || echo denied; echo x >/dev/null; \
        touch /dev/shm/x && echo allowed";
    let told = output(script, |w| {
        w.set("/root/readonly", json!(true));
        w.set("/mounts/1/options", json!(["nosuid", "mode=755", "ro"]));
    });
    assert_eq!(told, "denied\ndenied\nallowed\n");
}

fn bind_mounts() {
    let script = "cat /file; touch /d/x && echo allowed; touch /r/x 2>/dev/null || echo denied; ls /made/deep; \
        grep -c ' /r .*noexec' /proc/mounts";
    let told = output(script, |w| {
        let source = w.path("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("f"), "hello\n").unwrap();
        w.mount(json!({"destination": "/file", "source": source.join("f"), "options": ["bind", "ro"]}));
        w.mount(json!({"destination": "/d", "type": "bind", "source": source, "options": ["rbind", "rw"]}));
        w.mount(json!({"destination": "/r", "source": source, "options": ["bind", "ro", "noexec"]}));
        // A relative source starts at the bundle.
        fs::create_dir(w.bundle().join("volume")).unwrap();
        fs::write(w.bundle().join("volume/inside"), "").unwrap();
        w.mount(json!({"destination": "/made/deep", "source": "volume", "options": ["bind", "rprivate"]}));
    });
    assert_eq!(told, "hello\nallowed\ndenied\ninside\n1\n");
}

fn hostile_links() {
    let world_outside = tempfile::tempdir().unwrap();
    let outside = world_outside.path().to_owned();
    let mut world = World::new("true");
    symlink(&outside, world.rootfs().join("absolute")).unwrap();
    symlink("../../../../../../../../..", world.rootfs().join("relative")).unwrap();
    for name in ["/absolute/made", "/relative/tenure-must-not-appear"] {
        world.mount(json!({"destination": name, "type": "tmpfs", "source": "tmpfs"}));
    }
    world.op("run", &[]).ok();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!std::path::Path::new("/tenure-must-not-appear").exists());
    world.op("delete", &[]).ok();
    // /proc itself must be an ordinary directory.
    fs::remove_dir_all(world.rootfs().join("proc")).unwrap();
    symlink("tmp", world.rootfs().join("proc")).unwrap();
    world
        .op("run", &[])
        .fails(125, "must be mounted on ordinary directory");
    world.leaves_nothing();
}

fn tmpfs() {
    let told = output("stat -c %a /t; cat /c/f; stat -c %a /fresh", |w| {
        use std::os::unix::fs::PermissionsExt;
        for name in ["t", "c"] {
            fs::create_dir(w.rootfs().join(name)).unwrap();
        }
        fs::set_permissions(w.rootfs().join("t"), fs::Permissions::from_mode(0o1750)).unwrap();
        fs::write(w.rootfs().join("c/f"), "copied\n").unwrap();
        w.mount(json!({"destination": "/t", "type": "tmpfs", "source": "tmpfs"}));
        w.mount(json!({"destination": "/c", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}));
        w.mount(json!({"destination": "/fresh", "type": "tmpfs", "source": "tmpfs"}));
    });
    assert_eq!(told, "1750\ncopied\n1777\n");
}

fn joined_namespaces() {
    let first = World::new("sleep 100");
    first.create();
    first.op("start", &[]).ok();
    let pid = first.state()["pid"].to_string();
    let kinds = [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")];
    let script =
        "for n in net ipc uts pid; do readlink /proc/self/ns/$n; done; ps -o comm | grep -c '^sleep$'";
    let told = output(script, |w| {
        for (kind, file) in kinds {
            w.namespace(kind, Some(&format!("/proc/{pid}/ns/{file}")));
        }
        w.config.as_object_mut().unwrap().remove("hostname");
    });
    let mut expected: Vec<String> = kinds
        .iter()
        .map(|(_, file)| {
            fs::read_link(format!("/proc/{pid}/ns/{file}"))
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    // The first container's program is seen.
    expected.push("1".to_owned());
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

fn joined_mounts() {
    let mut other = Command::new("unshare")
        .args(["--mount", "sleep", "100"])
        .spawn()
        .unwrap();
    let path = format!("/proc/{}/ns/mnt", other.id());
    let own = fs::read_link("/proc/self/ns/mnt").unwrap();
    wait_until("unshare", || fs::read_link(&path).is_ok_and(|l| l != own));
    let told = output(
        "readlink /proc/self/ns/mnt; ls -d /bin /usr 2>/dev/null; true",
        |w| {
            w.namespace("mount", Some(&path));
        },
    );
    let expected = fs::read_link(&path).unwrap();
    assert_eq!(told, format!("{}\n/bin\n", expected.display()));
    other.kill().unwrap();
    other.wait().unwrap();
}

fn shared_mounts() {
    let mut world = World::new("ls -d /bin /usr 2>/dev/null; readlink /proc/self/ns/mnt; sleep 100");
    world.namespace("mount", None);
    world.create();
    let own = fs::read_link("/proc/self/ns/mnt").unwrap().display().to_string();
    world.op("start", &[]).ok();
    world.wait_for(&own);
    let told = fs::read_to_string(world.path("out")).unwrap();
    assert_eq!(told, format!("/bin\n{own}\n"));
    let script = "ls -d /bin /usr 2>/dev/null; readlink /proc/self/ns/mnt; cat /proc/1/comm";
    let told = world.op("exec", &["--", "sh", "-c", script]).ok();
    assert_eq!(told, format!("/bin\n{own}\nsleep\n"));
    assert!(world.leftovers().iter().any(|l| l.contains("/rootfs/proc ")));
    world.op("delete", &["--force"]).ok();
    world.leaves_nothing();
    // A create that fails half-way takes them away, too.
    world.set("/process/args", json!(["/absent"]));
    assert_ne!(world.op("create", &[]).code, 0);
    world.leaves_nothing();
}

fn shared_uts() {
    let first = World::new("sleep 100");
    first.create();
    let path = format!("/proc/{}/ns/uts", first.state()["pid"]);
    let told = output("hostname", |w| {
        w.namespace("uts", Some(&path));
        w.set("/hostname", json!("stolen"));
    });
    assert_eq!(told, "inside\n");
}

fn loopback() {
    assert_eq!(
        output(
            "cat /sys/class/net/lo/operstate; cat /sys/class/net/lo/flags",
            |_| ()
        ),
        "unknown\n0x9\n"
    );
}

fn process_settings() {
    let script = "ulimit -n; ulimit -c; umask; cat /proc/self/oom_score_adj; grep -c _ses /proc/keys";
    let told = output(script, |w| {
        w.set(
            "/process/rlimits",
            json!([{"type": "RLIMIT_NOFILE", "soft": 333, "hard": 444},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]),
        );
        w.set("/process/user", json!({"uid": 0, "gid": 0, "umask": 0o27}));
        w.set("/process/oomScoreAdj", json!(500));
        w.set("/linux/maskedPaths", json!([]));
    });
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[..4], ["333", "0", "0027", "500"]);
}

fn tight_limits() {
    let tight = |w: &mut World| {
        w.set("/process/args", json!(["cat", "/proc/self/limits"]));
        w.set(
            "/process/rlimits",
            json!([{"type": "RLIMIT_NOFILE", "soft": 4, "hard": 4},
            {"type": "RLIMIT_FSIZE", "soft": 0, "hard": 0}]),
        );
    };
    for uid in [0, 7, 7, 7] {
        let tight = |w: &mut World| {
            tight(w);
            w.set("/process/user", json!({"uid": uid, "gid": uid}));
        };
        assert!(output("", tight).contains("Max open files            4                    4 "));
    }
    let mut world = World::new("sleep 100");
    tight(&mut world);
    world.set("/process/args", json!(["sleep", "100"]));
    world.create();
    world.op("start", &[]).ok();
    assert!(
        world
            .op("exec", &["--", "cat", "/proc/self/limits"])
            .ok()
            .contains("Max open files            4 ")
    );
    let mapped = output("", |w| {
        tight(w);
        w.map_users();
    });
    assert!(mapped.contains("Max open files            4                    4 "));
}

fn sysctls() {
    let host = fs::read_to_string("/proc/sys/kernel/shmmax").unwrap();
    let told = output("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax", |w| {
        w.set(
            "/linux/sysctl",
            json!({"net.ipv4.ip_forward": "1", "kernel.shmmax": "4321"}),
        );
    });
    assert_eq!(told, "1\n4321\n");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/shmmax").unwrap(), host);
}

fn time_namespace() {
    let told = output("cat /proc/uptime", |w| {
        w.config["linux"]["namespaces"]
            .as_array_mut()
            .unwrap()
            .push(json!({"type": "time"}));
        w.set(
            "/linux/timeOffsets",
            json!({"boottime": {"secs": 86_400_000, "nanosecs": 0}}),
        );
    });
    let uptime: f64 = told.split_whitespace().next().unwrap().parse().unwrap();
    assert!(uptime > 86_400_000.0, "{uptime}");
}

fn joined_user_namespace() {
    let mut first = World::new("sleep 100");
    first.map_users();
    first.create();
    let path = format!("/proc/{}/ns/user", first.state()["pid"]);
    let told = output(
        "id -u; readlink /proc/self/ns/user; cat /proc/1/comm; true",
        |w| {
            w.namespace("user", Some(&path));
            w.give_image_to(100_000);
        },
    );
    let expected = fs::read_link(&path).unwrap();
    assert_eq!(told, format!("0\n{}\nsh\n", expected.display()));
}

fn working_directory() {
    assert_eq!(
        output("pwd", |w| w.set("/process/cwd", json!("/srv/app"))),
        "/srv/app\n"
    );
}
