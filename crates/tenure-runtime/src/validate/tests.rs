//! One row for each rule.

use serde_json::{Value, json};

use super::*;

#[allow(clippy::unwrap_used)]
fn bundle() -> tempfile::TempDir {
    let bundle = tempfile::tempdir().unwrap();
    fs::create_dir(bundle.path().join("rootfs")).unwrap();
    fs::write(bundle.path().join("file"), "").unwrap();
    bundle
}

fn good() -> Value {
    json!({"ociVersion": "1.0.2", "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["true"], "user": {"uid": 0, "gid": 0}, "env": ["A=b"]},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "hooks": {"prestart": [{"path": "/bin/true"}]},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]}})
}

#[allow(clippy::unwrap_used)]
fn judge(config: &Value) -> Result<(), Fault> {
    let spec: Spec = serde_json::from_value(config.clone()).unwrap();
    validate(&spec, bundle().path())
}

fn mapping(size: u32) -> Value {
    json!({"containerID": 0, "hostID": 1000, "size": size})
}

fn notify(call: Value, listener: Value) -> Value {
    let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": [call], "action": "SCMP_ACT_NOTIFY"}]});
    if !listener.is_null() {
        profile["listenerPath"] = listener;
    }
    profile
}

#[test]
fn a_plain_configuration_is_good() {
    judge(&good()).unwrap();
}

#[test]
#[allow(clippy::too_many_lines)] // One row a fault.
fn every_fault_is_named_with_its_place() {
    let table = [
        ("/ociVersion", json!("2.0"), "ociVersion"),
        ("/process/args", json!([]), "process.args"),
        ("/process/args/0", json!("a\0b"), "process.args[0]"),
        ("/process/env/0", json!("novalue"), "process.env[0]"),
        ("/process/cwd", json!("rel"), "process.cwd"),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]),
            "process.rlimits[0]",
        ),
        ("/process/oomScoreAdj", json!(2000), "process.oomScoreAdj"),
        ("/process/selinuxLabel", json!("x"), "process.selinuxLabel"),
        ("/root/path", json!("none"), "root.path"),
        ("/root/path", json!("file"), "root.path"),
        ("/linux/namespaces", json!([{"type": "user"}]), "linux.namespaces"),
        (
            "/linux/namespaces",
            json!([{"type": "mount"}, {"type": "mount"}]),
            "linux.namespaces[1].type",
        ),
        (
            "/linux/namespaces/1",
            json!({"type": "pid", "path": "x"}),
            "linux.namespaces[1].path",
        ),
        (
            "/linux/namespaces/1",
            json!({"type": "user"}),
            "linux.uidMappings",
        ),
        (
            "/linux/sysctl",
            json!({"kernel.panic": "1"}),
            "linux.sysctl[\"kernel.panic\"]",
        ),
        ("/linux/sysctl", json!({"net.x": "1"}), "linux.sysctl[\"net.x\"]"),
        (
            "/linux/sysctl",
            json!({"net/../kernel/x": "1"}),
            "linux.sysctl[\"net/../kernel/x\"]",
        ),
        ("/hostname", json!("h"), "hostname"),
        (
            "/mounts/0",
            json!({"destination": "/x", "type": "bind"}),
            "mounts[0].source",
        ),
        (
            "/mounts/0",
            json!({"destination": "/../", "type": "proc"}),
            "mounts[0].destination",
        ),
        ("/mounts/0", json!({"destination": "/x"}), "mounts[0].type"),
        ("/hooks/prestart/0/path", json!("rel"), "hooks.prestart[0].path"),
        ("/hooks/prestart/0/timeout", json!(0), "hooks.prestart[0].timeout"),
        (
            "/linux/devices",
            json!([{"path": "x", "type": "c", "major": 1, "minor": 1}]),
            "linux.devices[0].path",
        ),
        (
            "/linux/devices",
            json!([{"path": "/d", "type": "c", "major": -1, "minor": 1}]),
            "linux.devices[0].major",
        ),
        (
            "/linux/resources",
            json!({"memory": {"swappiness": 200}}),
            "linux.resources.memory.swappiness",
        ),
        ("/linux/maskedPaths", json!(["x"]), "linux.maskedPaths[0]"),
        ("/process/args/0", json!(""), "process.args"),
        ("/process/env/0", json!("=x"), "process.env[0]"),
        ("/process/env/0", json!("A=\0"), "process.env[0]"),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_CORE"}, {"type": "RLIMIT_CORE"}]),
            "process.rlimits[1].type",
        ),
        ("/process/user/umask", json!(0o1000), "process.user.umask"),
        (
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_BE", "priority": 8}),
            "process.ioPriority.priority",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "nice": 20}),
            "process.scheduler.nice",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_FIFO", "nice": 1, "priority": 1}),
            "process.scheduler.nice",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_RR", "priority": 100}),
            "process.scheduler.priority",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_BATCH", "priority": 1}),
            "process.scheduler.priority",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "deadline": 1}),
            "process.scheduler.deadline",
        ),
        (
            "/linux/timeOffsets",
            json!({"boottime": {"secs": 1}}),
            "linux.timeOffsets",
        ),
        ("/linux/uidMappings", json!([mapping(1)]), "linux.uidMappings"),
        (
            "/mounts/0",
            json!({"destination": "/x", "source": "/", "options": ["bind", "idmap"]}),
            "mounts[0].options",
        ),
        (
            "/mounts/0",
            json!({"destination": "/x", "type": "tmpfs", "uidMappings": [mapping(1)], "gidMappings": [mapping(1)]}),
            "mounts[0].options",
        ),
        (
            "/mounts/0",
            json!({"destination": "/x", "source": "/", "options": ["bind"], "uidMappings": [mapping(1)]}),
            "mounts[0].gidMappings",
        ),
        (
            "/mounts/0",
            json!({"destination": "/x", "source": "/", "options": ["bind"], "gidMappings": [mapping(1)]}),
            "mounts[0].uidMappings",
        ),
        (
            "/mounts/0",
            json!({"destination": "/x", "source": "/", "options": ["bind"], "uidMappings": [mapping(1), mapping(0)],
                "gidMappings": [mapping(1)]}),
            "mounts[0].uidMappings[1].size",
        ),
        (
            "/linux/devices",
            json!([{"path": "/d", "type": "a"}]),
            "linux.devices[0].type",
        ),
        (
            "/linux/resources",
            json!({"memory": {"limit": 10, "swap": 5}}),
            "linux.resources.memory.swap",
        ),
        (
            "/linux/readonlyPaths",
            json!(["/a", "b"]),
            "linux.readonlyPaths[1]",
        ),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_NOTIFY"}),
            "linux.seccomp.defaultAction",
        ),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}),
            "linux.seccomp.defaultErrnoRet",
        ),
        (
            "/linux/seccomp",
            notify(json!("mkdir"), Value::Null),
            "linux.seccomp.listenerPath",
        ),
        (
            "/linux/seccomp",
            notify(json!("mkdir"), json!("x")),
            "linux.seccomp.listenerPath",
        ),
        (
            "/linux/seccomp",
            notify(json!("write"), json!("/x")),
            "linux.seccomp.syscalls[0].names[0]",
        ),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}),
            "linux.seccomp.syscalls[0].args[0].index",
        ),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_ERRNO",
                "errnoRet": 70000}]}),
            "linux.seccomp.syscalls[0].errnoRet",
        ),
        ("/linux/intelRdt", json!({"closID": "a"}), "linux.intelRdt"),
        ("/linux/netDevices", json!({"eth0": {}}), "linux.netDevices"),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND"}),
            "linux.memoryPolicy.nodes",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_LOCAL", "nodes": "0"}),
            "linux.memoryPolicy.nodes",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_INTERLEAVE", "nodes": "3-1"}),
            "linux.memoryPolicy.nodes",
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}),
            "linux.memoryPolicy.flags",
        ),
        ("/linux/mountLabel", json!("x"), "linux.mountLabel"),
        (
            "/linux/personality",
            json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}),
            "linux.personality.flags",
        ),
        ("/domainname", json!("d"), "domainname"),
        (
            "/linux/rootfsPropagation",
            json!("odd"),
            "linux.rootfsPropagation",
        ),
    ];
    for (pointer, value, place) in table {
        let mut config = good();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match config.pointer_mut(parent).unwrap() {
            Value::Array(a) => a[key.parse::<usize>().unwrap()] = value,
            object => object[key] = value,
        }
        assert_eq!(judge(&config).unwrap_err().0, place, "{pointer}");
    }
}

