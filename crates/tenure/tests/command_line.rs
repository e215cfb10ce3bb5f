//! The command line as a process: exit codes, the one line of error, what probes parse. Needs no root.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A root of its own and a folder for manifests and bundles.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bundle = dir.path().join("box");
        fs::create_dir_all(bundle.join("rootfs")).unwrap();
        fs::write(bundle.join("config.json"), CONFIG).unwrap();
        Self { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
        command
            .args(arguments)
            .env("TENURE_ROOT", self.path().join("root"))
            .env_remove("TENURE_LOG")
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

const CONFIG: &str = r#"{"ociVersion":"1.0.2","root":{"path":"rootfs"},"process":{"args":["/bin/true"],"cwd":"/",
    "user":{"uid":0,"gid":0}},"linux":{}}"#;

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - {name: app, image: 'bundle:box'}\n";

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one line on stderr.
#[track_caller]
fn error_line(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines.len() == 1 && lines[0].starts_with("tenure: error: "),
        "not one line of error: {text:?}"
    );
    lines[0].to_owned()
}

#[test]
fn wrong_usage_is_code_2_and_one_line() {
    let place = Place::new();
    let table: &[(&[&str], &str)] = &[
        (&["frobnicate"], "frobnicate"),
        (&["--no-such-option", "list"], "--no-such-option"),
        (&["--log-format", "poem", "list"], "poem"),
        (&["state"], "<ID>"),
        (&["exec", "x"], "COMMAND"),
        (&["exec", "--process", "p", "x", "sh"], "--process"),
        (&["exec", "--user", "root", "x", "sh"], "root"),
        (&["pod", "frobnicate"], "frobnicate"),
        (&["pod", "run"], "<FILE>"),
        (&["pod", "stop", "x", "--grace", "-1"], "-1"),
        (&["pod", "wait", "x", "--for", "phase=Tired"], "Tired"),
        (&["pod", "logs", "x", "--tail", "few"], "few"),
        (&["pod", "exec", "x"], "COMMAND"),
        (&["pod", "status", "x", "-o", "xml"], "xml"),
        (&["pod", "logs", "x", "-f", "--previous"], "--previous"),
    ];
    for (arguments, word) in table {
        let output = place.run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        let line = error_line(&output);
        assert!(line.contains(word), "{arguments:?}: {line}");
    }
}

#[test]
fn a_command_line_without_command_gets_help_and_code_2() {
    let place = Place::new();
    for arguments in [&[][..], &["pod"]] {
        let output = place.run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.contains("Usage: tenure") && !text.contains("error:"),
            "{text}"
        );
    }
}

#[test]
fn a_mistyped_command_is_answered_with_the_right_one() {
    let output = Place::new().run(&["pod", "staus", "web"]);
    assert!(
        error_line(&output).contains("'status'"),
        "{}",
        error_line(&output)
    );
}

#[test]
fn every_visible_command_has_help_with_an_example() {
    let place = Place::new();
    let visible = |arguments: &[&str]| -> Vec<String> {
        let text = stdout(&place.run(arguments));
        let list = text
            .split("Commands:\n")
            .nth(1)
            .unwrap()
            .split("\n\n")
            .next()
            .unwrap();
        list.lines()
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .collect()
    };
    let of_pods = visible(&["pod", "--help"]);
    assert!(of_pods.len() >= 11, "{of_pods:?}");
    let mut commands: Vec<Vec<String>> = of_pods.into_iter().map(|name| vec!["pod".into(), name]).collect();
    commands.extend(visible(&["--help"]).into_iter().map(|name| vec![name]));
    for command in commands {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let output = place.run(&arguments);
        assert_eq!(code(&output), 0, "{arguments:?}");
        let text = stdout(&output);
        let is_group = command == ["pod"];
        assert!(is_group || text.contains("Example"), "{arguments:?}: {text}");
        assert!(!text.starts_with('`'), "{arguments:?}: {text}");
    }
}

#[test]
fn the_version_is_what_probes_parse() {
    let place = Place::new();
    for flag in ["--version", "-v", "-V"] {
        let output = place.run(&[flag]);
        assert_eq!(code(&output), 0);
        let text = stdout(&output);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("tenure version {}", env!("CARGO_PKG_VERSION")));
        assert!(
            lines[1].starts_with("commit: ") && lines[2].starts_with("spec: 1."),
            "{text}"
        );
    }
}

