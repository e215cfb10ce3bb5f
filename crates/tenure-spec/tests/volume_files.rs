//! The files of `configMap`, `secret`, `downwardAPI` and `projected` volumes.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs)]

use std::path::PathBuf;

use serde_json::{Value, json};
use tenure_spec::manifest::{Manifest, Origin, Problem, load};
use tenure_spec::reference::{Known, NodeFacts};
use tenure_spec::{Files, VolumeSource};

/// Documents of ten lines.
const BESIDE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {app.conf: 'a=1', colour: blue}\nbinaryData: {raw: /w==}\n---\n\
                      apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {word: hush, colour: red}\n---\n";

/// A pod with volumes, and an app with mounts, behind the documents.
fn read(volumes: &str, mounts: &str) -> Result<Manifest, Vec<Problem>> {
    let text = format!(
        "{BESIDE}apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: shop, uid: u-1, labels: {{tier: front, b: ''}}, annotations: {{note: \"two\\nlines\"}}}}\n\
         spec:\n  volumes: {volumes}\n  containers:\n  - name: app\n    image: bundle:app\n    \
         resources: {{limits: {{memory: 64Mi, cpu: 1500m}}, requests: {{memory: 1Mi}}}}\n    volumeMounts: {mounts}\n"
    );
    let origin = Origin {
        file: "pod.yaml".into(),
        dir: PathBuf::from("/pods"),
    };
    load(text.as_bytes(), &origin)
}

#[track_caller]
fn accepted(volumes: &str, mounts: &str) -> Manifest {
    read(volumes, mounts).unwrap_or_else(|problems| panic!("{volumes}: {problems:?}"))
}

#[track_caller]
fn files(manifest: &Manifest, index: usize) -> &Files {
    match &manifest.pod.volumes[index].source {
        VolumeSource::Files(files) => files,
        other => panic!("{other:?}"),
    }
}

/// The files of a volume with owner, mode and content.
#[track_caller]
fn listing(manifest: &Manifest, index: usize) -> Vec<String> {
    let known = Known {
        node: NodeFacts {
            cpu_millis: 2000,
            ..NodeFacts::default()
        },
        sources: manifest.sources.clone(),
    };
    let plan = files(manifest, index).plan(&known.sources);
    assert_eq!(plan.faults, []);
    let line = |file: &tenure_spec::files::File<'_>| {
        let content = file.content(&manifest.pod, &known).into_owned();
        let content = String::from_utf8_lossy(&content).into_owned();
        format!(
            "{} {} {:04o} {content}",
            file.path.display(),
            file.user,
            file.mode
        )
    };
    plan.files.iter().map(line).collect()
}

#[test]
fn a_volume_holds_every_key_or_the_items_asked_for() {
    let manifest = accepted(
        "[{name: a, configMap: {name: settings}}, {name: b, secret: {secretName: keys, defaultMode: 0400}}, \
          {name: c, configMap: {name: settings, defaultMode: 0640, items: [{key: raw, path: ./z//raw.bin}, {key: colour, path: a/colour, mode: 0}]}}, \
          {name: d, secret: {secretName: keys, defaultUser: 70, items: [{key: word, path: w}, {key: word, path: again, user: 0}]}}]",
        "[]",
    );
    assert_eq!(
        listing(&manifest, 0),
        ["app.conf 0 0644 a=1", "colour 0 0644 blue", "raw 0 0644 \u{fffd}"]
    );
    assert_eq!(listing(&manifest, 1), ["colour 0 0400 red", "word 0 0400 hush"]);
    assert_eq!(
        listing(&manifest, 2),
        ["a/colour 0 0000 blue", "z/raw.bin 0 0640 \u{fffd}"]
    );
    assert_eq!(listing(&manifest, 3), ["again 0 0644 hush", "w 70 0644 hush"]);
}

#[test]
fn what_is_optional_and_absent_makes_no_files() {
    let manifest = accepted(
        "[{name: a, configMap: {name: no, optional: true}}, {name: b, secret: {secretName: keys, optional: true, items: [{key: no, path: a}, {key: word, path: b}]}}, \
          {name: c, projected: {sources: [{secret: {name: no, optional: true}}, {configMap: {name: settings, items: [{key: colour, path: c}]}}]}}, \
          {name: d, projected: {}}, {name: e, downwardAPI: {}}]",
        "[{name: a, mountPath: /a, subPath: any}, {name: b, mountPath: /b, subPath: a}]",
    );
    let all: Vec<_> = (0..5).map(|index| listing(&manifest, index)).collect();
    let none: Vec<String> = Vec::new();
    let (b, c) = (vec!["b 0 0644 hush".to_owned()], vec!["c 0 0644 blue".to_owned()]);
    assert_eq!(all, [none.clone(), b, c, none.clone(), none]);
}

