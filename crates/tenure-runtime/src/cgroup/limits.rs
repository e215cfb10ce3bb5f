//! `linux.resources` as writes to the files of the kernel.

use std::fs;
use std::path::Path;

use libcontainer::oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources, LinuxThrottleDevice,
};

use super::writes::{Absent, Write};
use super::{V1Cgroup, cgroup_error, devices};
use crate::Error;

/// One value for one file of one controller.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Limit {
    controller: &'static str,
    file: String,
    value: String,
    absent: Absent<String>,
}

impl Limit {
    /// The write in a cgroup's directory.
    fn at(self, dir: &Path) -> Write {
        Write {
            path: dir.join(self.file),
            value: self.value,
            absent: match self.absent {
                Absent::Fails => Absent::Fails,
                Absent::Ignored => Absent::Ignored,
                Absent::Instead { file, value } => Absent::Instead {
                    file: dir.join(file),
                    value,
                },
            },
        }
    }
}

/// A list of limits under construction.
#[derive(Default)]
struct Limits(Vec<Limit>);

impl Limits {
    fn set(&mut self, controller: &'static str, file: impl Into<String>, value: impl ToString) {
        self.0.push(Limit {
            controller,
            file: file.into(),
            value: value.to_string(),
            absent: Absent::Fails,
        });
    }

    /// Says what to do on a kernel that lacks the file of the limit set last.
    fn or(&mut self, absent: Absent<String>) {
        if let Some(last) = self.0.last_mut() {
            last.absent = absent;
        }
    }

    fn set_some<T: ToString>(&mut self, controller: &'static str, file: &str, value: Option<T>) {
        if let Some(value) = value {
            self.set(controller, file, value);
        }
    }
}

/// Finds values that no kernel takes. Returns the place below `linux.resources` and the reason.
pub(crate) fn validate(resources: &LinuxResources) -> Result<(), (String, String)> {
    devices::validate(resources.devices().as_deref().unwrap_or_default())?;
    if let Some(memory) = resources.memory() {
        if memory.swappiness().is_some_and(|s| s > 100) {
            return Err(("memory.swappiness".into(), "must be 0 to 100".into()));
        }
        let limit = memory.limit().filter(|l| *l > 0);
        if let (Some(limit), Some(swap)) = (limit, memory.swap().filter(|s| *s > 0))
            && swap < limit
        {
            return Err((
                "memory.swap".into(),
                format!("{swap} is below memory.limit ({limit})"),
            ));
        }
    }
    for key in resources.unified().iter().flat_map(|u| u.keys()) {
        if key.contains('/') || !key.contains('.') {
            return Err((format!("unified[{key:?}]"), "is no cgroup file name".into()));
        }
    }
    for (i, limit) in resources.hugepage_limits().iter().flatten().enumerate() {
        if !limit.page_size().bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err((format!("hugepageLimits[{i}].pageSize"), "is no page size".into()));
        }
    }
    Ok(())
}

/// Limits as writes to v1 cgroups.
pub(super) fn for_v1(cgroups: &[V1Cgroup], resources: &LinuxResources) -> Result<Vec<Write>, Error> {
    let write = |limit: Limit| match cgroups.iter().find(|c| c.has(limit.controller)) {
        Some(cgroup) => Ok(limit.at(&cgroup.path)),
        None => Err(missing(&limit, "this host has no such cgroup controller")),
    };
    v1(resources).0.into_iter().map(write).collect()
}

/// Limits as writes to the cgroup of a v2 host.
pub(super) fn for_v2(cgroup: Option<&Path>, resources: &LinuxResources) -> Result<Vec<Write>, Error> {
    let write = |limit: Limit| match cgroup {
        Some(cgroup) => Ok(limit.at(cgroup)),
        None => Err(missing(&limit, "this host has no cgroups")),
    };
    v2(resources).0.into_iter().map(write).collect()
}

fn missing(limit: &Limit, reason: &str) -> Error {
    Error::Unsupported {
        what: format!("limiting {} ({reason})", limit.controller),
    }
}

/// Refuses a memory limit that is in use already, where `checkBeforeUpdate` asks for it: the kernel of a v2 host would
/// take it and kill.
pub(super) fn check_usage(cgroup: &Path, resources: &LinuxResources) -> Result<(), Error> {
    let Some(memory) = resources
        .memory()
        .as_ref()
        .filter(|m| m.check_before_update() == Some(true))
    else {
        return Ok(());
    };
    let file = cgroup.join("memory.current");
    let text = fs::read_to_string(&file).map_err(cgroup_error("read", &file))?;
    let usage: i64 = text.trim().parse().unwrap_or(0);
    for (place, limit) in [("memory.limit", memory.limit()), ("memory.swap", memory.swap())] {
        if limit.is_some_and(|limit| limit > 0 && limit <= usage) {
            return Err(Error::InvalidResources {
                at: place.to_owned(),
                reason: format!("not below the present usage of {usage}"),
            });
        }
    }
    Ok(())
}