#[test]
fn features_are_json_and_tell_of_systemd() {
    let output = Place::new().run(&["features"]);
    let features: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(features["linux"]["cgroup"]["systemd"], true);
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
}

#[test]
fn what_is_not_supported_says_so() {
    let place = Place::new();
    for arguments in [
        &["update", "--l3-cache-schema", "L3:0=f", "x"][..],
        &["restore", "--bundle", "b", "--detach", "x"],
    ] {
        let output = place.run(arguments);
        assert_eq!(code(&output), 1, "{arguments:?}");
        assert!(error_line(&output).contains("is not supported"));
    }
}

#[test]
fn a_valid_manifest_is_code_0_from_a_file_and_from_stdin() {
    let place = Place::new();
    fs::write(place.path().join("pod.yaml"), POD).unwrap();
    let output = place.run(&["pod", "validate", "pod.yaml"]);
    assert_eq!(
        (code(&output), output.stderr.len(), output.stdout.len()),
        (0, 0, 0),
        "{output:?}"
    );
    let output = validate_stdin(&place, POD);
    assert_eq!((code(&output), output.stderr.len()), (0, 0), "{output:?}");
}

fn validate_stdin(place: &Place, text: &str) -> Output {
    let mut command = place.command(&["pod", "validate", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What is too long is not read to its end.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn every_error_of_a_manifest_is_told_and_the_code_is_2() {
    let place = Place::new();
    let broken = POD
        .replace("name: app", "name: App_1, comand: [x]")
        .replace("spec:", "spec:\n  restartPolicy: Maybe");
    fs::write(place.path().join("pod.yaml"), &broken).unwrap();
    for output in [
        place.run(&["pod", "validate", "pod.yaml"]),
        place.run(&["pod", "run", "pod.yaml"]),
        place.run(&["pod", "run", "-d", "pod.yaml"]),
    ] {
        assert_eq!(code(&output), 2);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        for word in ["comand", "App_1", "restartPolicy"] {
            assert!(
                text.lines()
                    .any(|line| line.contains("pod.yaml:") && line.contains(word)),
                "{word}: {text}"
            );
        }
    }
    let output = validate_stdin(&place, &broken);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("<stdin>:"),
        "{output:?}"
    );
}

#[test]
fn a_manifest_that_cannot_be_read_is_code_2_and_one_line() {
    let place = Place::new();
    fs::create_dir(place.path().join("folder")).unwrap();
    for file in ["absent.yaml", "folder"] {
        let output = place.run(&["pod", "validate", file]);
        assert_eq!(code(&output), 2, "{file}");
        assert!(error_line(&output).contains(file));
    }
    let output = validate_stdin(&place, &"#".repeat(2 << 20));
    assert_eq!(code(&output), 2);
    assert!(error_line(&output).contains("1 MiB"), "{}", error_line(&output));
}

#[test]
fn a_bundle_that_is_not_there_is_an_error_of_the_manifest() {
    let place = Place::new();
    fs::write(
        place.path().join("pod.yaml"),
        POD.replace("bundle:box", "bundle:nowhere"),
    )
    .unwrap();
    let output = place.run(&["pod", "validate", "pod.yaml"]);
    assert_eq!(code(&output), 2);
    assert!(error_line(&output).contains("nowhere"));
}

#[test]
fn an_unusable_runtime_is_code_125() {
    let place = Place::new();
    fs::write(place.path().join("pod.yaml"), POD).unwrap();
    fs::write(place.path().join("plain-file"), "").unwrap();
    for (runtime, word) in [
        ("no-such-runtime", "not found in $PATH"),
        ("./no-such-runtime", "No such file"),
        ("./plain-file", "not executable"),
        ("./box", "not a regular file"),
    ] {
        let output = place.run(&["pod", "run", "--runtime", runtime, "pod.yaml"]);
        assert_eq!(code(&output), 125, "{runtime}");
        assert!(error_line(&output).contains(word), "{}", error_line(&output));
    }
}

#[test]
fn pods_that_do_not_exist_and_names_that_are_none_are_one_line() {
    let place = Place::new();
    let table: &[(&[&str], i32)] = &[
        (&["pod", "status", "none"], 1),
        (&["pod", "stop", "none"], 1),
        (&["pod", "delete", "none"], 1),
        (&["pod", "delete", "--force", "none"], 1),
        (&["pod", "logs", "none"], 1),
        (&["pod", "events", "none"], 1),
        (&["pod", "wait", "none", "--for", "phase=Running"], 1),
        (&["pod", "exec", "none", "--", "true"], 125),
        (&["pod", "status", "../root"], 1),
        (&["pod", "logs", ".."], 1),
        (&["pod", "delete", "--force", ""], 1),
    ];
    for (arguments, expected) in table {
        let output = place.run(arguments);
        assert_eq!(code(&output), *expected, "{arguments:?}: {output:?}");
        error_line(&output);
    }
}

#[test]
fn an_empty_root_lists_nothing() {
    let place = Place::new();
    let output = place.run(&["pod", "list"]);
    assert_eq!(
        (code(&output), stdout(&output).as_str()),
        (0, "NAME  PHASE  READY  RESTARTS  AGE\n")
    );
    let output = place.run(&["pod", "list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&list["kind"], list["items"].as_array().unwrap().len()),
        (&"PodList".into(), 0)
    );
}

#[test]
fn an_error_is_told_in_the_log_as_callers_read_it() {
    let place = Place::new();
    let output = place.run(&["--log", "log.json", "--log-format", "json", "state", "a/b"]);
    assert_eq!(code(&output), 1);
    let text = fs::read_to_string(place.path().join("log.json")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["level"], "error");
    assert!(
        line["msg"].as_str().unwrap().contains("invalid container id"),
        "{text}"
    );
    assert!(error_line(&output).ends_with(line["msg"].as_str().unwrap()));
}

#[test]
fn an_engines_runtime_keeps_its_error_to_the_log_if_it_can() {
    let place = Place::new();
    let run = |log: &str| {
        let mut command = place.command(&["--log", log, "state", "a/b"]);
        command.env("TENURE_ERRORS", "log").output().unwrap()
    };
    let output = run("log.txt");
    assert_eq!((code(&output), output.stderr.len()), (1, 0), "{output:?}");
    let text = fs::read_to_string(place.path().join("log.txt")).unwrap();
    assert!(text.contains("level=error msg=\"invalid container id"), "{text}");
    let output = run("no/such/folder/log.txt");
    assert!(String::from_utf8_lossy(&output.stderr).contains("invalid container id"));
}

#[test]
fn a_bad_lifecycle_annotation_is_an_error_that_names_its_key() {
    let place = Place::new();
    let config = CONFIG.replace(
        "\"linux\"",
        "\"annotations\":{\"org.tenure.lifecycle.stopSignal\":\"SIGNOPE\"},\"linux\"",
    );
    fs::write(place.path().join("box/config.json"), config).unwrap();
    for (command, expected) in [("run", 125), ("create", 1)] {
        let output = place.run(&[command, "--bundle", "box", "x"]);
        assert_eq!(code(&output), expected, "{output:?}");
        assert!(error_line(&output).contains("org.tenure.lifecycle.stopSignal"));
    }
}

#[test]
fn a_fifo_in_place_of_config_json_does_not_block() {
    let place = Place::new();
    let config = place.path().join("box/config.json");
    fs::remove_file(&config).unwrap();
    nix::unistd::mkfifo(&config, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let output = place.run(&["run", "--bundle", "box", "x"]);
    assert_eq!(code(&output), 125, "{output:?}");
    error_line(&output);
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let place = Place::new();
    let mut command = place.command(&["completions", "bash"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), output.stderr.len()), (0, 0), "{output:?}");
}

#[test]
fn manual_pages_and_completions_are_made_for_every_command() {
    let place = Place::new();
    let output = place.run(&["man", "pages"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let pages: Vec<String> = fs::read_dir(place.path().join("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["tenure.1", "tenure-run.1", "tenure-pod-run.1"] {
        assert!(pages.iter().any(|name| name == page), "{page} in {pages:?}");
    }
    assert!(!pages.iter().any(|name| name.contains("supervise")), "{pages:?}");
    for shell in ["bash", "zsh", "fish"] {
        let output = place.run(&["completions", shell]);
        assert!(stdout(&output).contains("validate"), "{shell}");
    }
}