#[test]
fn the_pod_tells_of_itself_in_files() {
    let field = |path: &str, field: &str| format!("{{path: {path}, fieldRef: {{fieldPath: \"{field}\"}}}}");
    let amount = |path: &str, resource: &str, divisor: &str| {
        format!(
            "{{path: {path}, resourceFieldRef: {{containerName: app, resource: {resource}, divisor: {divisor}}}}}"
        )
    };
    let items = [
        field("a", "metadata.name"),
        field("b", "metadata.namespace"),
        field("c", "metadata.uid"),
        field("d", "metadata.labels"),
        field("e", "metadata.annotations"),
        field("f", "metadata.labels['tier']"),
        field("g", "metadata.annotations['note']"),
        field("h", "metadata.labels['no']"),
        amount("i", "limits.cpu", "1m"),
        amount("j", "limits.memory", "1Mi"),
        amount("k", "requests.memory", "0"),
        amount("l", "requests.cpu", "1"),
    ];
    let manifest = accepted(
        &format!(
            "[{{name: a, downwardAPI: {{defaultMode: 0440, items: [{}]}}}}]",
            items.join(", ")
        ),
        "[]",
    );
    let wanted = [
        "a web",
        "b shop",
        "c u-1",
        "d b=\"\"\ntier=\"front\"",
        "e note=\"two\\nlines\"",
        "f front",
        "g two\nlines",
        "h ",
        "i 1500",
        "j 64",
        "k 1048576",
        "l 2",
    ]
    .map(|line| line.replacen(' ', " 0 0440 ", 1));
    assert_eq!(listing(&manifest, 0), wanted);
}

#[test]
fn a_projected_volume_holds_what_its_sources_do() {
    let manifest = accepted(
        "[{name: a, projected: {defaultMode: 0400, defaultUser: 5, sources: [{configMap: {name: settings, items: [{key: app.conf, path: etc/app.conf, mode: 0644}]}}, \
          {secret: {name: keys}}, {downwardAPI: {items: [{path: etc/name, fieldRef: {fieldPath: metadata.name}, user: 6}]}}]}}]",
        "[{name: a, mountPath: /a, subPath: ./etc/}, {name: a, mountPath: /b, subPath: etc/name}, {name: a, mountPath: /c, subPath: .}]",
    );
    assert_eq!(
        listing(&manifest, 0),
        [
            "colour 5 0400 red",
            "etc/app.conf 5 0644 a=1",
            "etc/name 6 0400 web",
            "word 5 0400 hush"
        ]
    );
    let mounts = &manifest.pod.containers[0].volume_mounts;
    let sub_paths: Vec<_> = mounts.iter().map(|mount| mount.sub_path.clone()).collect();
    assert_eq!(sub_paths, [Some("etc".into()), Some("etc/name".into()), None]);
}

#[test]
fn what_is_absent_or_in_another_files_place_is_told_where_it_stands() {
    let projected = |sources: &str| format!("[{{name: a, projected: {{sources: [{sources}]}}}}]");
    let v = "pod.yaml:16: spec.volumes[0]";
    for (volumes, wanted) in [
        (
            "[{name: a, configMap: {name: settings, items: [{key: app.conf, path: a}, {key: word, path: b}]}}]".to_owned(),
            vec![format!("{v}.configMap.items[1]: key \"word\" not found in ConfigMap \"settings\"")],
        ),
        (
            projected("{configMap: {name: settings}}, {downwardAPI: {}}, {secret: {name: keys}}"),
            vec![format!("{v}.projected.sources[2].secret: \"colour\" is written twice, by key \"colour\" of ConfigMap \"settings\" and by key \"colour\" of Secret \"keys\"")],
        ),
        (
            projected("{downwardAPI: {items: [{path: x/./y/z, fieldRef: {fieldPath: metadata.name}}]}}, {secret: {name: keys, items: [{key: word, path: w}, {key: word, path: x//y}]}}"),
            vec![format!("{v}.projected.sources[1].secret.items[1]: \"x/y\", a file of key \"word\" of Secret \"keys\", cannot be a folder for \"x/y/z\" of downwardAPI")],
        ),
        (
            "[{name: a, secret: {secretName: keys, items: [{key: word, path: w}, {key: colour, path: w}]}}]".to_owned(),
            vec![format!("{v}.secret.items[1]: \"w\" is written twice, by key \"word\" of Secret \"keys\" and by key \"colour\" of Secret \"keys\"")],
        ),
        (
            projected("{secret: {name: no}}, {configMap: {name: settings, items: [{key: no, path: a}, {key: '', path: ''}]}}"),
            vec![
                format!("{v}.projected.sources[0].secret: Secret \"no\" not found: give it with --secret no=PATH or as a document of the manifest"),
                format!("{v}.projected.sources[1].configMap.items[0]: key \"no\" not found in ConfigMap \"settings\""),
                format!("{v}.projected.sources[1].configMap.items[1].key: required"),
                format!("{v}.projected.sources[1].configMap.items[1].path: required"),
            ],
        ),
    ] {
        let problems = read(&volumes, "[{name: a, mountPath: /a, subPath: none}]").unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, wanted, "{volumes}");
    }
}

