//! A whole pod, valid by construction.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::container::{ContainerSpec, Resources, RestartPolicy};
use crate::dns::Dns;
use crate::volume::Volume;

/// A pod as Tenure runs it: the manifest with defaults filled in and everything checked.
///
/// Serialisable so that a supervisor process can be handed one without knowing YAML or the Kubernetes types.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodSpec {
    /// `metadata.name`: a DNS-1123 subdomain.
    pub name: String,
    /// `metadata.namespace`, default `default`. A label only: Tenure has one space of names.
    pub namespace: String,
    /// `metadata.uid`: the manifest's, or made at load.
    pub uid: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// The host name that the kernel tells: `spec.hostname`, default the pod's name (its first 63 characters); with
    /// `setHostnameAsFQDN` the whole name.
    pub hostname: String,
    /// By which names the pod knows itself: with `spec.subdomain` the whole name first.
    #[serde(default)]
    pub host_names: Vec<String>,
    /// `spec.dnsPolicy` and `spec.dnsConfig`.
    #[serde(default)]
    pub dns: Dns,
    /// `spec.restartPolicy`, default Always.
    pub restart_policy: RestartPolicy,
    /// `spec.terminationGracePeriodSeconds`, whole seconds, default 30 (`lifecycle-semantics 3d`).
    pub termination_grace_period_seconds: u64,
    /// `spec.activeDeadlineSeconds`, whole seconds.
    pub active_deadline_seconds: Option<u64>,
    /// `spec.initContainers` in order, sidecars included.
    pub init_containers: Vec<ContainerSpec>,
    /// `spec.containers` in order, never empty.
    pub containers: Vec<ContainerSpec>,
    /// `spec.volumes`.
    pub volumes: Vec<Volume>,
    /// `spec.resources`: what all containers may use together. Requests that it leaves out are the containers' sum, else
    /// its limits; without `spec.resources` there are none.
    #[serde(default)]
    pub resources: Resources,
    /// `spec.hostNetwork`.
    pub host_network: bool,
    /// `spec.hostPID`.
    pub host_pid: bool,
    /// `spec.hostIPC`.
    pub host_ipc: bool,
    /// `spec.shareProcessNamespace`.
    pub share_process_namespace: bool,
    /// `spec.securityContext.sysctls`, name to value.
    pub sysctls: BTreeMap<String, String>,
    /// `spec.serviceAccountName`, default `default`. Nothing but a name that containers can be told.
    #[serde(default)]
    pub service_account_name: String,
    /// `spec.hostAliases`: address to host names, in order.
    pub host_aliases: Vec<(String, Vec<String>)>,
}

impl PodSpec {
    /// Every container in the order of a pod's life: init containers (sidecars among them), then apps.
    pub fn all_containers(&self) -> impl Iterator<Item = &ContainerSpec> {
        self.init_containers.iter().chain(&self.containers)
    }
}
