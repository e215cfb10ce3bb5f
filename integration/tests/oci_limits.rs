//! Limits that hold, and the commands that change and tell them, on real containers: with `TENURE_SYSTEMD_CGROUP=1` in
//! cgroups that systemd makes, with `TENURE_RUNTIME=runc` by runc.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tenure_integration::{Leftovers, Outcome, ShellBox, finish, shell_box, spawn, wait_until};

/// A program that stays, and whose end no child brings about.
const STAYS: &str = "echo ready; while :; do sleep 1000 & wait $!; done";
const LIMIT: Duration = Duration::from_secs(20);

/// A started container with these `linux.resources`.
fn limited(test: &str, script: &str, resources: &Value) -> Option<ShellBox> {
    let mut this = shell_box(test, script)?;
    this.bundle.set("/linux/resources", resources.clone());
    this.start();
    Some(this)
}

fn memory(mebibytes: u64) -> Value {
    json!({ "memory": { "limit": mebibytes << 20, "swap": mebibytes << 20 } })
}

/// Has a program in the container take so much memory.
#[track_caller]
fn take_memory(this: &ShellBox, mebibytes: u64) -> Outcome {
    let size = format!("bs={mebibytes}M");
    this.exec(&[&this.id, "dd", "if=/dev/zero", "of=/dev/null", &size, "count=1"])
}

/// The figures of `events --stats`.
#[track_caller]
fn figures(this: &ShellBox) -> Value {
    let outcome = this.host.run_oci(&["events", "--stats", &this.id]).ok();
    let line: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(
        (&line["type"], &line["id"]),
        (&json!("stats"), &json!(this.id.as_str()))
    );
    line["data"].clone()
}

#[test]
fn a_memory_hog_is_killed_alone_and_the_kill_is_told() {
    let Some(this) = limited("limitoom", STAYS, &memory(32)) else {
        return;
    };
    let told = this.host.directory().join("events");
    let mut command = this.host.oci(&["events", "--interval", "100ms", &this.id]);
    let mut follower = command.stdout(fs::File::create(&told).unwrap()).spawn().unwrap();
    let until_told = |kind: &str| {
        let text = format!("\"type\":\"{kind}\"");
        let found = || fs::read_to_string(&told).unwrap().contains(&text).then_some(());
        wait_until(LIMIT, found).unwrap_or_else(|| panic!("no event of type {kind}"));
    };
    // Before the first figures it may not watch yet.
    until_told("stats");
    take_memory(&this, 48).expect_code(137);
    until_told("oom");
    assert_eq!(this.status(), "running");
    take_memory(&this, 8).ok();
    this.delete(&["--force"]);
    if this.host.runtime().is_none() {
        let ended = wait_until(LIMIT, || follower.try_wait().unwrap());
        assert!(ended.expect("the events end with the container").success());
    } else {
        follower.kill().unwrap();
        follower.wait().unwrap();
    }
}

#[test]
fn a_memory_limit_that_is_updated_holds_at_once() {
    let Some(this) = limited("limitmem", STAYS, &memory(32)) else {
        return;
    };
    take_memory(&this, 48).expect_code(137);
    let update = |size: &str| {
        this.host
            .run_oci(&["update", "--memory", size, "--memory-swap", size, &this.id])
            .ok();
    };
    update("96M");
    take_memory(&this, 48).ok();
    update("24M");
    take_memory(&this, 48).expect_code(137);
    assert_eq!(this.status(), "running");
}

#[test]
fn a_fork_bomb_stays_in_its_container_and_ends_with_it() {
    // Each shell starts others until it cannot; what the container was started for is not one of them.
    let bomb = "b() { while :; do b & done; }; b & echo ready; exec sleep 1000";
    let Some(this) = limited("limitbomb", bomb, &json!({ "pids": { "limit": 40 } })) else {
        return;
    };
    let full = || this.output().contains("can't fork").then_some(());
    wait_until(LIMIT, full).expect("the bomb meets its limit");
    let pids = &figures(&this)["pids"];
    assert!(
        pids["limit"] == 40 && pids["current"].as_u64().unwrap() <= 40,
        "{pids}"
    );
    assert_eq!(this.status(), "running");
    this.delete(&["--force"]);
    this.host.assert_nothing_is_left();
}

#[test]
fn a_limit_of_processes_that_is_updated_holds_at_once() {
    let Some(this) = limited("limitpids", STAYS, &json!({ "pids": { "limit": 100 } })) else {
        return;
    };
    let start_thirty = || {
        // What outlives the shell must not hold its output open.
        let script = "i=0; while [ $i -lt 30 ]; do sleep 1000 </dev/null >/dev/null 2>&1 & i=$((i+1)); done; \
            kill $(jobs -p); echo all";
        this.exec(&[&this.id, "/bin/sh", "-c", script])
    };
    assert_eq!(start_thirty().ok().stdout, "all\n");
    this.host
        .run_oci(&["update", "--pids-limit", "25", &this.id])
        .ok();
    let outcome = start_thirty();
    assert!(
        outcome.code != 0 && outcome.stderr.contains("can't fork"),
        "{outcome}"
    );
    assert_eq!(figures(&this)["pids"]["limit"], 25);
}

