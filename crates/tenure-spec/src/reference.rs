//! Values that a manifest takes from elsewhere: fields of the pod, resources of a container.
//!
//! A reference is kept as it is written and resolved when a container starts, from the pod and what is [`Known`] by
//! then. Resolving is pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::container::ContainerSpec;
use crate::pod::PodSpec;
use crate::sources::Sources;

/// `fieldRef`: a field of the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldRef {
    /// `metadata.name`.
    Name,
    /// `metadata.namespace`.
    Namespace,
    /// `metadata.uid`.
    Uid,
    /// `metadata.labels`, all of them; in volumes only.
    Labels,
    /// `metadata.annotations`, all of them; in volumes only.
    Annotations,
    /// `metadata.labels['KEY']`; a label that is not there is empty.
    Label(String),
    /// `metadata.annotations['KEY']`; an annotation that is not there is empty.
    Annotation(String),
    /// `spec.nodeName`: this machine's host name.
    NodeName,
    /// `spec.serviceAccountName`, `default` unless the manifest says otherwise.
    ServiceAccountName,
    /// `status.hostIP`: this machine's first address.
    HostIp,
    /// `status.hostIPs`, separated by commas.
    HostIps,
    /// `status.podIP`: the machine's with `hostNetwork`, else the loopback's.
    PodIp,
    /// `status.podIPs`, separated by commas.
    PodIps,
}

/// `resourceFieldRef`: an amount of a container's resources, rounded up to whole divisors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceRef {
    /// `containerName`; `None` is the container that has the variable.
    pub container: Option<String>,
    /// Which resource.
    pub resource: Resource,
    /// Its limit, else its request.
    pub limit: bool,
    /// Thousandths of a processor, or bytes; at least 1.
    pub divisor: u64,
}

/// What a [`ResourceRef`] is an amount of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// `cpu`.
    Cpu,
    /// `memory`.
    Memory,
    /// `ephemeral-storage`.
    EphemeralStorage,
}

/// What can be known of the machine, as references tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// The machine's host name.
    pub name: String,
    /// Its addresses, the first one first.
    pub addresses: Vec<String>,
    /// Its processors in thousandths.
    pub cpu_millis: u64,
    /// Its memory in bytes.
    pub memory_bytes: u64,
    /// The size in bytes of the file system that holds pods.
    pub ephemeral_storage_bytes: u64,
}

/// All that references are resolved against, the pod itself excepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The machine.
    pub node: NodeFacts,
    /// ConfigMaps and Secrets.
    pub sources: Sources,
}

/// The only address in a pod's own network.
const LOOPBACK: &str = "127.0.0.1";

impl FieldRef {
    /// The field's value.
    pub fn resolve(&self, pod: &PodSpec, known: &Known) -> String {
        let addresses = || -> Vec<&str> {
            let node: Vec<&str> = known.node.addresses.iter().map(String::as_str).collect();
            if node.is_empty() { vec![LOOPBACK] } else { node }
        };
        let pod_addresses = || {
            if pod.host_network {
                addresses()
            } else {
                vec![LOOPBACK]
            }
        };
        match self {
            Self::Name => pod.name.clone(),
            Self::Namespace => pod.namespace.clone(),
            Self::Uid => pod.uid.clone(),
            Self::Labels => lines(&pod.labels),
            Self::Annotations => lines(&pod.annotations),
            Self::Label(key) => pod.labels.get(key).cloned().unwrap_or_default(),
            Self::Annotation(key) => pod.annotations.get(key).cloned().unwrap_or_default(),
            Self::NodeName => known.node.name.clone(),
            Self::ServiceAccountName => pod.service_account_name.clone(),
            Self::HostIp => addresses()[0].to_owned(),
            Self::HostIps => addresses().join(","),
            Self::PodIp => pod_addresses()[0].to_owned(),
            Self::PodIps => pod_addresses().join(","),
        }
    }
}

