//! From a manifest to a plan.
#![allow(clippy::unwrap_used)] // The manifest below is a good one.

use std::time::Duration;

use tenure_lifecycle::{ContainerIndex, ContainerKind, DEFAULT_MAX_BACKOFF, HandlerKind, PodPlan};
use tenure_spec::manifest::{Origin, load};
use tenure_spec::{Handler, RestartPolicy};

fn plan(policy: &str) -> PodPlan {
    let text = format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 7
  activeDeadlineSeconds: 60
  initContainers:
  - {{name: prepare, image: 'bundle:prepare'}}
  - {{name: proxy, image: 'bundle:proxy'}}
  containers:
  - name: web
    image: bundle:web
    lifecycle:
      postStart: {{httpGet: {{path: /ready, port: 8080}}}}
      preStop: {{exec: {{command: [drain]}}}}
"
    );
    let origin = Origin {
        file: "pod.yaml".to_owned(),
        dir: "/pods".into(),
    };
    let mut pod = load(text.as_bytes(), &origin).unwrap().pod;
    // A sidecar, whatever manifests are accepted today.
    pod.init_containers[1].restart_policy = Some(RestartPolicy::Always);
    pod.init_containers[1].lifecycle.post_start = Some(Handler::Sleep { seconds: 1 });
    PodPlan::from(&pod)
}

#[test]
fn a_plan_holds_what_bears_on_the_life() {
    let plan = plan("Always");
    assert_eq!(plan.grace, Duration::from_secs(7));
    assert_eq!(plan.active_deadline, Some(Duration::from_secs(60)));
    assert_eq!(plan.max_backoff, DEFAULT_MAX_BACKOFF);
    assert!(plan.has_init_containers());
    let kinds: Vec<_> = plan
        .containers
        .iter()
        .map(|c| (c.name.as_str(), c.kind))
        .collect();
    let expected = [
        ("prepare", ContainerKind::Init),
        ("proxy", ContainerKind::Sidecar),
        ("web", ContainerKind::App),
    ];
    assert_eq!(kinds, expected);
    let web = plan.container(ContainerIndex(2)).unwrap();
    assert_eq!(
        (web.post_start, web.pre_stop),
        (Some(HandlerKind::HttpGet), Some(HandlerKind::Exec))
    );
    assert_eq!(plan.containers[1].post_start, Some(HandlerKind::Sleep));
    assert_eq!(plan.container(ContainerIndex(3)), None);
}

#[test]
fn the_policy_in_force_depends_on_the_pods_and_on_the_kind() {
    use RestartPolicy::{Always, Never, OnFailure};
    for (policy, in_force) in [
        ("Always", [OnFailure, Always, Always]),
        ("OnFailure", [OnFailure, Always, OnFailure]),
        ("Never", [Never, Always, Never]),
    ] {
        let policies: Vec<_> = plan(policy)
            .containers
            .iter()
            .map(|container| container.restart)
            .collect();
        assert_eq!(policies, in_force, "{policy}");
    }
}
