//! Which devices the container may use: by the devices controller on v1, by a program for the kernel on v2.
//!
//! The rules mean the same on both. A v1 cgroup keeps a default and a list of exceptions to it, and later rules
//! change either; [`Policy`] keeps them the same way.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

use libcontainer::oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use super::cgroup_error;
use crate::bpf::BpfInstruction;
use crate::{Error, failure, sys};

/// Making a node, reading and writing, as the kernel counts them.
const MKNOD: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;
const ALL: u32 = MKNOD | READ | WRITE;

/// What every container gets on top of its configuration, as in runc: making any node, and using the harmless ones.
const DEFAULT: [(Kind, Option<u32>, Option<u32>, u32); 11] = [
    (Kind::Char, None, None, MKNOD),
    (Kind::Block, None, None, MKNOD),
    (Kind::Char, Some(1), Some(3), ALL),
    (Kind::Char, Some(1), Some(5), ALL),
    (Kind::Char, Some(1), Some(7), ALL),
    (Kind::Char, Some(1), Some(8), ALL),
    (Kind::Char, Some(1), Some(9), ALL),
    (Kind::Char, Some(5), Some(0), ALL),
    (Kind::Char, Some(5), Some(1), ALL),
    (Kind::Char, Some(5), Some(2), ALL),
    (Kind::Char, Some(136), None, ALL),
];

/// A kind of device, by the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Block = 1,
    Char = 2,
}

/// Devices and what may, or may not, be done with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Devices {
    kind: Kind,
    /// `None` is any.
    major: Option<u32>,
    /// `None` is any.
    minor: Option<u32>,
    access: u32,
}

/// One step in the list of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    allow: bool,
    /// `None` is everything: it replaces all rules before it.
    devices: Option<Devices>,
}

impl Rule {
    /// As a v1 cgroup reads it.
    fn text(&self) -> String {
        let Some(devices) = self.devices else {
            return "a".to_owned();
        };
        let kind = match devices.kind {
            Kind::Block => 'b',
            Kind::Char => 'c',
        };
        let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        let letters = [('r', READ), ('w', WRITE), ('m', MKNOD)];
        let access: String = letters
            .iter()
            .filter(|(_, bit)| devices.access & bit != 0)
            .map(|(letter, _)| *letter)
            .collect();
        format!(
            "{kind} {}:{} {access}",
            number(devices.major),
            number(devices.minor)
        )
    }
}

/// All rules in order: deny everything, the configuration's, the defaults.
fn rules(configured: &[LinuxDeviceCgroup]) -> Vec<Rule> {
    let mut rules = vec![Rule {
        allow: false,
        devices: None,
    }];
    for rule in configured.iter().flat_map(read) {
        if rules.last() != Some(&rule) {
            rules.push(rule);
        }
    }
    rules.extend(DEFAULT.iter().map(|&(kind, major, minor, access)| Rule {
        allow: true,
        devices: Some(Devices {
            kind,
            major,
            minor,
            access,
        }),
    }));
    rules
}

/// A configured rule. One for all kinds that does not say everything becomes one for each kind: a v1 cgroup would
/// read it as "everything".
fn read(rule: &LinuxDeviceCgroup) -> Vec<Rule> {
    let letters = rule.access().as_deref().unwrap_or("rwm");
    let access = letters.chars().fold(0, |bits, letter| {
        bits | match letter {
            'r' => READ,
            'w' => WRITE,
            'm' => MKNOD,
            _ => 0,
        }
    });
    // Numbers below 0 mean any; `validate` has refused those too large.
    let number = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok());
    let (major, minor) = (number(rule.major()), number(rule.minor()));
    let kinds: &[Kind] = match rule.typ().unwrap_or(LinuxDeviceType::A) {
        LinuxDeviceType::B => &[Kind::Block],
        LinuxDeviceType::C | LinuxDeviceType::U => &[Kind::Char],
        // A fifo is no device to the kernel.
        LinuxDeviceType::P => &[],
        LinuxDeviceType::A if access == ALL && major.is_none() && minor.is_none() => {
            return vec![Rule {
                allow: rule.allow(),
                devices: None,
            }];
        }
        LinuxDeviceType::A => &[Kind::Block, Kind::Char],
    };
    let rule = |kind: &Kind| Rule {
        allow: rule.allow(),
        devices: Some(Devices {
            kind: *kind,
            major,
            minor,
            access,
        }),
    };
    kinds
        .iter()
        .map(rule)
        .filter(|r| r.devices.is_some_and(|d| d.access != 0))
        .collect()
}

