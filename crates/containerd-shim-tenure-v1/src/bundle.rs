//! What a shim must know of a container's config.json; the runtime reads all of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use tenure_spec::annotations::{self, ManagedLifecycle};

use crate::ttrpc::{Code, Status};

/// Which container of a pod this is, and of which pod: set by containerd's CRI plugin.
const CONTAINER_NAME: &str = "io.kubernetes.cri.container-name";
const SANDBOX_ID: &str = "io.kubernetes.cri.sandbox-id";
const CONTAINER_TYPE: &str = "io.kubernetes.cri.container-type";

/// A bundle's configuration, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Bundle {
    annotations: BTreeMap<String, String>,
    linux: Linux,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Linux {
    cgroups_path: String,
    namespaces: Vec<Namespace>,
}

#[derive(Debug, Deserialize)]
struct Namespace {
    r#type: String,
    path: Option<String>,
}

impl Bundle {
    /// Reads the config.json in a bundle.
    ///
    /// # Errors
    /// Naming the file and the reason.
    pub(crate) fn read(bundle: &Path) -> Result<Self, Status> {
        let path = bundle.join("config.json");
        let wrong =
            |code, error: &dyn std::fmt::Display| Status::new(code, format!("{}: {error}", path.display()));
        let text = std::fs::read(&path).map_err(|error| wrong(Code::NotFound, &error))?;
        serde_json::from_slice(&text).map_err(|error| wrong(Code::InvalidArgument, &error))
    }

    /// What containers of one pod have in common: they live under one shim.
    pub(crate) fn sandbox(&self) -> Option<&str> {
        self.annotations.get(SANDBOX_ID).map(String::as_str)
    }

    /// Whether it is a container of Kubernetes' and not only grouped like one.
    pub(crate) fn is_kubernetes(&self) -> bool {
        self.annotations.contains_key(CONTAINER_TYPE)
    }

    /// The managed life that its annotations ask for, if any. A pod's annotations are for its containers, not for the one
    /// that only holds its namespaces.
    ///
    /// # Errors
    /// All annotations that cannot be used.
    pub(crate) fn lifecycle(&self) -> Result<Option<ManagedLifecycle>, Status> {
        if self
            .annotations
            .get(CONTAINER_TYPE)
            .is_some_and(|kind| kind == "sandbox")
        {
            return Ok(None);
        }
        let name = self.annotations.get(CONTAINER_NAME).map(String::as_str);
        annotations::lifecycle(&self.annotations, name).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Status::new(Code::InvalidArgument, lines.join("; "))
        })
    }

    /// Whether its processes end with its init.
    pub(crate) fn has_own_pid_namespace(&self) -> bool {
        let pid = self.linux.namespaces.iter().find(|n| n.r#type == "pid");
        pid.is_some_and(|namespace| namespace.path.as_deref().unwrap_or_default().is_empty())
    }

    /// Whether its cgroup is named as systemd names them (`SLICE:PREFIX:NAME`): containerd's CRI plugin does so exactly
    /// when the kubelet's cgroups are systemd's, and tells no runtime but runc of it otherwise.
    pub(crate) fn has_systemd_cgroup(&self) -> bool {
        let parts: Vec<&str> = self.linux.cgroups_path.split(':').collect();
        matches!(parts.as_slice(), [slice, _, name] if slice.ends_with(".slice") && !slice.contains('/') && !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(text: &str) -> Bundle {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_cgroup_named_by_slice_is_systemds() {
        let named =
            |path: &str| bundle(&format!(r#"{{"linux":{{"cgroupsPath":"{path}"}}}}"#)).has_systemd_cgroup();
        assert!(named("kubepods-burstable.slice:cri-containerd:abc"));
        assert!(!named("/k8s.io/abc") && !named("") && !named("a:b:c") && !named("x.slice:y:"));
    }

    #[test]
    fn a_pid_namespace_is_the_containers_own_unless_it_is_joined_or_the_hosts() {
        let own = |namespaces: &str| {
            bundle(&format!(r#"{{"linux":{{"namespaces":[{namespaces}]}}}}"#)).has_own_pid_namespace()
        };
        assert!(own(r#"{"type":"mount"},{"type":"pid"}"#));
        assert!(!own(r#"{"type":"pid","path":"/proc/1/ns/pid"}"#) && !own(""));
    }

    #[test]
    fn annotations_are_for_the_container_of_their_name() {
        let text = r#"{"annotations":{"io.kubernetes.cri.container-name":"web",
            "org.tenure.lifecycle.web.terminationGracePeriodSeconds":"7",
            "org.tenure.lifecycle.terminationGracePeriodSeconds":"9"}}"#;
        let managed = bundle(text).lifecycle().unwrap().unwrap();
        assert_eq!(managed.termination_grace_period_seconds, 7);
        assert!(bundle("{}").lifecycle().unwrap().is_none());
        let sandbox = r#"{"annotations":{"io.kubernetes.cri.container-type":"sandbox",
            "org.tenure.lifecycle.web.terminationGracePeriodSeconds":"7"}}"#;
        assert!(bundle(sandbox).lifecycle().unwrap().is_none());
        let wrong = bundle(r#"{"annotations":{"org.tenure.lifecycle.preStop":"x"}}"#).lifecycle();
        assert!(
            wrong
                .unwrap_err()
                .message()
                .contains("org.tenure.lifecycle.preStop")
        );
    }
}
