//! Restarts and termination messages of real containers (lifecycle-semantics 5; scenarios S78, S81, S85 to S87).
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use k8s_openapi::api::core::v1::{ContainerStateTerminated, PodStatus};
use serde_json::json;
use tenure_integration::{
    Manifest, RunningPod, STAY, assert_between, exec, host, ignores_term, seconds_between, shell, tolerance,
};

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

/// A pod of which `trigger` ends once with a code that restarts all containers, when `/shared/go` is there.
fn restarts_all() -> Manifest {
    let rule =
        json!([{ "action": "RestartAllContainers", "exitCodes": { "operator": "In", "values": [88] } }]);
    let setup = "[ -e /layer ] && echo stale; : >/layer; echo line >>/shared/lines; wc -l </shared/lines";
    let namespaces = "for it in net uts ipc; do readlink /proc/self/ns/$it; done";
    let trigger = format!(
        "[ -e /shared/again ] && {{ trap 'exit 0' TERM; {STAY}; }}; until [ -e /shared/go ]; do sleep 0.05; done; \
         : >/shared/again; exit 88"
    );
    let app = shell(
        "app",
        &format!("{namespaces}; trap 'echo TERM; exit 7' TERM; {STAY}"),
    );
    Manifest::new()
        .grace(60)
        .volume(json!({ "name": "shared", "emptyDir": {} }))
        .init(shell("setup", setup).mount("shared", "/shared"))
        .init(ignores_term("side").set("restartPolicy", "Always"))
        .app(
            app.mount("shared", "/shared")
                .pre_stop(exec("echo preStop >/proc/1/fd/1")),
        )
        .app(
            shell("trigger", &trigger)
                .mount("shared", "/shared")
                .set("restartPolicy", "Never")
                .set("restartPolicyRules", rule),
        )
}

/// Lets the trigger end, which may take the messenger with it.
fn go(pod: &RunningPod<'_>) {
    let touch = ["pod", "exec", &pod.name, "-c", "app", "--", "touch", "/shared/go"];
    let outcome = pod.host.run(&touch);
    assert!([0, 137].contains(&outcome.code), "{outcome}");
}

fn texts(pod: &RunningPod<'_>, container: &str, restarts: u32) -> Vec<String> {
    let lines = pod.log_of(container, restarts).into_iter();
    lines.map(|line| line.text).collect()
}

/// What was told of it: who ended, who was ended, and who was begun again when.
fn assert_all_were_restarted_in_order(pod: &RunningPod<'_>, status: &PodStatus) {
    let told = pod.event("RestartingAllContainers", "trigger");
    assert_eq!(
        told.message,
        "Container trigger exited with code 88, restarting all containers"
    );
    let exited = |name: &str| pod.event("Exited", name).time;
    assert!(exited("trigger") <= told.time && told.time <= pod.event("Killing", "app").time);
    let again = |name: &str| {
        let events = pod.events_of("Created");
        let mut of_name = events
            .iter()
            .filter(|event| event.container.as_deref() == Some(name));
        of_name.next_back().unwrap().time
    };
    let order = [
        exited("side"),
        again("setup"),
        again("side"),
        again("app"),
        again("trigger"),
    ];
    assert!(order.is_sorted(), "{order:?}");
    let killed = seconds_between(pod.event("Killing", "side").time, exited("side"));
    assert_between("from the stop signal to SIGKILL", killed, 1.9, 20.0);
    let conditions = status.conditions.as_ref().unwrap();
    let condition = conditions
        .iter()
        .find(|it| it.type_ == "AllContainersRestarting")
        .unwrap();
    assert_eq!(condition.status, "False");
    let changed = condition.last_transition_time.as_ref().unwrap().0;
    assert!(changed >= told.time, "it held meanwhile");
}

#[test]
fn an_exit_whose_rule_says_so_restarts_all_containers_in_the_same_place() {
    let Some(host) = host("restartall") else { return };
    let pod = host.start(&restarts_all());
    for name in ["side", "app"] {
        pod.until_wrote(name, "ready");
    }
    pod.until_phase("Running");
    let before = pod.object();
    go(&pod);
    let status = pod.until_status("the second life", |status| {
        let inits = status.init_container_statuses.iter();
        let mut all = inits.chain(&status.container_statuses).flatten();
        all.all(|status| status.restart_count == 1 && status.ready)
    });
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(
        texts(&pod, "setup", 1),
        ["2"],
        "the volume is kept, the layer is not"
    );
    // Three namespaces, the trap's word, and no preStop.
    assert_eq!(texts(&pod, "app", 0)[3..], ["ready", "TERM"]);
    assert_eq!(texts(&pod, "app", 0)[..3], texts(&pod, "app", 1)[..3]);
    assert_eq!(pod.object().metadata.uid, before.metadata.uid);
    let last = |name: &str| {
        pod.container(name)
            .last_state
            .unwrap()
            .terminated
            .unwrap()
            .exit_code
    };
    assert_eq!(["setup", "side", "app", "trigger"].map(last), [0, 137, 7, 88]);

    assert_all_were_restarted_in_order(&pod, &status);

    // A second here, and as much longer as a slow machine takes to start the handler.
    pod.stop(&["--grace", &format!("{:.0}", 2.0 * tolerance())])
        .outcome
        .ok();
    pod.finish();
    assert_eq!(texts(&pod, "app", 1)[3..], ["ready", "preStop", "TERM"]);
    host.assert_nothing_runs();
}

#[test]
fn a_stop_while_all_containers_are_restarted_ends_the_pod() {
    let Some(host) = host("restartstop") else { return };
    let pod = host.start(&restarts_all());
    for name in ["side", "app"] {
        pod.until_wrote(name, "ready");
    }
    pod.until_phase("Running");
    go(&pod);
    pod.until_event("RestartingAllContainers", "trigger");
    pod.stop(&[]).outcome.ok();
    pod.finish();
    host.assert_nothing_runs();
    assert_eq!(pod.events().last().unwrap().reason, "Finished");
}
