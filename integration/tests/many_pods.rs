//! Two hundred pods of two containers each at once: all start, cost little while they run, and stop beside each other.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tenure_integration::{
    Event, Host, Manifest, Outcome, Spawned, assert_between, ends_on_term, finish, host, parse_events,
    seconds_between, spawn, wait_until,
};

/// How many.
const PODS: usize = 200;

/// How long one of the two containers takes to end, in s: the longest single stop.
const LONGEST: u32 = 3;

/// How long they are watched while nothing happens.
const WATCHED: Duration = Duration::from_secs(5);

/// Limit for what takes long on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);

struct Running {
    name: String,
    directory: PathBuf,
}

impl Running {
    fn events(&self) -> Vec<Event> {
        parse_events(&fs::read_to_string(self.directory.join("events.jsonl")).unwrap_or_default())
    }

    /// The pod's supervisor, which the pod's record names.
    fn supervisor(&self) -> u32 {
        let text = fs::read(self.directory.join("record.json")).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let pid = record["supervisor"]["pid"].as_u64().unwrap();
        u32::try_from(pid).unwrap()
    }
}

/// Starts the commands all at once, and gives what came of them.
fn all_at_once(commands: impl Iterator<Item = std::process::Command>) -> Vec<Outcome> {
    let spawned: Vec<Spawned> = commands.map(|mut command| spawn(&mut command)).collect();
    spawned
        .into_iter()
        .map(|spawned| finish(spawned, LIMIT))
        .collect()
}

/// Tells a figure, in a run of all tests too, where the output of those that pass is not shown.
fn say(line: String) {
    let _ = writeln!(std::io::stderr(), "many pods: {line}");
}

fn ok(outcomes: Vec<Outcome>) {
    for outcome in outcomes {
        outcome.ok();
    }
}

/// Voluntary and other context switches of all threads of a process: each is a wake-up.
fn wake_ups(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .flatten()
        .map(|thread| fields(&thread.path().join("status"), "ctxt_switches"))
        .sum()
}

/// The sum of the numbers on a status file's lines that contain a word.
fn fields(file: &Path, word: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().filter(|line| line.contains(word));
    lines
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}

fn middle(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}

fn run_all(host: &Host) -> Vec<Running> {
    let manifest = Manifest::new()
        .restart_policy("Always")
        .grace(60)
        .app(ends_on_term("quick", 0))
        .app(ends_on_term("slow", LONGEST));
    let mut pods = Vec::new();
    let mut files = Vec::new();
    for _ in 0..PODS {
        let (name, file) = host.write(&manifest);
        host.remember(&name);
        let directory = host.root().join("pods").join(&name);
        pods.push(Running { name, directory });
        files.push(file);
    }
    let begun = Instant::now();
    ok(all_at_once(files.iter().map(|file| {
        host.tenure(&host.pod_run(&["-d", file.to_str().unwrap()]))
    })));
    say(format!(
        "{PODS} pods started in {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    pods
}

/// Tells what the supervisors cost while nothing happens. Figures, not limits: other programs run beside the test.
fn measure(pods: &[Running]) {
    let supervisors: Vec<u32> = pods.iter().map(Running::supervisor).collect();
    let before: Vec<u64> = supervisors.iter().map(|pid| wake_ups(*pid)).collect();
    std::thread::sleep(WATCHED);
    let after = supervisors.iter().map(|pid| wake_ups(*pid));
    let woken: Vec<u64> = after.zip(&before).map(|(after, before)| after - before).collect();
    let status = |field: &'static str| {
        let each = supervisors.iter();
        each.map(|pid| fields(&PathBuf::from(format!("/proc/{pid}/status")), field))
            .collect::<Vec<u64>>()
    };
    let resident = status("VmRSS:");
    say(format!(
        "supervisor: {} KiB resident ({} KiB of its own), at most {} KiB; {} wake-ups of all in {} s, at most {} of one",
        middle(resident.clone()),
        middle(status("RssAnon:")),
        resident.iter().max().unwrap(),
        woken.iter().sum::<u64>(),
        WATCHED.as_secs(),
        woken.iter().max().unwrap(),
    ));
}

#[test]
fn two_hundred_pods_start_and_stop_at_once() {
    let Some(host) = host("many") else { return };
    let pods = run_all(&host);
    // A stop that comes before a program heeds SIGTERM would take the whole grace.
    let ready = || {
        let logs = pods.iter().flat_map(|pod| {
            ["quick", "slow"].map(|container| pod.directory.join("logs").join(container).join("0.log"))
        });
        let mut texts = logs.map(|log| fs::read_to_string(log).unwrap_or_default());
        texts.all(|text| text.contains("ready")).then_some(())
    };
    wait_until(LIMIT, ready).expect("every container writes that it is ready");
    let list = host.run(&["pod", "list"]).ok().stdout;
    let running = list
        .lines()
        .filter(|line| line.contains("Running") && line.contains("2/2"));
    assert_eq!(running.count(), PODS, "{list}");
    measure(&pods);

    let begun = Instant::now();
    ok(all_at_once(
        pods.iter().map(|pod| host.tenure(&["pod", "stop", &pod.name])),
    ));
    let took = begun.elapsed().as_secs_f64();
    let single = pods.iter().map(|pod| {
        let events = pod.events();
        let of = |reason: &'static str| events.iter().filter(move |event| event.reason == reason);
        assert_eq!(of("Killed").count(), 0, "{events:#?}");
        let asked = of("Stopping").next().expect("a stop was asked for").time;
        let finished = of("Finished").next().expect("the pod has ended").time;
        seconds_between(asked, finished)
    });
    let longest = single.fold(0.0, f64::max);
    say(format!(
        "{PODS} pods stopped in {took:.1} s; the longest single stop took {longest:.1} s"
    ));
    // One after the other they would take six hundred seconds.
    assert_between("all stops", took, f64::from(LONGEST), 150.0);
    host.assert_nothing_runs();

    let begun = Instant::now();
    ok(all_at_once(
        pods.iter().map(|pod| host.tenure(&["pod", "delete", &pod.name])),
    ));
    say(format!(
        "{PODS} pods deleted in {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    host.assert_nothing_is_left();
}