/// `unified` as writes to the v2 side of a hybrid host, where its controllers can be.
pub(super) fn for_unified(cgroup: Option<&Path>, resources: &LinuxResources) -> Result<Vec<Write>, Error> {
    let mut limits = Limits::default();
    unified(resources, &mut limits);
    let write = |limit: Limit| match cgroup {
        Some(cgroup) => Ok(limit.at(cgroup)),
        None => Err(Error::Unsupported {
            what: "linux.resources.unified on a host with cgroup v1 alone".to_owned(),
        }),
    };
    limits.0.into_iter().map(write).collect()
}

fn v1(resources: &LinuxResources) -> Limits {
    let mut limits = Limits::default();
    if let Some(memory) = resources.memory() {
        v1_memory(memory, &mut limits);
    }
    if let Some(cpu) = resources.cpu() {
        v1_cpu(cpu, &mut limits);
    }
    if let Some(pids) = resources.pids() {
        limits.set("pids", "pids.max", max_if_negative(pids.limit()));
    }
    if let Some(block_io) = resources.block_io() {
        v1_block_io(block_io, &mut limits);
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        limits.set(
            "hugetlb",
            format!("hugetlb.{}.limit_in_bytes", limit.page_size()),
            limit.limit(),
        );
    }
    if let Some(network) = resources.network() {
        limits.set_some("net_cls", "net_cls.classid", network.class_id());
        for priority in network.priorities().iter().flatten() {
            limits.set(
                "net_prio",
                "net_prio.ifpriomap",
                format!("{} {}", priority.name(), priority.priority()),
            );
        }
    }
    rdma(resources, &mut limits);
    limits
}

fn v1_memory(memory: &LinuxMemory, limits: &mut Limits) {
    // Kernel memory limits are gone from kernels and are ignored, as in runc.
    let nonzero = |v: Option<i64>| v.filter(|v| *v != 0);
    limits.set_some("memory", "memory.limit_in_bytes", nonzero(memory.limit()));
    match nonzero(memory.swap()) {
        Some(swap) => limits.set("memory", "memory.memsw.limit_in_bytes", swap),
        // Without a limit for memory there is none for the sum either.
        None if memory.limit() == Some(-1) => {
            limits.set("memory", "memory.memsw.limit_in_bytes", -1);
            limits.or(Absent::Ignored);
        }
        None => {}
    }
    limits.set_some(
        "memory",
        "memory.soft_limit_in_bytes",
        nonzero(memory.reservation()),
    );
    limits.set_some("memory", "memory.swappiness", memory.swappiness());
    if memory.disable_oom_killer() == Some(true) {
        limits.set("memory", "memory.oom_control", 1);
    }
}

fn v1_cpu(cpu: &LinuxCpu, limits: &mut Limits) {
    limits.set_some("cpu", "cpu.shares", cpu.shares().filter(|v| *v != 0));
    // The period first: a quota may be too small for the default one.
    limits.set_some("cpu", "cpu.cfs_period_us", cpu.period().filter(|v| *v != 0));
    limits.set_some("cpu", "cpu.cfs_quota_us", cpu.quota().filter(|v| *v != 0));
    if let Some(burst) = cpu.burst() {
        limits.set("cpu", "cpu.cfs_burst_us", burst);
        limits.or(Absent::Ignored);
    }
    limits.set_some(
        "cpu",
        "cpu.rt_period_us",
        cpu.realtime_period().filter(|v| *v != 0),
    );
    limits.set_some(
        "cpu",
        "cpu.rt_runtime_us",
        cpu.realtime_runtime().filter(|v| *v != 0),
    );
    limits.set_some("cpu", "cpu.idle", cpu.idle());
    cpuset(cpu, limits);
}

fn cpuset(cpu: &LinuxCpu, limits: &mut Limits) {
    limits.set_some(
        "cpuset",
        "cpuset.cpus",
        cpu.cpus().as_ref().filter(|v| !v.is_empty()),
    );
    limits.set_some(
        "cpuset",
        "cpuset.mems",
        cpu.mems().as_ref().filter(|v| !v.is_empty()),
    );
}

