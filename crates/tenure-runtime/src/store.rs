//! Where containers are remembered: one directory each, below `{root}/containers`.
//!
//! ```text
//! ID/state.json    the record, replaced atomically, written before the effect it announces
//!    config.json   the configuration as it was at create; the bundle may change or vanish later
//!    config.lock   held by an `update`, from reading the configuration to replacing it
//!    start.fifo    read by init until the program starts: who can open it for writing may start it
//!    exec.fifo     written by init if the program cannot be executed; closed by a successful exec
//! ```
//!
//! Writers hold an exclusive `flock` on the directory itself. Readers need none.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroups;
use crate::process::ProcessKey;
use crate::{ContainerId, Error, Status, rootfs, seccomp, small_file};

/// The record's file name.
const STATE: &str = "state.json";
/// Its name while it is written.
const STATE_TMP: &str = ".state.json.tmp";
/// The configuration's file name.
const CONFIG: &str = "config.json";
/// Its name while it is changed.
const CONFIG_TMP: &str = ".config.json.tmp";
/// Held locked by whoever changes the configuration.
const CONFIG_LOCK: &str = "config.lock";

/// What must survive the processes that know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) oci_version: String,
    pub(crate) id: String,
    /// Absolute.
    pub(crate) bundle: PathBuf,
    /// Absolute.
    pub(crate) rootfs: PathBuf,
    /// RFC 3339, UTC.
    pub(crate) created: String,
    /// Effective uid of the creator.
    pub(crate) owner: u32,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    /// The process that creates the container.
    pub(crate) creator: ProcessKey,
    /// Init, once it exists.
    #[serde(default)]
    pub(crate) init: Option<ProcessKey>,
    /// Whether init's set-up is complete.
    #[serde(default)]
    pub(crate) ready: bool,
    /// The cgroups, named before they are made.
    #[serde(default)]
    pub(crate) cgroups: Cgroups,
    /// Whether the container has a user namespace of its own.
    #[serde(default)]
    pub(crate) user_namespace: bool,
    /// Whether the end of init ends all processes.
    #[serde(default)]
    pub(crate) private_pid_namespace: bool,
    /// Whether the configuration has to be read again for hooks when the container starts.
    #[serde(default = "not_told")]
    pub(crate) poststart: bool,
    /// Whether the configuration has to be read again for hooks when the container is deleted.
    #[serde(default = "not_told")]
    pub(crate) poststop: bool,
    /// The number of the root's mount, of a container that has no mount namespace: it is to be unmounted at the end.
    #[serde(default)]
    pub(crate) root_mount: Option<u64>,
}

/// A record of an older version may be of a configuration with hooks.
const fn not_told() -> bool {
    true
}

impl Record {
    /// The state of the container in the words of the OCI runtime specification, for hooks and seccomp listeners.
    pub(crate) fn oci_state(&self, status: Status, pid: Option<i32>) -> serde_json::Value {
        let mut state = serde_json::json!({
            "ociVersion": self.oci_version,
            "id": self.id,
            "status": status,
            "bundle": self.bundle,
            "annotations": self.annotations,
        });
        if let Some(pid) = pid {
            state["pid"] = pid.into();
        }
        state
    }

    /// Unmounts the root of a container that has no mount namespace, and all that is below.
    pub(crate) fn unmount(&self) -> Result<(), Error> {
        let unmount = |number| rootfs::shared::unmount(&self.rootfs, number);
        self.root_mount
            .map_or(Ok(()), unmount)
            .map_err(Error::file("unmount", &self.rootfs))
    }
}

/// All containers of one runtime root.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    containers: PathBuf,
    /// Compiled seccomp filters, which containers share.
    pub(crate) filters: seccomp::Cache,
}

/// One container's directory, held open.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: ContainerId,
    pub(crate) path: PathBuf,
    dir: OwnedFd,
}

