//! Where everything of a pod is.

use std::path::{Path, PathBuf};

/// Longest name of a pod: a DNS-1123 subdomain.
const NAME_MAX: usize = 253;

/// True for what can be a pod's name, and therefore one component of a path.
pub fn is_pod_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_MAX
        && !name.starts_with(['.', '-'])
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
}

/// A pod's folder, `{root}/pods/{name}`, and the places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodDir {
    path: PathBuf,
    name: String,
}

impl PodDir {
    pub(crate) fn new(root: &Path, name: &str) -> Self {
        Self {
            path: root.join("pods").join(name),
            name: name.into(),
        }
    }

    /// Tenure's root, that the folder is below.
    pub fn root(&self) -> &Path {
        self.path.ancestors().nth(2).unwrap_or_else(|| Path::new("/"))
    }

    /// The pod's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was launched: the Kubernetes object, the spec, the options.
    pub fn launched(&self) -> PathBuf {
        self.path.join("pod.json")
    }

    /// The published status; see [`super::Published`].
    pub fn status(&self) -> PathBuf {
        self.path.join("status.json")
    }

    /// The events, one JSON object a line; see [`super::PodEvent`].
    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// The folder of a container's logs; `{restartCount}.log` in it is one start's.
    pub fn container_logs(&self, container: &str) -> PathBuf {
        self.path.join("logs").join(container)
    }

    /// The log of one start, in the CRI format; rotated ones have `.1` and so on appended.
    pub fn log(&self, container: &str, restart_count: u32) -> PathBuf {
        self.container_logs(container)
            .join(format!("{restart_count}.log"))
    }

    /// The id of one start of a container (`tenure://ID` in the status). Names hold no underscore, so it is unique.
    pub fn container_id(&self, container: &str, restart_count: u32) -> String {
        format!("{}_{container}_{restart_count}", self.name)
    }

    /// The pod's cgroup, from the hierarchies' mount points: in the scope that systemd has been asked for, if it has.
    pub fn cgroup(&self) -> String {
        let scope = std::fs::read(self.scope()).ok();
        match scope.and_then(|json| serde_json::from_slice::<String>(&json).ok()) {
            Some(scope) => format!("{scope}/pod"),
            None => format!("tenure/{}", self.name),
        }
    }

    /// The cgroup of the scope that systemd makes for the pod; there only if it does so. Written before the scope is
    /// asked for, in a file of its own: whoever cleans up must find it though the record is torn.
    pub(crate) fn scope(&self) -> PathBuf {
        self.path.join("scope")
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.path.join("record.json")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    pub(crate) fn namespaces(&self) -> PathBuf {
        self.path.join("ns")
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.path.join("volumes")
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.path.join("files")
    }

    pub(crate) fn bundles(&self) -> PathBuf {
        self.path.join("bundles")
    }

    pub(crate) fn bundle(&self, container: &str) -> PathBuf {
        self.bundles().join(container)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_leave_the_folder_are_no_pod_names() {
        for bad in ["", ".", "..", "a/b", "../x", "-x", "A", "a_b", "a b", "a\0"] {
            assert!(!is_pod_name(bad), "{bad:?}");
        }
        assert!(!is_pod_name(&"a".repeat(254)));
        for good in ["web", "web-1", "web.example", "1web"] {
            assert!(is_pod_name(good), "{good:?}");
        }
    }

    #[test]
    fn container_ids_cannot_collide() {
        let a = PodDir::new(Path::new("/r"), "a-b").container_id("c", 0);
        let b = PodDir::new(Path::new("/r"), "a").container_id("b-c", 0);
        assert_ne!(a, b);
    }
}