/// Finds rules no kernel takes. Returns the place below `linux.resources` and the reason.
pub(super) fn validate(configured: &[LinuxDeviceCgroup]) -> Result<(), (String, String)> {
    for (i, rule) in configured.iter().enumerate() {
        for (field, number) in [("major", rule.major()), ("minor", rule.minor())] {
            if number.is_some_and(|n| n > i64::from(i32::MAX)) {
                return Err((format!("devices[{i}].{field}"), "is no device number".to_owned()));
            }
        }
        let access = rule.access().as_deref().unwrap_or_default();
        if let Some(letter) = access.chars().find(|c| !"rwm".contains(*c)) {
            return Err((
                format!("devices[{i}].access"),
                format!("'{letter}' is none of r, w and m"),
            ));
        }
    }
    Ok(())
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
        let value = rule.text();
        // Each write is one command to the kernel.
        file.write_all(value.as_bytes())
            .map_err(|source: io::Error| Error::CgroupLimit {
                path: cgroup.join(name),
                value,
                source,
            })?;
    }
    Ok(())
}

/// Attaches a program that enforces the rules to a cgroup of the unified hierarchy; it stays as long as the cgroup.
pub(super) fn apply_v2(cgroup: &Path, configured: &[LinuxDeviceCgroup]) -> Result<(), Error> {
    let Some(program) = Policy::of(&rules(configured)).program() else {
        return Ok(());
    };
    let attached = File::open(cgroup).and_then(|dir| sys::attach_device_program(dir.as_fd(), &program));
    match attached {
        // Nobody but the host's root may load one; without it the host's file permissions are all there is.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) && !rustix::process::geteuid().is_root() => {
            tracing::warn!(
                error = failure::reason_of(&error),
                "device rules are not enforced"
            );
            Ok(())
        }
        other => other.map_err(cgroup_error("restrict devices of", cgroup)),
    }
}

/// What a list of rules amounts to.
#[derive(Debug, PartialEq, Eq)]
struct Policy {
    /// Whether what no exception names is allowed.
    allow: bool,
    /// What is denied if `allow`, allowed if not.
    exceptions: Vec<Devices>,
}

impl Policy {
    fn of(rules: &[Rule]) -> Self {
        let mut policy = Self {
            allow: false,
            exceptions: Vec::new(),
        };
        for rule in rules {
            match rule.devices {
                None => {
                    policy = Self {
                        allow: rule.allow,
                        exceptions: Vec::new(),
                    }
                }
                Some(devices) if rule.allow == policy.allow => policy.remove(devices),
                Some(devices) => policy.add(devices),
            }
        }
        policy
    }

    /// The exception for the very same devices.
    fn same(&mut self, devices: Devices) -> Option<&mut Devices> {
        let name = |d: &Devices| (d.kind as u32, d.major, d.minor);
        self.exceptions.iter_mut().find(|e| name(e) == name(&devices))
    }

    fn add(&mut self, devices: Devices) {
        match self.same(devices) {
            Some(existing) => existing.access |= devices.access,
            None => self.exceptions.push(devices),
        }
    }

    fn remove(&mut self, devices: Devices) {
        if let Some(existing) = self.same(devices) {
            existing.access &= !devices.access;
        }
        self.exceptions.retain(|e| e.access != 0);
    }

