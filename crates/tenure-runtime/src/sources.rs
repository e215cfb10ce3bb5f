//! The sources of bind mounts that must be taken before init is born.

use std::os::fd::OwnedFd;

use libcontainer::oci_spec::runtime::{Linux, Mount, Spec};

use crate::id_map::IdMaps;
use crate::namespace::Namespaces;
use crate::store::Record;
use crate::{Error, rootfs};

/// In a user namespace, init could not open the sources of its bind mounts, and never could it map their ids: they are
/// taken here. What is inside the container's own mounts does not exist yet, and is left to init.
pub(crate) fn sources(
    spec: &Spec,
    linux: &Linux,
    record: &Record,
    namespaces: &Namespaces,
) -> Result<Vec<Option<OwnedFd>>, Error> {
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    if !record.user_namespace && !mounts.iter().any(rootfs::is_id_mapped) {
        return Ok(Vec::new());
    }
    let mut id_maps = IdMaps::new(linux, namespaces);
    let mut taken = Vec::new();
    for (i, mount) in mounts.iter().enumerate() {
        let mapped = rootfs::is_id_mapped(mount);
        let earlier = mounts.get(..i).unwrap_or_default();
        let later = !mapped && (!record.user_namespace || is_in_own_mounts(mount, earlier, record));
        taken.push(if later {
            None
        } else {
            rootfs::detach_source(&record.bundle, mount, &mut id_maps)?
        });
    }
    Ok(taken)
}

/// Whether the source of a bind mount is inside one of the mounts made before it.
fn is_in_own_mounts(mount: &Mount, earlier: &[Mount], record: &Record) -> bool {
    let source = mount.source().as_ref().map(|s| record.bundle.join(s));
    let inside = source.as_ref().and_then(|s| s.strip_prefix(&record.rootfs).ok());
    inside.is_some_and(|inside| {
        let inside = rootfs::clean(inside);
        earlier
            .iter()
            .any(|m| inside.starts_with(rootfs::clean(m.destination())))
    })
}
