//! Pods on disk: one folder each, under `{root}/pods/{name}`.
//!
//! ```text
//! pod.json      what was launched: the accepted Kubernetes Pod object, the spec, the run options; written once
//! status.json   the published status, replaced atomically when it changes
//! record.json   what recovery needs, replaced atomically before the effect it announces
//! events.jsonl  one event a line
//! logs/         {container}/{restartCount}.log, CRI format
//! lock          held by the supervisor all its life: held = alive
//! control.sock  where the supervisor takes requests
//! bundles/ volumes/ files/ ns/   what exists only while the pod does
//! ```
//!
//! Files are replaced by rename and not synced: the root is a tmpfs in practice, and what a power cut could tear is
//! gone with the processes it speaks of.

mod event;
mod layout;
mod lock;
mod record;
mod remove_tree;
mod status;

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_supervise::atomic::write_atomic;

use crate::error::EngineError;

pub(crate) use event::{EventLog, rfc3339};
pub(crate) use lock::wait_until_free;
pub(crate) use record::{
    ContainerRecord, ContainerStage, Launched, ProcessId, Record, SandboxStage, boot_id,
};
pub(crate) use remove_tree::remove_tree;

pub use event::PodEvent;
pub use layout::{PodDir, is_pod_name};
pub use status::Published;

