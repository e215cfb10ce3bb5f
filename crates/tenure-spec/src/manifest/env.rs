//! `env`: literal values, and values from elsewhere.

use k8s_openapi::api::core::v1 as k8s;

use super::check::Check;
use super::container::PodFacts;
use super::names;
use super::report::{Path, quote};
use crate::container::{EnvValue, EnvVar};
use crate::quantity::Quantity;
use crate::reference::{FieldRef, Resource, ResourceRef};
use crate::sources::{EnvFrom, KeyRef, SourceKind};

/// The fields that a variable can be taken from.
const FIELDS: [(&str, FieldRef); 9] = [
    ("metadata.name", FieldRef::Name),
    ("metadata.namespace", FieldRef::Namespace),
    ("metadata.uid", FieldRef::Uid),
    ("spec.nodeName", FieldRef::NodeName),
    ("spec.serviceAccountName", FieldRef::ServiceAccountName),
    ("status.hostIP", FieldRef::HostIp),
    ("status.hostIPs", FieldRef::HostIps),
    ("status.podIP", FieldRef::PodIp),
    ("status.podIPs", FieldRef::PodIps),
];

const RESOURCES: [(&str, (Resource, bool)); 6] = [
    ("limits.cpu", (Resource::Cpu, true)),
    ("limits.memory", (Resource::Memory, true)),
    ("limits.ephemeral-storage", (Resource::EphemeralStorage, true)),
    ("requests.cpu", (Resource::Cpu, false)),
    ("requests.memory", (Resource::Memory, false)),
    ("requests.ephemeral-storage", (Resource::EphemeralStorage, false)),
];

const CPU_DIVISORS: &[&str] = &["1m", "1"];
const BYTE_DIVISORS: &[&str] = &[
    "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
];

