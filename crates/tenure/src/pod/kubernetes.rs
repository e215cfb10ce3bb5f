//! A pod as the Kubernetes API shows it: the accepted object with `.status` filled in from what is published.

use jiff::Timestamp as WallClock;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, Pod, PodCondition, PodIP, PodSpec, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tenure_engine::{Observed, Published, Supervisor};
use tenure_lifecycle::{self as lifecycle, ExitStatus, Timestamp};
use tenure_spec::container::Resources;

/// The phase of a pod that nobody can tell the truth about.
pub(super) const UNKNOWN: &str = "Unknown";

/// The object of `status -o json`. Holds only fields of the v1 Pod.
pub(super) fn object(observed: &Observed) -> Pod {
    let mut pod = accepted(observed);
    let published = observed.published.as_ref();
    if let Some(origin) = published.and_then(|published| time(published, Timestamp::ZERO)) {
        pod.metadata.creation_timestamp = Some(origin);
    }
    let spec = pod.spec.clone().unwrap_or_default();
    pod.status = Some(status(observed, &spec));
    pod
}

/// The accepted object; where it is lost, one that has the name.
fn accepted(observed: &Observed) -> Pod {
    serde_json::from_value(observed.object.clone()).unwrap_or_else(|_| {
        let mut pod = Pod::default();
        pod.metadata.name = Some(observed.name.clone());
        pod
    })
}

/// How many of the published containers are init containers: they come first.
pub(super) fn init_count(observed: &Observed) -> usize {
    observed
        .object
        .pointer("/spec/initContainers")
        .and_then(serde_json::Value::as_array)
        .map_or(0, Vec::len)
}

/// The phase to show.
pub(super) fn phase(observed: &Observed) -> &'static str {
    match (&observed.published, observed.supervisor) {
        (Some(published), _) if published.status.phase.is_terminal() => published.status.phase.as_str(),
        (_, Supervisor::Dead) => UNKNOWN,
        (Some(published), _) => published.status.phase.as_str(),
        (None, _) => lifecycle::Phase::Pending.as_str(),
    }
}

/// `.status`.
fn status(observed: &Observed, spec: &PodSpec) -> PodStatus {
    let own_network = spec.host_network != Some(true);
    let mut status = PodStatus {
        phase: Some(phase(observed).into()),
        qos_class: qos_class(observed),
        ..PodStatus::default()
    };
    if let Some(published) = &observed.published {
        let inner = &published.status;
        status.reason = non_empty(&inner.reason);
        status.message = non_empty(&inner.message);
        status.start_time = time(published, Timestamp::ZERO);
        status.conditions = Some(
            inner
                .conditions
                .iter()
                .map(|it| condition(published, it))
                .collect(),
        );
        if own_network && !inner.phase.is_terminal() && inner.containers.iter().any(has_run) {
            // The pod's network has a loopback and nothing else.
            status.pod_ip = Some("127.0.0.1".into());
            status.pod_ips = Some(vec![PodIP {
                ip: "127.0.0.1".into(),
            }]);
        }
        let inits = init_count(observed).min(inner.containers.len());
        let (inits, apps) = inner.containers.split_at(inits);
        let list = |statuses: &[lifecycle::ContainerStatus], containers: &[Container]| {
            let one = |it| container_status(observed, published, it, containers);
            statuses.iter().map(one).collect()
        };
        if !inits.is_empty() {
            let containers = spec.init_containers.as_deref().unwrap_or_default();
            status.init_container_statuses = Some(list(inits, containers));
        }
        status.container_statuses = Some(list(apps, &spec.containers));
    }
    if observed.supervisor == Supervisor::Dead && phase(observed) == UNKNOWN {
        status.reason = Some("SupervisorDied".into());
        status.message = Some("the pod's supervisor died before the pod had ended".into());
    }
    status
}

/// The container runs, or has run.
fn has_run(status: &lifecycle::ContainerStatus) -> bool {
    status.started || status.last.is_some()
}

