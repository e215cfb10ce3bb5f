//! Which cgroup hierarchies this host has, and where a container's cgroups go in them.

use std::path::{Component, Path, PathBuf};

use super::{Cgroups, V1Cgroup, usual};
use crate::{Error, small_file};

/// The mounted hierarchies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    pub(super) v1: Vec<V1Hierarchy>,
    pub(super) unified: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct V1Hierarchy {
    pub(super) mount: PathBuf,
    /// Controllers, or `name=NAME`.
    pub(super) controllers: Vec<String>,
}

/// Every controller of v1, to tell them from other mount options.
pub(super) const CONTROLLERS: [&str; 14] = [
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "rdma",
    "misc",
];

impl Hierarchies {
    /// Finds the hierarchies at their usual places, or else in the mount table.
    pub(crate) fn discover() -> Result<Self, Error> {
        usual::hierarchies().map_or_else(Self::from_mount_table, Ok)
    }

    /// Reads the mount table of this process.
    pub(super) fn from_mount_table() -> Result<Self, Error> {
        let path = "/proc/self/mountinfo";
        let table = small_file::read_text(path).map_err(Error::file("read", path))?;
        Ok(Self::parse(&table))
    }

    /// Picks the cgroup mounts from a mount table; the first mount of a hierarchy wins.
    fn parse(table: &str) -> Self {
        let mut found = Self::default();
        for line in table.lines() {
            let Some((left, right)) = line.split_once(" - ") else {
                continue;
            };
            let mut right = right.split(' ');
            let (kind, options) = (right.next().unwrap_or_default(), right.nth(1).unwrap_or_default());
            let Some(mount) = left.split(' ').nth(4).map(PathBuf::from) else {
                continue;
            };
            match kind {
                "cgroup2" if found.unified.is_none() => found.unified = Some(mount),
                "cgroup" => {
                    let is_controller = |o: &&str| CONTROLLERS.contains(o) || o.starts_with("name=");
                    let controllers: Vec<String> = options
                        .split(',')
                        .filter(is_controller)
                        .map(ToOwned::to_owned)
                        .collect();
                    let known = |h: &V1Hierarchy| h.controllers == controllers;
                    if !controllers.is_empty() && !found.v1.iter().any(known) {
                        found.v1.push(V1Hierarchy { mount, controllers });
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The mount point of the unified hierarchy that holds `path`.
    pub(crate) fn unified_mount_of(path: &Path) -> PathBuf {
        // A cgroup2 mount is its own file system root, so the topmost directory with cgroup.procs is it.
        let inside = |p: &&Path| p.join("cgroup.procs").exists();
        path.ancestors().filter(inside).last().unwrap_or(path).to_owned()
    }

    /// The cgroup of a process in the unified hierarchy.
    ///
    /// A container may have moved its processes into cgroups below its own and handed controllers to those; its own
    /// then takes no process any more.
    pub(crate) fn unified_cgroup_of(pid: i32, own: &Path) -> Option<PathBuf> {
        let table = small_file::read_text(format!("/proc/{pid}/cgroup")).ok()?;
        let path = Self::unified_mount_of(own).join(clean(own_cgroup(&table, &[])?));
        path.starts_with(own).then_some(path)
    }

    /// Where the cgroups of a container go.
    ///
    /// As in runc: an absolute `cgroupsPath` counts from the hierarchy's root, a relative one from the caller's own
    /// cgroup; without one it is `/ID`.
    pub(crate) fn place(&self, cgroups_path: Option<&Path>, id: &str) -> Result<Cgroups, Error> {
        let given = cgroups_path.filter(|p| !p.as_os_str().is_empty());
        let relative = given.is_some_and(Path::is_relative);
        let path = given.map_or_else(|| PathBuf::from(id), clean);
        if path.as_os_str().is_empty() {
            // Deleting the container would kill every process of the host, or of the caller.
            return Err(Error::Unsupported {
                what: "a cgroupsPath that names no cgroup of its own".to_owned(),
            });
        }
        let own = if relative {
            let file = "/proc/self/cgroup";
            small_file::read_text(file).map_err(Error::file("read", file))?
        } else {
            String::new()
        };
        Ok(self.locate(&path, |controllers| {
            own_cgroup(&own, controllers)
                .map(PathBuf::from)
                .unwrap_or_default()
        }))
    }

    /// The cgroups at `path` below what `base` says for the controllers of a hierarchy (none: the unified one).
    pub(super) fn locate(&self, path: &Path, base: impl Fn(&[String]) -> PathBuf) -> Cgroups {
        let locate = |mount: &Path, controllers: &[String]| mount.join(clean(base(controllers))).join(path);
        let v1 = self.v1.iter().map(|h| V1Cgroup {
            name: h.name(),
            controllers: h.controllers.clone(),
            path: locate(&h.mount, &h.controllers),
            mount: h.mount.clone(),
        });
        Cgroups {
            v1: v1.collect(),
            unified: self.unified.as_ref().map(|m| locate(m, &[])),
            scope: None,
        }
    }
}

#[cfg(feature = "fuzz")]
#[allow(clippy::expect_used)] // To panic is how it speaks.
impl Hierarchies {
    /// A container's cgroup is below the hierarchy's root, and never the root itself.
    pub(crate) fn fuzz_place(path: Option<&Path>) {
        let mount = Path::new("/sys/fs/cgroup/pids");
        let hierarchies = Self {
            v1: vec![V1Hierarchy {
                mount: mount.to_owned(),
                controllers: vec!["pids".to_owned()],
            }],
            unified: Some(PathBuf::from("/sys/fs/cgroup/unified")),
        };
        let Ok(cgroups) = hierarchies.place(path, "id") else {
            return;
        };
        for (path, mount) in cgroups.paths().zip([mount, Path::new("/sys/fs/cgroup/unified")]) {
            let inside = path.strip_prefix(mount).expect("a cgroup in its hierarchy");
            assert!(
                !clean(inside).as_os_str().is_empty() && clean(inside) == inside,
                "{path:?}"
            );
        }
    }
}

impl V1Hierarchy {
    /// What the hierarchy is called in a container: its directory's name.
    fn name(&self) -> String {
        self.mount
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

/// Resolves `.` and `..` by text and makes the path relative, so that it cannot climb out.
pub(super) fn clean(path: impl AsRef<Path>) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.as_ref().components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

/// The caller's cgroup in the hierarchy of `controllers` (none: the unified one).
pub(super) fn own_cgroup<'a>(table: &'a str, controllers: &[String]) -> Option<&'a str> {
    table.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (id, names, path) = (fields.next()?, fields.next()?, fields.next()?);
        let matches = match controllers.first() {
            None => id == "0" && names.is_empty(),
            Some(first) => names.split(',').any(|n| n == first),
        };
        matches.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
25 1 0:22 / /proc rw,relatime - proc proc rw
26 1 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
27 1 0:24 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
28 1 0:25 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
29 1 0:26 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
30 1 0:24 / /mnt/again rw,relatime - cgroup cgroup rw,memory
";

    #[test]
    fn a_hybrid_host_has_v1_hierarchies_and_a_unified_one() {
        let found = Hierarchies::parse(HYBRID);
        let names: Vec<String> = found.v1.iter().map(V1Hierarchy::name).collect();
        assert_eq!(names, ["cpu,cpuacct", "memory", "systemd"]);
        assert_eq!(
            found.unified.as_deref(),
            Some(Path::new("/sys/fs/cgroup/unified"))
        );
    }

    #[test]
    fn a_container_without_a_path_gets_a_cgroup_of_its_name() {
        let cgroups = Hierarchies::parse(HYBRID).place(None, "web").unwrap();
        assert_eq!(cgroups.v1[1].path, Path::new("/sys/fs/cgroup/memory/web"));
        assert_eq!(
            cgroups.unified.as_deref(),
            Some(Path::new("/sys/fs/cgroup/unified/web"))
        );
    }

    #[test]
    fn a_path_cannot_climb_out_of_its_hierarchy() {
        let place = |p: &str| {
            Hierarchies::parse(HYBRID)
                .place(Some(Path::new(p)), "web")
                .unwrap()
        };
        assert_eq!(
            place("/pods/../../../a/./b").v1[1].path,
            Path::new("/sys/fs/cgroup/memory/a/b")
        );
        assert!(
            Hierarchies::parse(HYBRID)
                .place(Some(Path::new("/")), "web")
                .is_err()
        );
        assert!(
            Hierarchies::parse(HYBRID)
                .place(Some(Path::new("a/..")), "web")
                .is_err()
        );
        assert!(
            place("../../../../x").v1[1]
                .path
                .starts_with("/sys/fs/cgroup/memory")
        );
    }

    #[test]
    fn own_cgroups_are_found_by_controller() {
        let table = "5:cpu,cpuacct:/a\n3:name=systemd:/s\n0::/u\n";
        assert_eq!(own_cgroup(table, &["cpuacct".into()]), Some("/a"));
        assert_eq!(own_cgroup(table, &["name=systemd".into()]), Some("/s"));
        assert_eq!(own_cgroup(table, &[]), Some("/u"));
        assert_eq!(own_cgroup(table, &["memory".into()]), None);
    }
}