#[test]
fn all_kinds_of_root_propagation_are_known() {
    for word in [
        "shared",
        "rshared",
        "slave",
        "rslave",
        "private",
        "rprivate",
        "unbindable",
        "runbindable",
    ] {
        let mut config = good();
        config["linux"]["rootfsPropagation"] = json!(word);
        judge(&config).unwrap();
    }
}

/// A configuration with a user and a time namespace.
fn with_namespaces() -> Value {
    let mut config = good();
    for kind in ["user", "time", "network"] {
        config["linux"]["namespaces"]
            .as_array_mut()
            .unwrap()
            .push(json!({"type": kind}));
    }
    config["linux"]["uidMappings"] = json!([mapping(10)]);
    config["linux"]["gidMappings"] = json!([mapping(10)]);
    config
}

#[test]
fn what_needs_a_namespace_is_judged_with_it() {
    judge(&with_namespaces()).unwrap();
    let table = [
        (
            "timeOffsets",
            json!({"realtime": {"secs": 1}}),
            "linux.timeOffsets[\"realtime\"]",
        ),
        (
            "timeOffsets",
            json!({"boottime": {"secs": 1, "nanosecs": 1_000_000_000}}),
            "linux.timeOffsets[\"boottime\"].nanosecs",
        ),
        ("uidMappings", json!([]), "linux.uidMappings"),
        ("uidMappings", json!([mapping(0)]), "linux.uidMappings[0].size"),
        (
            "gidMappings",
            json!([mapping(10), mapping(u32::MAX)]),
            "linux.gidMappings[1].size",
        ),
        (
            "netDevices",
            json!({"a-name-that-is-too-long": {}}),
            "linux.netDevices[\"a-name-that-is-too-long\"]",
        ),
        (
            "netDevices",
            json!({"eth0": {"name": "a/b"}}),
            "linux.netDevices[\"eth0\"]",
        ),
        (
            "sysctl",
            json!({"kernel.shmmax": "1"}),
            "linux.sysctl[\"kernel.shmmax\"]",
        ),
    ];
    for (key, value, place) in table {
        let mut config = with_namespaces();
        config["linux"][key] = value;
        assert_eq!(judge(&config).unwrap_err().0, place, "{key}");
    }
    let mut config = with_namespaces();
    config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    judge(&config).unwrap();
    config["linux"]["netDevices"] = json!({"eth0": {}, "eth1": {"name": "net1"}});
    judge(&config).unwrap();
    config["linux"]["netDevices"]["eth1"] = json!({"name": "eth0"});
    assert!(judge(&config).unwrap_err().0.starts_with("linux.netDevices["));
    config["linux"]["netDevices"] = json!({});
    config["linux"]["namespaces"][4]["path"] = json!("/proc/self/ns/net");
    let (at, reason) = judge(&config).unwrap_err();
    assert!(
        at.contains("ip_forward") && reason.contains("host"),
        "{at}: {reason}"
    );
}

