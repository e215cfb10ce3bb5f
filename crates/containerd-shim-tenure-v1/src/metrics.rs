//! A container's figures as containerd's own types.

use std::collections::BTreeMap;
use std::os::raw::c_long;

use tenure_runtime::{BlockIoEntry, MemoryUsage, Pressure, PressureLine, Stats};

use crate::proto::{Any, metrics_v1 as v1, metrics_v2 as v2};

const V1: &str = "io.containerd.cgroups.v1.Metrics";
const V2: &str = "io.containerd.cgroups.v2.Metrics";
/// `CGROUP2_SUPER_MAGIC`.
const CGROUP2: c_long = 0x6367_7270;

/// The figures as the type that fits this host's hierarchy.
pub(crate) fn encode(stats: &Stats) -> Any {
    let unified = rustix::fs::statfs("/sys/fs/cgroup").is_ok_and(|fs| fs.f_type == CGROUP2);
    if unified {
        Any::of(V2, &of_v2(stats))
    } else {
        Any::of(V1, &of_v1(stats))
    }
}

fn of_v1(stats: &Stats) -> v1::Metrics {
    let cpu = v1::Cpu {
        usage: Some(v1::CpuUsage {
            total: stats.cpu.usage.total,
            kernel: stats.cpu.usage.kernel,
            user: stats.cpu.usage.user,
            per_cpu: stats.cpu.usage.percpu.clone(),
        }),
        throttling: Some(v1::Throttle {
            periods: stats.cpu.throttling.periods,
            throttled_periods: stats.cpu.throttling.throttled_periods,
            throttled_time: stats.cpu.throttling.throttled_time,
        }),
    };
    let hugetlb = stats.hugetlb.iter().map(|(size, usage)| v1::Hugetlb {
        usage: usage.usage,
        max: usage.max,
        failcnt: usage.failcnt,
        pagesize: size.clone(),
    });
    let entries = |entries: &[BlockIoEntry]| -> Vec<v1::BlockIoEntry> {
        let entry = |entry: &BlockIoEntry| v1::BlockIoEntry {
            op: entry.op.clone(),
            device: String::new(),
            major: entry.major,
            minor: entry.minor,
            value: entry.value,
        };
        entries.iter().map(entry).collect()
    };
    v1::Metrics {
        hugetlb: hugetlb.collect(),
        pids: Some(v1::Pids {
            current: stats.pids.current,
            limit: stats.pids.limit,
        }),
        cpu: Some(cpu),
        memory: Some(memory_v1(stats)),
        blkio: Some(v1::BlockIo {
            io_service_bytes_recursive: entries(&stats.blkio.io_service_bytes_recursive),
            io_serviced_recursive: entries(&stats.blkio.io_serviced_recursive),
        }),
        memory_oom_control: None,
    }
}

fn entry(usage: &MemoryUsage) -> v1::MemoryEntry {
    v1::MemoryEntry {
        limit: usage.limit,
        usage: usage.usage,
        max: usage.max,
        failcnt: usage.failcnt,
    }
}

/// Looks figures up by the kernel's names; those that it does not count are 0.
fn lookup(raw: &BTreeMap<String, u64>) -> impl Fn(&str) -> u64 {
    |name| raw.get(name).copied().unwrap_or(0)
}