#[test]
fn a_sub_path_that_leads_to_nothing_is_told() {
    let volumes = "[{name: a, configMap: {name: settings, items: [{key: app.conf, path: etc/app.conf}]}}, {name: b, emptyDir: {}}]";
    let mounts = "[{name: a, mountPath: /a, subPath: app.conf}, {name: a, mountPath: /b, subPath: etc/app.conf}, {name: a, mountPath: /c, subPath: etc/app}, \
                  {name: a, mountPath: /d, subPath: etc/app.conf/x}, {name: b, mountPath: /e, subPath: new}]";
    let problems = read(volumes, mounts).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let wanted = [(0, "app.conf"), (2, "etc/app"), (3, "etc/app.conf/x")].map(|(index, path)| {
        format!("pod.yaml:21: spec.containers[0].volumeMounts[{index}].subPath: volume \"a\" has no file or folder \"{path}\"")
    });
    assert_eq!(told, wanted);
}

#[test]
fn a_mode_that_has_lost_its_first_digit_is_warned_of() {
    let volumes = "[{name: a, secret: {secretName: keys, defaultMode: 400, items: [{key: word, path: a, mode: 0400}]}}, {name: b, configMap: {name: settings, defaultMode: 420}}]";
    let manifest = accepted(volumes, "[]");
    let told: Vec<String> = manifest.warnings.iter().map(ToString::to_string).collect();
    let wanted = "pod.yaml:16: spec.volumes[0].secret.defaultMode: 400 in decimal is mode 0620, and 0400 in octal is 256 in decimal";
    assert_eq!(told, [wanted]);
}

#[test]
fn the_published_pod_has_kubernetes_defaults_and_no_data() {
    let manifest = accepted(
        "[{name: a, configMap: {name: settings}}, {name: b, secret: {secretName: keys, defaultMode: 0400}}, \
          {name: c, downwardAPI: {items: [{path: a, fieldRef: {fieldPath: metadata.name}}]}}, \
          {name: d, projected: {sources: [{downwardAPI: {items: [{path: a, fieldRef: {fieldPath: metadata.name}}]}}, {secret: {name: keys}}]}}, {name: e}]",
        "[]",
    );
    let object = serde_json::to_value(&manifest.object).unwrap();
    let field = json!({"path": "a", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}});
    assert_eq!(
        object["spec"]["volumes"],
        json!([
            {"name": "a", "configMap": {"name": "settings", "defaultMode": 420}},
            {"name": "b", "secret": {"secretName": "keys", "defaultMode": 256}},
            {"name": "c", "downwardAPI": {"items": [field], "defaultMode": 420}},
            {"name": "d", "projected": {"sources": [{"downwardAPI": {"items": [field]}}, {"secret": {"name": "keys"}}], "defaultMode": 420}},
            {"name": "e", "emptyDir": {}},
        ])
    );
    let plan = files(&manifest, 1).plan(&manifest.sources);
    let recorded: Value = serde_json::to_value(&manifest.pod).unwrap();
    for text in [
        recorded.to_string(),
        object.to_string(),
        format!("{manifest:?} {plan:?}"),
    ] {
        assert!(!text.contains("hush"), "{text}");
    }
    let again: tenure_spec::PodSpec = serde_json::from_value(recorded).unwrap();
    assert_eq!(again, manifest.pod);
}
