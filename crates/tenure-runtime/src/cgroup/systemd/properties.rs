//! What systemd is told of a container: the properties of its unit.
//!
//! systemd writes the limits that it knows of into the cgroup's files whenever it sees fit (a daemon-reload, a change
//! of another property), so it must know the container's.

use std::collections::HashMap;

use libcontainer::oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};

use super::super::limits::weight_of_shares;
use super::variant;
use super::wire::Value;

/// A property of a unit: name and value.
pub(crate) type Property = (String, Value);

/// Annotations that begin so name a property of the unit.
const ANNOTATION: &str = "org.systemd.property.";
/// systemd's "no limit".
const INFINITY: u64 = u64::MAX;
/// The kernel's default for cpu quotas, in microseconds.
const DEFAULT_PERIOD: u64 = 100_000;

/// The first version of systemd that knows a property; older ones refuse the whole unit.
const SINCE: [(&str, u32); 3] = [
    ("CPUQuotaPeriodUSec", 242),
    ("AllowedCPUs", 244),
    ("AllowedMemoryNodes", 244),
];

/// Whether one of the properties is too new to be known by every systemd in use.
pub(super) fn need_version(properties: &[Property]) -> bool {
    properties
        .iter()
        .any(|(name, _)| SINCE.iter().any(|(new, _)| new == name))
}

/// Leaves out what a version of systemd does not know; the kernel's files have it all the same.
pub(super) fn retain_known(properties: &mut Vec<Property>, version: u32) {
    properties.retain(|(name, _)| {
        let since = SINCE.iter().find(|(new, _)| new == name);
        since.is_none_or(|(_, since)| version >= *since)
    });
}

/// The number in front of a version such as `252.38-1~deb12u1`; 0 if there is none.
pub(super) fn parse_version(text: &str) -> u32 {
    let text = text.trim_start_matches('v');
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}

/// The properties that annotations give. The error is the annotation and the reason.
pub(crate) fn annotated(annotations: &HashMap<String, String>) -> Result<Vec<Property>, (String, String)> {
    let mut properties = Vec::new();
    for (key, text) in annotations {
        let Some(name) = key.strip_prefix(ANNOTATION) else {
            continue;
        };
        let fault = |reason: String| (format!("annotations[{key:?}]"), reason);
        let letters = name.bytes().all(|b| b.is_ascii_alphanumeric());
        if !letters || !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Err(fault("names no property of a unit".to_owned()));
        }
        let value = variant::parse(text).map_err(fault)?;
        properties.push(in_microseconds(name, value).map_err(fault)?);
    }
    Ok(properties)
}

/// On D-Bus, times have no property in seconds.
fn in_microseconds(name: &str, value: Value) -> Result<Property, String> {
    let Some(stem) = name.strip_suffix("Sec").filter(|s| !s.ends_with('U')) else {
        return Ok((name.to_owned(), value));
    };
    let whole = |seconds: Option<u64>| seconds.and_then(|s| s.checked_mul(1_000_000));
    let microseconds = match value {
        Value::U16(s) => whole(Some(s.into())),
        Value::U32(s) => whole(Some(s.into())),
        Value::U64(s) => whole(Some(s)),
        Value::I16(s) => whole(s.try_into().ok()),
        Value::I32(s) => whole(s.try_into().ok()),
        Value::I64(s) => whole(s.try_into().ok()),
        Value::Double(s) if (0.0..1e12).contains(&s) => {
            std::time::Duration::from_secs_f64(s).as_micros().try_into().ok()
        }
        _ => None,
    };
    let microseconds = microseconds.ok_or("is no number of seconds")?;
    Ok((format!("{stem}USec"), Value::U64(microseconds)))
}

/// The properties that stand for limits, on v1 or v2.
pub(crate) fn limits(resources: &LinuxResources, v2: bool) -> Vec<Property> {
    let mut list = List(Vec::new());
    if let Some(memory) = resources.memory() {
        list.memory(memory, v2);
    }
    if let Some(cpu) = resources.cpu() {
        list.cpu(cpu, v2);
    }
    if let Some(pids) = resources.pids() {
        // systemd knows no limit of none at all.
        list.number("TasksMax", pids.limit().try_into().unwrap_or(INFINITY).max(1));
    }
    if v2 {
        for (file, value) in resources.unified().iter().flatten() {
            list.unified(file, value.trim());
        }
    }
    list.0
}

/// A list of properties under construction.
struct List(Vec<Property>);

