//! The container's cgroups: v1, v2 and hybrid hosts.
//!
//! A process is never moved into a cgroup by pid, which waits for all CPUs (7 to 15 ms when nothing else does).
//! On v1 the child itself writes `0` to `tasks` files its parent has opened; in the unified hierarchy it is born
//! in its cgroup (`CLONE_INTO_CGROUP`). systemd knows only pids: see [`systemd`].

mod devices;
mod freezer;
mod hierarchy;
mod limits;
mod members;
mod oom;
mod stats;
mod systemd;
mod usual;
mod writes;

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::{LinuxPids, LinuxResources};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

pub(crate) use hierarchy::Hierarchies;
#[cfg(feature = "fuzz")]
pub(crate) use limits::fuzz_limits;
pub(crate) use limits::validate;
pub use oom::OomWatch;
pub use systemd::DelegatedScope;
pub(crate) use systemd::{Property, Scope, StartError};
use writes::Write;

use crate::{Error, SubCgroup, small_file};

/// How many processes are in the cgroups at most while init is made.
const ROOM_FOR_INIT: i64 = 2;

/// The cgroups of one container, by absolute path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cgroups {
    /// One for each v1 hierarchy.
    #[serde(default)]
    pub(crate) v1: Vec<V1Cgroup>,
    /// The one in the unified hierarchy, the only one on v2 hosts.
    #[serde(default)]
    pub(crate) unified: Option<PathBuf>,
    /// The scope whose cgroups these are, where systemd makes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<Scope>,
}

/// A cgroup in a v1 hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct V1Cgroup {
    /// The hierarchy's directory name and mount in containers: `memory`, `cpu,cpuacct`, `systemd`.
    pub(crate) name: String,
    /// Its controllers.
    pub(crate) controllers: Vec<String>,
    /// The mount point of the hierarchy.
    pub(crate) mount: PathBuf,
    /// The cgroup.
    pub(crate) path: PathBuf,
}

/// What a child needs to enter the cgroups.
#[derive(Debug, Default)]
pub(crate) struct Entrance {
    /// v1: `tasks` files, open for writing.
    pub(crate) tasks: Vec<OwnedFd>,
    /// Unified: the directory.
    pub(crate) unified: Option<OwnedFd>,
}

impl Entrance {
    /// Moves the calling, single-threaded process into the v1 cgroups.
    pub(crate) fn enter(&self) -> Result<(), rustix::io::Errno> {
        self.tasks
            .iter()
            .try_for_each(|tasks| rustix::io::write(tasks, b"0").map(drop))
    }
}

impl Cgroups {
    /// Fails if one of the cgroups holds processes already, which would be killed with the container, or is frozen.
    pub(crate) fn check_free(&self) -> Result<(), Error> {
        for path in self.paths() {
            if !members::in_cgroup(path)?.is_empty() {
                return Err(cgroup_error("use", path)(std::io::Error::other(
                    "it holds processes already",
                )));
            }
        }
        let frozen = |path: &PathBuf| fs::read(path.join("cgroup.freeze")).is_ok_and(|s| s.starts_with(b"1"));
        if self.is_frozen() || self.unified.as_ref().is_some_and(frozen) {
            // Init would be frozen on entering it, and nobody would ever thaw it.
            let path = self.paths().next().unwrap_or(Path::new("")).to_owned();
            return Err(cgroup_error("use", &path)(std::io::Error::other("it is frozen")));
        }
        Ok(())
    }

    /// Makes the cgroups, limits them and opens the way in; systemd does so later, for it needs a process.
    pub(crate) fn prepare(&self, resources: Option<&LinuxResources>) -> Result<Entrance, Error> {
        if self.scope.is_some() {
            return Ok(Entrance::default());
        }
        let entrance = self.create()?;
        self.apply(resources)?;
        self.admit_init(resources)?;
        Ok(entrance)
    }

    /// Raises a limit of processes that is too tight for init and the process that forks it, until [`Self::init_is_in`].
    /// The program, and so all that could use the room, comes later.
    pub(crate) fn admit_init(&self, resources: Option<&LinuxResources>) -> Result<(), Error> {
        self.set_tight_pids(resources, |_| ROOM_FOR_INIT)
    }

