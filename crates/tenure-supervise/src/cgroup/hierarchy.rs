//! One mounted cgroup hierarchy.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::error::Context;
use crate::mount::{MountEntry, read_mountinfo};

/// Which interface a hierarchy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// A hierarchy where it is mounted first.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    pub(super) root: PathBuf,
    /// v1: its mount options, which name its controllers.
    options: String,
    /// No other hierarchy is mounted.
    alone: bool,
}

/// All mounted hierarchies, looked up once in the process's life.
pub(super) fn hierarchies() -> io::Result<&'static [Hierarchy]> {
    static FOUND: OnceLock<Vec<Hierarchy>> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found);
    }
    let found = among(read_mountinfo()?);
    if found.is_empty() {
        let reason = "none is mounted";
        return Err(io::Error::new(io::ErrorKind::NotFound, reason))
            .context("cannot use cgroups:", "hierarchies");
    }
    Ok(FOUND.get_or_init(|| found))
}

fn among(mounts: Vec<MountEntry>) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for mount in mounts {
        let version = match mount.kind.as_str() {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => continue,
        };
        let same = |known: &Hierarchy| {
            known.version == version && (version == Version::V2 || known.options == mount.options)
        };
        // A mount of a part of a hierarchy (as containers see it) has that part as its root.
        if !found.iter().any(same) && !mount.root.starts_with("/..") {
            found.push(Hierarchy {
                version,
                root: mount.point,
                options: mount.options,
                alone: false,
            });
        }
    }
    if let [only] = found.as_mut_slice() {
        only.alone = true;
    }
    found
}

impl Hierarchy {
    /// True for a v1 hierarchy of this controller.
    pub(super) fn has(&self, controller: &str) -> bool {
        self.version == Version::V1 && self.options.split(',').any(|option| option == controller)
    }

    /// A folder in place of a mount.
    #[cfg(test)]
    pub(super) fn fake(version: Version, root: &Path, options: &str) -> Self {
        Self {
            version,
            root: root.into(),
            options: options.into(),
            alone: false,
        }
    }

    /// True for v2 where there is no v1.
    pub(super) fn is_alone_v2(&self) -> bool {
        self.alone && self.version == Version::V2
    }

    /// Makes a cgroup, for children with controllers of their own or for processes, and its missing parents.
    pub(super) fn make(&self, relative: &Path, for_children: bool) -> io::Result<()> {
        self.make_within(Path::new(""), relative, for_children)
    }

    /// The same with `outer` and what is above it left as they are, where they are there.
    pub(super) fn make_within(&self, outer: &Path, relative: &Path, for_children: bool) -> io::Result<()> {
        // Another pod's removal may take an empty parent away at any step: then once more from the top. That another
        // does so again and again is not believable.
        let mut attempts = 0;
        loop {
            match self.make_each(outer, relative, for_children) {
                Err(error) if is_absent(&error) && attempts < 100 => attempts += 1,
                result => {
                    return result.context("cannot make the cgroup", self.root.join(relative).display());
                }
            }
        }
    }

    fn make_each(&self, outer: &Path, relative: &Path, for_children: bool) -> io::Result<()> {
        let mut directory = self.root.clone();
        let outer = self.root.join(outer);
        for part in relative.components() {
            // Only at and below the outer one are the controllers ours to enable.
            if directory.starts_with(&outer) {
                self.delegate(&directory);
            }
            directory.push(part);
            match std::fs::create_dir(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => result?,
            }
            if self.has("cpuset") {
                inherit_cpuset(&directory)?;
            }
        }
        if for_children {
            self.delegate(&directory);
        }
        Ok(())
    }

    /// v2 alone: enables the controllers for the children. What cannot be enabled (a realtime process in the way, no
    /// permission) is missed by the runtime where a limit needs it, which then says so. Beside v1 the controllers are
    /// in use there, and what is left over is the runtime's to enable.
    fn delegate(&self, directory: &Path) {
        if !self.is_alone_v2() {
            return;
        }
        let read = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap_or_default();
        let enabled = read("cgroup.subtree_control");
        let available = read("cgroup.controllers");
        for controller in available.split_ascii_whitespace() {
            if !enabled.split_ascii_whitespace().any(|one| one == controller) {
                let _ = write(
                    &directory.join("cgroup.subtree_control"),
                    &format!("+{controller}"),
                );
            }
        }
    }

    /// Removes a cgroup, all below, and its parents while they are empty.
    pub(super) fn remove(&self, relative: &Path) -> io::Result<()> {
        remove_all(&self.root.join(relative))?;
        for parent in relative
            .ancestors()
            .skip(1)
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            if std::fs::remove_dir(self.root.join(parent)).is_err() {
                // Others are in it, or it is gone.
                break;
            }
        }
        Ok(())
    }
}

/// v1: a new cpuset cgroup has no processors and no memory nodes, and so can hold no process, until it is told.
fn inherit_cpuset(directory: &Path) -> io::Result<()> {
    let Some(parent) = directory.parent() else {
        return Ok(());
    };
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = directory.join(file);
        if std::fs::read_to_string(&own)?.trim().is_empty() {
            write(&own, std::fs::read_to_string(parent.join(file))?.trim())?;
        }
    }
    Ok(())
}

/// Removes a cgroup, the deepest below it first.
fn remove_all(directory: &Path) -> io::Result<()> {
    for_each_child(directory, &mut |child| remove_all(child))?;
    match std::fs::remove_dir(directory) {
        Err(error) if is_absent(&error) => Ok(()),
        result => result.context("cannot remove the cgroup", directory.display()),
    }
}

/// The longest path to which a name is added: the kernel takes 4096 bytes, and a container that makes cgroups makes them
/// as deep as it likes.
const LONGEST: usize = 3000;

/// Visits a cgroup and all below it, parents first. Absence is not an error.
pub(super) fn walk(directory: &Path, visit: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    if directory.is_dir() {
        visit(directory)?;
    }
    for_each_child(directory, &mut |child| walk(child, visit))
}

/// Visits what is directly below a cgroup. Absence is not an error.
fn for_each_child(directory: &Path, visit: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(error).context("cannot read the cgroup", directory.display()),
    };
    // Another name of it, for as long as its descriptor is held.
    let held = match directory.as_os_str().len() > LONGEST {
        true => Some(std::fs::File::open(directory).context("cannot open the cgroup", directory.display())?),
        false => None,
    };
    let short = held.as_ref().map_or_else(
        || directory.to_owned(),
        |held| PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd())),
    );
    let mut names = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_type().is_ok_and(|kind| kind.is_dir()) => names.push(entry.file_name()),
            Ok(_) => {}
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error).context("cannot read the cgroup", directory.display()),
        }
    }
    // The folder is closed by now: descriptors are few, and levels may be many.
    names.iter().try_for_each(|name| visit(&short.join(name)))
}

/// Writes to a file of the kernel's, which is never to be made or cut.
pub(super) fn write(file: &Path, value: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).open(file)?;
    file.write_all(value.as_bytes())
}

/// The processes of one cgroup. Those of another PID namespace (told as 0) are left out.
pub(super) fn read_pids(directory: &Path) -> io::Result<Vec<i32>> {
    let file = directory.join("cgroup.procs");
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(text
            .lines()
            .filter_map(|line| line.parse().ok())
            .filter(|&pid| pid > 0)
            .collect()),
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        // A threaded v2 cgroup: its processes are told at the domain above it.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(Vec::new()),
        Err(error) => Err(error).context("cannot read", file.display()),
    }
}

/// No such file, or a cgroup that was removed while its file was open.
pub(super) fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}
