//! The end of everything in a cgroup.

use std::collections::BTreeSet;
use std::io;

use super::Cgroup;
use super::hierarchy::{Version, hierarchies, is_absent, walk, write};
use crate::pidfd::PidFd;

impl Cgroup {
    /// Kills every process in it and below with SIGKILL and waits until none is left (zombies may be: who waits for
    /// them reaps them). Frozen processes are thawed to die; no process can fork any more. Absence is success. Dropping
    /// the future stops the waiting, not the dying.
    pub async fn kill(&self) -> io::Result<()> {
        self.stop_forking_and_thaw()?;
        self.kill_at_once();
        loop {
            // A pid is sure to be a process of the cgroup only if it is listed after its descriptor was opened.
            let opened: Vec<PidFd> = self
                .processes()?
                .into_iter()
                .filter_map(|pid| PidFd::open(pid).ok())
                .collect();
            let listed: BTreeSet<i32> = self.processes()?.into_iter().collect();
            let left: Vec<PidFd> = opened
                .into_iter()
                .filter(|one| listed.contains(&one.pid()) && one.is_alive())
                .collect();
            for one in &left {
                // ESRCH: it was faster.
                let _ = one.signal(libc::SIGKILL);
            }
            for one in &left {
                one.ended().await?;
            }
            if left.is_empty() {
                return Ok(());
            }
        }
    }

    /// v1: forbids forks, so that a process that forks faster than it is killed comes to its end, and thaws.
    fn stop_forking_and_thaw(&self) -> io::Result<()> {
        let settings = [("pids", "pids.max", "0"), ("freezer", "freezer.state", "THAWED")];
        for (controller, file, value) in settings {
            for hierarchy in hierarchies()?
                .iter()
                .filter(|hierarchy| hierarchy.has(controller))
            {
                walk(
                    &hierarchy.root.join(&self.relative),
                    &mut |directory| match write(&directory.join(file), value) {
                        Err(error) if !is_absent(&error) => Err(error),
                        _ => Ok(()),
                    },
                )?;
            }
        }
        Ok(())
    }

    /// v2: one write ends all, also what is being forked and what is frozen. Where it is missing (before 5.14) or the
    /// processes are only in v1, the loop does it.
    fn kill_at_once(&self) {
        let directories = self.directories().unwrap_or_default();
        for (_, directory) in directories.iter().filter(|(version, _)| *version == Version::V2) {
            let _ = write(&directory.join("cgroup.kill"), "1");
        }
    }
}