impl Store {
    /// The store below a runtime root. Does no I/O.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            containers: root.join("containers"),
            filters: seccomp::Cache::new(root),
        }
    }

    /// Opens a container's directory.
    pub(crate) fn open(&self, id: &ContainerId) -> Result<Entry, Error> {
        let path = self.containers.join(id.as_str());
        match open_dir(&path) {
            Ok(dir) => Ok(Entry {
                id: id.clone(),
                path,
                dir,
            }),
            Err(rustix::io::Errno::NOENT) => Err(Error::NotFound { id: id.to_string() }),
            Err(error) => Err(Error::file("open", path)(error.into())),
        }
    }

    /// Makes a container's directory and locks it; fails if a container of that name has a record.
    pub(crate) fn create(&self, id: &ContainerId) -> Result<Entry, Error> {
        let path = self.containers.join(id.as_str());
        let builder = |recursive| {
            let mut builder = DirBuilder::new();
            builder.mode(0o700).recursive(recursive);
            builder
        };
        loop {
            match builder(false).create(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    builder(true)
                        .create(&self.containers)
                        .map_err(Error::file("create", &self.containers))?;
                    continue;
                }
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(Error::file("create", path)(error));
                }
                // A directory without a record is what a create left that was killed at its very start.
                Ok(()) | Err(_) => {}
            }
            let entry = match self.open(id) {
                Err(Error::NotFound { .. }) => continue,
                other => other?,
            };
            let exists = || Error::AlreadyExists { id: id.to_string() };
            if !entry.try_lock()? {
                return Err(exists());
            }
            if !entry.is_current() {
                continue;
            }
            return if entry.has_record() {
                Err(exists())
            } else {
                Ok(entry)
            };
        }
    }

    /// The names of all containers, sorted.
    pub(crate) fn ids(&self) -> Result<Vec<ContainerId>, Error> {
        let entries = match fs::read_dir(&self.containers) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(Error::file("read", &self.containers))?,
        };
        let mut ids: Vec<ContainerId> = entries
            .flatten()
            .filter_map(|e| e.file_name().to_str()?.parse().ok())
            .collect();
        ids.sort();
        Ok(ids)
    }
}

