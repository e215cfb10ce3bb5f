//! The pod as a whole.

use std::collections::{BTreeMap, HashSet};
use std::path::Path as FilePath;

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::check::Check;
use super::container::{PodFacts, RESTART_POLICIES};
use super::report::{Path, quote};
use super::resources::write_cpu;
use super::{files, names};
use crate::annotations;
use crate::container::{ContainerSpec, Resources, RestartPolicy};
use crate::pod::PodSpec;

/// The longest sum of a pod's annotations, in bytes.
const ANNOTATIONS_LONGEST: usize = 256 * 1024;

impl Check<'_> {
    /// Checks a pod whose name and uid are filled in.
    pub(crate) fn pod(&mut self, object: &k8s::Pod, dir: &FilePath) -> PodSpec {
        let root = Path::root();
        let (meta, path) = (&object.metadata, root.field("spec"));
        self.metadata(meta, &root.field("metadata"));
        let default = k8s::PodSpec::default();
        let spec = object.spec.as_ref().unwrap_or(&default);
        if object.spec.is_none() {
            self.error(&path, "required");
        }
        let name = meta.name.clone().unwrap_or_default();
        let context = spec.security_context.clone().unwrap_or_default();
        let at = path.field("securityContext");
        let facts = self.facts(spec, &name, dir, &path);
        self.namespaces(spec, &path);
        self.pod_words(spec, &path);
        let (init_containers, containers) = self.containers(object, &facts, &path);
        let names = self.host_names(spec, meta, &path);
        let resources = self.pod_resources(spec, &init_containers, &containers, &path);
        let sysctls = context.sysctls.as_deref().unwrap_or_default();
        let restart_policy = spec.restart_policy.as_deref();
        let restart_policy = self.word(&path.field("restartPolicy"), restart_policy, &RESTART_POLICIES);
        PodSpec {
            namespace: meta
                .namespace
                .clone()
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| "default".into()),
            uid: meta.uid.clone().unwrap_or_default(),
            labels: meta.labels.clone().unwrap_or_default(),
            annotations: meta.annotations.clone().unwrap_or_default(),
            hostname: names.hostname,
            host_names: names.all,
            dns: self.dns(spec, &path),
            restart_policy: restart_policy.unwrap_or(RestartPolicy::Always),
            termination_grace_period_seconds: self.grace,
            active_deadline_seconds: self.active_deadline(spec, &path.field("activeDeadlineSeconds")),
            init_containers,
            containers,
            sysctls: self.sysctls(sysctls, spec, &at.field("sysctls")),
            resources,
            host_network: facts.host_network,
            host_pid: spec.host_pid.unwrap_or(false),
            host_ipc: spec.host_ipc.unwrap_or(false),
            share_process_namespace: spec.share_process_namespace.unwrap_or(false),
            service_account_name: service_account(spec),
            host_aliases: self.host_aliases(spec, &path.field("hostAliases")),
            volumes: facts.volumes,
            name,
        }
    }

    /// What the containers inherit.
    fn facts<'a>(
        &mut self,
        spec: &'a k8s::PodSpec,
        name: &'a str,
        dir: &'a FilePath,
        path: &Path,
    ) -> PodFacts<'a> {
        let context = spec.security_context.clone().unwrap_or_default();
        let volumes = spec.volumes.as_deref().unwrap_or_default();
        let containers = container_names(spec);
        PodFacts {
            name,
            security: self.pod_security(&context, dir, &path.field("securityContext")),
            volumes: self.volumes(volumes, &containers, &path.field("volumes")),
            containers,
            host_network: spec.host_network.unwrap_or(false),
            dir,
        }
    }

    fn metadata(&mut self, meta: &ObjectMeta, path: &Path) {
        let name = meta.name.as_deref().unwrap_or("");
        self.required(&path.field("name"), name, names::dns_subdomain);
        if let Some(namespace) = meta.namespace.as_ref().filter(|text| !text.is_empty()) {
            self.rule(&path.field("namespace"), namespace, names::dns_label);
        }
        if let Some(uid) = &meta.uid {
            let rule = |uid: &str| {
                let good = uid.len() <= 128 && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                (!good).then_some("must consist of letters, digits and '-', at most 128 of them")
            };
            self.rule(&path.field("uid"), uid, rule);
        }
        for (key, value) in meta.labels.iter().flatten() {
            let path = path.field("labels").field(key);
            self.rule(&path, key, names::qualified_name);
            self.rule(&path, value, names::label_value);
        }
        let annotations = path.field("annotations");
        let mut size = 0;
        for (key, value) in meta.annotations.iter().flatten() {
            let path = annotations.field(key);
            self.rule(&path, key, names::qualified_name);
            if key.starts_with(annotations::PREFIX) {
                self.error(
                    &path,
                    "not supported in a manifest: set lifecycle of the container",
                );
            }
            size += key.len() + value.len();
        }
        if size > ANNOTATIONS_LONGEST {
            self.error(
                &annotations,
                format!("must hold at most {ANNOTATIONS_LONGEST} bytes, not {size}"),
            );
        }
    }

    fn containers(
        &mut self,
        object: &k8s::Pod,
        facts: &PodFacts<'_>,
        path: &Path,
    ) -> (Vec<ContainerSpec>, Vec<ContainerSpec>) {
        let Some(spec) = &object.spec else {
            return (Vec::new(), Vec::new());
        };
        let mut seen = HashSet::new();
        let mut inits = Vec::new();
        for (index, container) in spec.init_containers.iter().flatten().enumerate() {
            let path = path.field("initContainers").index(index);
            inits.push(self.container(container, facts, &path, &mut seen));
            self.init_container(container, &path);
        }
        let mut apps = Vec::new();
        for (index, container) in spec.containers.iter().enumerate() {
            let path = path.field("containers").index(index);
            apps.push(self.container(container, facts, &path, &mut seen));
            if container
                .resize_policy
                .as_ref()
                .is_some_and(|policy| !policy.is_empty())
            {
                self.report.warn(
                    &path.field("resizePolicy"),
                    "ignored: containers are not resized in place",
                );
            }
        }
        if apps.is_empty() {
            self.error(&path.field("containers"), "required");
        }
        (inits, apps)
    }

    fn namespaces(&mut self, spec: &k8s::PodSpec, path: &Path) {
        if spec.host_pid == Some(true) && spec.share_process_namespace == Some(true) {
            let message = "ShareProcessNamespace and HostPID cannot both be enabled";
            self.error(&path.field("shareProcessNamespace"), message);
        }
        if spec.host_users == Some(false) {
            self.error(
                &path.field("hostUsers"),
                "not supported: false, the pod has no user namespace of its own",
            );
        }
    }

    /// Fields of which only some values matter.
    fn pod_words(&mut self, spec: &k8s::PodSpec, path: &Path) {
        if let Some(os) = &spec.os
            && os.name != "linux"
        {
            let message = if os.name.is_empty() {
                "required".to_owned()
            } else {
                format!("not supported: {}, only linux is", quote(&os.name))
            };
            self.error(&path.field("os").field("name"), message);
        }
        for (field, value, reason) in [
            (
                "enableServiceLinks",
                spec.enable_service_links,
                "there are no services here",
            ),
            (
                "automountServiceAccountToken",
                spec.automount_service_account_token,
                "there is no API server here",
            ),
        ] {
            if value == Some(true) {
                self.report.warn(&path.field(field), format!("ignored: {reason}"));
            }
        }
    }

    fn active_deadline(&mut self, spec: &k8s::PodSpec, path: &Path) -> Option<u64> {
        let seconds = spec.active_deadline_seconds?;
        match u64::try_from(seconds) {
            Ok(seconds @ 1..=2_147_483_647) => Some(seconds),
            _ => {
                self.error(
                    path,
                    format!("must be between 1 and 2147483647, inclusive, not {seconds}"),
                );
                None
            }
        }
    }

    fn host_aliases(&mut self, spec: &k8s::PodSpec, path: &Path) -> Vec<(String, Vec<String>)> {
        let mut checked = Vec::new();
        for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
            let path = path.index(index);
            self.required(&path.field("ip"), &alias.ip, names::ip_address);
            let hostnames = alias.hostnames.clone().unwrap_or_default();
            for (index, hostname) in hostnames.iter().enumerate() {
                self.required(
                    &path.field("hostnames").index(index),
                    hostname,
                    names::dns_subdomain,
                );
            }
            checked.push((alias.ip.clone(), hostnames));
        }
        checked
    }
}

