//! What a configuration must be, before anything is done with it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use libcontainer::oci_spec::runtime::{
    Hook, Linux, LinuxDeviceType, LinuxNamespaceType, LinuxSeccompAction, Mount, Process, Spec,
};

use crate::{cgroup, rootfs};

/// A place in the configuration and what is wrong there.
type Fault = (String, String);

fn fault<T>(at: impl Into<String>, reason: impl Into<String>) -> Result<T, Fault> {
    Err((at.into(), reason.into()))
}

/// Checks a configuration found in `bundle`.
pub(crate) fn validate(spec: &Spec, bundle: &Path) -> Result<(), Fault> {
    if !spec.version().starts_with("1.") {
        return fault(
            "ociVersion",
            format!("\"{}\" is not supported, only 1.x is", spec.version()),
        );
    }
    let Some(process) = spec.process() else {
        return fault("process", "is missing");
    };
    validate_process(process).map_err(|(at, reason)| (format!("process.{at}"), reason))?;
    root(spec, bundle)?;
    let Some(linux) = spec.linux() else {
        return fault("linux", "is missing");
    };
    namespaces(spec, linux)?;
    sysctl(linux)?;
    for (i, mount) in spec.mounts().iter().flatten().enumerate() {
        validate_mount(mount).map_err(|(at, reason)| (format!("mounts[{i}]{at}"), reason))?;
    }
    hooks(spec)?;
    devices(linux)?;
    if let Some(resources) = linux.resources() {
        cgroup::validate(resources).map_err(|(at, reason)| (format!("linux.resources.{at}"), reason))?;
    }
    rest_of_linux(linux)
}

/// Checks a process, of a configuration or for `exec`.
pub(crate) fn validate_process(process: &Process) -> Result<(), Fault> {
    let args = process.args().as_deref().unwrap_or_default();
    if args.first().is_none_or(String::is_empty) {
        return fault("args", "must hold at least the program");
    }
    if let Some(i) = args.iter().position(|a| a.contains('\0')) {
        return fault(format!("args[{i}]"), "holds a NUL byte");
    }
    for (i, variable) in process.env().iter().flatten().enumerate() {
        if variable.contains('\0') {
            return fault(format!("env[{i}]"), "holds a NUL byte");
        }
        if variable.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
            return fault(format!("env[{i}]"), format!("\"{variable}\" is not NAME=VALUE"));
        }
    }
    if !process.cwd().is_absolute() {
        return fault(
            "cwd",
            format!("\"{}\" must be an absolute path", process.cwd().display()),
        );
    }
    let mut seen = HashSet::new();
    for (i, limit) in process.rlimits().iter().flatten().enumerate() {
        if !seen.insert(limit.typ().to_string()) {
            return fault(
                format!("rlimits[{i}].type"),
                format!("{} is given twice", limit.typ()),
            );
        }
        if limit.soft() > limit.hard() {
            return fault(
                format!("rlimits[{i}]"),
                format!("soft {} is above hard {}", limit.soft(), limit.hard()),
            );
        }
    }
    if process.user().umask().is_some_and(|u| u > 0o777) {
        return fault("user.umask", "must be 0 to 0777");
    }
    if process
        .oom_score_adj()
        .is_some_and(|s| !(-1000..=1000).contains(&s))
    {
        return fault("oomScoreAdj", "must be -1000 to 1000");
    }
    security_modules(process)
}

fn security_modules(process: &Process) -> Result<(), Fault> {
    let set = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
    if set(process.selinux_label()) {
        if Path::new("/sys/fs/selinux/enforce").exists() {
            return fault("selinuxLabel", "labels are not supported yet");
        }
        return fault(
            "selinuxLabel",
            "is given, but SELinux is disabled or not supported on this host",
        );
    }
    if set(process.apparmor_profile()) && !libcontainer::apparmor::is_enabled().unwrap_or(false) {
        return fault(
            "apparmorProfile",
            "is given, but AppArmor is not enabled on this host",
        );
    }
    Ok(())
}

fn root(spec: &Spec, bundle: &Path) -> Result<(), Fault> {
    let Some(root) = spec.root() else {
        return fault("root", "is missing");
    };
    if root.path().as_os_str().is_empty() {
        return fault("root.path", "is empty");
    }
    let path = bundle.join(root.path());
    match fs::metadata(&path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => fault("root.path", format!("{} is not a directory", path.display())),
        Err(error) => {
            let reason = crate::failure::reason_of(&error);
            fault("root.path", format!("cannot open {}: {reason}", path.display()))
        }
    }
}