impl ResourceRef {
    /// The amount in whole divisors, rounded up. A limit that is not set is the pod's, else all that the machine has; a
    /// request that is not set is 0.
    pub fn resolve(&self, pod: &PodSpec, container: &ContainerSpec, known: &Known) -> String {
        let named = self.container.as_ref();
        // A valid spec names only containers that it has.
        let container = named
            .and_then(|name| pod.all_containers().find(|container| container.name == *name))
            .unwrap_or(container);
        let (own, whole, node) = (&container.resources, &pod.resources, &known.node);
        let (limit, request, all) = match self.resource {
            Resource::Cpu => (
                own.cpu_limit_millis.or(whole.cpu_limit_millis),
                own.cpu_request_millis,
                node.cpu_millis,
            ),
            Resource::Memory => (
                own.memory_limit_bytes.or(whole.memory_limit_bytes),
                own.memory_request_bytes,
                node.memory_bytes,
            ),
            Resource::EphemeralStorage => (
                None,
                own.ephemeral_storage_request_bytes,
                node.ephemeral_storage_bytes,
            ),
        };
        let amount = if self.limit {
            limit.unwrap_or(all)
        } else {
            request.unwrap_or(0)
        };
        amount.div_ceil(self.divisor.max(1)).to_string()
    }
}

/// A map as Kubernetes writes it into a file: a line `key="value"` for each, in the order of the keys.
fn lines(map: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{key}={}", quoted(value)))
        .collect();
    lines.join("\n")
}

/// A text in double quotes as Go's `%q` writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        let code = u32::from(c);
        // Writing to a string cannot fail.
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            '\u{7}' => write!(quoted, "\\a"),
            '\u{8}' => write!(quoted, "\\b"),
            '\u{c}' => write!(quoted, "\\f"),
            '\n' => write!(quoted, "\\n"),
            '\r' => write!(quoted, "\\r"),
            '\t' => write!(quoted, "\\t"),
            '\u{b}' => write!(quoted, "\\v"),
            c if is_printable(c) => write!(quoted, "{c}"),
            _ if code < 0x80 => write!(quoted, "\\x{code:02x}"),
            _ if code < 0x1_0000 => write!(quoted, "\\u{code:04x}"),
            _ => write!(quoted, "\\U{code:08x}"),
        };
    }
    quoted.push('"');
    quoted
}

/// A letter, mark, number, punctuation, symbol or the plain space. The standard library knows when it escapes; what
/// combines with the character before it escapes only at a text's beginning.
fn is_printable(c: char) -> bool {
    matches!(c, '\'' | '"' | '\\') || format!("a{c}").escape_debug().eq(['a', c])
}

#[cfg(test)]
mod tests {
    use super::{lines, quoted};

    #[test]
    fn a_map_is_lines_in_the_order_of_its_keys_without_an_end() {
        let map = [("b", "2"), ("a", "1 \"2\"\n3")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(lines(&map.into()), "a=\"1 \\\"2\\\"\\n3\"\nb=\"2\"");
        assert_eq!(lines(&[].into()), "");
    }

    #[test]
    fn texts_are_quoted_as_go_does() {
        for (text, wanted) in [
            ("", r#""""#),
            ("it's `plain`", r#""it's `plain`""#),
            ("a\\b\"c", r#""a\\b\"c""#),
            ("\u{7}\u{8}\u{c}\n\r\t\u{b}", r#""\a\b\f\n\r\t\v""#),
            ("\0\u{1b}\u{7f}", r#""\x00\x1b\x7f""#),
            ("Grün 日本 😀", r#""Grün 日本 😀""#),
            // Marks are printable, alone and after a letter.
            ("e\u{301}\u{301}", "\"e\u{301}\u{301}\""),
            ("\u{301}", "\"\u{301}\""),
            // Spaces but the plain one, controls, formats, private and unassigned characters are not.
            (
                "\u{85}\u{a0}\u{ad}\u{200c}\u{2028}\u{3000}",
                r#""\u0085\u00a0\u00ad\u200c\u2028\u3000""#,
            ),
            (
                "\u{feff}\u{e000}\u{ffff}\u{e0001}\u{10ffff}",
                r#""\ufeff\ue000\uffff\U000e0001\U0010ffff""#,
            ),
            ("\u{fffd}", "\"\u{fffd}\""),
        ] {
            assert_eq!(quoted(text), wanted, "{text:?}");
        }
    }
}