    /// Lowers the limit that [`Self::admit_init`] has raised to what the configuration says.
    pub(crate) fn init_is_in(&self, resources: Option<&LinuxResources>) -> Result<(), Error> {
        self.set_tight_pids(resources, |limit| limit)
    }

    fn set_tight_pids(
        &self,
        resources: Option<&LinuxResources>,
        value: impl Fn(i64) -> i64,
    ) -> Result<(), Error> {
        let pids = resources.and_then(|resources| resources.pids().as_ref());
        let tight = pids
            .map(|pids| pids.limit())
            .filter(|limit| (0..ROOM_FOR_INIT).contains(limit));
        let Some(limit) = tight else { return Ok(()) };
        let mut resources = LinuxResources::default();
        let mut pids = LinuxPids::default();
        pids.set_limit(value(limit));
        resources.set_devices(None).set_pids(Some(pids));
        writes::write_all(&self.writes(&resources)?)
    }

    /// Makes the cgroups and opens the way in.
    pub(crate) fn create(&self) -> Result<Entrance, Error> {
        for cgroup in &self.v1 {
            let made = make_dir(&cgroup.path)?;
            if cgroup.has("cpuset") {
                inherit_cpuset(&cgroup.mount, &cgroup.path, made)?;
            }
        }
        if let Some(path) = &self.unified {
            make_unified(path, self.v1.is_empty())?;
        }
        self.open()
    }

    /// Opens the way into existing cgroups.
    pub(crate) fn open(&self) -> Result<Entrance, Error> {
        self.open_below(&[])
    }

    /// Opens the way into existing cgroups below these, or into these where none is named.
    pub(crate) fn open_below(&self, below: &[SubCgroup]) -> Result<Entrance, Error> {
        for name in below.iter().flat_map(|sub| &sub.controllers) {
            if !self.v1.iter().any(|cgroup| cgroup.has(name)) {
                return Err(Error::Unsupported {
                    what: format!("a cgroup of {name} (this host has no such v1 controller)"),
                });
            }
        }
        let below = |path: &Path, wanted: &dyn Fn(&SubCgroup) -> bool| match below.iter().find(|s| wanted(s))
        {
            // Text alone decides what is below: the container makes its cgroups, but no links among them.
            Some(sub) => path.join(hierarchy::clean(&sub.path)),
            None => path.to_owned(),
        };
        let mut entrance = Entrance::default();
        for cgroup in &self.v1 {
            let wanted =
                |s: &SubCgroup| s.controllers.is_empty() || s.controllers.iter().any(|c| cgroup.has(c));
            let path = below(&cgroup.path, &wanted).join("tasks");
            let file = OpenOptions::new()
                .write(true)
                .open(&path)
                .map_err(cgroup_error("open", &path))?;
            entrance.tasks.push(file.into());
        }
        if let Some(path) = &self.unified {
            let sub = below(path, &|s: &SubCgroup| s.controllers.is_empty());
            // Beside v1, whose controllers are meant, it need not be there.
            let path = if self.v1.is_empty() || sub.exists() {
                &sub
            } else {
                path
            };
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = rustix::fs::open(path, flags, Mode::empty())
                .map_err(|error| cgroup_error("open", path)(error.into()))?;
            entrance.unified = Some(dir);
        }
        Ok(entrance)
    }

