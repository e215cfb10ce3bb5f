//! `linux`, less what has a file of its own.

use libcontainer::oci_spec::runtime::{
    Linux, LinuxDeviceType, LinuxMemoryPolicy, MemoryPolicyFlagType, MemoryPolicyModeType,
};

use super::{Fault, fault};
use crate::{rootfs, selinux};

/// Checks the device nodes to be made.
pub(super) fn devices(linux: &Linux) -> Result<(), Fault> {
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

/// Checks paths, propagation, and what is not supported.
pub(super) fn rest(linux: &Linux) -> Result<(), Fault> {
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
    if let Some(policy) = linux.memory_policy() {
        memory_policy(policy).map_err(|(at, reason)| (format!("linux.memoryPolicy.{at}"), reason))?;
    }
    if linux.intel_rdt().is_some() {
        return fault("linux.intelRdt", "is not supported yet");
    }
    if linux
        .personality()
        .as_ref()
        .and_then(|p| p.flags().as_ref())
        .is_some_and(|f| !f.is_empty())
    {
        // The specification defines none.
        return fault("linux.personality.flags", "no flag is supported");
    }
    if linux.mount_label().as_ref().is_some_and(|l| !l.is_empty()) && !selinux::is_enabled() {
        return fault("linux.mountLabel", selinux::DISABLED);
    }
    Ok(())
}

/// Checks what set_mempolicy(2) wants of each mode.
fn memory_policy(policy: &LinuxMemoryPolicy) -> Result<(), Fault> {
    use MemoryPolicyModeType as Mode;
    let nodes = policy.nodes().as_deref().unwrap_or_default();
    match policy.mode() {
        Mode::MpolDefault | Mode::MpolLocal if !nodes.is_empty() => {
            return fault("nodes", "must be empty for this mode");
        }
        Mode::MpolDefault | Mode::MpolLocal | Mode::MpolPreferred => {}
        _ if nodes.is_empty() => return fault("nodes", "must name at least one node for this mode"),
        _ => {}
    }
    let is_range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if first <= last)
    };
    if !nodes.is_empty() && !nodes.split(',').all(|range| is_range(range.trim())) {
        return fault("nodes", format!("\"{nodes}\" is no list of nodes such as 0-3,7"));
    }
    let has = |flag| policy.flags().iter().flatten().any(|f| *f == flag);
    if has(MemoryPolicyFlagType::MpolFStaticNodes) && has(MemoryPolicyFlagType::MpolFRelativeNodes) {
        return fault(
            "flags",
            "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other",
        );
    }
    Ok(())
}