fn v1_block_io(block_io: &LinuxBlockIo, limits: &mut Limits) {
    if let Some(weight) = block_io.weight().filter(|v| *v != 0) {
        limits.set("blkio", "blkio.weight", weight);
        limits.or(Absent::Instead {
            file: "blkio.bfq.weight".to_owned(),
            value: weight.to_string(),
        });
    }
    limits.set_some(
        "blkio",
        "blkio.leaf_weight",
        block_io.leaf_weight().filter(|v| *v != 0),
    );
    for device in block_io.weight_device().iter().flatten() {
        if let Some(weight) = device.weight() {
            let value = format!("{}:{} {weight}", device.major(), device.minor());
            limits.set("blkio", "blkio.weight_device", value);
        }
    }
    let throttles: [(&str, &Option<Vec<LinuxThrottleDevice>>); 4] = [
        (
            "blkio.throttle.read_bps_device",
            block_io.throttle_read_bps_device(),
        ),
        (
            "blkio.throttle.write_bps_device",
            block_io.throttle_write_bps_device(),
        ),
        (
            "blkio.throttle.read_iops_device",
            block_io.throttle_read_iops_device(),
        ),
        (
            "blkio.throttle.write_iops_device",
            block_io.throttle_write_iops_device(),
        ),
    ];
    for (file, devices) in throttles {
        for device in devices.iter().flatten() {
            limits.set(
                "blkio",
                file,
                format!("{}:{} {}", device.major(), device.minor(), device.rate()),
            );
        }
    }
}

fn rdma(resources: &LinuxResources, limits: &mut Limits) {
    for (device, limit) in resources.rdma().iter().flatten() {
        let mut value = device.clone();
        for (name, number) in [
            ("hca_handle", limit.hca_handles()),
            ("hca_object", limit.hca_objects()),
        ] {
            if let Some(number) = number {
                value.push_str(&format!(" {name}={number}"));
            }
        }
        limits.set("rdma", "rdma.max", value);
    }
}

fn v2(resources: &LinuxResources) -> Limits {
    let mut limits = Limits::default();
    if let Some(memory) = resources.memory() {
        v2_memory(memory, &mut limits);
    }
    if let Some(cpu) = resources.cpu() {
        v2_cpu(cpu, &mut limits);
    }
    if let Some(pids) = resources.pids() {
        limits.set("pids", "pids.max", max_if_negative(pids.limit()));
    }
    if let Some(block_io) = resources.block_io() {
        v2_io(block_io, &mut limits);
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        limits.set(
            "hugetlb",
            format!("hugetlb.{}.max", limit.page_size()),
            limit.limit(),
        );
    }
    rdma(resources, &mut limits);
    unified(resources, &mut limits);
    limits
}

fn unified(resources: &LinuxResources, limits: &mut Limits) {
    let mut sorted: Vec<_> = resources.unified().iter().flatten().collect();
    sorted.sort();
    for (file, value) in sorted {
        limits.set("unified", file.as_str(), value);
    }
}

fn v2_memory(memory: &LinuxMemory, limits: &mut Limits) {
    limits.set_some(
        "memory",
        "memory.max",
        memory.limit().filter(|v| *v != 0).map(max_if_negative),
    );
    // The OCI value counts memory and swap, the kernel's swap alone.
    let swap = match (memory.swap(), memory.limit()) {
        (Some(swap), _) if swap < 0 => Some("max".to_owned()),
        (None | Some(0), Some(-1)) => Some("max".to_owned()),
        (Some(swap), Some(limit)) if swap > 0 && limit > 0 => Some((swap - limit).max(0).to_string()),
        _ => None,
    };
    if let Some(swap) = swap {
        // A kernel that counts no swap keeps these two promises without the file.
        let kept = swap == "max" || swap == "0";
        limits.set("memory", "memory.swap.max", swap);
        if kept {
            limits.or(Absent::Ignored);
        }
    }
    limits.set_some(
        "memory",
        "memory.low",
        memory.reservation().filter(|v| *v != 0).map(max_if_negative),
    );
}

fn v2_cpu(cpu: &LinuxCpu, limits: &mut Limits) {
    limits.set_some(
        "cpu",
        "cpu.weight",
        cpu.shares().filter(|v| *v != 0).map(weight_of_shares),
    );
    let quota = cpu.quota().filter(|v| *v != 0);
    let period = cpu.period().filter(|v| *v != 0);
    if quota.is_some() || period.is_some() {
        let quota = quota.map_or_else(|| "max".to_owned(), max_if_negative);
        limits.set("cpu", "cpu.max", format!("{quota} {}", period.unwrap_or(100_000)));
    }
    if let Some(burst) = cpu.burst() {
        limits.set("cpu", "cpu.max.burst", burst);
        limits.or(Absent::Ignored);
    }
    limits.set_some("cpu", "cpu.idle", cpu.idle());
    cpuset(cpu, limits);
}