fn memory_v1(stats: &Stats) -> v1::Memory {
    let raw = lookup(&stats.memory.raw);
    v1::Memory {
        cache: raw("cache"),
        rss: raw("rss"),
        rss_huge: raw("rss_huge"),
        mapped_file: raw("mapped_file"),
        dirty: raw("dirty"),
        writeback: raw("writeback"),
        pg_pg_in: raw("pgpgin"),
        pg_pg_out: raw("pgpgout"),
        pg_fault: raw("pgfault"),
        pg_maj_fault: raw("pgmajfault"),
        inactive_anon: raw("inactive_anon"),
        active_anon: raw("active_anon"),
        inactive_file: raw("inactive_file"),
        active_file: raw("active_file"),
        unevictable: raw("unevictable"),
        hierarchical_memory_limit: raw("hierarchical_memory_limit"),
        hierarchical_swap_limit: raw("hierarchical_memsw_limit"),
        total_cache: raw("total_cache"),
        total_rss: raw("total_rss"),
        total_rss_huge: raw("total_rss_huge"),
        total_mapped_file: raw("total_mapped_file"),
        total_dirty: raw("total_dirty"),
        total_writeback: raw("total_writeback"),
        total_pg_pg_in: raw("total_pgpgin"),
        total_pg_pg_out: raw("total_pgpgout"),
        total_pg_fault: raw("total_pgfault"),
        total_pg_maj_fault: raw("total_pgmajfault"),
        total_inactive_anon: raw("total_inactive_anon"),
        total_active_anon: raw("total_active_anon"),
        total_inactive_file: raw("total_inactive_file"),
        total_active_file: raw("total_active_file"),
        total_unevictable: raw("total_unevictable"),
        usage: Some(entry(&stats.memory.usage)),
        swap: Some(entry(&stats.memory.swap)),
        kernel: Some(entry(&stats.memory.kernel)),
        kernel_tcp: Some(entry(&stats.memory.kernel_tcp)),
    }
}

fn of_v2(stats: &Stats) -> v2::Metrics {
    // Counted in microseconds by the kernel.
    let micro = |nanoseconds: u64| nanoseconds / 1_000;
    let hugetlb = stats.hugetlb.iter().map(|(size, usage)| v2::Hugetlb {
        current: usage.usage,
        max: usage.max,
        pagesize: size.clone(),
        failcnt: usage.failcnt,
    });
    v2::Metrics {
        pids: Some(v2::Pids {
            current: stats.pids.current,
            limit: stats.pids.limit,
        }),
        cpu: Some(v2::Cpu {
            usage_usec: micro(stats.cpu.usage.total),
            user_usec: micro(stats.cpu.usage.user),
            system_usec: micro(stats.cpu.usage.kernel),
            nr_periods: stats.cpu.throttling.periods,
            nr_throttled: stats.cpu.throttling.throttled_periods,
            throttled_usec: micro(stats.cpu.throttling.throttled_time),
            psi: stats.cpu.psi.as_ref().map(pressure),
        }),
        memory: Some(memory_v2(stats)),
        io: Some(v2::Io {
            usage: traffic(stats),
            psi: stats.blkio.psi.as_ref().map(pressure),
        }),
        hugetlb: hugetlb.collect(),
        memory_events: None,
    }
}

fn pressure(pressure: &Pressure) -> v2::Pressure {
    let line = |line: &PressureLine| v2::PressureLine {
        avg10: line.avg10,
        avg60: line.avg60,
        avg300: line.avg300,
        total: line.total,
    };
    v2::Pressure {
        some: Some(line(&pressure.some)),
        full: Some(line(&pressure.full)),
    }
}

/// One entry a device, from bytes and requests by direction.
fn traffic(stats: &Stats) -> Vec<v2::IoEntry> {
    let mut devices: BTreeMap<(u64, u64), v2::IoEntry> = BTreeMap::new();
    let bytes = stats.blkio.io_service_bytes_recursive.iter().map(|e| (true, e));
    let requests = stats.blkio.io_serviced_recursive.iter().map(|e| (false, e));
    for (are_bytes, entry) in bytes.chain(requests) {
        let device = devices.entry((entry.major, entry.minor)).or_default();
        (device.major, device.minor) = (entry.major, entry.minor);
        let field = match (are_bytes, entry.op.to_ascii_lowercase().as_str()) {
            (true, "read") => &mut device.rbytes,
            (true, "write") => &mut device.wbytes,
            (false, "read") => &mut device.rios,
            (false, "write") => &mut device.wios,
            _ => continue,
        };
        *field = entry.value;
    }
    devices.into_values().collect()
}

