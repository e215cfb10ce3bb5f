//! The commands on pods, each promise once.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tenure_integration::{
    AWAIT_READY, Manifest, assert_between, ends_on_term, exec, finish, host, ignores_term, parse_events, run,
    shell, spawn, wait_until,
};

#[test]
fn a_foreground_run_shows_output_as_it_is_when_there_is_one_app() {
    let Some(host) = host("fg1") else { return };
    let pod = host.start(&Manifest::new().app(shell("app", "echo out; echo err >&2; exit 5")));
    let outcome = pod.finish().expect_code(5);
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn a_foreground_run_names_the_container_when_there_are_several_apps() {
    let Some(host) = host("fg2") else { return };
    let pod = host.start(
        &Manifest::new()
            .app(shell("a", "echo one"))
            .app(shell("b", "echo two >&2")),
    );
    let outcome = pod.finish().ok();
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("a | one\n", "b | two\n")
    );
}

#[test]
fn the_exit_code_is_that_of_the_first_app_that_failed() {
    let Some(host) = host("fgcode") else { return };
    let manifest = Manifest::new()
        .app(shell("a", "sleep 0.5"))
        .app(shell("b", "sleep 0.3; exit 4"))
        .app(shell("c", "exit 5"));
    host.start(&manifest).finish().expect_code(4);
    let signalled = shell("app", "sleep 9 & kill -9 $!; wait $!");
    host.start(&Manifest::new().app(signalled))
        .finish()
        .expect_code(137);
}

#[test]
fn a_detached_run_returns_once_post_start_has() {
    let Some(host) = host("detach") else { return };
    let (pod, outcome) =
        host.detach(&Manifest::new().app(ends_on_term("app", 0).post_start(exec("sleep 1"))));
    let outcome = outcome.ok();
    assert_between("time to return", outcome.took.as_secs_f64(), 1.0, 2.0);
    assert_eq!(pod.status().phase.as_deref(), Some("Running"));
    pod.stop(&[]).outcome.ok();
    host.assert_nothing_runs();
}

#[test]
fn a_detached_run_of_a_pod_that_cannot_start_tells_why() {
    let Some(host) = host("detachbad") else { return };
    let (_pod, outcome) = host.detach(
        &Manifest::new()
            .init(shell("init", "exit 9"))
            .app(ends_on_term("app", 0)),
    );
    let outcome = outcome.expect_code(125);
    assert!(outcome.stderr.contains("init"), "{outcome}");
    host.assert_nothing_runs();
}

#[test]
fn a_manifest_comes_from_standard_input_as_well() {
    let Some(host) = host("stdin") else { return };
    let (name, path) = host.write(&Manifest::new().app(shell("app", "echo hello")));
    host.remember(&name);
    let mut command = host.tenure(&host.pod_run(&["-"]));
    let outcome = run(
        command.stdin(fs::File::open(path).unwrap()),
        Duration::from_secs(20),
    )
    .ok();
    assert_eq!(outcome.stdout, "hello\n");
}

#[test]
fn rm_leaves_no_record() {
    let Some(host) = host("rm") else { return };
    let (name, path) = host.write(&Manifest::new().app(shell("app", "exit 3")));
    host.remember(&name);
    host.run(&host.pod_run(&["--rm", path.to_str().unwrap()]))
        .expect_code(3);
    host.run(&["pod", "status", &name])
        .expect_code(1)
        .one_line_of_error();
    host.assert_nothing_is_left();
}

#[test]
fn a_live_pods_name_is_refused_and_a_finished_ones_is_used_again() {
    let Some(host) = host("name") else { return };
    let (pod, outcome) = host.detach(&Manifest::new().app(ends_on_term("app", 0)));
    outcome.ok();
    let file = host.directory().join(format!("{}.json", pod.name));
    let again = host.pod_run(&["-d", file.to_str().unwrap()]);
    let refused = host.run(&again);
    assert!(
        refused.code == 125 && refused.one_line_of_error().contains(&pod.name),
        "{refused}"
    );
    host.run(&["pod", "delete", &pod.name])
        .expect_code(1)
        .one_line_of_error();
    pod.stop(&[]).outcome.ok();
    host.run(&again).ok();
    assert_eq!(pod.status().phase.as_deref(), Some("Running"));
    pod.stop(&[]).outcome.ok();
}

