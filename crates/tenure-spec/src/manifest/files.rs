//! Volumes of files: `configMap`, `secret`, `downwardAPI` and `projected`.

use std::path::PathBuf;

use k8s_openapi::api::core::v1 as k8s;

use super::check::Check;
use super::names;
use super::report::Path;
use crate::files::{FileSource, Files, KeyFile, ObjectFiles, Place, PodFile, PodValue};
use crate::reference::FieldRef;
use crate::sources::SourceKind;

/// The mode that Kubernetes gives to files.
pub(crate) const DEFAULT_MODE: i32 = 0o644;

/// The fields that a file can be made of.
const FIELDS: [(&str, FieldRef); 5] = [
    ("metadata.annotations", FieldRef::Annotations),
    ("metadata.labels", FieldRef::Labels),
    ("metadata.name", FieldRef::Name),
    ("metadata.namespace", FieldRef::Namespace),
    ("metadata.uid", FieldRef::Uid),
];

/// A reference to a ConfigMap or Secret as it is written.
struct Written<'a> {
    kind: SourceKind,
    /// The field that holds the object's name, and the name.
    name: (&'static str, &'a str),
    items: Option<&'a [k8s::KeyToPath]>,
    optional: Option<bool>,
}

impl Check<'_> {
    /// The files of a volume, if it is one of files; `containers` are the names of the pod's.
    pub(crate) fn files(&mut self, volume: &k8s::Volume, containers: &[&str], path: &Path) -> Option<Files> {
        let (sources, path, mode, user) = if let Some(map) = &volume.config_map {
            let path = path.field("configMap");
            let written = Written {
                kind: SourceKind::ConfigMap,
                name: ("name", &map.name),
                items: map.items.as_deref(),
                optional: map.optional,
            };
            let source = self.object(&written, &path);
            (vec![source], path, map.default_mode, map.default_user)
        } else if let Some(secret) = &volume.secret {
            let path = path.field("secret");
            let written = Written {
                kind: SourceKind::Secret,
                name: ("secretName", secret.secret_name.as_deref().unwrap_or("")),
                items: secret.items.as_deref(),
                optional: secret.optional,
            };
            let source = self.object(&written, &path);
            (vec![source], path, secret.default_mode, secret.default_user)
        } else if let Some(pod) = &volume.downward_api {
            let path = path.field("downwardAPI");
            let source = self.pod_files(pod.items.as_deref(), containers, &path);
            (vec![source], path, pod.default_mode, pod.default_user)
        } else if let Some(projected) = &volume.projected {
            let path = path.field("projected");
            let sources = projected.sources.iter().flatten().enumerate();
            let sources = sources
                .map(|(index, source)| {
                    self.projection(source, containers, &path.field("sources").index(index))
                })
                .collect();
            (sources, path, projected.default_mode, projected.default_user)
        } else {
            return None;
        };
        Some(Files {
            sources,
            default_mode: self.mode(&path.field("defaultMode"), mode.unwrap_or(DEFAULT_MODE)),
            default_user: user.map_or(0, |user| self.id(&path.field("defaultUser"), user)),
        })
    }

    fn projection(&mut self, source: &k8s::VolumeProjection, containers: &[&str], path: &Path) -> FileSource {
        let given = [
            ("configMap", source.config_map.is_some()),
            ("downwardAPI", source.downward_api.is_some()),
            ("secret", source.secret.is_some()),
        ];
        self.only_one(&given, path);
        if let Some(map) = &source.config_map {
            let written = Written {
                kind: SourceKind::ConfigMap,
                name: ("name", &map.name),
                items: map.items.as_deref(),
                optional: map.optional,
            };
            self.object(&written, &path.field("configMap"))
        } else if let Some(secret) = &source.secret {
            let written = Written {
                kind: SourceKind::Secret,
                name: ("name", &secret.name),
                items: secret.items.as_deref(),
                optional: secret.optional,
            };
            self.object(&written, &path.field("secret"))
        } else if let Some(pod) = &source.downward_api {
            self.pod_files(pod.items.as_deref(), containers, &path.field("downwardAPI"))
        } else {
            self.error(path, "must specify one of: configMap, downwardAPI, secret");
            FileSource::Pod(Vec::new())
        }
    }

    /// Tells every type of volume but the first.
    pub(crate) fn only_one(&mut self, given: &[(&str, bool)], path: &Path) {
        for (field, _) in given.iter().filter(|(_, given)| *given).skip(1) {
            self.error(&path.field(field), "may not specify more than 1 volume type");
        }
    }

    fn object(&mut self, written: &Written<'_>, path: &Path) -> FileSource {
        let (field, name) = written.name;
        self.required(&path.field(field), name, names::dns_subdomain);
        let items = written.items.unwrap_or_default().iter().enumerate();
        let items = items
            .map(|(index, item)| {
                let path = path.field("items").index(index);
                self.required(&path.field("key"), &item.key, |_| None);
                KeyFile {
                    key: item.key.clone(),
                    place: self.place(&item.path, item.mode, item.user, &path),
                }
            })
            .collect();
        FileSource::Object(ObjectFiles {
            kind: written.kind,
            name: name.to_owned(),
            items,
            optional: written.optional.unwrap_or(false),
        })
    }

    fn pod_files(
        &mut self,
        items: Option<&[k8s::DownwardAPIVolumeFile]>,
        containers: &[&str],
        path: &Path,
    ) -> FileSource {
        let mut files = Vec::new();
        for (index, item) in items.unwrap_or_default().iter().enumerate() {
            let path = path.field("items").index(index);
            let value = self.pod_value(item, containers, &path);
            let place = self.place(&item.path, item.mode, item.user, &path);
            // What is wrong has been told: that it stands for another keeps the items' places.
            let value = value.unwrap_or(PodValue::Field(FieldRef::Name));
            files.push(PodFile { value, place });
        }
        FileSource::Pod(files)
    }

    fn pod_value(
        &mut self,
        item: &k8s::DownwardAPIVolumeFile,
        containers: &[&str],
        path: &Path,
    ) -> Option<PodValue> {
        match (&item.field_ref, &item.resource_field_ref) {
            (Some(_), Some(_)) => {
                let message = "fieldRef and resourceFieldRef can not be specified simultaneously";
                self.error(path, message);
                None
            }
            (None, None) => {
                self.error(path, "must specify one of: fieldRef, resourceFieldRef");
                None
            }
            (Some(field), None) => self
                .field_ref(field, &FIELDS, &path.field("fieldRef"))
                .map(PodValue::Field),
            (None, Some(resource)) => {
                let path = path.field("resourceFieldRef");
                // A volume belongs to no container that could be meant.
                if resource.container_name.as_deref().unwrap_or("").is_empty() {
                    self.error(&path.field("containerName"), "required");
                }
                self.resource_ref(resource, containers, &path)
                    .map(PodValue::Resource)
            }
        }
    }

    /// Where an item's file is, and whose.
    fn place(&mut self, text: &str, mode: Option<i32>, user: Option<i64>, path: &Path) -> Place {
        let at = path.field("path");
        self.required(&at, text, names::file_path);
        // One that is wrong is in nobody's way.
        let good = names::file_path(text).is_none();
        Place {
            path: if good { names::plain(text) } else { PathBuf::new() },
            mode: mode.map(|mode| self.mode(&path.field("mode"), mode)),
            user: user.map(|user| self.id(&path.field("user"), user)),
        }
    }

    /// Permission bits. YAML has octal numbers and JSON has not, and many a 0400 has lost its first digit.
    fn mode(&mut self, path: &Path, value: i32) -> u32 {
        let meant = u32::from_str_radix(&value.to_string(), 8).unwrap_or(u32::MAX);
        let hint = format!("{meant:#05o} in octal is {meant} in decimal").replace("0o", "0");
        match u32::try_from(value) {
            Ok(mode) if mode <= 0o777 => {
                if [400, 440, 444].contains(&mode) {
                    let message = format!("{value} in decimal is mode 0{mode:o}, and {hint}");
                    self.report.warn(path, message);
                }
                mode
            }
            _ => {
                let hint = if meant <= 0o777 {
                    format!(": {hint}")
                } else {
                    String::new()
                };
                let message = format!("must be between 0 and 0777 (octal), inclusive, not {value}{hint}");
                self.error(path, message);
                0
            }
        }
    }
}
