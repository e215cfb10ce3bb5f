//! `update`: new limits for a container that exists.

use libcontainer::oci_spec::runtime::{LinuxResources, Spec};
use serde_json::Value;

use crate::status::judge;
use crate::store::Entry;
use crate::{Error, Status, cgroup, config};

/// Reads the `resources` of an update, as callers pass them on standard input.
///
/// Unknown properties are ignored, as in a configuration.
///
/// # Errors
/// `InvalidResources`, naming the JSON path.
pub fn parse_resources(bytes: &[u8]) -> Result<LinuxResources, Error> {
    // A list would be taken for the fields in their order.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Error::InvalidResources {
            at: ".".to_owned(),
            reason: "is a list and no object".to_owned(),
        });
    }
    let deserializer = &mut serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let at = error.path().to_string();
        Error::resources(&at, &error.into_inner().to_string())
    })
}

/// Applies `wanted` to the container and to the configuration that is kept of it.
pub(crate) fn update(entry: &Entry, wanted: &LinuxResources) -> Result<(), Error> {
    let record = entry.load()?;
    let status = judge(entry, &record).status;
    if !matches!(status, Status::Created | Status::Running | Status::Paused) {
        return Err(Error::NotRunning {
            id: entry.id.to_string(),
            status,
        });
    }
    let _lock = entry.lock_config()?;
    let bytes = entry.load_config()?;
    let spec = config::parse(&entry.config_path(), &bytes)?;
    let change = complete(wanted, kept(&spec));
    cgroup::validate(&change).map_err(|(at, reason)| Error::resources(&at, &reason))?;
    let broken = |error: serde_json::Error| Error::BrokenRecord {
        id: entry.id.to_string(),
        path: entry.config_path(),
        reason: error.to_string(),
    };
    let mut document: Value = serde_json::from_slice(&bytes).map_err(broken)?;
    if let Some(linux) = document.get_mut("linux").and_then(Value::as_object_mut) {
        let resources = linux.entry("resources").or_insert(Value::Null);
        merge(resources, serde_json::to_value(&change).map_err(broken)?);
    }
    let bytes = serde_json::to_vec(&document).map_err(broken)?;
    entry.replace_config(&bytes, || record.cgroups.update(&change, kept(&spec)))
}

/// The limits that the container has by its configuration.
fn kept(spec: &Spec) -> Option<&LinuxResources> {
    spec.linux().as_ref()?.resources().as_ref()
}

/// What of `wanted` is to be changed, with what the kernel needs besides taken from what the container has.
fn complete(wanted: &LinuxResources, kept: Option<&LinuxResources>) -> LinuxResources {
    let mut change = wanted.clone();
    change.set_devices(None).set_network(None);
    if change.pids().is_some_and(|pids| pids.limit() == 0) {
        change.set_pids(None);
    }
    if let Some(mut cpu) = change.cpu().clone() {
        let old = kept.and_then(|k| k.cpu().as_ref());
        let is_set = |quota: Option<i64>| quota.is_some_and(|q| q != 0);
        let has_period = cpu.period().is_some_and(|p| p != 0);
        // One file of a v2 cgroup holds both.
        if is_set(cpu.quota()) && !has_period {
            cpu.set_period(old.and_then(|o| o.period()));
        } else if has_period && !is_set(cpu.quota()) {
            cpu.set_quota(old.and_then(|o| o.quota()));
        }
        change.set_cpu(Some(cpu));
    }
    if let Some(mut memory) = *change.memory() {
        let has_limit = memory.limit().is_some_and(|l| l != 0);
        if !has_limit && memory.swap().is_some_and(|s| s > 0) {
            // The swap alone of a v2 cgroup is the difference.
            let old = kept.and_then(|k| k.memory().as_ref());
            memory.set_limit(old.and_then(|o| o.limit()));
        }
        change.set_memory(Some(memory));
    }
    change
}

