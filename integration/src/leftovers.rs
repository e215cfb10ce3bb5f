//! What a test has left on the machine.
//!
//! Tests run side by side, so the whole machine cannot be compared before and after. Everything that a test makes
//! carries the test's token instead: in the names of pods (and so of containers and cgroups), in the root directory
//! (and so in mounts), in the environment and arguments of processes.

use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Live processes, mounts, cgroups and files that carry a token.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Leftovers {
    /// Process ids with their command lines; zombies do not count.
    pub processes: Vec<(i32, String)>,
    /// Mount points in the tests' own mount namespace, bind-mounted namespaces among them.
    pub mounts: Vec<PathBuf>,
    /// Cgroups, of all hierarchies.
    pub cgroups: Vec<PathBuf>,
    /// Files and directories under the root.
    pub files: Vec<PathBuf>,
}

impl Leftovers {
    /// Looks for everything but files.
    pub fn running(token: &str) -> Self {
        Self {
            processes: processes(token),
            mounts: mounts(token),
            cgroups: cgroups(token),
            files: Vec::new(),
        }
    }

    /// Looks for everything, files under `root` included. The directories of the root's first two levels may stay
    /// (`containers`, `pods`): they hold nothing of a container or pod.
    pub fn everything(token: &str, root: &Path) -> Self {
        let mut files = Vec::new();
        for child in entries(root) {
            if child.is_dir() && !child.is_symlink() {
                files.extend(entries(&child));
            } else {
                files.push(child);
            }
        }
        // Names that Tenure may keep for the next command: a lock that guards a directory, a cache.
        files.retain(|file| {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            !(name == "lock" || name == ".lock" || file.starts_with(root.join("cache")))
        });
        Self {
            files,
            ..Self::running(token)
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Kills, unmounts and removes what there is, as well as it can. Files are the caller's to remove.
    pub fn remove(&self) {
        for (pid, _) in &self.processes {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        for mount in self.mounts.iter().rev() {
            let _ = nix::mount::umount2(mount, nix::mount::MntFlags::MNT_DETACH);
        }
        // A killed process leaves its cgroup a moment later.
        for cgroup in self.cgroups.iter().rev() {
            let _ = crate::wait_until(std::time::Duration::from_secs(2), || fs::remove_dir(cgroup).ok());
        }
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (pid, command) in &self.processes {
            writeln!(f, "process {pid}: {command}")?;
        }
        for (what, paths) in [
            ("mount", &self.mounts),
            ("cgroup", &self.cgroups),
            ("file", &self.files),
        ] {
            for path in paths {
                writeln!(f, "{what} {}", path.display())?;
            }
        }
        Ok(())
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn processes(token: &str) -> Vec<(i32, String)> {
    let mut found = Vec::new();
    for directory in entries(Path::new("/proc")) {
        let Some(pid) = directory
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if pid == std::process::id().cast_signed() {
            continue;
        }
        let read = |file: &str| fs::read(directory.join(file)).unwrap_or_default();
        let command = read("cmdline");
        // A zombie's command line and environment are empty, and so it is not found.
        let carries = contains(&command, token)
            || contains(&read("environ"), token)
            || contains(&read("cgroup"), token);
        if carries && is_alive(&read("stat")) {
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            found.push((pid, command));
        }
    }
    found
}

fn is_alive(stat: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stat);
    let state = text.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

fn mounts(token: &str) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines()
        .filter(|line| line.contains(token))
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from)
        .collect()
}

fn cgroups(token: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = entries(Path::new("/sys/fs/cgroup"));
    while let Some(directory) = open.pop() {
        if directory.is_symlink() || !directory.is_dir() {
            continue;
        }
        if contains(directory.as_os_str().as_bytes(), token) {
            found.push(directory.clone());
        }
        open.extend(entries(&directory));
    }
    found.sort();
    found
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle.as_bytes())
}
