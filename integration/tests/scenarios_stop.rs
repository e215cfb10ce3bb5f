//! preStop, stop signals and grace periods on real containers (lifecycle-semantics 3; scenarios S27 to S53, S99, S100).
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use jiff::Timestamp;
use nix::sys::signal::Signal;
use serde_json::json;
use tenure_integration::{
    Container, Host, Manifest, RunningPod, STAY, Stopped, assert_about, assert_between, ends_on_term, exec,
    host, http_get, ignores_term, seconds_between, shell, sleep,
};

/// Starts a pod and waits until each of its apps is ready for signals and the pod is Running.
fn running<'h>(host: &'h Host, manifest: &Manifest) -> RunningPod<'h> {
    let pod = host.start(manifest);
    for app in manifest.0["spec"]["containers"].as_array().unwrap() {
        pod.until_wrote(app["name"].as_str().unwrap(), "ready");
    }
    pod.until_phase("Running");
    pod
}

fn one(grace: u64, app: Container) -> Manifest {
    Manifest::new().grace(grace).app(app)
}

/// Stops a pod, waits for its command, which must end with `code`, and checks that nothing keeps running.
fn stop(pod: &RunningPod<'_>, arguments: &[&str], code: i32) -> Stopped {
    let stopped = pod.stop(arguments);
    stopped.seconds();
    pod.finish().expect_code(code);
    pod.host.assert_nothing_runs();
    stopped
}

#[test]
fn s27_prestop_runs_before_term_and_counts_into_the_grace() {
    let Some(host) = host("s27") else { return };
    let pod = running(&host, &one(10, ends_on_term("app", 1).pre_stop(exec("sleep 3"))));
    let stopped = stop(&pod, &[], 0);
    assert_about("TERM", stopped.until(pod.wrote("app", "TERM")), 3.0);
    assert_about("end", stopped.seconds(), 4.0);
}

#[test]
fn s28_kill_comes_at_the_end_of_the_grace_with_prestop_counted_in() {
    let Some(host) = host("s28") else { return };
    let pod = running(&host, &one(10, ignores_term("app").pre_stop(exec("sleep 3"))));
    let stopped = stop(&pod, &[], 137);
    assert_about("TERM", stopped.until(pod.wrote("app", "TERM")), 3.0);
    assert_about("KILL", stopped.seconds(), 10.0);
}

#[test]
fn s29_a_prestop_that_takes_all_the_grace_leaves_two_seconds_for_term() {
    let Some(host) = host("s29") else { return };
    let pod = running(&host, &one(5, ignores_term("app").pre_stop(exec("sleep 60"))));
    let stopped = stop(&pod, &[], 137);
    assert_about("TERM", stopped.until(pod.wrote("app", "TERM")), 5.0);
    assert_between("KILL", stopped.seconds(), 6.0, 8.0);
    assert!(
        pod.events_of("FailedPreStopHook").is_empty(),
        "the time-out is no failure"
    );
}

#[test]
fn s30_a_prestop_that_never_ends_lives_for_the_default_grace_and_two_seconds() {
    let Some(host) = host("s30") else { return };
    let app = ignores_term("app").pre_stop(exec("while :; do sleep 1; done"));
    let pod = running(&host, &Manifest::new().app(app));
    let stopped = stop(&pod, &[], 137);
    assert_between("KILL", stopped.seconds(), 31.0, 33.0);
    let ended = pod.container("app").state.unwrap().terminated.unwrap();
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (137, Some("Error")));
}

#[test]
fn s31_a_failed_prestop_is_reported_and_term_follows_at_once() {
    let Some(host) = host("s31") else { return };
    let pod = running(&host, &one(10, ends_on_term("app", 0).pre_stop(exec("exit 1"))));
    let stopped = stop(&pod, &[], 0);
    assert_eq!(pod.event("FailedPreStopHook", "app").kind, "Warning");
    assert_about("TERM", stopped.until(pod.wrote("app", "TERM")), 0.0);
}

