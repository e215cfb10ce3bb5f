//! The strict decode of `status -o json`.

use std::time::Duration;

use serde_json::{Value, json};
use tenure_engine::{Store, Supervisor};
use tenure_lifecycle::{
    Condition, ConditionType, ContainerState as State, ContainerStatus as Status, ExitStatus, Phase,
    PodStatus as Inner, Terminated,
};

use super::*;

/// A pod of one init container that has ended and one app that has been restarted and runs.
#[allow(clippy::unwrap_used)]
pub(crate) fn observed(root: &std::path::Path) -> Observed {
    std::fs::create_dir_all(root.join("pods/web")).unwrap();
    let ended = Terminated {
        status: Some(ExitStatus::Signal(9)),
        exit_code: 137,
        reason: "Error".into(),
        message: String::new(),
        started_at: Some(Timestamp::from_secs(1)),
        finished_at: Timestamp::from_secs(2),
        restart_count: 0,
    };
    let container = |name: &str, state, last, restart_count| Status {
        name: name.into(),
        ready: matches!(state, State::Running { .. }),
        started: matches!(state, State::Running { .. }),
        state,
        last,
        restart_count,
        ever_created: true,
        activity: String::new(),
        activity_until: None,
    };
    let running = State::Running {
        started_at: Timestamp::from_millis(3500),
    };
    let status = Inner {
        phase: Phase::Running,
        reason: String::new(),
        message: String::new(),
        conditions: vec![Condition {
            kind: ConditionType::Ready,
            holds: false,
            reason: "ContainersNotReady".into(),
            since: Timestamp::ZERO,
        }],
        stopping_since: None,
        finished_at: None,
        containers: vec![
            container("setup", State::Terminated(ended.clone()), None, 0),
            container("app", running, Some(ended), 1),
        ],
        exit_code: 0,
    };
    Observed {
        name: "web".into(),
        object: json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "uid": "u"},
            "spec": {
                "initContainers": [{"name": "setup", "image": "bundle:a"}],
                "containers": [{"name": "app", "image": "bundle:b"}],
            },
        }),
        published: Some(Published {
            origin: "2026-01-02T03:04:05.9Z".into(),
            supervisor_pid: 7,
            status,
        }),
        supervisor: Supervisor::Alive { pid: 7 },
        dir: Store::new(root).open("web").unwrap(),
    }
}

/// Decodes into the Kubernetes types and fails on any field that they do not have.
#[allow(clippy::unwrap_used)]
fn decode_strictly(printed: &Value) -> Pod {
    let mut unknown = Vec::new();
    let pod: Pod = serde_ignored::deserialize(printed, |path| unknown.push(path.to_string())).unwrap();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(serde_json::to_value(&pod).unwrap(), *printed);
    pod
}

#[test]
fn the_object_is_a_v1_pod_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let printed = serde_json::to_value(object(&observed(root.path()))).unwrap();
    let pod = decode_strictly(&printed);
    assert_eq!(printed["apiVersion"], "v1");
    assert_eq!(printed["kind"], "Pod");
    assert_eq!(printed["metadata"]["creationTimestamp"], "2026-01-02T03:04:05Z");
    let status = pod.status.unwrap();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let app = &status.container_statuses.unwrap()[0];
    assert_eq!(app.container_id.as_deref(), Some("tenure://web_app_1"));
    assert_eq!((app.image.as_str(), app.restart_count), ("bundle:b", 1));
    let last = app.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((last.exit_code, last.signal), (137, Some(9)));
    assert_eq!(last.container_id.as_deref(), Some("tenure://web_app_0"));
    assert_eq!(printed["status"]["initContainerStatuses"][0]["name"], "setup");
    assert_eq!(
        printed["status"]["containerStatuses"][0]["state"]["running"]["startedAt"],
        "2026-01-02T03:04:09Z"
    );
    assert_eq!(printed["status"]["conditions"][0]["status"], "False");
}

#[test]
fn a_pod_whose_supervisor_died_is_unknown_unless_it_had_ended() {
    let root = tempfile::tempdir().unwrap();
    let mut observed = observed(root.path());
    observed.supervisor = Supervisor::Dead;
    let printed = serde_json::to_value(object(&observed)).unwrap();
    decode_strictly(&printed);
    assert_eq!(printed["status"]["phase"], "Unknown");
    assert_eq!(printed["status"]["reason"], "SupervisorDied");
    if let Some(published) = &mut observed.published {
        published.status.phase = Phase::Succeeded;
    }
    assert_eq!(phase(&observed), "Succeeded");
}

#[test]
fn a_lost_object_and_a_lost_status_still_give_a_pod() {
    let root = tempfile::tempdir().unwrap();
    let mut observed = observed(root.path());
    observed.object = Value::Null;
    decode_strictly(&serde_json::to_value(object(&observed)).unwrap());
    observed.published = None;
    let pod = decode_strictly(&serde_json::to_value(object(&observed)).unwrap());
    assert_eq!(pod.metadata.name.as_deref(), Some("web"));
    assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Pending"));
}

#[test]
fn times_are_whole_seconds_as_the_api_shows_them() {
    let root = tempfile::tempdir().unwrap();
    let observed = observed(root.path());
    let published = observed.published.unwrap();
    let at = Timestamp::from_origin(Duration::from_millis(200));
    let shown = serde_json::to_value(time(&published, at)).unwrap();
    assert_eq!(shown, "2026-01-02T03:04:06Z");
}
