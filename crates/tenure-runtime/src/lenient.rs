//! A second reading, where the types that configurations are read into are stricter than their specification.
//!
//! Only what the first reading refused comes here: it costs a configuration more.

use libcontainer::oci_spec::runtime::{Capability, Process, Spec};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Flags of schedulers by the specification's name, and by the name the types have for them.
const SCHEDULER_FLAGS: [(&str, &str); 2] = [
    ("SCHED_FLAG_RESET_ON_FORK", "SCHED_RESET_ON_FORK"),
    ("SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_D_L_OVERRUN"),
];

/// What a second reading came to.
pub(crate) enum Reading<T> {
    /// It is good.
    Good(T),
    /// Nothing in it is what the types are too strict about: the first reading's error stands.
    NoHelp,
    /// Something was, and this is wrong besides: the place and the reason.
    Bad(String, String),
}

/// Reads a configuration again.
pub(crate) fn spec(bytes: &[u8]) -> Reading<Spec> {
    read(bytes, |document| {
        if let Some(process) = document.get_mut("process") {
            relax_process(process);
        }
        if let Some(resources) = document.pointer_mut("/linux/resources") {
            relax_resources(resources);
        }
    })
}

/// Reads a process again.
pub(crate) fn process(bytes: &[u8]) -> Reading<Process> {
    read(bytes, relax_process)
}

fn read<T: DeserializeOwned>(bytes: &[u8], relax: impl FnOnce(&mut Value)) -> Reading<T> {
    let Ok(before) = serde_json::from_slice::<Value>(bytes) else {
        return Reading::NoHelp;
    };
    let mut document = before.clone();
    relax(&mut document);
    if document == before {
        return Reading::NoHelp;
    }
    match serde_path_to_error::deserialize(document) {
        Ok(good) => Reading::Good(good),
        Err(error) => Reading::Bad(error.path().to_string(), error.into_inner().to_string()),
    }
}

fn relax_process(process: &mut Value) {
    let sets = process.get_mut("capabilities").and_then(Value::as_object_mut);
    for (set, names) in sets.into_iter().flatten() {
        if let Some(names) = names.as_array_mut() {
            names.retain(|name| is_known_capability(set, name));
        }
    }
    let flags = process
        .pointer_mut("/scheduler/flags")
        .and_then(Value::as_array_mut);
    for flag in flags.into_iter().flatten() {
        if let Some((_, name)) = SCHEDULER_FLAGS.iter().find(|(word, _)| flag == word) {
            *flag = Value::from(*name);
        }
    }
}

/// The specification wants a capability that nobody knows to be no error. What is not even a name stays, to be
/// reported as the error it is.
fn is_known_capability(set: &str, name: &Value) -> bool {
    if !name.is_string() || serde_json::from_value::<Capability>(name.clone()).is_ok() {
        return true;
    }
    tracing::warn!(%name, set, "ignoring unknown capability");
    false
}

/// Since version 1.3 the limit is optional, and without it nothing is limited.
fn relax_resources(resources: &mut Value) {
    let Some(resources) = resources.as_object_mut() else {
        return;
    };
    let pids = resources.get("pids").and_then(Value::as_object);
    if pids.is_some_and(|p| p.get("limit").is_none_or(Value::is_null)) {
        resources.remove("pids");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_specification_allows_is_read() {
        let json = br#"{"ociVersion":"1.3.0","root":{"path":"r"},"process":{"cwd":"/","user":{},"args":["a"],
            "capabilities":{"bounding":["CAP_KILL","CAP_FROM_TOMORROW"]},
            "scheduler":{"policy":"SCHED_DEADLINE","flags":["SCHED_FLAG_RESET_ON_FORK","SCHED_FLAG_DL_OVERRUN"]}},
            "linux":{"resources":{"pids":{}}}}"#;
        let Reading::Good(spec) = spec(json) else { panic!() };
        let process = spec.process().clone().unwrap();
        let sets = process.capabilities().clone().unwrap();
        assert_eq!(sets.bounding().as_ref().unwrap().len(), 1);
        assert_eq!(
            process
                .scheduler()
                .clone()
                .unwrap()
                .flags()
                .as_ref()
                .unwrap()
                .len(),
            2
        );
        let resources = spec.linux().clone().unwrap().resources().clone().unwrap();
        assert!(resources.pids().is_none());
    }

    #[test]
    fn what_it_does_not_allow_is_named_even_beside_what_it_allows() {
        let table = [
            (r#"{"cwd":"/","capabilities":{"bounding":[7]}}"#, None),
            (
                r#"{"cwd":"/","scheduler":{"policy":"SCHED_OTHER","flags":["SCHED_FLAG_NONE"]}}"#,
                None,
            ),
            (
                r#"{"capabilities":{"bounding":["CAP_FROM_TOMORROW"]},"user":{"uid":"x"}}"#,
                Some("user.uid"),
            ),
            (r#"{"capabilities":"#, None),
        ];
        for (json, place) in table {
            match process(json.as_bytes()) {
                Reading::Good(_) => panic!("{json}"),
                Reading::NoHelp => assert_eq!(place, None, "{json}"),
                Reading::Bad(at, _) => assert_eq!(Some(at.as_str()), place, "{json}"),
            }
        }
    }
}
