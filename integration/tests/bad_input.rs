//! Broken manifests, bundles, annotations and command lines: each gives one clear line and the right exit code, and
//! leaves nothing behind.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use serde_json::{Value, json};
use tenure_integration::{Bundle, Host, Manifest, Outcome, host, run, shell};

/// What is wrong with an outcome, or nothing.
fn complaint(name: &str, outcome: &Outcome, codes: &[i32], words: &[&str]) -> Option<String> {
    let lines = outcome
        .stderr
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count();
    let mut wrong = Vec::new();
    if !codes.contains(&outcome.code) {
        wrong.push(format!("exit code {} and not one of {codes:?}", outcome.code));
    }
    if lines != 1 {
        wrong.push(format!("{lines} lines and not one"));
    }
    for word in words.iter().filter(|word| !outcome.stderr.contains(**word)) {
        wrong.push(format!("no word of {word:?}"));
    }
    if ["panicked", "RUST_BACKTRACE"]
        .iter()
        .any(|word| outcome.stderr.contains(word))
    {
        wrong.push("a panic".to_owned());
    }
    if outcome.stderr.len() > 4096 {
        wrong.push(format!("{} bytes of error", outcome.stderr.len()));
    }
    (!wrong.is_empty()).then(|| format!("{name}: {}; {outcome}", wrong.join(", ")))
}

/// Panics with all complaints, or when there were fewer rows than there are to be.
fn judge(host: &Host, rows: usize, least: usize, complaints: &[String]) {
    assert!(
        complaints.is_empty(),
        "{} of {rows} rows:\n\n{}",
        complaints.len(),
        complaints.join("\n\n")
    );
    assert!(rows >= least, "{rows} rows only");
    host.assert_nothing_is_left();
}

/// Puts a value at a JSON pointer and makes what is missing on the way; `null` removes.
fn put(document: &mut Value, pointer: &str, value: Value) {
    let mut at = document;
    let mut keys = pointer.split('/').skip(1).peekable();
    while let Some(key) = keys.next() {
        let index = key.parse::<usize>().ok();
        if at.is_null() {
            *at = if index.is_some() { json!([]) } else { json!({}) };
        }
        if keys.peek().is_none() && value.is_null() && at.is_object() {
            at.as_object_mut().unwrap().remove(key);
            return;
        }
        at = match index {
            Some(index) => {
                let list = at.as_array_mut().unwrap();
                while list.len() <= index {
                    list.push(Value::Null);
                }
                &mut list[index]
            }
            None => &mut at[key],
        };
    }
    *at = value;
}

/// The rows of a table: its fields, separated by ` | `.
fn table(text: &'static str) -> Vec<Vec<&'static str>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split('|').map(str::trim).collect())
        .collect()
}

/// The words that a row asks for.
fn words(field: &'static str) -> Vec<&'static str> {
    field.split(", ").filter(|word| !word.is_empty()).collect()
}

/// Validates and runs a manifest; both must refuse it.
fn refuse(host: &Host, name: &str, file: &str, words: &[&str], complaints: &mut Vec<String>) {
    let validated = host.run(&["pod", "validate", file]);
    complaints.extend(complaint(&format!("validate {name}"), &validated, &[2], words));
    let ran = host.run(&host.pod_run(&[file]));
    complaints.extend(complaint(&format!("run {name}"), &ran, &[2], words));
}

#[test]
fn broken_fields_of_a_manifest() {
    let Some(host) = host("badfield") else { return };
    fs::write(host.directory().join("a-file"), "").unwrap();
    let rows = table(include_str!("bad_input_rows/manifest.txt"));
    let mut complaints = Vec::new();
    for row in &rows {
        let (pointer, value) = (row[0], serde_json::from_str::<Value>(row[1]).unwrap());
        let mut document = Manifest::new().app(shell("app", "true")).0;
        document["metadata"]["name"] = format!("{}-bad", host.token()).into();
        put(&mut document, pointer, value.clone());
        let file = host.directory().join("bad.json");
        fs::write(&file, document.to_string()).unwrap();
        refuse(
            &host,
            &format!("{pointer} = {value}"),
            file.to_str().unwrap(),
            &words(row[2]),
            &mut complaints,
        );
    }
    judge(&host, rows.len(), 60, &complaints);
}

#[test]
fn files_that_are_no_manifest() {
    let Some(host) = host("badfile") else { return };
    let rows = no_manifests();
    let mut complaints = Vec::new();
    for (name, text) in &rows {
        let file = host.directory().join("bad.yaml");
        fs::write(&file, text).unwrap();
        refuse(
            &host,
            name,
            file.to_str().unwrap(),
            &["bad.yaml"],
            &mut complaints,
        );
    }
    fs::create_dir(host.directory().join("directory.yaml")).unwrap();
    refuse(
        &host,
        "a directory",
        "directory.yaml",
        &["directory.yaml"],
        &mut complaints,
    );
    refuse(
        &host,
        "no file",
        "no-such.yaml",
        &["no-such.yaml"],
        &mut complaints,
    );
    symlink("loop.yaml", host.directory().join("loop.yaml")).unwrap();
    refuse(
        &host,
        "a loop of links",
        "loop.yaml",
        &["loop.yaml"],
        &mut complaints,
    );
    judge(&host, rows.len() + 3, 17, &complaints);
}

/// Texts that are no manifest, with what they are.
fn no_manifests() -> Vec<(&'static str, Vec<u8>)> {
    let good = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: 'bundle:box'}]}\n";
    let deep = format!("spec: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                g: [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    vec![
        ("empty", Vec::new()),
        ("blank", b"\n  \n# nothing\n".to_vec()),
        ("a number", b"7".to_vec()),
        ("a list", b"- a\n- b\n".to_vec()),
        ("bad YAML", b"spec: [unclosed\n".to_vec()),
        ("a tab", b"spec:\n\tcontainers: []\n".to_vec()),
        ("bad JSON", b"{\"apiVersion\": \"v1\",}}".to_vec()),
        ("two documents", format!("{good}---\n{good}").into_bytes()),
        (
            "the same key twice",
            good.replace("kind: Pod", "kind: Pod\nkind: Pod").into_bytes(),
        ),
        ("not UTF-8", b"apiVersion: v1\nkind: \xff\xfe\n".to_vec()),
        ("a NUL", b"apiVersion: v1\0\n".to_vec()),
        ("very deep", deep.into_bytes()),
        ("a bomb of aliases", bomb.as_bytes().to_vec()),
        ("a huge file", vec![b'#'; 64 << 20]),
    ]
}

