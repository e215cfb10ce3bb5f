//! `tenure pod list`.

use anyhow::Context as _;
use clap::Args;
use k8s_openapi::List;
use k8s_openapi::api::core::v1::Pod;
use tenure_engine::{EngineError, Observed, Store, observe};

use super::kubernetes;
use super::{JsonOutput, age};
use crate::context::Context;
use crate::exit::{Code, CommandError};
use crate::output;

/// Lists pods, ended ones that are not yet deleted too
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tenure pod list\n  tenure pod list -o json    a Kubernetes PodList")]
pub(crate) struct ListArgs {
    /// The form of the list [default: columns]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<JsonOutput>,
}

/// Lists the pods of this root, ended ones too.
///
/// # Errors
/// When the root exists and cannot be read.
pub(crate) fn execute(context: &Context, args: &ListArgs) -> Result<Code, CommandError> {
    let root = context.root()?;
    let mut pods = Vec::new();
    for name in Store::new(&root).list()? {
        match observe(&root, &name) {
            Ok(observed) => pods.push(observed),
            // Deleted between the two looks.
            Err(EngineError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match args.output {
        None => output::print(&table(&pods)),
        Some(JsonOutput::Json) => {
            let list: List<Pod> = List {
                items: pods.iter().map(kubernetes::object).collect(),
                ..List::default()
            };
            let text = serde_json::to_string_pretty(&list).context("cannot write the list as JSON")?;
            output::print(&format!("{text}\n"))
        }
    }
}

/// The columns.
fn table(pods: &[Observed]) -> String {
    let heading = ["NAME", "PHASE", "READY", "RESTARTS", "AGE"];
    let mut rows = vec![heading.map(String::from).to_vec()];
    rows.extend(pods.iter().map(|pod| {
        vec![
            pod.name.clone(),
            shown_phase(pod),
            ready(pod),
            restarts(pod).to_string(),
            pod.published
                .as_ref()
                .and_then(|published| published.origin.parse().ok())
                .map_or_else(|| "-".into(), age),
        ]
    }));
    output::table(&rows)
}

/// The phase, and whether the pod is on its way out.
pub(super) fn shown_phase(pod: &Observed) -> String {
    let phase = kubernetes::phase(pod);
    let stopping = pod.published.as_ref().is_some_and(|published| {
        published.status.stopping_since.is_some() && !published.status.phase.is_terminal()
    });
    match stopping && phase != kubernetes::UNKNOWN {
        true => format!("{phase}, stopping"),
        false => phase.into(),
    }
}

/// `ready/all` of the app containers and sidecars, as kubectl counts them.
pub(super) fn ready(pod: &Observed) -> String {
    let list = |pointer| pod.object.pointer(pointer).and_then(serde_json::Value::as_array);
    let inits = list("/spec/initContainers").into_iter().flatten();
    let declared = list("/spec/containers").map_or(0, Vec::len);
    let plain: Vec<bool> = inits
        .map(|init| init.pointer("/restartPolicy").and_then(serde_json::Value::as_str) != Some("Always"))
        .collect();
    let sidecars = plain.iter().filter(|plain| !**plain).count();
    let published = pod.published.iter();
    let containers = published.flat_map(|published| &published.status.containers);
    let counted = containers.zip(plain.iter().chain(std::iter::repeat(&false)));
    let ready = counted
        .filter(|(container, plain)| container.ready && !**plain)
        .count();
    format!("{ready}/{}", declared + sidecars)
}

/// Restarts of all containers together.
fn restarts(pod: &Observed) -> u64 {
    pod.published
        .iter()
        .flat_map(|published| &published.status.containers)
        .map(|container| u64::from(container.restart_count))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_app_containers_and_all_restarts() {
        let root = tempfile::tempdir().unwrap();
        let pods = [kubernetes::tests::observed(root.path())];
        let text = table(&pods);
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words[..4], ["web", "Running", "1/1", "1"]);
    }
}
