//! The figures of a v2 cgroup, in the terms of v1 where callers know only these.

use super::Files;
use crate::Error;
use crate::stats::{
    BlockIoEntry, BlockIoStats, CpuStats, CpuUsage, CpusetStats, HugetlbStats, MemoryStats, MemoryUsage,
    PidsStats, Stats, Throttling,
};

/// Nanoseconds in a microsecond.
const MICRO: u64 = 1000;

/// Reads the figures of all controllers.
pub(super) fn stats(files: Files<'_>) -> Result<Stats, Error> {
    let mut stats = Stats {
        cpu: cpu(files)?,
        cpuset: CpusetStats {
            cpus: files.list("cpuset.cpus.effective")?,
            mems: files.list("cpuset.mems.effective")?,
            ..CpusetStats::default()
        },
        memory: memory(files)?,
        pids: pids(files)?,
        blkio: block_io(files)?,
        ..Stats::default()
    };
    hugetlb(files, &mut stats)?;
    Ok(stats)
}

fn cpu(files: Files<'_>) -> Result<CpuStats, Error> {
    let counts = files.keyed("cpu.stat")?;
    let count = |key: &str| counts.get(key).copied().unwrap_or(0);
    Ok(CpuStats {
        usage: CpuUsage {
            total: count("usage_usec").saturating_mul(MICRO),
            kernel: count("system_usec").saturating_mul(MICRO),
            user: count("user_usec").saturating_mul(MICRO),
            ..CpuUsage::default()
        },
        throttling: Throttling {
            periods: count("nr_periods"),
            throttled_periods: count("nr_throttled"),
            throttled_time: count("throttled_usec").saturating_mul(MICRO),
        },
        psi: files.pressure("cpu.pressure")?,
    })
}

fn memory(files: Files<'_>) -> Result<MemoryStats, Error> {
    let raw = files.keyed("memory.stat")?;
    let events = files.keyed("memory.events")?;
    let usage = MemoryUsage {
        limit: files.number("memory.max")?,
        usage: files.number("memory.current")?,
        max: files.number("memory.peak")?,
        failcnt: events.get("max").copied().unwrap_or(0),
    };
    // The kernel counts swap alone, callers expect the sum with memory.
    let limit = files.number("memory.swap.max")?;
    let swap = MemoryUsage {
        limit: limit.saturating_add(if limit == u64::MAX { 0 } else { usage.limit }),
        usage: files.number("memory.swap.current")?.saturating_add(usage.usage),
        ..MemoryUsage::default()
    };
    Ok(MemoryStats {
        cache: raw.get("file").copied().unwrap_or(0),
        usage,
        swap,
        raw,
        psi: files.pressure("memory.pressure")?,
        ..MemoryStats::default()
    })
}

fn pids(files: Files<'_>) -> Result<PidsStats, Error> {
    let limit = files.number("pids.max")?;
    Ok(PidsStats {
        current: files.number("pids.current")?,
        limit: if limit == u64::MAX { 0 } else { limit },
    })
}

fn block_io(files: Files<'_>) -> Result<BlockIoStats, Error> {
    let mut stats = parse_io(&files.text("io.stat")?.unwrap_or_default());
    stats.psi = files.pressure("io.pressure")?;
    Ok(stats)
}

/// Lines such as `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`; what was discarded has no place in v1's terms.
fn parse_io(text: &str) -> BlockIoStats {
    let mut stats = BlockIoStats::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else {
            continue;
        };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else {
            continue;
        };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let (op, list) = match key {
                "rbytes" => ("Read", &mut stats.io_service_bytes_recursive),
                "wbytes" => ("Write", &mut stats.io_service_bytes_recursive),
                "rios" => ("Read", &mut stats.io_serviced_recursive),
                "wios" => ("Write", &mut stats.io_serviced_recursive),
                _ => continue,
            };
            list.push(BlockIoEntry {
                major,
                minor,
                op: op.to_owned(),
                value: value.parse().unwrap_or(0),
            });
        }
    }
    stats
}

fn hugetlb(files: Files<'_>, stats: &mut Stats) -> Result<(), Error> {
    for entry in std::fs::read_dir(files.0).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let size = name
            .to_str()
            .and_then(|name| name.strip_prefix("hugetlb.")?.strip_suffix(".current"));
        // `hugetlb.SIZE.rsvd.current` is about reservations.
        let Some(size) = size.filter(|size| !size.contains('.')) else {
            continue;
        };
        let events = files.keyed(&format!("hugetlb.{size}.events"))?;
        let figures = HugetlbStats {
            usage: files.number(&format!("hugetlb.{size}.current"))?,
            max: 0,
            failcnt: events.get("max").copied().unwrap_or(0),
        };
        stats.hugetlb.insert(size.to_owned(), figures);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_controller_is_read_in_v1s_terms() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "cpu.stat",
                "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_throttled 1\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.max", "8192\n"),
            ("memory.swap.current", "100\n"),
            ("memory.swap.max", "1000\n"),
            ("memory.stat", "file 7\nanon 9\n"),
            ("memory.events", "low 0\nmax 3\noom 1\noom_kill 1\n"),
            ("pids.current", "2\n"),
            ("pids.max", "max\n"),
            (
                "io.stat",
                "8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n",
            ),
            ("hugetlb.2MB.current", "4\n"),
            ("hugetlb.2MB.rsvd.current", "4\n"),
            ("cpuset.cpus.effective", "0-1\n"),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let stats = stats(Files(dir.path())).unwrap();
        assert_eq!((stats.cpu.usage.total, stats.cpu.usage.user), (5000, 3000));
        assert_eq!((stats.memory.usage.limit, stats.memory.usage.failcnt), (8192, 3));
        assert_eq!((stats.memory.swap.limit, stats.memory.swap.usage), (9192, 4196));
        assert_eq!(stats.memory.cache, 7);
        assert_eq!((stats.pids.current, stats.pids.limit), (2, 0));
        assert_eq!(stats.blkio.io_service_bytes_recursive[1].value, 20);
        assert_eq!(stats.hugetlb.keys().collect::<Vec<_>>(), ["2MB"]);
        assert_eq!(stats.cpuset.cpus, [0, 1]);
    }
}
