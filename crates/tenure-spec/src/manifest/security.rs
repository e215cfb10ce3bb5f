//! `securityContext` of the pod and of a container, merged.

use std::collections::{BTreeMap, HashSet};
use std::path::Path as FilePath;

use k8s_openapi::api::core::v1 as k8s;

use super::check::Check;
use super::names;
use super::report::{Path, quote};
use crate::capability;
use crate::container::{Seccomp, Security};

impl Check<'_> {
    /// Checks the pod's `securityContext`: what its containers begin with.
    pub(crate) fn pod_security(
        &mut self,
        context: &k8s::PodSecurityContext,
        dir: &FilePath,
        path: &Path,
    ) -> Security {
        let mut groups = Vec::new();
        for (index, group) in context.supplemental_groups.iter().flatten().enumerate() {
            groups.push(self.id(&path.field("supplementalGroups").index(index), *group));
        }
        let policies = [("Merge", false), ("Strict", true)];
        let strict = self.word(
            &path.field("supplementalGroupsPolicy"),
            context.supplemental_groups_policy.as_deref(),
            &policies,
        );
        let changes = [("Always", ()), ("OnRootMismatch", ())];
        let change = path.field("fsGroupChangePolicy");
        if context.fs_group_change_policy.is_some()
            && self
                .word(&change, context.fs_group_change_policy.as_deref(), &changes)
                .is_some()
        {
            self.report
                .warn(&change, "ignored: the volumes are made with the pod");
        }
        Security {
            run_as_user: context
                .run_as_user
                .map(|id| self.id(&path.field("runAsUser"), id)),
            run_as_group: context
                .run_as_group
                .map(|id| self.id(&path.field("runAsGroup"), id)),
            run_as_non_root: context.run_as_non_root.unwrap_or(false),
            supplemental_groups: groups,
            supplemental_groups_strict: strict.unwrap_or(false),
            fs_group: context.fs_group.map(|id| self.id(&path.field("fsGroup"), id)),
            seccomp: self.seccomp(
                context.seccomp_profile.as_ref(),
                dir,
                &path.field("seccompProfile"),
            ),
            ..Security::default()
        }
    }

    /// Checks a container's `securityContext` and lays it over the pod's.
    pub(crate) fn container_security(
        &mut self,
        context: &k8s::SecurityContext,
        pod: &Security,
        dir: &FilePath,
        path: &Path,
    ) -> Security {
        let capabilities = context.capabilities.clone().unwrap_or_default();
        let at = path.field("capabilities");
        let add_capabilities = self.capabilities(capabilities.add.as_deref(), &at.field("add"));
        let drop_capabilities = self.capabilities(capabilities.drop.as_deref(), &at.field("drop"));
        let proc_mount = path.field("procMount");
        let words = [("Default", false), ("Unmasked", true)];
        if self.word(&proc_mount, context.proc_mount.as_deref(), &words) == Some(true) {
            self.error(
                &proc_mount,
                "not supported: Unmasked needs a user namespace of the pod's own",
            );
        }
        let privileged = context.privileged.unwrap_or(false);
        if context.allow_privilege_escalation == Some(false) {
            let at = path.field("allowPrivilegeEscalation");
            if privileged {
                self.error(
                    &at,
                    "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
                );
            }
            if add_capabilities.iter().any(|name| name == "CAP_SYS_ADMIN") {
                let message =
                    "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
                self.error(&at, message);
            }
        }
        let user = context
            .run_as_user
            .map(|id| self.id(&path.field("runAsUser"), id));
        let group = context
            .run_as_group
            .map(|id| self.id(&path.field("runAsGroup"), id));
        let seccomp = self.seccomp(
            context.seccomp_profile.as_ref(),
            dir,
            &path.field("seccompProfile"),
        );
        Security {
            run_as_user: user.or(pod.run_as_user),
            run_as_group: group.or(pod.run_as_group),
            run_as_non_root: context.run_as_non_root.unwrap_or(pod.run_as_non_root),
            add_capabilities,
            drop_capabilities,
            read_only_root_filesystem: context.read_only_root_filesystem,
            privileged,
            allow_privilege_escalation: context.allow_privilege_escalation,
            seccomp: seccomp.or_else(|| pod.seccomp.clone()),
            ..pod.clone()
        }
    }

    fn capabilities(&mut self, names: Option<&[String]>, path: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for (index, name) in names.unwrap_or_default().iter().enumerate() {
            match capability::canonical(name) {
                Some(name) => found.push(name),
                None => {
                    let message = format!(
                        "must be a Linux capability such as NET_ADMIN, or ALL, not {}",
                        quote(name)
                    );
                    self.error(&path.index(index), message);
                }
            }
        }
        found
    }

    /// `seccompProfile`; a Localhost profile's path starts from the manifest's folder.
    fn seccomp(
        &mut self,
        profile: Option<&k8s::SeccompProfile>,
        dir: &FilePath,
        path: &Path,
    ) -> Option<Seccomp> {
        let profile = profile?;
        let file = path.field("localhostProfile");
        match (profile.type_.as_str(), profile.localhost_profile.as_deref()) {
            ("Localhost", None | Some("")) => {
                self.error(&file, "must be set when seccomp type is Localhost");
                None
            }
            ("Localhost", Some(text)) => {
                self.rule(&file, text, names::relative_path);
                Some(Seccomp::Localhost(dir.join(text)))
            }
            (kind, local) => {
                if local.is_some() {
                    self.error(&file, "can only be set when seccomp type is Localhost");
                }
                if kind.is_empty() {
                    self.error(&path.field("type"), "required");
                    return None;
                }
                self.plain_seccomp(kind, &path.field("type"))
            }
        }
    }

    fn plain_seccomp(&mut self, kind: &str, path: &Path) -> Option<Seccomp> {
        let words = [
            ("RuntimeDefault", Some(false)),
            ("Unconfined", Some(true)),
            ("Localhost", None),
        ];
        match self.word(path, Some(kind), &words)?? {
            true => Some(Seccomp::Unconfined),
            false => Some(Seccomp::RuntimeDefault),
        }
    }

    /// Checks `securityContext.sysctls`: only those of namespaces that the pod has of its own.
    pub(crate) fn sysctls(
        &mut self,
        sysctls: &[k8s::Sysctl],
        spec: &k8s::PodSpec,
        path: &Path,
    ) -> BTreeMap<String, String> {
        let mut seen = HashSet::new();
        let mut checked = BTreeMap::new();
        for (index, sysctl) in sysctls.iter().enumerate() {
            let path = path.index(index).field("name");
            self.required(&path, &sysctl.name, names::sysctl_name);
            let name = dotted(&sysctl.name);
            self.unique(&path, &name, &mut seen);
            if name.starts_with("net.") {
                if spec.host_network == Some(true) {
                    self.error(&path, "may not be set when hostNetwork is true");
                }
            } else if is_ipc_sysctl(&name) {
                if spec.host_ipc == Some(true) {
                    self.error(&path, "may not be set when hostIPC is true");
                }
            } else if names::sysctl_name(&sysctl.name).is_none() {
                self.error(
                    &path,
                    "not supported: it belongs to the whole machine, not to the pod",
                );
            }
            checked.insert(name, sysctl.value.clone());
        }
        checked
    }
}

/// A kernel parameter with dots between its parts.
fn dotted(name: &str) -> String {
    let slashes_first = name
        .find(['.', '/'])
        .is_some_and(|at| name.as_bytes()[at] == b'/');
    if !slashes_first {
        return name.to_owned();
    }
    name.chars()
        .map(|c| match c {
            '/' => '.',
            '.' => '/',
            other => other,
        })
        .collect()
}

/// Whether a kernel parameter belongs to the IPC namespace.
pub(crate) fn is_ipc_sysctl(name: &str) -> bool {
    name == "kernel.sem"
        || ["kernel.shm", "kernel.msg", "fs.mqueue."]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}
