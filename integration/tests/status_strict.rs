//! `tenure pod status -o json` is a Kubernetes v1 Pod and nothing else.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tenure_integration::{Manifest, RunningPod, ends_on_term, exec, host, shell};

/// Decodes the printed pod and encodes it again: a field that the types do not know would be lost on the way, a
/// value of another form would come back in theirs.
#[track_caller]
fn decode_strictly(pod: &RunningPod<'_>) -> Pod {
    let outcome = pod.host.run(&["pod", "status", &pod.name, "-o", "json"]).ok();
    let printed: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let decoded: Pod =
        serde_json::from_value(printed.clone()).unwrap_or_else(|error| panic!("{error}: {outcome}"));
    assert_eq!(serde_json::to_value(&decoded).unwrap(), printed);
    decoded
}

#[test]
fn in_every_phase_it_decodes_strictly() {
    let Some(host) = host("strict") else { return };
    let manifest = Manifest::new()
        .grace(1)
        .volume(json!({ "name": "v", "emptyDir": {} }))
        .init(shell("init", "echo ready; sleep 1").mount("v", "/v"))
        .app(
            ends_on_term("app", 0)
                .post_start(exec("sleep 1"))
                .pre_stop(exec("true"))
                .mount("v", "/v"),
        )
        .app(shell("bad", "exit 3").set("env", json!([{ "name": "A", "value": "1" }])));
    let pod = host.start(&manifest);
    pod.until_wrote("init", "ready");
    decode_strictly(&pod);
    pod.until_wrote("app", "ready");
    decode_strictly(&pod);
    pod.until_status("an app that has ended", |status| {
        let mut apps = status.container_statuses.iter().flatten();
        apps.any(|app| app.state.as_ref().is_some_and(|state| state.terminated.is_some()))
    });
    let running = decode_strictly(&pod);
    let status = running.status.unwrap();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let app = &status.container_statuses.unwrap()[0];
    let id = app.container_id.as_deref().unwrap();
    assert_eq!(id, format!("tenure://{}_app_0", pod.name));
    assert!(
        app.state
            .as_ref()
            .unwrap()
            .running
            .as_ref()
            .unwrap()
            .started_at
            .is_some()
    );
    let mut conditions: Vec<String> = status
        .conditions
        .unwrap()
        .into_iter()
        .map(|condition| condition.type_)
        .collect();
    conditions.sort();
    let expected = [
        "ContainersReady",
        "Initialized",
        "PodReadyToStartContainers",
        "PodScheduled",
        "Ready",
    ];
    assert_eq!(conditions, expected);
    pod.stop(&[]).outcome.ok();
    pod.finish();
    let ended = decode_strictly(&pod);
    assert_eq!(ended.status.unwrap().phase.as_deref(), Some("Failed"));
}

#[test]
fn the_spec_is_the_manifests_own() {
    let Some(host) = host("own") else { return };
    let manifest = Manifest::new().app(shell("app", "true"));
    let pod = host.start(&manifest);
    pod.finish().ok();
    let object = decode_strictly(&pod);
    let spec = object.spec.unwrap();
    assert_eq!(spec.restart_policy.as_deref(), Some("Never"));
    assert_eq!(spec.termination_grace_period_seconds, Some(30));
    assert_eq!(spec.containers[0].image.as_deref(), Some("bundle:box"));
    assert!(object.metadata.uid.is_some());
    assert!(object.metadata.creation_timestamp.is_some());
}

#[test]
fn back_off_and_last_state_decode_strictly() {
    let Some(host) = host("last") else { return };
    let pod = host.start(
        &Manifest::new()
            .restart_policy("Always")
            .app(shell("app", "exit 5")),
    );
    let backing_off = |status: &k8s_openapi::api::core::v1::PodStatus| {
        let app = status.container_statuses.as_ref()?.first()?.clone();
        (app.state?.waiting?.reason? == "CrashLoopBackOff").then_some(app.last_state?.terminated?.exit_code)
    };
    let status = pod.until_status("back-off", |status| backing_off(status).is_some());
    assert_eq!(backing_off(&status), Some(5));
    assert_eq!(
        decode_strictly(&pod).status.unwrap().phase.as_deref(),
        Some("Running")
    );
    pod.stop(&[]).outcome.ok();
    pod.finish();
}
