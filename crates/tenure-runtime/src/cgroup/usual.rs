//! The hierarchies at the places where systemd, and everybody after it, mounts them.
//!
//! The mount table tells them wherever they are, but grows with every container, and the kernel writes it anew for
//! each reader: 0.2 ms on a small host, a twentieth of a whole `run`. The list of hierarchies is a dozen lines.

use std::path::{Path, PathBuf};

use super::hierarchy::{CONTROLLERS, Hierarchies, V1Hierarchy};
use crate::small_file;

const ROOT: &str = "/sys/fs/cgroup";

/// A file system of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    V1,
    V2,
}

/// What is mounted at a path, if it is cgroups.
fn kind_of(path: &Path) -> Option<Kind> {
    const CGROUP: i64 = 0x0027_e0eb;
    const CGROUP2: i64 = 0x6367_7270;
    match rustix::fs::statfs(path).ok()?.f_type {
        CGROUP => Some(Kind::V1),
        CGROUP2 => Some(Kind::V2),
        _ => None,
    }
}

/// All hierarchies of the host, or `None` where one of them is not where it usually is.
pub(super) fn hierarchies() -> Option<Hierarchies> {
    let table = small_file::read_text("/proc/self/cgroup").ok()?;
    assign(&table, kind_of)
}

/// Finds a place for every line of `/proc/PID/cgroup`.
fn assign(table: &str, kind_of: impl Fn(&Path) -> Option<Kind>) -> Option<Hierarchies> {
    let mut found = Hierarchies::default();
    for line in table.lines() {
        let mut fields = line.splitn(3, ':');
        let (id, names) = (fields.next()?, fields.next()?);
        if id == "0" {
            let places = [PathBuf::from(ROOT), Path::new(ROOT).join("unified")];
            found.unified = Some(places.into_iter().find(|p| kind_of(p) == Some(Kind::V2))?);
            continue;
        }
        let known = |name: &str| name.starts_with("name=") || CONTROLLERS.contains(&name);
        let mount = Path::new(ROOT).join(names.strip_prefix("name=").unwrap_or(names));
        if !names.split(',').all(known) || kind_of(&mount) != Some(Kind::V1) {
            return None;
        }
        let controllers = names.split(',').map(ToOwned::to_owned).collect();
        found.v1.push(V1Hierarchy { mount, controllers });
    }
    // The kernel tells the latest first; the order of the mount table is that in which they were made.
    found.v1.reverse();
    (!found.v1.is_empty() || found.unified.is_some()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hybrid(path: &Path) -> Option<Kind> {
        match path.strip_prefix(ROOT).ok()?.to_str()? {
            "cpu,cpuacct" | "memory" | "systemd" => Some(Kind::V1),
            "unified" => Some(Kind::V2),
            _ => None,
        }
    }

    #[test]
    fn every_hierarchy_is_at_its_usual_place() {
        let table = "3:name=systemd:/\n2:memory:/a:b\n1:cpu,cpuacct:/\n0::/\n";
        let found = assign(table, hybrid).unwrap();
        let mounts: Vec<_> = found.v1.iter().map(|h| h.mount.to_str().unwrap()).collect();
        assert_eq!(
            mounts,
            [
                "/sys/fs/cgroup/cpu,cpuacct",
                "/sys/fs/cgroup/memory",
                "/sys/fs/cgroup/systemd"
            ]
        );
        assert_eq!(found.v1[0].controllers, ["cpu", "cpuacct"]);
        assert_eq!(
            found.unified.as_deref(),
            Some(Path::new("/sys/fs/cgroup/unified"))
        );
        let pure = assign("0::/x\n", |p| (p == Path::new(ROOT)).then_some(Kind::V2)).unwrap();
        assert_eq!(
            (pure.v1.len(), pure.unified.as_deref()),
            (0, Some(Path::new(ROOT)))
        );
    }

    #[test]
    fn one_that_is_elsewhere_or_unknown_is_left_to_the_mount_table() {
        for table in [
            "2:pids:/\n0::/\n",
            "2:memory,cpuset:/\n",
            "2:unified:/\n",
            "2:../memory:/\n",
            "broken",
            "",
        ] {
            assert_eq!(assign(table, hybrid), None, "{table:?}");
        }
        assert_eq!(assign("0::/\n", |_| None), None, "not mounted");
    }

    #[test]
    fn both_ways_find_the_same_on_this_host() {
        let Some(mut found) = hierarchies() else { return };
        let mut told = Hierarchies::from_mount_table().unwrap();
        for hierarchies in [&mut found, &mut told] {
            hierarchies.v1.sort_by(|a, b| a.mount.cmp(&b.mount));
        }
        assert_eq!(found, told);
    }
}