fn memory_v2(stats: &Stats) -> v2::Memory {
    let raw = lookup(&stats.memory.raw);
    // Told together with memory, as v1 does.
    let swap = |both: u64, memory: u64| {
        if both == u64::MAX {
            both
        } else {
            both.saturating_sub(memory)
        }
    };
    let (usage, both) = (&stats.memory.usage, &stats.memory.swap);
    v2::Memory {
        anon: raw("anon"),
        file: raw("file"),
        kernel_stack: raw("kernel_stack"),
        slab: raw("slab"),
        sock: raw("sock"),
        shmem: raw("shmem"),
        file_mapped: raw("file_mapped"),
        file_dirty: raw("file_dirty"),
        file_writeback: raw("file_writeback"),
        anon_thp: raw("anon_thp"),
        inactive_anon: raw("inactive_anon"),
        active_anon: raw("active_anon"),
        inactive_file: raw("inactive_file"),
        active_file: raw("active_file"),
        unevictable: raw("unevictable"),
        slab_reclaimable: raw("slab_reclaimable"),
        slab_unreclaimable: raw("slab_unreclaimable"),
        pgfault: raw("pgfault"),
        pgmajfault: raw("pgmajfault"),
        workingset_refault: raw("workingset_refault_anon") + raw("workingset_refault_file"),
        workingset_activate: raw("workingset_activate_anon") + raw("workingset_activate_file"),
        workingset_nodereclaim: raw("workingset_nodereclaim"),
        pgrefill: raw("pgrefill"),
        pgscan: raw("pgscan"),
        pgsteal: raw("pgsteal"),
        pgactivate: raw("pgactivate"),
        pgdeactivate: raw("pgdeactivate"),
        pglazyfree: raw("pglazyfree"),
        pglazyfreed: raw("pglazyfreed"),
        thp_fault_alloc: raw("thp_fault_alloc"),
        thp_collapse_alloc: raw("thp_collapse_alloc"),
        usage: usage.usage,
        usage_limit: usage.limit,
        swap_usage: swap(both.usage, usage.usage),
        swap_limit: swap(both.limit, usage.limit),
        max_usage: usage.max,
        swap_max_usage: 0,
        psi: stats.memory.psi.as_ref().map(pressure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(op: &str, value: u64) -> BlockIoEntry {
        BlockIoEntry {
            major: 8,
            minor: 1,
            op: op.to_owned(),
            value,
        }
    }

    #[test]
    fn the_traffic_of_a_device_is_one_entry() {
        let mut stats = Stats::default();
        stats.blkio.io_service_bytes_recursive = vec![entry("Read", 10), entry("Write", 20)];
        stats.blkio.io_serviced_recursive = vec![entry("Read", 1), entry("Write", 2), entry("Total", 3)];
        let [device] = traffic(&stats).try_into().unwrap();
        assert_eq!((device.major, device.minor), (8, 1));
        assert_eq!(
            (device.rbytes, device.wbytes, device.rios, device.wios),
            (10, 20, 1, 2)
        );
    }

    #[test]
    fn swap_alone_is_told_from_memory_and_swap_together() {
        let mut stats = Stats::default();
        stats.memory.usage = MemoryUsage {
            usage: 5,
            limit: 10,
            ..MemoryUsage::default()
        };
        stats.memory.swap = MemoryUsage {
            usage: 7,
            limit: u64::MAX,
            ..MemoryUsage::default()
        };
        let memory = memory_v2(&stats);
        assert_eq!((memory.swap_usage, memory.swap_limit), (2, u64::MAX));
    }

    #[test]
    fn processor_time_is_in_nanoseconds_on_v1_and_in_microseconds_on_v2() {
        let mut stats = Stats::default();
        stats.cpu.usage.total = 3_000_000;
        assert_eq!(of_v1(&stats).cpu.unwrap().usage.unwrap().total, 3_000_000);
        assert_eq!(of_v2(&stats).cpu.unwrap().usage_usec, 3_000);
    }
}