#[test]
fn every_error_of_a_manifest_is_told_at_once() {
    let Some(host) = host("badall") else { return };
    let file = host.directory().join("bad.yaml");
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\nspec:\n  restartPolicy: Sometimes\n  containers:\n  - name: A_1\n    \
                image: bundle:box\n    comand: [x]\n";
    fs::write(&file, text).unwrap();
    let outcome = host.run(&["pod", "validate", "bad.yaml"]).expect_code(2);
    for words in [
        ["bad.yaml:6", "restartPolicy"],
        ["bad.yaml:8", "A_1"],
        ["bad.yaml:10", "comand"],
    ] {
        let told = outcome
            .stderr
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        assert!(told, "no line with {words:?}: {outcome}");
    }
}

fn run_bundle(host: &Host, bundle: &Bundle) -> Outcome {
    let id = host.container_id();
    host.run(&["run", "--bundle", bundle.path.to_str().unwrap(), &id])
}

#[test]
fn broken_configurations_of_a_bundle() {
    let Some(host) = host("badconfig") else { return };
    let mut bundle = host.bundle();
    let original = bundle.config.clone();
    let program = bundle.rootfs().join("not-a-program");
    fs::write(&program, "no magic number").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let rows = table(include_str!("bad_input_rows/config.txt"));
    let mut complaints = Vec::new();
    for row in &rows {
        let (pointer, value) = (row[0], serde_json::from_str::<Value>(row[1]).unwrap());
        let code: i32 = row[2].parse().unwrap();
        bundle.config = original.clone();
        put(&mut bundle.config, pointer, value.clone());
        bundle.write();
        let outcome = run_bundle(&host, &bundle);
        complaints.extend(complaint(
            &format!("{pointer} = {value}"),
            &outcome,
            &[code],
            &words(row[3]),
        ));
    }
    judge(&host, rows.len(), 35, &complaints);
}

#[test]
fn bundles_that_are_none() {
    let Some(host) = host("badbundle") else { return };
    let directory = host.directory().join("broken");
    let config = directory.join("config.json");
    let good = serde_json::to_vec(&host.bundle().config).unwrap();
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let written: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("bad JSON", b"{".to_vec()),
        ("a list", b"[]".to_vec()),
        ("not UTF-8", b"{\"ociVersion\": \"\xff\xfe\"}".to_vec()),
        ("more after the end", [good.as_slice(), b"{}"].concat()),
        ("very deep", deep.into_bytes()),
        ("huge", vec![b' '; 64 << 20]),
        ("without a root file system", good),
    ];
    let mut complaints = Vec::new();
    let mut try_it = |name: &str, path: &str| {
        let id = host.container_id();
        let outcome = host.run(&["run", "--bundle", path, &id]);
        complaints.extend(complaint(name, &outcome, &[125], &[]));
    };
    let path = directory.to_str().unwrap();
    try_it("no directory", path);
    fs::create_dir(&directory).unwrap();
    try_it("no config.json", path);
    for (name, text) in &written {
        fs::write(&config, text).unwrap();
        try_it(name, path);
    }
    try_it("a file as a bundle", config.to_str().unwrap());
    fs::remove_file(&config).unwrap();
    fs::create_dir(&config).unwrap();
    try_it("a directory as config.json", path);
    fs::remove_dir(&config).unwrap();
    symlink("config.json", &config).unwrap();
    try_it("a loop of links as config.json", path);
    fs::remove_file(&config).unwrap();
    nix::unistd::mkfifo(&config, nix::sys::stat::Mode::S_IRWXU).unwrap();
    try_it("a fifo as config.json", path);
    judge(&host, written.len() + 6, 14, &complaints);
}

