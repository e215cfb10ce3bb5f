//! The config.json that is made of a bundle's and a manifest's.

// The tests are tables.
#![allow(clippy::too_many_lines)]

use std::path::PathBuf;

use serde_json::{Value, json};
use tenure_spec::manifest::{Origin, load};
use tenure_spec::oci::{
    ConfigProblem, JoinedNamespaces, MountKind, Placement, ResolvedMount, config, stop_signal,
};
use tenure_spec::{MountPropagation, PodSpec};

/// A bundle's config.json with something in every place that an override could spoil.
fn base() -> Value {
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": true,
            "consoleSize": {"height": 25, "width": 80},
            "user": {"uid": 7, "gid": 8, "umask": 18, "additionalGids": [9]},
            "args": ["/bin/server", "-x", "$(NOT_EXPANDED)"],
            "env": ["PATH=/bin", "A=bundle"],
            "cwd": "/srv",
            "capabilities": {
                "bounding": ["CAP_CHOWN", "CAP_KILL"],
                "effective": ["CAP_CHOWN", "CAP_KILL"],
                "permitted": ["CAP_CHOWN", "CAP_KILL"],
                "inheritable": ["CAP_KILL"],
                "ambient": ["CAP_KILL"]
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
            "apparmorProfile": "own"
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "bundle",
        "domainname": "domain",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm"},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]},
            {"destination": "/data/inner", "type": "tmpfs", "source": "tmpfs"}
        ],
        "hooks": {"poststop": [{"path": "/bin/true"}]},
        "annotations": {
            "kept": "yes",
            "org.tenure.lifecycle.preStop": "{}",
            "org.tenure.lifecycle.app.stopSignal": "SIGINT"
        },
        "linux": {
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                {"type": "cgroup"}
            ],
            "resources": {
                "devices": [{"allow": false, "access": "rwm"}],
                "memory": {"limit": 100, "swap": 100, "reservation": 50},
                "cpu": {"burst": 5, "cpus": "0"},
                "pids": {"limit": 64}
            },
            "sysctl": {"net.core.somaxconn": "1", "kernel.shmmax": "2"},
            "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"},
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
            "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}]
        },
        "unknownToUs": {"stays": true}
    })
}

#[allow(clippy::unwrap_used)]
fn pod(spec: &str, container: &str) -> PodSpec {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  {}\n  volumes: [{{name: v}}]\n  containers:\n  - name: app\n    image: bundle:app\n    {}\n",
        spec.replace('\n', "\n  "),
        container.replace('\n', "\n    ")
    );
    let origin = Origin {
        file: "pod.yaml".into(),
        dir: PathBuf::from("/pods"),
    };
    load(text.as_bytes(), &origin).unwrap().pod
}

fn placement() -> Placement {
    Placement {
        rootfs: "/run/rootfs".into(),
        cgroups_path: "/tenure/web/app".into(),
        ..Placement::default()
    }
}

/// The config of a pod's container, all well.
#[allow(clippy::unwrap_used)]
fn made(spec: &str, container: &str, placement: &Placement) -> Value {
    let pod = pod(spec, container);
    config(&base(), &pod.containers[0], &pod, placement).unwrap()
}

#[allow(clippy::unwrap_used)]
fn problem(base: &Value, spec: &str, container: &str, placement: &Placement) -> ConfigProblem {
    let pod = pod(spec, container);
    config(base, &pod.containers[0], &pod, placement).unwrap_err()
}

/// The base after changes that every config gets.
#[allow(clippy::unwrap_used)]
fn placed() -> Value {
    let mut expected = base();
    expected["process"]["terminal"] = json!(false);
    expected["process"].as_object_mut().unwrap().remove("consoleSize");
    expected["root"]["path"] = json!("/run/rootfs");
    expected["annotations"] = json!({"kept": "yes", "org.tenure.pod": "web", "org.tenure.container": "app"});
    expected["linux"]["cgroupsPath"] = json!("/tenure/web/app");
    expected
}

#[test]
fn what_is_not_overridden_stands() {
    assert_eq!(made("", "", &placement()), placed());
}

