//! Sidecars on real containers (lifecycle-semantics 3b, 4; scenarios S53 to S61, S68 to S73).
//!
//! Order is asserted, and times only where they cannot come out too long.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use jiff::Timestamp;
use serde_json::{Value, json};
use tenure_integration::{
    AWAIT_READY, Container, Host, Manifest, RunningPod, STAY, assert_between, ends_on_term, exec, host,
    ignores_term, seconds_between, shell, sleep,
};

fn sidecar(container: Container) -> Container {
    container.set("restartPolicy", "Always")
}

/// A pod whose containers have all written `ready`.
fn running<'h>(host: &'h Host, manifest: &Manifest, names: &[&str]) -> RunningPod<'h> {
    let pod = host.start(manifest);
    for name in names {
        pod.until_wrote(name, "ready");
    }
    pod.until_phase("Running");
    pod
}

fn exit_of(pod: &RunningPod<'_>, name: &str) -> (i32, String) {
    let ended = pod.container(name).state.unwrap().terminated.unwrap();
    (ended.exit_code, ended.reason.unwrap())
}

fn exited(pod: &RunningPod<'_>, name: &str) -> Timestamp {
    pod.event("Exited", name).time
}

fn probe(script: &str, threshold: u32) -> Value {
    let mut probe = exec(script);
    probe["periodSeconds"] = 1.into();
    probe["timeoutSeconds"] = 20.into();
    probe["failureThreshold"] = threshold.into();
    probe
}

#[test]
fn s53_sidecars_end_one_by_one_from_the_last_after_the_app() {
    let Some(host) = host("s53s") else { return };
    let manifest = ["s1", "s2", "s3"]
        .iter()
        .fold(Manifest::new().grace(60), |pod, name| {
            pod.init(sidecar(ends_on_term(name, 1)))
        })
        .app(ends_on_term("app", 1));
    let pod = running(&host, &manifest, &["s1", "s2", "s3", "app"]);
    let started = ["s1", "s2", "s3", "app"].map(|name| pod.event("Started", name).time);
    assert!(started.is_sorted(), "{started:?}");
    pod.stop(&[]).outcome.ok();
    pod.finish().ok();
    for (first, then) in [("app", "s3"), ("s3", "s2"), ("s2", "s1")] {
        assert!(
            pod.wrote(first, "bye") < pod.wrote(then, "TERM"),
            "{then} before {first} had ended"
        );
    }
    assert_eq!(exit_of(&pod, "s1"), (0, "Completed".to_owned()));
    host.assert_nothing_runs();
}

#[test]
fn s54_the_sidecars_pre_stops_begin_together_and_term_keeps_its_order() {
    let Some(host) = host("s54") else { return };
    let names = ["s1", "s2", "app"];
    let with = |name| ends_on_term(name, 1).pre_stop(sleep(2));
    let manifest = Manifest::new()
        .grace(60)
        .init(sidecar(with("s1")))
        .init(sidecar(with("s2")))
        .app(with("app"));
    let pod = running(&host, &manifest, &names);
    pod.stop(&[]).outcome.ok();
    pod.finish().ok();
    let hook = |name: &str| {
        let mut events = pod.events_of("HookStarted").into_iter();
        events
            .rfind(|event| event.container.as_deref() == Some(name))
            .unwrap()
            .time
    };
    for name in names {
        assert_between(name, seconds_between(hook("app"), hook(name)).abs(), 0.0, 0.5);
    }
    assert!(pod.wrote("app", "bye") < pod.wrote("s2", "TERM"));
    assert!(pod.wrote("s2", "bye") < pod.wrote("s1", "TERM"));
}

#[test]
fn s56_a_sidecar_is_signalled_when_the_grace_is_used_up() {
    let Some(host) = host("s56") else { return };
    let manifest = Manifest::new()
        .grace(3)
        .init(sidecar(ends_on_term("s", 1)))
        .app(ignores_term("app"));
    let pod = running(&host, &manifest, &["s", "app"]);
    let stopped = pod.stop(&[]);
    pod.finish().expect_code(137);
    let term = stopped.until(pod.wrote("s", "TERM"));
    assert_between("TERM to the sidecar", term, 2.5, 6.0);
    assert!(pod.wrote("app", "TERM") < pod.wrote("s", "TERM"));
    assert_eq!(exit_of(&pod, "s"), (0, "Completed".to_owned()));
    assert_eq!(exit_of(&pod, "app").0, 137);
}

