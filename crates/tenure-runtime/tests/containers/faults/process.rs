//! Faults 1, 5, 8 and 11: who a process is, and what surrounds it.

use std::fs;

use serde_json::{Value, json};

use crate::fixture::World;
use crate::harness::Test;

pub(crate) const TESTS: &[Test] = &[
    (
        "fault_01_exec_joins_the_containers_user_namespace",
        exec_in_user_namespace,
    ),
    (
        "fault_05_a_filter_is_loaded_with_and_without_no_new_privileges",
        filter_without_no_new_privileges,
    ),
    ("fault_08_exec_works_in_a_created_container", exec_in_created),
    (
        "fault_08_exec_has_the_umask_priorities_and_affinity_of_its_process",
        exec_settings,
    ),
    (
        "fault_08_exec_has_the_memory_policy_of_the_container",
        exec_memory_policy,
    ),
    (
        "fault_08_an_agent_judges_calls_of_the_container_and_of_exec",
        seccomp_agent,
    ),
    (
        "fault_08_without_its_agent_a_container_does_not_start",
        missing_agent,
    ),
    ("fault_11_the_container_has_a_session_keyring_of_its_own", keyring),
    ("fault_11_a_selinux_label_is_set_or_refused", selinux_label),
    (
        "fault_11_network_devices_move_into_the_container_with_their_addresses",
        network_devices,
    ),
    ("fault_11_a_terminal_has_the_size_asked_for", console_size),
    (
        "fault_11_the_personality_is_set_and_unknown_flags_are_refused",
        personality,
    ),
    ("fault_11_an_unknown_capability_is_left_out", unknown_capability),
    ("fault_11_path_is_optional", path_is_optional),
];

/// Writes a `process.json` and returns the option that names it.
fn process_option(world: &World, process: &Value) -> String {
    let file = world.path("process.json");
    fs::write(&file, process.to_string()).unwrap();
    format!("--process={}", file.display())
}

/// The library would run it as the host's root: the file could be read.
fn exec_in_user_namespace() {
    let mut world = World::new("sleep 100");
    world.map_users();
    let secret = world.path("secret");
    fs::write(&secret, "of the host's root").unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    world.mount(json!({"destination": "/secret", "source": secret, "options": ["bind"]}));
    world.create();
    world.op("start", &[]).ok();
    let init = fs::read_link(format!("/proc/{}/ns/user", world.state()["pid"])).unwrap();
    let script =
        "readlink /proc/self/ns/user; id -u; cat /proc/self/uid_map; cat /secret 2>/dev/null || echo denied";
    let told = world.op("exec", &["--", "sh", "-c", script]).ok();
    let words: Vec<&str> = told.split_whitespace().collect();
    assert_eq!(
        words,
        [init.to_str().unwrap(), "0", "0", "100000", "65536", "denied"]
    );
}

/// The library drops its capabilities first, and may then load no filter.
fn filter_without_no_new_privileges() {
    for no_new_privileges in [json!(false), json!(true), Value::Null] {
        let mut world = World::new(
            "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status; mkdir /x 2>/dev/null || echo denied",
        );
        world.set("/linux/seccomp", crate::isolation::no_mkdir());
        world.set("/process/noNewPrivileges", no_new_privileges.clone());
        let expected = u8::from(no_new_privileges == true);
        assert_eq!(
            world.op("run", &[]).ok().split_whitespace().collect::<Vec<_>>(),
            ["NoNewPrivs:", &expected.to_string(), "Seccomp:", "2", "denied"]
        );
    }
}

/// The library wants "running".
fn exec_in_created() {
    let world = World::new("echo started; sleep 100");
    world.create();
    assert_eq!(world.op("exec", &["--", "hostname"]).ok(), "inside\n");
    assert_eq!(world.status(), "created");
    world.op("start", &[]).ok();
    world.wait_for("started");
}

/// The library ignores all of them for exec.
fn exec_settings() {
    let world = World::new("sleep 100");
    world.create();
    world.op("start", &[]).ok();
    let script = "umask; busybox ionice -p $$; busybox awk '{print $19, $41}' /proc/$$/stat; \
        grep Cpus_allowed_list /proc/self/status; ulimit -n; cat /proc/self/oom_score_adj";
    let mut process = json!({"cwd": "/", "args": ["sh", "-c", script], "user": {"uid": 0, "gid": 0, "umask": 0o27},
        "env": ["PATH=/bin"], "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6},
        "scheduler": {"policy": "SCHED_BATCH", "nice": 7}, "execCPUAffinity": {"initial": "0", "final": "0"},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 100}], "oomScoreAdj": 321});
    let told = world.op("exec", &[&process_option(&world, &process), "--"]).ok();
    let lines: Vec<&str> = told.lines().collect();
    // 3 is SCHED_BATCH.
    assert_eq!(
        lines,
        [
            "0027",
            "best-effort: prio 6",
            "7 3",
            "Cpus_allowed_list:\t0",
            "99",
            "321"
        ]
    );
    process["scheduler"] = json!({"policy": "SCHED_OTHER", "priority": 1});
    world
        .op("exec", &[&process_option(&world, &process), "--"])
        .fails(
            125,
            "process.json: scheduler.priority: goes with SCHED_FIFO and SCHED_RR only",
        );
}