/// One entry of `.status.conditions`.
fn condition(published: &Published, condition: &lifecycle::Condition) -> PodCondition {
    PodCondition {
        type_: condition.kind.as_str().into(),
        status: if condition.holds { "True" } else { "False" }.into(),
        reason: non_empty(&condition.reason),
        last_transition_time: time(published, condition.since),
        ..PodCondition::default()
    }
}

/// One entry of `.status.containerStatuses`.
fn container_status(
    observed: &Observed,
    published: &Published,
    status: &lifecycle::ContainerStatus,
    containers: &[Container],
) -> ContainerStatus {
    let image = containers
        .iter()
        .find(|container| container.name == status.name)
        .and_then(|container| container.image.clone())
        .unwrap_or_default();
    let id = |restart_count: u32| {
        let id = observed.dir.container_id(&status.name, restart_count);
        format!("tenure://{id}")
    };
    let state = match &status.state {
        lifecycle::ContainerState::Waiting { reason, message } => ContainerState {
            waiting: Some(ContainerStateWaiting {
                reason: non_empty(reason),
                message: non_empty(message),
            }),
            ..ContainerState::default()
        },
        lifecycle::ContainerState::Running { started_at } => ContainerState {
            running: Some(ContainerStateRunning {
                started_at: time(published, *started_at),
            }),
            ..ContainerState::default()
        },
        lifecycle::ContainerState::Terminated(ended) => terminated(published, ended, id(ended.restart_count)),
    };
    ContainerStatus {
        name: status.name.clone(),
        container_id: status.ever_created.then(|| id(status.restart_count)),
        image_id: image.clone(),
        image,
        last_state: status
            .last
            .as_ref()
            .map(|ended| terminated(published, ended, id(ended.restart_count))),
        ready: status.ready,
        restart_count: i32::try_from(status.restart_count).unwrap_or(i32::MAX),
        started: Some(status.started),
        state: Some(state),
        ..ContainerStatus::default()
    }
}

/// A state of the kind `terminated`.
fn terminated(published: &Published, ended: &lifecycle::Terminated, id: String) -> ContainerState {
    let signal = match ended.status {
        Some(ExitStatus::Signal(signal)) => Some(i32::from(signal)),
        Some(ExitStatus::Code(_) | ExitStatus::Unknown) | None => None,
    };
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            container_id: Some(id),
            exit_code: i32::from(ended.exit_code),
            signal,
            reason: non_empty(&ended.reason),
            message: non_empty(&ended.message),
            started_at: ended.started_at.and_then(|at| time(published, at)),
            finished_at: time(published, ended.finished_at),
        }),
        ..ContainerState::default()
    }
}

/// `.status.qosClass`, from the resources of the pod, else of all containers; `None` when the object is lost.
fn qos_class(observed: &Observed) -> Option<String> {
    let text = serde_json::to_vec(&observed.object).ok()?;
    let origin = tenure_spec::manifest::Origin {
        file: String::new(),
        dir: "/".into(),
    };
    let pod = tenure_spec::manifest::load(&text, &origin).ok()?.pod;
    let containers = pod.all_containers().map(|container| &container.resources);
    let all: Vec<_> = if pod.resources == Resources::default() {
        containers.collect()
    } else {
        vec![&pod.resources]
    };
    let is_guaranteed = |it: &&Resources| {
        it.cpu_limit_millis.is_some()
            && it.memory_limit_bytes.is_some()
            && it.cpu_request_millis == it.cpu_limit_millis
            && it.memory_request_bytes == it.memory_limit_bytes
    };
    let class = if all.iter().all(is_guaranteed) {
        "Guaranteed"
    } else if all.iter().all(|it| **it == Resources::default()) {
        "BestEffort"
    } else {
        "Burstable"
    };
    Some(class.into())
}

/// A point of the machine's time in the API's form: whole seconds.
fn time(published: &Published, at: Timestamp) -> Option<Time> {
    let wall_clock = published.wall_clock(at)?;
    WallClock::from_second(wall_clock.as_second()).ok().map(Time)
}

/// The API leaves out what is empty.
fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
pub(super) mod tests;
