//! `mounts`: the volumes among what the bundle mounts.

use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use super::{ConfigProblem, MountKind, Overlay, ResolvedMount};
use crate::volume::MountPropagation;

impl Overlay<'_> {
    /// Lays the engine's mounts, then the volumes, among the bundle's.
    pub(super) fn mounts(&mut self) -> Result<(), ConfigProblem> {
        let placement = self.placement;
        let shares_memory = placement.extra_mounts.iter().chain(&placement.mounts);
        let has_shm = shares_memory
            .into_iter()
            .any(|mount| plain(&mount.destination) == Path::new("/dev/shm"));
        if self.pod.host_ipc && !has_shm {
            let shm = PathBuf::from("/dev/shm");
            let mount = ResolvedMount {
                source: shm.clone(),
                destination: shm,
                read_only: false,
                propagation: MountPropagation::Private,
                kind: MountKind::Bind,
            };
            self.mount(&mount)?;
        }
        for mounts in [&placement.extra_mounts, &placement.mounts] {
            let mut by_depth: Vec<&ResolvedMount> = mounts.iter().collect();
            by_depth.sort_by_key(|mount| plain(&mount.destination).components().count());
            for mount in by_depth {
                self.mount(mount)?;
            }
        }
        self.root_propagation()
    }

    /// Puts one mount in: it replaces the one at the same place and comes before those inside it.
    fn mount(&mut self, mount: &ResolvedMount) -> Result<(), ConfigProblem> {
        let destination = plain(&mount.destination);
        let entry = self.entry(mount, &destination)?;
        let list = self.list("", "mounts")?;
        let place = |entry: &Value| {
            entry
                .get("destination")
                .and_then(Value::as_str)
                .map(|text| plain(Path::new(text)))
        };
        list.retain(|entry| place(entry).is_none_or(|there| there != destination));
        let inside = list
            .iter()
            .position(|entry| place(entry).is_some_and(|there| there.starts_with(&destination)));
        list.insert(inside.unwrap_or(list.len()), entry);
        Ok(())
    }

    fn entry(&self, mount: &ResolvedMount, destination: &Path) -> Result<Value, ConfigProblem> {
        let access = if mount.read_only { "ro" } else { "rw" };
        let destination = self.text_of(destination)?;
        let source = self.text_of(&mount.source)?;
        Ok(match mount.kind {
            MountKind::Bind => {
                let propagation = match mount.propagation {
                    MountPropagation::Private => "rprivate",
                    MountPropagation::HostToContainer => "rslave",
                    MountPropagation::Bidirectional => "rshared",
                };
                let options = ["rbind", propagation, access];
                json!({"destination": destination, "type": "bind", "source": source, "options": options})
            }
            MountKind::Tmpfs { size_bytes } => {
                let mut options = vec!["mode=1777".to_owned(), access.to_owned()];
                options.extend(size_bytes.map(|size| format!("size={size}")));
                json!({"destination": destination, "type": "tmpfs", "source": source, "options": options})
            }
        })
    }

    /// Propagation reaches a mount only through a root that lets it.
    fn root_propagation(&mut self) -> Result<(), ConfigProblem> {
        let mounts = &self.placement.mounts;
        let asks = |wanted| mounts.iter().any(|mount| mount.propagation == wanted);
        let (shared, slave) = (
            asks(MountPropagation::Bidirectional),
            asks(MountPropagation::HostToContainer),
        );
        if !shared && !slave {
            return Ok(());
        }
        let linux = self.object("linux")?;
        let own = linux
            .get("rootfsPropagation")
            .and_then(Value::as_str)
            .unwrap_or("");
        let suffices = matches!(own, "shared" | "rshared") || !shared && matches!(own, "slave" | "rslave");
        if !suffices {
            linux.insert(
                "rootfsPropagation".into(),
                if shared { "rshared" } else { "rslave" }.into(),
            );
        }
        Ok(())
    }
}

/// A mount's place in its plain spelling.
fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}
