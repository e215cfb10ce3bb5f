//! ConfigMaps and Secrets: as documents beside the pod, given from elsewhere, absent.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs)]

use std::path::PathBuf;
use std::rc::Rc;

use k8s_openapi::ByteString;
use serde_json::json;
use tenure_spec::Sources;
use tenure_spec::manifest::{Manifest, Origin, Problem, load_with};
use tenure_spec::oci::{Placement, config};
use tenure_spec::reference::Known;
use tenure_spec::sources::{Data, SourceKind};

const BESIDE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {A: a, B: $(A)}\nbinaryData: {raw: /w==}\n---\n\
                      apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\ntype: Opaque\ndata: {word: aHVzaA==, C: b2xk}\nstringData: {C: new}\n---\n";

/// A pod whose container has these fields, after documents.
fn read(before: &str, fields: &str, sources: Sources) -> Result<Manifest, Vec<Problem>> {
    let text = format!(
        "{before}apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  containers:\n  - name: app\n    image: bundle:app\n    {fields}\n"
    );
    let origin = Origin {
        file: "pod.yaml".into(),
        dir: PathBuf::from("/pods"),
    };
    load_with(text.as_bytes(), &origin, sources)
}

/// The variables of the container, without the bundle's.
#[track_caller]
fn variables(manifest: Manifest) -> Vec<String> {
    let pod = manifest.pod;
    let placement = Placement {
        rootfs: "/r".into(),
        known: Rc::new(Known {
            sources: manifest.sources,
            ..Known::default()
        }),
        ..Placement::default()
    };
    let base =
        json!({"process": {"args": ["/bin/app"], "env": ["A=bundle"], "cwd": "/"}, "root": {"path": "r"}});
    let config = config(&base, &pod.containers[0], &pod, &placement).unwrap();
    let env = config["process"]["env"].as_array().unwrap();
    env.iter()
        .map(|entry| entry.as_str().unwrap().to_owned())
        .collect()
}

fn told(result: Result<Manifest, Vec<Problem>>) -> Vec<String> {
    let problems = result.unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

fn given(data: &[(&str, &[u8])]) -> Data {
    let owned = |(key, value): &(&str, &[u8])| ((*key).to_owned(), ByteString(value.to_vec()));
    data.iter().map(owned).collect()
}

#[test]
fn variables_come_from_documents_beside_the_pod() {
    let fields = "envFrom: [{configMapRef: {name: settings}}, {prefix: K_, secretRef: {name: keys}}, {secretRef: {name: no, optional: true}}]\n    \
                  env: [{name: W, valueFrom: {secretKeyRef: {name: keys, key: word}}}, {name: B, value: <$(B)$(W)>}, \
                  {name: GONE, valueFrom: {configMapKeyRef: {name: settings, key: no, optional: true}}}, \
                  {name: GONE, valueFrom: {configMapKeyRef: {name: no, key: no, optional: true}}}]";
    let manifest = read(BESIDE, fields, Sources::default()).unwrap();
    let wanted = ["A=a", "B=<$(A)hush>", "K_C=new", "K_word=hush", "W=hush"];
    assert_eq!(variables(manifest), wanted);
}

#[test]
fn variables_come_from_what_is_given_and_nothing_of_it_is_in_what_is_recorded() {
    let mut sources = Sources::default();
    sources
        .insert(SourceKind::Secret, "keys", given(&[("word", b"hush")]))
        .unwrap();
    let fields = "env: [{name: W, valueFrom: {secretKeyRef: {name: keys, key: word}}}]";
    let manifest = read("", fields, sources.clone()).unwrap();
    let recorded = serde_json::to_string(&(&manifest.pod, &manifest.object)).unwrap();
    assert!(!recorded.contains("hush") && !format!("{manifest:?}").contains("hush"));
    let sent = serde_json::to_string(&sources).unwrap();
    assert_eq!(serde_json::from_str::<Sources>(&sent).unwrap(), sources);
    assert_eq!(variables(manifest), ["A=bundle", "W=hush"]);
}

#[test]
fn variables_are_not_taken_from_binary_data_though_it_be_text() {
    let document = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mixed}\ndata: {A: a}\nbinaryData: {B: dGV4dA==}\n---\n";
    let fields = "envFrom: [{configMapRef: {name: mixed}}]\n    \
                  env: [{name: C, valueFrom: {configMapKeyRef: {name: mixed, key: B, optional: true}}}]";
    let manifest = read(document, fields, Sources::default()).unwrap();
    assert_eq!(
        manifest.sources.files(SourceKind::ConfigMap, "mixed", false),
        Ok(Some([("A", &b"a"[..]), ("B", &b"text"[..])].into()))
    );
    assert_eq!(variables(manifest), ["A=a"]);
    let mut given_files = Sources::default();
    let files = given(&[("A", b"a"), ("RAW", &[0xff])]);
    given_files.insert(SourceKind::ConfigMap, "mixed", files).unwrap();
    let fields = "envFrom: [{configMapRef: {name: mixed}}]";
    assert_eq!(variables(read("", fields, given_files).unwrap()), ["A=a"]);
}

