//! `linux.namespaces` and what depends on them: names, id mappings, time offsets, sysctls.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libcontainer::oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType, Spec};

use super::{Fault, fault};

/// Checks the namespaces, and what needs one of them.
pub(super) fn namespaces(spec: &Spec, linux: &Linux) -> Result<(), Fault> {
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
        }
    }
    if seen.contains(&LinuxNamespaceType::User) && !seen.contains(&LinuxNamespaceType::Mount) {
        return fault(
            "linux.namespaces",
            "a user namespace needs a mount namespace beside it",
        );
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
    time_offsets(linux)
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
        self::mapping(mapping).map_err(|(inside, reason)| (format!("{at}{inside}"), reason))?;
    }
    Ok(())
}

/// Checks the lines of an id mapping. The place is relative to the list.
pub(super) fn mapping(lines: &[LinuxIdMapping]) -> Result<(), Fault> {
    for (i, line) in lines.iter().enumerate() {
        if line.size() == 0 {
            return fault(format!("[{i}].size"), "must not be 0");
        }
        let first = line.host_id().max(line.container_id());
        if first
            .checked_add(line.size() - 1)
            .is_none_or(|last| last == u32::MAX)
        {
            return fault(
                format!("[{i}].size"),
                format!("{} reaches beyond the last id", line.size()),
            );
        }
    }
    Ok(())
}

/// Checks the clocks of a new time namespace.
fn time_offsets(linux: &Linux) -> Result<(), Fault> {
    for (clock, offset) in linux.time_offsets().iter().flatten() {
        let at = format!("linux.timeOffsets[\"{clock}\"]");
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            return fault(at, "is neither monotonic nor boottime");
        }
        if offset.nanosecs().is_some_and(|n| n >= 1_000_000_000) {
            return fault(format!("{at}.nanosecs"), "must be below 1000000000");
        }
    }
    Ok(())
}

/// Only what a namespace of the container's own keeps from the host may be set.
pub(super) fn sysctl(linux: &Linux) -> Result<(), Fault> {
    let find = |kind| linux.namespaces().iter().flatten().find(|n| n.typ() == kind);
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
        let Some(namespace) = find(needed) else {
            return fault(
                at(),
                format!("needs a namespace of type {needed} in linux.namespaces"),
            );
        };
        if namespace
            .path()
            .as_deref()
            .is_some_and(|path| is_own(path, needed))
        {
            return fault(
                at(),
                format!("would be set for the host, whose {needed} namespace is joined"),
            );
        }
    }
    Ok(())
}

/// Whether a namespace is this process's own.
fn is_own(path: &Path, kind: LinuxNamespaceType) -> bool {
    let own = match kind {
        LinuxNamespaceType::Network => "/proc/self/ns/net",
        LinuxNamespaceType::Ipc => "/proc/self/ns/ipc",
        _ => "/proc/self/ns/uts",
    };
    let name = |path: &Path| fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    name(path).is_some_and(|found| Some(found) == name(Path::new(own)))
}

/// Interfaces move into a network namespace that is not the host's, and have names that the kernel takes.
pub(super) fn net_devices(linux: &Linux) -> Result<(), Fault> {
    let Some(devices) = linux.net_devices().as_ref().filter(|d| !d.is_empty()) else {
        return Ok(());
    };
    let mut namespaces = linux.namespaces().iter().flatten();
    match namespaces.find(|n| n.typ() == LinuxNamespaceType::Network) {
        None => {
            return fault(
                "linux.netDevices",
                "needs a network namespace in linux.namespaces",
            );
        }
        Some(n)
            if n.path()
                .as_deref()
                .is_some_and(|p| is_own(p, LinuxNamespaceType::Network)) =>
        {
            return fault(
                "linux.netDevices",
                "cannot move into the host's network namespace",
            );
        }
        Some(_) => {}
    }
    let mut seen = HashSet::new();
    for (name, device) in devices {
        let at = format!("linux.netDevices[\"{name}\"]");
        let inside = device.name().as_deref().filter(|n| !n.is_empty()).unwrap_or(name);
        for name in [name.as_str(), inside] {
            let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
            if name.is_empty() || name.len() > 15 || matches!(name, "." | "..") || name.contains(odd) {
                return fault(at, format!("\"{name}\" is no name of a network device"));
            }
        }
        if !seen.insert(inside) {
            return fault(at, format!("another device is to be {inside} already"));
        }
    }
    Ok(())
}
