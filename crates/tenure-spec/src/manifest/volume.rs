//! Volumes and their mounts.

use std::collections::HashSet;
use std::path::{Path as FilePath, PathBuf};

use k8s_openapi::api::core::v1 as k8s;

use super::check::Check;
use super::names;
use super::report::{Path, quote};
use crate::quantity::Quantity;
use crate::volume::{HostPathKind, Medium, MountPropagation, Volume, VolumeMount, VolumeSource};

const HOST_PATH_KINDS: [(&str, HostPathKind); 8] = [
    ("", HostPathKind::Any),
    ("DirectoryOrCreate", HostPathKind::DirectoryOrCreate),
    ("Directory", HostPathKind::Directory),
    ("FileOrCreate", HostPathKind::FileOrCreate),
    ("File", HostPathKind::File),
    ("Socket", HostPathKind::Socket),
    ("CharDevice", HostPathKind::CharDevice),
    ("BlockDevice", HostPathKind::BlockDevice),
];

const PROPAGATIONS: [(&str, MountPropagation); 3] = [
    ("None", MountPropagation::Private),
    ("HostToContainer", MountPropagation::HostToContainer),
    ("Bidirectional", MountPropagation::Bidirectional),
];

impl Check<'_> {
    /// Checks `spec.volumes`; `containers` are the names of the pod's.
    pub(crate) fn volumes(
        &mut self,
        volumes: &[k8s::Volume],
        containers: &[&str],
        path: &Path,
    ) -> Vec<Volume> {
        let mut seen = HashSet::new();
        let mut checked = Vec::new();
        for (index, volume) in volumes.iter().enumerate() {
            let path = path.index(index);
            self.required(&path.field("name"), &volume.name, names::dns_label);
            self.unique(&path.field("name"), &volume.name, &mut seen);
            checked.push(Volume {
                name: volume.name.clone(),
                source: self.volume_source(volume, containers, &path),
            });
        }
        checked
    }

    /// A volume's source; emptyDir when it names none, as Kubernetes has it.
    fn volume_source(&mut self, volume: &k8s::Volume, containers: &[&str], path: &Path) -> VolumeSource {
        let given = [
            ("emptyDir", volume.empty_dir.is_some()),
            ("hostPath", volume.host_path.is_some()),
            ("configMap", volume.config_map.is_some()),
            ("secret", volume.secret.is_some()),
            ("downwardAPI", volume.downward_api.is_some()),
            ("projected", volume.projected.is_some()),
        ];
        self.only_one(&given, path);
        if let Some(files) = self.files(volume, containers, path) {
            return VolumeSource::Files(files);
        }
        if let Some(host_path) = &volume.host_path {
            let path = path.field("hostPath");
            self.required(&path.field("path"), &host_path.path, names::absolute_path);
            let kind = self.word(&path.field("type"), host_path.type_.as_deref(), &HOST_PATH_KINDS);
            return VolumeSource::HostPath {
                path: PathBuf::from(&host_path.path),
                kind: kind.unwrap_or(HostPathKind::Any),
            };
        }
        let default = k8s::EmptyDirVolumeSource::default();
        let empty_dir = volume.empty_dir.as_ref().unwrap_or(&default);
        let path = path.field("emptyDir");
        let media = [("", Medium::Disk), ("Memory", Medium::Memory)];
        let medium = self.word(&path.field("medium"), empty_dir.medium.as_deref(), &media);
        let size = empty_dir
            .size_limit
            .as_ref()
            .and_then(|size| match size.0.parse::<Quantity>() {
                Ok(size) => size.units().filter(|size| *size > 0),
                Err(fault) => {
                    self.error(
                        &path.field("sizeLimit"),
                        format!("{}, not {}", fault.message(), quote(&size.0)),
                    );
                    None
                }
            });
        VolumeSource::EmptyDir {
            medium: medium.unwrap_or(Medium::Disk),
            size_limit_bytes: size,
        }
    }

    /// Checks `volumeMounts` of a container.
    pub(crate) fn volume_mounts(
        &mut self,
        mounts: &[k8s::VolumeMount],
        volumes: &[Volume],
        privileged: bool,
        path: &Path,
    ) -> Vec<VolumeMount> {
        let mut seen = HashSet::new();
        let mut checked = Vec::new();
        for (index, mount) in mounts.iter().enumerate() {
            let path = path.index(index);
            if mount.name.is_empty() {
                self.error(&path.field("name"), "required");
            } else if !volumes.iter().any(|volume| volume.name == mount.name) {
                self.error(
                    &path.field("name"),
                    format!("no volume is named {}", quote(&mount.name)),
                );
            }
            let mount_path = self.mount_path(&mount.mount_path, &path.field("mountPath"), &mut seen);
            let sub_path = mount.sub_path.clone().filter(|sub_path| !sub_path.is_empty());
            if let Some(sub_path) = &sub_path {
                self.rule(&path.field("subPath"), sub_path, names::relative_path);
            }
            let propagation = mount.mount_propagation.as_deref();
            let propagation = self.word(&path.field("mountPropagation"), propagation, &PROPAGATIONS);
            if propagation == Some(MountPropagation::Bidirectional) && !privileged {
                let message = "Bidirectional mount propagation is available only to privileged containers";
                self.error(&path.field("mountPropagation"), message);
            }
            self.recursive_read_only(mount, &path);
            checked.push(VolumeMount {
                name: mount.name.clone(),
                mount_path,
                sub_path: sub_path
                    .map(|text| names::plain(&text))
                    .filter(|plain| !plain.as_os_str().is_empty()),
                read_only: mount.read_only.unwrap_or(false),
                propagation: propagation.unwrap_or(MountPropagation::Private),
            });
        }
        checked
    }

    /// A mount's place in its plain spelling.
    fn mount_path(&mut self, text: &str, path: &Path, seen: &mut HashSet<String>) -> PathBuf {
        let errors = |text: &str| {
            if text.contains(':') {
                return Some("must not contain ':'");
            }
            names::absolute_path(text)
        };
        self.required(path, text, errors);
        let plain = names::plain(text);
        if plain == FilePath::new("/") {
            self.error(path, "must not be the root of the container");
        }
        if !seen.insert(plain.to_string_lossy().into_owned()) && !text.is_empty() {
            self.error(
                path,
                format!("must be unique, {} is mounted upon twice", quote(text)),
            );
        }
        plain
    }

    fn recursive_read_only(&mut self, mount: &k8s::VolumeMount, path: &Path) {
        let path = path.field("recursiveReadOnly");
        let words = [("Disabled", 0), ("IfPossible", 1), ("Enabled", 2)];
        match self.word(&path, mount.recursive_read_only.as_deref(), &words) {
            Some(1) => self
                .report
                .warn(&path, "ignored: mounts below a read-only volume stay as they are"),
            Some(2) => self.error(
                &path,
                "not supported: mounts below a read-only volume stay as they are",
            ),
            _ => {}
        }
    }
}
