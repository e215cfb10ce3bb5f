//! `io.containerd.cgroups.v1.Metrics`: times in nanoseconds, memory in bytes.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metrics {
    #[prost(message, repeated, tag = "1")]
    pub(crate) hugetlb: Vec<Hugetlb>,
    #[prost(message, optional, tag = "2")]
    pub(crate) pids: Option<Pids>,
    #[prost(message, optional, tag = "3")]
    pub(crate) cpu: Option<Cpu>,
    #[prost(message, optional, tag = "4")]
    pub(crate) memory: Option<Memory>,
    #[prost(message, optional, tag = "5")]
    pub(crate) blkio: Option<BlockIo>,
    #[prost(message, optional, tag = "9")]
    pub(crate) memory_oom_control: Option<OomControl>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Hugetlb {
    #[prost(uint64, tag = "1")]
    pub(crate) usage: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) max: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) failcnt: u64,
    #[prost(string, tag = "4")]
    pub(crate) pagesize: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Pids {
    #[prost(uint64, tag = "1")]
    pub(crate) current: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) limit: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Cpu {
    #[prost(message, optional, tag = "1")]
    pub(crate) usage: Option<CpuUsage>,
    #[prost(message, optional, tag = "2")]
    pub(crate) throttling: Option<Throttle>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CpuUsage {
    #[prost(uint64, tag = "1")]
    pub(crate) total: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) kernel: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) user: u64,
    #[prost(uint64, repeated, tag = "4")]
    pub(crate) per_cpu: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Throttle {
    #[prost(uint64, tag = "1")]
    pub(crate) periods: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) throttled_periods: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) throttled_time: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Memory {
    #[prost(uint64, tag = "1")]
    pub(crate) cache: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) rss: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) rss_huge: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) mapped_file: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) dirty: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) writeback: u64,
    #[prost(uint64, tag = "7")]
    pub(crate) pg_pg_in: u64,
    #[prost(uint64, tag = "8")]
    pub(crate) pg_pg_out: u64,
    #[prost(uint64, tag = "9")]
    pub(crate) pg_fault: u64,
    #[prost(uint64, tag = "10")]
    pub(crate) pg_maj_fault: u64,
    #[prost(uint64, tag = "11")]
    pub(crate) inactive_anon: u64,
    #[prost(uint64, tag = "12")]
    pub(crate) active_anon: u64,
    #[prost(uint64, tag = "13")]
    pub(crate) inactive_file: u64,
    #[prost(uint64, tag = "14")]
    pub(crate) active_file: u64,
    #[prost(uint64, tag = "15")]
    pub(crate) unevictable: u64,
    #[prost(uint64, tag = "16")]
    pub(crate) hierarchical_memory_limit: u64,
    #[prost(uint64, tag = "17")]
    pub(crate) hierarchical_swap_limit: u64,
    #[prost(uint64, tag = "18")]
    pub(crate) total_cache: u64,
    #[prost(uint64, tag = "19")]
    pub(crate) total_rss: u64,
    #[prost(uint64, tag = "20")]
    pub(crate) total_rss_huge: u64,
    #[prost(uint64, tag = "21")]
    pub(crate) total_mapped_file: u64,
    #[prost(uint64, tag = "22")]
    pub(crate) total_dirty: u64,
    #[prost(uint64, tag = "23")]
    pub(crate) total_writeback: u64,
    #[prost(uint64, tag = "24")]
    pub(crate) total_pg_pg_in: u64,
    #[prost(uint64, tag = "25")]
    pub(crate) total_pg_pg_out: u64,
    #[prost(uint64, tag = "26")]
    pub(crate) total_pg_fault: u64,
    #[prost(uint64, tag = "27")]
    pub(crate) total_pg_maj_fault: u64,
    #[prost(uint64, tag = "28")]
    pub(crate) total_inactive_anon: u64,
    #[prost(uint64, tag = "29")]
    pub(crate) total_active_anon: u64,
    #[prost(uint64, tag = "30")]
    pub(crate) total_inactive_file: u64,
    #[prost(uint64, tag = "31")]
    pub(crate) total_active_file: u64,
    #[prost(uint64, tag = "32")]
    pub(crate) total_unevictable: u64,
    #[prost(message, optional, tag = "33")]
    pub(crate) usage: Option<MemoryEntry>,
    #[prost(message, optional, tag = "34")]
    pub(crate) swap: Option<MemoryEntry>,
    #[prost(message, optional, tag = "35")]
    pub(crate) kernel: Option<MemoryEntry>,
    #[prost(message, optional, tag = "36")]
    pub(crate) kernel_tcp: Option<MemoryEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MemoryEntry {
    #[prost(uint64, tag = "1")]
    pub(crate) limit: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) usage: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) max: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) failcnt: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BlockIo {
    #[prost(message, repeated, tag = "1")]
    pub(crate) io_service_bytes_recursive: Vec<BlockIoEntry>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) io_serviced_recursive: Vec<BlockIoEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BlockIoEntry {
    #[prost(string, tag = "1")]
    pub(crate) op: String,
    #[prost(string, tag = "2")]
    pub(crate) device: String,
    #[prost(uint64, tag = "3")]
    pub(crate) major: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) minor: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) value: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OomControl {
    #[prost(uint64, tag = "1")]
    pub(crate) oom_kill_disable: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) under_oom: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) oom_kill: u64,
}
