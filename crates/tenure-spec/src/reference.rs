//! Values that a manifest takes from elsewhere: fields of the pod, resources of a container.
//!
//! A reference is kept as it is written and resolved when a container starts, from the pod and what is [`Known`] by
//! then. Resolving is pure.

use serde::{Deserialize, Serialize};

use crate::container::ContainerSpec;
use crate::pod::PodSpec;
use crate::sources::Sources;

/// `fieldRef`: a field of the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldRef {
    /// `metadata.name`.
    Name,
    /// `metadata.namespace`.
    Namespace,
    /// `metadata.uid`.
    Uid,
    /// `metadata.labels['KEY']`; a label that is not there is empty.
    Label(String),
    /// `metadata.annotations['KEY']`; an annotation that is not there is empty.
    Annotation(String),
    /// `spec.nodeName`: this machine's host name.
    NodeName,
    /// `spec.serviceAccountName`, `default` unless the manifest says otherwise.
    ServiceAccountName,
    /// `status.hostIP`: this machine's first address.
    HostIp,
    /// `status.hostIPs`, separated by commas.
    HostIps,
    /// `status.podIP`: the machine's with `hostNetwork`, else the loopback's.
    PodIp,
    /// `status.podIPs`, separated by commas.
    PodIps,
}

/// `resourceFieldRef`: an amount of a container's resources, rounded up to whole divisors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceRef {
    /// `containerName`; `None` is the container that has the variable.
    pub container: Option<String>,
    /// Which resource.
    pub resource: Resource,
    /// Its limit, else its request.
    pub limit: bool,
    /// Thousandths of a processor, or bytes; at least 1.
    pub divisor: u64,
}

/// What a [`ResourceRef`] is an amount of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// `cpu`.
    Cpu,
    /// `memory`.
    Memory,
    /// `ephemeral-storage`.
    EphemeralStorage,
}

/// What can be known of the machine, as references tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// The machine's host name.
    pub name: String,
    /// Its addresses, the first one first.
    pub addresses: Vec<String>,
    /// Its processors in thousandths.
    pub cpu_millis: u64,
    /// Its memory in bytes.
    pub memory_bytes: u64,
    /// The size in bytes of the file system that holds pods.
    pub ephemeral_storage_bytes: u64,
}

/// All that references are resolved against, the pod itself excepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The machine.
    pub node: NodeFacts,
    /// ConfigMaps and Secrets.
    pub sources: Sources,
}

/// The only address in a pod's own network.
const LOOPBACK: &str = "127.0.0.1";

impl FieldRef {
    /// The field's value.
    pub fn resolve(&self, pod: &PodSpec, known: &Known) -> String {
        let addresses = || -> Vec<&str> {
            let node: Vec<&str> = known.node.addresses.iter().map(String::as_str).collect();
            if node.is_empty() { vec![LOOPBACK] } else { node }
        };
        let pod_addresses = || {
            if pod.host_network {
                addresses()
            } else {
                vec![LOOPBACK]
            }
        };
        match self {
            Self::Name => pod.name.clone(),
            Self::Namespace => pod.namespace.clone(),
            Self::Uid => pod.uid.clone(),
            Self::Label(key) => pod.labels.get(key).cloned().unwrap_or_default(),
            Self::Annotation(key) => pod.annotations.get(key).cloned().unwrap_or_default(),
            Self::NodeName => known.node.name.clone(),
            Self::ServiceAccountName => pod.service_account_name.clone(),
            Self::HostIp => addresses()[0].to_owned(),
            Self::HostIps => addresses().join(","),
            Self::PodIp => pod_addresses()[0].to_owned(),
            Self::PodIps => pod_addresses().join(","),
        }
    }
}

impl ResourceRef {
    /// The amount in whole divisors, rounded up. A limit that is not set is all that the machine has, a request that
    /// is not set is 0.
    pub fn resolve(&self, pod: &PodSpec, container: &ContainerSpec, known: &Known) -> String {
        let named = self.container.as_ref();
        // A valid spec names only containers that it has.
        let container = named
            .and_then(|name| pod.all_containers().find(|container| container.name == *name))
            .unwrap_or(container);
        let (own, node) = (&container.resources, &known.node);
        let (limit, request, all) = match self.resource {
            Resource::Cpu => (own.cpu_limit_millis, own.cpu_request_millis, node.cpu_millis),
            Resource::Memory => (
                own.memory_limit_bytes,
                own.memory_request_bytes,
                node.memory_bytes,
            ),
            Resource::EphemeralStorage => (
                None,
                own.ephemeral_storage_request_bytes,
                node.ephemeral_storage_bytes,
            ),
        };
        let amount = if self.limit {
            limit.unwrap_or(all)
        } else {
            request.unwrap_or(0)
        };
        amount.div_ceil(self.divisor.max(1)).to_string()
    }
}