fn namespaces(spec: &Spec, linux: &Linux) -> Result<(), Fault> {
    let list = linux.namespaces().as_deref().unwrap_or_default();
    let mut seen = HashSet::new();
    for (i, namespace) in list.iter().enumerate() {
        if !seen.insert(namespace.typ()) {
            return fault(
                format!("linux.namespaces[{i}].type"),
                format!("{} is given twice", namespace.typ()),
            );
        }
        if let Some(path) = namespace.path() {
            let at = format!("linux.namespaces[{i}].path");
            if !path.is_absolute() {
                return fault(at, format!("\"{}\" must be an absolute path", path.display()));
            }
            if namespace.typ() == LinuxNamespaceType::Mount {
                return fault(at, "joining a mount namespace is not supported");
            }
        }
    }
    if !seen.contains(&LinuxNamespaceType::Mount) {
        return fault("linux.namespaces", "a mount namespace is required");
    }
    for (at, name) in [("hostname", spec.hostname()), ("domainname", spec.domainname())] {
        if name.as_ref().is_some_and(|n| !n.is_empty()) && !seen.contains(&LinuxNamespaceType::Uts) {
            return fault(at, "needs a uts namespace in linux.namespaces");
        }
        if name.as_ref().is_some_and(|n| n.len() > 64) {
            return fault(at, "is longer than 64 bytes");
        }
    }
    user_namespace(linux)?;
    if linux.time_offsets().as_ref().is_some_and(|o| !o.is_empty())
        && !seen.contains(&LinuxNamespaceType::Time)
    {
        return fault("linux.timeOffsets", "needs a time namespace in linux.namespaces");
    }
    Ok(())
}

fn user_namespace(linux: &Linux) -> Result<(), Fault> {
    let user = linux
        .namespaces()
        .iter()
        .flatten()
        .find(|n| n.typ() == LinuxNamespaceType::User);
    let mappings = [
        ("linux.uidMappings", linux.uid_mappings()),
        ("linux.gidMappings", linux.gid_mappings()),
    ];
    for (at, mapping) in mappings {
        let mapping = mapping.as_deref().unwrap_or_default();
        match user {
            None if !mapping.is_empty() => return fault(at, "needs a user namespace in linux.namespaces"),
            Some(user) if user.path().is_none() && mapping.is_empty() => {
                return fault(at, "a new user namespace needs a mapping");
            }
            _ => {}
        }
        if let Some(i) = mapping.iter().position(|m| m.size() == 0) {
            return fault(format!("{at}[{i}].size"), "must not be 0");
        }
    }
    Ok(())
}

/// Only what a namespace of the container's own keeps from the host may be set.
fn sysctl(linux: &Linux) -> Result<(), Fault> {
    let has = |kind| linux.namespaces().iter().flatten().any(|n| n.typ() == kind);
    for name in linux.sysctl().iter().flat_map(|s| s.keys()) {
        let at = || format!("linux.sysctl[\"{name}\"]");
        let dotted = if name.contains('/') {
            name.replace('/', ".")
        } else {
            name.clone()
        };
        let ipc = [
            "kernel.msgmax",
            "kernel.msgmnb",
            "kernel.msgmni",
            "kernel.sem",
            "kernel.shmall",
            "kernel.shmmax",
            "kernel.shmmni",
            "kernel.shm_rmid_forced",
        ];
        let needed = if dotted.contains("..") || name.starts_with('/') {
            return fault(at(), "is no sysctl name");
        } else if dotted.starts_with("net.") {
            LinuxNamespaceType::Network
        } else if ipc.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
            LinuxNamespaceType::Ipc
        } else if matches!(dotted.as_str(), "kernel.domainname" | "kernel.hostname") {
            LinuxNamespaceType::Uts
        } else {
            return fault(at(), "is not kept apart by any namespace");
        };
        if !has(needed) {
            return fault(
                at(),
                format!("needs a namespace of type {needed} in linux.namespaces"),
            );
        }
    }
    Ok(())
}

