//! ConfigMap and Secret documents, and whether every reference to one leads somewhere.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Volume};

use super::Problem;
use super::decode::decode;
use super::document::{Node, Tree};
use super::names;
use super::report::{Path, Report, quote};
use super::scalar::Scalar;
use crate::container::{ContainerSpec, EnvValue};
use crate::files::{Fault, FileSource, Files, Plan};
use crate::pod::PodSpec;
use crate::sources::{Data, SourceKind, Sources};
use crate::volume::VolumeSource;

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
pub(crate) fn check(pod: &PodSpec, object: &Pod, sources: &Sources, report: &mut Report) {
    let spec = Path::root().field("spec");
    let plans = volumes(pod, object, sources, &spec.field("volumes"), report);
    for (list, containers) in [
        ("initContainers", &pod.init_containers),
        ("containers", &pod.containers),
    ] {
        for (index, container) in containers.iter().enumerate() {
            let path = spec.field(list).index(index);
            check_container(container, sources, &path, report);
            sub_paths(container, &plans, &path, report);
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

/// The volumes of files with what they come to, without those of which something is wrong, which is told.
fn volumes<'a>(
    pod: &'a PodSpec,
    object: &Pod,
    sources: &'a Sources,
    path: &Path,
    report: &mut Report,
) -> Vec<(&'a str, Plan<'a>)> {
    let written = object.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let mut plans = Vec::new();
    for (index, (volume, written)) in pod.volumes.iter().zip(written).enumerate() {
        let VolumeSource::Files(files) = &volume.source else {
            continue;
        };
        let plan = files.plan(sources);
        for fault in plan.faults.iter().filter(|fault| is_new(fault, files)) {
            report.error(&place(fault, files, written, &path.index(index)), &*fault.message);
        }
        if plan.faults.is_empty() {
            plans.push((volume.name.as_str(), plan));
        }
    }
    plans
}

/// Whether a fault follows from none that has been told: a name or a key that is none.
fn is_new(fault: &Fault, files: &Files) -> bool {
    match files.sources.get(fault.source) {
        Some(FileSource::Object(object)) => {
            let item = fault.item.and_then(|item| object.items.get(item));
            is_name(&object.name) && item.is_none_or(|item| !item.key.is_empty())
        }
        _ => true,
    }
}

/// Where in the document a fault is.
fn place(fault: &Fault, files: &Files, written: &Volume, volume: &Path) -> Path {
    let source = if written.projected.is_some() {
        volume.field("projected").field("sources").index(fault.source)
    } else {
        volume.clone()
    };
    let source = source.field(match files.sources.get(fault.source) {
        Some(FileSource::Object(object)) => match object.kind {
            SourceKind::ConfigMap => "configMap",
            SourceKind::Secret => "secret",
        },
        Some(FileSource::Pod(_)) | None => "downwardAPI",
    });
    match fault.item {
        Some(item) => source.field("items").index(item),
        None => source,
    }
}

/// Tells every `subPath` that leads to nothing. The kubelet makes a folder of that name, and the program finds a folder
/// where its file should be. So it is here only when something `optional` is absent, of which it may be the name.
fn sub_paths(container: &ContainerSpec, plans: &[(&str, Plan<'_>)], path: &Path, report: &mut Report) {
    for (index, mount) in container.volume_mounts.iter().enumerate() {
        let (Some(sub_path), Some((name, plan))) = (
            &mount.sub_path,
            plans.iter().find(|(name, _)| *name == mount.name),
        ) else {
            continue;
        };
        if !plan.lacks_optional && !plan.has(sub_path) {
            let (file, at) = (
                sub_path.to_string_lossy(),
                path.field("volumeMounts").index(index),
            );
            let message = format!("volume {} has no file or folder {}", quote(name), quote(&file));
            report.error(&at.field("subPath"), message);
        }
    }
}
