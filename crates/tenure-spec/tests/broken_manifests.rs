//! Manifests with something wrong, and every line that is told about them.

// The tests are tables.
#![allow(clippy::too_many_lines)]

use std::path::PathBuf;

use tenure_spec::manifest::{Origin, load};

/// What is told about a text, one problem a line.
fn told(text: &[u8]) -> String {
    let origin = Origin {
        file: "pod.yaml".into(),
        dir: PathBuf::from("/pods"),
    };
    match load(text, &origin) {
        Ok(manifest) => format!("accepted {}", manifest.pod.name),
        Err(problems) => problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

/// A pod whose one container has further fields, which begin on line 9.
fn container(fields: &str) -> String {
    let fields = fields.trim_matches('\n').replace('\n', "\n    ");
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: app\n    image: bundle:app\n    {fields}\n"
    )
}

/// A pod with further fields of its spec, which begin on line 8.
fn spec(fields: &str) -> String {
    let fields = fields.trim_matches('\n').replace('\n', "\n  ");
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - {{name: app, image: bundle:app}}\n  {fields}\n"
    )
}

/// A pod with the given metadata on line 3.
fn metadata(fields: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {fields}\nspec:\n  containers:\n  - {{name: app, image: bundle:app}}\n"
    )
}

/// Compares each case; says all that differ at once.
fn compare(cases: &[(&str, String, &str)]) {
    let mut wrong = Vec::new();
    for (name, text, expected) in cases {
        let found = told(text.as_bytes());
        let expected: Vec<String> = expected
            .trim()
            .lines()
            .map(|line| {
                format!(
                    "pod.yaml:{}",
                    if line.trim().starts_with("the file") {
                        format!(" {}", line.trim())
                    } else {
                        line.trim().into()
                    }
                )
            })
            .collect();
        let expected = expected.join("\n");
        if found != expected {
            wrong.push(format!("== {name}\n-- expected\n{expected}\n-- found\n{found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_no_document_is_refused_in_one_line() {
    let deep = format!("a: {}{}", "[".repeat(70), "]".repeat(70));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..8 {
        let below = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", ")));
    }
    compare(&[
        ("empty", String::new(), " the file is empty, a v1 Pod is wanted"),
        (
            "comments only",
            "# nothing\n---\n# at all\n".into(),
            " the file is empty, a v1 Pod is wanted",
        ),
        ("null", "null\n".into(), " the file is empty, a v1 Pod is wanted"),
        (
            "a list",
            "- a\n".into(),
            "1: must be an object, a v1 Pod, not a list",
        ),
        (
            "a string",
            "hello\n".into(),
            "1: must be an object, a v1 Pod, not the string \"hello\"",
        ),
        ("deep", deep, "1: nested deeper than 64 levels"),
        ("bomb", bomb, "6: holds more than 200000 values, aliases followed"),
        (
            "alias of itself",
            "a: &a [*a]\n".into(),
            "1: an alias stands inside what it names",
        ),
        (
            "unknown alias",
            "a: *b\n".into(),
            "1: not valid YAML: while parsing node, found unknown anchor",
        ),
        (
            "two",
            format!("{}---\n{}", spec(""), spec("")),
            "10: a second document: a file holds one Pod",
        ),
        ("key", "[a]: b\n".into(), "1: a key must be a string"),
        (
            "tag",
            "a: !secret b\n".into(),
            "1: YAML tags are not supported here",
        ),
        (
            "wrong tag",
            "a: !!int b\n".into(),
            "1: tagged !!int but is the string \"b\"",
        ),
        (
            "merge",
            "a:\n  <<: 5\n".into(),
            "2: << takes an object or a list of objects",
        ),
    ]);
}

#[test]
fn a_syntax_error_tells_its_line() {
    for (text, line) in [
        ("apiVersion: v1\nkind: [Pod\nspec: {}\n", 3),
        ("apiVersion: v1\nkind: 'Pod\n", 2),
        ("apiVersion: v1\nspec:\n\tcontainers: []\n", 3),
        ("{\"apiVersion\": \"v1\",\n\"kind\": \"Pod\"\n", 3),
        ("a: b: c\n", 1),
    ] {
        let told = told(text.as_bytes());
        assert!(
            told.starts_with(&format!("pod.yaml:{line}: not valid ")),
            "{text:?}: {told}"
        );
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    assert_eq!(told(b"kind: P\xffod\n"), "pod.yaml: not UTF-8 at byte 7");
    assert_eq!(told(&vec![b'#'; 1024 * 1024 + 1]), "pod.yaml: larger than 1 MiB");
    assert_eq!(
        told(&vec![b'#'; 1024 * 1024]),
        "pod.yaml: the file is empty, a v1 Pod is wanted"
    );
    assert_eq!(
        told("\u{feff}kind: Pod".as_bytes()).lines().next(),
        Some("pod.yaml:1: apiVersion: required, v1 is wanted")
    );
}

#[test]
fn what_is_no_v1_pod_is_refused() {
    compare(&[
        (
            "deployment",
            "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 3}\n".into(),
            "2: kind: Deployment is not supported, a v1 Pod is",
        ),
        (
            "version",
            "apiVersion: v2\nkind: Pod\n".into(),
            "1: apiVersion: v2 is not supported, a v1 Pod is",
        ),
        (
            "kind a list",
            "apiVersion: v1\nkind: [Pod]\n".into(),
            "2: kind: must be Pod, not a list",
        ),
        (
            "version a number",
            "apiVersion: 1\nkind: Pod\n".into(),
            "1: apiVersion: must be v1, not the number 1",
        ),
        (
            "empty object",
            "{}\n".into(),
            "1: kind: required, Pod is wanted\n1: apiVersion: required, v1 is wanted",
        ),
        (
            "no spec",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n".into(),
            "1: spec: required",
        ),
        (
            "null spec",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n".into(),
            "4: spec: required",
        ),
        (
            "no containers",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n".into(),
            "4: spec.containers: required",
        ),
        (
            "empty containers",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers: []\n".into(),
            "5: spec.containers: required",
        ),
    ]);
}

#[test]
fn unknown_fields_and_wrong_types_are_told_all_at_once() {
    compare(&[
        (
            "unknown",
            container("livenesProbe: {}\nlifecycle:\n  poststart: {}\n  preStop: {sleep: {second: 1}}"),
            "9: spec.containers[0].livenesProbe: unknown field, did you mean livenessProbe?
            11: spec.containers[0].lifecycle.poststart: unknown field, did you mean postStart?
            12: spec.containers[0].lifecycle.preStop.sleep.second: unknown field, did you mean seconds?",
        ),
        (
            "below ignored",
            spec("affinity:\n  nodeAfinity: {}\n  podAffinity: 5"),
            "9: spec.affinity.nodeAfinity: unknown field, did you mean nodeAffinity?
            10: spec.affinity.podAffinity: must be an object, not the number 5",
        ),
        (
            "types",
            container("args: [1, true, ok, null, [x]]\nstdin: \"yes\"\ncommand: sh\nports:\n- containerPort: \"80\"\nenv: {A: b}\nresources: 5"),
            "9: spec.containers[0].args[0]: must be a string in quotes, not the number 1
            9: spec.containers[0].args[1]: must be a string in quotes, not the boolean true
            9: spec.containers[0].args[3]: must be a string, not null
            9: spec.containers[0].args[4]: must be a string, not a list
            10: spec.containers[0].stdin: must be true or false, not the string \"yes\"
            11: spec.containers[0].command: must be a list, not the string \"sh\"
            13: spec.containers[0].ports[0].containerPort: must be a 32-bit integer, not the string \"80\"
            14: spec.containers[0].env: must be a list, not an object
            15: spec.containers[0].resources: must be an object, not the number 5",
        ),
        (
            "a container that is a string",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers: [app, {name: b, image: \"x:y\"}]\n".into(),
            "5: spec.containers[0]: must be an object, not the string \"app\"
            5: spec.containers[1].image: must be bundle:PATH or bundle-rw:PATH, not \"x:y\"",
        ),
        (
            "numbers",
            spec("terminationGracePeriodSeconds: 1.5\nactiveDeadlineSeconds: 99999999999999999999\npriority: 9999999999"),
            "8: spec.terminationGracePeriodSeconds: must be an integer, not the number 1.5
            9: spec.activeDeadlineSeconds: must be an integer, not the number 99999999999999999999
            10: spec.priority: must be a 32-bit integer, not the number 9999999999",
        ),
        (
            "port",
            container("lifecycle:\n  preStop: {httpGet: {port: true}}\n  postStart: {httpGet: {port: 99999999999}}"),
            "10: spec.containers[0].lifecycle.preStop.httpGet.port: must be an integer or a string, not the boolean true
            11: spec.containers[0].lifecycle.postStart.httpGet.port: must be a 32-bit integer, not the number 99999999999",
        ),
        (
            "quantity",
            container("resources: {limits: {cpu: true, memory: {}}}"),
            "9: spec.containers[0].resources.limits[cpu]: must be a quantity such as 500m or 64Mi, not the boolean true
            9: spec.containers[0].resources.limits[memory]: must be a quantity such as 500m or 64Mi, not an object",
        ),
        (
            "duplicate keys",
            container("args: [a]\ntty: true\nargs: [b]\nenv:\n- name: A\n  name: B"),
            "11: spec.containers[0].args: duplicate key, first on line 9
            14: spec.containers[0].env[0].name: duplicate key, first on line 13",
        ),
        (
            "nul",
            container("args: [\"a\\0b\"]\nworkingDir: \"/\\0\""),
            "9: spec.containers[0].args[0]: must not hold a NUL byte
            10: spec.containers[0].workingDir: must not hold a NUL byte",
        ),
        (
            "json",
            "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Pod\",\n  \"metadata\": {\"name\": \"a\"},\n  \"spec\": {\n    \"containers\": [\n      {\"name\": \"b\",\n       \"image\": 5,\n       \"bogus\": 1}\n    ]\n  }\n}\n".into(),
            "8: spec.containers[0].image: must be a string in quotes, not the number 5
            9: spec.containers[0].bogus: unknown field",
        ),
        (
            "one line",
            "{apiVersion: v1, kind: Pod, metadata: {name: A}, spec: {restartPolicy: No, containers: [{name: b}]}}".into(),
            "1: metadata.name: must be a DNS-1123 subdomain: lower case letters, digits, '-' and '.', every part beginning and ending with a letter or digit, at most 253 characters, not \"A\"
            1: spec.restartPolicy: must be one of Always, OnFailure, Never, not \"No\"
            1: spec.containers[0].image: required",
        ),
    ]);
}

const SEARCH: &str = "must be a DNS-1123 subdomain: lower case letters, digits, '-', '_' and '.', every part beginning \
                      and ending with a letter or digit, at most 253 characters";
const LABEL: &str = "must be a DNS-1123 label: lower case letters, digits and '-', beginning and ending with a letter or \
                     digit, at most 63 characters";
const SUBDOMAIN: &str = "must be a DNS-1123 subdomain: lower case letters, digits, '-' and '.', every part beginning and \
                         ending with a letter or digit, at most 253 characters";
const VOLUME_FIELDS: &str = "must be one of metadata.annotations, metadata.labels, metadata.name, metadata.namespace, \
                             metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY']";
const KEY: &str = "must be letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, at most 63 \
                   characters, after an optional DNS prefix and '/'";

#[test]
fn bad_metadata_is_told() {
    compare(&[
        ("no name", metadata("{}"), "3: metadata.name: required"),
        ("slash", metadata("{name: a/../b}"), &format!("3: metadata.name: {SUBDOMAIN}, not \"a/../b\"")),
        ("underscore", metadata("{name: a_b}"), &format!("3: metadata.name: {SUBDOMAIN}, not \"a_b\"")),
        ("namespace", metadata("{name: a, namespace: a.b}"), &format!("3: metadata.namespace: {LABEL}, not \"a.b\"")),
        (
            "uid",
            metadata("{name: a, uid: ../x}"),
            "3: metadata.uid: must consist of letters, digits and '-', at most 128 of them, not \"../x\"",
        ),
        ("label key", metadata("{name: a, labels: {-a: b}}"), &format!("3: metadata.labels[-a]: {KEY}, not \"-a\"")),
        (
            "label value",
            metadata("{name: a, labels: {a: \"b c\"}}"),
            "3: metadata.labels[a]: must be empty or letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, at most 63 characters, not \"b c\"",
        ),
        (
            "annotation",
            metadata("{name: a, annotations: {a/b/c: d, org.tenure.lifecycle.preStop: e}}"),
            &format!("3: metadata.annotations[a/b/c]: {KEY}, not \"a/b/c\"
            3: metadata.annotations[org.tenure.lifecycle.preStop]: not supported in a manifest: set lifecycle of the container"),
        ),
    ]);
    let told = told(metadata("{generateName: A-}").as_bytes());
    assert!(
        told.starts_with(&format!("pod.yaml:3: metadata.name: {SUBDOMAIN}, not \"A-")),
        "{told}"
    );
}

#[test]
fn s95_bad_and_duplicate_names_are_told() {
    compare(&[
        (
            "bad name",
            container("").replace("name: app", "name: Web_1"),
            &format!("7: spec.containers[0].name: {LABEL}, not \"Web_1\""),
        ),
        (
            "duplicate over init and app",
            spec(
                "initContainers:\n- {name: app, image: bundle:a}\n- {name: b, image: bundle:a}\n- {name: b, image: bundle:a}",
            ),
            "7: spec.containers[0].name: duplicate value \"app\"
            11: spec.initContainers[2].name: duplicate value \"b\"",
        ),
        (
            "no name",
            container("").replace("name: app\n    image", "image"),
            "7: spec.containers[0].name: required",
        ),
        (
            "too long together",
            container("").replace("name: web", &format!("name: {}", "a".repeat(250))),
            "7: spec.containers[0].name: must be at most 243 characters together with the pod's name",
        ),
    ]);
}

#[test]
fn bad_images_are_told() {
    let image = |image: &str| container("").replace("bundle:app", image);
    compare(&[
        (
            "absent",
            container("").replace("    image: bundle:app\n", ""),
            "7: spec.containers[0].image: required",
        ),
        (
            "registry",
            image("nginx:1.25"),
            "8: spec.containers[0].image: must be bundle:PATH or bundle-rw:PATH, not \"nginx:1.25\"",
        ),
        (
            "empty path",
            image("\"bundle:\""),
            "8: spec.containers[0].image: must name a folder after \"bundle:\"",
        ),
    ]);
}

#[test]
fn s21_s40_s93_s94_bad_handlers_are_told() {
    let handler = |handler: &str| {
        spec("terminationGracePeriodSeconds: 5").replace(
            "image: bundle:app}",
            &format!("image: bundle:app, lifecycle: {{postStart: {handler}}}}}"),
        )
    };
    let at = "spec.containers[0].lifecycle.postStart";
    let sleep = |n: i32| {
        format!(
            "7: {at}.sleep.seconds: must be between 0 and terminationGracePeriodSeconds (5), inclusive, not {n}"
        )
    };
    compare(&[
        ("none", handler("{}"), &format!("7: {at}: must specify a handler type")),
        (
            "two",
            handler("{exec: {command: [a]}, httpGet: {port: 80}}"),
            &format!("7: {at}.httpGet: may not specify more than 1 handler type"),
        ),
        (
            "three",
            handler("{sleep: {seconds: 1}, exec: {command: [a]}, httpGet: {port: 80}}"),
            &format!("7: {at}.sleep: may not specify more than 1 handler type
            7: {at}.httpGet: may not specify more than 1 handler type"),
        ),
        (
            "tcp",
            handler("{tcpSocket: {port: 80}}"),
            &format!("7: {at}.tcpSocket: not supported: a lifecycle handler of this type always fails, use exec or httpGet"),
        ),
        ("six", handler("{sleep: {seconds: 6}}"), &sleep(6)),
        ("minus one", handler("{sleep: {seconds: -1}}"), &sleep(-1)),
        ("no command", handler("{exec: {}}"), &format!("7: {at}.exec.command: required")),
        ("empty program", handler("{exec: {command: [\"\"]}}"), &format!("7: {at}.exec.command[0]: must not be empty")),
        ("port 0", handler("{httpGet: {port: 0}}"), &format!("7: {at}.httpGet.port: must be between 1 and 65535, inclusive, not 0")),
        ("port high", handler("{httpGet: {port: 65536}}"), &format!("7: {at}.httpGet.port: must be between 1 and 65535, inclusive, not 65536")),
        ("port in words", handler("{httpGet: {port: \"70000\"}}"), &format!("7: {at}.httpGet.port: must be between 1 and 65535, inclusive, not 70000")),
        ("port name", handler("{httpGet: {port: web}}"), &format!("7: {at}.httpGet.port: no port of the container is named \"web\"")),
        (
            "port no name",
            handler("{httpGet: {port: a--b}}"),
            &format!("7: {at}.httpGet.port: must be an IANA service name: lower case letters, digits and single '-', at least one letter, at most 15 characters, not \"a--b\""),
        ),
        ("scheme", handler("{httpGet: {port: 1, scheme: http}}"), &format!("7: {at}.httpGet.scheme: must be one of HTTP, HTTPS, not \"http\"")),
        ("host", handler("{httpGet: {port: 1, host: \"a b\"}}"), &format!("7: {at}.httpGet.host: must be a host name or an IP address, not \"a b\"")),
        (
            "headers",
            handler("{httpGet: {port: 1, httpHeaders: [{name: \"a:b\", value: c}, {name: d, value: \"e\\r\\nf\"}]}}"),
            &format!("7: {at}.httpGet.httpHeaders[0].name: must consist of letters, digits, '-' and '_', not \"a:b\"
            7: {at}.httpGet.httpHeaders[1].value: must not hold control characters"),
        ),
        ("protocol", handler("{httpGet: {port: 1, protocol: HTTP2}}"), &format!("7: {at}.httpGet.protocol: not supported: requests are HTTP/1.1")),
        (
            "signal",
            container("lifecycle: {stopSignal: SIGFOO}"),
            "9: spec.containers[0].lifecycle.stopSignal: must be a signal name such as SIGUSR1 or SIGRTMIN+3, not \"SIGFOO\"",
        ),
        (
            "short signal",
            container("lifecycle: {stopSignal: TERM}"),
            "9: spec.containers[0].lifecycle.stopSignal: must be a signal name such as SIGUSR1 or SIGRTMIN+3, not \"TERM\"",
        ),
    ]);
    assert_eq!(told(handler("{sleep: {seconds: 5}}").as_bytes()), "accepted web");
    assert_eq!(told(handler("{sleep: {seconds: 0}}").as_bytes()), "accepted web");
}

#[test]
fn s67_plain_init_containers_have_neither_lifecycle_nor_probes() {
    let forbidden = "may not be set for init containers without restartPolicy=Always";
    compare(&[
        (
            "all four",
            spec(
                "initContainers:\n- name: i\n  image: bundle:a\n  lifecycle: {postStart: {sleep: {seconds: 1}}}\n  livenessProbe: {exec: {command: [a]}}\n  readinessProbe: {exec: {command: [a]}}\n  startupProbe: {exec: {command: [a]}}\n  resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]",
            ),
            &format!(
                "11: spec.initContainers[0].lifecycle: {forbidden}
            12: spec.initContainers[0].livenessProbe: {forbidden}
            13: spec.initContainers[0].readinessProbe: {forbidden}
            14: spec.initContainers[0].startupProbe: {forbidden}
            15: spec.initContainers[0].resizePolicy: must not be set for init containers"
            ),
        ),
        (
            "other policy",
            spec("initContainers:\n- {name: i, image: bundle:a, restartPolicy: OnFailure, lifecycle: {}}"),
            &format!("9: spec.initContainers[0].lifecycle: {forbidden}"),
        ),
    ]);
}

#[test]
fn bad_restart_rules_are_told() {
    let at = "spec.containers[0]";
    compare(&[(
        "rules",
        container(
            "restartPolicyRules:\n- {action: Stop, exitCodes: {operator: In, values: [1]}}\n- {action: Restart, exitCodes: {operator: Is, values: [1, 1, 256]}}\n- {action: Restart}\n- {action: RestartAllContainers, exitCodes: {operator: NotIn, values: []}}",
        ),
        &format!(
            "7: {at}.restartPolicy: must specify restartPolicy when restart rules are used
            10: {at}.restartPolicyRules[0].action: must be one of Restart, RestartAllContainers, not \"Stop\"
            11: {at}.restartPolicyRules[1].exitCodes.operator: must be one of In, NotIn, not \"Is\"
            11: {at}.restartPolicyRules[1].exitCodes.values[1]: duplicate value 1
            11: {at}.restartPolicyRules[1].exitCodes.values[2]: must be between 0 and 255, inclusive, not 256
            12: {at}.restartPolicyRules[2].exitCodes: required
            13: {at}.restartPolicyRules[3].exitCodes.values: required"
        ),
    )]);
}

#[test]
fn s97_s98_bad_probes_are_told() {
    let at = "spec.containers[0]";
    compare(&[
        (
            "grace",
            container(
                "readinessProbe: {exec: {command: [a]}, terminationGracePeriodSeconds: 5}\nlivenessProbe: {exec: {command: [a]}, terminationGracePeriodSeconds: 0}",
            ),
            &format!(
                "9: {at}.readinessProbe.terminationGracePeriodSeconds: must not be set for readinessProbes
            10: {at}.livenessProbe.terminationGracePeriodSeconds: must be greater than 0, not 0"
            ),
        ),
        (
            "successThreshold",
            container(
                "livenessProbe: {exec: {command: [a]}, successThreshold: 2}\nstartupProbe: {exec: {command: [a]}, successThreshold: 2}",
            ),
            &format!(
                "9: {at}.livenessProbe.successThreshold: must be 1
            10: {at}.startupProbe.successThreshold: must be 1"
            ),
        ),
        (
            "counts",
            container(
                "readinessProbe: {tcpSocket: {port: 1}, periodSeconds: -1, timeoutSeconds: -2, initialDelaySeconds: -3, failureThreshold: -4}",
            ),
            &format!(
                "9: {at}.readinessProbe.periodSeconds: must be greater than or equal to 0, not -1
            9: {at}.readinessProbe.timeoutSeconds: must be greater than or equal to 0, not -2
            9: {at}.readinessProbe.initialDelaySeconds: must be greater than or equal to 0, not -3
            9: {at}.readinessProbe.failureThreshold: must be greater than or equal to 0, not -4"
            ),
        ),
        (
            "no handler",
            container("readinessProbe: {}"),
            &format!("9: {at}.readinessProbe: must specify a handler type"),
        ),
        (
            "two handlers",
            container("startupProbe: {grpc: {port: 0}, tcpSocket: {port: 1}}"),
            &format!(
                "9: {at}.startupProbe.grpc: may not specify more than 1 handler type
            9: {at}.startupProbe.grpc.port: must be between 1 and 65535, inclusive, not 0"
            ),
        ),
    ]);
}

#[test]
fn bad_container_fields_are_told() {
    let at = "spec.containers[0]";
    compare(&[
        ("cwd", container("workingDir: app"), &format!("9: {at}.workingDir: must be an absolute path, not \"app\"")),
        (
            "env",
            container("env: [{name: \"\"}, {name: A=B}, {name: \"ä\"}, {name: C, value: 5}]"),
            &format!("9: {at}.env[0].name: required
            9: {at}.env[1].name: must consist of printable ASCII characters other than '=', not \"A=B\"
            9: {at}.env[2].name: must consist of printable ASCII characters other than '=', not \"ä\"
            9: {at}.env[3].value: must be a string in quotes, not the number 5"),
        ),
        (
            "ports",
            container("ports: [{name: WEB, containerPort: 80}, {name: a}, {name: a, containerPort: 70000, protocol: tcp}]"),
            &format!("9: {at}.ports[0].name: must be an IANA service name: lower case letters, digits and single '-', at least one letter, at most 15 characters, not \"WEB\"
            9: {at}.ports[1].containerPort: required
            9: {at}.ports[2].name: duplicate value \"a\"
            9: {at}.ports[2].containerPort: must be between 1 and 65535, inclusive, not 70000
            9: {at}.ports[2].protocol: must be one of TCP, UDP, SCTP, not \"tcp\""),
        ),
        (
            "host port",
            container("ports: [{containerPort: 80, hostPort: 80}]"),
            &format!("9: {at}.ports[0].hostPort: not supported: the pod's network is its own, use hostNetwork"),
        ),
        (
            "host port on host network",
            container("ports: [{containerPort: 80, hostPort: 81}]").replace("spec:\n", "spec:\n  hostNetwork: true\n"),
            &format!("10: {at}.ports[0].hostPort: must match `containerPort` when `hostNetwork` is true"),
        ),
        (
            "termination message",
            container("terminationMessagePath: log\nterminationMessagePolicy: Log"),
            &format!("9: {at}.terminationMessagePath: must be an absolute path, not \"log\"
            10: {at}.terminationMessagePolicy: must be one of File, FallbackToLogsOnError, not \"Log\""),
        ),
        ("restart policy", container("restartPolicy: Sometimes"), &format!("9: {at}.restartPolicy: must be one of Always, OnFailure, Never, not \"Sometimes\"")),
        ("devices", container("volumeDevices: [{name: a, devicePath: /dev/a}]"), &format!("9: {at}.volumeDevices: not supported: only emptyDir, hostPath, configMap, secret, downwardAPI and projected volumes are")),
        (
            "resources",
            container("resources:\n  limits: {cpu: 100m, memory: 1Mi, example.com/gpu: 1, ephemeral-storage: 1Gi}\n  requests: {cpu: 0.2, memory: 2M, ephemeral-storage: 1Gi}\n  claims: [{name: a}]"),
            &format!("10: {at}.resources.limits[example.com/gpu]: not supported: only cpu, memory and hugepages-SIZE are
            10: {at}.resources.limits[ephemeral-storage]: not supported: only cpu, memory and hugepages-SIZE are
            11: {at}.resources.requests[cpu]: must be less than or equal to the cpu limit of 100m
            11: {at}.resources.requests[memory]: must be less than or equal to the memory limit of 1Mi
            12: {at}.resources.claims: not supported: there are no device drivers to claim from"),
        ),
        (
            "quantities",
            container("resources: {limits: {cpu: -1, memory: 1mb}, requests: {cpu: 1e40}}"),
            &format!("9: {at}.resources.limits[cpu]: must be greater than or equal to 0, not \"-1\"
            9: {at}.resources.limits[memory]: must be a quantity such as 500m, 1.5 or 64Mi, not \"1mb\"
            9: {at}.resources.requests[cpu]: is too large, not \"1e40\""),
        ),
    ]);
}

#[test]
fn bad_security_contexts_are_told() {
    let at = "spec.containers[0].securityContext";
    compare(&[
        (
            "ids",
            container("securityContext: {runAsUser: -1, runAsGroup: 4294967295}"),
            &format!("9: {at}.runAsUser: must be between 0 and 2147483647, inclusive, not -1
            9: {at}.runAsGroup: must be between 0 and 2147483647, inclusive, not 4294967295"),
        ),
        (
            "capability",
            container("securityContext: {capabilities: {add: [NET_ADMIN, cap_foo], drop: [\"\"]}}"),
            &format!("9: {at}.capabilities.add[1]: must be a Linux capability such as NET_ADMIN, or ALL, not \"cap_foo\"
            9: {at}.capabilities.drop[0]: must be a Linux capability such as NET_ADMIN, or ALL, not \"\""),
        ),
        (
            "escalation",
            container("securityContext: {privileged: true, allowPrivilegeEscalation: false, capabilities: {add: [SYS_ADMIN]}}"),
            &format!("9: {at}.allowPrivilegeEscalation: cannot set `allowPrivilegeEscalation` to false and `privileged` to true
            9: {at}.allowPrivilegeEscalation: cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"),
        ),
        (
            "seccomp",
            container("securityContext: {seccompProfile: {type: Localhost}}"),
            &format!("9: {at}.seccompProfile.localhostProfile: must be set when seccomp type is Localhost"),
        ),
        (
            "seccomp path",
            container("securityContext: {seccompProfile: {type: Localhost, localhostProfile: ../a.json}}"),
            &format!("9: {at}.seccompProfile.localhostProfile: must not contain '..', not \"../a.json\""),
        ),
        (
            "seccomp both",
            container("securityContext: {seccompProfile: {type: Unconfined, localhostProfile: a.json}}"),
            &format!("9: {at}.seccompProfile.localhostProfile: can only be set when seccomp type is Localhost"),
        ),
        (
            "seccomp type",
            container("securityContext: {seccompProfile: {type: unconfined}}"),
            &format!("9: {at}.seccompProfile.type: must be one of RuntimeDefault, Unconfined, Localhost, not \"unconfined\""),
        ),
        ("proc", container("securityContext: {procMount: Unmasked}"), &format!("9: {at}.procMount: not supported: Unmasked needs a user namespace of the pod's own")),
        (
            "labels",
            container("securityContext: {seLinuxOptions: {level: s0}, appArmorProfile: {type: Unconfined}}"),
            &format!("9: {at}.seLinuxOptions: not supported: the bundle's own label stands
            9: {at}.appArmorProfile: not supported: the bundle's own profile stands"),
        ),
        (
            "pod",
            spec("securityContext: {fsGroup: -1, supplementalGroups: [0, -2], supplementalGroupsPolicy: Both, sysctls: [{name: net.core.somaxconn, value: \"1\"}, {name: net/core/somaxconn, value: \"1\"}, {name: vm.swappiness, value: \"1\"}, {name: ../x, value: \"1\"}]}"),
            "8: spec.securityContext.fsGroup: must be between 0 and 2147483647, inclusive, not -1
            8: spec.securityContext.supplementalGroups[1]: must be between 0 and 2147483647, inclusive, not -2
            8: spec.securityContext.supplementalGroupsPolicy: must be one of Merge, Strict, not \"Both\"
            8: spec.securityContext.sysctls[1].name: duplicate value \"net.core.somaxconn\"
            8: spec.securityContext.sysctls[2].name: not supported: it belongs to the whole machine, not to the pod
            8: spec.securityContext.sysctls[3].name: must be a kernel parameter such as net.ipv4.ip_unprivileged_port_start, not \"../x\"",
        ),
        (
            "host sysctls",
            spec("hostNetwork: true\nhostIPC: true\nsecurityContext: {sysctls: [{name: net.core.somaxconn, value: \"1\"}, {name: kernel.shmmax, value: \"1\"}]}"),
            "10: spec.securityContext.sysctls[0].name: may not be set when hostNetwork is true
            10: spec.securityContext.sysctls[1].name: may not be set when hostIPC is true",
        ),
    ]);
    assert_eq!(
        told(container("securityContext: {seccompProfile: {localhostProfile: \"\"}}").as_bytes()),
        format!(
            "pod.yaml:9: {at}.seccompProfile.type: required\npod.yaml:9: {at}.seccompProfile.localhostProfile: can only be set when seccomp type is Localhost"
        )
    );
}

#[test]
fn bad_volumes_and_mounts_are_told() {
    let mounts = "spec.containers[0].volumeMounts";
    let with = |volumes: &str, mounts: &str| {
        spec(&format!("volumes: {volumes}")).replace(
            "image: bundle:app}",
            &format!("image: bundle:app, volumeMounts: {mounts}}}"),
        )
    };
    compare(&[
        (
            "names",
            with("[{name: A}, {name: b}, {name: b}, {}]", "[]"),
            &format!("8: spec.volumes[0].name: {LABEL}, not \"A\"
            8: spec.volumes[2].name: duplicate value \"b\"
            8: spec.volumes[3].name: required"),
        ),
        (
            "two sources",
            with("[{name: a, emptyDir: {}, hostPath: {path: /a}}]", "[]"),
            "8: spec.volumes[0].hostPath: may not specify more than 1 volume type",
        ),
        (
            "many sources",
            with("[{name: a, secret: {secretName: a, optional: true}, emptyDir: {}, downwardAPI: {}, projected: {}}]", "[]"),
            "8: spec.volumes[0].secret: may not specify more than 1 volume type
            8: spec.volumes[0].downwardAPI: may not specify more than 1 volume type
            8: spec.volumes[0].projected: may not specify more than 1 volume type",
        ),
        (
            "sources",
            with("[{name: b, persistentVolumeClaim: {claimName: a}}, {name: e, csi: {driver: a}}]", "[]"),
            "8: spec.volumes[0].persistentVolumeClaim: not supported: only emptyDir, hostPath, configMap, secret, downwardAPI and projected volumes are
            8: spec.volumes[1].csi: not supported: only emptyDir, hostPath, configMap, secret, downwardAPI and projected volumes are",
        ),
        (
            "emptyDir",
            with("[{name: a, emptyDir: {medium: HugePages, sizeLimit: 1x}}, {name: b, emptyDir: {mode: 0700}}]", "[]"),
            "8: spec.volumes[0].emptyDir.medium: must be one of Memory, not \"HugePages\"
            8: spec.volumes[0].emptyDir.sizeLimit: must be a quantity such as 500m, 1.5 or 64Mi, not \"1x\"
            8: spec.volumes[1].emptyDir.mode: not supported: the folder has mode 0777",
        ),
        (
            "hostPath",
            with("[{name: a, hostPath: {}}, {name: b, hostPath: {path: a}}, {name: c, hostPath: {path: /a/../b, type: Dir}}]", "[]"),
            "8: spec.volumes[0].hostPath.path: required
            8: spec.volumes[1].hostPath.path: must be an absolute path, not \"a\"
            8: spec.volumes[2].hostPath.path: must not contain '..', not \"/a/../b\"
            8: spec.volumes[2].hostPath.type: must be one of DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice, BlockDevice, not \"Dir\"",
        ),
        (
            "mounts",
            with("[{name: a}]", "[{name: b, mountPath: /a}, {mountPath: x}, {name: a, mountPath: \"/a/\"}, {name: a}, {name: a, mountPath: /}]"),
            &format!("7: {mounts}[0].name: no volume is named \"b\"
            7: {mounts}[1].name: required
            7: {mounts}[1].mountPath: must be an absolute path, not \"x\"
            7: {mounts}[2].mountPath: must be unique, \"/a/\" is mounted upon twice
            7: {mounts}[3].mountPath: required
            7: {mounts}[4].mountPath: must not be the root of the container"),
        ),
        (
            "paths",
            with("[{name: a}]", "[{name: a, mountPath: \"/a:b\", subPath: ../x}, {name: a, mountPath: /b/../c, subPath: /y}, {name: a, mountPath: /d, subPath: a/../../b}, {name: a, mountPath: /e, subPathExpr: x}]"),
            &format!("7: {mounts}[0].mountPath: must not contain ':', not \"/a:b\"
            7: {mounts}[0].subPath: must not contain '..', not \"../x\"
            7: {mounts}[1].mountPath: must not contain '..', not \"/b/../c\"
            7: {mounts}[1].subPath: must be a relative path, not \"/y\"
            7: {mounts}[2].subPath: must not contain '..', not \"a/../../b\"
            7: {mounts}[3].subPathExpr: not supported: use subPath"),
        ),
        (
            "propagation",
            with("[{name: a}]", "[{name: a, mountPath: /a, mountPropagation: Shared}, {name: a, mountPath: /b, mountPropagation: Bidirectional}, {name: a, mountPath: /c, readOnly: true, recursiveReadOnly: Enabled}]"),
            &format!("7: {mounts}[0].mountPropagation: must be one of None, HostToContainer, Bidirectional, not \"Shared\"
            7: {mounts}[1].mountPropagation: Bidirectional mount propagation is available only to privileged containers
            7: {mounts}[2].recursiveReadOnly: not supported: mounts below a read-only volume stay as they are"),
        ),
    ]);
}

#[test]
fn bad_volumes_of_files_are_told() {
    let with = |volumes: &str| spec(&format!("volumes:\n{volumes}"));
    let v = "spec.volumes[0]";
    compare(&[
        (
            "names",
            with("- {name: a, configMap: {}}\n- {name: b, secret: {optional: true}}\n- {name: c, configMap: {name: A}}\n- {name: d, projected: {sources: [{secret: {}}, {}]}}"),
            &format!("9: {v}.configMap.name: required
            10: spec.volumes[1].secret.secretName: required
            11: spec.volumes[2].configMap.name: {SUBDOMAIN}, not \"A\"
            12: spec.volumes[3].projected.sources[0].secret.name: required
            12: spec.volumes[3].projected.sources[1]: must specify one of: configMap, downwardAPI, secret"),
        ),
        (
            "absent",
            with("- {name: a, configMap: {name: no}}\n- {name: b, secret: {secretName: no}}\n- {name: c, projected: {sources: [{secret: {name: no, optional: true}}, {configMap: {name: no}}]}}"),
            &format!("9: {v}.configMap: ConfigMap \"no\" not found: give it with --config-map no=PATH or as a document of the manifest
            10: spec.volumes[1].secret: Secret \"no\" not found: give it with --secret no=PATH or as a document of the manifest
            11: spec.volumes[2].projected.sources[1].configMap: ConfigMap \"no\" not found: give it with --config-map no=PATH or as a document of the manifest"),
        ),
        (
            "sources of other kinds",
            with("- name: a\n  projected:\n    sources:\n    - {serviceAccountToken: {path: token}}\n    - {clusterTrustBundle: {name: a, path: b}}\n    - {podCertificate: {signerName: a}}\n    - {secret: {name: a, optional: true}, downwardAPI: {}}\n    - {image: a}"),
            &format!("12: {v}.projected.sources[0].serviceAccountToken: not supported: there is no API server here
            13: {v}.projected.sources[1].clusterTrustBundle: not supported: there is no API server here
            14: {v}.projected.sources[2].podCertificate: not supported: there is no API server here
            15: {v}.projected.sources[3].secret: may not specify more than 1 volume type
            16: {v}.projected.sources[4].image: unknown field"),
        ),
        (
            "paths",
            with("- name: a\n  secret:\n    secretName: a\n    optional: true\n    items:\n    - {key: a, path: /a}\n    - {key: a, path: a/../b}\n    - {key: a, path: ..a}\n    - {key: a, path: \"\"}\n    - {key: a}\n    - {key: a, path: ./.}\n    - {path: a}\n    - {key: a, path: \"a\\0\"}"),
            &format!("14: {v}.secret.items[0].path: must be a relative path, not \"/a\"
            15: {v}.secret.items[1].path: must not contain '..', not \"a/../b\"
            16: {v}.secret.items[2].path: must not begin with '..', not \"..a\"
            17: {v}.secret.items[3].path: required
            18: {v}.secret.items[4].path: required
            19: {v}.secret.items[5].path: must name a file, not \"./.\"
            20: {v}.secret.items[6].key: required
            21: {v}.secret.items[7].path: must not hold a NUL byte"),
        ),
        (
            "modes and owners",
            with("- {name: a, configMap: {name: a, optional: true, defaultMode: 644}}\n- {name: b, secret: {secretName: a, optional: true, defaultMode: -1, items: [{key: a, path: a, mode: 01000}]}}\n- {name: c, downwardAPI: {defaultMode: 900, defaultUser: -1, items: [{path: a, fieldRef: {fieldPath: metadata.name}, mode: 1755, user: 4294967295}]}}"),
            &format!("9: {v}.configMap.defaultMode: must be between 0 and 0777 (octal), inclusive, not 644: 0644 in octal is 420 in decimal
            10: spec.volumes[1].secret.defaultMode: must be between 0 and 0777 (octal), inclusive, not -1
            10: spec.volumes[1].secret.items[0].mode: must be between 0 and 0777 (octal), inclusive, not 512: 0512 in octal is 330 in decimal
            11: spec.volumes[2].downwardAPI.defaultMode: must be between 0 and 0777 (octal), inclusive, not 900
            11: spec.volumes[2].downwardAPI.defaultUser: must be between 0 and 2147483647, inclusive, not -1
            11: spec.volumes[2].downwardAPI.items[0].mode: must be between 0 and 0777 (octal), inclusive, not 1755
            11: spec.volumes[2].downwardAPI.items[0].user: must be between 0 and 2147483647, inclusive, not 4294967295"),
        ),
        (
            "downwardAPI",
            with("- name: a\n  downwardAPI:\n    items:\n    - {path: a}\n    - {path: b, fieldRef: {fieldPath: status.podIP}}\n    - {path: c, fieldRef: {fieldPath: spec.nodeName}}\n    - {path: d, fieldRef: {fieldPath: metadata.name}, resourceFieldRef: {resource: limits.cpu, containerName: app}}\n    - {path: e, resourceFieldRef: {resource: limits.cpu}}\n    - {path: f, resourceFieldRef: {resource: limits.gpu, containerName: no}}\n    - {path: g, fieldRef: {fieldPath: \"metadata.name['a']\"}}\n    - {path: h, resourceFieldRef: {resource: limits.memory, containerName: app, divisor: 3}}"),
            &format!("12: {v}.downwardAPI.items[0]: must specify one of: fieldRef, resourceFieldRef
            13: {v}.downwardAPI.items[1].fieldRef.fieldPath: {VOLUME_FIELDS}, not \"status.podIP\"
            14: {v}.downwardAPI.items[2].fieldRef.fieldPath: {VOLUME_FIELDS}, not \"spec.nodeName\"
            15: {v}.downwardAPI.items[3]: fieldRef and resourceFieldRef can not be specified simultaneously
            16: {v}.downwardAPI.items[4].resourceFieldRef.containerName: required
            17: {v}.downwardAPI.items[5].resourceFieldRef.resource: must be one of limits.cpu, limits.memory, limits.ephemeral-storage, requests.cpu, requests.memory, requests.ephemeral-storage, not \"limits.gpu\"
            17: {v}.downwardAPI.items[5].resourceFieldRef.containerName: no container is named \"no\"
            18: {v}.downwardAPI.items[6].fieldRef.fieldPath: does not support a subscript: \"metadata.name['a']\"
            19: {v}.downwardAPI.items[7].resourceFieldRef.divisor: must be one of 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei, not \"3\""),
        ),
    ]);
}

#[test]
fn bad_pod_fields_are_told() {
    compare(&[
        (
            "grace",
            spec("terminationGracePeriodSeconds: -1"),
            "8: spec.terminationGracePeriodSeconds: must be greater than or equal to 0, not -1",
        ),
        (
            "deadline",
            spec("activeDeadlineSeconds: 0"),
            "8: spec.activeDeadlineSeconds: must be between 1 and 2147483647, inclusive, not 0",
        ),
        (
            "policy",
            spec("restartPolicy: always"),
            "8: spec.restartPolicy: must be one of Always, OnFailure, Never, not \"always\"",
        ),
        (
            "namespaces",
            spec("hostPID: true\nshareProcessNamespace: true\nhostUsers: false"),
            "9: spec.shareProcessNamespace: ShareProcessNamespace and HostPID cannot both be enabled
            10: spec.hostUsers: not supported: false, the pod has no user namespace of its own",
        ),
        (
            "hostname",
            spec("hostname: a.b"),
            &format!("8: spec.hostname: {LABEL}, not \"a.b\""),
        ),
        (
            "override",
            spec("hostnameOverride: a_b\nhostNetwork: true"),
            &format!(
                "8: spec.hostnameOverride: {SUBDOMAIN}, not \"a_b\"
            8: spec.hostnameOverride: may not be set when hostNetwork is true"
            ),
        ),
        (
            "os",
            spec("os: {name: windows}"),
            "8: spec.os.name: not supported: \"windows\", only linux is",
        ),
        (
            "aliases",
            spec("hostAliases: [{ip: 1.2.3, hostnames: [a_b]}, {hostnames: [a]}]"),
            &format!(
                "8: spec.hostAliases[0].ip: must be an IP address, not \"1.2.3\"
            8: spec.hostAliases[0].hostnames[0]: {SUBDOMAIN}, not \"a_b\"
            8: spec.hostAliases[1].ip: required"
            ),
        ),
        (
            "below no subdomain",
            spec("subdomain: a.b\nhostname: h_1"),
            &format!("8: spec.subdomain: {LABEL}, not \"a.b\"\n            9: spec.hostname: {LABEL}, not \"h_1\""),
        ),
        (
            "too long a name",
            spec(&format!("setHostnameAsFQDN: true\nhostname: {}\nsubdomain: s", "h".repeat(40))),
            &format!(
                "8: spec.setHostnameAsFQDN: the FQDN \"{}.s.default.svc.cluster.local\" is too long: 64 characters is the max, it has 68",
                "h".repeat(40)
            ),
        ),
        (
            "no name servers",
            spec("dnsPolicy: None"),
            "5: spec.dnsConfig: must provide `dnsConfig` when `dnsPolicy` is None",
        ),
        (
            "no name server",
            spec("dnsPolicy: None\ndnsConfig: {searches: [a]}"),
            "9: spec.dnsConfig.nameservers: must provide at least one DNS nameserver when `dnsPolicy` is None",
        ),
        (
            "name servers",
            spec("dnsPolicy: none\ndnsConfig:\n  nameservers: [1.2.3, 1.1.1.1, 1.1.1.2, \"\"]\n  searches: [a..b, A, a_]\n  options: [{value: \"1\"}, {name: a b, value: \"x\\ny\"}]"),
            &format!("8: spec.dnsPolicy: must be one of ClusterFirst, ClusterFirstWithHostNet, Default, None, not \"none\"
            10: spec.dnsConfig.nameservers: must not have more than 3 nameservers
            10: spec.dnsConfig.nameservers[0]: must be an IP address, not \"1.2.3\"
            10: spec.dnsConfig.nameservers[3]: required
            11: spec.dnsConfig.searches[0]: {SEARCH}, not \"a..b\"
            11: spec.dnsConfig.searches[1]: {SEARCH}, not \"A\"
            11: spec.dnsConfig.searches[2]: {SEARCH}, not \"a_\"
            12: spec.dnsConfig.options[0].name: required
            12: spec.dnsConfig.options[1].name: must be one word, not \"a b\"
            12: spec.dnsConfig.options[1].value: must be one word, not \"x\\ny\""),
        ),
        (
            "too many searches",
            spec(&format!("dnsConfig: {{searches: [{}]}}", vec!["a"; 33].join(", "))),
            "8: spec.dnsConfig.searches: must not have more than 32 search paths",
        ),
        (
            "too long searches",
            spec(&format!("dnsConfig: {{searches: [{}]}}", vec![format!("a.{}", "b".repeat(63)); 32].join(", "))),
            "8: spec.dnsConfig.searches: must not have more than 2048 characters (including spaces) in the search list",
        ),
        (
            "the pod's resources",
            spec("resources:\n  limits: {cpu: 1, memory: 1Mi, ephemeral-storage: 1Gi, pods: 1}\n  requests: {cpu: 2, memory: x}"),
            "9: spec.resources.limits[ephemeral-storage]: not supported: only cpu, memory and hugepages-SIZE are
            9: spec.resources.limits[pods]: not supported: only cpu, memory and hugepages-SIZE are
            10: spec.resources.requests[cpu]: must be less than or equal to the cpu limit of 1
            10: spec.resources.requests[memory]: must be a quantity such as 500m, 1.5 or 64Mi, not \"x\"",
        ),
        (
            "less than its containers",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  resources: {limits: {cpu: 1, memory: 2Mi}, requests: {memory: 1Mi}}\n  initContainers:\n  - {name: a, image: bundle:a, resources: {limits: {memory: 3Mi}, requests: {memory: 1}}}\n  containers:\n  - {name: b, image: bundle:a, resources: {requests: {cpu: 600m, memory: 1Mi}}}\n  - {name: c, image: bundle:a, resources: {limits: {cpu: 1100m}, requests: {cpu: 600m, memory: 1Mi}}}\n".into(),
            "5: spec.resources.limits[cpu]: must be greater than or equal to aggregate container requests of 1200m
            5: spec.resources.requests[memory]: must be greater than or equal to aggregate container requests of 2097152
            7: spec.initContainers[0].resources.limits[memory]: must be less than or equal to pod limits of 2097152
            10: spec.containers[1].resources.limits[cpu]: must be less than or equal to pod limits of 1",
        ),
        (
            "huge pages",
            spec("resources:\n  limits: {hugepages-2Mi: 3Mi, hugepages-x: 1, hugepages-1Gi: 2Gi}\n  requests: {hugepages-1Gi: 1Gi, hugepages-16Mi: 16Mi}"),
            "8: spec.resources: HugePages require cpu or memory
            9: spec.resources.limits[hugepages-16Mi]: required: huge pages cannot be overcommitted
            9: spec.resources.limits[hugepages-2Mi]: must be a whole number of pages, not \"3Mi\"
            9: spec.resources.limits[hugepages-x]: must name a size of pages such as hugepages-2Mi
            10: spec.resources.requests[hugepages-1Gi]: must be equal to hugepages-1Gi limit of 2Gi",
        ),
        (
            "refused",
            spec(
                "ephemeralContainers: [{name: a}]\nreadinessGates: [{conditionType: a}]\nresourceClaims: [{name: a}]\nresources: {claims: [{name: a}], limits: {cpu: 1}}",
            ),
            "8: spec.ephemeralContainers: not supported: use tenure pod exec
            9: spec.readinessGates: not supported: nothing here would ever set their conditions
            10: spec.resourceClaims: not supported: there are no device drivers to claim from
            11: spec.resources.claims: not supported: there are no device drivers to claim from",
        ),
    ]);
}

#[test]
fn a_message_is_one_line_whatever_it_quotes() {
    let text = format!(
        "\"a\\nb\\e[31m\": 1\nkind: Pod\napiVersion: v1\nmetadata: {{name: \"{}\\n\"}}\n",
        "x".repeat(500)
    );
    let told = told(text.as_bytes());
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert_eq!(lines[0], "pod.yaml:1: [a\\nb\\u{1b}[31m]: unknown field");
    assert!(
        lines
            .iter()
            .all(|line| line.len() < 400 && !line.contains('\u{1b}')),
        "{told}"
    );
}