#[test]
fn what_is_absent_is_named_with_its_line() {
    let at = "spec.containers[0]";
    for (fields, wanted) in [
        (
            "envFrom: [{configMapRef: {name: no}}]",
            format!(
                "pod.yaml:21: {at}.envFrom[0]: ConfigMap \"no\" not found: give it with --config-map no=PATH or as a document of the manifest"
            ),
        ),
        (
            "env: [{name: A, valueFrom: {secretKeyRef: {name: keys, key: no}}}]",
            format!("pod.yaml:21: {at}.env[0].valueFrom: key \"no\" not found in Secret \"keys\""),
        ),
        (
            "env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: raw}}}]",
            format!(
                "pod.yaml:21: {at}.env[0].valueFrom: key \"raw\" of ConfigMap \"settings\" is binaryData, of which variables are not made"
            ),
        ),
        (
            "env: [{name: A, valueFrom: {configMapKeyRef: {key: a}}}]",
            format!("pod.yaml:21: {at}.env[0].valueFrom.configMapKeyRef.name: required"),
        ),
        (
            "envFrom: [{}]",
            format!("pod.yaml:21: {at}.envFrom[0]: must specify one of: configMapRef, secretRef"),
        ),
    ] {
        let problems = told(read(BESIDE, fields, Sources::default()));
        assert!(
            problems.contains(&wanted),
            "{fields}: {problems:?} has not {wanted}"
        );
    }
}

#[test]
fn a_document_of_data_that_is_wrong_is_told() {
    for (document, wanted) in [
        (
            "kind: Secret\nmetadata: {name: a}",
            "pod.yaml:1: apiVersion: must be v1",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: \"!\"}",
            "pod.yaml:4: data.a: ",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndatta: {a: b}",
            "pod.yaml:4: datta: unknown field",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {../a: b}",
            "pod.yaml:1: a key of ConfigMap \"a\" must consist of ",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A}",
            "pod.yaml:1: the name of a ConfigMap must be a DNS-1123 subdomain",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\nbinaryData: {a: Yg==}",
            "pod.yaml:1: key \"a\" stands in data and in binaryData",
        ),
    ] {
        let problems = told(read(&format!("{document}\n---\n"), "", Sources::default()));
        assert_eq!(problems.len(), 1, "{document}: {problems:?}");
        assert!(problems[0].starts_with(wanted), "{document}: {problems:?}");
    }
    let mut sources = Sources::default();
    sources
        .insert(SourceKind::ConfigMap, "settings", Data::new())
        .unwrap();
    let twice = told(read(BESIDE, "", sources));
    assert_eq!(twice, ["pod.yaml:1: ConfigMap \"settings\" is given twice"]);
    let large = vec![b'x'; 1 << 20];
    let large = Sources::default().insert(SourceKind::Secret, "a", given(&[("a", &large)]));
    assert_eq!(large, Err("Secret \"a\" is larger than 1 MiB".into()));
}