/// Lays the values of `change` over a document, leaving out nulls and zeros that mean "leave it".
fn merge(document: &mut Value, change: Value) {
    match change {
        Value::Null => {}
        Value::Object(change) => {
            if !document.is_object() {
                *document = Value::Object(serde_json::Map::new());
            }
            for (key, value) in change {
                let unset = value == 0 && !matches!(key.as_str(), "idle" | "burst" | "swappiness");
                if let (Some(fields), false) = (document.as_object_mut(), unset || value.is_null()) {
                    merge(fields.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        other => *document = other,
    }
}

/// An update of a container that has all limits: what is kept can be read again. Tells whether it is accepted.
#[cfg(feature = "fuzz")]
#[allow(clippy::expect_used)] // To panic is how it speaks.
pub(crate) fn fuzz_update(bytes: &[u8]) -> bool {
    let wanted = match parse_resources(bytes) {
        Ok(wanted) => wanted,
        Err(error) => {
            assert!(!error.to_string().chars().any(char::is_control), "{error}");
            return false;
        }
    };
    let kept = r#"{"memory":{"limit":1048576,"swap":2097152},"cpu":{"quota":1000,"period":20000,"cpus":"0"},
        "pids":{"limit":5}}"#;
    let mut document: Value = serde_json::from_str(kept).expect("JSON");
    let kept: LinuxResources = serde_json::from_str(kept).expect("resources");
    for change in [complete(&wanted, None), complete(&wanted, Some(&kept))] {
        if cgroup::validate(&change).is_err() {
            return false;
        }
        cgroup::fuzz_limits(&change);
        merge(&mut document, serde_json::to_value(&change).expect("a value"));
        serde_json::from_value::<LinuxResources>(document.clone()).expect("resources that can be read again");
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(text: &str) -> LinuxResources {
        parse_resources(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_depends_on_an_old_value_is_completed_from_it() {
        let kept = resources(r#"{"cpu":{"period":50000,"quota":20000},"memory":{"limit":1000}}"#);
        let change = complete(
            &resources(r#"{"cpu":{"quota":30000},"memory":{"swap":3000}}"#),
            Some(&kept),
        );
        assert_eq!(
            change,
            resources(r#"{"cpu":{"quota":30000,"period":50000},"memory":{"swap":3000,"limit":1000}}"#)
        );
        let change = complete(&resources(r#"{"cpu":{"period":10000}}"#), Some(&kept));
        assert_eq!(change.cpu().as_ref().unwrap().quota(), Some(20000));
    }

    #[test]
    fn devices_and_zero_pids_are_no_part_of_an_update() {
        let wanted = resources(r#"{"devices":[{"allow":true,"access":"rwm"}],"pids":{"limit":0}}"#);
        assert_eq!(complete(&wanted, None), LinuxResources::default());
    }

    #[test]
    fn the_kept_configuration_changes_where_the_update_says_and_nowhere_else() {
        let mut document =
            serde_json::json!({"memory": {"limit": 1, "x": 2}, "unified": {"a.b": "1"}, "own": 7});
        let change = resources(r#"{"memory":{"limit":5,"swap":0},"cpu":{"idle":0},"unified":{"c.d":"2"}}"#);
        merge(&mut document, serde_json::to_value(&change).unwrap());
        assert_eq!(
            document,
            serde_json::json!({"memory": {"limit": 5, "x": 2}, "cpu": {"idle": 0},
                "unified": {"a.b": "1", "c.d": "2"}, "own": 7})
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_named_by_its_path() {
        for (text, place) in [
            (r#"{"memory":{"limit":"x"}}"#, "memory.limit"),
            (r#"{"cpu":7}"#, "cpu"),
            ("", "."),
            (" []", "."),
        ] {
            match parse_resources(text.as_bytes()) {
                Err(Error::InvalidResources { at, .. }) => assert_eq!(at, place),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