#[test]
fn broken_annotations() {
    let Some(host) = host("badannot") else { return };
    let key = |name: &str| format!("org.tenure.lifecycle.{name}");
    let rows = [
        ("postStart", "not JSON"),
        ("postStart", ""),
        ("postStart", "[]"),
        ("postStart", "{}"),
        ("postStart", r#"{"exec":{"command":[]}}"#),
        ("postStart", r#"{"exec":{"command":"true"}}"#),
        (
            "postStart",
            r#"{"exec":{"command":["true"]},"sleep":{"seconds":1}}"#,
        ),
        ("postStart", r#"{"tcpSocket":{"port":1}}"#),
        ("postStart", r#"{"launch":{}}"#),
        ("preStop", r#"{"httpGet":{"port":0}}"#),
        ("preStop", r#"{"httpGet":{"path":"/"}}"#),
        ("preStop", r#"{"httpGet":{"port":1,"scheme":"ftp"}}"#),
        ("preStop", r#"{"sleep":{"seconds":-1}}"#),
        ("preStop", r#"{"sleep":{"seconds":31}}"#),
        ("preStop", r#"{"exec":{"command":["true"],"shell":true}}"#),
        ("stopSignal", "SIGNOPE"),
        ("stopSignal", ""),
        ("terminationGracePeriodSeconds", "-1"),
        ("terminationGracePeriodSeconds", "1.5"),
        ("terminationGracePeriodSeconds", "ten"),
        ("terminationGracePeriodSeconds", "99999999999999999999"),
        ("preStart", r#"{"exec":{"command":["true"]}}"#),
    ];
    let mut bundle = host.bundle();
    let mut complaints = Vec::new();
    for (name, value) in rows {
        let key = key(name);
        bundle.set("/annotations", json!({ &key: value }));
        let outcome = run_bundle(&host, &bundle);
        complaints.extend(complaint(&format!("{name} = {value}"), &outcome, &[125], &[&key]));
    }
    judge(&host, rows.len(), 20, &complaints);
}

#[test]
fn pods_and_containers_that_do_not_exist() {
    let Some(host) = host("badname") else { return };
    let rows: &[(&[&str], i32)] = &[
        (&["pod", "status", "no-such"], 1),
        (&["pod", "stop", "no-such"], 1),
        (&["pod", "delete", "no-such"], 1),
        (&["pod", "delete", "--force", "no-such"], 1),
        (&["pod", "logs", "no-such"], 1),
        (&["pod", "events", "no-such"], 1),
        (&["pod", "wait", "no-such", "--for", "phase=Running"], 1),
        (&["pod", "exec", "no-such", "--", "true"], 125),
        (&["pod", "status", "../escape"], 1),
        (&["pod", "delete", "--force", ".."], 1),
        (&["state", "no-such"], 1),
        (&["start", "no-such"], 1),
        (&["kill", "no-such", "TERM"], 1),
        (&["delete", "no-such"], 1),
        (&["state", "../../etc"], 1),
        (&["run", "--bundle", "box", "a/b"], 125),
        (&["run", "--bundle", "box", ".."], 125),
    ];
    let mut complaints = Vec::new();
    for (arguments, code) in rows {
        let outcome = host.run(arguments);
        complaints.extend(complaint(&arguments.join(" "), &outcome, &[*code], &[]));
    }
    let mut odd = host.tenure(&["state"]);
    let outcome = run(odd.arg(OsStr::from_bytes(b"\xff\xfe")), Duration::from_secs(10));
    complaints.extend(complaint(
        "state of an id that is not UTF-8",
        &outcome,
        &[1, 2],
        &[],
    ));
    judge(&host, rows.len() + 1, 18, &complaints);
}

#[test]
fn wrong_usage_is_told_with_code_2() {
    let Some(host) = host("badusage") else { return };
    let rows: &[&[&str]] = &[
        &["no-such-command"],
        &["--no-such-option", "list"],
        &["pod"],
        &["pod", "no-such-command"],
        &["pod", "run"],
        &["pod", "run", "--no-such-option", "x.yaml"],
        &["pod", "stop"],
        &["pod", "stop", "x", "--grace", "soon"],
        &["pod", "stop", "x", "--grace", "-1"],
        &["pod", "wait", "x"],
        &["pod", "wait", "x", "--for", "sunrise"],
        &["pod", "wait", "x", "--for", "phase=Tired"],
        &["pod", "logs", "x", "--tail", "few"],
        &["pod", "exec", "x"],
        &["pod", "status", "x", "-o", "xml"],
        &["--log-format", "poem", "list"],
    ];
    let mut wrong = Vec::new();
    for arguments in rows {
        let outcome = host.run(arguments);
        if outcome.code != 2 || outcome.stderr.trim().is_empty() || outcome.stderr.contains("panicked") {
            wrong.push(outcome.to_string());
        }
    }
    judge(&host, rows.len(), 16, &wrong);
}
