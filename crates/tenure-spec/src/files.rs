//! The files of `configMap`, `secret`, `downwardAPI` and `projected` volumes: which there are, and what is in them.
//!
//! A volume holds references only. What they lead to is told by [`Files::plan`], which needs the ConfigMaps and
//! Secrets, and [`File::content`], which needs the pod as well.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::pod::PodSpec;
use crate::reference::{FieldRef, Known, ResourceRef};
use crate::sources::{SourceKind, Sources};

/// A volume of files that are made from data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// Where they come from, in order.
    pub sources: Vec<FileSource>,
    /// `defaultMode`: of files that have none of their own.
    pub default_mode: u32,
    /// `defaultUser`: the owner of files that have none of their own.
    pub default_user: u32,
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileSource {
    /// `configMap` or `secret`.
    Object(ObjectFiles),
    /// `downwardAPI`.
    Pod(Vec<PodFile>),
}

/// The files of a ConfigMap or Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectFiles {
    /// Which of both.
    pub kind: SourceKind,
    /// The object's name.
    pub name: String,
    /// `items`; without any, every key is a file.
    pub items: Vec<KeyFile>,
    /// Without the object or a key there are no files of it, and that is no error.
    pub optional: bool,
}

/// A key of an object as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFile {
    /// Of the object.
    pub key: String,
    /// Where the value goes.
    pub place: Place,
}

/// A value of the pod as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodFile {
    /// What is in it.
    pub value: PodValue,
    /// Where it goes.
    pub place: Place,
}

/// A value of the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodValue {
    /// `fieldRef`.
    Field(FieldRef),
    /// `resourceFieldRef`, which names its container.
    Resource(ResourceRef),
}

/// Where a file is, and whose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Below the volume's root: relative, plain, not beginning with `..`.
    pub path: PathBuf,
    /// Permission bits, at most 0777.
    pub mode: Option<u32>,
    /// The owner.
    pub user: Option<u32>,
}

/// One file of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File<'a> {
    /// Below the volume's root.
    pub path: &'a Path,
    /// Permission bits.
    pub mode: u32,
    /// The owner.
    pub user: u32,
    /// The source and its item.
    at: (usize, Option<usize>),
    /// What is in it.
    origin: Origin<'a>,
}

#[derive(Clone, PartialEq, Eq)]
enum Origin<'a> {
    Key {
        kind: SourceKind,
        name: &'a str,
        key: &'a str,
        bytes: &'a [u8],
    },
    Pod(&'a PodValue),
}

/// Tells no value: it may be a Secret's.
impl fmt::Debug for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { kind, name, key, .. } => write!(f, "key {key:?} of {kind} {name:?}"),
            Self::Pod(_) => f.write_str("downwardAPI"),
        }
    }
}

/// What a volume comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan<'a> {
    /// Its files in the order of their paths. No two are at one path, nor one in the place of another's folder, unless
    /// there is a fault.
    pub files: Vec<File<'a>>,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// Something that is `optional` is absent.
    pub lacks_optional: bool,
}

/// Something wrong with a volume's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The source's place in [`Files::sources`].
    pub source: usize,
    /// The item's place in the source, when it has items.
    pub item: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl Files {
    /// The files that there are to be.
    pub fn plan<'a>(&'a self, sources: &'a Sources) -> Plan<'a> {
        let mut plan = Plan::default();
        for (index, source) in self.sources.iter().enumerate() {
            match source {
                FileSource::Object(object) => self.object(index, object, sources, &mut plan),
                FileSource::Pod(items) => {
                    let items = items.iter().enumerate();
                    plan.files.extend(items.map(|(item, file)| {
                        self.file((index, Some(item)), &file.place, Origin::Pod(&file.value))
                    }));
                }
            }
        }
        plan.settle();
        plan
    }

    fn object<'a>(&self, source: usize, object: &'a ObjectFiles, sources: &'a Sources, plan: &mut Plan<'a>) {
        let ObjectFiles {
            kind, name, items, ..
        } = object;
        let kind = *kind;
        let fault = |item, message| Fault {
            source,
            item,
            message,
        };
        let data = match sources.files(kind, name, object.optional) {
            Ok(Some(data)) => data,
            Ok(None) => {
                plan.lacks_optional = true;
                return;
            }
            Err(message) => {
                plan.faults.push(fault(None, message));
                return;
            }
        };
        let origin = |key, bytes| Origin::Key {
            kind,
            name,
            key,
            bytes,
        };
        if items.is_empty() {
            plan.files.extend(data.iter().map(|(&key, &bytes)| File {
                path: Path::new(key),
                mode: self.default_mode,
                user: self.default_user,
                at: (source, None),
                origin: origin(key, bytes),
            }));
        }
        for (index, item) in items.iter().enumerate() {
            let at = Some(index);
            match data.get(item.key.as_str()) {
                Some(bytes) => {
                    let origin = origin(&item.key, bytes);
                    plan.files.push(self.file((source, at), &item.place, origin));
                }
                None if object.optional => plan.lacks_optional = true,
                None => {
                    let message = format!("key {:?} not found in {kind} {name:?}", item.key);
                    plan.faults.push(fault(at, message));
                }
            }
        }
    }

    fn file<'a>(&self, at: (usize, Option<usize>), place: &'a Place, origin: Origin<'a>) -> File<'a> {
        File {
            path: &place.path,
            mode: place.mode.unwrap_or(self.default_mode),
            user: place.user.unwrap_or(self.default_user),
            at,
            origin,
        }
    }
}

impl Plan<'_> {
    /// Puts the files in order and finds those that are in each other's way. The kubelet takes the last of two at one
    /// path without a word, and never gets a pod started in which one is in the place of another's folder.
    fn settle(&mut self) {
        self.files.sort_by(|a, b| a.path.cmp(b.path));
        // In this order, what is at or below a file's path comes right after it.
        for (one, other) in self.files.iter().zip(self.files.iter().skip(1)) {
            if one.path.as_os_str().is_empty() || !other.path.starts_with(one.path) {
                continue;
            }
            let (path, at) = (one.path.display().to_string(), one.at.max(other.at));
            let message = if one.path == other.path {
                format!(
                    "{path:?} is written twice, by {} and by {}",
                    one.origin, other.origin
                )
            } else {
                let below = other.path.display().to_string();
                format!(
                    "{path:?}, a file of {}, cannot be a folder for {below:?} of {}",
                    one.origin, other.origin
                )
            };
            self.faults.push(Fault {
                source: at.0,
                item: at.1,
                message,
            });
        }
    }

    /// Whether a file or folder is at a path.
    pub fn has(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file.path.starts_with(path))
    }
}

impl File<'_> {
    /// What is in it.
    pub fn content(&self, pod: &PodSpec, known: &Known) -> Cow<'_, [u8]> {
        let text = match &self.origin {
            Origin::Key { bytes, .. } => return Cow::Borrowed(bytes),
            Origin::Pod(PodValue::Field(field)) => field.resolve(pod, known),
            Origin::Pod(PodValue::Resource(resource)) => {
                // A valid spec names a container that it has.
                let named = |name: &str| resource.container.as_deref() == Some(name);
                let container = pod.all_containers().find(|container| named(&container.name));
                container.map_or_else(String::new, |container| resource.resolve(pod, container, known))
            }
        };
        Cow::Owned(text.into_bytes())
    }
}