    /// Opens the way into the unified cgroup that init of the container is in.
    pub(crate) fn open_unified_of(&self, init: i32) -> Option<OwnedFd> {
        let path = Hierarchies::unified_cgroup_of(init, self.unified.as_deref()?)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).ok()
    }

    /// Applies the limits of the configuration to freshly made cgroups.
    pub(crate) fn apply(&self, resources: Option<&LinuxResources>) -> Result<(), Error> {
        if let Some(devices) = self.v1.iter().find(|c| c.has("devices")) {
            let rules = resources.and_then(|r| r.devices().as_deref()).unwrap_or_default();
            devices::apply_v1(&devices.path, rules)?;
        }
        if let (true, Some(path)) = (self.v1.is_empty(), &self.unified) {
            let rules = resources.and_then(|r| r.devices().as_deref()).unwrap_or_default();
            devices::apply_v2(path, rules)?;
        }
        let Some(resources) = resources else { return Ok(()) };
        writes::write_all(&self.writes(resources)?)
    }

    /// Changes the limits that `resources` names, all or none. Devices stay as they are.
    ///
    /// systemd is told first: what it does not know, or writes in its own way, is written after it. It gets `before` back,
    /// the limits so far, when that fails.
    ///
    /// # Errors
    /// When the kernel or systemd refuses a value, or this host has no place for it.
    pub(crate) fn update(
        &self,
        resources: &LinuxResources,
        before: Option<&LinuxResources>,
    ) -> Result<(), Error> {
        if let (true, Some(path)) = (self.v1.is_empty(), &self.unified) {
            limits::check_usage(path, resources)?;
        }
        let writes = self.writes(resources)?;
        let old_values = writes::present(&writes);
        self.tell_systemd(resources)?;
        let written = writes::write_all(&writes);
        if written.is_err() {
            let told = before.map_or(Ok(()), |before| self.tell_systemd(before));
            if let Err(error) = told.and_then(|()| writes::write_all(&old_values)) {
                tracing::warn!(%error, "cannot restore a limit after a failed update");
            }
        }
        written
    }

    /// What to write for these limits.
    fn writes(&self, resources: &LinuxResources) -> Result<Vec<Write>, Error> {
        if self.v1.is_empty() && self.unified.is_some() {
            limits::for_v2(self.unified.as_deref(), resources)
        } else {
            let mut writes = limits::for_v1(&self.v1, resources)?;
            writes.extend(limits::for_unified(self.unified.as_deref(), resources)?);
            Ok(writes)
        }
    }

    /// All directories.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.v1
            .iter()
            .map(|c| c.path.as_path())
            .chain(self.unified.as_deref())
    }
}

impl V1Cgroup {
    /// Whether a controller lives in this hierarchy.
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }
}

/// A constructor for `map_err`.
fn cgroup_error(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Cgroup {
        operation,
        path,
        source,
    }
}

/// Makes a cgroup, its parents too if need be. Tells whether it was missing.
fn make_dir(path: &Path) -> Result<bool, Error> {
    match fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let made = fs::create_dir_all(path).map(|()| true);
            made.map_err(cgroup_error("create", path))
        }
        Err(error) => Err(cgroup_error("create", path)(error)),
    }
}

/// Makes a cgroup of the unified hierarchy; on v2 hosts, enables the controllers on the way to it.
fn make_unified(path: &Path, controllers: bool) -> Result<(), Error> {
    if controllers {
        let mount = Hierarchies::unified_mount_of(path);
        let available = fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
        let mut parents: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .take_while(|p| p.starts_with(&mount))
            .collect();
        parents.reverse();
        for dir in parents {
            make_dir(dir)?;
            enable_controllers(dir, &available);
        }
    }
    make_dir(path).map(drop)
}

/// Enables every controller for the children of `dir`; one that cannot be is missed when its limit is applied.
fn enable_controllers(dir: &Path, available: &str) {
    let file = dir.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&file).unwrap_or_default();
    for controller in available.split_ascii_whitespace() {
        if !enabled.split_ascii_whitespace().any(|c| c == controller)
            && let Err(error) = fs::write(&file, format!("+{controller}"))
        {
            tracing::debug!(%error, controller, dir = %dir.display(), "cannot enable cgroup controller");
        }
    }
}

/// Fills `cpuset.cpus` and `cpuset.mems` from the parent where they are empty, from the top down.
///
/// A v1 cpuset without either takes no task. One that was `made` just now is known to be empty.
fn inherit_cpuset(mount: &Path, path: &Path, made: bool) -> Result<(), Error> {
    let read = |file: &Path| small_file::read_text(file).map_err(cgroup_error("read", file));
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let mut empty: Vec<&Path> = if made { vec![path] } else { Vec::new() };
        let mut value = String::new();
        for dir in path.ancestors().skip(usize::from(made)) {
            value = read(&dir.join(name))?;
            if !value.trim().is_empty() || dir == mount {
                break;
            }
            empty.push(dir);
        }
        for dir in empty.iter().rev() {
            let file = dir.join(name);
            writes::write_limit(&file, value.trim())?;
        }
    }
    Ok(())
}
