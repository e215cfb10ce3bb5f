//! Which devices the container may use.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use libcontainer::oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use super::cgroup_error;
use crate::Error;

/// What every container gets on top of its configuration, as in runc: making any node, and using the harmless ones.
const DEFAULT: [&str; 11] = [
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

/// A rule as the kernel reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    allow: bool,
    text: String,
}

/// All rules in order: deny everything, the configuration's, the defaults.
fn rules(configured: &[LinuxDeviceCgroup]) -> Vec<Rule> {
    let mut rules = vec![Rule {
        allow: false,
        text: "a".to_owned(),
    }];
    for rule in configured {
        let rule = Rule {
            allow: rule.allow(),
            text: text(rule),
        };
        if rules.last() != Some(&rule) {
            rules.push(rule);
        }
    }
    rules.extend(DEFAULT.iter().map(|text| Rule {
        allow: true,
        text: (*text).to_owned(),
    }));
    rules
}

/// `TYPE MAJOR:MINOR ACCESS`, or `a` for all.
fn text(rule: &LinuxDeviceCgroup) -> String {
    let kind = match rule.typ().unwrap_or(LinuxDeviceType::A) {
        LinuxDeviceType::B => "b",
        LinuxDeviceType::C | LinuxDeviceType::U => "c",
        LinuxDeviceType::A | LinuxDeviceType::P => return "a".to_owned(),
    };
    let number = |n: Option<i64>| {
        n.filter(|n| *n >= 0)
            .map_or_else(|| "*".to_owned(), |n| n.to_string())
    };
    let access = rule.access().as_deref().unwrap_or("rwm");
    format!(
        "{kind} {}:{} {access}",
        number(rule.major()),
        number(rule.minor())
    )
}

/// Writes the rules into a v1 devices cgroup.
pub(super) fn apply_v1(cgroup: &Path, configured: &[LinuxDeviceCgroup]) -> Result<(), Error> {
    let open = |name: &str| -> Result<File, Error> {
        let path = cgroup.join(name);
        OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(cgroup_error("open", &path))
    };
    let (mut allow, mut deny) = (open("devices.allow")?, open("devices.deny")?);
    for rule in rules(configured) {
        let (file, name) = if rule.allow {
            (&mut allow, "devices.allow")
        } else {
            (&mut deny, "devices.deny")
        };
        // Each write is one command to the kernel.
        file.write_all(rule.text.as_bytes())
            .map_err(|source: io::Error| Error::CgroupLimit {
                path: cgroup.join(name),
                value: rule.text.clone(),
                source,
            })?;
    }
    Ok(())
}

/// Refuses device rules on v2 hosts, where a program for the kernel would have to enforce them.
pub(super) fn apply_v2(cgroup: &Path, configured: &[LinuxDeviceCgroup]) -> Result<(), Error> {
    let _ = (cgroup, configured);
    Err(Error::Unsupported {
        what: "restricting devices on cgroup v2".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use libcontainer::oci_spec::runtime::LinuxDeviceCgroupBuilder;

    #[test]
    fn everything_is_denied_first_and_only_once() {
        let deny_all = LinuxDeviceCgroupBuilder::default()
            .allow(false)
            .access("rwm")
            .build()
            .unwrap();
        let rules = rules(&[deny_all]);
        assert_eq!(
            rules[0],
            Rule {
                allow: false,
                text: "a".into()
            }
        );
        assert_eq!(
            rules[1],
            Rule {
                allow: true,
                text: "c *:* m".into()
            }
        );
        assert_eq!(rules.len(), 1 + DEFAULT.len());
    }

    #[test]
    fn rules_keep_their_order_and_wildcards() {
        let rule = LinuxDeviceCgroupBuilder::default()
            .allow(true)
            .typ(LinuxDeviceType::B)
            .major(8)
            .access("r")
            .build()
            .unwrap();
        assert_eq!(
            rules(&[rule])[1],
            Rule {
                allow: true,
                text: "b 8:* r".into()
            }
        );
    }
}
