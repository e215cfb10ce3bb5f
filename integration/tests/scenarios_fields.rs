//! The fields of a pod on real containers (lifecycle-semantics 8; scenarios S67, S93 to S98), and what a container may
//! see and reach.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;

use serde_json::{Value, json};
use tenure_integration::{Container, Host, Manifest, Outcome, STAY, ends_on_term, exec, host, shell, sleep};

/// `tenure pod validate` of a manifest.
fn validate(host: &Host, manifest: &Manifest) -> Outcome {
    let (_, path) = host.write(manifest);
    host.run(&["pod", "validate", path.to_str().unwrap()])
}

/// Panics unless the manifest is refused with one line for each text, in which all its words stand.
#[track_caller]
fn refused(host: &Host, manifest: &Manifest, lines: &[&[&str]]) {
    let outcome = validate(host, manifest).expect_code(2);
    for words in lines {
        let told = outcome
            .stderr
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        assert!(told, "no line tells {words:?}: {outcome}");
    }
}

/// Runs a pod of one app to its end and gives what the app wrote.
#[track_caller]
fn output_of(host: &Host, manifest: &Manifest) -> Vec<String> {
    let pod = host.start(manifest);
    pod.finish().ok();
    pod.log("app")
}

fn one(app: Container) -> Manifest {
    Manifest::new().app(app)
}

#[test]
fn s67_an_init_container_may_have_neither_handlers_nor_probes() {
    let Some(host) = host("s67") else { return };
    let text = "may not be set for init containers without restartPolicy=Always";
    let app = ends_on_term("app", 0);
    let init = shell("init", "true");
    refused(
        &host,
        &one(app.clone()).init(init.clone().post_start(exec("true"))),
        &[&["spec.initContainers[0].lifecycle", text]],
    );
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let init = init.clone().set(probe, exec("true"));
        refused(
            &host,
            &one(app.clone()).init(init),
            &[&[&format!("spec.initContainers[0].{probe}"), text]],
        );
    }
}

#[test]
fn s93_a_sleep_must_fit_into_the_grace() {
    let Some(host) = host("s93") else { return };
    for (seconds, valid) in [(6, false), (5, true), (0, true), (-1, false)] {
        let manifest = one(ends_on_term("app", 0).pre_stop(sleep(seconds))).grace(5);
        if valid {
            validate(&host, &manifest).ok();
        } else {
            refused(
                &host,
                &manifest,
                &[&["spec.containers[0].lifecycle.preStop.sleep"]],
            );
        }
    }
}

#[test]
fn s94_a_handler_has_exactly_one_type() {
    let Some(host) = host("s94") else { return };
    let two = json!({ "exec": { "command": ["true"] }, "httpGet": { "port": 80 } });
    let path = "spec.containers[0].lifecycle.postStart";
    let app = ends_on_term("app", 0);
    refused(
        &host,
        &one(app.clone().post_start(two)),
        &[&[path, "may not specify more than 1 handler type"]],
    );
    refused(
        &host,
        &one(app.post_start(json!({}))),
        &[&[path, "must specify a handler type"]],
    );
}

#[test]
fn s21_s40_a_tcp_socket_handler_is_refused() {
    let Some(host) = host("s21") else { return };
    let handler = json!({ "tcpSocket": { "port": 80 } });
    let app = ends_on_term("app", 0)
        .post_start(handler.clone())
        .pre_stop(handler);
    let (start, stop) = ("lifecycle.postStart", "lifecycle.preStop");
    refused(&host, &one(app), &[&[start, "tcpSocket"], &[stop, "tcpSocket"]]);
}

#[test]
fn s95_names_are_labels_and_unique_over_init_and_app() {
    let Some(host) = host("s95") else { return };
    let manifest = one(shell("Web_1", "true"))
        .init(shell("twin", "true"))
        .app(shell("twin", "true"))
        .app(shell("ok", "true"));
    refused(
        &host,
        &manifest,
        &[
            &["spec.containers[0].name", "Web_1"],
            &["spec.containers[1].name", "twin"],
        ],
    );
}

