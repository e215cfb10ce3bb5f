//! `linux`, less what has a file of its own.

use libcontainer::oci_spec::runtime::{Linux, LinuxDeviceType};

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