/// All pods of one root.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The pods below `root`. No I/O.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    /// The names of all pods that have a record, sorted.
    ///
    /// # Errors
    /// When the folder exists and cannot be read.
    pub fn list(&self) -> Result<Vec<String>, EngineError> {
        let folder = self.root.join("pods");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(file_error("read", &folder, source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|source| file_error("read", &folder, source))?;
            if let Some(name) = entry.file_name().to_str().filter(|name| is_pod_name(name)) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The folder of a pod that has a record.
    ///
    /// # Errors
    /// When there is no such pod or `name` is not a pod's name.
    pub fn open(&self, name: &str) -> Result<PodDir, EngineError> {
        let dir = self.dir(name)?;
        if dir.path().is_dir() {
            Ok(dir)
        } else {
            Err(EngineError::NotFound { name: name.into() })
        }
    }

    /// Takes the supervisor's lock of a name, making the folder (0700) if need be. The claim says what it found there.
    ///
    /// # Errors
    /// [`EngineError::Running`] when somebody holds it.
    pub fn claim(&self, name: &str) -> Result<Claim, EngineError> {
        let dir = self.dir(name)?;
        loop {
            make_private_dir(dir.path())?;
            match lock::try_lock(&dir.lock()) {
                Ok(Some(lock)) => return Ok(Claim { dir, _lock: lock }),
                Ok(None) => return Err(EngineError::Running { name: name.into() }),
                // Somebody deleted the folder in between: make it again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(file_error("lock", &dir.lock(), source)),
            }
        }
    }

    /// As [`Store::claim`], but only of a pod that has a record.
    ///
    /// # Errors
    /// As [`Store::claim`], and when there is no such pod.
    pub(crate) fn claim_existing(&self, name: &str) -> Result<Claim, EngineError> {
        self.open(name)?;
        self.claim(name)
    }

    fn dir(&self, name: &str) -> Result<PodDir, EngineError> {
        if is_pod_name(name) {
            Ok(PodDir::new(&self.root, name))
        } else {
            Err(EngineError::BadName { name: name.into() })
        }
    }
}

/// The lock of a pod's supervisor, held until dropped. Only its holder writes to the pod's folder.
#[derive(Debug)]
pub struct Claim {
    dir: PodDir,
    _lock: lock::Lock,
}

impl Claim {
    /// The pod's folder.
    pub fn dir(&self) -> &PodDir {
        &self.dir
    }

    /// True when nobody has lived here yet.
    ///
    /// # Errors
    /// When the folder cannot be looked at.
    pub(crate) fn is_new(&self) -> Result<bool, EngineError> {
        for path in [self.dir.launched(), self.dir.record(), self.dir.status()] {
            match path.symlink_metadata() {
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(file_error("look at", &path, source)),
            }
        }
        Ok(true)
    }

    /// Removes everything in the folder but the lock and the socket, so that a new life can begin. Nothing may be mounted there.
    pub(crate) fn clear(&self) -> Result<(), EngineError> {
        let path = self.dir.path();
        let entries = fs::read_dir(path).map_err(|source| file_error("read", path, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| file_error("read", path, source))?;
            if entry.file_name() == "lock" || entry.file_name() == "control.sock" {
                continue;
            }
            let path = entry.path();
            remove_tree(&path).map_err(|source| file_error("remove", &path, source))?;
        }
        Ok(())
    }

    /// Removes the folder, lock and all. Nothing may be mounted there.
    pub(crate) fn remove(self) -> Result<(), EngineError> {
        self.clear()?;
        let control = self.dir.control();
        remove_tree(&control).map_err(|source| file_error("remove", &control, source))?;
        let lock = self.dir.lock();
        fs::remove_file(&lock).map_err(|source| file_error("remove", &lock, source))?;
        match fs::remove_dir(self.dir.path()) {
            // Not empty: somebody claimed the name the moment its lock was gone.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            result => result.map_err(|source| file_error("remove", self.dir.path(), source)),
        }
    }
}

impl PodDir {
    /// Every event so far; a torn line is left out.
    ///
    /// # Errors
    /// When the file exists and cannot be read.
    pub fn read_events(&self) -> Result<Vec<PodEvent>, EngineError> {
        match fs::read(self.events()) {
            Ok(text) => Ok(event::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(file_error("read", &self.events(), source)),
        }
    }

    /// True while the pod has a supervisor.
    ///
    /// # Errors
    /// When the lock cannot be looked at.
    pub fn is_supervised(&self) -> Result<bool, EngineError> {
        lock::is_held(&self.lock()).map_err(|source| file_error("look at", &self.lock(), source))
    }

    pub(crate) fn read_launched(&self) -> Result<Option<Launched>, EngineError> {
        read_json(&self.launched())
    }

    pub(crate) fn read_record(&self) -> Result<Option<Record>, EngineError> {
        read_json(&self.record())
    }

    /// True when the pod's life is over and nothing of it is left, as far as its record says.
    pub(crate) fn has_ended(&self) -> bool {
        let published = self.read_published().ok().flatten();
        let record = self.read_record().ok().flatten();
        has_ended(published.as_ref(), record.as_ref())
    }

    pub(crate) fn read_published(&self) -> Result<Option<Published>, EngineError> {
        read_json(&self.status())
    }
}

/// True when the pod's life is over and nothing of it is left, as far as its record says.
pub(crate) fn has_ended(published: Option<&Published>, record: Option<&Record>) -> bool {
    published.is_some_and(|published| published.status.finished_at.is_some())
        && record.is_some_and(|record| record.sandbox == SandboxStage::Absent && record.containers.is_empty())
}

/// Replaces a file by one that holds `content` as JSON, mode 0600.
pub(crate) fn write_json(path: &Path, content: &impl Serialize) -> Result<(), EngineError> {
    let bytes = serde_json::to_vec(content).map_err(|source| EngineError::Content {
        path: path.into(),
        source,
    })?;
    write_atomic(path, &bytes, 0o600).map_err(|source| file_error("write", path, source))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EngineError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(file_error("read", path, source)),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| EngineError::Content {
            path: path.into(),
            source,
        })
}

pub(crate) fn file_error(operation: &'static str, path: &Path, source: io::Error) -> EngineError {
    EngineError::File {
        operation,
        path: path.into(),
        source,
    }
}

/// Makes a folder and those above it that only we may enter: containers' files are below.
pub(crate) fn make_private_dir(path: &Path) -> Result<(), EngineError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| file_error("create", path, source))
}

#[cfg(test)]
mod tests;
