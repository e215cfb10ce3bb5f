//! What everything in a cgroup may use together.

use std::io;
use std::path::Path;

use super::Cgroup;
use super::hierarchy::{Hierarchy, Version, hierarchies, is_absent, write};
use crate::error::Context;

/// The length of a processor's period in microseconds.
const PERIOD: u64 = 100_000;

/// Limits and shares in the kernel's units; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// The weight against other cgroups where processors are short, 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// Microseconds of processors in each 100 milliseconds.
    pub cpu_quota: Option<u64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Bytes of huge pages by the kernel's name of their size, e.g. `2MB`.
    pub huge_pages: Vec<(String, u64)>,
}

impl Cgroup {
    /// Limits a cgroup that exists.
    pub fn limit(&self, limits: &Limits) -> io::Result<()> {
        set(hierarchies()?, &self.relative, limits)
    }
}

/// Each controller is the business of the v1 hierarchy that has it, else of v2.
fn set(hierarchies: &[Hierarchy], relative: &Path, limits: &Limits) -> io::Result<()> {
    for controller in ["cpu", "memory", "hugetlb"] {
        let own = hierarchies.iter().find(|one| one.has(controller));
        let unified = hierarchies.iter().find(|one| one.version == Version::V2);
        let version = own.map_or(Version::V2, |_| Version::V1);
        for (file, value) in limits.values(controller, version) {
            let hierarchy = own.or(unified).ok_or_else(|| missing(controller))?;
            let file = hierarchy.root.join(relative).join(file);
            match write(&file, &value) {
                // The cgroup is there, so it is the controller that is not.
                Err(error) if is_absent(&error) => return Err(missing(controller)),
                result => result.context("cannot write", file.display())?,
            }
        }
    }
    Ok(())
}

fn missing(controller: &str) -> io::Error {
    let reason = format!("the {controller} controller of cgroups is not available");
    io::Error::new(io::ErrorKind::Unsupported, reason)
}

impl Limits {
    /// Files of a controller and what is written to them, in order.
    fn values(&self, controller: &str, version: Version) -> Vec<(String, String)> {
        let mut values = Vec::new();
        let mut set = |file: &str, value: String| values.push((file.to_owned(), value));
        match (controller, version) {
            ("cpu", Version::V1) => {
                if let Some(shares) = self.cpu_shares {
                    set("cpu.shares", shares.to_string());
                }
                if let Some(quota) = self.cpu_quota {
                    set("cpu.cfs_period_us", PERIOD.to_string());
                    set("cpu.cfs_quota_us", quota.to_string());
                }
            }
            ("cpu", Version::V2) => {
                if let Some(shares) = self.cpu_shares {
                    set("cpu.weight", weight(shares).to_string());
                }
                if let Some(quota) = self.cpu_quota {
                    set("cpu.max", format!("{quota} {PERIOD}"));
                }
            }
            ("memory", _) => {
                let file = match version {
                    Version::V1 => "memory.limit_in_bytes",
                    Version::V2 => "memory.max",
                };
                if let Some(bytes) = self.memory_bytes {
                    set(file, bytes.to_string());
                }
            }
            _ => {
                let end = match version {
                    Version::V1 => "limit_in_bytes",
                    Version::V2 => "max",
                };
                for (size, bytes) in &self.huge_pages {
                    set(&format!("hugetlb.{size}.{end}"), bytes.to_string());
                }
            }
        }
        values
    }
}

/// v1 shares (2 to 262144) on the scale of v2 weights (1 to 10000), as the runtimes reckon.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn all() -> Limits {
        Limits {
            cpu_shares: Some(1024),
            cpu_quota: Some(150_000),
            memory_bytes: Some(67_108_864),
            huge_pages: vec![("2MB".into(), 4_194_304), ("1GB".into(), 0)],
        }
    }

    /// A folder with the cgroup `pod` of these files, all empty.
    fn cgroup(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("pod")).unwrap();
        for file in files {
            fs::write(root.path().join("pod").join(file), "").unwrap();
        }
        root
    }

    /// What the files hold, sorted by name.
    fn written(root: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(root.join("pod")).unwrap().map(Result::unwrap);
        let mut all: Vec<_> = entries
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        all.sort();
        all
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(file, value): &(&str, &str)| ((*file).to_owned(), (*value).to_owned());
        expected.iter().map(owned).collect()
    }

    #[test]
    fn limits_are_written_as_v2_has_them() {
        let files = [
            "cpu.weight",
            "cpu.max",
            "memory.max",
            "hugetlb.2MB.max",
            "hugetlb.1GB.max",
        ];
        let root = cgroup(&files);
        let only = [Hierarchy::fake(Version::V2, root.path(), "rw")];
        set(&only, Path::new("pod"), &all()).unwrap();
        let expected = [
            ("cpu.max", "150000 100000"),
            ("cpu.weight", "39"),
            ("hugetlb.1GB.max", "0"),
            ("hugetlb.2MB.max", "4194304"),
            ("memory.max", "67108864"),
        ];
        assert_eq!(written(root.path()), pairs(&expected));
    }

    #[test]
    fn limits_are_written_to_the_v1_hierarchies_of_their_controllers() {
        let cpu = cgroup(&["cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"]);
        let memory = cgroup(&["memory.limit_in_bytes"]);
        let unified = cgroup(&["hugetlb.2MB.max", "hugetlb.1GB.max"]);
        let three = [
            Hierarchy::fake(Version::V1, cpu.path(), "rw,cpu,cpuacct"),
            Hierarchy::fake(Version::V2, unified.path(), "rw"),
            Hierarchy::fake(Version::V1, memory.path(), "rw,memory"),
        ];
        set(&three, Path::new("pod"), &all()).unwrap();
        let expected = [
            ("cpu.cfs_period_us", "100000"),
            ("cpu.cfs_quota_us", "150000"),
            ("cpu.shares", "1024"),
        ];
        assert_eq!(written(cpu.path()), pairs(&expected));
        assert_eq!(
            written(memory.path()),
            pairs(&[("memory.limit_in_bytes", "67108864")])
        );
        let pages = [("hugetlb.1GB.max", "0"), ("hugetlb.2MB.max", "4194304")];
        assert_eq!(written(unified.path()), pairs(&pages));
    }

    #[test]
    fn a_controller_that_is_not_there_is_named_and_only_where_it_is_needed() {
        let root = cgroup(&["memory.max"]);
        for (hierarchies, lacks) in [
            (vec![Hierarchy::fake(Version::V2, root.path(), "rw")], "cpu"),
            (vec![], "cpu"),
        ] {
            let error = set(&hierarchies, Path::new("pod"), &all()).unwrap_err();
            let expected = format!("the {lacks} controller of cgroups is not available");
            assert_eq!(error.to_string(), expected);
        }
        let only = [Hierarchy::fake(Version::V2, root.path(), "rw")];
        let memory = Limits {
            memory_bytes: Some(4096),
            ..Limits::default()
        };
        set(&only, Path::new("pod"), &memory).unwrap();
        assert_eq!(written(root.path()), pairs(&[("memory.max", "4096")]));
        set(&[], Path::new("pod"), &Limits::default()).unwrap();
    }

    #[test]
    fn shares_are_weighed_as_the_runtimes_do() {
        for (shares, expected) in [(0, 1), (2, 1), (1024, 39), (262_144, 10_000), (u64::MAX, 10_000)] {
            assert_eq!(weight(shares), expected, "{shares}");
        }
    }
}
