//! A supervisor that is killed takes nothing with it that cannot be found and removed afterwards.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tenure_integration::{Manifest, RunningPod, ends_on_term, exec, host, ignores_term, shell, wait_until};

/// The process that holds the pod's lock, which its supervisor does for all its life.
fn supervisor(pod: &RunningPod<'_>) -> Option<i32> {
    let inode = fs::metadata(pod.directory().join("lock")).ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let mut holders = locks
        .lines()
        .filter(|line| line.contains("FLOCK"))
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let at = fields.iter().position(|field| field.matches(':').count() == 2)?;
            (fields[at].rsplit(':').next()? == inode && fields[1] != "->")
                .then(|| fields[at - 1].parse().ok())?
        });
    holders.next()
}

/// Kills the supervisor and waits until it has gone.
#[track_caller]
fn kill_supervisor(pod: &RunningPod<'_>) {
    let pid = wait_until(Duration::from_secs(5), || supervisor(pod)).expect("the pod has a supervisor");
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    wait_until(Duration::from_secs(5), || supervisor(pod).is_none().then_some(()))
        .expect("the supervisor has gone");
}

/// A pod of an init container and an app.
fn manifest() -> Manifest {
    Manifest::new()
        .grace(1)
        .init(shell("init", "echo ready; sleep 0.3"))
        .app(ignores_term("app"))
}

#[test]
fn its_pod_can_be_looked_at_stopped_and_deleted() {
    let Some(host) = host("skstop") else { return };
    let (pod, outcome) = host.detach(&manifest());
    outcome.ok();
    kill_supervisor(&pod);
    assert_eq!(pod.object().metadata.name.as_deref(), Some(pod.name.as_str()));
    let list = host.run(&["pod", "list"]).ok();
    assert!(list.stdout.contains(&pod.name), "{list}");
    pod.stop(&[]).outcome.ok();
    host.assert_nothing_runs();
    host.run(&["pod", "delete", &pod.name]).ok();
    host.assert_nothing_is_left();
}

#[test]
fn its_pod_can_be_deleted_by_force() {
    let Some(host) = host("skdel") else { return };
    let (pod, outcome) = host.detach(&manifest());
    outcome.ok();
    kill_supervisor(&pod);
    host.run(&["pod", "delete", "--force", &pod.name]).ok();
    host.assert_nothing_is_left();
}

#[test]
fn a_secret_in_a_volume_goes_with_what_is_left_of_its_pod() {
    let Some(host) = host("sksecret") else { return };
    let word = host.directory().join("word");
    fs::write(&word, "hush-hush").unwrap();
    let option = format!("--secret=keys={}", word.display());
    let volume = serde_json::json!({ "name": "keys", "secret": { "secretName": "keys" } });
    for stops_first in [true, false] {
        let app = ignores_term("app").mount("keys", "/keys");
        let manifest = Manifest::new().grace(1).app(app).volume(volume.clone());
        let (pod, outcome) = host.detach_with(&[&option], &manifest);
        outcome.ok();
        kill_supervisor(&pod);
        let volumes = pod.directory().join("volumes");
        // The container lives on and has its files.
        assert_eq!(fs::read(volumes.join("keys/word")).unwrap(), b"hush-hush");
        if stops_first {
            pod.stop(&[]).outcome.ok();
            host.assert_nothing_runs();
            assert!(!volumes.exists(), "the secret is left");
            host.run(&["pod", "delete", &pod.name]).ok();
        } else {
            host.run(&["pod", "delete", "--force", &pod.name]).ok();
        }
        host.assert_nothing_is_left();
    }
}

#[test]
fn a_live_container_is_not_deleted_without_force() {
    let Some(host) = host("skref") else { return };
    let (pod, outcome) = host.detach(&manifest());
    outcome.ok();
    kill_supervisor(&pod);
    host.run(&["pod", "delete", &pod.name])
        .expect_code(1)
        .one_line_of_error();
    host.run(&["pod", "delete", "--force", &pod.name]).ok();
}

