//! ConfigMaps, Secrets and the pod's own fields as files of real containers (lifecycle-semantics 8).
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::{Value, json};
use tenure_integration::{Container, Host, Manifest, STAY, host, shell};

/// The options that give the ConfigMap `settings` and the Secret `keys`, and the files that they come from.
fn sources(host: &Host) -> [String; 2] {
    let folder = host.directory().join("settings");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("app.conf"), "colour=blue\n").unwrap();
    fs::write(folder.join("raw"), [0xff, 0x00, 0x0a]).unwrap();
    let word = host.directory().join("word");
    fs::write(&word, "hush-hush").unwrap();
    [
        format!("--config-map=settings={}", folder.display()),
        format!("--secret=keys={}", word.display()),
    ]
}

/// Runs a pod with these sources to its end and gives what its app wrote.
#[track_caller]
fn output_of(host: &Host, manifest: &Manifest) -> Vec<String> {
    let [settings, keys] = sources(host);
    let pod = host.start_with(&[&settings, &keys], manifest);
    pod.finish().ok();
    pod.log("app")
}

/// An app with a script and mounts.
fn app(script: &str, mounts: Value) -> Manifest {
    Manifest::new().app(shell("app", script).set("volumeMounts", mounts))
}

fn config_map(more: Value) -> Value {
    merged("configMap", json!({ "name": "settings" }), more)
}

fn secret(more: Value) -> Value {
    merged("secret", json!({ "secretName": "keys" }), more)
}

fn merged(kind: &str, mut source: Value, more: Value) -> Value {
    for (field, value) in more.as_object().unwrap() {
        source[field] = value.clone();
    }
    json!({ "name": kind.to_lowercase(), kind: source })
}

const LISTING: &str = "stat -c '%a %u:%g %F %n'";

#[test]
fn keys_are_plain_files_with_their_modes() {
    let Some(host) = host("vkeys") else { return };
    let script =
        format!("cd /c; {LISTING} . *; cat app.conf; od -An -tx1 raw; cd /s; {LISTING} word; cat word");
    let manifest = app(
        &script,
        json!([{ "name": "configmap", "mountPath": "/c" }, { "name": "secret", "mountPath": "/s" }]),
    )
    .volume(config_map(json!({})))
    .volume(secret(json!({ "defaultMode": 0o400 })));
    let wanted = [
        "755 0:0 directory .",
        "644 0:0 regular file app.conf",
        "644 0:0 regular file raw",
        "colour=blue",
        " ff 00 0a",
        "400 0:0 regular file word",
        "hush-hush",
    ];
    assert_eq!(output_of(&host, &manifest), wanted);
}

#[test]
fn items_choose_keys_paths_modes_and_owners() {
    let Some(host) = host("vitems") else { return };
    let script = format!("cd /c; find . | sort | xargs {LISTING}; cat etc/mine");
    let items = json!([
        { "key": "app.conf", "path": "etc/app/app.conf", "mode": 0o755 },
        { "key": "raw", "path": "raw" },
        { "key": "app.conf", "path": "etc/mine", "mode": 0o600, "user": 1000 },
    ]);
    let mut manifest = app(&script, json!([{ "name": "configmap", "mountPath": "/c" }])).volume(config_map(
        json!({ "items": items, "defaultMode": 0o440, "defaultUser": 7 }),
    ));
    manifest.0["spec"]["securityContext"] = json!({ "runAsUser": 1000 });
    let wanted = [
        "755 0:0 directory .",
        "755 0:0 directory ./etc",
        "755 0:0 directory ./etc/app",
        "755 7:0 regular file ./etc/app/app.conf",
        "600 1000:0 regular file ./etc/mine",
        "440 7:0 regular file ./raw",
        "colour=blue",
    ];
    assert_eq!(output_of(&host, &manifest), wanted);
}

#[test]
fn the_group_of_the_pods_volumes_may_read_them() {
    let Some(host) = host("vgroup") else { return };
    let script = format!("cd /s; find . | sort | xargs {LISTING}; cat a/word");
    let item = json!({ "key": "word", "path": "a/word", "mode": 0o400 });
    let manifest = app(&script, json!([{ "name": "secret", "mountPath": "/s" }]))
        .volume(secret(json!({ "items": [item] })))
        .set("securityContext", json!({ "runAsUser": 1000, "fsGroup": 4000 }));
    let wanted = [
        "2755 0:4000 directory .",
        "2755 0:4000 directory ./a",
        "440 0:4000 regular file ./a/word",
        "hush-hush",
    ];
    assert_eq!(output_of(&host, &manifest), wanted);
}