/// v1 shares (2 to 262144) on the scale of v2 weights (1 to 10000).
pub(super) fn weight_of_shares(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

fn v2_io(block_io: &LinuxBlockIo, limits: &mut Limits) {
    if let Some(weight) = block_io.weight().filter(|v| *v != 0) {
        limits.set("io", "io.bfq.weight", weight);
        let scaled = 1 + (u64::from(weight).clamp(10, 1000) - 10) * 9999 / 990;
        limits.or(Absent::Instead {
            file: "io.weight".to_owned(),
            value: format!("default {scaled}"),
        });
    }
    let throttles: [(&str, &Option<Vec<LinuxThrottleDevice>>); 4] = [
        ("rbps", block_io.throttle_read_bps_device()),
        ("wbps", block_io.throttle_write_bps_device()),
        ("riops", block_io.throttle_read_iops_device()),
        ("wiops", block_io.throttle_write_iops_device()),
    ];
    for (key, devices) in throttles {
        for device in devices.iter().flatten() {
            let rate = if device.rate() == 0 {
                "max".to_owned()
            } else {
                device.rate().to_string()
            };
            limits.set(
                "io",
                "io.max",
                format!("{}:{} {key}={rate}", device.major(), device.minor()),
            );
        }
    }
}

/// Negative means without limit; 0 is a limit.
fn max_if_negative(limit: i64) -> String {
    if limit < 0 {
        "max".to_owned()
    } else {
        limit.to_string()
    }
}

/// What would be written where, for both versions.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz_limits(resources: &LinuxResources) {
    for limit in v1(resources).0.into_iter().chain(v2(resources).0) {
        assert!(!limit.file.contains('/') && limit.file.contains('.'), "{limit:?}");
    }
    devices::fuzz_rules(resources.devices().as_deref().unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(json: &str) -> LinuxResources {
        serde_json::from_str(json).unwrap()
    }

    fn written(limits: Limits) -> Vec<String> {
        limits
            .0
            .iter()
            .map(|l| format!("{}={}", l.file, l.value))
            .collect()
    }

    const ALL: &str = r#"{
        "memory": {"limit": 1048576, "swap": 2097152, "reservation": 524288, "disableOOMKiller": true},
        "cpu": {"shares": 1024, "quota": 20000, "period": 50000, "cpus": "0", "mems": ""},
        "pids": {"limit": 0}}"#;

    #[test]
    fn v1_limits_come_in_an_order_the_kernel_takes() {
        assert_eq!(
            written(v1(&resources(ALL))),
            [
                "memory.limit_in_bytes=1048576",
                "memory.memsw.limit_in_bytes=2097152",
                "memory.soft_limit_in_bytes=524288",
                "memory.oom_control=1",
                "cpu.shares=1024",
                "cpu.cfs_period_us=50000",
                "cpu.cfs_quota_us=20000",
                "cpuset.cpus=0",
                "pids.max=0",
            ]
        );
    }

    #[test]
    fn v2_limits_are_translated() {
        assert_eq!(
            written(v2(&resources(ALL))),
            [
                "memory.max=1048576",
                "memory.swap.max=1048576",
                "memory.low=524288",
                "cpu.weight=39",
                "cpu.max=20000 50000",
                "cpuset.cpus=0",
                "pids.max=0",
            ]
        );
        assert_eq!(
            written(v2(&resources(r#"{"pids":{"limit":-1}}"#))),
            ["pids.max=max"]
        );
    }

    #[test]
    fn impossible_values_are_found_before_the_kernel_sees_them() {
        let bad = [
            (r#"{"memory":{"swappiness":101}}"#, "memory.swappiness"),
            (r#"{"memory":{"limit":10,"swap":5}}"#, "memory.swap"),
            (r#"{"unified":{"../cpu.max":"1"}}"#, "unified[\"../cpu.max\"]"),
            (
                r#"{"hugepageLimits":[{"pageSize":"../x","limit":1}]}"#,
                "hugepageLimits[0].pageSize",
            ),
        ];
        for (json, place) in bad {
            assert_eq!(validate(&resources(json)).unwrap_err().0, place);
        }
        assert!(validate(&resources(ALL)).is_ok());
    }
}
