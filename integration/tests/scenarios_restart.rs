//! Restarts and termination messages of real containers (lifecycle-semantics 5; scenarios S78, S81, S85 to S87).
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use k8s_openapi::api::core::v1::ContainerStateTerminated;
use serde_json::json;
use tenure_integration::{Manifest, RunningPod, assert_between, host, seconds_between, shell};

fn ended(pod: &RunningPod<'_>, name: &str) -> ContainerStateTerminated {
    pod.container(name).state.unwrap().terminated.unwrap()
}

#[test]
fn s78_the_longest_wait_can_be_set() {
    let Some(host) = host("s78") else { return };
    let manifest = Manifest::new()
        .restart_policy("OnFailure")
        .app(shell("app", "exit 1"));
    let pod = host.start_with(&["--max-backoff", "2"], &manifest);
    pod.until_status("four restarts", |status| {
        let mut all = status.container_statuses.iter().flatten();
        all.any(|status| status.restart_count >= 4)
    });
    let of = |reason: &str| {
        pod.events_of(reason)
            .into_iter()
            .map(|event| event.time)
            .collect::<Vec<_>>()
    };
    let (starts, exits) = (of("Created"), of("Exited"));
    for (exit, start) in exits.iter().zip(&starts[1..]).skip(1) {
        assert_between("wait", seconds_between(*exit, *start), 1.9, 8.0);
    }
    assert_between("first wait", seconds_between(exits[0], starts[1]), 0.0, 1.9);
    pod.stop(&[]).outcome.ok();
    pod.finish();
}

#[test]
fn s81_a_restart_rule_comes_before_the_policy() {
    let Some(host) = host("s81") else { return };
    let rule = json!([{ "action": "Restart", "exitCodes": { "operator": "In", "values": [42] } }]);
    let app = shell("app", "[ -e /shared/again ] && exit 1; : >/shared/again; exit 42")
        .mount("shared", "/shared")
        .set("restartPolicy", "Never")
        .set("restartPolicyRules", rule);
    let shared = json!({ "name": "shared", "emptyDir": {} });
    let pod = host.start(&Manifest::new().volume(shared).app(app));
    pod.finish().expect_code(1);
    let status = pod.container("app");
    assert_eq!(status.restart_count, 1);
    assert_eq!(status.last_state.unwrap().terminated.unwrap().exit_code, 42);
    assert_eq!(pod.status().phase.as_deref(), Some("Failed"));
}

#[test]
fn s85_the_message_is_the_last_4096_bytes_of_the_file() {
    let Some(host) = host("s85") else { return };
    let letters = |letter: &str, count: usize| format!("head -c {count} /dev/zero | tr '\\0' {letter}");
    let script = format!(
        "{{ {}; {}; }} >/dev/termination-log; exit 1",
        letters("a", 904),
        letters("b", 4096)
    );
    let pod = host.start(&Manifest::new().app(shell("app", &script)));
    pod.finish().expect_code(1);
    assert_eq!(ended(&pod, "app").message, Some("b".repeat(4096)));
}

#[test]
fn s86_without_a_message_the_last_lines_of_the_log_are_it_after_a_failure_only() {
    let Some(host) = host("s86") else { return };
    let lines =
        |code: u8| format!("i=1; while [ $i -le 100 ]; do echo line $i; i=$((i+1)); done; exit {code}");
    let app = |name, code| shell(name, &lines(code)).set("terminationMessagePolicy", "FallbackToLogsOnError");
    let pod = host.start(&Manifest::new().app(app("bad", 1)).app(app("good", 0)));
    pod.finish().expect_code(1);
    let message = ended(&pod, "bad").message.unwrap();
    assert!(
        message.len() <= 2048 && message.lines().count() <= 80,
        "{message}"
    );
    assert!(message.trim_end().ends_with("line 100"), "{message}");
    assert!(!message.contains("line 20\n"), "{message}");
    assert_eq!(ended(&pod, "good").message, None);
}

#[test]
fn s87_each_instance_begins_with_an_empty_message_and_the_last_ones_is_kept() {
    let Some(host) = host("s87") else { return };
    let script = "cat /dev/termination-log; echo seen; [ -e /shared/again ] && exit 0; : >/shared/again; \
                  echo first >/dev/termination-log; exit 3";
    let app = shell("app", script).mount("shared", "/shared");
    let shared = json!({ "name": "shared", "emptyDir": {} });
    let pod = host.start(
        &Manifest::new()
            .restart_policy("OnFailure")
            .volume(shared)
            .app(app),
    );
    pod.finish().ok();
    let status = pod.container("app");
    let last = status.last_state.unwrap().terminated.unwrap();
    assert_eq!(
        (last.exit_code, last.message.as_deref().map(str::trim_end)),
        (3, Some("first"))
    );
    assert_eq!(status.state.unwrap().terminated.unwrap().message, None);
    let second: Vec<String> = pod.log_of("app", 1).into_iter().map(|line| line.text).collect();
    assert_eq!(second, ["seen"]);
}