#[test]
fn s32_no_grace_still_means_term_and_two_seconds() {
    let Some(host) = host("s32") else { return };
    let pod = running(&host, &one(0, ignores_term("app")));
    let stopped = stop(&pod, &[], 137);
    assert_about("TERM", stopped.until(pod.wrote("app", "TERM")), 0.0);
    assert_about("KILL", stopped.seconds(), 2.0);
}

#[test]
fn s33_a_stop_without_grace_gives_prestop_one_second() {
    let Some(host) = host("s33") else { return };
    let script = format!("trap 'cat /tmp/pre-stop; echo TERM' TERM; {STAY}");
    let app = shell("app", &script).pre_stop(exec("echo written >/tmp/pre-stop; sleep 5"));
    let pod = running(&host, &one(30, app));
    let stopped = stop(&pod, &["--grace", "0"], 137);
    pod.wrote("app", "written");
    assert_about("TERM", stopped.until(pod.wrote("app", "TERM")), 1.0);
    assert_between("KILL", stopped.seconds(), 2.5, 3.5);
}

#[test]
fn s34_prestop_does_not_run_after_a_crash() {
    let Some(host) = host("s34") else { return };
    let app = shell("app", "sleep 0.3; exit 2")
        .mount("seen", "/seen")
        .pre_stop(exec(": >/seen/pre-stop"));
    prestop_never_runs(&host, app, 2, "Failed");
}

#[test]
fn s35_prestop_does_not_run_after_completion() {
    let Some(host) = host("s35") else { return };
    let app = shell("app", "sleep 0.3")
        .mount("seen", "/seen")
        .pre_stop(exec(": >/seen/pre-stop"));
    prestop_never_runs(&host, app, 0, "Succeeded");
}

fn prestop_never_runs(host: &Host, app: Container, code: i32, phase: &str) {
    let seen = host.directory().join("seen");
    std::fs::create_dir(&seen).unwrap();
    let volume = json!({ "name": "seen", "hostPath": { "path": seen } });
    let pod = host.start(&Manifest::new().volume(volume).app(app));
    pod.finish().expect_code(code);
    assert_eq!(pod.status().phase.as_deref(), Some(phase));
    assert_eq!(std::fs::read_dir(&seen).unwrap().count(), 0, "preStop has run");
}

#[test]
fn s37_the_containers_of_a_pod_are_stopped_at_the_same_time() {
    let Some(host) = host("s37") else { return };
    let mut manifest = Manifest::new().grace(10);
    for (name, seconds) in [("a", 1), ("b", 2), ("c", 3)] {
        manifest = manifest.app(ends_on_term(name, 0).pre_stop(exec(&format!("sleep {seconds}"))));
    }
    let pod = running(&host, &manifest);
    let stopped = stop(&pod, &[], 0);
    for (name, seconds) in [("a", 1.0), ("b", 2.0), ("c", 3.0)] {
        assert_about(name, stopped.until(pod.wrote(name, "TERM")), seconds);
    }
    assert_about("end of the pod", stopped.seconds(), 3.0);
}

#[test]
fn s38_a_server_may_end_on_the_request_of_prestop() {
    let Some(host) = host("s38") else { return };
    let script = "trap 'exit 0' TERM; nc -l -p 8080 -e /bin/true & echo ready; wait $!; exit 0";
    let app = shell("app", script).pre_stop(http_get(json!({ "port": 8080 })));
    let pod = running(&host, &one(10, app));
    let stopped = stop(&pod, &[], 0);
    assert_between("time to stop", stopped.seconds(), 0.0, 2.0);
    let unusual: Vec<_> = pod
        .events()
        .into_iter()
        .filter(|event| event.kind == "Warning")
        .collect();
    assert!(
        unusual
            .iter()
            .all(|event| event.message.to_lowercase().contains("prestop")),
        "{unusual:#?}"
    );
}