/// Opens a directory without following a link at its end.
fn open_dir(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(
        path,
        OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

impl Entry {
    /// The directory, for `openat` and its like.
    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Waits for the exclusive lock. `NotFound` if the container was removed meanwhile.
    pub(crate) fn lock(&self) -> Result<(), Error> {
        loop {
            match rustix::fs::flock(&self.dir, FlockOperation::LockExclusive) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Error::file("lock", &self.path)(error.into())),
                Ok(()) if self.is_current() => return Ok(()),
                Ok(()) => {
                    return Err(Error::NotFound {
                        id: self.id.to_string(),
                    });
                }
            }
        }
    }

    /// Gives the lock back for everybody who shares it: init is born with a copy of the locked descriptor, and would
    /// hold it until its program is executed.
    pub(crate) fn unlock(&self) -> Result<(), Error> {
        rustix::fs::flock(&self.dir, FlockOperation::Unlock)
            .map_err(|e| Error::file("unlock", &self.path)(e.into()))
    }

    /// Takes the exclusive lock if nobody holds it.
    fn try_lock(&self) -> Result<bool, Error> {
        match rustix::fs::flock(&self.dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(Error::file("lock", &self.path)(error.into())),
        }
    }

    /// Whether the directory held open is still the one at its path.
    fn is_current(&self) -> bool {
        let Ok(held) = rustix::fs::fstat(&self.dir) else {
            return false;
        };
        fs::symlink_metadata(&self.path).is_ok_and(|m| m.ino() == held.st_ino && m.dev() == held.st_dev)
    }

    fn has_record(&self) -> bool {
        rustix::fs::statat(&self.dir, STATE, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Reads the record. `NotFound` if there is none yet.
    pub(crate) fn load(&self) -> Result<Record, Error> {
        let bytes = self.read(STATE)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::BrokenRecord {
            id: self.id.to_string(),
            path: self.path.join(STATE),
            reason: error.to_string(),
        })
    }

    /// Replaces the record. The caller holds the lock.
    pub(crate) fn save(&self, record: &Record) -> Result<(), Error> {
        let bytes = serde_json::to_vec(record).map_err(|error| Error::BrokenRecord {
            id: self.id.to_string(),
            path: self.path.join(STATE),
            reason: error.to_string(),
        })?;
        self.write(STATE_TMP, &bytes)?;
        rustix::fs::renameat(&self.dir, STATE_TMP, &self.dir, STATE)
            .map_err(|error| Error::file("replace", self.path.join(STATE))(error.into()))
    }

    /// The configuration as saved by [`save_config`](Self::save_config).
    pub(crate) fn load_config(&self) -> Result<Vec<u8>, Error> {
        self.read(CONFIG)
    }

    /// Where the saved configuration is.
    pub(crate) fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Keeps the configuration for exec, and for the hooks that run at the end.
    pub(crate) fn save_config(&self, bytes: &[u8]) -> Result<(), Error> {
        self.write(CONFIG, bytes)
    }

    /// Waits for the right to change the configuration. It ends with the descriptor.
    ///
    /// The directory's own lock will not do: a start holds it while hooks run, and a hook may call `update`.
    pub(crate) fn lock_config(&self) -> Result<OwnedFd, Error> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fail = |error: rustix::io::Errno| Error::file("lock", self.path.join(CONFIG_LOCK))(error.into());
        let file =
            rustix::fs::openat(&self.dir, CONFIG_LOCK, flags, Mode::from_raw_mode(0o600)).map_err(fail)?;
        loop {
            match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.map(|()| file).map_err(fail),
            }
        }
    }

    /// Replaces the configuration atomically, once `effect` has succeeded. The caller holds
    /// [`lock_config`](Self::lock_config).
    ///
    /// The new one is on disk before the effect, so that a full disk leaves everything as it was.
    pub(crate) fn replace_config(
        &self,
        bytes: &[u8],
        effect: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.write(CONFIG_TMP, bytes)?;
        if let Err(error) = effect() {
            let _ = rustix::fs::unlinkat(&self.dir, CONFIG_TMP, AtFlags::empty());
            return Err(error);
        }
        rustix::fs::renameat(&self.dir, CONFIG_TMP, &self.dir, CONFIG)
            .map_err(|error| Error::file("replace", self.config_path())(error.into()))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = match rustix::fs::openat(&self.dir, name, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => {
                return Err(Error::NotFound {
                    id: self.id.to_string(),
                });
            }
            other => other.map_err(|error| Error::file("open", self.path.join(name))(error.into()))?,
        };
        small_file::read_open(&file).map_err(Error::file("read", self.path.join(name)))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&self.dir, name, flags, Mode::from_raw_mode(0o600))
            .map_err(|error| Error::file("create", self.path.join(name))(error.into()))?;
        fs::File::from(file)
            .write_all(bytes)
            .map_err(Error::file("write", self.path.join(name)))
    }

    /// Removes the directory, the record last.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        let entries = fs::read_dir(&self.path).map_err(Error::file("read", &self.path))?;
        for entry in entries.flatten().filter(|e| e.file_name() != STATE) {
            let path = entry.path();
            let removed = match entry.file_type() {
                Ok(kind) if kind.is_dir() => fs::remove_dir_all(&path),
                _ => fs::remove_file(&path),
            };
            removed.map_err(Error::file("remove", path))?;
        }
        match rustix::fs::unlinkat(&self.dir, STATE, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(Error::file("remove", self.path.join(STATE))(error.into())),
        }
        fs::remove_dir(&self.path).map_err(Error::file("remove", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str) -> Record {
        Record {
            oci_version: "1.0.2".into(),
            id: id.into(),
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: String::new(),
            owner: 0,
            annotations: BTreeMap::new(),
            creator: ProcessKey {
                pid: 1,
                start_time: 1,
            },
            init: None,
            ready: false,
            cgroups: Cgroups::default(),
            user_namespace: false,
            private_pid_namespace: true,
            poststart: false,
            poststop: false,
            root_mount: None,
        }
    }

    #[test]
    fn a_name_can_be_created_once() {
        let root = tempfile::tempdir().unwrap();
        let (store, id) = (Store::new(root.path()), "a".parse().unwrap());
        let entry = store.create(&id).unwrap();
        assert!(
            matches!(store.create(&id), Err(Error::AlreadyExists { .. })),
            "while it is being created"
        );
        entry.save(&record("a")).unwrap();
        drop(entry);
        assert!(
            matches!(store.create(&id), Err(Error::AlreadyExists { .. })),
            "with a record"
        );
        let entry = store.open(&id).unwrap();
        assert_eq!(entry.load().unwrap(), record("a"));
        entry.remove().unwrap();
        assert!(matches!(store.open(&id), Err(Error::NotFound { .. })));
        store.create(&id).unwrap();
    }

    #[test]
    fn a_directory_without_a_record_is_taken_over() {
        let root = tempfile::tempdir().unwrap();
        let (store, id) = (Store::new(root.path()), "a".parse().unwrap());
        drop(store.create(&id).unwrap());
        assert!(matches!(
            store.open(&id).unwrap().load(),
            Err(Error::NotFound { .. })
        ));
        store.create(&id).unwrap();
    }

    #[test]
    fn a_removed_container_cannot_be_locked() {
        let root = tempfile::tempdir().unwrap();
        let (store, id) = (Store::new(root.path()), "a".parse().unwrap());
        let entry = store.create(&id).unwrap();
        let second = Entry {
            id: id.clone(),
            path: entry.path.clone(),
            dir: open_dir(&entry.path).unwrap(),
        };
        entry.remove().unwrap();
        drop(entry);
        assert!(matches!(second.lock(), Err(Error::NotFound { .. })));
    }

    #[test]
    fn ids_are_sorted_and_foreign_names_left_out() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path());
        assert!(store.ids().unwrap().is_empty());
        for id in ["b", "a"] {
            store.create(&id.parse().unwrap()).unwrap();
        }
        fs::create_dir(root.path().join("containers/with space")).unwrap();
        let ids: Vec<String> = store.ids().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(ids, ["a", "b"]);
    }
}
