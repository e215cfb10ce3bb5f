//! `tenure update`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use tenure_runtime::oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

use super::size;
use crate::context::Context;
use crate::exit::{Code, CommandError};

/// No description of limits is larger.
const LARGEST: u64 = 16 << 20;

/// Changes the limits of a container that exists
///
/// Only what is named changes. Sizes take K, M, G, T, counted in 1024s; -1 is "without limit".
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure update --memory 512M --memory-swap 1G hello\n  tenure update --pids-limit -1 \
                        hello\n  echo '{\"cpu\":{\"shares\":512}}' | tenure update --resources - hello"
)]
pub(crate) struct UpdateArgs {
    /// Limits as linux.resources of config.json has them; - reads stdin; other options are ignored then
    #[arg(short, long, value_name = "FILE")]
    resources: Option<PathBuf>,
    #[command(flatten)]
    memory: MemoryOptions,
    #[command(flatten)]
    cpu: CpuOptions,
    /// Weight of block I/O, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<u16>,
    /// Most processes at a time; -1 for any number
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    /// Intel RDT's cache schema
    #[arg(long, value_name = "SCHEMA", hide = true)]
    l3_cache_schema: Option<String>,
    /// Intel RDT's memory bandwidth schema
    #[arg(long, value_name = "SCHEMA", hide = true)]
    mem_bw_schema: Option<String>,
    /// The container
    #[arg(value_name = "ID")]
    id: String,
}

/// Options about memory.
#[derive(Debug, Args)]
struct MemoryOptions {
    /// Memory
    #[arg(long, value_name = "BYTES", value_parser = size::bytes, allow_hyphen_values = true)]
    memory: Option<i64>,
    /// Memory that is left to the container when the host runs short
    #[arg(long, value_name = "BYTES", value_parser = size::bytes, allow_hyphen_values = true)]
    memory_reservation: Option<i64>,
    /// Memory and swap together
    #[arg(long, value_name = "BYTES", value_parser = size::bytes, allow_hyphen_values = true)]
    memory_swap: Option<i64>,
    /// Without effect, as in runc: kernels have no such limit any more
    #[arg(long, value_name = "BYTES", value_parser = size::bytes, allow_hyphen_values = true, hide = true)]
    kernel_memory: Option<i64>,
    /// Without effect, as in runc
    #[arg(long, value_name = "BYTES", value_parser = size::bytes, allow_hyphen_values = true, hide = true)]
    kernel_memory_tcp: Option<i64>,
}

/// Options about processors.
#[derive(Debug, Args)]
struct CpuOptions {
    /// Period of the quota in microseconds
    #[arg(long, value_name = "US")]
    cpu_period: Option<u64>,
    /// Processor time in each period in microseconds; -1 for any
    #[arg(long, value_name = "US", allow_hyphen_values = true)]
    cpu_quota: Option<i64>,
    /// Unused quota that may be saved up, in microseconds
    #[arg(long, value_name = "US")]
    cpu_burst: Option<u64>,
    /// Weight against other containers, 2 to 262144
    #[arg(long, value_name = "SHARES", alias = "cpu-shares")]
    cpu_share: Option<u64>,
    /// Period of the real-time quota in microseconds
    #[arg(long, value_name = "US")]
    cpu_rt_period: Option<u64>,
    /// Real-time quota in microseconds
    #[arg(long, value_name = "US", allow_hyphen_values = true)]
    cpu_rt_runtime: Option<i64>,
    /// 1 to run only when nothing else wants to
    #[arg(long, value_name = "0|1", allow_hyphen_values = true)]
    cpu_idle: Option<i64>,
    /// Processors, as in 0-2,7
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes, as in 0-1
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
}

/// Changes a container's limits.
///
/// # Errors
/// When there is no such container, it has stopped, or a limit cannot be had; all limits are as before then.
pub(crate) fn execute(context: &Context, args: &UpdateArgs) -> Result<Code, CommandError> {
    let id = super::container_id(&args.id)?;
    if args.l3_cache_schema.is_some() || args.mem_bw_schema.is_some() {
        return Err(CommandError::message(
            "Intel RDT (--l3-cache-schema, --mem-bw-schema) is not supported",
        ));
    }
    let resources = match &args.resources {
        Some(file) => read(file)?,
        None => from_options(args),
    };
    context.runtime()?.update(&id, &resources)?;
    Ok(Code::SUCCESS)
}

/// Reads limits from a file or standard input.
fn read(file: &Path) -> Result<LinuxResources, CommandError> {
    let mut bytes = Vec::new();
    let read = if file.as_os_str() == "-" {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    if bytes.len() as u64 > LARGEST {
        return Err(anyhow!("{} is larger than 16 MiB", file.display()).into());
    }
    Ok(tenure_runtime::parse_resources(&bytes)?)
}

/// The limits that the options name.
fn from_options(args: &UpdateArgs) -> LinuxResources {
    let MemoryOptions {
        memory: limit,
        memory_reservation,
        memory_swap,
        kernel_memory,
        kernel_memory_tcp,
    } = args.memory;
    if kernel_memory.is_some() || kernel_memory_tcp.is_some() {
        tracing::warn!("--kernel-memory and --kernel-memory-tcp have no effect");
    }
    let mut memory = LinuxMemory::default();
    memory
        .set_limit(limit)
        .set_reservation(memory_reservation)
        .set_swap(memory_swap);
    let mut block_io = LinuxBlockIo::default();
    block_io.set_weight(args.blkio_weight);
    let pids = args.pids_limit.map(|limit| {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit);
        pids
    });
    let mut resources = LinuxResources::default();
    resources
        .set_memory(Some(memory))
        .set_cpu(Some(cpu(&args.cpu)))
        .set_block_io(args.blkio_weight.map(|_| block_io))
        .set_pids(pids);
    resources
}

/// The limits of processors.
fn cpu(options: &CpuOptions) -> LinuxCpu {
    let mut cpu = LinuxCpu::default();
    cpu.set_period(options.cpu_period)
        .set_quota(options.cpu_quota)
        .set_burst(options.cpu_burst)
        .set_shares(options.cpu_share)
        .set_realtime_period(options.cpu_rt_period)
        .set_realtime_runtime(options.cpu_rt_runtime)
        .set_idle(options.cpu_idle)
        .set_cpus(options.cpuset_cpus.clone())
        .set_mems(options.cpuset_mems.clone());
    cpu
}