#[test]
fn s96_variables_are_expanded_in_arguments() {
    let Some(host) = host("s96") else { return };
    let app = Container::new("app", &["/bin/echo"])
        .set("args", json!(["$(A)-$$(A)-$(B)", "$(C)"]))
        .set(
            "env",
            json!([{ "name": "A", "value": "1" }, { "name": "C", "value": "<$(A)$(D)>" }]),
        );
    assert_eq!(output_of(&host, &one(app)), ["1-$(A)-$(B) <1$(D)>"]);
}

#[test]
fn s97_the_grace_of_a_probe_is_positive_and_not_for_readiness() {
    let Some(host) = host("s97") else { return };
    let probe = |grace: i64| {
        let mut probe = exec("true");
        probe["terminationGracePeriodSeconds"] = grace.into();
        probe
    };
    let app = ends_on_term("app", 0)
        .set("readinessProbe", probe(5))
        .set("livenessProbe", probe(0));
    let path = |probe: &str| format!("spec.containers[0].{probe}.terminationGracePeriodSeconds");
    refused(
        &host,
        &one(app),
        &[&[&path("readinessProbe")], &[&path("livenessProbe")]],
    );
}

#[test]
fn s98_liveness_succeeds_at_the_first_success() {
    let Some(host) = host("s98") else { return };
    let mut probe = exec("true");
    probe["successThreshold"] = 2.into();
    let app = ends_on_term("app", 0).set("livenessProbe", probe);
    refused(
        &host,
        &one(app),
        &[&["spec.containers[0].livenessProbe.successThreshold", "must be 1"]],
    );
}

#[test]
fn the_bundle_stands_where_the_manifest_is_silent() {
    let Some(host) = host("stands") else { return };
    let script = "echo $0 $1 $KEPT $(pwd) $(id -u)";
    host.bundle()
        .set("/process/args", json!(["/bin/sh", "-c", script, "zero", "one"]));
    host.bundle().set("/process/cwd", json!("/var"));
    let mut env = host.bundle().config["process"]["env"].clone();
    env.as_array_mut().unwrap().push("KEPT=kept".into());
    host.bundle().set("/process/env", env);
    assert_eq!(
        output_of(&host, &one(Container::new("app", &[]))),
        ["zero one kept /var 0"]
    );
    let app = Container::new("app", &[])
        .set("workingDir", "/tmp")
        .set("env", json!([{ "name": "KEPT", "value": "changed" }]))
        .set(
            "securityContext",
            json!({ "runAsUser": 1000, "runAsGroup": 1000 }),
        );
    assert_eq!(output_of(&host, &one(app)), ["zero one changed /tmp 1000"]);
}

#[test]
fn a_container_is_told_fields_of_its_pod_and_its_resources() {
    let Some(host) = host("downward") else { return };
    let field =
        |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let amount = |name: &str, resource: &str, divisor: &str| {
        let source = json!({ "resource": resource, "divisor": divisor });
        json!({ "name": name, "valueFrom": { "resourceFieldRef": source } })
    };
    let script = "echo $TIER $SPACE $POD_IP $CPU $MEMORY; [ $NODE_CPU = $(grep -c ^processor /proc/cpuinfo) ] && \
                  [ $NODE = $(cat /proc/sys/kernel/hostname) ] || echo $NODE_CPU $NODE; \
                  [ -n \"$UID_OF_POD\" ] && [ $AGAIN = is-$UID_OF_POD ] && [ -n \"$HOST_IP\" ] && echo told";
    let app = shell("app", script)
        .set("resources", json!({ "limits": { "cpu": "1500m" }, "requests": { "memory": "1025Ki" } }))
        .set(
            "env",
            json!([
                field("TIER", "metadata.labels['tier']"),
                field("SPACE", "metadata.namespace"),
                field("NODE", "spec.nodeName"),
                field("UID_OF_POD", "metadata.uid"),
                field("HOST_IP", "status.hostIP"),
                field("POD_IP", "status.podIP"),
                { "name": "AGAIN", "value": "is-$(UID_OF_POD)" },
                amount("CPU", "limits.cpu", "1m"),
                amount("MEMORY", "requests.memory", "1Mi"),
                { "name": "NODE_CPU", "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu", "containerName": "init" } } },
            ]),
        );
    let mut manifest = one(app).init(shell("init", "true")).host_network();
    manifest.0["metadata"]["labels"] = json!({ "tier": "front" });
    let written = output_of(&host, &manifest);
    assert_eq!(written.len(), 2, "{written:?}");
    let words: Vec<&str> = written[0].split(' ').collect();
    assert_eq!(
        (words[0], words[1], words[3], words[4]),
        ("front", "default", "1500", "2"),
        "{written:?}"
    );
    assert!(words[2].parse::<std::net::IpAddr>().is_ok(), "{written:?}");
    assert_eq!(written[1], "told");
}