#[test]
fn a_processor_quota_that_is_updated_holds_at_once() {
    let Some(this) = limited("limitcpu", "echo ready; while :; do :; done", &json!({})) else {
        return;
    };
    let throttled = || {
        let periods = figures(&this)["cpu"]["throttling"]["throttledPeriods"].as_u64();
        periods.unwrap_or(0)
    };
    assert_eq!(throttled(), 0);
    this.host
        .run_oci(&["update", "--cpu-period", "50000", "--cpu-quota", "5000", &this.id])
        .ok();
    wait_until(LIMIT, || (throttled() >= 3).then_some(())).expect("the container is throttled");
}

#[test]
fn the_figures_are_those_of_the_container() {
    let resources = json!({ "memory": { "limit": 64 << 20 }, "pids": { "limit": 50 } });
    let Some(this) = limited("limitstat", STAYS, &resources) else {
        return;
    };
    take_memory(&this, 8).ok();
    let figures = figures(&this);
    let number = |pointer: &str| {
        let value = figures.pointer(pointer).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("no {pointer} in {figures}"))
    };
    assert_eq!(number("/memory/usage/limit"), 64 << 20);
    let usage = number("/memory/usage/usage");
    assert!((4 << 10..64 << 20).contains(&usage), "{figures}");
    assert_eq!(number("/pids/limit"), 50);
    assert!((1..=3).contains(&number("/pids/current")), "{figures}");
    let total = number("/cpu/usage/total");
    assert!((100_000..60_000_000_000).contains(&total), "{figures}");
}

#[test]
fn a_paused_container_stands_still_and_goes_on_when_it_is_resumed() {
    let Some(this) = shell_box(
        "limitpause",
        "echo ready; i=0; while :; do i=$((i+1)); echo $i >/count; done",
    ) else {
        return;
    };
    this.start();
    let count = || fs::read_to_string(this.bundle.rootfs().join("count")).unwrap_or_default();
    let counts_on = || {
        let before = count();
        wait_until(LIMIT, || (count() != before).then_some(())).expect("the container counts");
    };
    counts_on();
    this.host.run_oci(&["pause", &this.id]).ok();
    let before = count();
    for _ in 0..3 {
        assert_eq!(this.status(), "paused");
    }
    let refused = this.exec(&[&this.id, "true"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert_eq!(count(), before);
    this.host.run_oci(&["resume", &this.id]).ok();
    counts_on();
    assert_eq!(this.status(), "running");
    // Paused again, force ends it all the same.
    this.host.run_oci(&["pause", &this.id]).ok();
    let gone = spawn(&mut this.host.oci(&["delete", "--force", &this.id]));
    finish(gone, LIMIT).ok();
    this.host.assert_nothing_is_left();
}

/// The container's own cgroups, in every hierarchy.
fn own_cgroups(this: &ShellBox) -> Vec<PathBuf> {
    let is_own = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.trim_end_matches(".scope").ends_with(&this.id)
    };
    let mut cgroups = Leftovers::running(this.host.token()).cgroups;
    cgroups.retain(is_own);
    cgroups
}

#[test]
fn exec_runs_in_the_cgroup_that_is_named_below_the_containers() {
    let Some(this) = limited("limitsub", STAYS, &json!({})) else {
        return;
    };
    let own = own_cgroups(&this);
    assert!(!own.is_empty(), "no cgroup carries the id {}", this.id);
    for cgroup in &own {
        let sub = cgroup.join("sub");
        fs::create_dir(&sub).unwrap();
        for file in ["cpuset.cpus", "cpuset.mems"] {
            // v1 takes no process into a cpuset of nothing.
            if let Ok(value) = fs::read(cgroup.join(file)) {
                let _ = fs::write(sub.join(file), value);
            }
        }
    }
    let cgroup_of = |arguments: &[&str]| {
        let all = [arguments, &[this.id.as_str(), "cat", "/proc/self/cgroup"]].concat();
        let table = this.exec(&all).ok().stdout;
        let line = table.lines().find(|line| line.contains(":memory:"));
        line.unwrap_or_else(|| table.lines().last().unwrap()).to_owned()
    };
    let line = cgroup_of(&[]);
    assert!(!line.ends_with("/sub"), "{line}");
    let line = cgroup_of(&["--cgroup", "sub"]);
    assert!(line.ends_with("/sub"), "{line}");
    this.delete(&["--force"]);
    this.host.assert_nothing_is_left();
}