impl List {
    /// Sets a property; one set before gives way.
    fn set(&mut self, name: &str, value: Value) {
        self.0.retain(|(set, _)| set != name);
        self.0.push((name.to_owned(), value));
    }

    fn number(&mut self, name: &str, number: u64) {
        self.set(name, Value::U64(number));
    }

    fn memory(&mut self, memory: &LinuxMemory, v2: bool) {
        // Negative is without limit, and 0 leaves it as it is.
        let bytes = |v: Option<i64>| v.filter(|v| *v != 0).map(|v| v.try_into().unwrap_or(INFINITY));
        let limit = bytes(memory.limit());
        if let Some(limit) = limit {
            self.number(if v2 { "MemoryMax" } else { "MemoryLimit" }, limit);
        }
        if !v2 {
            return;
        }
        if let Some(low) = bytes(memory.reservation()) {
            self.number("MemoryLow", low);
        }
        // OCI counts memory and swap, the property swap alone.
        match (bytes(memory.swap()), limit) {
            (Some(INFINITY), _) => self.number("MemorySwapMax", INFINITY),
            (Some(swap), Some(limit)) if limit != INFINITY => {
                self.number("MemorySwapMax", swap.saturating_sub(limit));
            }
            _ => {}
        }
    }

    fn cpu(&mut self, cpu: &LinuxCpu, v2: bool) {
        if let Some(shares) = cpu.shares().filter(|s| *s != 0) {
            if v2 {
                self.number("CPUWeight", weight_of_shares(shares));
            } else {
                self.number("CPUShares", shares);
            }
        }
        let quota = cpu.quota().filter(|q| *q != 0);
        let period = cpu.period().filter(|p| *p != 0);
        if quota.is_some() || period.is_some() {
            self.quota(quota.and_then(|q| q.try_into().ok()), period);
        }
        self.numbers("AllowedCPUs", cpu.cpus().as_deref().unwrap_or_default());
        self.numbers("AllowedMemoryNodes", cpu.mems().as_deref().unwrap_or_default());
    }

    /// A cpu quota, in microseconds of every period; none is without limit.
    fn quota(&mut self, quota: Option<u64>, period: Option<u64>) {
        let per_second = quota.map_or(INFINITY, |quota| {
            let period = period.unwrap_or(DEFAULT_PERIOD);
            // systemd counts in percent, so a fraction must be rounded up, or it would be cut off.
            (quota.saturating_mul(1_000_000) / period).div_ceil(10_000) * 10_000
        });
        if let Some(period) = period {
            self.number("CPUQuotaPeriodUSec", period);
        }
        self.number("CPUQuotaPerSecUSec", per_second);
    }

    /// A list of CPUs or memory nodes, as bits. One that cannot be read is left to the kernel's judgement.
    fn numbers(&mut self, name: &str, list: &str) {
        if let Some(bits) = bits(list).filter(|b| !b.is_empty()) {
            let bytes = bits.into_iter().map(Value::Byte).collect();
            self.set(name, Value::Array("y".to_owned(), bytes));
        }
    }

    /// A file of the unified hierarchy, if systemd has a property for it.
    fn unified(&mut self, file: &str, value: &str) {
        let number = || match value {
            "max" => Some(INFINITY),
            _ => value.parse().ok(),
        };
        let property = match file {
            "cpu.weight" => "CPUWeight",
            "memory.min" => "MemoryMin",
            "memory.low" => "MemoryLow",
            "memory.high" => "MemoryHigh",
            "memory.max" => "MemoryMax",
            "memory.swap.max" => "MemorySwapMax",
            "pids.max" => "TasksMax",
            "cpuset.cpus" => return self.numbers("AllowedCPUs", value),
            "cpuset.mems" => return self.numbers("AllowedMemoryNodes", value),
            "cpu.max" => {
                let mut words = value.split_ascii_whitespace();
                let quota = words.next().and_then(|w| w.parse().ok());
                return self.quota(
                    quota,
                    words.next().and_then(|w| w.parse().ok()).filter(|p| *p != 0),
                );
            }
            _ => return,
        };
        if let Some(number) = number() {
            self.number(property, number);
        }
    }
}