#[test]
fn the_command_in_the_foreground_ends_too() {
    let Some(host) = host("skfg") else { return };
    let pod = host.start(&Manifest::new().grace(1).app(ends_on_term("app", 0)));
    pod.until_wrote("app", "ready");
    kill_supervisor(&pod);
    let outcome = pod.finish();
    assert_ne!(outcome.code, 0, "{outcome}");
    host.run(&["pod", "delete", "--force", &pod.name]).ok();
    host.assert_nothing_is_left();
}

#[test]
fn nothing_is_begun_anew_after_its_death_while_all_containers_are_restarted() {
    let Some(host) = host("skall") else { return };
    let rule = serde_json::json!([{ "action": "RestartAllContainers", "exitCodes": { "operator": "In", "values": [88] } }]);
    let trigger = shell("trigger", "until [ -e /tmp/go ]; do sleep 0.05; done; exit 88")
        .set("restartPolicy", "Never")
        .set("restartPolicyRules", rule);
    let manifest = Manifest::new().grace(1).app(ignores_term("app")).app(trigger);
    let (pod, outcome) = host.detach(&manifest);
    outcome.ok();
    pod.until_wrote("app", "ready");
    let go = [
        "pod", "exec", &pod.name, "-c", "trigger", "--", "touch", "/tmp/go",
    ];
    // It may be taken with the container that it is for.
    let outcome = host.run(&go);
    assert!([0, 137].contains(&outcome.code), "{outcome}");
    pod.until_event("RestartingAllContainers", "trigger");
    kill_supervisor(&pod);
    pod.stop(&[]).outcome.ok();
    host.assert_nothing_runs();
    let status = pod.status();
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    host.run(&["pod", "delete", &pod.name]).ok();
    host.assert_nothing_is_left();
}

#[test]
fn whenever_it_is_killed_during_the_start_everything_can_be_removed() {
    let Some(host) = host("skany") else { return };
    for milliseconds in 0..30 {
        let manifest = Manifest::new()
            .grace(1)
            .init(shell("init", "true"))
            .app(ignores_term("app"));
        let pod = host.start(&manifest);
        wait_until(Duration::from_secs(5), || supervisor(&pod)).expect("the pod has a supervisor");
        std::thread::sleep(Duration::from_millis(milliseconds));
        kill_supervisor(&pod);
        pod.finish();
        host.run(&["pod", "status", &pod.name]);
        host.run(&["pod", "delete", "--force", &pod.name]).ok();
        host.assert_nothing_is_left();
    }
}

#[test]
fn killed_during_a_stop_whoever_asked_for_it_takes_over_and_may_still_be_hurried() {
    let Some(host) = host("skagain") else { return };
    let app = ignores_term("app").pre_stop(exec("sleep 20"));
    let (pod, outcome) = host.detach(&Manifest::new().grace(30).app(app));
    outcome.ok();
    let first = pod.begin_stop(&[]);
    pod.until_event("Killing", "app");
    let killed = wait_until(Duration::from_secs(5), || supervisor(&pod)).expect("the pod has a supervisor");
    kill(Pid::from_raw(killed), Signal::SIGKILL).unwrap();
    wait_until(Duration::from_secs(5), || {
        supervisor(&pod).filter(|pid| *pid != killed)
    })
    .expect("the waiting stop command takes the pod over");
    pod.stop(&["--grace", "1"]).outcome.ok();
    tenure_integration::finish(first, Duration::from_secs(10)).ok();
    host.assert_nothing_runs();
}

#[test]
fn the_name_can_be_used_again_once_the_rest_is_removed() {
    let Some(host) = host("sknew") else { return };
    let (pod, outcome) = host.detach(&manifest());
    outcome.ok();
    kill_supervisor(&pod);
    pod.stop(&[]).outcome.ok();
    let file = host.directory().join(format!("{}.json", pod.name));
    host.run(&host.pod_run(&["-d", file.to_str().unwrap()])).ok();
    pod.stop(&[]).outcome.ok();
    host.run(&["pod", "delete", &pod.name]).ok();
    host.assert_nothing_is_left();
}