#[test]
fn sub_paths_are_single_files_and_folders() {
    let Some(host) = host("vsub") else { return };
    let items = json!([{ "key": "app.conf", "path": "etc/app.conf" }, { "key": "raw", "path": "raw" }]);
    let mount = |path: &str, sub: &str| json!({ "name": "configmap", "mountPath": path, "subPath": sub });
    let manifest = app(
        "cat /etc/app.conf /d/app.conf; [ -e /etc/passwd ] && ls /d; (: >/etc/app.conf) 2>/dev/null || echo read-only",
        json!([mount("/etc/app.conf", "etc/app.conf"), mount("/d", "etc")]),
    )
    .volume(config_map(json!({ "items": items })));
    let wanted = ["colour=blue", "colour=blue", "app.conf", "read-only"];
    assert_eq!(output_of(&host, &manifest), wanted);
}

#[test]
fn an_optional_source_may_be_absent_and_its_sub_path_is_a_folder() {
    let Some(host) = host("vabsent") else { return };
    let manifest = app(
        "ls -A /v; ls -d /file; (: >/file/x) 2>/dev/null || echo read-only",
        json!([{ "name": "v", "mountPath": "/v" }, { "name": "v", "mountPath": "/file", "subPath": "app.conf" }]),
    )
    .volume(json!({ "name": "v", "configMap": { "name": "no", "optional": true } }));
    // The volume is seen as it is when the container starts, after what its mounts have made of it.
    assert_eq!(output_of(&host, &manifest), ["app.conf", "/file", "read-only"]);
}

#[test]
fn a_projected_volume_has_all_its_sources_and_the_pod_tells_of_itself() {
    let Some(host) = host("vproj") else { return };
    let field = |path: &str, field: &str| json!({ "path": path, "fieldRef": { "fieldPath": field } });
    let amount = json!({ "path": "pod/memory", "mode": 0o400, "resourceFieldRef":
        { "containerName": "app", "resource": "limits.memory", "divisor": "1Mi" } });
    let items = json!([
        field("pod/labels", "metadata.labels"),
        field("pod/note", "metadata.annotations['note']"),
        field("pod/uid", "metadata.uid"),
        amount
    ]);
    let projected = json!([
        { "configMap": { "name": "settings", "items": [{ "key": "app.conf", "path": "app.conf" }] } },
        { "secret": { "name": "keys" } },
        { "downwardAPI": { "items": items } },
    ]);
    let script = format!(
        "cd /p; find . -type f | sort | xargs {LISTING}; cat app.conf; cat pod/labels; echo; cat pod/note; echo; cat pod/memory; \
         echo; [ $(cat pod/uid) = $UID_OF_POD ] && cat word"
    );
    let env = json!([{ "name": "UID_OF_POD", "valueFrom": { "fieldRef": { "fieldPath": "metadata.uid" } } }]);
    let app = shell("app", &script)
        .mount("p", "/p")
        .set("env", env)
        .set("resources", json!({ "limits": { "memory": "64Mi" } }));
    let mut manifest = Manifest::new()
        .app(app)
        .volume(json!({ "name": "p", "projected": { "sources": projected, "defaultMode": 0o444 } }));
    manifest.0["metadata"]["labels"] = json!({ "tier": "front", "app": "shop" });
    manifest.0["metadata"]["annotations"] = json!({ "note": "say \"hello\"" });
    let wanted = [
        "444 0:0 regular file ./app.conf",
        "444 0:0 regular file ./pod/labels",
        "400 0:0 regular file ./pod/memory",
        "444 0:0 regular file ./pod/note",
        "444 0:0 regular file ./pod/uid",
        "444 0:0 regular file ./word",
        "colour=blue",
        "app=\"shop\"",
        "tier=\"front\"",
        "say \"hello\"",
        "64",
        "hush-hush",
    ];
    assert_eq!(output_of(&host, &manifest), wanted);
}

