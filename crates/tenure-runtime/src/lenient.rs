//! A second reading, where the types that configurations are read into are stricter than their specification.
//!
//! Only what the first reading refused comes here: it costs a configuration more.

use libcontainer::oci_spec::runtime::{Capability, Process, Spec};
use serde_json::Value;

/// Flags of schedulers by the specification's name, and by the name the types have for them.
const SCHEDULER_FLAGS: [(&str, &str); 2] = [
    ("SCHED_FLAG_RESET_ON_FORK", "SCHED_RESET_ON_FORK"),
    ("SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_D_L_OVERRUN"),
];

/// Reads a configuration, if it is one.
pub(crate) fn spec(bytes: &[u8]) -> Option<Spec> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    if let Some(process) = value.get_mut("process") {
        relax_process(process);
    }
    if let Some(resources) = value.pointer_mut("/linux/resources") {
        relax_resources(resources);
    }
    serde_json::from_value(value).ok()
}

/// Reads a process, if it is one.
pub(crate) fn process(bytes: &[u8]) -> Option<Process> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    relax_process(&mut value);
    serde_json::from_value(value).ok()
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
        let spec = spec(json).unwrap();
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
    fn what_it_does_not_allow_is_not() {
        for process in [
            r#"{"cwd":"/","capabilities":{"bounding":[7]}}"#,
            r#"{"cwd":"/","scheduler":{"policy":"SCHED_OTHER","flags":["SCHED_FLAG_NONE"]}}"#,
            r#"{"capabilities":{"bounding":["CAP_FROM_TOMORROW"]}}"#,
        ] {
            assert!(super::process(process.as_bytes()).is_none(), "{process}");
        }
    }
}