/// The library applies it to init alone.
fn exec_memory_policy() {
    if !std::path::Path::new("/proc/self/numa_maps").exists() {
        return;
    }
    let mut world = World::new("sleep 100");
    world.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0"}));
    world.create();
    world.op("start", &[]).ok();
    let init = fs::read_to_string(format!("/proc/{}/numa_maps", world.state()["pid"])).unwrap();
    assert!(init.contains(" bind:0 "), "{init}");
    let exec = world.op("exec", &["--", "cat", "/proc/self/numa_maps"]).ok();
    assert!(exec.contains(" bind:0 "), "{exec}");
}

/// The library makes none: keys of the caller's session would be the container's.
fn keyring() {
    let mut world = World::new("sleep 100");
    world.set("/linux/maskedPaths", json!([]));
    world.create();
    world.op("start", &[]).ok();
    let keys = world.op("exec", &["--", "cat", "/proc/keys"]).ok();
    assert!(keys.contains(&format!("_ses.{}", world.id)), "{keys}");
}

/// The library ignores it: the program would run without the confinement asked for.
fn selinux_label() {
    let mut world = World::new("cat /proc/self/attr/current");
    world.set(
        "/process/selinuxLabel",
        json!("system_u:system_r:container_t:s0:c1,c2"),
    );
    let outcome = world.op("run", &[]);
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        assert!(outcome.ok().starts_with("system_u:system_r:container_t:s0:c1,c2"));
    } else {
        outcome.fails(
            125,
            "process.selinuxLabel: is given, but SELinux is disabled or not supported on this host",
        );
    }
    let mut world = World::new("true");
    world.set(
        "/linux/mountLabel",
        json!("system_u:object_r:container_file_t:s0:c1,c2"),
    );
    if !std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        world
            .op("run", &[])
            .fails(125, "linux.mountLabel: is given, but SELinux is disabled");
    }
}

/// The library leaves it at 0 by 0.
fn console_size() {
    use std::io::Read;
    let mut world = World::new("busybox stty size");
    world.set("/process/terminal", json!(true));
    world.set("/process/consoleSize", json!({"height": 33, "width": 101}));
    let socket = world.path("console.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let run = world
        .command("run", &[&format!("--console-socket={}", socket.display())])
        .spawn()
        .unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut output = Vec::new();
    let _ = crate::life::receive_descriptor(&stream).read_to_end(&mut output);
    assert!(run.wait_with_output().unwrap().status.success());
    assert_eq!(String::from_utf8_lossy(&output).trim(), "33 101");
}

/// The library drops flags without a word. The specification defines none, so none can be asked for.
fn personality() {
    let mut world = World::new("busybox uname -m");
    world.set("/linux/personality", json!({"domain": "LINUX32"}));
    let machine = world.op("run", &[]).ok();
    assert_eq!(
        machine,
        if cfg!(target_arch = "x86_64") {
            "i686\n"
        } else {
            "armv8l\n"
        }
    );
    let mut world = World::new("true");
    world.set(
        "/linux/personality",
        json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}),
    );
    world
        .op("run", &[])
        .fails(125, "linux.personality.flags: no flag is supported");
}

/// The types the library reads configurations into refuse it, as is shown here.
fn unknown_capability() {
    let mut world = World::new("grep CapBnd /proc/self/status");
    for set in ["bounding", "effective", "permitted"] {
        world.set(
            &format!("/process/capabilities/{set}"),
            json!(["CAP_KILL", "CAP_FROM_TOMORROW"]),
        );
    }
    assert!(serde_json::from_value::<tenure_runtime::oci_spec::runtime::Spec>(world.config.clone()).is_err());
    assert_eq!(world.op("run", &[]).ok(), "CapBnd:\t0000000000000020\n");
}

/// The library finds no program without it.
fn path_is_optional() {
    let mut world = World::new("");
    world.set("/process/args", json!(["echo", "found"]));
    world.set("/process/env", json!([]));
    assert_eq!(world.op("run", &[]).ok(), "found\n");
}

/// A filter that asks the agent at a socket about making directories.
fn asking(world: &World) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": world.path("agent.sock"), "listenerMetadata": "for you",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]})
}

