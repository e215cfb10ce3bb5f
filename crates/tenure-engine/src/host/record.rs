//! The pod's record, kept on disk ahead of what it announces.

use std::path::PathBuf;

use tenure_supervise::process::start_time;

use crate::error::EngineError;
use crate::store::{PodDir, ProcessId, Record, SandboxStage, boot_id, write_json};

/// A record and its file.
#[derive(Debug)]
pub(crate) struct RecordFile {
    path: PathBuf,
    record: Record,
}

impl RecordFile {
    /// The record of a pod that we begin to make, or with `Absent` of one of which nothing is left; written.
    pub(crate) fn begin(dir: &PodDir, sandbox: SandboxStage) -> Result<Self, EngineError> {
        Self::take_over(
            dir,
            Record {
                boot_id: boot_id(),
                supervisor: ourselves()?,
                cgroup: dir.cgroup(),
                sandbox,
                pod_init: None,
                containers: std::collections::BTreeMap::new(),
            },
        )
    }

    /// The record of a pod that somebody else left, written with us as its supervisor.
    pub(crate) fn take_over(dir: &PodDir, record: Record) -> Result<Self, EngineError> {
        let mut file = Self {
            path: dir.record(),
            record,
        };
        let supervisor = ourselves()?;
        file.update(|record| record.supervisor = supervisor)?;
        Ok(file)
    }

    /// Changes the record and writes it. After an error the file holds what it held before.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut Record)) -> Result<(), EngineError> {
        change(&mut self.record);
        write_json(&self.path, &self.record)
    }

    /// Changes the record, to be written with the next update: for what recovery finds out by itself, such as that
    /// something is gone that the record still has.
    pub(crate) fn note(&mut self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record);
    }
}

fn ourselves() -> Result<ProcessId, EngineError> {
    let pid = i32::try_from(std::process::id()).unwrap_or_default();
    let start_time = start_time(pid).map_err(|source| EngineError::Process {
        operation: "read our own start time",
        source,
    })?;
    Ok(ProcessId { pid, start_time })
}