#[test]
fn s57_a_sidecar_that_has_not_started_up_is_signalled_first_and_nobody_waits_for_the_unstarted() {
    let Some(host) = host("s57") else { return };
    let manifest = Manifest::new()
        .grace(600)
        .init(sidecar(ends_on_term("s1", 1)))
        .init(sidecar(
            ends_on_term("s2", 1).set("startupProbe", probe("false", 1000)),
        ))
        .init(sidecar(ends_on_term("s3", 1)))
        .app(ends_on_term("app", 1));
    let pod = host.start(&manifest);
    pod.until_wrote("s2", "ready");
    pod.until_event("Unhealthy", "s2");
    let stopped = pod.stop(&[]);
    pod.finish();
    assert_between("the stop", stopped.seconds(), 1.9, 20.0);
    assert!(pod.wrote("s2", "bye") < pod.wrote("s1", "TERM"));
    assert!(pod.log("s3").is_empty() && pod.log("app").is_empty());
    host.assert_nothing_runs();
}

#[test]
fn s59_a_sidecar_that_ends_while_the_pod_ends_is_not_restarted() {
    let Some(host) = host("s59") else { return };
    let until = "until [ -e /shared/go ]; do sleep 0.05; done; echo gone; exit 4";
    let app = shell(
        "app",
        &format!("trap ': >/shared/go; sleep 2; exit 0' TERM; {STAY}"),
    );
    let manifest = Manifest::new()
        .grace(60)
        .volume(json!({ "name": "shared", "emptyDir": {} }))
        .init(sidecar(
            shell("s", &format!("echo ready; {until}")).mount("shared", "/shared"),
        ))
        .app(app.mount("shared", "/shared"));
    let pod = running(&host, &manifest, &["s", "app"]);
    pod.stop(&[]).outcome.ok();
    pod.finish().ok();
    assert!(exited(&pod, "s") < exited(&pod, "app"));
    assert_eq!(pod.container("s").restart_count, 0);
    assert_eq!(exit_of(&pod, "s").0, 4);
}

#[test]
fn s60_s61_when_the_app_has_ended_the_sidecars_do_in_reverse_and_their_codes_do_not_count() {
    let Some(host) = host("s60") else { return };
    let five = shell("s1", &format!("trap 'echo TERM; sleep 1; exit 5' TERM; {STAY}"));
    let app = shell("app", "until [ -e /shared/go ]; do sleep 0.05; done").mount("shared", "/shared");
    let manifest = Manifest::new()
        .grace(60)
        .volume(json!({ "name": "shared", "emptyDir": {} }))
        .init(sidecar(five))
        .init(sidecar(ends_on_term("s2", 1).mount("shared", "/shared")))
        .app(app);
    let pod = running(&host, &manifest, &["s1", "s2"]);
    pod.host
        .run(&["pod", "exec", &pod.name, "-c", "s2", "--", "touch", "/shared/go"])
        .ok();
    pod.until_wrote("s2", "TERM");
    assert_eq!(
        pod.status().phase.as_deref(),
        Some("Running"),
        "while a sidecar lives"
    );
    pod.finish().ok();
    assert!(exited(&pod, "app") < pod.wrote("s2", "TERM"));
    assert!(pod.wrote("s2", "bye") < pod.wrote("s1", "TERM"));
    assert_eq!(exit_of(&pod, "s1"), (5, "Error".to_owned()));
    assert_eq!(exit_of(&pod, "s2"), (0, "Completed".to_owned()));
    assert_eq!(pod.status().phase.as_deref(), Some("Succeeded"));
}

#[test]
fn s68_s69_the_next_begins_when_post_start_has_returned_and_the_startup_probe_has_succeeded() {
    let Some(host) = host("s68") else { return };
    let probed = ends_on_term("s1", 0).set("startupProbe", probe("test -e /tmp/up", 1000));
    let hooked = ends_on_term("s2", 0).post_start(exec("sleep 2"));
    let manifest = Manifest::new()
        .init(sidecar(probed))
        .init(sidecar(hooked))
        .init(shell("i", "echo ready"))
        .app(ends_on_term("app", 0));
    let pod = host.start(&manifest);
    pod.until_event("Unhealthy", "s1");
    let status = pod.status();
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    let statuses = status.init_container_statuses.unwrap();
    assert_eq!((statuses[0].started, statuses[0].ready), (Some(false), false));
    assert!(pod.log("s2").is_empty());
    pod.host
        .run(&["pod", "exec", &pod.name, "-c", "s1", "--", "touch", "/tmp/up"])
        .ok();
    pod.until_wrote("app", "ready");
    assert!(pod.event("StartedUp", "s1").time <= pod.event("Created", "s2").time);
    assert!(pod.event("HookSucceeded", "s2").time <= pod.event("Created", "i").time);
    let between = seconds_between(pod.event("Started", "s2").time, pod.event("Created", "i").time);
    assert_between("postStart", between, 1.9, 20.0);
    let status = pod.until_phase("Running");
    let statuses = status.init_container_statuses.unwrap();
    assert!(statuses.iter().all(|status| status.ready), "{statuses:?}");
    assert_eq!(
        statuses.iter().map(|status| status.started).collect::<Vec<_>>(),
        [Some(true), Some(true), Some(false)]
    );
    let list = host.run(&["pod", "list"]).ok().stdout;
    assert!(list.contains("3/3"), "{list}");
    pod.stop(&[]).outcome.ok();
    pod.finish();
}

