//! A seccomp profile in the form of Docker and podman, as the section of config.json that they make of it.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    arch_map: Vec<Architectures>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Architectures {
    architecture: String,
    #[serde(default)]
    sub_architectures: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<String>,
    action: String,
    args: Option<Vec<Value>>,
    errno_ret: Option<u32>,
    #[serde(default)]
    includes: Condition,
    #[serde(default)]
    excludes: Condition,
}

/// When a rule holds. What it says of kernels is met by every kernel of today.
#[derive(Default, Deserialize)]
struct Condition {
    #[serde(default)]
    arches: Vec<String>,
    #[serde(default)]
    caps: Vec<String>,
}

/// This machine, in the words of the OCI specification and of Go.
const ARCHITECTURE: (&str, &str) = if cfg!(target_arch = "aarch64") {
    ("SCMP_ARCH_AARCH64", "arm64")
} else {
    ("SCMP_ARCH_X86_64", "amd64")
};

/// Reads a profile and makes the section for a container with these capabilities.
pub(crate) fn section(file: &Path, capabilities: &[&str]) -> Result<Value> {
    let text = std::fs::read(file).with_context(|| file.display().to_string())?;
    let profile: Profile = serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
    let architectures: Vec<&String> = profile
        .arch_map
        .iter()
        .filter(|entry| entry.architecture == ARCHITECTURE.0)
        .flat_map(|entry| std::iter::once(&entry.architecture).chain(&entry.sub_architectures))
        .collect();
    let rules = profile.syscalls.iter().filter(|rule| holds(rule, capabilities));
    let mut section = json!({
        "defaultAction": profile.default_action,
        "architectures": architectures,
        "syscalls": rules.map(written).collect::<Vec<Value>>(),
    });
    if let Some(errno) = profile.default_errno_ret {
        section["defaultErrnoRet"] = errno.into();
    }
    Ok(section)
}

fn holds(rule: &Rule, capabilities: &[&str]) -> bool {
    let granted = |capability: &String| capabilities.contains(&capability.as_str());
    let here = |architecture: &String| architecture == ARCHITECTURE.1;
    (rule.includes.arches.is_empty() || rule.includes.arches.iter().any(here))
        && rule.includes.caps.iter().all(granted)
        && !rule.excludes.arches.iter().any(here)
        && !rule.excludes.caps.iter().any(granted)
}

fn written(rule: &Rule) -> Value {
    let mut written = Map::new();
    written.insert("names".to_owned(), json!(rule.names));
    written.insert("action".to_owned(), json!(rule.action));
    if let Some(args) = rule.args.as_ref().filter(|args| !args.is_empty()) {
        written.insert("args".to_owned(), json!(args));
    }
    if let Some(errno) = rule.errno_ret {
        written.insert("errnoRet".to_owned(), errno.into());
    }
    written.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_hold_for_the_architecture_and_the_capabilities_they_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let rule = |name: &str, conditions: Value| {
            let mut rule = json!({"names": [name], "action": "SCMP_ACT_ALLOW", "args": []});
            rule.as_object_mut()
                .unwrap()
                .extend(conditions.as_object().unwrap().clone());
            rule
        };
        let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
            rule("always", json!({})),
            rule("here", json!({"includes": {"arches": [ARCHITECTURE.1]}})),
            rule("elsewhere", json!({"includes": {"arches": ["s390x"]}})),
            rule("killers", json!({"includes": {"caps": ["CAP_KILL"]}})),
            rule("admins", json!({"includes": {"caps": ["CAP_KILL", "CAP_SYS_ADMIN"]}})),
            rule("no killers", json!({"excludes": {"caps": ["CAP_KILL"]}})),
        ]});
        std::fs::write(file.path(), profile.to_string()).unwrap();
        let section = section(file.path(), &["CAP_KILL"]).unwrap();
        let names: Vec<&str> = section["syscalls"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|rule| rule["names"][0].as_str())
            .collect();
        assert_eq!(names, ["always", "here", "killers"]);
        assert_eq!(section["defaultErrnoRet"], 38);
        assert_eq!(section["syscalls"][0].get("args"), None);
    }
}
