//! `linux`: namespaces, kernel parameters, cgroup.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{ConfigProblem, Overlay};
use crate::container::{CPU_PERIOD, Resources};
use crate::manifest::security::is_ipc_sysctl;

/// Where a container's namespace of one kind comes from.
enum From {
    /// The machine's own.
    Host,
    /// One that exists.
    Path(PathBuf),
    /// As the bundle says.
    Bundle,
    /// The bundle's, or a new one where it names none.
    BundleOrNew,
}

impl Overlay<'_> {
    /// Namespaces. Mount and PID namespace are the container's own unless the pod says otherwise, whatever the bundle
    /// leaves out: a container without them could neither be mounted for nor be killed whole.
    pub(super) fn namespaces(&mut self) -> Result<(), ConfigProblem> {
        let joined = &self.placement.namespaces;
        let shared = |host: bool, path: &Option<PathBuf>| match path {
            _ if host => From::Host,
            Some(path) => From::Path(path.clone()),
            None => From::Bundle,
        };
        let uts = match &joined.uts {
            Some(path) => From::Path(path.clone()),
            None if self.pod.host_network => From::Host,
            None => From::Bundle,
        };
        let pid = match shared(self.pod.host_pid, &joined.pid) {
            From::Bundle => From::BundleOrNew,
            given => given,
        };
        let has_own_uts = matches!(uts, From::Bundle);
        for (kind, from) in [
            ("mount", From::BundleOrNew),
            ("pid", pid),
            ("network", shared(self.pod.host_network, &joined.network)),
            ("ipc", shared(self.pod.host_ipc, &joined.ipc)),
            ("uts", uts),
        ] {
            self.namespace(kind, from)?;
        }
        match &self.placement.hostname {
            Some(hostname) if has_own_uts => {
                self.config.insert("hostname".into(), hostname.clone().into());
                self.namespace("uts", From::BundleOrNew)
            }
            None if has_own_uts => Ok(()),
            _ => {
                self.config.remove("hostname");
                self.config.remove("domainname");
                Ok(())
            }
        }
    }

    fn namespace(&mut self, kind: &str, from: From) -> Result<(), ConfigProblem> {
        let path = match &from {
            From::Path(path) => Some(self.text_of(path)?),
            From::Host | From::Bundle | From::BundleOrNew => None,
        };
        let list = self.list("linux", "namespaces")?;
        let is_kind = |entry: &Value| entry.get("type").is_some_and(|found| found == kind);
        match from {
            From::Host => list.retain(|entry| !is_kind(entry)),
            From::Bundle => {}
            From::BundleOrNew => {
                if !list.iter().any(is_kind) {
                    list.push(json!({"type": kind}));
                }
            }
            From::Path(_) => {
                let entry = json!({"type": kind, "path": path});
                match list.iter_mut().find(|entry| is_kind(entry)) {
                    Some(own) => *own = entry,
                    None => list.push(entry),
                }
            }
        }
        Ok(())
    }

    /// Kernel parameters: the pod's over the bundle's, none of a namespace that is the machine's own.
    pub(super) fn sysctls(&mut self) -> Result<(), ConfigProblem> {
        let sysctls = self.pod.sysctls.clone();
        let (network, ipc) = (self.pod.host_network, self.pod.host_ipc);
        let has_any = self
            .config
            .get("linux")
            .and_then(|linux| linux.get("sysctl"))
            .is_some();
        if !has_any && sysctls.is_empty() {
            return Ok(());
        }
        let all = self.object("linux.sysctl")?;
        all.retain(|name, _| {
            !(network && (name.starts_with("net.") || name.starts_with("net/")) || ipc && is_ipc_sysctl(name))
        });
        all.extend(sysctls.into_iter().map(|(name, value)| (name, value.into())));
        Ok(())
    }

    /// The cgroup and its limits, as the kubelet reckons them.
    pub(super) fn resources(&mut self) -> Result<(), ConfigProblem> {
        let cgroups_path = self.placement.cgroups_path.clone();
        if !cgroups_path.is_empty() {
            self.object("linux")?
                .insert("cgroupsPath".into(), cgroups_path.into());
        }
        let resources = self.container.resources.clone();
        if let Some(limit) = resources.memory_limit_bytes {
            let memory = self.object("linux.resources.memory")?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            memory.insert("limit".into(), limit.into());
            let least = |value: &Value| value.as_i64().is_some_and(|value| value >= 0 && value < limit);
            if memory.get("swap").is_some_and(least) {
                memory.remove("swap");
            }
            if memory
                .get("reservation")
                .and_then(Value::as_i64)
                .is_some_and(|value| value > limit)
            {
                memory.remove("reservation");
            }
        }
        if let Some(shares) = resources.cpu_shares() {
            self.object("linux.resources.cpu")?
                .insert("shares".into(), shares.into());
        }
        if let Some(quota) = resources.cpu_quota() {
            let cpu = self.object("linux.resources.cpu")?;
            cpu.insert("quota".into(), i64::try_from(quota).unwrap_or(i64::MAX).into());
            cpu.insert("period".into(), CPU_PERIOD.into());
            cpu.remove("burst");
        }
        self.huge_pages(&resources)
    }

    /// Limits of huge pages in place of the bundle's for the same sizes.
    fn huge_pages(&mut self, resources: &Resources) -> Result<(), ConfigProblem> {
        for (size, bytes) in &resources.huge_pages {
            let limits = self.list("linux.resources", "hugepageLimits")?;
            limits.retain(|limit| limit.get("pageSize").and_then(Value::as_str) != Some(size));
            limits.push(json!({"pageSize": size, "limit": bytes}));
        }
        Ok(())
    }
}
