//! Who the process is and what it may do.

use serde_json::{Value, json};

use super::{ConfigProblem, Overlay, describe};
use crate::capability;
use crate::container::Seccomp;

/// The sets that a capability is added to; inheritable and ambient are the bundle's alone.
const ADDED_TO: [&str; 3] = ["bounding", "effective", "permitted"];
/// The sets that a capability is dropped from.
const DROPPED_FROM: [&str; 5] = ["bounding", "effective", "permitted", "inheritable", "ambient"];

impl Overlay<'_> {
    /// User and groups. Uid 0 with `runAsNonRoot` is refused, in the kubelet's words.
    pub(super) fn user(&mut self) -> Result<(), ConfigProblem> {
        let security = &self.container.security;
        let (run_as_user, run_as_non_root) = (security.run_as_user, security.run_as_non_root);
        let image_gid = self.placement.primary_gid.filter(|_| run_as_user.is_some());
        let gid = security.run_as_group.or(image_gid);
        let mut groups: Vec<Value> = Vec::new();
        if !security.supplemental_groups_strict {
            groups.extend(self.list("process.user", "additionalGids")?.clone());
            groups.extend(
                self.placement
                    .supplementary_gids
                    .iter()
                    .map(|gid| Value::from(*gid)),
            );
        }
        let security = &self.container.security;
        groups.extend(
            security
                .supplemental_groups
                .iter()
                .chain(&security.fs_group)
                .map(|gid| Value::from(*gid)),
        );
        let mut once: Vec<Value> = Vec::new();
        for group in groups {
            if !once.contains(&group) {
                once.push(group);
            }
        }
        let user = self.object("process.user")?;
        if let Some(uid) = run_as_user {
            user.insert("uid".into(), uid.into());
            user.remove("username");
        }
        if let Some(gid) = gid {
            user.insert("gid".into(), gid.into());
        }
        user.entry("gid").or_insert_with(|| json!(0));
        let uid = user.entry("uid").or_insert_with(|| json!(0)).as_u64();
        if once.is_empty() {
            user.remove("additionalGids");
        } else {
            user.insert("additionalGids".into(), once.into());
        }
        match uid {
            None => Err(self.bundle("process.user.uid", "must be a number from 0")),
            Some(0) if run_as_non_root && run_as_user.is_some() => {
                Err(self.refused("container's runAsUser breaks non-root policy"))
            }
            Some(0) if run_as_non_root => {
                Err(self.refused("container has runAsNonRoot and image will run as root"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Capabilities: `ALL` first, so that single names still count after it.
    pub(super) fn capabilities(&mut self) -> Result<(), ConfigProblem> {
        let security = self.container.security.clone();
        let all = || match &self.placement.available_capabilities {
            Some(available) => available.clone(),
            None => capability::ALL.iter().map(|name| (*name).to_owned()).collect(),
        };
        let is_all = |name: &String| name == "ALL";
        if security.privileged || security.add_capabilities.iter().any(is_all) {
            let names = all();
            for set in ADDED_TO {
                *self.list("process.capabilities", set)? = names.iter().cloned().map(Value::from).collect();
            }
        }
        if security.privileged {
            return Ok(());
        }
        if security.drop_capabilities.iter().any(is_all) {
            for set in DROPPED_FROM {
                self.remove("process.capabilities", set);
            }
            self.object("process.capabilities")?;
        }
        for name in security.add_capabilities.iter().filter(|name| !is_all(name)) {
            for set in ADDED_TO {
                let held = self.list("process.capabilities", set)?;
                if !held.iter().any(|held| held == name.as_str()) {
                    held.push(name.clone().into());
                }
            }
        }
        if !security.drop_capabilities.is_empty() {
            for set in DROPPED_FROM {
                let dropped = |held: &Value| {
                    security
                        .drop_capabilities
                        .iter()
                        .any(|name| held == name.as_str())
                };
                let holds = self.object("process.capabilities")?.contains_key(set);
                if holds {
                    self.list("process.capabilities", set)?
                        .retain(|held| !dropped(held));
                }
            }
        }
        Ok(())
    }

    /// no_new_privs, seccomp, and what a privileged container is spared.
    pub(super) fn confinement(&mut self) -> Result<(), ConfigProblem> {
        let security = self.container.security.clone();
        if let Some(allowed) = security.allow_privilege_escalation {
            self.object("process")?
                .insert("noNewPrivileges".into(), (!allowed).into());
        }
        if security.privileged {
            self.object("process")?
                .insert("noNewPrivileges".into(), false.into());
            return self.privileged();
        }
        match security.seccomp {
            None | Some(Seccomp::RuntimeDefault) => {}
            Some(Seccomp::Unconfined) => self.remove("linux", "seccomp"),
            Some(Seccomp::Localhost(file)) => match &self.placement.seccomp_profile {
                Some(profile @ Value::Object(_)) => {
                    let profile = profile.clone();
                    self.object("linux")?.insert("seccomp".into(), profile);
                }
                Some(other) => {
                    let message = format!(
                        "seccomp profile {} must be an object, not {}",
                        file.display(),
                        describe(other)
                    );
                    return Err(self.refused(message));
                }
                None => return Err(self.refused(format!("no seccomp profile at {}", file.display()))),
            },
        }
        Ok(())
    }

    fn privileged(&mut self) -> Result<(), ConfigProblem> {
        for key in ["seccomp", "maskedPaths", "readonlyPaths", "mountLabel"] {
            self.remove("linux", key);
        }
        for key in ["apparmorProfile", "selinuxLabel"] {
            self.remove("process", key);
        }
        for mount in self.list("", "mounts")? {
            let kind = mount.get("type").and_then(Value::as_str).unwrap_or("");
            if !matches!(kind, "sysfs" | "cgroup" | "cgroup2") {
                continue;
            }
            if let Some(Value::Array(options)) = mount.get_mut("options") {
                for option in options.iter_mut().filter(|option| *option == "ro") {
                    *option = json!("rw");
                }
            }
        }
        self.object("linux.resources")?
            .insert("devices".into(), json!([{"allow": true, "access": "rwm"}]));
        let devices = self.placement.host_devices.clone();
        let own = self.list("linux", "devices")?;
        let known: Vec<Value> = own
            .iter()
            .filter_map(|device| device.get("path").cloned())
            .collect();
        own.extend(
            devices
                .into_iter()
                .filter(|device| !device.get("path").is_some_and(|path| known.contains(path))),
        );
        Ok(())
    }
}