#[test]
fn a_manifest_that_overrides_everything_makes_this_config() {
    let placement = Placement {
        namespaces: JoinedNamespaces {
            network: Some("/run/ns/net".into()),
            ipc: Some("/run/ns/ipc".into()),
            uts: Some("/run/ns/uts".into()),
            pid: Some("/run/ns/pid".into()),
        },
        hostname: Some("web".into()),
        annotations: [("log".to_owned(), "/log".to_owned())].into(),
        supplementary_gids: vec![9, 10],
        primary_gid: Some(100),
        seccomp_profile: Some(json!({"defaultAction": "SCMP_ACT_ERRNO"})),
        mounts: vec![ResolvedMount {
            source: "/volumes/v".into(),
            destination: "/data".into(),
            read_only: true,
            propagation: MountPropagation::Private,
            kind: MountKind::Bind,
        }],
        ..placement()
    };
    let made = made(
        "shareProcessNamespace: true\nsecurityContext: {fsGroup: 11, supplementalGroups: [12, 9], sysctls: [{name: net.core.somaxconn, value: \"9\"}]}",
        "command: [\"$(A)\", \"$$(A)\"]\nargs: [\"$(B)\", \"$(NONE)\"]\nenv: [{name: B, value: \"$(A)-$(C)\"}, {name: A, value: own}, {name: C, value: \"$(A)\"}]\nworkingDir: /work\ntty: true\nresources: {limits: {cpu: 250m, memory: 1Mi}, requests: {cpu: 100m}}\nsecurityContext: {runAsUser: 1000, readOnlyRootFilesystem: false, allowPrivilegeEscalation: true, capabilities: {add: [NET_ADMIN, CHOWN], drop: [KILL]}, seccompProfile: {type: Localhost, localhostProfile: p.json}}",
        &placement,
    );
    let mut expected = placed();
    expected["process"] = json!({
        "terminal": true,
        "consoleSize": {"height": 25, "width": 80},
        "user": {"uid": 1000, "gid": 100, "umask": 18, "additionalGids": [9, 10, 12, 11]},
        "args": ["own", "$(A)", "bundle-$(C)", "$(NONE)"],
        "env": ["PATH=/bin", "A=own", "B=bundle-$(C)", "C=own", "HOSTNAME=web", "TERM=xterm"],
        "cwd": "/work",
        "capabilities": {
            "bounding": ["CAP_CHOWN", "CAP_NET_ADMIN"],
            "effective": ["CAP_CHOWN", "CAP_NET_ADMIN"],
            "permitted": ["CAP_CHOWN", "CAP_NET_ADMIN"],
            "inheritable": [],
            "ambient": []
        },
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": false,
        "apparmorProfile": "own"
    });
    expected["root"]["readonly"] = json!(false);
    expected["annotations"]["log"] = json!("/log");
    let linux = &mut expected["linux"];
    linux["namespaces"] = json!([
        {"type": "pid", "path": "/run/ns/pid"}, {"type": "network", "path": "/run/ns/net"},
        {"type": "ipc", "path": "/run/ns/ipc"}, {"type": "uts", "path": "/run/ns/uts"}, {"type": "mount"},
        {"type": "cgroup"}
    ]);
    linux["resources"]["memory"] = json!({"limit": 1_048_576, "reservation": 50});
    linux["resources"]["cpu"] = json!({"cpus": "0", "shares": 102, "quota": 25_000, "period": 100_000});
    linux["sysctl"]["net.core.somaxconn"] = json!("9");
    linux["seccomp"] = json!({"defaultAction": "SCMP_ACT_ERRNO"});
    let root = expected.as_object_mut().unwrap();
    root.remove("hostname");
    root.remove("domainname");
    let volume = json!({"destination": "/data", "type": "bind", "source": "/volumes/v", "options": ["rbind", "rprivate", "ro"]});
    expected["mounts"].as_array_mut().unwrap().insert(5, volume);
    assert_eq!(made, expected);
}