#[test]
fn an_ended_pod_keeps_status_logs_and_events_until_it_is_deleted() {
    let Some(host) = host("keep") else { return };
    let pod = host.start(&Manifest::new().app(shell("app", "echo kept")));
    pod.finish().ok();
    assert_eq!(pod.status().phase.as_deref(), Some("Succeeded"));
    assert_eq!(host.run(&["pod", "logs", &pod.name]).ok().stdout, "kept\n");
    let events = host.run(&["pod", "events", &pod.name, "-o", "json"]).ok();
    let reasons: Vec<String> = parse_events(&events.stdout)
        .into_iter()
        .map(|event| event.reason)
        .collect();
    let created = reasons.iter().position(|reason| reason == "Created");
    let started = reasons.iter().position(|reason| reason == "Started");
    assert!(created.is_some() && created < started, "{reasons:?}");
    host.run(&["pod", "delete", &pod.name]).ok();
    for command in ["status", "logs", "events", "stop", "delete"] {
        host.run(&["pod", command, &pod.name])
            .expect_code(1)
            .one_line_of_error();
    }
}

#[test]
fn list_shows_every_pod() {
    let Some(host) = host("list") else { return };
    let empty = host.run(&["pod", "list", "-o", "json"]).ok();
    let empty: Value = serde_json::from_str(&empty.stdout).unwrap();
    assert!(
        empty
            .as_array()
            .or_else(|| empty["items"].as_array())
            .is_some_and(Vec::is_empty),
        "{empty}"
    );
    let (running, outcome) = host.detach(&Manifest::new().app(ends_on_term("app", 0)));
    outcome.ok();
    let ended = host.start(&Manifest::new().app(shell("app", "exit 1")));
    ended.finish().expect_code(1);
    let table = host.run(&["pod", "list"]).ok();
    let row = |name: &str| {
        table
            .stdout
            .lines()
            .find(|line| line.contains(name))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(
        row(&running.name).contains("Running") && row(&running.name).contains("1/1"),
        "{table}"
    );
    assert!(
        row(&ended.name).contains("Failed") && row(&ended.name).contains("0/1"),
        "{table}"
    );
    running.stop(&[]).outcome.ok();
}

#[test]
fn status_is_printed_as_yaml_too() {
    let Some(host) = host("yaml") else { return };
    let pod = host.start(&Manifest::new().app(shell("app", "true")));
    pod.finish().ok();
    let yaml = host.run(&["pod", "status", &pod.name, "-o", "yaml"]).ok();
    assert!(
        yaml.stdout.contains("kind: Pod") && yaml.stdout.contains("phase: Succeeded"),
        "{yaml}"
    );
    let text = host.run(&["pod", "status", &pod.name]).ok();
    assert!(text.stdout.contains("Succeeded"), "{text}");
}

#[test]
fn logs_choose_container_length_and_time() {
    let Some(host) = host("logs") else { return };
    let pod = host.start(
        &Manifest::new()
            .app(shell("a", "seq 1 20"))
            .app(shell("b", "echo b")),
    );
    pod.finish().ok();
    let logs = |arguments: &[&str]| {
        let mut all = vec!["pod", "logs", &pod.name];
        all.extend(arguments);
        host.run(&all)
    };
    assert_eq!(logs(&["-c", "b"]).ok().stdout, "b\n");
    assert_eq!(logs(&["-c", "a", "--tail", "2"]).ok().stdout, "19\n20\n");
    assert_eq!(logs(&["-c", "a", "--tail", "0"]).ok().stdout, "");
    let stamped = logs(&["-c", "b", "--timestamps"]).ok().stdout;
    let (time, text) = stamped.split_once(' ').unwrap();
    assert!(
        time.parse::<jiff::Timestamp>().is_ok() && text == "b\n",
        "{stamped}"
    );
    logs(&["-c", "none"]).expect_code(1).one_line_of_error();
    logs(&["-c", "b", "--previous"])
        .expect_code(1)
        .one_line_of_error();
}

#[test]
fn logs_follow_to_the_end_of_the_pod() {
    let Some(host) = host("follow") else { return };
    let pod = host.start(&Manifest::new().app(shell("app", "for i in 1 2 3; do echo $i; sleep 0.3; done")));
    pod.until_wrote("app", "1");
    let follower = spawn(&mut host.tenure(&["pod", "logs", "-f", &pod.name]));
    pod.finish().ok();
    assert_eq!(finish(follower, Duration::from_secs(5)).ok().stdout, "1\n2\n3\n");
}

#[test]
fn logs_of_the_instance_before() {
    let Some(host) = host("previous") else { return };
    let script = "n=$(cat /v/n 2>/dev/null || echo 0); echo instance $n; echo $((n+1)) >/v/n; [ $n = 1 ]";
    let manifest = Manifest::new()
        .restart_policy("OnFailure")
        .volume(json!({ "name": "v", "emptyDir": {} }))
        .app(shell("app", script).mount("v", "/v"));
    let pod = host.start(&manifest);
    pod.finish().ok();
    assert_eq!(host.run(&["pod", "logs", &pod.name]).ok().stdout, "instance 1\n");
    assert_eq!(
        host.run(&["pod", "logs", "--previous", &pod.name]).ok().stdout,
        "instance 0\n"
    );
}

#[test]
fn a_long_line_and_binary_output_survive_the_log() {
    let Some(host) = host("long") else { return };
    let script = "head -c 40000 /dev/zero | tr '\\0' x; echo; printf 'no newline'";
    let pod = host.start(&Manifest::new().app(shell("app", script)));
    let outcome = pod.finish().ok();
    let logs = host.run(&["pod", "logs", &pod.name]).ok();
    let expected = "x".repeat(40000) + "\nno newline";
    assert_eq!(logs.stdout.trim_end(), expected);
    assert_eq!(outcome.stdout.trim_end(), expected);
}

#[test]
fn exec_hands_on_streams_and_exit_code() {
    let Some(host) = host("exec") else { return };
    let (pod, outcome) = host.detach(
        &Manifest::new()
            .grace(1)
            .app(ends_on_term("a", 0))
            .app(ends_on_term("b", 0)),
    );
    outcome.ok();
    let name = pod.name.as_str();
    let outcome = host.run(&[
        "pod",
        "exec",
        name,
        "-c",
        "b",
        "--",
        "/bin/sh",
        "-c",
        "echo out; echo err >&2; exit 6",
    ]);
    let outcome = outcome.expect_code(6);
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("out\n", "err\n")
    );
    host.run(&["pod", "exec", name, "-c", "a", "--", "/no/such/program"])
        .expect_code(127)
        .one_line_of_error();
    host.run(&["pod", "exec", name, "-c", "none", "--", "true"])
        .expect_code(125)
        .one_line_of_error();
    let input = host.directory().join("input");
    fs::write(&input, "typed\n").unwrap();
    let mut command = host.tenure(&["pod", "exec", name, "-c", "a", "-i", "--", "cat"]);
    let outcome = run(
        command.stdin(fs::File::open(input).unwrap()),
        Duration::from_secs(20),
    )
    .ok();
    assert_eq!(outcome.stdout, "typed\n");
    pod.stop(&[]).outcome.ok();
    host.run(&["pod", "exec", name, "-c", "a", "--", "true"])
        .expect_code(125)
        .one_line_of_error();
}