#[test]
fn s39_a_sleeping_prestop_ends_when_its_container_does() {
    let Some(host) = host("s39") else { return };
    let pod = running(
        &host,
        &one(30, shell("app", "echo ready; sleep 2").pre_stop(sleep(20))),
    );
    let stopped = stop(&pod, &[], 0);
    assert_between("time to stop", stopped.seconds(), 0.0, 2.5);
}

/// A script that names the signals it gets, and ends on none.
fn names_signals(name: &str) -> Container {
    shell(
        name,
        &format!("for signal in TERM QUIT USR1; do trap \"echo got $signal\" $signal; done; {STAY}"),
    )
}

#[test]
fn s41_the_stop_signal_of_the_lifecycle_goes_before_that_of_the_image() {
    let Some(host) = host("s41") else { return };
    host.bundle().set(
        "/annotations",
        json!({ "org.opencontainers.image.stopSignal": "SIGQUIT" }),
    );
    let pod = running(&host, &one(1, names_signals("app").stop_signal("SIGUSR1")));
    stop(&pod, &[], 137);
    assert_eq!(pod.log("app"), ["ready", "got USR1"]);
}

#[test]
fn s42_the_stop_signal_of_the_image_is_used() {
    let Some(host) = host("s42") else { return };
    host.bundle().set(
        "/annotations",
        json!({ "org.opencontainers.image.stopSignal": "SIGQUIT" }),
    );
    let pod = running(&host, &one(3, names_signals("app")));
    let stopped = stop(&pod, &[], 137);
    assert_eq!(pod.log("app"), ["ready", "got QUIT"]);
    assert_about("KILL", stopped.seconds(), 3.0);
}

#[test]
fn s43_process_one_without_a_handler_rides_out_the_grace() {
    let Some(host) = host("s43") else { return };
    let pod = running(&host, &one(3, shell("app", "echo ready; sleep 100")));
    let stopped = stop(&pod, &[], 137);
    assert_about("KILL", stopped.seconds(), 3.0);
}

const FORKS: &str = "trap '' TERM; sleep 1000 & (trap '' TERM; sleep 1001) & echo ready; sleep 1002";

#[test]
fn s44_kill_leaves_no_process_of_the_container() {
    let Some(host) = host("s44") else { return };
    let pod = running(&host, &one(1, shell("app", FORKS)));
    stop(&pod, &[], 137);
}

#[test]
fn s45_kill_leaves_no_process_in_a_shared_pid_namespace() {
    let Some(host) = host("s45") else { return };
    let pod = running(
        &host,
        &one(1, shell("app", FORKS)).set("shareProcessNamespace", true),
    );
    stop(&pod, &[], 137);
}

#[test]
fn s45_kill_leaves_no_process_in_the_pid_namespace_of_the_host() {
    let Some(host) = host("s45b") else { return };
    let pod = running(&host, &one(1, shell("app", FORKS)).set("hostPID", true));
    stop(&pod, &[], 137);
}

#[test]
fn s46_the_stop_signal_is_delivered_once_however_often_a_stop_is_asked_for() {
    let Some(host) = host("s46") else { return };
    let pod = running(&host, &one(4, ignores_term("app")));
    let first = pod.begin_stop(&[]);
    pod.until_wrote("app", "TERM");
    pod.stop(&[]).outcome.ok();
    tenure_integration::finish(first, std::time::Duration::from_secs(10)).ok();
    pod.finish().expect_code(137);
    assert_eq!(pod.log("app"), ["ready", "TERM"]);
}

#[test]
fn s47_a_second_stop_shortens_the_grace() {
    let Some(host) = host("s47") else { return };
    let pod = running(&host, &one(30, ignores_term("app")));
    let asked = Timestamp::now();
    let first = pod.begin_stop(&[]);
    let term = pod.until_wrote("app", "TERM");
    assert_about("TERM", seconds_between(asked, term), 0.0);
    let again = pod.stop(&["--grace", "1"]);
    // One second is raised to the least window of two (3.1).
    assert_about("KILL after the second stop", again.seconds(), 2.0);
    tenure_integration::finish(first, std::time::Duration::from_secs(5)).ok();
    pod.finish().expect_code(137);
}

