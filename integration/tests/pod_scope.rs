//! Pods whose cgroups are in a scope of systemd's (`--systemd-cgroup`), and that a pod's cgroup is nobody else's.
//!
//! Most of these need systemd as process 1, which the machine of `scripts/vm-test` has; elsewhere they look at how the
//! option is refused.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tenure_integration::{
    Host, Manifest, RunningPod, ends_on_term, exec, finish, host, ignores_term, run, shell, spawn, wait_until,
};

const LIMIT: Duration = Duration::from_secs(20);

fn is_booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The host of a test that needs systemd; `None` where there is none, which the last test but one looks at.
#[track_caller]
fn booted(test: &str) -> Option<Host> {
    let host = host(test)?;
    if !is_booted() {
        eprintln!(
            "{test} is passed over: process 1 is not systemd; scripts/vm-test has a machine where it is"
        );
        return None;
    }
    Some(host)
}

/// Runs a pod in the background, in a scope. Gives it, and what came of the command.
#[track_caller]
fn detach<'h>(host: &'h Host, manifest: &Manifest) -> (RunningPod<'h>, String) {
    let (name, file) = host.write(manifest);
    host.remember(&name);
    let file = file.to_str().unwrap();
    let mut command = host.tenure(&["--systemd-cgroup", "pod", "run", "-d", file]);
    run(&mut command, LIMIT).ok();
    let scope = format!("tenure-pod-{name}.scope");
    (host.running(&name), scope)
}

/// The unified cgroup of a process, or on v1 that of systemd's own hierarchy.
fn cgroup_of(pid: &Value) -> String {
    let table = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let line = table
        .lines()
        .find(|line| line.starts_with("0::") || line.contains(":name=systemd:"));
    line.unwrap().rsplit(':').next().unwrap().to_owned()
}

fn record(pod: &RunningPod<'_>) -> Value {
    serde_json::from_slice(&fs::read(pod.directory().join("record.json")).unwrap()).unwrap()
}

/// What systemd says of a unit: `active`, `inactive`, ...
fn active_state(unit: &str) -> String {
    property(unit, "ActiveState")
}

fn property(unit: &str, name: &str) -> String {
    let output = Command::new("systemctl")
        .args(["show", "--property", name, "--value", unit])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[track_caller]
fn assert_forgotten(scope: &str) {
    let forgotten = || (active_state(scope) == "inactive").then_some(());
    wait_until(LIMIT, forgotten).unwrap_or_else(|| panic!("{scope} is {}", active_state(scope)));
}

#[test]
fn supervisor_and_containers_are_in_a_scope_that_ends_with_them() {
    let Some(host) = booted("scopelife") else { return };
    let app = ends_on_term("app", 0).post_start(exec("true"));
    let (pod, scope) = detach(&host, &Manifest::new().grace(5).app(app));
    assert_eq!(active_state(&scope), "active");
    assert_eq!(property(&scope, "TasksMax"), "infinity");
    assert_eq!(property(&scope, "Description"), format!("pod {}", pod.name));
    let record = record(&pod);
    let at = format!("/system.slice/{scope}");
    assert_eq!(
        cgroup_of(&record["supervisor"]["pid"]),
        format!("{at}/supervisor")
    );
    assert_eq!(
        cgroup_of(&record["containers"]["0"]["init"]["pid"]),
        format!("{at}/pod/app")
    );
    pod.stop(&[]).outcome.ok();
    host.assert_nothing_runs();
    assert_forgotten(&scope);
}

#[test]
fn its_name_can_be_used_again_at_once() {
    let Some(host) = booted("scopeagain") else {
        return;
    };
    let (name, file) = host.write(&Manifest::new().app(shell("app", "true")).restart_policy("Never"));
    host.remember(&name);
    for _ in 0..10 {
        let mut command = host.tenure(&["--systemd-cgroup", "pod", "run", "--rm", file.to_str().unwrap()]);
        run(&mut command, LIMIT).ok();
    }
    assert_forgotten(&format!("tenure-pod-{name}.scope"));
    host.assert_nothing_is_left();
}

#[test]
fn it_keeps_the_containers_of_a_supervisor_that_was_killed_until_they_are_deleted() {
    let Some(host) = booted("scopekill") else {
        return;
    };
    let (pod, scope) = detach(&host, &Manifest::new().app(ignores_term("app")));
    let pid = record(&pod)["supervisor"]["pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
    wait_until(LIMIT, || {
        (!Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    })
    .unwrap();
    assert_eq!(active_state(&scope), "active");
    host.run(&["pod", "delete", "--force", &pod.name]).ok();
    host.assert_nothing_is_left();
    assert_forgotten(&scope);
}

#[test]
fn one_that_is_somebody_elses_is_left_alone() {
    let Some(host) = booted("scopeforeign") else {
        return;
    };
    let (name, file) = host.write(&Manifest::new().app(shell("app", "true")));
    host.remember(&name);
    let scope = format!("tenure-pod-{name}.scope");
    let mut foreign = Command::new("systemd-run");
    foreign.args(["--scope", "--unit", &scope, "sleep", "1000"]);
    let foreign = spawn(&mut foreign);
    wait_until(LIMIT, || (active_state(&scope) == "active").then_some(())).unwrap();
    let mut command = host.tenure(&["--systemd-cgroup", "pod", "run", file.to_str().unwrap()]);
    let outcome = run(&mut command, LIMIT).expect_code(125);
    assert!(outcome.stderr.contains(&scope), "{outcome}");
    assert_eq!(active_state(&scope), "active");
    let stop = Command::new("systemctl").args(["stop", &scope]).status();
    assert!(stop.unwrap().success());
    finish(foreign, LIMIT);
}

#[test]
fn without_systemd_it_is_refused_and_nothing_is_left() {
    let Some(host) = host("scopenone") else { return };
    if is_booted() {
        return;
    }
    let (_, file) = host.write(&Manifest::new().app(shell("app", "true")));
    for options in [&["pod", "run"][..], &["pod", "run", "-d"]] {
        let all = [&["--systemd-cgroup"], options, &[file.to_str().unwrap()]].concat();
        let outcome = host.run(&all).expect_code(125);
        assert!(
            outcome.one_line_of_error().contains("process 1 is not systemd"),
            "{outcome}"
        );
    }
    host.assert_nothing_is_left();
}

#[test]
fn a_pod_of_the_same_name_in_another_root_is_left_alone() {
    let Some(host) = host("scoperoot") else { return };
    let (pod, outcome) = host.detach(&Manifest::new().app(ignores_term("app")));
    outcome.ok();
    let other = host.directory().join("other");
    let file = host.directory().join(format!("{}.json", pod.name));
    for options in [&[][..], &["-d"]] {
        let given = [options, &[file.to_str().unwrap()]].concat();
        let mut command = host.tenure(&host.pod_run(&given));
        let outcome = run(command.env("TENURE_ROOT", &other), LIMIT).expect_code(125);
        assert!(outcome.stderr.contains("in another root"), "{outcome}");
    }
    for arguments in [&["pod", "delete"][..], &["pod", "delete", "--force"]] {
        let mut command = host.tenure(&[arguments, &[pod.name.as_str()]].concat());
        run(command.env("TENURE_ROOT", &other), LIMIT);
    }
    assert_eq!(pod.status().phase.as_deref(), Some("Running"));
    assert_eq!(pod.container("app").restart_count, 0);
}
