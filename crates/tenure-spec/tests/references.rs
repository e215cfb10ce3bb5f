//! `valueFrom`: what is accepted, what is told, and what it comes to.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs)]

use std::path::PathBuf;
use std::rc::Rc;

use serde_json::json;
use tenure_spec::manifest::{Manifest, Origin, Problem, load};
use tenure_spec::oci::{Placement, config};
use tenure_spec::reference::{Known, NodeFacts};

fn read(spec: &str, env: &str) -> Result<Manifest, Vec<Problem>> {
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: shop, uid: u-1, labels: {{app: x, example.com/tier: front}}, annotations: {{note: $(A)}}}}\nspec:\n  {spec}\n  initContainers: [{{name: init, image: bundle:app, resources: {{limits: {{cpu: 250m}}}}}}]\n  containers:\n  - name: app\n    image: bundle:app\n    resources: {{limits: {{cpu: 1500m}}, requests: {{memory: 1.5Mi, ephemeral-storage: 3Ki}}}}\n    env:\n    - {{name: A, value: a}}\n    - {env}\n    - {{name: LAST, value: <$(V)>}}\n"
    );
    let origin = Origin {
        file: "pod.yaml".into(),
        dir: PathBuf::from("/pods"),
    };
    load(text.as_bytes(), &origin)
}

fn known() -> Rc<Known> {
    Rc::new(Known {
        node: NodeFacts {
            name: "machine".into(),
            addresses: vec!["10.0.0.7".into(), "fd00::7".into()],
            cpu_millis: 8000,
            memory_bytes: 1 << 30,
            ephemeral_storage_bytes: 10_000,
        },
        ..Known::default()
    })
}

/// The value of V, and what LAST makes of it.
#[track_caller]
fn value(spec: &str, source: &str) -> (String, String) {
    let pod = read(spec, &format!("{{name: V, valueFrom: {source}}}"));
    let pod = pod
        .unwrap_or_else(|problems| panic!("{source}: {problems:?}"))
        .pod;
    let placement = Placement {
        rootfs: "/r".into(),
        known: known(),
        ..Placement::default()
    };
    let base = json!({"process": {"args": ["/bin/app"], "env": [], "cwd": "/"}, "root": {"path": "r"}});
    let config = config(&base, &pod.containers[0], &pod, &placement).unwrap();
    let env = config["process"]["env"].as_array().unwrap();
    let of = |name: &str| {
        let entry = env
            .iter()
            .find_map(|entry| entry.as_str().unwrap().strip_prefix(name));
        entry
            .unwrap_or_else(|| panic!("{name} is not in {env:?}"))
            .to_owned()
    };
    (of("V="), of("LAST="))
}

#[test]
fn a_field_of_the_pod_becomes_a_variable() {
    for (path, wanted) in [
        ("metadata.name", "web"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "x"),
        ("metadata.labels['example.com/tier']", "front"),
        ("metadata.labels['absent']", ""),
        ("metadata.annotations['note']", "$(A)"),
        ("spec.nodeName", "machine"),
        ("spec.serviceAccountName", "default"),
        ("status.hostIP", "10.0.0.7"),
        ("status.hostIPs", "10.0.0.7,fd00::7"),
        ("status.podIP", "127.0.0.1"),
        ("status.podIPs", "127.0.0.1"),
    ] {
        let (value, last) = value("", &format!("{{fieldRef: {{fieldPath: \"{path}\"}}}}"));
        assert_eq!((value.as_str(), last), (wanted, format!("<{wanted}>")), "{path}");
    }
    let shared = value(
        "hostNetwork: true",
        "{fieldRef: {apiVersion: v1, fieldPath: status.podIPs}}",
    );
    assert_eq!(shared.0, "10.0.0.7,fd00::7");
    let account = value(
        "serviceAccountName: robot",
        "{fieldRef: {fieldPath: spec.serviceAccountName}}",
    );
    assert_eq!(account.0, "robot");
}

#[test]
fn an_amount_of_resources_is_rounded_up_to_whole_divisors() {
    for (field, wanted) in [
        ("resource: limits.cpu", "2"),
        ("resource: limits.cpu, divisor: 1m", "1500"),
        ("resource: limits.cpu, divisor: \"0\"", "2"),
        ("resource: limits.cpu, divisor: 1000m", "2"),
        ("resource: requests.cpu, divisor: 1m", "1500"),
        ("resource: limits.memory, divisor: 1Mi", "1024"),
        ("resource: limits.memory", "1073741824"),
        ("resource: requests.memory, divisor: 1Mi", "2"),
        ("resource: requests.memory, divisor: 1k", "1573"),
        ("resource: limits.ephemeral-storage, divisor: 1Ki", "10"),
        ("resource: requests.ephemeral-storage", "3072"),
        ("containerName: init, resource: limits.cpu", "1"),
        ("containerName: init, resource: limits.cpu, divisor: 1m", "250"),
        ("containerName: init, resource: requests.memory", "0"),
    ] {
        let (value, _) = value("", &format!("{{resourceFieldRef: {{{field}}}}}"));
        assert_eq!(value, wanted, "{field}");
    }
}

