//! Init containers on real containers (lifecycle-semantics 4 and 7; scenarios S58 to S66, S82, S83, S103).
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use serde_json::json;
use tenure_integration::{
    Container, Manifest, RunningPod, assert_about, assert_between, ends_on_term, host, ignores_term,
    seconds_between, shell, wait_until,
};

/// The status of a condition, "" when it is not there.
fn condition(pod: &RunningPod<'_>, kind: &str) -> String {
    let conditions = pod.status().conditions.unwrap_or_default();
    conditions
        .into_iter()
        .find(|condition| condition.type_ == kind)
        .map(|condition| condition.status)
        .unwrap_or_default()
}

#[test]
fn s58_a_stop_while_an_init_container_runs_ends_soon() {
    let Some(host) = host("s58") else { return };
    let manifest = Manifest::new()
        .grace(3)
        .init(ignores_term("first"))
        .init(ends_on_term("second", 0))
        .app(ends_on_term("app", 0));
    let pod = host.start(&manifest);
    pod.until_wrote("first", "ready");
    assert_between("time to stop", pod.stop(&[]).seconds(), 2.5, 5.0);
    pod.finish();
    for name in ["second", "app"] {
        assert!(pod.log(name).is_empty(), "{name} has started");
    }
    host.assert_nothing_runs();
}

#[test]
fn s62_init_containers_run_one_after_another_and_then_the_app() {
    let Some(host) = host("s62") else { return };
    let step = |name: &str| shell(name, "echo begin; sleep 1; echo end");
    let manifest = Manifest::new()
        .init(step("first"))
        .init(step("second"))
        .app(ends_on_term("app", 0));
    let pod = host.start(&manifest);

    pod.until_wrote("second", "begin");
    let status = pod.status();
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    let app = status
        .container_statuses
        .unwrap()
        .remove(0)
        .state
        .unwrap()
        .waiting
        .unwrap();
    assert_eq!(app.reason.as_deref(), Some("PodInitializing"));
    assert_eq!(condition(&pod, "Initialized"), "False");

    pod.until_phase("Running");
    assert_eq!(condition(&pod, "Initialized"), "True");
    assert_eq!(condition(&pod, "Ready"), "True");
    let order = [
        ("first", "begin"),
        ("first", "end"),
        ("second", "begin"),
        ("second", "end"),
        ("app", "ready"),
    ];
    let times: Vec<_> = order
        .iter()
        .map(|(container, text)| pod.wrote(container, text))
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_about("time until the app", seconds_between(times[0], times[4]), 2.0);
    pod.stop(&[]).outcome.ok();
    pod.finish().ok();
}

#[test]
fn s63_a_failed_init_container_fails_a_pod_that_never_restarts() {
    let Some(host) = host("s63") else { return };
    let manifest = Manifest::new()
        .init(shell("first", "exit 7"))
        .init(shell("second", "echo ready"))
        .app(shell("app", "echo ready"));
    let pod = host.start(&manifest);
    pod.finish().expect_code(7);
    assert_eq!(pod.status().phase.as_deref(), Some("Failed"));
    assert!(pod.log("second").is_empty() && pod.log("app").is_empty());
    assert_eq!(
        pod.container("first")
            .state
            .unwrap()
            .terminated
            .unwrap()
            .exit_code,
        7
    );
    assert!(pod.container("app").state.unwrap().waiting.is_some());
}

#[test]
fn s64_a_failed_init_container_is_tried_again_where_the_policy_allows_it() {
    let Some(host) = host("s64") else { return };
    let script =
        "n=$(cat /seen/n 2>/dev/null || echo 0); echo $((n+1)) >/seen/n; echo attempt $n; [ $n -ge 2 ]";
    let manifest = Manifest::new()
        .restart_policy("OnFailure")
        .volume(json!({ "name": "seen", "emptyDir": {} }))
        .init(shell("init", script).mount("seen", "/seen"))
        .app(shell("app", "echo ready"));
    let pod = host.start(&manifest);
    pod.finish().ok();
    let attempts: Vec<_> = (0..3)
        .map(|restarts| pod.log_of("init", restarts)[0].at)
        .collect();
    assert_about("second attempt", seconds_between(attempts[0], attempts[1]), 0.0);
    assert_about("third attempt", seconds_between(attempts[1], attempts[2]), 10.0);
    assert_eq!(pod.container("init").restart_count, 2);
    assert!(attempts[2] < pod.wrote("app", "ready"));
}

