//! What a container uses, and how often it ran out of memory.
//!
//! Serialised, [`Stats`] is the `data` of runc's stats event, with the same fields left out where they are zero.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use serde::Serialize;

use crate::cgroup::OomWatch;
use crate::status::{Judged, judge};
use crate::store::{Entry, Record};
use crate::{Error, Status};

/// Figures of one container at one moment. Those that the host's kernel does not count are zero or empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Processor time.
    pub cpu: CpuStats,
    /// Processors and memory nodes it may use.
    pub cpuset: CpusetStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Processes and threads.
    pub pids: PidsStats,
    /// Block devices.
    pub blkio: BlockIoStats,
    /// Huge pages, by size (`2MB`).
    pub hugetlb: BTreeMap<String, HugetlbStats>,
}

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CpuStats {
    /// Time used since the container was made.
    pub usage: CpuUsage,
    /// Time it was kept from running by its quota.
    pub throttling: Throttling,
    /// How much its tasks waited for processors (v2 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// Processor time used, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpuUsage {
    /// In all.
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
    /// By processor (v1 only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// By processor, in the kernel (v1 only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// By processor, in programs (v1 only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// In programs.
    pub user: u64,
}

/// What a processor quota did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    /// Periods that have passed while it had something to run.
    #[serde(skip_serializing_if = "is_zero")]
    pub periods: u64,
    /// Periods in which it used its quota up.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    /// Time it had to wait, in nanoseconds, over all processors.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

/// Pressure stall information: time in which tasks could not go on for want of something.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pressure {
    /// At least one task waited.
    pub some: PressureLine,
    /// All tasks waited.
    pub full: PressureLine,
}

/// One line of pressure stall information.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PressureLine {
    /// Percent of the last 10 seconds.
    pub avg10: f64,
    /// Percent of the last 60 seconds.
    pub avg60: f64,
    /// Percent of the last 300 seconds.
    pub avg300: f64,
    /// Microseconds since the container was made.
    pub total: u64,
}

/// What a v1 cpuset holds; empty on v2 but for its lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpusetStats {
    /// Processors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    /// `cpuset.cpu_exclusive`.
    pub cpu_exclusive: u64,
    /// Memory nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    /// `cpuset.mem_hardwall`.
    pub mem_hardwall: u64,
    /// `cpuset.mem_exclusive`.
    pub mem_exclusive: u64,
    /// `cpuset.memory_migrate`.
    pub memory_migrate: u64,
    /// `cpuset.memory_spread_page`.
    pub memory_spread_page: u64,
    /// `cpuset.memory_spread_slab`.
    pub memory_spread_slab: u64,
    /// `cpuset.memory_pressure`.
    pub memory_pressure: u64,
    /// `cpuset.sched_load_balance`.
    pub sched_load_balance: u64,
    /// `cpuset.sched_relax_domain_level`.
    pub sched_relax_domain_level: i64,
}

/// Memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemoryStats {
    /// Of its usage, the page cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache: u64,
    /// Memory.
    pub usage: MemoryUsage,
    /// Memory and swap together, on v2 too.
    pub swap: MemoryUsage,
    /// Memory of the kernel on its behalf (v1 only).
    pub kernel: MemoryUsage,
    /// Buffers of TCP (v1 only).
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryUsage,
    /// `memory.stat` as it is: bytes, pages or counts by the kernel's names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    /// How much its tasks waited for memory (v2 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// A kind of memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryUsage {
    /// The most it may use; `u64::MAX` (v2) or nearly `i64::MAX` (v1) without limit.
    pub limit: u64,
    /// What it uses.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// The most it has used.
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often it was refused more.
    pub failcnt: u64,
}

/// Processes and threads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PidsStats {
    /// How many there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    /// How many there may be; 0 without limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// Traffic with block devices since the container was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockIoStats {
    /// Bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlockIoEntry>,
    /// Requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlockIoEntry>,
    /// How much its tasks waited for block devices (v2 only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// One kind of traffic with one block device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlockIoEntry {
    /// The device's major number.
    #[serde(skip_serializing_if = "is_zero")]
    pub major: u64,
    /// The device's minor number.
    #[serde(skip_serializing_if = "is_zero")]
    pub minor: u64,
    /// `Read`, `Write`, on v1 also `Sync`, `Async`, `Discard`, `Total`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    /// Bytes or requests.
    #[serde(skip_serializing_if = "is_zero")]
    pub value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HugetlbStats {
    /// In use.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// The most in use so far (v1 only).
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often more were refused.
    pub failcnt: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Reads the figures of a container whose init lives.
pub(crate) fn stats(entry: &Entry) -> Result<Stats, Error> {
    alive(entry)?.0.cgroups.stats()
}

/// Init's pidfd.
pub(crate) fn init(entry: &Entry) -> Result<OwnedFd, Error> {
    alive(entry).map(|(_, init)| init)
}

/// Watches for the container's running out of memory.
pub(crate) fn watch_oom(entry: &Entry) -> Result<OomWatch, Error> {
    alive(entry)?.0.cgroups.watch_oom()
}

fn alive(entry: &Entry) -> Result<(Record, OwnedFd), Error> {
    let record = entry.load()?;
    let Judged { status, init } = judge(entry, &record);
    match init.filter(|_| status != Status::Creating) {
        Some(init) => Ok((record, init)),
        None => Err(Error::NotRunning {
            id: entry.id.to_string(),
            status,
        }),
    }
}