/// The names of all containers, init containers first.
fn container_names(spec: &k8s::PodSpec) -> Vec<&str> {
    let all = spec.init_containers.iter().flatten().chain(&spec.containers);
    all.map(|container| container.name.as_str()).collect()
}

/// The name of the pod's service account; `serviceAccount` is its old name.
fn service_account(spec: &k8s::PodSpec) -> String {
    let names = [&spec.service_account_name, &spec.service_account];
    let given = names.into_iter().flatten().find(|name| !name.is_empty());
    given.cloned().unwrap_or_else(|| "default".into())
}

/// Fills in what Kubernetes' API server would (`lifecycle-semantics 6.1`, `8`), so that the published object is whole.
pub(crate) fn set_defaults(object: &mut k8s::Pod, pod: &PodSpec) {
    let meta = &mut object.metadata;
    meta.namespace = Some(pod.namespace.clone());
    object.status = None;
    let Some(spec) = &mut object.spec else { return };
    spec.restart_policy.get_or_insert_with(|| "Always".into());
    spec.dns_policy.get_or_insert_with(|| "ClusterFirst".into());
    spec.termination_grace_period_seconds.get_or_insert(30);
    spec.security_context.get_or_insert_default();
    if let Some(resources) = &mut spec.resources {
        resource_defaults(resources, &pod.resources);
    }
    spec.volumes.iter_mut().flatten().for_each(volume_defaults);
    for container in spec
        .init_containers
        .iter_mut()
        .flatten()
        .chain(&mut spec.containers)
    {
        container_defaults(container);
    }
}