/// A pod whose app says what it was given, and a folder and a file with that.
fn told_by_files(host: &Host) -> (Manifest, [String; 2]) {
    let folder = host.directory().join("settings");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("COLOUR"), "blue").unwrap();
    fs::write(folder.join("SIZE"), "$(COLOUR)").unwrap();
    let word = host.directory().join("word");
    fs::write(&word, "hush-hush").unwrap();
    let key = json!({ "secretKeyRef": { "name": "keys", "key": "word" } });
    let from = json!([{ "configMapRef": { "name": "settings" } }, { "secretRef": { "name": "no", "optional": true } }]);
    let app = shell("app", "[ ${#WORD} = 9 ] && echo $COLOUR $SIZE")
        .set("envFrom", from)
        .set("env", json!([{ "name": "WORD", "valueFrom": key }]));
    let options = [
        format!("--config-map=settings={}", folder.display()),
        format!("--secret=keys={}", word.display()),
    ];
    (one(app), options)
}

#[test]
fn variables_come_from_files_on_the_command_line() {
    let Some(host) = host("sources") else { return };
    let (manifest, [settings, keys]) = told_by_files(&host);
    let (name, path) = host.write(&manifest);
    host.remember(&name);
    let path = path.to_str().unwrap();
    let foreground = host.run(&host.pod_run(&[&settings, &keys, path])).ok();
    assert_eq!(foreground.stdout, "blue $(COLOUR)\n");
    // What is left of the pod is its record, which tells no secret.
    let record = host.root().join("pods").join(&name);
    let search = std::process::Command::new("grep")
        .args(["-rq", "hush"])
        .arg(&record)
        .status()
        .unwrap();
    assert_eq!(search.code(), Some(1), "a secret is in {}", record.display());
    host.run(&host.pod_run(&["-d", &settings, &keys, path])).ok();
    host.run(&[
        "pod",
        "wait",
        &name,
        "--for",
        "phase=Succeeded",
        "--timeout",
        "60",
    ])
    .ok();
    let logs = host.run(&["pod", "logs", &name]).ok();
    assert_eq!(logs.stdout, "blue $(COLOUR)\n");
    host.run(&["pod", "validate", &settings, &keys, path]).ok();
    host.run(&["pod", "plan", &settings, &keys, path]).ok();
    host.assert_nothing_runs();
}