/// The numbers of a list such as `0-3,7` as bits, the lowest first.
fn bits(list: &str) -> Option<Vec<u8>> {
    let mut bits = Vec::new();
    for range in list.trim().split(',').filter(|r| !r.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if last > 8191 {
            return None;
        }
        for number in first..=last {
            if bits.len() <= number / 8 {
                bits.resize(number / 8 + 1, 0);
            }
            bits[number / 8] |= 1 << (number % 8);
        }
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(json: &str, v2: bool) -> Vec<String> {
        let show = |(name, value): Property| match value {
            Value::U64(INFINITY) => format!("{name}=infinity"),
            Value::U64(number) => format!("{name}={number}"),
            Value::Array(_, bytes) => format!("{name}={bytes:?}"),
            other => format!("{name}={other:?}"),
        };
        limits(&serde_json::from_str(json).unwrap(), v2)
            .into_iter()
            .map(show)
            .collect()
    }

    #[test]
    fn limits_become_properties() {
        let json = r#"{"memory": {"limit": 1048576, "swap": 3145728, "reservation": -1},
            "cpu": {"shares": 1024, "quota": 33333, "period": 100000, "cpus": "0-1,9"}, "pids": {"limit": 0}}"#;
        assert_eq!(
            properties(json, true),
            [
                "MemoryMax=1048576",
                "MemoryLow=infinity",
                "MemorySwapMax=2097152",
                "CPUWeight=39",
                "CPUQuotaPeriodUSec=100000",
                "CPUQuotaPerSecUSec=340000",
                "AllowedCPUs=[Byte(3), Byte(2)]",
                "TasksMax=1",
            ]
        );
        assert_eq!(
            properties(json, false)[..3],
            [
                "MemoryLimit=1048576",
                "CPUShares=1024",
                "CPUQuotaPeriodUSec=100000"
            ]
        );
    }

    #[test]
    fn lifted_limits_are_infinite_and_absent_ones_are_not_told() {
        assert_eq!(
            properties(
                r#"{"memory": {"limit": -1, "swap": -1}, "cpu": {"quota": -1}, "pids": {"limit": -1}}"#,
                true
            ),
            [
                "MemoryMax=infinity",
                "MemorySwapMax=infinity",
                "CPUQuotaPerSecUSec=infinity",
                "TasksMax=infinity"
            ]
        );
        assert!(properties(r#"{"memory": {"limit": 0}, "cpu": {}}"#, true).is_empty());
    }

    #[test]
    fn unified_files_win_over_the_limits_that_mean_the_same() {
        let json =
            r#"{"pids": {"limit": 5}, "unified": {"pids.max": "7", "cpu.max": "max 50000", "io.max": "x"}}"#;
        let mut found = properties(json, true);
        found.sort();
        assert_eq!(
            found,
            [
                "CPUQuotaPerSecUSec=infinity",
                "CPUQuotaPeriodUSec=50000",
                "TasksMax=7"
            ]
        );
    }

    #[test]
    fn annotations_name_properties() {
        let one = |key: &str, value: &str| annotated(&HashMap::from([(key.to_owned(), value.to_owned())]));
        assert_eq!(one("a.b", "("), Ok(Vec::new()), "no property");
        let property = |name: &str, value| Ok(vec![(name.to_owned(), value)]);
        assert_eq!(
            one("org.systemd.property.TimeoutStopUSec", "uint64 5"),
            property("TimeoutStopUSec", Value::U64(5))
        );
        assert_eq!(
            one("org.systemd.property.TimeoutStopSec", "1.5"),
            property("TimeoutStopUSec", Value::U64(1_500_000))
        );
        assert_eq!(
            one("org.systemd.property.CollectMode", "'inactive-or-failed'"),
            property("CollectMode", Value::text("inactive-or-failed"))
        );
        for (key, value) in [
            ("org.systemd.property.timeout", "1"),
            ("org.systemd.property.", "1"),
            ("org.systemd.property.TimeoutStopSec", "-1"),
            ("org.systemd.property.TimeoutStopSec", "'1'"),
            ("org.systemd.property.X", "("),
        ] {
            let (at, _) = one(key, value).unwrap_err();
            assert_eq!(at, format!("annotations[{key:?}]"));
        }
    }

    #[test]
    fn an_old_systemd_is_not_told_what_it_does_not_know() {
        let mut list = limits(
            &serde_json::from_str(r#"{"cpu": {"quota": 1000, "period": 5000, "cpus": "0"}}"#).unwrap(),
            true,
        );
        assert!(need_version(&list));
        retain_known(&mut list, parse_version("v242-3.fc31"));
        let names: Vec<&str> = list.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["CPUQuotaPeriodUSec", "CPUQuotaPerSecUSec"]);
        retain_known(&mut list, parse_version("239 (el8)"));
        assert_eq!(list.len(), 1);
        assert_eq!(parse_version("?"), 0);
    }
}
