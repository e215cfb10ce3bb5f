//! The runtime's processes that a dead supervisor left half-way.
//!
//! A `create` that is still under way would make a container after everything was removed. So it is ended first, with
//! all that it has started, but not the containers' own processes, which have a life to be ended in order.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tenure_supervise::pidfd::PidFd;

use crate::store::PodDir;

/// What makes or removes a container.
const OPERATIONS: [&[u8]; 4] = [b"create", b"start", b"exec", b"delete"];

/// Kills the runtime's processes for this pod and waits for their ends.
pub(super) async fn settle(dir: &PodDir, binary: &Path) -> io::Result<()> {
    for pid in operations(dir, binary)? {
        // Whoever has the number now is asked again once we hold it.
        let Some(process) = open(pid)? else { continue };
        if !is_operation(dir, binary, pid) {
            continue;
        }
        let offspring = offspring(dir, pid)?;
        for process in std::iter::once(&process).chain(&offspring) {
            match process.signal(nix::libc::SIGKILL) {
                Err(error) if error.raw_os_error() != Some(nix::libc::ESRCH) => return Err(error),
                _ => {}
            }
        }
        for process in std::iter::once(&process).chain(&offspring) {
            process.ended().await?;
        }
    }
    Ok(())
}

/// The runtime's processes that work on a container of this pod.
pub(super) fn operations(dir: &PodDir, binary: &Path) -> io::Result<Vec<i32>> {
    let mut found = pids()?;
    found.retain(|pid| is_operation(dir, binary, *pid));
    Ok(found)
}

fn is_operation(dir: &PodDir, binary: &Path, pid: i32) -> bool {
    let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let prefix = format!("{}_", dir.name());
    let mut arguments = command.split(|byte| *byte == 0);
    let Some(program) = arguments.next() else {
        return false;
    };
    let arguments: Vec<_> = arguments.collect();
    let is_ours = arguments
        .iter()
        .any(|argument| argument.starts_with(prefix.as_bytes()));
    let works = arguments.iter().any(|argument| OPERATIONS.contains(argument));
    is_ours && works && is_runtime(program, binary, pid)
}

/// By its first argument, or by what it executes: a runtime may run from a copy of itself.
fn is_runtime(program: &[u8], binary: &Path, pid: i32) -> bool {
    let program = Path::new(OsStr::from_bytes(program));
    program == binary
        || fs::read_link(format!("/proc/{pid}/exe"))
            .is_ok_and(|exe| fs::canonicalize(binary).is_ok_and(|binary| exe == binary))
}

/// The processes below an operation, containers' inits excepted.
fn offspring(dir: &PodDir, ancestor: i32) -> io::Result<Vec<PidFd>> {
    let recorded: BTreeSet<i32> = dir
        .read_record()
        .ok()
        .flatten()
        .map(|record| {
            let inits = record.containers.values().filter_map(|container| container.init);
            inits.map(|init| init.pid).collect()
        })
        .unwrap_or_default();
    let mut parents = BTreeMap::new();
    for pid in pids()? {
        if let Some(parent) = parent(pid) {
            parents.insert(pid, parent);
        }
    }
    let mut found = Vec::new();
    let mut family = BTreeSet::from([ancestor]);
    loop {
        let more: Vec<i32> = parents
            .iter()
            .filter(|(pid, parent)| family.contains(parent) && !family.contains(pid))
            .map(|(pid, _)| *pid)
            .filter(|pid| !recorded.contains(pid))
            .collect();
        if more.is_empty() {
            return Ok(found);
        }
        for pid in more {
            family.insert(pid);
            // Whoever has the number now is asked again once we hold it.
            if let Some(process) = open(pid)?
                && parent(pid) == parents.get(&pid).copied()
            {
                found.push(process);
            }
        }
    }
}

fn parent(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

fn open(pid: i32) -> io::Result<Option<PidFd>> {
    match PidFd::open(pid) {
        Ok(process) => Ok(Some(process)),
        Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All processes.
pub(super) fn pids() -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            pids.push(pid);
        }
    }
    Ok(pids)
}
