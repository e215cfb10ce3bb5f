//! ConfigMap and Secret documents, and whether every reference to one leads somewhere.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use super::Problem;
use super::decode::decode;
use super::document::{Node, Tree};
use super::names;
use super::report::{Path, Report};
use super::scalar::Scalar;
use crate::container::{ContainerSpec, EnvValue};
use crate::pod::PodSpec;
use crate::sources::{Data, SourceKind, Sources};

/// What a document beside the pod is, if it is one of data.
pub(crate) fn kind(document: &Node) -> Option<SourceKind> {
    match document.get("kind").map(|node| &node.tree) {
        Some(Tree::Scalar(Scalar::Str { text, .. })) if text == "ConfigMap" => Some(SourceKind::ConfigMap),
        Some(Tree::Scalar(Scalar::Str { text, .. })) if text == "Secret" => Some(SourceKind::Secret),
        _ => None,
    }
}

/// Adds a document's object to the sources; tells what is wrong with it.
pub(crate) fn add(document: &Node, kind: SourceKind, file: &str, sources: &mut Sources) -> Vec<Problem> {
    let (root, mut report) = (Path::root(), Report::default());
    let version = document.get("apiVersion").map(|node| &node.tree);
    if !matches!(version, Some(Tree::Scalar(Scalar::Str { text, .. })) if text == "v1") {
        report.error(&root.field("apiVersion"), "must be v1");
    }
    let added = match kind {
        SourceKind::ConfigMap => decode::<ConfigMap>(document, &root, &mut report).map(|map| {
            let name = map.metadata.name.unwrap_or_default();
            let data = as_data(map.data.unwrap_or_default());
            sources.insert_config_map(&name, data, map.binary_data.unwrap_or_default())
        }),
        SourceKind::Secret => decode::<Secret>(document, &root, &mut report).map(|secret| {
            let mut data = secret.data.unwrap_or_default();
            // As in Kubernetes, stringData wins.
            data.extend(as_data(secret.string_data.unwrap_or_default()));
            sources.insert(kind, &secret.metadata.name.unwrap_or_default(), data)
        }),
    };
    if let Some(Err(message)) = added {
        report.error(&root, message);
    }
    report.finish(file, document).0
}

fn as_data(text: std::collections::BTreeMap<String, String>) -> Data {
    let bytes = |(key, value): (String, String)| (key, ByteString(value.into_bytes()));
    text.into_iter().map(bytes).collect()
}

/// Tells every reference that leads nowhere.
pub(crate) fn check(pod: &PodSpec, sources: &Sources, report: &mut Report) {
    let spec = Path::root().field("spec");
    for (list, containers) in [
        ("initContainers", &pod.init_containers),
        ("containers", &pod.containers),
    ] {
        for (index, container) in containers.iter().enumerate() {
            check_container(container, sources, &spec.field(list).index(index), report);
        }
    }
}

/// Whether it can be the name of an object; if not, that has been told.
fn is_name(text: &str) -> bool {
    names::dns_subdomain(text).is_none()
}

fn check_container(container: &ContainerSpec, sources: &Sources, path: &Path, report: &mut Report) {
    for (index, wanted) in container.env_from.iter().enumerate() {
        if is_name(&wanted.name)
            && let Err(message) = sources.variables(wanted)
        {
            report.error(&path.field("envFrom").index(index), message);
        }
    }
    for (index, variable) in container.env.iter().enumerate() {
        if let EnvValue::Key(wanted) = &variable.value
            && is_name(&wanted.name)
            && !wanted.key.is_empty()
            && let Err(message) = sources.value(wanted)
        {
            report.error(&path.field("env").index(index).field("valueFrom"), message);
        }
    }
}
