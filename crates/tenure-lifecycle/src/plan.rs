//! What the machines need to know of a pod: `PodSpec` without everything that does not bear on its life.

use std::time::Duration;

use tenure_spec::{ContainerSpec, Handler, PodSpec, RestartAction, RestartPolicy, RestartRule};

use crate::event::ContainerIndex;
use crate::probe::ProbePlans;

/// The longest wait before a restart unless told otherwise (`lifecycle-semantics 5.4`).
pub const DEFAULT_MAX_BACKOFF: Duration = Duration::from_secs(300);

/// A pod as the machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPlan {
    /// In the order of `ContainerIndex`: inits and sidecars as declared, then apps.
    pub containers: Vec<ContainerPlan>,
    /// `terminationGracePeriodSeconds` (`lifecycle-semantics 3d`).
    pub grace: Duration,
    /// `activeDeadlineSeconds`, counted from `Event::Begin`.
    pub active_deadline: Option<Duration>,
    /// The longest wait before a restart; a first wait above it is lowered to it (`lifecycle-semantics 5.6`, S78).
    pub max_backoff: Duration,
}

/// A container as the machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPlan {
    /// The container's name, for texts.
    pub name: String,
    /// Its part in the pod's life.
    pub kind: ContainerKind,
    /// The policy in force: the container's own, else the pod's; `OnFailure` for a plain init that may be retried,
    /// `Always` for a sidecar (`lifecycle-semantics 4.2, 4.21, 5.3`).
    pub restart: RestartPolicy,
    /// What is looked at before the policy when it ends of its own accord (`lifecycle-semantics 5.3`).
    pub restart_rules: Vec<RestartRule>,
    /// The postStart handler, if there is one.
    pub post_start: Option<HandlerKind>,
    /// The preStop handler, if there is one.
    pub pre_stop: Option<HandlerKind>,
    /// The probes; a plain init has none (`lifecycle-semantics 4.6`).
    pub probes: ProbePlans,
}

/// A container's part in the pod's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerKind {
    /// Runs to its end before anything later starts (`lifecycle-semantics 4.1`).
    Init,
    /// An init entry with `restartPolicy: Always` (`lifecycle-semantics 4.20`).
    Sidecar,
    /// One of `spec.containers`.
    App,
}

/// What a handler does, as far as it bears on the meaning of its being cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HandlerKind {
    /// Runs a program in the container: ends, failed, when the container ends (`lifecycle-semantics 2.14`, S23).
    Exec,
    /// Sends a request: failed when the container ends before the answer.
    HttpGet,
    /// Waits: over, without verdict, when the container ends (`lifecycle-semantics 2.11`, S24, S39).
    Sleep,
}

impl From<&Handler> for HandlerKind {
    fn from(handler: &Handler) -> Self {
        match handler {
            Handler::Exec { command: _ } => Self::Exec,
            Handler::HttpGet(_) => Self::HttpGet,
            Handler::Sleep { seconds: _ } => Self::Sleep,
        }
    }
}

impl PodPlan {
    /// The container at an index, if there is one.
    pub fn container(&self, index: ContainerIndex) -> Option<&ContainerPlan> {
        self.containers.get(index.0)
    }

    /// True when the end of some container may restart all of them (`lifecycle-semantics 5.9`).
    pub fn may_restart_all_containers(&self) -> bool {
        self.containers
            .iter()
            .flat_map(|container| &container.restart_rules)
            .any(|rule| rule.action == RestartAction::RestartAllContainers)
    }

    /// True when the pod has init containers or sidecars: waiting containers then show `PodInitializing`.
    pub fn has_init_containers(&self) -> bool {
        self.containers
            .iter()
            .any(|container| container.kind != ContainerKind::App)
    }
}

impl From<&PodSpec> for PodPlan {
    fn from(spec: &PodSpec) -> Self {
        let inits = spec.init_containers.iter().map(|container| {
            let policy = container.restart_policy.unwrap_or(spec.restart_policy);
            let (kind, restart) = match (container.restart_policy, policy) {
                (Some(RestartPolicy::Always), _) => (ContainerKind::Sidecar, RestartPolicy::Always),
                (_, RestartPolicy::Never) => (ContainerKind::Init, RestartPolicy::Never),
                (_, RestartPolicy::Always | RestartPolicy::OnFailure) => {
                    (ContainerKind::Init, RestartPolicy::OnFailure)
                }
            };
            ContainerPlan::new(container, kind, restart)
        });
        let apps = spec.containers.iter().map(|container| {
            let restart = container.restart_policy.unwrap_or(spec.restart_policy);
            ContainerPlan::new(container, ContainerKind::App, restart)
        });
        Self {
            containers: inits.chain(apps).collect(),
            grace: Duration::from_secs(spec.termination_grace_period_seconds),
            active_deadline: spec.active_deadline_seconds.map(Duration::from_secs),
            max_backoff: DEFAULT_MAX_BACKOFF,
        }
    }
}

impl ContainerPlan {
    fn new(spec: &ContainerSpec, kind: ContainerKind, restart: RestartPolicy) -> Self {
        Self {
            name: spec.name.clone(),
            kind,
            restart,
            restart_rules: spec.restart_rules.clone(),
            post_start: spec.lifecycle.post_start.as_ref().map(HandlerKind::from),
            pre_stop: spec.lifecycle.pre_stop.as_ref().map(HandlerKind::from),
            probes: ProbePlans::from(&spec.probes),
        }
    }
}