#[test]
fn a_source_that_is_absent_or_wrong_is_one_line_and_nothing_is_left() {
    let Some(host) = host("absent") else { return };
    let (manifest, [settings, keys]) = told_by_files(&host);
    let (name, path) = host.write(&manifest);
    let path = path.to_str().unwrap();
    let other = settings
        .replace("--config-map", "--secret")
        .replace("=settings=", "=keys=");
    for (options, words) in [
        (vec![&settings], ["Secret", "\"keys\"", "not found"]),
        (vec![&settings, &other], ["\"word\"", "Secret", "\"keys\""]),
        (vec![&settings, &keys, &keys], ["--secret", "keys", "twice"]),
        (
            vec![&settings, &"--secret=keys=no-such".to_owned()],
            ["--secret", "keys", "no-such"],
        ),
    ] {
        for command in [
            vec!["pod", "run"],
            vec!["pod", "run", "-d"],
            vec!["pod", "validate"],
            vec!["pod", "plan"],
        ] {
            let options = options.iter().map(|option| option.as_str());
            let arguments: Vec<&str> = command.into_iter().chain(options).chain([path]).collect();
            let outcome = host.run(&arguments).expect_code(2);
            assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
            assert!(
                words.iter().all(|word| outcome.stderr.contains(word)),
                "{words:?}: {outcome}"
            );
        }
    }
    assert!(!host.root().join("pods").join(name).exists(), "something is left");
}

#[test]
fn variables_come_from_documents_beside_the_pod() {
    let Some(host) = host("beside") else { return };
    let (manifest, _) = told_by_files(&host);
    let (name, path) = host.write(&manifest);
    host.remember(&name);
    let pod = fs::read_to_string(path).unwrap();
    let file = host.directory().join("all.yaml");
    let beside = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {COLOUR: red, SIZE: large}\n---\n\
                  apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\ndata: {word: aHVzaC1odXNo}\n---\n";
    fs::write(&file, format!("{beside}{pod}")).unwrap();
    let outcome = host.run(&host.pod_run(&[file.to_str().unwrap()])).ok();
    assert_eq!(outcome.stdout, "red large\n");
}