#[test]
fn what_does_no_harm_is_accepted() {
    let table = [
        ("/unknown", json!({"property": [1, 2]})),
        ("/linux/unknown", json!("x")),
        ("/process/unknown", json!(null)),
        ("/hooks", json!(null)),
        ("/annotations", json!({"": "empty name"})),
        ("/process/consoleSize", json!({"height": 1, "width": 1})),
        ("/process/rlimits", json!([])),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "nice": 0, "priority": 0, "runtime": 0}),
        ),
        ("/process/selinuxLabel", json!("")),
        ("/process/apparmorProfile", json!("")),
        ("/linux/mountLabel", json!("")),
        ("/linux/netDevices", json!({})),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_PREFERRED", "nodes": ""}),
        ),
        (
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_INTERLEAVE", "nodes": "0-3,7", "flags": []}),
        ),
        ("/linux/rootfsPropagation", json!("")),
        ("/linux/cgroupsPath", json!("")),
        ("/linux/personality", json!({"domain": "LINUX32", "flags": []})),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "",
            "syscalls": [{"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO", "args": []}]}),
        ),
        ("/linux/seccomp", notify(json!("mkdir"), json!("/run/agent.sock"))),
        ("/linux/devices", json!([{"path": "/dev/initctl", "type": "p"}])),
        (
            "/linux/resources",
            json!({"memory": {"limit": -1, "swap": -1, "swappiness": 0}, "cpu": {"shares": 0},
            "hugepageLimits": [], "unified": {}}),
        ),
        (
            "/mounts/0",
            json!({"destination": "relative", "type": "tmpfs", "uidMappings": [], "gidMappings": []}),
        ),
    ];
    for (pointer, value) in table {
        let mut config = good();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match config.pointer_mut(parent).unwrap() {
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
            object => object[key] = value,
        }
        assert_eq!(judge(&config), Ok(()), "{pointer}");
    }
}