    /// The policy as a program that answers 1 (allowed) or 0; none if everything is allowed.
    ///
    /// r1 points to the question: access and kind in one word, major, minor. Every exception is a block that jumps
    /// to the next one where it does not apply.
    fn program(&self) -> Option<Vec<BpfInstruction>> {
        use BpfInstruction as I;
        if self.allow && self.exceptions.is_empty() {
            return None;
        }
        let mut program = vec![
            I::load(2, 1, 0),
            I::copy(3, 2),
            I::and(2, 0xffff),
            I::shift_right(3, 16),
            I::load(4, 1, 4),
            I::load(5, 1, 8),
        ];
        for exception in &self.exceptions {
            let mut block = vec![I::skip_unless_equal(2, exception.kind as u32), I::copy(0, 3)];
            if self.allow {
                // One forbidden access in the question is enough.
                block.extend([I::and(0, exception.access), I::skip_if_zero(0)]);
            } else {
                // Every access in the question must be allowed.
                block.extend([I::and(0, ALL & !exception.access), I::skip_unless_equal(0, 0)]);
            }
            block.extend(exception.major.map(|major| I::skip_unless_equal(4, major)));
            block.extend(exception.minor.map(|minor| I::skip_unless_equal(5, minor)));
            block.extend([I::set(0, u32::from(!self.allow)), I::exit()]);
            I::resolve_skips(&mut block);
            program.extend(block);
        }
        program.extend([I::set(0, u32::from(self.allow)), I::exit()]);
        Some(program)
    }
}