#[test]
fn s70_a_sidecar_that_is_never_ready_lets_the_app_begin_and_keeps_the_pod_unready() {
    let Some(host) = host("s70") else { return };
    let manifest = Manifest::new()
        .init(sidecar(
            ends_on_term("s", 0).set("readinessProbe", probe("false", 1)),
        ))
        .app(ends_on_term("app", 0));
    let pod = running(&host, &manifest, &["s", "app"]);
    pod.until_event("Unhealthy", "s");
    let status = pod.status();
    let ready = status
        .conditions
        .unwrap()
        .into_iter()
        .find(|it| it.type_ == "Ready")
        .unwrap();
    assert_eq!(ready.status, "False");
    assert!(status.container_statuses.unwrap()[0].ready);
    let list = host.run(&["pod", "list"]).ok().stdout;
    assert!(list.contains("1/2"), "{list}");
    pod.stop(&[]).outcome.ok();
    pod.finish();
}

#[test]
fn s71_a_sidecar_that_ends_is_restarted_whatever_the_code_and_the_policy() {
    let Some(host) = host("s71") else { return };
    let manifest = Manifest::new()
        .init(sidecar(shell("s", "echo ready; sleep 1; exit 0")))
        .app(ends_on_term("app", 0));
    let pod = running(&host, &manifest, &["app"]);
    let status = pod.until_status("a restart", |status| {
        let mut all = status.init_container_statuses.iter().flatten();
        all.any(|status| status.restart_count == 1)
    });
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let backing_off = pod.until_status("back-off", |status| {
        let states = status.init_container_statuses.iter().flatten();
        let mut waiting = states.filter_map(|status| status.state.as_ref()?.waiting.as_ref());
        waiting.any(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"))
    });
    assert_eq!(backing_off.phase.as_deref(), Some("Running"));
    pod.stop(&[]).outcome.ok();
    pod.finish().ok();
}

#[test]
fn s72_a_sidecar_that_never_starts_up_is_restarted_and_no_app_begins() {
    let Some(host) = host("s72") else { return };
    let manifest = Manifest::new()
        .init(sidecar(
            ends_on_term("s", 0).set("startupProbe", probe("false", 2)),
        ))
        .app(ends_on_term("app", 0));
    let pod = host.start(&manifest);
    let status = pod.until_status("a restart", |status| {
        let mut all = status.init_container_statuses.iter().flatten();
        all.any(|status| status.restart_count >= 1)
    });
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    assert_eq!(
        pod.event("Killing", "s").message,
        "Container s failed startup probe, will be restarted"
    );
    pod.stop(&[]).outcome.ok();
    pod.finish();
    assert!(pod.log("app").is_empty());
}

#[test]
fn s73_a_sidecars_liveness_failure_restarts_it_and_leaves_the_app_alone() {
    let Some(host) = host("s73") else { return };
    let s = ends_on_term("s", 0)
        .pre_stop(exec("echo preStop >/proc/1/fd/1"))
        .set("livenessProbe", probe(&format!("{AWAIT_READY}; exit 1"), 2));
    let manifest = Manifest::new().init(sidecar(s)).app(ends_on_term("app", 0));
    let pod = running(&host, &manifest, &["app"]);
    pod.until_status("a restart", |status| {
        let mut all = status.init_container_statuses.iter().flatten();
        all.any(|status| status.restart_count >= 1)
    });
    assert_eq!(pod.log("s"), ["ready", "preStop", "TERM", "bye"]);
    assert_eq!(pod.log("app"), ["ready"]);
    assert_eq!(pod.container("app").restart_count, 0);
    pod.stop(&[]).outcome.ok();
    pod.finish();
}