fn volume_defaults(volume: &mut k8s::Volume) {
    let mut items = Vec::new();
    let mode = if let Some(map) = &mut volume.config_map {
        &mut map.default_mode
    } else if let Some(secret) = &mut volume.secret {
        &mut secret.default_mode
    } else if let Some(pod) = &mut volume.downward_api {
        items.extend(pod.items.iter_mut().flatten());
        &mut pod.default_mode
    } else if let Some(projected) = &mut volume.projected {
        let sources = projected.sources.iter_mut().flatten();
        let pods = sources.filter_map(|source| source.downward_api.as_mut());
        items.extend(pods.flat_map(|pod| pod.items.iter_mut().flatten()));
        &mut projected.default_mode
    } else {
        if volume.host_path.is_none() {
            volume.empty_dir.get_or_insert_default();
        }
        return;
    };
    mode.get_or_insert(files::DEFAULT_MODE);
    for field in items.into_iter().filter_map(|item| item.field_ref.as_mut()) {
        field.api_version.get_or_insert_with(|| "v1".into());
    }
}

/// The pod's requests, which are its containers' or its limits where the manifest has none.
fn resource_defaults(resources: &mut k8s::ResourceRequirements, checked: &Resources) {
    let requests: &mut BTreeMap<_, _> = resources.requests.get_or_insert_default();
    let cpu = checked.cpu_request_millis.map(write_cpu);
    let memory = checked.memory_request_bytes.map(|bytes| bytes.to_string());
    for (name, amount) in [("cpu", cpu), ("memory", memory)] {
        // As it was written where it is the same.
        let limit = resources.limits.as_ref().and_then(|limits| limits.get(name));
        let is_limit = match name {
            "cpu" => checked.cpu_request_millis == checked.cpu_limit_millis,
            _ => checked.memory_request_bytes == checked.memory_limit_bytes,
        };
        let amount = match limit {
            Some(limit) if is_limit => Some(limit.clone()),
            _ => amount.map(Quantity),
        };
        if let Some(amount) = amount {
            requests.entry(name.to_owned()).or_insert(amount);
        }
    }
    for (name, limit) in resources.limits.iter().flatten() {
        requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
}

fn container_defaults(container: &mut k8s::Container) {
    container
        .termination_message_path
        .get_or_insert_with(|| "/dev/termination-log".into());
    container
        .termination_message_policy
        .get_or_insert_with(|| "File".into());
    for port in container.ports.iter_mut().flatten() {
        port.protocol.get_or_insert_with(|| "TCP".into());
    }
    let resources = container.resources.get_or_insert_default();
    if let Some(limits) = &resources.limits {
        let requests: &mut BTreeMap<_, _> = resources.requests.get_or_insert_default();
        for (name, limit) in limits {
            requests.entry(name.clone()).or_insert_with(|| limit.clone());
        }
    }
    if let Some(lifecycle) = &mut container.lifecycle {
        for handler in [&mut lifecycle.post_start, &mut lifecycle.pre_stop]
            .into_iter()
            .flatten()
        {
            handler.http_get.iter_mut().for_each(http_get_defaults);
        }
    }
    for probe in [
        &mut container.startup_probe,
        &mut container.readiness_probe,
        &mut container.liveness_probe,
    ]
    .into_iter()
    .flatten()
    {
        probe.http_get.iter_mut().for_each(http_get_defaults);
        for (field, default) in [
            (&mut probe.timeout_seconds, 1),
            (&mut probe.period_seconds, 10),
            (&mut probe.success_threshold, 1),
            (&mut probe.failure_threshold, 3),
        ] {
            if field.is_none_or(|value| value == 0) {
                *field = Some(default);
            }
        }
    }
}

fn http_get_defaults(get: &mut k8s::HTTPGetAction) {
    get.path.get_or_insert_with(|| "/".into());
    get.scheme.get_or_insert_with(|| "HTTP".into());
}