#[test]
fn events_are_followed_to_the_end_of_the_pod() {
    let Some(host) = host("events") else { return };
    let (pod, outcome) = host.detach(&Manifest::new().app(ends_on_term("app", 0)));
    outcome.ok();
    let follower = spawn(&mut host.tenure(&["pod", "events", "-f", "-o", "json", &pod.name]));
    pod.stop(&[]).outcome.ok();
    let followed = finish(follower, Duration::from_secs(5)).ok();
    let events = parse_events(&followed.stdout);
    let killing = events
        .iter()
        .find(|event| event.reason == "Killing")
        .expect("a Killing event");
    assert_eq!(
        (killing.kind.as_str(), killing.container.as_deref()),
        ("Normal", Some("app"))
    );
    assert!(events.is_sorted_by_key(|event| event.time), "{events:#?}");
}

#[test]
fn a_timeline_draws_every_container_in_each_form() {
    let Some(host) = host("timeline") else { return };
    let app = ends_on_term("app", 0).pre_stop(exec(&format!("{AWAIT_READY}; false")));
    let manifest = Manifest::new().init(shell("setup", "true")).app(app);
    let (pod, outcome) = host.detach(&manifest);
    outcome.ok();
    let text = || host.run(&["pod", "timeline", &pod.name]).ok().stdout;
    let alive = text();
    assert!(
        alive.contains("setup (init)") && alive.contains("running"),
        "{alive}"
    );
    pod.stop(&[]).outcome.ok();
    let ended = text();
    assert!(ended.contains("exit 0") && ended.contains("preStop"), "{ended}");
    assert!(
        !ended.contains('\x1b'),
        "no colours where there is no terminal: {ended}"
    );
    let svg = host.run(&["pod", "timeline", &pod.name, "-o", "svg"]).ok().stdout;
    assert!(svg.starts_with("<svg ") && svg.contains("preStop for"), "{svg}");
    let json = host
        .run(&["pod", "timeline", &pod.name, "-o", "json"])
        .ok()
        .stdout;
    let trace: Value = serde_json::from_str(&json).unwrap();
    let spans = trace["traceEvents"].as_array().unwrap().iter();
    let names: Vec<&str> = spans
        .filter(|event| event["ph"] == "X")
        .filter_map(|event| event["name"].as_str())
        .collect();
    for name in ["running", "terminating", "preStop"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
}

#[test]
fn wait_returns_when_it_holds_and_when_it_no_longer_can() {
    let Some(host) = host("wait") else { return };
    let (pod, outcome) = host.detach(&Manifest::new().app(ends_on_term("app", 1)));
    outcome.ok();
    let wait = |what: &str, timeout: &str| {
        host.run(&["pod", "wait", &pod.name, "--for", what, "--timeout", timeout])
    };
    wait("phase=Running", "5").ok();
    wait("condition=Ready", "5").ok();
    let outcome = wait("phase=Failed", "1").expect_code(1);
    assert_between("time-out", outcome.took.as_secs_f64(), 0.9, 1.5);
    let waiting = spawn(&mut host.tenure(&["pod", "wait", &pod.name, "--for", "phase=Succeeded"]));
    pod.stop(&[]).outcome.ok();
    finish(waiting, Duration::from_secs(5)).ok();
    let outcome = wait("phase=Running", "20").expect_code(1);
    assert_between("no need to wait", outcome.took.as_secs_f64(), 0.0, 1.0);
}

#[test]
fn delete_by_force_ends_a_live_pod_without_handlers() {
    let Some(host) = host("force") else { return };
    let app = ignores_term("app").pre_stop(exec("sleep 20"));
    let (pod, outcome) = host.detach(&Manifest::new().app(app));
    outcome.ok();
    let outcome = host.run(&["pod", "delete", "--force", &pod.name]).ok();
    assert_between("time to delete", outcome.took.as_secs_f64(), 0.0, 1.5);
    host.assert_nothing_is_left();
}

#[test]
fn a_foreground_command_sees_a_stop_from_elsewhere() {
    let Some(host) = host("elsewhere") else { return };
    let pod = host.start(&Manifest::new().app(ends_on_term("app", 0)));
    pod.until_phase("Running");
    pod.stop(&[]).outcome.ok();
    let outcome = pod.finish().ok();
    assert_eq!(outcome.stdout, "ready\nTERM\nbye\n");
}

#[test]
fn the_foreground_command_may_be_killed_and_the_pod_can_still_be_stopped() {
    let Some(host) = host("fgkill") else { return };
    let pod = host.start(&Manifest::new().app(ends_on_term("app", 0)));
    pod.until_phase("Running");
    pod.signal(Signal::SIGKILL);
    pod.finish().expect_code(137);
    pod.stop(&[]).outcome.ok();
    host.assert_nothing_runs();
}

#[test]
fn two_roots_do_not_see_each_other() {
    let Some(host) = host("roots") else { return };
    let (pod, outcome) = host.detach(&Manifest::new().app(ends_on_term("app", 0)));
    outcome.ok();
    let other = host.directory().join("other");
    let other = other.to_str().unwrap();
    host.run(&["--root", other, "pod", "status", &pod.name])
        .expect_code(1);
    let root = host.root();
    let mut command = host.tenure(&["--root", root.to_str().unwrap(), "pod", "status", &pod.name]);
    command.env("TENURE_ROOT", other).stdin(Stdio::null());
    run(&mut command, Duration::from_secs(10)).ok();
    pod.stop(&[]).outcome.ok();
}

#[test]
fn output_that_nobody_reads_does_not_stop_the_pod() {
    let Some(host) = host("unread") else { return };
    let (_, path) = host.write(&Manifest::new().app(shell("app", "seq 1 200000; echo end >&2")));
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    host.remember(&name);
    let mut child = host
        .tenure(&host.pod_run(&[path.to_str().unwrap()]))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The reader goes away at once, as `| head` does.
    drop(child.stdout.take());
    let ended = || {
        let status = host.run(&["pod", "status", &name, "-o", "json"]);
        status.stdout.contains("\"Succeeded\"").then_some(())
    };
    wait_until(Duration::from_secs(20), ended).expect("the pod has ended");
    let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    child.wait().unwrap();
    let logs = host.run(&["pod", "logs", &name]).ok();
    // Two streams are two pipes: which of them is read first is not said, nor where a line is cut by it.
    let numbers: usize = (1..=200_000)
        .map(|number: u32| number.to_string().len() + 1)
        .sum();
    assert_eq!(logs.stdout.len(), numbers + "end\n".len());
    assert!(logs.stdout.contains("end\n"));
}

#[test]
fn a_foreground_run_on_a_terminal_shows_what_each_container_waits_for_in_place() {
    let Some(host) = host("inplace") else { return };
    let manifest = Manifest::new()
        .init(shell("prepare", "sleep 2; echo prepared"))
        .app(shell("app", "echo served; exit 3"));
    let (name, path) = host.write(&manifest);
    host.remember(&name);
    let command = host.tenure(&host.pod_run(&[path.to_str().unwrap()]));
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .collect();
    let line = words.join(" ".as_ref());
    let mut terminal = Command::new("script");
    terminal
        .args([
            "-qec",
            &format!("stty rows 33 cols 77; {}", line.to_str().unwrap()),
            "/dev/null",
        ])
        .envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))))
        .env("TERM", "xterm");
    let shown = run(&mut terminal, Duration::from_secs(60)).expect_code(3).stdout;
    let has = |text: &str| assert!(shown.contains(text), "no {text:?} in {shown:?}");
    has("Pending, init 1/1\r\n  prepare  running for 1s\r\n  app      waits for init 1/1 (prepare)\r\n");
    // Drawn over: up by the frame's lines, and cleared from there.
    has("\r\x1b[3A\x1b[Jprepare | prepared\r\n");
    has("app | served\r\n");
    let end = "Failed\r\n  prepare  done\r\n  app      Error 3\r\n";
    assert!(shown.ends_with(end), "{shown:?}");
}