#[test]
fn s48_a_second_stop_cannot_lengthen_the_grace() {
    let Some(host) = host("s48") else { return };
    let pod = running(&host, &one(5, ignores_term("app")));
    let asked = Timestamp::now();
    let first = pod.begin_stop(&[]);
    pod.until_wrote("app", "TERM");
    pod.stop(&["--grace", "60"]).outcome.ok();
    assert_about("KILL", seconds_between(asked, Timestamp::now()), 5.0);
    tenure_integration::finish(first, std::time::Duration::from_secs(5)).ok();
    pod.finish().expect_code(137);
}

#[test]
fn s49_the_default_grace_is_thirty_seconds() {
    let Some(host) = host("s49") else { return };
    let pod = running(&host, &Manifest::new().app(ignores_term("app")));
    let stopped = stop(&pod, &[], 137);
    assert_about("KILL", stopped.seconds(), 30.0);
}

#[test]
fn s53_without_sidecars_term_reaches_all_containers_together() {
    let Some(host) = host("s53") else { return };
    let names = ["a", "b", "c"];
    let manifest = names.iter().fold(Manifest::new().grace(10), |pod, name| {
        pod.app(ends_on_term(name, 1))
    });
    let pod = running(&host, &manifest);
    let stopped = stop(&pod, &[], 0);
    for name in names {
        assert_about(name, stopped.until(pod.wrote(name, "TERM")), 0.0);
    }
    assert_between("end of the pod", stopped.seconds(), 0.9, 2.5);
}

#[test]
fn s99_an_interrupt_while_an_init_container_runs_starts_no_app() {
    let Some(host) = host("s99") else { return };
    let manifest = Manifest::new()
        .grace(3)
        .init(ignores_term("init"))
        .app(ends_on_term("app", 0));
    let pod = host.start(&manifest);
    pod.until_wrote("init", "ready");
    let asked = Timestamp::now();
    pod.signal(Signal::SIGINT);
    let outcome = pod.finish();
    assert_ne!(outcome.code, 0, "{outcome}");
    assert_about("KILL", seconds_between(asked, Timestamp::now()), 3.0);
    assert_about("TERM", seconds_between(asked, pod.wrote("init", "TERM")), 0.0);
    assert!(pod.log("app").is_empty(), "the app has started");
    assert!(
        pod.events_of("Started")
            .iter()
            .all(|event| event.container.as_deref() != Some("app"))
    );
    host.assert_nothing_runs();
}

#[test]
fn s100_a_second_signal_shortens_the_stop_to_the_least_window() {
    let Some(host) = host("s100") else { return };
    let pod = running(&host, &one(60, ignores_term("app")));
    pod.signal(Signal::SIGTERM);
    pod.until_wrote("app", "TERM");
    let asked = Timestamp::now();
    pod.signal(Signal::SIGTERM);
    pod.finish().expect_code(137);
    assert_about(
        "KILL after the second signal",
        seconds_between(asked, Timestamp::now()),
        2.0,
    );
    assert_eq!(pod.log("app"), ["ready", "TERM"]);
    host.assert_nothing_runs();
}

#[test]
fn a_third_signal_kills_at_once() {
    let Some(host) = host("third") else { return };
    let pod = running(&host, &one(60, ignores_term("app").pre_stop(exec("sleep 50"))));
    pod.signal(Signal::SIGINT);
    pod.until_event("Killing", "app");
    let asked = Timestamp::now();
    pod.signal(Signal::SIGINT);
    pod.signal(Signal::SIGTERM);
    pod.finish().expect_code(137);
    // Standard signals that are pending together may arrive as one; of different numbers both arrive.
    assert_between("KILL", seconds_between(asked, Timestamp::now()), 0.0, 1.0);
    host.assert_nothing_runs();
}