#[test]
fn a_terminal_has_a_size_even_where_the_bundle_gives_none() {
    for (bundles, expected) in [
        (json!(null), json!({"height": 24, "width": 80})),
        (
            json!({"height": 0, "width": 0}),
            json!({"height": 24, "width": 80}),
        ),
        (
            json!({"height": 50, "width": 132}),
            json!({"height": 50, "width": 132}),
        ),
    ] {
        let mut base = base();
        base["process"]["consoleSize"] = bundles;
        let process = |fields| {
            let pod = pod("", fields);
            config(&base, &pod.containers[0], &pod, &placement()).unwrap()["process"].clone()
        };
        assert_eq!(process("tty: true")["consoleSize"], expected);
        assert_eq!(process("tty: false").get("consoleSize"), None);
    }
}

#[test]
fn command_and_args_replace_as_in_kubernetes() {
    for (fields, args) in [
        ("", json!(["/bin/server", "-x", "$(NOT_EXPANDED)"])),
        (
            "command: []\nargs: []",
            json!(["/bin/server", "-x", "$(NOT_EXPANDED)"]),
        ),
        ("args: [a, b]", json!(["/bin/server", "a", "b"])),
        ("command: [c]", json!(["c"])),
        ("command: [c]\nargs: [a]", json!(["c", "a"])),
        (
            "args: [\"$(A)-$$(A)-$(B)\"]\nenv: [{name: A, value: \"1\"}]",
            json!(["/bin/server", "1-$(A)-$(B)"]),
        ),
    ] {
        assert_eq!(
            made("", fields, &placement())["process"]["args"],
            args,
            "{fields}"
        );
    }
}

