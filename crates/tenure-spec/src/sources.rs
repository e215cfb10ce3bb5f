//! ConfigMaps and Secrets: what a pod's references to them are resolved against.
//!
//! They come with the command line or as documents beside the pod, and stay in memory: a [`PodSpec`](crate::PodSpec)
//! holds references only, so that what is recorded of a pod tells no secret.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use serde::{Deserialize, Serialize};

use crate::manifest::names;

/// The most bytes that one ConfigMap or Secret may hold.
const LARGEST: usize = 1024 * 1024;

/// What an object of data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret: its values are told to nobody but the container.
    Secret,
}

impl SourceKind {
    /// The option of the command line that gives one.
    fn option(self) -> &'static str {
        match self {
            Self::ConfigMap => "--config-map",
            Self::Secret => "--secret",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        })
    }
}

/// Values by key.
pub type Data = BTreeMap<String, ByteString>;

/// One ConfigMap or Secret.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Object {
    /// What variables can be taken from.
    data: Data,
    /// `binaryData` of a ConfigMap: for volumes only.
    binary: Data,
}

/// `configMapKeyRef` or `secretKeyRef`: one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRef {
    /// Of what.
    pub kind: SourceKind,
    /// The object's name.
    pub name: String,
    /// The value's key.
    pub key: String,
    /// Without the object or the key there is no variable, and that is no error.
    pub optional: bool,
}

/// One `envFrom` entry: a variable for every key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvFrom {
    /// Of what.
    pub kind: SourceKind,
    /// The object's name.
    pub name: String,
    /// Stands before every key.
    pub prefix: String,
    /// Without the object there are no variables, and that is no error.
    pub optional: bool,
}

/// Every ConfigMap and Secret that is there. Its debug form tells no value.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    config_maps: BTreeMap<String, Object>,
    secrets: BTreeMap<String, Object>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("config_maps", &self.config_maps.keys())
            .field("secrets", &self.secrets.keys())
            .finish()
    }
}

impl Sources {
    /// Adds an object. What is not text in a ConfigMap counts as its `binaryData`, as `kubectl create configmap` has it.
    ///
    /// # Errors
    /// What is wrong with its name, a key or its size, or that there is one of that name.
    pub fn insert(&mut self, kind: SourceKind, name: &str, data: Data) -> Result<(), String> {
        let is_data =
            |value: &ByteString| kind == SourceKind::Secret || std::str::from_utf8(&value.0).is_ok();
        let (data, binary) = data.into_iter().partition(|(_, value)| is_data(value));
        self.insert_object(kind, name, Object { data, binary })
    }

    /// Adds a ConfigMap of `data` and `binaryData`.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), or that a key stands in both.
    pub fn insert_config_map(&mut self, name: &str, data: Data, binary: Data) -> Result<(), String> {
        if let Some(key) = data.keys().find(|key| binary.contains_key(*key)) {
            return Err(format!("key {key:?} stands in data and in binaryData"));
        }
        self.insert_object(SourceKind::ConfigMap, name, Object { data, binary })
    }

    fn insert_object(&mut self, kind: SourceKind, name: &str, object: Object) -> Result<(), String> {
        if let Some(message) = names::dns_subdomain(name) {
            return Err(format!("the name of a {kind} {message}, not {name:?}"));
        }
        let mut size: usize = 0;
        for (key, value) in object.data.iter().chain(&object.binary) {
            if !is_key(key) {
                return Err(format!(
                    "a key of {kind} {name:?} must consist of letters, digits, '-', '_' and '.', not {key:?}"
                ));
            }
            size = size.saturating_add(key.len()).saturating_add(value.0.len());
        }
        if size > LARGEST {
            return Err(format!("{kind} {name:?} is larger than 1 MiB"));
        }
        let all = match kind {
            SourceKind::ConfigMap => &mut self.config_maps,
            SourceKind::Secret => &mut self.secrets,
        };
        if all.contains_key(name) {
            return Err(format!("{kind} {name:?} is given twice"));
        }
        all.insert(name.to_owned(), object);
        Ok(())
    }

    /// An object; `None` when it is absent and may be.
    fn required(&self, kind: SourceKind, name: &str, optional: bool) -> Result<Option<&Object>, String> {
        let all = match kind {
            SourceKind::ConfigMap => &self.config_maps,
            SourceKind::Secret => &self.secrets,
        };
        match all.get(name) {
            None if !optional => Err(format!(
                "{kind} {name:?} not found: give it with {} {name}=PATH or as a document of the manifest",
                kind.option()
            )),
            found => Ok(found),
        }
    }

    /// All that a volume holds of an object, by key; `None` when it is absent and may be.
    ///
    /// # Errors
    /// That it is absent.
    pub fn files(
        &self,
        kind: SourceKind,
        name: &str,
        optional: bool,
    ) -> Result<Option<BTreeMap<&str, &[u8]>>, String> {
        let object = self.required(kind, name, optional)?;
        Ok(object.map(|object| {
            let all = object.data.iter().chain(&object.binary);
            all.map(|(key, value)| (key.as_str(), value.0.as_slice()))
                .collect()
        }))
    }

    /// The value of a key; `None` when it is absent and may be. As in Kubernetes, variables are not taken from a
    /// ConfigMap's `binaryData`.
    ///
    /// # Errors
    /// That it is absent, or cannot be a variable's value: the object and the key are named.
    pub fn value(&self, wanted: &KeyRef) -> Result<Option<&str>, String> {
        let KeyRef { kind, name, key, .. } = wanted;
        let Some(object) = self.required(*kind, name, wanted.optional)? else {
            return Ok(None);
        };
        match object.data.get(key) {
            None if wanted.optional => Ok(None),
            None if object.binary.contains_key(key) => Err(format!(
                "key {key:?} of {kind} {name:?} is binaryData, of which variables are not made"
            )),
            None => Err(format!("key {key:?} not found in {kind} {name:?}")),
            Some(value) => text(value)
                .map(Some)
                .ok_or_else(|| format!("key {key:?} of {kind} {name:?} is not text")),
        }
    }

    /// The variables of an object in the order of their keys; none of a ConfigMap's `binaryData`.
    ///
    /// # Errors
    /// That the object is absent, or that a value cannot be a variable's.
    pub fn variables(&self, wanted: &EnvFrom) -> Result<Vec<(String, &str)>, String> {
        let EnvFrom {
            kind, name, prefix, ..
        } = wanted;
        let object = self.required(*kind, name, wanted.optional)?;
        let data = object.into_iter().flat_map(|object| &object.data);
        data.map(|(key, value)| match text(value) {
            Some(text) => Ok((format!("{prefix}{key}"), text)),
            None => Err(format!("key {key:?} of {kind} {name:?} is not text")),
        })
        .collect()
    }
}

/// Whether a text can be a key: also a file's name that cannot lead anywhere else.
fn is_key(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(plain) && text != "." && !text.starts_with("..")
}

/// A value as a variable can have it.
fn text(value: &ByteString) -> Option<&str> {
    std::str::from_utf8(&value.0)
        .ok()
        .filter(|text| !text.contains('\0'))
}