fn validate_mount(mount: &Mount) -> Result<(), Fault> {
    let destination = mount.destination();
    if destination.to_string_lossy().contains('\0') {
        return fault(".destination", "holds a NUL byte");
    }
    if !destination.is_absolute() {
        tracing::warn!(destination = %destination.display(), "mount destination is not absolute; taken from the root");
    }
    if rootfs::clean(destination).as_os_str().is_empty() {
        return fault(
            ".destination",
            format!("\"{}\" is the root itself", destination.display()),
        );
    }
    let bind = mount
        .options()
        .iter()
        .flatten()
        .any(|o| o == "bind" || o == "rbind")
        || mount.typ().as_deref() == Some("bind");
    if bind && mount.source().as_ref().is_none_or(|s| s.as_os_str().is_empty()) {
        return fault(".source", "a bind mount needs a source");
    }
    if !bind && mount.typ().as_ref().is_none_or(String::is_empty) {
        return fault(".type", "is missing, and the options do not say bind");
    }
    Ok(())
}

fn hooks(spec: &Spec) -> Result<(), Fault> {
    let Some(hooks) = spec.hooks() else { return Ok(()) };
    #[allow(deprecated)]
    let kinds: [(&str, &Option<Vec<Hook>>); 6] = [
        ("prestart", hooks.prestart()),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ];
    for (kind, list) in kinds {
        for (i, hook) in list.iter().flatten().enumerate() {
            if !hook.path().is_absolute() {
                return fault(format!("hooks.{kind}[{i}].path"), "must be an absolute path");
            }
            if hook.timeout().is_some_and(|t| t <= 0) {
                return fault(format!("hooks.{kind}[{i}].timeout"), "must be greater than 0");
            }
        }
    }
    Ok(())
}

fn devices(linux: &Linux) -> Result<(), Fault> {
    for (i, device) in linux.devices().iter().flatten().enumerate() {
        let at = |field: &str| format!("linux.devices[{i}].{field}");
        if !device.path().is_absolute() || rootfs::clean(device.path()).as_os_str().is_empty() {
            return fault(
                at("path"),
                format!("\"{}\" must be an absolute path", device.path().display()),
            );
        }
        match device.typ() {
            LinuxDeviceType::A => return fault(at("type"), "must be b, c, u or p"),
            LinuxDeviceType::P => {}
            _ => {
                for (field, number) in [("major", device.major()), ("minor", device.minor())] {
                    if u32::try_from(number).is_err() {
                        return fault(at(field), format!("{number} is no device number"));
                    }
                }
            }
        }
    }
    Ok(())
}

