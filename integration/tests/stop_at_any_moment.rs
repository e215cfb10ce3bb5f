//! A stop ends a pod within its grace and two seconds, whenever it comes, and leaves nothing.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use tenure_integration::{
    Host, Manifest, RunningPod, assert_between, ends_on_term, exec, finish, host, ignores_term, shell,
};

const GRACE: u64 = 1;

/// A pod in which every stage takes its time and nothing ends on SIGTERM.
fn slow_pod() -> Manifest {
    let app = ignores_term("app")
        .post_start(exec("sleep 20"))
        .pre_stop(exec("sleep 20"));
    Manifest::new()
        .grace(GRACE)
        .volume(json!({ "name": "v", "emptyDir": { "medium": "Memory" } }))
        .init(shell("first", "echo ready; sleep 0.2").mount("v", "/v"))
        .init(ignores_term("second").mount("v", "/v"))
        .app(app.mount("v", "/v"))
}

/// Stops the pod and checks the promise.
#[track_caller]
fn stop_in_time(pod: &RunningPod<'_>) {
    let begun = Instant::now();
    pod.stop(&[]).outcome.ok();
    assert_in_time(begun);
    pod.finish();
    pod.host.assert_nothing_runs();
    pod.host.run(&["pod", "delete", &pod.name]).ok();
    pod.host.assert_nothing_is_left();
}

#[track_caller]
fn assert_in_time(begun: Instant) {
    assert_between(
        "time to stop",
        begun.elapsed().as_secs_f64(),
        0.0,
        GRACE as f64 + 2.5,
    );
}

#[test]
fn during_the_first_init_container() {
    let Some(host) = host("init1") else { return };
    let pod = host.start(&slow_pod());
    pod.until_wrote("first", "ready");
    stop_in_time(&pod);
}

#[test]
fn between_two_init_containers() {
    let Some(host) = host("between") else { return };
    // The moment lies somewhere around the end of the first: walk over it.
    for milliseconds in (150..300).step_by(10) {
        let pod = host.start(&slow_pod());
        pod.until_wrote("first", "ready");
        std::thread::sleep(Duration::from_millis(milliseconds));
        stop_in_time(&pod);
    }
}

#[test]
fn during_the_second_init_container() {
    let Some(host) = host("init2") else { return };
    let pod = host.start(&slow_pod());
    pod.until_wrote("second", "ready");
    stop_in_time(&pod);
}

/// Runs a pod of one app and sends SIGTERM to its command after so many milliseconds.
fn interrupt_after(host: &Host, milliseconds: u64) {
    let pod = host.start(&Manifest::new().grace(GRACE).app(ends_on_term("app", 0)));
    std::thread::sleep(Duration::from_millis(milliseconds));
    let begun = Instant::now();
    pod.signal(Signal::SIGTERM);
    let outcome = pod.finish();
    assert_in_time(begun);
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    host.assert_nothing_runs();
    if pod.directory().exists() {
        host.run(&["pod", "delete", &pod.name]).ok();
    }
    host.assert_nothing_is_left();
}

#[test]
fn during_create_by_a_signal_to_the_command() {
    let Some(host) = host("create") else { return };
    for milliseconds in 0..40 {
        interrupt_after(&host, milliseconds);
    }
}

#[test]
fn during_create_by_the_stop_command() {
    let Some(host) = host("ask") else { return };
    for microseconds in (0..30_000).step_by(1500) {
        let pod = host.start(&Manifest::new().grace(GRACE).app(ignores_term("app")));
        let appeared = || pod.directory().join("control.sock").exists().then_some(());
        tenure_integration::wait_until(Duration::from_secs(5), appeared)
            .expect("the pod has a control socket");
        std::thread::sleep(Duration::from_micros(microseconds));
        stop_in_time(&pod);
    }
}

#[test]
fn during_post_start() {
    let Some(host) = host("poststart") else { return };
    let app = ignores_term("app").post_start(exec("sleep 20"));
    let pod = host.start(&Manifest::new().grace(GRACE).app(app));
    pod.until_wrote("app", "ready");
    stop_in_time(&pod);
}

#[test]
fn during_pre_stop_and_again_after_a_failed_post_start() {
    let Some(host) = host("prestop") else { return };
    let app = ignores_term("app")
        .post_start(exec("exit 1"))
        .pre_stop(exec("sleep 20"));
    let pod = host.start(&Manifest::new().grace(20).app(app));
    pod.until_event("FailedPostStartHook", "app");
    // preStop is running, for a grace of 20 s: the stop shortens that.
    let begun = Instant::now();
    pod.stop(&["--grace", "1"]).outcome.ok();
    assert_in_time(begun);
    pod.finish();
    host.assert_nothing_runs();
}

#[test]
fn twice_and_from_two_sides() {
    let Some(host) = host("twice") else { return };
    let app = ignores_term("app").pre_stop(exec("sleep 20"));
    let pod = host.start(&Manifest::new().grace(GRACE).app(app));
    pod.until_phase("Running");
    let begun = Instant::now();
    let first = pod.begin_stop(&[]);
    let second = pod.begin_stop(&[]);
    pod.signal(Signal::SIGTERM);
    finish(first, Duration::from_secs(10)).ok();
    finish(second, Duration::from_secs(10)).ok();
    assert_in_time(begun);
    pod.finish();
    host.assert_nothing_runs();
}

#[test]
fn during_back_off() {
    let Some(host) = host("backoff") else { return };
    let pod = host.start(
        &Manifest::new()
            .restart_policy("Always")
            .app(shell("app", "exit 1")),
    );
    pod.until_event("BackOff", "app");
    let begun = Instant::now();
    pod.stop(&[]).outcome.ok();
    assert_between("time to stop", begun.elapsed().as_secs_f64(), 0.0, 1.0);
    pod.finish();
    host.assert_nothing_runs();
}

#[test]
fn after_the_end() {
    let Some(host) = host("after") else { return };
    let pod = host.start(&Manifest::new().app(shell("app", "exit 4")));
    pod.finish().expect_code(4);
    pod.stop(&[]).outcome.ok();
    assert_eq!(
        pod.container("app").state.unwrap().terminated.unwrap().exit_code,
        4
    );
}
