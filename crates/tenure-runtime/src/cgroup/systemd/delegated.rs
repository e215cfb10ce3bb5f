//! A scope for a program that makes cgroups itself: systemd keeps away from what is below the scope's own.

use std::fs;
use std::path::{Path, PathBuf};

use super::wire::Value;
use super::{Bus, Fault, Scope, StartError, slice_directory};
use crate::Error;
use crate::cgroup::hierarchy::own_cgroup;
use crate::cgroup::{Hierarchies, members};

/// A transient scope in `system.slice` that systemd makes for the calling process and leaves to it (`Delegate=yes`).
///
/// It ends when its last process does: nothing has to be removed.
#[derive(Clone, Debug)]
pub struct DelegatedScope {
    scope: Scope,
    /// From the hierarchies' mount points.
    cgroup: PathBuf,
}

impl DelegatedScope {
    /// The scope `NAME.scope`, which need not exist; asks systemd where it would be.
    ///
    /// # Errors
    /// When systemd is not there ([`Error::NoSystemd`]), or `name` cannot be part of a unit's name.
    pub fn named(name: &str) -> Result<Self, Error> {
        let scope = Scope {
            unit: format!("{name}.scope"),
            slice: if rustix::process::geteuid().is_root() {
                "system.slice".to_owned()
            } else {
                "user.slice".to_owned()
            },
        };
        if !scope.has_valid_name() {
            let reason =
                "that cannot be the name of a unit: it is too long, or has other characters".to_owned();
            return Err(scope.error("name", Fault::Broken(reason)));
        }
        let mut bus = Bus::connect().map_err(|fault| scope.error("place", fault))?;
        let root = if rustix::process::geteuid().is_root() {
            let file = "/proc/1/cgroup";
            let table = fs::read_to_string(file).map_err(Error::file("read", file))?;
            root_of(&table).to_owned()
        } else {
            let root = bus.property("ControlGroup");
            root.map_err(|fault| scope.error("place", fault))?
        };
        let slice = slice_directory(&scope.slice).unwrap_or_default();
        let cgroup = Path::new(root.trim_start_matches('/'))
            .join(slice)
            .join(&scope.unit);
        Ok(Self { scope, cgroup })
    }

    /// Its cgroup, from the hierarchies' mount points: `system.slice/NAME.scope`.
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// Has systemd make the scope with this process in it, described so to people, and returns when that is done. Blocks
    /// on systemd, 30 s at most.
    ///
    /// # Errors
    /// When systemd refuses, or has such a scope already in which a process lives.
    pub fn enter(&self, description: &str) -> Result<(), Error> {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        // Limits are for what is below; systemd would have one of its own for tasks.
        let unlimited = || vec![("TasksMax".to_owned(), Value::U64(u64::MAX))];
        let start = || self.scope.start(pid, description.to_owned(), unlimited());
        let entered = match start() {
            // systemd has not yet seen that the last process of the scope before is gone.
            Err(StartError::NotOurs(Error::Systemd { .. })) if self.is_deserted()? => {
                self.scope.stop()?;
                start()
            }
            other => other,
        };
        entered.map_err(|error| match error {
            StartError::Failed(error) | StartError::NotOurs(error) => error,
        })
    }

    /// True when no process is in the scope's cgroup or below.
    fn is_deserted(&self) -> Result<bool, Error> {
        let hierarchies = Hierarchies::discover()?;
        let cgroups = hierarchies.locate(&self.cgroup, |_| PathBuf::new());
        for path in cgroups.paths() {
            if !members::in_cgroup(path)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// systemd's root, from the cgroups of process 1: what is below counts from there.
fn root_of(table: &str) -> &str {
    let systemd = "name=systemd".to_owned();
    let own = own_cgroup(table, &[systemd]).or_else(|| own_cgroup(table, &[]));
    let own = own.unwrap_or_default();
    own.strip_suffix("/init.scope").unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_where_process_1_has_its_init_scope() {
        assert_eq!(root_of("0::/init.scope\n"), "");
        assert_eq!(root_of("0::/\n"), "/");
        assert_eq!(root_of("0::/machine/payload/init.scope\n"), "/machine/payload");
        assert_eq!(
            root_of("4:memory:/\n1:name=systemd:/init.scope\n0::/elsewhere\n"),
            ""
        );
    }
}