#[test]
fn files_written_by_init_containers_reach_the_app() {
    let Some(host) = host("handed") else { return };
    let manifest = Manifest::new()
        .volume(json!({ "name": "disk", "emptyDir": {} }))
        .volume(json!({ "name": "memory", "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } }))
        .init(
            shell(
                "init",
                "echo 1 >/disk/a; mkdir /disk/sub; echo 2 >/disk/sub/b; echo 3 >/memory/c",
            )
            .mount("disk", "/disk")
            .mount("memory", "/memory"),
        )
        .app(
            shell(
                "app",
                "cat /d/a /s/b /m/c; stat -f -c %T /m; (: >/ro/x) 2>/dev/null || echo read-only",
            )
            .set(
                "volumeMounts",
                json!([
                    { "name": "disk", "mountPath": "/d" },
                    { "name": "disk", "mountPath": "/s", "subPath": "sub" },
                    { "name": "memory", "mountPath": "/m" },
                    { "name": "disk", "mountPath": "/ro", "readOnly": true },
                ]),
            ),
        );
    assert_eq!(output_of(&host, &manifest), ["1", "2", "3", "tmpfs", "read-only"]);
}

#[test]
fn a_volume_in_memory_is_no_larger_than_its_limit() {
    let Some(host) = host("limit") else { return };
    let script = "dd if=/dev/zero of=/m/big bs=1k count=2048 2>/dev/null && echo fits; stat -c %s /m/big";
    let manifest = one(shell("app", script).mount("memory", "/m"))
        .volume(json!({ "name": "memory", "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } }));
    assert_eq!(output_of(&host, &manifest), ["1048576"]);
}

#[test]
fn a_host_path_is_the_hosts_own() {
    let Some(host) = host("hostpath") else { return };
    let directory = host.directory().join("shared");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("in"), "from the host\n").unwrap();
    let manifest = one(shell("app", "cat /h/in; echo from the container >/h/out").mount("shared", "/h"))
        .volume(json!({ "name": "shared", "hostPath": { "path": directory, "type": "Directory" } }));
    assert_eq!(output_of(&host, &manifest), ["from the host"]);
    assert_eq!(
        fs::read_to_string(directory.join("out")).unwrap(),
        "from the container\n"
    );
}

#[test]
fn a_sub_path_does_not_lead_out_of_its_volume() {
    let Some(host) = host("escape") else { return };
    let secret = host.directory().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("word"), "the host's word\n").unwrap();
    let script = format!(
        "ln -s {} /v/way; ln -s ../../../../../../../../{0} /v/up",
        secret.display()
    );
    for way in ["way", "up"] {
        let mounts = json!([{ "name": "v", "mountPath": "/x", "subPath": way }]);
        let manifest = one(shell("app", "cat /x/word").set("volumeMounts", mounts))
            .volume(json!({ "name": "v", "emptyDir": {} }))
            .init(shell("init", &script).mount("v", "/v"));
        let pod = host.start(&manifest);
        let outcome = pod.finish();
        assert_ne!(outcome.code, 0, "{outcome}");
        assert!(!outcome.stdout.contains("the host's word"), "{outcome}");
    }
}

#[test]
fn the_writable_layer_is_fresh_at_every_restart_and_leaves_the_bundle_alone() {
    let Some(host) = host("fresh") else { return };
    let script = "ls /new 2>/dev/null; echo begin; : >/new; rm /etc/group; n=$(cat /v/n 2>/dev/null || echo 0); \
                  echo $((n+1)) >/v/n; [ $n -ge 1 ]";
    let manifest = one(shell("app", script).mount("v", "/v"))
        .restart_policy("OnFailure")
        .volume(json!({ "name": "v", "emptyDir": {} }));
    let pod = host.start(&manifest);
    pod.finish().ok();
    for restarts in 0..2 {
        let lines: Vec<String> = pod
            .log_of("app", restarts)
            .into_iter()
            .map(|line| line.text)
            .collect();
        assert_eq!(lines, ["begin"], "instance {restarts}");
    }
    let rootfs = host.bundle().rootfs();
    assert!(
        !rootfs.join("new").exists() && rootfs.join("etc/group").exists(),
        "the bundle has changed"
    );
}

#[test]
fn a_bundle_rw_writes_to_the_bundle_itself() {
    let Some(host) = host("rw") else { return };
    let app = shell("app", "echo written >/new").set("image", "bundle-rw:box");
    output_of(&host, &one(app));
    assert_eq!(
        fs::read_to_string(host.bundle().rootfs().join("new")).unwrap(),
        "written\n"
    );
}

/// The namespaces that a container is in.
const NAMESPACES: &str = "for n in net ipc uts pid mnt; do readlink /proc/self/ns/$n; done; ";

#[test]
fn containers_of_a_pod_share_network_ipc_and_uts_and_nothing_of_the_hosts() {
    let Some(host) = host("shared") else { return };
    let app = |name: &str| shell(name, &format!("{NAMESPACES} hostname; {STAY}"));
    let pod = host.start(&Manifest::new().grace(1).app(app("a")).app(app("b")));
    pod.until_wrote("a", "ready");
    pod.until_wrote("b", "ready");
    let (a, b) = (pod.log("a"), pod.log("b"));
    assert_eq!(a[..3], b[..3]);
    assert_ne!(a[3], b[3], "pid namespaces are private");
    assert_ne!(a[4], b[4], "mount namespaces are private");
    assert_eq!(a[5], b[5], "one host name");
    for (index, namespace) in ["net", "ipc", "uts", "pid", "mnt"].into_iter().enumerate() {
        let hosts = fs::read_link(format!("/proc/self/ns/{namespace}")).unwrap();
        assert_ne!(a[index], hosts.to_string_lossy(), "{namespace} of the host");
    }
    pod.stop(&[]).outcome.ok();
    pod.finish();
}

#[test]
fn namespaces_of_the_host_are_shared_where_asked_for() {
    let Some(host) = host("hosts") else { return };
    let app = shell("app", NAMESPACES);
    let manifest = one(app).host_network().set("hostPID", true).set("hostIPC", true);
    let lines = output_of(&host, &manifest);
    for (index, namespace) in ["net", "ipc", "uts", "pid"].into_iter().enumerate() {
        if namespace == "uts" {
            continue;
        }
        let hosts = fs::read_link(format!("/proc/self/ns/{namespace}")).unwrap();
        assert_eq!(lines[index], hosts.to_string_lossy(), "{namespace}");
    }
}

#[test]
fn processes_of_one_container_are_seen_by_another_where_the_pid_namespace_is_shared() {
    let Some(host) = host("pids") else { return };
    let b = shell(
        "b",
        "ps | grep -c '[s]leep 1234'; cut -d' ' -f4 /proc/self/stat; echo done",
    )
    .set("env", json!([]));
    let a = shell("a", "echo ready; sleep 1234").post_start(exec("true"));
    let pod = host.start(
        &Manifest::new()
            .grace(1)
            .set("shareProcessNamespace", true)
            .app(a)
            .app(b),
    );
    pod.until_wrote("b", "done");
    let lines = pod.log("b");
    assert_ne!(lines[0], "0", "b does not see a's process");
    assert_ne!(lines[1], "1", "process 1 is the pod's own init");
    pod.stop(&[]).outcome.ok();
    pod.finish();
}

#[test]
fn a_containers_environment_and_descriptors_hold_nothing_of_tenures() {
    let Some(host) = host("clean") else { return };
    let app = Container::new("app", &["/bin/sh", "-c", "env | sort; ls /proc/self/fd"]);
    let lines = output_of(&host, &one(app));
    let (names, descriptors): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.contains('='));
    let names: Vec<&str> = names.iter().filter_map(|line| line.split('=').next()).collect();
    let allowed = ["HOME", "HOSTNAME", "PATH", "PWD", "SHLVL", "TEST_TOKEN"];
    assert!(names.iter().all(|name| allowed.contains(name)), "{names:?}");
    // 3 is the directory that ls itself has opened.
    assert_eq!(descriptors, ["0", "1", "2", "3"]);
}

#[test]
fn a_memory_limit_reaches_the_kernel() {
    let Some(host) = host("memory") else { return };
    let resources: Value = json!({ "limits": { "memory": "64Mi", "cpu": "500m" } });
    let pod = host.start(
        &Manifest::new()
            .grace(1)
            .app(ends_on_term("app", 0).set("resources", resources)),
    );
    pod.until_wrote("app", "ready");
    let values = |file: &str| find_cgroup_values(host.token(), file);
    let memory = [values("memory.limit_in_bytes"), values("memory.max")].concat();
    assert!(memory.iter().any(|value| value == "67108864"), "{memory:?}");
    let cpu = [values("cpu.cfs_quota_us"), values("cpu.max")].concat();
    assert!(cpu.iter().any(|value| value.starts_with("50000")), "{cpu:?}");
    pod.stop(&[]).outcome.ok();
    pod.finish();
}

#[test]
fn a_container_over_its_memory_limit_ends_as_oom_killed() {
    let Some(host) = host("oom") else { return };
    let app = Container::new(
        "app",
        &["dd", "if=/dev/zero", "of=/dev/null", "bs=128M", "count=1"],
    )
    .set("resources", json!({ "limits": { "memory": "32Mi" } }));
    let pod = host.start(&one(app));
    pod.finish().expect_code(137);
    let ended = pod.container("app").state.unwrap().terminated.unwrap();
    assert_eq!(
        (ended.exit_code, ended.reason.as_deref()),
        (137, Some("OOMKilled"))
    );
}

/// What a file holds in all cgroups whose path carries the token.
fn find_cgroup_values(token: &str, file: &str) -> Vec<String> {
    let cgroups = tenure_integration::Leftovers::running(token).cgroups;
    let read = |cgroup: &std::path::PathBuf| fs::read_to_string(cgroup.join(file)).ok();
    cgroups
        .iter()
        .filter_map(read)
        .map(|value| value.trim().to_owned())
        .collect()
}