fn rest_of_linux(linux: &Linux) -> Result<(), Fault> {
    for (at, list) in [
        ("linux.maskedPaths", linux.masked_paths()),
        ("linux.readonlyPaths", linux.readonly_paths()),
    ] {
        if let Some(i) = list
            .iter()
            .flatten()
            .position(|p| !p.starts_with('/') || p.contains('\0'))
        {
            return fault(format!("{at}[{i}]"), "must be an absolute path");
        }
    }
    if let Some(word) = linux.rootfs_propagation().as_ref().filter(|w| !w.is_empty())
        && !rootfs::is_propagation(word)
    {
        return fault(
            "linux.rootfsPropagation",
            format!("\"{word}\" is no kind of propagation"),
        );
    }
    if let Some(seccomp) = linux.seccomp() {
        let notify = seccomp.default_action() == LinuxSeccompAction::ScmpActNotify
            || seccomp
                .syscalls()
                .iter()
                .flatten()
                .any(|s| s.action() == LinuxSeccompAction::ScmpActNotify);
        if notify {
            return fault("linux.seccomp", "SCMP_ACT_NOTIFY is not supported yet");
        }
    }
    if linux.intel_rdt().is_some() {
        return fault("linux.intelRdt", "is not supported yet");
    }
    if linux.net_devices().as_ref().is_some_and(|d| !d.is_empty()) {
        return fault("linux.netDevices", "is not supported yet");
    }
    if linux
        .personality()
        .as_ref()
        .and_then(|p| p.flags().as_ref())
        .is_some_and(|f| !f.is_empty())
    {
        return fault("linux.personality.flags", "no flag is supported");
    }
    if linux.mount_label().as_ref().is_some_and(|l| !l.is_empty()) {
        return fault(
            "linux.mountLabel",
            "is given, but SELinux labels are not supported",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[allow(clippy::unwrap_used)]
    fn bundle() -> tempfile::TempDir {
        let bundle = tempfile::tempdir().unwrap();
        fs::create_dir(bundle.path().join("rootfs")).unwrap();
        fs::write(bundle.path().join("file"), "").unwrap();
        bundle
    }

    fn good() -> Value {
        json!({"ociVersion": "1.0.2", "root": {"path": "rootfs"},
            "process": {"cwd": "/", "args": ["true"], "user": {"uid": 0, "gid": 0}, "env": ["A=b"]},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "hooks": {"prestart": [{"path": "/bin/true"}]},
            "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]}})
    }

    #[allow(clippy::unwrap_used)]
    fn judge(config: &Value) -> Result<(), Fault> {
        let spec: Spec = serde_json::from_value(config.clone()).unwrap();
        validate(&spec, bundle().path())
    }

    #[test]
    fn a_plain_configuration_is_good() {
        judge(&good()).unwrap();
    }

    #[test]
    #[allow(clippy::too_many_lines)] // One row a fault.
    fn every_fault_is_named_with_its_place() {
        let table = [
            ("/ociVersion", json!("2.0"), "ociVersion"),
            ("/process/args", json!([]), "process.args"),
            ("/process/args/0", json!("a\0b"), "process.args[0]"),
            ("/process/env/0", json!("novalue"), "process.env[0]"),
            ("/process/cwd", json!("rel"), "process.cwd"),
            (
                "/process/rlimits",
                json!([{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]),
                "process.rlimits[0]",
            ),
            ("/process/oomScoreAdj", json!(2000), "process.oomScoreAdj"),
            ("/process/selinuxLabel", json!("x"), "process.selinuxLabel"),
            ("/root/path", json!("none"), "root.path"),
            ("/root/path", json!("file"), "root.path"),
            ("/linux/namespaces", json!([{"type": "pid"}]), "linux.namespaces"),
            (
                "/linux/namespaces",
                json!([{"type": "mount"}, {"type": "mount"}]),
                "linux.namespaces[1].type",
            ),
            (
                "/linux/namespaces/1",
                json!({"type": "pid", "path": "x"}),
                "linux.namespaces[1].path",
            ),
            (
                "/linux/namespaces/1",
                json!({"type": "user"}),
                "linux.uidMappings",
            ),
            (
                "/linux/sysctl",
                json!({"kernel.panic": "1"}),
                "linux.sysctl[\"kernel.panic\"]",
            ),
            ("/linux/sysctl", json!({"net.x": "1"}), "linux.sysctl[\"net.x\"]"),
            (
                "/linux/sysctl",
                json!({"net/../kernel/x": "1"}),
                "linux.sysctl[\"net/../kernel/x\"]",
            ),
            ("/hostname", json!("h"), "hostname"),
            (
                "/mounts/0",
                json!({"destination": "/x", "type": "bind"}),
                "mounts[0].source",
            ),
            (
                "/mounts/0",
                json!({"destination": "/../", "type": "proc"}),
                "mounts[0].destination",
            ),
            ("/mounts/0", json!({"destination": "/x"}), "mounts[0].type"),
            ("/hooks/prestart/0/path", json!("rel"), "hooks.prestart[0].path"),
            ("/hooks/prestart/0/timeout", json!(0), "hooks.prestart[0].timeout"),
            (
                "/linux/devices",
                json!([{"path": "x", "type": "c", "major": 1, "minor": 1}]),
                "linux.devices[0].path",
            ),
            (
                "/linux/devices",
                json!([{"path": "/d", "type": "c", "major": -1, "minor": 1}]),
                "linux.devices[0].major",
            ),
            (
                "/linux/resources",
                json!({"memory": {"swappiness": 200}}),
                "linux.resources.memory.swappiness",
            ),
            ("/linux/maskedPaths", json!(["x"]), "linux.maskedPaths[0]"),
            (
                "/linux/rootfsPropagation",
                json!("odd"),
                "linux.rootfsPropagation",
            ),
        ];
        for (pointer, value, place) in table {
            let mut config = good();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            match config.pointer_mut(parent).unwrap() {
                Value::Array(a) => a[key.parse::<usize>().unwrap()] = value,
                object => object[key] = value,
            }
            assert_eq!(judge(&config).unwrap_err().0, place, "{pointer}");
        }
    }

    #[test]
    fn all_kinds_of_root_propagation_are_known() {
        for word in [
            "shared",
            "rshared",
            "slave",
            "rslave",
            "private",
            "rprivate",
            "unbindable",
            "runbindable",
        ] {
            let mut config = good();
            config["linux"]["rootfsPropagation"] = json!(word);
            judge(&config).unwrap();
        }
    }
}