/// The program for a v2 cgroup must answer as the policy says, and a v1 cgroup's commands must be well-formed.
#[cfg(feature = "fuzz")]
pub(super) fn fuzz_rules(configured: &[LinuxDeviceCgroup]) {
    let rules = rules(configured);
    for text in rules.iter().map(Rule::text) {
        assert!(
            text == "a" || text.split(' ').count() == 3 && !text.ends_with(' '),
            "{text:?}"
        );
    }
    let policy = Policy::of(&rules);
    let program = policy.program();
    for (kind, major, minor) in crate::fuzz::QUESTIONS {
        for access in 1..=ALL {
            let concerns = |e: &&Devices| {
                e.kind as u32 == kind
                    && e.major.is_none_or(|n| n == major)
                    && e.minor.is_none_or(|n| n == minor)
            };
            let mut concerned = policy.exceptions.iter().filter(concerns);
            let expected = if policy.allow {
                !concerned.any(|e| e.access & access != 0)
            } else {
                concerned.any(|e| e.access & access == access)
            };
            let answer = program
                .as_ref()
                .is_none_or(|p| BpfInstruction::run(p, [access << 16 | kind, major, minor]) == 1);
            assert_eq!(
                answer, expected,
                "{policy:?} asked for {kind} {major}:{minor} {access}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unwrap_used)]
    fn configured(json: &str) -> Vec<LinuxDeviceCgroup> {
        serde_json::from_str(json).unwrap()
    }

    fn texts(json: &str) -> Vec<String> {
        let all: Vec<String> = rules(&configured(json)).iter().map(Rule::text).collect();
        all[..all.len() - DEFAULT.len()].to_vec()
    }

    /// What the program for these rules answers, by running it here.
    fn allowed(json: &str, kind: Kind, major: u32, minor: u32, access: u32) -> bool {
        let question = [access << 16 | kind as u32, major, minor];
        Policy::of(&rules(&configured(json)))
            .program()
            .is_none_or(|p| BpfInstruction::run(&p, question) == 1)
    }

    #[test]
    fn everything_is_denied_first_and_only_once() {
        assert_eq!(texts(r#"[{"allow": false, "access": "rwm"}]"#), ["a"]);
    }

    #[test]
    fn rules_keep_their_order_and_wildcards() {
        let json = r#"[{"allow": true, "type": "b", "major": 8, "access": "r"},
            {"allow": false, "type": "c", "major": 1, "minor": 3, "access": "wm"}]"#;
        assert_eq!(texts(json), ["a", "b 8:* r", "c 1:3 wm"]);
    }

    #[test]
    fn a_rule_for_all_kinds_that_is_not_for_everything_never_becomes_everything() {
        assert_eq!(
            texts(r#"[{"allow": true, "type": "a", "access": "r"}]"#),
            ["a", "b *:* r", "c *:* r"]
        );
        assert_eq!(
            texts(r#"[{"allow": true, "type": "a", "major": 8}]"#),
            ["a", "b 8:* rwm", "c 8:* rwm"]
        );
        assert_eq!(texts(r#"[{"allow": true, "type": "p", "access": "rwm"}]"#), ["a"]);
        assert_eq!(texts(r#"[{"allow": true, "access": "rwm"}]"#), ["a", "a"]);
    }

    #[test]
    fn without_rules_only_harmless_devices_are_allowed() {
        assert!(allowed("[]", Kind::Char, 1, 3, READ | WRITE));
        assert!(allowed("[]", Kind::Char, 136, 7, READ));
        assert!(allowed("[]", Kind::Block, 8, 0, MKNOD));
        assert!(!allowed("[]", Kind::Block, 8, 0, READ));
        assert!(!allowed("[]", Kind::Block, 8, 0, READ | MKNOD));
        assert!(
            !allowed("[]", Kind::Block, 1, 3, READ),
            "a block device with the null device's number"
        );
    }

    #[test]
    fn accesses_of_the_same_device_add_up() {
        let json = r#"[{"allow": true, "type": "b", "major": 8, "minor": 0, "access": "r"},
            {"allow": true, "type": "b", "major": 8, "minor": 0, "access": "w"}]"#;
        assert!(allowed(json, Kind::Block, 8, 0, READ | WRITE));
        assert!(!allowed(json, Kind::Block, 8, 1, READ));
    }

    #[test]
    fn a_later_rule_takes_an_earlier_one_back() {
        let json = r#"[{"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
            {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "w"}]"#;
        assert!(allowed(json, Kind::Char, 10, 229, READ));
        assert!(!allowed(json, Kind::Char, 10, 229, READ | WRITE));
    }

    #[test]
    fn where_all_is_allowed_one_forbidden_access_forbids_the_whole_question() {
        let json = r#"[{"allow": true}, {"allow": false, "type": "b", "major": 8, "access": "w"}]"#;
        assert!(allowed(json, Kind::Block, 8, 3, READ));
        assert!(!allowed(json, Kind::Block, 8, 3, READ | WRITE));
        assert!(allowed(json, Kind::Block, 9, 0, READ | WRITE));
        assert!(
            Policy::of(&rules(&configured(r#"[{"allow": true}]"#)))
                .program()
                .is_none()
        );
    }

    /// Needs root and a cgroup2 mount; `TENURE_SKIP_ROOT=1` leaves it out.
    #[test]
    fn the_kernel_enforces_the_program() {
        if std::env::var_os("TENURE_SKIP_ROOT").is_some() {
            return;
        }
        let hierarchies = super::super::Hierarchies::discover().unwrap();
        let id = format!("tenure-test-devices-{}", std::process::id());
        let cgroup = hierarchies
            .place(None, &id)
            .unwrap()
            .unified
            .expect("a cgroup2 mount");
        std::fs::create_dir(&cgroup).unwrap();
        let opens = |device: &str| {
            let script = "echo $$ >\"$0/cgroup.procs\" && (: <\"$1\") 2>&-";
            let mut shell = std::process::Command::new("/bin/sh");
            shell
                .args(["-c", script])
                .arg(&cgroup)
                .arg(device)
                .status()
                .unwrap()
                .success()
        };
        let before = (opens("/dev/zero"), opens("/dev/kmsg"));
        apply_v2(&cgroup, &[]).unwrap();
        let after = (opens("/dev/zero"), opens("/dev/kmsg"));
        std::fs::remove_dir(&cgroup).unwrap();
        assert_eq!((before, after), ((true, true), (true, false)));
    }

    #[test]
    fn numbers_and_letters_no_kernel_takes_are_found() {
        let bad = [
            (r#"[{"allow": true, "major": 4294967296}]"#, "devices[0].major"),
            (r#"[{"allow": true, "access": "rx"}]"#, "devices[0].access"),
        ];
        for (json, place) in bad {
            assert_eq!(validate(&configured(json)).unwrap_err().0, place);
        }
    }
}