impl Check<'_> {
    /// Checks `env` of a container.
    pub(crate) fn env(&mut self, env: &[k8s::EnvVar], pod: &PodFacts<'_>, path: &Path) -> Vec<EnvVar> {
        let mut checked = Vec::new();
        for (index, var) in env.iter().enumerate() {
            let path = path.index(index);
            self.required(&path.field("name"), &var.name, names::env_name);
            let literal = var.value.clone().unwrap_or_default();
            let at = path.field("valueFrom");
            let value = match &var.value_from {
                None => Some(EnvValue::Literal(literal)),
                Some(_) if !literal.is_empty() => {
                    self.error(&at, "may not be specified when `value` is not empty");
                    None
                }
                Some(source) => self.env_source(source, pod, &at),
            };
            checked.push(EnvVar {
                name: var.name.clone(),
                value: value.unwrap_or_else(|| EnvValue::Literal(String::new())),
            });
        }
        checked
    }

    fn env_source(
        &mut self,
        source: &k8s::EnvVarSource,
        pod: &PodFacts<'_>,
        path: &Path,
    ) -> Option<EnvValue> {
        let given = [
            source.field_ref.is_some(),
            source.resource_field_ref.is_some(),
            source.config_map_key_ref.is_some(),
            source.secret_key_ref.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() > 1 {
            self.error(path, "may not have more than one field specified at a time");
            return None;
        }
        if let Some(field) = &source.field_ref {
            let field = self.field_ref(field, &FIELDS, &path.field("fieldRef"))?;
            return Some(EnvValue::Field(field));
        }
        if let Some(resource) = &source.resource_field_ref {
            let resource = self.resource_ref(resource, &pod.containers, &path.field("resourceFieldRef"))?;
            return Some(EnvValue::Resource(resource));
        }
        if let Some(wanted) = &source.config_map_key_ref {
            let key = key_ref(SourceKind::ConfigMap, &wanted.name, &wanted.key, wanted.optional);
            return self.key(key, &path.field("configMapKeyRef"));
        }
        if let Some(wanted) = &source.secret_key_ref {
            let key = key_ref(SourceKind::Secret, &wanted.name, &wanted.key, wanted.optional);
            return self.key(key, &path.field("secretKeyRef"));
        }
        let message = "must specify one of: fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef";
        self.error(path, message);
        None
    }

    fn key(&mut self, key: KeyRef, path: &Path) -> Option<EnvValue> {
        self.required(&path.field("name"), &key.name, names::dns_subdomain);
        self.required(&path.field("key"), &key.key, |_| None);
        Some(EnvValue::Key(key))
    }

    /// Checks `envFrom` of a container.
    pub(crate) fn env_from(&mut self, sources: &[k8s::EnvFromSource], path: &Path) -> Vec<EnvFrom> {
        let mut checked = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            let path = path.index(index);
            let prefix = source.prefix.clone().unwrap_or_default();
            if !prefix.is_empty() {
                self.rule(&path.field("prefix"), &prefix, names::env_name);
            }
            let config_map = source.config_map_ref.as_ref();
            let config_map =
                config_map.map(|it| (SourceKind::ConfigMap, "configMapRef", &it.name, it.optional));
            let secret = source.secret_ref.as_ref();
            let secret = secret.map(|it| (SourceKind::Secret, "secretRef", &it.name, it.optional));
            let (kind, field, name, optional) = match (config_map, secret) {
                (Some(_), Some(_)) => {
                    self.error(&path, "may not have more than one field specified at a time");
                    continue;
                }
                (None, None) => {
                    self.error(&path, "must specify one of: configMapRef, secretRef");
                    continue;
                }
                (Some(one), None) | (None, Some(one)) => one,
            };
            let at = path.field(field).field("name");
            self.required(&at, name, names::dns_subdomain);
            checked.push(EnvFrom {
                kind,
                name: name.clone(),
                prefix,
                optional: optional.unwrap_or(false),
            });
        }
        checked
    }

    /// Checks a `fieldRef` to one of some fields; `None` when it is wrong, which is told.
    pub(crate) fn field_ref(
        &mut self,
        field: &k8s::ObjectFieldSelector,
        fields: &[(&str, FieldRef)],
        path: &Path,
    ) -> Option<FieldRef> {
        if let Some(version) = field.api_version.as_ref().filter(|version| !version.is_empty())
            && version != "v1"
        {
            let message = format!("must be v1, not {}", quote(version));
            self.error(&path.field("apiVersion"), message);
        }
        let (text, at) = (&field.field_path, path.field("fieldPath"));
        if text.is_empty() {
            self.error(&at, "required");
            return None;
        }
        let subscript = text
            .strip_suffix("']")
            .and_then(|rest| rest.split_once("['"))
            .filter(|(map, _)| !map.is_empty());
        if let Some((map, key)) = subscript {
            let found = match map {
                "metadata.labels" => FieldRef::Label(key.to_owned()),
                "metadata.annotations" => FieldRef::Annotation(key.to_owned()),
                _ => {
                    self.error(&at, format!("does not support a subscript: {}", quote(text)));
                    return None;
                }
            };
            self.rule(&at, &key.to_ascii_lowercase(), names::qualified_name);
            return Some(found);
        }
        let found = fields.iter().find(|(name, _)| name == text);
        if found.is_none() {
            let known: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            self.error(
                &at,
                format!(
                    "must be one of {}, metadata.labels['KEY'], metadata.annotations['KEY'], not {}",
                    known.join(", "),
                    quote(text)
                ),
            );
        }
        found.map(|(_, field)| field.clone())
    }

    /// Checks a `resourceFieldRef`; `None` when it is wrong, which is told.
    pub(crate) fn resource_ref(
        &mut self,
        field: &k8s::ResourceFieldSelector,
        containers: &[&str],
        path: &Path,
    ) -> Option<ResourceRef> {
        let container = field.container_name.clone().filter(|name| !name.is_empty());
        if let Some(name) = &container
            && !containers.contains(&name.as_str())
        {
            let message = format!("no container is named {}", quote(name));
            self.error(&path.field("containerName"), message);
        }
        let at = path.field("resource");
        if field.resource.is_empty() {
            self.error(&at, "required");
            return None;
        }
        let (resource, limit) = self.word(&at, Some(&field.resource), &RESOURCES)?;
        let divisor = field.divisor.as_ref().map_or("0", |divisor| divisor.0.as_str());
        let divisor = self.divisor(divisor, resource, &path.field("divisor"))?;
        Some(ResourceRef {
            container,
            resource,
            limit,
            divisor,
        })
    }

    /// A divisor in thousandths of a processor or in bytes; 0 stands for 1.
    fn divisor(&mut self, written: &str, resource: Resource, path: &Path) -> Option<u64> {
        let allowed = match resource {
            Resource::Cpu => CPU_DIVISORS,
            Resource::Memory | Resource::EphemeralStorage => BYTE_DIVISORS,
        };
        let amount = |text: &str| {
            let quantity = text.parse::<Quantity>().ok()?;
            match resource {
                Resource::Cpu => quantity.millis(),
                Resource::Memory | Resource::EphemeralStorage => quantity.units(),
            }
        };
        let quantity = written.parse::<Quantity>().ok();
        if quantity.is_some_and(|quantity| quantity.units() == Some(0)) {
            return amount("1");
        }
        let known = allowed
            .iter()
            .any(|text| text.parse::<Quantity>().ok() == quantity);
        if !known {
            let message = format!("must be one of {}, not {}", allowed.join(", "), quote(written));
            self.error(path, message);
            return None;
        }
        amount(written)
    }
}

fn key_ref(kind: SourceKind, name: &str, key: &str, optional: Option<bool>) -> KeyRef {
    KeyRef {
        kind,
        name: name.to_owned(),
        key: key.to_owned(),
        optional: optional.unwrap_or(false),
    }
}