#[test]
fn s66_restarts_of_the_app_do_not_run_init_containers_again() {
    let Some(host) = host("s66") else { return };
    let manifest = Manifest::new()
        .restart_policy("Always")
        .init(shell("init", "echo init"))
        .app(shell("app", "echo app"));
    let pod = host.start(&manifest);
    pod.until_status("three restarts", |status| {
        status
            .container_statuses
            .as_ref()
            .is_some_and(|apps| apps[0].restart_count >= 3)
    });
    let written = || (!pod.log_of("app", 3).is_empty()).then_some(());
    wait_until(Duration::from_secs(5), written).expect("the fourth instance has written its line");
    assert_eq!(pod.container("init").restart_count, 0);
    assert_eq!(pod.log("init"), ["init"]);
    assert!(pod.log_of("init", 1).is_empty());
    let starts: Vec<_> = (0..4).map(|restarts| pod.log_of("app", restarts)[0].at).collect();
    for (index, delay) in [0.0, 10.0, 20.0].into_iter().enumerate() {
        assert_about(
            "delay of a restart",
            seconds_between(starts[index], starts[index + 1]),
            delay,
        );
    }
    assert_between("time to stop", pod.stop(&[]).seconds(), 0.0, 1.0);
    pod.finish();
}

#[test]
fn s82_the_phase_is_decided_when_the_last_app_has_ended() {
    let Some(host) = host("s82") else { return };
    let manifest = Manifest::new()
        .app(shell("good", "exit 0"))
        .app(shell("bad", "echo ready; sleep 2; exit 1"));
    let pod = host.start(&manifest);
    let status = pod.until_status("the end of the first and the start of the second", |status| {
        let states = status
            .container_statuses
            .iter()
            .flatten()
            .filter_map(|app| app.state.as_ref());
        let states: Vec<_> = states
            .map(|state| (state.terminated.is_some(), state.running.is_some()))
            .collect();
        states == [(true, false), (false, true)]
    });
    assert_eq!(status.phase.as_deref(), Some("Running"));
    pod.finish().expect_code(1);
    assert_eq!(pod.status().phase.as_deref(), Some("Failed"));
}

#[test]
fn s83_a_missing_program_is_a_start_error() {
    let Some(host) = host("s83") else { return };
    let pod = host.start(&Manifest::new().app(Container::new("app", &["/no/such/program"])));
    let outcome = pod.finish().expect_code(128);
    assert!(outcome.stderr.contains("/no/such/program"), "{outcome}");
    let ended = pod.container("app").state.unwrap().terminated.unwrap();
    assert_eq!(
        (ended.exit_code, ended.reason.as_deref()),
        (128, Some("StartError"))
    );
    assert_eq!(pod.status().phase.as_deref(), Some("Failed"));
}

#[test]
fn s83_a_detached_run_tells_that_the_program_is_missing() {
    let Some(host) = host("s83d") else { return };
    let (pod, outcome) = host.detach(&Manifest::new().app(Container::new("app", &["/no/such/program"])));
    let outcome = outcome.expect_code(125);
    assert!(outcome.stderr.contains("/no/such/program"), "{outcome}");
    assert_eq!(pod.status().phase.as_deref(), Some("Failed"));
}

#[test]
fn s103_a_failing_oci_poststart_hook_is_a_start_failure_and_leaves_no_container() {
    let Some(host) = host("s103") else { return };
    host.bundle()
        .set("/hooks", json!({ "poststart": [{ "path": "/bin/false" }] }));
    let pod = host.start(&Manifest::new().grace(1).app(ends_on_term("app", 0)));
    let outcome = pod.finish();
    assert_ne!(outcome.code, 0, "{outcome}");
    assert_eq!(pod.status().phase.as_deref(), Some("Failed"));
    host.assert_nothing_runs();
}