#[test]
fn no_container_can_change_what_another_or_a_later_one_reads() {
    let Some(host) = host("vro") else { return };
    let mounts = json!([{ "name": "configmap", "mountPath": "/c", "readOnly": false }]);
    let attack = "for what in ': >/c/app.conf' ': >/c/new' 'rm /c/raw' 'chmod 777 /c/raw' 'mv /c/raw /c/x'; do \
                  sh -c \"$what\" 2>/dev/null && echo \"$what\"; done; cat /c/app.conf; ls /c";
    let init = shell("init", attack).set("volumeMounts", mounts.clone());
    let again = shell(
        "app",
        &format!("{attack}; [ -e /seen/once ] || {{ : >/seen/once; exit 1; }}"),
    )
    .set("volumeMounts", mounts)
    .set("restartPolicy", "OnFailure")
    .mount("seen", "/seen");
    let manifest = Manifest::new()
        .init(init)
        .app(again)
        .volume(config_map(json!({ "defaultMode": 0o666 })))
        .volume(json!({ "name": "seen", "emptyDir": {} }));
    let [settings, keys] = sources(&host);
    let pod = host.start_with(&["--max-backoff", "1", &settings, &keys], &manifest);
    pod.finish().ok();
    let wanted = ["colour=blue", "app.conf", "raw"];
    assert_eq!(pod.log("init"), wanted);
    for restarts in [0, 1] {
        let lines: Vec<String> = pod
            .log_of("app", restarts)
            .into_iter()
            .map(|line| line.text)
            .collect();
        assert_eq!(lines, wanted, "start {restarts}");
    }
}

/// A pod that has the Secret in a volume and stays.
fn with_secret() -> Manifest {
    let stays: Container = shell("app", &format!("trap 'exit 0' TERM; {STAY}"));
    Manifest::new()
        .grace(1)
        .app(stays.mount("secret", "/s"))
        .volume(secret(json!({})))
}

/// Whether a folder holds the secret in any of its files.
fn tells(folder: &Path) -> bool {
    let search = std::process::Command::new("grep")
        .args(["-rq", "hush-hush"])
        .arg(folder)
        .status();
    search.unwrap().code() == Some(0)
}

#[test]
fn a_secret_is_in_memory_out_of_reach_and_gone_with_the_pod() {
    let Some(host) = host("vgone") else { return };
    let [settings, keys] = sources(&host);
    let (pod, outcome) = host.detach_with(&[&settings, &keys], &with_secret());
    outcome.ok();
    let volumes = pod.directory().join("volumes");
    let file = volumes.join("secret/word");
    assert_eq!(fs::read_to_string(&file).unwrap(), "hush-hush");
    let folder = fs::metadata(&volumes).unwrap();
    assert_eq!((folder.permissions().mode() & 0o7777, folder.uid()), (0o700, 0));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let place = format!(" {} ", volumes.join("secret").display());
    let mount = mounts
        .lines()
        .find(|line| line.contains(&place))
        .expect("a mount");
    assert!(mount.contains(" - tmpfs "), "{mount}");
    // Beside the mount, nothing on disk tells it: neither the record nor the status.
    for name in fs::read_dir(pod.directory()).unwrap() {
        let path = name.unwrap().path();
        assert!(
            path == volumes || !tells(&path),
            "{} tells the secret",
            path.display()
        );
    }
    let object = serde_json::to_value(pod.object()).unwrap();
    let wanted = json!([{ "name": "secret", "secret": { "secretName": "keys", "defaultMode": 420 } }]);
    assert_eq!(object["spec"]["volumes"], wanted);
    pod.stop(&[]).outcome.ok();
    host.assert_nothing_runs();
    assert!(
        !volumes.exists() && !tells(&pod.directory()),
        "the secret is left"
    );
    host.run(&["pod", "delete", &pod.name]).ok();
    host.assert_nothing_is_left();
}

#[test]
fn plan_and_validate_take_them_and_a_reference_to_nothing_is_one_line_and_leaves_nothing() {
    let Some(host) = host("vplan") else { return };
    let [settings, keys] = sources(&host);
    let (name, path) = host.write(&with_secret());
    let path = path.to_str().unwrap();
    host.run(&["pod", "validate", &keys, path]).ok();
    host.run(&["pod", "plan", &keys, path]).ok();
    for command in [
        vec!["pod", "run"],
        vec!["pod", "run", "-d"],
        vec!["pod", "validate"],
        vec!["pod", "plan"],
    ] {
        let arguments = [command, vec![settings.as_str(), path]].concat();
        let outcome = host.run(&arguments).expect_code(2);
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
        for word in ["spec.volumes[0].secret", "Secret \"keys\"", "--secret keys=PATH"] {
            assert!(outcome.stderr.contains(word), "{word}: {outcome}");
        }
    }
    assert!(!host.root().join("pods").join(name).exists(), "something is left");
}