#[test]
fn host_namespaces_are_left_out_and_what_needs_them_too() {
    let placement = Placement {
        hostname: Some("node".into()),
        ..placement()
    };
    let made = made("hostNetwork: true\nhostPID: true\nhostIPC: true", "", &placement);
    assert_eq!(
        made["linux"]["namespaces"],
        json!([{"type": "mount"}, {"type": "cgroup"}])
    );
    assert_eq!(made["linux"]["sysctl"], json!({}));
    assert_eq!(made.get("hostname"), None);
    assert_eq!(made.get("domainname"), None);
    let shm: Vec<&Value> = made["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|mount| mount["destination"] == "/dev/shm")
        .collect();
    assert_eq!(
        shm,
        [
            &json!({"destination": "/dev/shm", "type": "bind", "source": "/dev/shm", "options": ["rbind", "rprivate", "rw"]})
        ]
    );
}

#[test]
fn namespaces_that_a_pod_needs_are_added() {
    let pod = pod("", "");
    let base = json!({"process": {"args": ["a"]}});
    let placement = Placement {
        namespaces: JoinedNamespaces {
            network: Some("/net".into()),
            ..JoinedNamespaces::default()
        },
        hostname: Some("web".into()),
        ..placement()
    };
    let made = config(&base, &pod.containers[0], &pod, &placement).unwrap();
    assert_eq!(
        made["linux"]["namespaces"],
        json!([{"type": "mount"}, {"type": "pid"}, {"type": "network", "path": "/net"}, {"type": "uts"}])
    );
    assert_eq!(made["hostname"], "web");
    assert_eq!(
        made["process"],
        json!({
            "args": ["a"], "cwd": "/", "env": ["HOSTNAME=web"], "terminal": false, "user": {"uid": 0, "gid": 0}
        })
    );
}

fn mount(destination: &str) -> ResolvedMount {
    ResolvedMount {
        source: "/v".into(),
        destination: destination.into(),
        read_only: false,
        propagation: MountPropagation::Private,
        kind: MountKind::Bind,
    }
}

#[test]
fn volumes_lie_below_what_is_mounted_inside_them_and_replace_what_is_at_their_place() {
    let placement = Placement {
        mounts: vec![
            mount("/a/b"),
            mount("/dev"),
            mount("/a"),
            mount("/sys/fs/cgroup/"),
            mount("/etc/hosts"),
        ],
        extra_mounts: vec![mount("/etc/hosts"), mount("/dev/termination-log")],
        ..placement()
    };
    let made = made("", "", &placement);
    let places: Vec<(&str, &str)> = made["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| {
            (
                mount["destination"].as_str().unwrap(),
                mount["type"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            ("/proc", "proc"),
            ("/dev", "bind"),
            ("/dev/shm", "tmpfs"),
            ("/sys", "sysfs"),
            ("/data/inner", "tmpfs"),
            ("/dev/termination-log", "bind"),
            ("/a", "bind"),
            ("/a/b", "bind"),
            ("/etc/hosts", "bind"),
            ("/sys/fs/cgroup", "bind"),
        ]
    );
}

#[test]
fn propagation_opens_the_root_as_far_as_needed() {
    let with = |propagation, own: Option<&str>| {
        let pod = pod("", "");
        let mut base = base();
        if let Some(own) = own {
            base["linux"]["rootfsPropagation"] = json!(own);
        }
        let placement = Placement {
            mounts: vec![ResolvedMount {
                propagation,
                ..mount("/a")
            }],
            ..placement()
        };
        let made = config(&base, &pod.containers[0], &pod, &placement).unwrap();
        (
            made["linux"]["rootfsPropagation"].clone(),
            made["mounts"][6]["options"].clone(),
        )
    };
    use MountPropagation::{Bidirectional, HostToContainer, Private};
    assert_eq!(
        with(Private, None),
        (Value::Null, json!(["rbind", "rprivate", "rw"]))
    );
    assert_eq!(
        with(HostToContainer, None),
        (json!("rslave"), json!(["rbind", "rslave", "rw"]))
    );
    assert_eq!(with(HostToContainer, Some("shared")).0, json!("shared"));
    assert_eq!(
        with(Bidirectional, Some("slave")),
        (json!("rshared"), json!(["rbind", "rshared", "rw"]))
    );
}

#[test]
fn a_tmpfs_has_its_size() {
    let tmpfs = |size_bytes| ResolvedMount {
        kind: MountKind::Tmpfs { size_bytes },
        source: "tmpfs".into(),
        ..mount("/t")
    };
    let placement = Placement {
        mounts: vec![tmpfs(Some(4096))],
        ..placement()
    };
    let made = made("", "", &placement);
    assert_eq!(
        made["mounts"][6],
        json!({"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777", "rw", "size=4096"]})
    );
}

#[test]
fn a_privileged_container_is_spared_everything() {
    let placement = Placement {
        available_capabilities: Some(vec!["CAP_CHOWN".into(), "CAP_SYS_ADMIN".into()]),
        host_devices: vec![
            json!({"path": "/dev/fuse", "type": "c"}),
            json!({"path": "/dev/kvm", "type": "c"}),
        ],
        ..placement()
    };
    let made = made("", "securityContext: {privileged: true}", &placement);
    let process = &made["process"];
    for set in ["bounding", "effective", "permitted"] {
        assert_eq!(
            process["capabilities"][set],
            json!(["CAP_CHOWN", "CAP_SYS_ADMIN"])
        );
    }
    assert_eq!(process["noNewPrivileges"], false);
    assert_eq!(process.get("apparmorProfile"), None);
    let linux = made["linux"].as_object().unwrap();
    for gone in ["seccomp", "maskedPaths", "readonlyPaths"] {
        assert!(!linux.contains_key(gone), "{gone}");
    }
    assert_eq!(
        linux["resources"]["devices"],
        json!([{"allow": true, "access": "rwm"}])
    );
    assert_eq!(linux["devices"].as_array().unwrap().len(), 2);
    assert_eq!(linux["devices"][1]["path"], "/dev/kvm");
    assert_eq!(made["mounts"][3]["options"], json!(["nosuid", "rw"]));
    assert_eq!(made["mounts"][4]["options"], json!(["rw"]));
}

#[test]
fn all_capabilities_go_before_single_ones() {
    let capabilities = |add: &str, drop: &str| {
        let fields = format!("securityContext: {{capabilities: {{add: [{add}], drop: [{drop}]}}}}");
        made("", &fields, &placement())["process"]["capabilities"].clone()
    };
    assert_eq!(capabilities("", "ALL"), json!({}));
    let one = json!(["CAP_NET_RAW"]);
    assert_eq!(
        capabilities("NET_RAW", "ALL"),
        json!({"bounding": one, "effective": one, "permitted": one})
    );
    let most = capabilities("ALL", "SYS_ADMIN");
    assert_eq!(most["effective"].as_array().unwrap().len(), 40);
    assert!(
        !most["effective"]
            .as_array()
            .unwrap()
            .contains(&json!("CAP_SYS_ADMIN"))
    );
    assert_eq!(most["ambient"], json!(["CAP_KILL"]));
}

#[test]
fn resources_are_reckoned_as_the_kubelet_does() {
    for (resources, cpu) in [
        (
            "{limits: {cpu: 1m}}",
            json!({"cpus": "0", "shares": 2, "quota": 1000, "period": 100_000}),
        ),
        (
            "{limits: {cpu: 2}, requests: {cpu: 1}}",
            json!({"cpus": "0", "shares": 1024, "quota": 200_000, "period": 100_000}),
        ),
        (
            "{requests: {cpu: 0}}",
            json!({"cpus": "0", "burst": 5, "shares": 2}),
        ),
        (
            "{requests: {cpu: 1000}}",
            json!({"cpus": "0", "burst": 5, "shares": 262_144}),
        ),
        (
            "{limits: {cpu: 0}}",
            json!({"cpus": "0", "burst": 5, "shares": 2}),
        ),
        ("{limits: {memory: 2Mi}}", json!({"cpus": "0", "burst": 5})),
    ] {
        let made = made("", &format!("resources: {resources}"), &placement());
        assert_eq!(made["linux"]["resources"]["cpu"], cpu, "{resources}");
        assert_eq!(made["linux"]["resources"]["pids"], json!({"limit": 64}));
    }
    let pages = "resources: {limits: {memory: 10, hugepages-2Mi: 4Mi}}";
    assert_eq!(
        made("", pages, &placement())["linux"]["resources"]["hugepageLimits"],
        json!([{"pageSize": "2MB", "limit": 4_194_304}])
    );
    let made = made("", "resources: {limits: {memory: 10}}", &placement());
    assert_eq!(
        made["linux"]["resources"]["memory"],
        json!({"limit": 10, "swap": 100})
    );
}

#[test]
fn strict_groups_leave_the_images_out() {
    let placement = Placement {
        supplementary_gids: vec![5],
        ..placement()
    };
    let made = made(
        "securityContext: {supplementalGroups: [6], supplementalGroupsPolicy: Strict}",
        "",
        &placement,
    );
    assert_eq!(
        made["process"]["user"],
        json!({"uid": 7, "gid": 8, "umask": 18, "additionalGids": [6]})
    );
}

#[test]
fn seccomp_profiles_are_removed_kept_or_required() {
    let seccomp = |kind: &str| {
        made(
            "",
            &format!("securityContext: {{seccompProfile: {{type: {kind}}}}}"),
            &placement(),
        )["linux"]
            .get("seccomp")
            .cloned()
    };
    assert_eq!(seccomp("Unconfined"), None);
    assert_eq!(
        seccomp("RuntimeDefault"),
        Some(json!({"defaultAction": "SCMP_ACT_ALLOW"}))
    );
    let local = "securityContext: {seccompProfile: {type: Localhost, localhostProfile: p.json}}";
    assert_eq!(
        problem(&base(), "", local, &placement()).to_string(),
        "container app: no seccomp profile at /pods/p.json"
    );
    let wrong = Placement {
        seccomp_profile: Some(json!([])),
        ..placement()
    };
    assert_eq!(
        problem(&base(), "", local, &wrong).to_string(),
        "container app: seccomp profile /pods/p.json must be an object, not a list"
    );
}

#[test]
fn root_is_refused_where_the_manifest_forbids_it() {
    let told = |uid: u32, fields: &str| {
        let mut base = base();
        base["process"]["user"]["uid"] = json!(uid);
        let pod = pod("", &format!("securityContext: {{runAsNonRoot: true{fields}}}"));
        config(&base, &pod.containers[0], &pod, &placement())
            .map(|_| ())
            .map_err(|problem| {
                assert_eq!(problem.reason(), "CreateContainerConfigError");
                problem.to_string()
            })
    };
    assert_eq!(told(7, ""), Ok(()));
    assert_eq!(told(0, ", runAsUser: 5"), Ok(()));
    assert_eq!(
        told(0, "").unwrap_err(),
        "container app: container has runAsNonRoot and image will run as root"
    );
    assert_eq!(
        told(7, ", runAsUser: 0").unwrap_err(),
        "container app: container's runAsUser breaks non-root policy"
    );
}

#[test]
fn a_bundle_of_the_wrong_shape_is_told_by_its_place() {
    let pod = pod("", "args: [a]\nresources: {limits: {cpu: 1}}");
    let head = "config.json of container app:";
    for (base, expected) in [
        (json!([]), "the whole: must be an object, not a list"),
        (json!({}), "process: required"),
        (
            json!({"process": []}),
            "process: process must be an object, not a list",
        ),
        (
            json!({"process": {}}),
            "process.args: required: the manifest gives args without a command",
        ),
        (
            json!({"process": {"args": "sh"}}),
            "process.args: must be a list, not a string",
        ),
        (
            json!({"process": {"args": [5]}}),
            "process.args[0]: must be a string, not a number",
        ),
        (
            json!({"process": {"args": ["a"], "env": [null]}}),
            "process.env[0]: must be a string, not null",
        ),
        (
            json!({"process": {"args": ["a"], "user": 5}}),
            "process.user: user must be an object, not a number",
        ),
        (
            json!({"process": {"args": ["a"], "user": {"uid": -1}}}),
            "process.user.uid: must be a number from 0",
        ),
        (
            json!({"process": {"args": ["a"]}, "root": 5}),
            "root: root must be an object, not a number",
        ),
        (
            json!({"process": {"args": ["a"]}, "linux": 5}),
            "linux: linux must be an object, not a number",
        ),
        (
            json!({"process": {"args": ["a"]}, "linux": {"resources": {"cpu": 5}}}),
            "linux.resources.cpu: cpu must be an object, not a number",
        ),
        (
            json!({"process": {"args": ["a"]}, "mounts": [], "annotations": 5}),
            "annotations: annotations must be an object, not a number",
        ),
    ] {
        let told = config(&base, &pod.containers[0], &pod, &placement())
            .unwrap_err()
            .to_string();
        assert_eq!(told, format!("{head} {expected}"), "{base}");
    }
    let empty = problem(&json!({"process": {"args": []}}), "", "", &placement());
    assert_eq!(
        empty.to_string(),
        format!("{head} process.args: required: the manifest gives no command either")
    );
    let blank = problem(&base(), "", "command: [\"$(E)\"]\nenv: [{name: E}]", &placement());
    assert_eq!(blank.to_string(), "container app: the program's name is empty");
}

#[test]
fn s41_s42_the_manifests_signal_wins_over_the_images() {
    let signal = |image: Value, fields: &str| {
        let pod = pod("", fields);
        let base = json!({"annotations": {"org.opencontainers.image.stopSignal": image}});
        stop_signal(&base, &pod.containers[0]).map_err(|problem| problem.to_string())
    };
    assert_eq!(
        signal(json!("SIGQUIT"), "lifecycle: {stopSignal: SIGUSR1}").as_deref(),
        Ok("SIGUSR1")
    );
    assert_eq!(signal(json!("SIGQUIT"), "").as_deref(), Ok("SIGQUIT"));
    assert_eq!(signal(json!("quit"), "").as_deref(), Ok("SIGQUIT"));
    assert_eq!(signal(json!("3"), "").as_deref(), Ok("SIGQUIT"));
    assert_eq!(signal(json!(""), "").as_deref(), Ok("SIGTERM"));
    assert_eq!(signal(json!(null), "").as_deref(), Ok("SIGTERM"));
    let expected = "config.json of container app: annotations[org.opencontainers.image.stopSignal]: must be a signal name such as SIGQUIT";
    for wrong in [json!("SIGFOO"), json!(15), json!("99")] {
        assert_eq!(signal(wrong, "").unwrap_err(), expected);
    }
}
