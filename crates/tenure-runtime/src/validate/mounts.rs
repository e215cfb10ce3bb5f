//! `mounts`.

use libcontainer::oci_spec::runtime::{Linux, LinuxNamespaceType, Mount, Spec};

use super::namespaces::mapping;
use super::{Fault, fault};
use crate::rootfs;

/// Checks every mount.
pub(super) fn mounts(spec: &Spec, linux: &Linux) -> Result<(), Fault> {
    for (i, mount) in spec.mounts().iter().flatten().enumerate() {
        let at = |(at, reason): Fault| (format!("mounts[{i}]{at}"), reason);
        validate_mount(mount).map_err(at)?;
        id_mapping(mount, linux).map_err(at)?;
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
    let bind = rootfs::is_bind(mount);
    if bind && mount.source().as_ref().is_none_or(|s| s.as_os_str().is_empty()) {
        return fault(".source", "a bind mount needs a source");
    }
    if !bind && mount.typ().as_ref().is_none_or(String::is_empty) {
        return fault(".type", "is missing, and the options do not say bind");
    }
    Ok(())
}

/// Checks an id-mapped mount: what it maps by, and whether it can be mapped at all.
fn id_mapping(mount: &Mount, linux: &Linux) -> Result<(), Fault> {
    let mut words = mount.options().iter().flatten();
    let word = words.any(|o| o == "idmap" || o == "ridmap");
    let lists = [
        (".uidMappings", mount.uid_mappings()),
        (".gidMappings", mount.gid_mappings()),
    ];
    let given = lists.map(|(_, list)| list.as_ref().is_some_and(|l| !l.is_empty()));
    if !word && given == [false, false] {
        return Ok(());
    }
    if !rootfs::is_bind(mount) {
        return fault(".options", "only bind mounts can be id-mapped");
    }
    match given {
        [true, false] => return fault(".gidMappings", "is missing, and uidMappings is given"),
        [false, true] => return fault(".uidMappings", "is missing, and gidMappings is given"),
        [true, true] => {}
        [false, false] => {
            let mut namespaces = linux.namespaces().iter().flatten();
            if !namespaces.any(|n| n.typ() == LinuxNamespaceType::User) {
                return fault(
                    ".options",
                    "idmap needs uidMappings and gidMappings, or a user namespace",
                );
            }
        }
    }
    for (at, list) in lists {
        mapping(list.as_deref().unwrap_or_default())
            .map_err(|(inside, reason)| (format!("{at}{inside}"), reason))?;
    }
    Ok(())
}