/// Takes one process from the runtime and lets its first call succeed without doing anything. Returns what it was
/// told.
fn judge_one(listener: &std::os::unix::net::UnixListener) -> Value {
    use std::io::Read;
    use std::os::fd::AsRawFd;
    let (mut stream, _) = listener.accept().unwrap();
    let (mut message, descriptor) = receive_with_descriptor(&stream);
    stream.read_to_end(&mut message).unwrap();
    let request = libseccomp::ScmpNotifReq::receive(descriptor.as_raw_fd()).unwrap();
    let response = libseccomp::ScmpNotifResp::new_val(request.id, 0, libseccomp::ScmpNotifRespFlags::empty());
    response.respond(descriptor.as_raw_fd()).unwrap();
    serde_json::from_slice(&message).unwrap()
}

fn receive_with_descriptor(stream: &std::os::unix::net::UnixStream) -> (Vec<u8>, fs::File) {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    use std::os::fd::AsRawFd;
    let mut space = nix::cmsg_space!([i32; 1]);
    let mut buffer = [0; 64];
    let mut data = [std::io::IoSliceMut::new(&mut buffer)];
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut data, Some(&mut space), MsgFlags::empty()).unwrap();
    let descriptor = message.cmsgs().unwrap().find_map(|c| match c {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    let (length, descriptor) = (message.bytes, crate::life::duplicate(descriptor.unwrap()));
    (buffer[..length].to_vec(), descriptor)
}

/// The library has the agent told for create alone, by a call that the filter may forbid.
fn seccomp_agent() {
    for no_new_privileges in [true, false] {
        let mut world = World::new("mkdir /x && echo done; sleep 100");
        let profile = asking(&world);
        world.set("/linux/seccomp", profile);
        world.set("/process/noNewPrivileges", json!(no_new_privileges));
        let agent = std::os::unix::net::UnixListener::bind(world.path("agent.sock")).unwrap();
        let told = std::thread::scope(|scope| {
            let agent = scope.spawn(|| judge_one(&agent));
            world.create();
            world.op("start", &[]).ok();
            agent.join().unwrap()
        });
        world.wait_for("done");
        assert!(!world.rootfs().join("x").exists(), "the agent said so");
        let pid = world.state()["pid"].clone();
        assert_eq!(told["fds"], json!(["seccompFd"]));
        assert_eq!((&told["pid"], &told["state"]["pid"]), (&pid, &pid));
        assert_eq!(told["metadata"], "for you");
        assert_eq!(
            (&told["state"]["status"], &told["state"]["id"]),
            (&json!("creating"), &json!(world.id))
        );
        assert_eq!(told["state"]["bundle"], world.bundle().to_str().unwrap());
        let told = std::thread::scope(|scope| {
            let agent = scope.spawn(|| judge_one(&agent));
            world.op("exec", &["--", "mkdir", "/y"]).ok();
            agent.join().unwrap()
        });
        assert!(!world.rootfs().join("y").exists());
        assert!(told["pid"] != pid && told["state"]["pid"] == pid && told["state"]["status"] == "running");
    }
}

fn missing_agent() {
    let mut world = World::new("true");
    let profile = asking(&world);
    world.set("/linux/seccomp", profile);
    world.op("create", &[]).fails(125, "tell the seccomp agent at");
    world.leaves_nothing();
}

/// Runs `ip` on the host; tells whether it succeeded.
fn ip(words: &str) -> bool {
    let output = std::process::Command::new("ip").args(words.split(' ')).output();
    output.is_ok_and(|o| o.status.success())
}

/// A pair of interfaces of which one moves, and takes the other with it at the end.
fn network_devices() {
    let pid = std::process::id();
    let (inner, outer) = (format!("tnr{pid}i"), format!("tnr{pid}o"));
    if !ip(&format!("link add {inner} type veth peer name {outer}")) {
        eprintln!("not shown: this host makes no virtual interfaces");
        return;
    }
    assert!(ip(&format!("addr add 198.51.100.7/24 dev {inner}")));
    for mapped in [false, true] {
        let mut world = World::new("busybox ip addr show dev net1; busybox ip addr show dev lo");
        world.set("/linux/netDevices", json!({inner.as_str(): {"name": "net1"}}));
        if mapped {
            world.map_users();
            // The first container has taken the pair with it.
            assert!(ip(&format!("link add {inner} type veth peer name {outer}")));
            assert!(ip(&format!("addr add 198.51.100.7/24 dev {inner}")));
        }
        let told = world.op("run", &[]).ok();
        assert!(
            told.contains("inet 198.51.100.7/24") && told.contains("UP"),
            "{told}"
        );
        assert!(told.contains("127.0.0.1"), "{told}");
        crate::fixture::wait_until("the end of the pair", || !ip(&format!("link show {outer}")));
    }
    let mut world = World::new("true");
    world.set("/linux/netDevices", json!({"tnr-none": {}}));
    world
        .op("create", &[])
        .fails(125, "cannot move network device tnr-none: ");
    world.leaves_nothing();
}
