//! The figures of v1 controllers.

use super::Files;
use crate::Error;
use crate::cgroup::V1Cgroup;
use crate::stats::{
    BlockIoEntry, BlockIoStats, CpuStats, CpuUsage, CpusetStats, HugetlbStats, MemoryStats, MemoryUsage,
    PidsStats, Stats, Throttling,
};

/// Nanoseconds in one of the ticks in which `cpuacct.stat` and its like count: always a hundredth of a second.
const TICK: u64 = 10_000_000;

/// Reads the figures of every hierarchy.
pub(super) fn stats(cgroups: &[V1Cgroup]) -> Result<Stats, Error> {
    let mut stats = Stats::default();
    for cgroup in cgroups {
        let files = Files(&cgroup.path);
        if cgroup.has("cpuacct") {
            stats.cpu.usage = cpu_usage(files)?;
        }
        if cgroup.has("cpu") {
            throttling(files, &mut stats.cpu)?;
        }
        if cgroup.has("cpuset") {
            stats.cpuset = cpuset(files)?;
        }
        if cgroup.has("memory") {
            stats.memory = memory(files)?;
        }
        if cgroup.has("pids") {
            stats.pids = pids(files)?;
        }
        if cgroup.has("blkio") {
            stats.blkio = block_io(files)?;
        }
        if cgroup.has("hugetlb") {
            hugetlb(files, &mut stats)?;
        }
    }
    Ok(stats)
}

fn cpu_usage(files: Files<'_>) -> Result<CpuUsage, Error> {
    let ticks = files.keyed("cpuacct.stat")?;
    let time = |key: &str| ticks.get(key).copied().unwrap_or(0).saturating_mul(TICK);
    let text = files.text("cpuacct.usage_percpu")?.unwrap_or_default();
    let mut usage = CpuUsage {
        total: files.number("cpuacct.usage")?,
        percpu: text
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect(),
        kernel: time("system"),
        user: time("user"),
        ..CpuUsage::default()
    };
    // `cpu user system`, and a line for each processor.
    for line in files
        .text("cpuacct.usage_all")?
        .unwrap_or_default()
        .lines()
        .skip(1)
    {
        let mut numbers = line
            .split_whitespace()
            .skip(1)
            .map(|word| word.parse().unwrap_or(0));
        usage.percpu_user.push(numbers.next().unwrap_or(0));
        usage.percpu_kernel.push(numbers.next().unwrap_or(0));
    }
    Ok(usage)
}

fn throttling(files: Files<'_>, cpu: &mut CpuStats) -> Result<(), Error> {
    let counts = files.keyed("cpu.stat")?;
    let count = |key: &str| counts.get(key).copied().unwrap_or(0);
    cpu.throttling = Throttling {
        periods: count("nr_periods"),
        throttled_periods: count("nr_throttled"),
        throttled_time: count("throttled_time"),
    };
    Ok(())
}

fn cpuset(files: Files<'_>) -> Result<CpusetStats, Error> {
    let level = files.text("cpuset.sched_relax_domain_level")?.unwrap_or_default();
    Ok(CpusetStats {
        cpus: files.list("cpuset.cpus")?,
        cpu_exclusive: files.number("cpuset.cpu_exclusive")?,
        mems: files.list("cpuset.mems")?,
        mem_hardwall: files.number("cpuset.mem_hardwall")?,
        mem_exclusive: files.number("cpuset.mem_exclusive")?,
        memory_migrate: files.number("cpuset.memory_migrate")?,
        memory_spread_page: files.number("cpuset.memory_spread_page")?,
        memory_spread_slab: files.number("cpuset.memory_spread_slab")?,
        memory_pressure: files.number("cpuset.memory_pressure")?,
        sched_load_balance: files.number("cpuset.sched_load_balance")?,
        sched_relax_domain_level: level.trim().parse().unwrap_or(0),
    })
}

fn memory(files: Files<'_>) -> Result<MemoryStats, Error> {
    let raw = files.keyed("memory.stat")?;
    let usage = |kind: &str| -> Result<MemoryUsage, Error> {
        Ok(MemoryUsage {
            limit: files.number(&format!("memory.{kind}limit_in_bytes"))?,
            usage: files.number(&format!("memory.{kind}usage_in_bytes"))?,
            max: files.number(&format!("memory.{kind}max_usage_in_bytes"))?,
            failcnt: files.number(&format!("memory.{kind}failcnt"))?,
        })
    };
    Ok(MemoryStats {
        cache: raw.get("cache").copied().unwrap_or(0),
        usage: usage("")?,
        swap: usage("memsw.")?,
        kernel: usage("kmem.")?,
        kernel_tcp: usage("kmem.tcp.")?,
        raw,
        psi: None,
    })
}

fn pids(files: Files<'_>) -> Result<PidsStats, Error> {
    let limit = files.number("pids.max")?;
    Ok(PidsStats {
        current: files.number("pids.current")?,
        limit: if limit == u64::MAX { 0 } else { limit },
    })
}

/// The figures of the scheduler that the host's devices have, or else those of throttling.
fn block_io(files: Files<'_>) -> Result<BlockIoStats, Error> {
    let first = |names: &[&str]| -> Result<Vec<BlockIoEntry>, Error> {
        for name in names {
            let entries = entries(&files.text(name)?.unwrap_or_default());
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        Ok(Vec::new())
    };
    Ok(BlockIoStats {
        io_service_bytes_recursive: first(&[
            "blkio.bfq.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes",
        ])?,
        io_serviced_recursive: first(&[
            "blkio.bfq.io_serviced_recursive",
            "blkio.throttle.io_serviced_recursive",
            "blkio.throttle.io_serviced",
        ])?,
        psi: None,
    })
}

/// Lines such as `8:0 Read 4096`; the sum over all devices has no device and is left out.
fn entries(text: &str) -> Vec<BlockIoEntry> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (device, op, value) = (words.next()?, words.next()?, words.next()?);
        let (major, minor) = device.split_once(':')?;
        Some(BlockIoEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op: op.to_owned(),
            value: value.parse().ok()?,
        })
    };
    text.lines().filter_map(entry).collect()
}

fn hugetlb(files: Files<'_>, stats: &mut Stats) -> Result<(), Error> {
    for entry in std::fs::read_dir(files.0).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let size = name
            .to_str()
            .and_then(|name| name.strip_prefix("hugetlb.")?.strip_suffix(".usage_in_bytes"));
        // `hugetlb.SIZE.rsvd.usage_in_bytes` is about reservations.
        let Some(size) = size.filter(|size| !size.contains('.')) else {
            continue;
        };
        let figures = HugetlbStats {
            usage: files.number(&format!("hugetlb.{size}.usage_in_bytes"))?,
            max: files.number(&format!("hugetlb.{size}.max_usage_in_bytes"))?,
            failcnt: files.number(&format!("hugetlb.{size}.failcnt"))?,
        };
        stats.hugetlb.insert(size.to_owned(), figures);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_over_all_devices_is_no_device() {
        let found = entries("8:0 Read 4096\n8:0 Total 4096\nTotal 4096\n");
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].major, found[0].op.as_str(), found[0].value),
            (8, "Read", 4096)
        );
    }

    #[test]
    fn a_host_without_controllers_counts_nothing() {
        assert_eq!(stats(&[]).unwrap(), Stats::default());
    }
}