#[test]
fn a_limit_that_a_container_has_not_is_the_pods() {
    for (pods, field, wanted) in [
        (
            "{memory: 512Mi, cpu: 2}",
            "resource: limits.memory, divisor: 1Mi",
            "512",
        ),
        (
            "{memory: 512Mi, cpu: 2}",
            "resource: limits.cpu, divisor: 1m",
            "1500",
        ),
        (
            "{memory: 512Mi}",
            "containerName: init, resource: limits.cpu, divisor: 1m",
            "250",
        ),
        ("{cpu: 1600m}", "resource: limits.memory, divisor: 1Mi", "1024"),
        (
            "{memory: 512Mi}",
            "containerName: init, resource: limits.memory, divisor: 1Mi",
            "512",
        ),
        (
            "{memory: 512Mi}",
            "containerName: init, resource: requests.memory",
            "0",
        ),
    ] {
        let (value, _) = value(
            &format!("resources: {{limits: {pods}}}"),
            &format!("{{resourceFieldRef: {{{field}}}}}"),
        );
        assert_eq!(value, wanted, "{pods} {field}");
    }
}

/// What may not follow `valueFrom`, and what is said of it.
const BROKEN: &[(&str, &str)] = &[
    ("{}", ": must specify one of: "),
    (
        "{fieldRef: {fieldPath: metadata.name}, resourceFieldRef: {resource: limits.cpu}}",
        ": may not have more than one field specified at a time",
    ),
    ("{fieldRef: {}}", ".fieldRef.fieldPath: required"),
    (
        "{fieldRef: {fieldPath: status.phase}}",
        ".fieldRef.fieldPath: must be one of metadata.name, ",
    ),
    (
        "{fieldRef: {fieldPath: metadata.labels}}",
        ".fieldRef.fieldPath: must be one of ",
    ),
    (
        "{fieldRef: {fieldPath: \"metadata.name['a']\"}}",
        ".fieldRef.fieldPath: does not support a subscript: \"metadata.name['a']\"",
    ),
    (
        "{fieldRef: {fieldPath: \"metadata.labels['a b']\"}}",
        ".fieldRef.fieldPath: ",
    ),
    (
        "{fieldRef: {fieldPath: metadata.name, apiVersion: v2}}",
        ".fieldRef.apiVersion: must be v1, not \"v2\"",
    ),
    ("{resourceFieldRef: {}}", ".resourceFieldRef.resource: required"),
    (
        "{resourceFieldRef: {resource: limits.gpu}}",
        ".resourceFieldRef.resource: must be one of limits.cpu, ",
    ),
    (
        "{resourceFieldRef: {resource: limits.cpu, divisor: 2}}",
        ".resourceFieldRef.divisor: must be one of 1m, 1, not \"2\"",
    ),
    (
        "{resourceFieldRef: {resource: limits.memory, divisor: 1m}}",
        ".resourceFieldRef.divisor: must be one of 1, 1k, ",
    ),
    (
        "{resourceFieldRef: {resource: limits.cpu, containerName: other}}",
        ".resourceFieldRef.containerName: no container is named \"other\"",
    ),
    (
        "{fileKeyRef: {key: a, path: b, volumeName: c}}",
        ".fileKeyRef: not supported: ",
    ),
];

#[test]
fn a_reference_that_cannot_be_resolved_is_told_by_its_path() {
    let at = "pod.yaml:13: spec.containers[0].env[1].valueFrom";
    for (source, message) in BROKEN {
        let problems = read("", &format!("{{name: V, valueFrom: {source}}}")).unwrap_err();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1, "{source}: {told:?}");
        let wanted = format!("{at}{message}");
        assert!(
            told[0].starts_with(&wanted),
            "{source}: {} is not {wanted}",
            told[0]
        );
    }
    let both = read(
        "",
        "{name: V, value: a, valueFrom: {fieldRef: {fieldPath: metadata.name}}}",
    )
    .unwrap_err();
    let message = "may not be specified when `value` is not empty";
    assert_eq!(both[0].to_string(), format!("{at}: {message}"));
}
