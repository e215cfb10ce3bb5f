//! What a command needs to know of its surroundings, found out when it is first asked.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::args::{CgroupDriver, Globals, Rootless};
use crate::exit::CommandError;
use crate::telemetry::Log;

/// The options before the command, and what follows from them.
#[derive(Debug)]
pub(crate) struct Context {
    globals: Globals,
    log: Log,
}

impl Context {
    /// A context of these options. Does no I/O.
    pub(crate) fn new(globals: Globals) -> Self {
        let log = Log::new(globals.log.clone(), globals.log_format);
        Self { globals, log }
    }

    /// The file of `--log`.
    pub(crate) const fn log(&self) -> &Log {
        &self.log
    }

    /// The logging options, for this program executed again.
    pub(crate) fn log_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        if let Some(path) = self.log.path().and_then(|path| absolute(path).ok()) {
            arguments.extend(["--log".into(), path.into_os_string()]);
            arguments.extend(["--log-format".into(), self.globals.log_format.as_str().into()]);
        }
        if self.globals.debug {
            arguments.push("--debug".into());
        }
        arguments
    }

    /// Tenure's root, absolute: `--root`, `TENURE_ROOT`, `/run/tenure`, or `$XDG_RUNTIME_DIR/tenure` for a user.
    ///
    /// # Errors
    /// When a user has no `XDG_RUNTIME_DIR`, or the working directory that a relative root starts from is gone.
    pub(crate) fn root(&self) -> Result<PathBuf, CommandError> {
        let root = choose_root(
            self.globals.root.as_deref(),
            |name| std::env::var_os(name).filter(|value| !value.is_empty()),
            nix::unistd::geteuid().is_root(),
        )?;
        Ok(absolute(&root)?)
    }

    /// This program's own file, to be executed again.
    ///
    /// # Errors
    /// When /proc is not there.
    pub(crate) fn own_binary(&self) -> Result<PathBuf, CommandError> {
        Ok(std::env::current_exe().context("cannot find this program's own file")?)
    }

    /// True when `path` is this program's own file, also where it runs from a protected view of it.
    pub(crate) fn is_own_binary(&self, path: &Path) -> bool {
        let file = |path: &Path| rustix::fs::stat(path).map(|stat| (stat.st_dev, stat.st_ino));
        matches!((file(path), file(Path::new("/proc/self/exe"))), (Ok(this), Ok(own)) if this == own)
    }

    /// True when systemd is to make the cgroups: `--systemd-cgroup`, unless `--cgroup-manager` says otherwise.
    pub(crate) fn wants_systemd(&self) -> bool {
        self.globals
            .cgroup_manager
            .map_or(self.globals.systemd_cgroup, |driver| {
                driver == CgroupDriver::Systemd
            })
    }

    /// Fails if nobody is to make cgroups: a pod without could not be found and ended for certain.
    ///
    /// # Errors
    /// With `--cgroup-manager disabled`.
    pub(crate) fn require_cgroups(&self) -> Result<(), CommandError> {
        if self.globals.cgroup_manager == Some(CgroupDriver::Disabled) {
            let reason = "--cgroup-manager disabled is for single containers: a pod needs cgroups";
            return Err(CommandError::usage(reason));
        }
        Ok(())
    }

    /// The OCI runtime on that root.
    ///
    /// # Errors
    /// As [`Context::root`].
    pub(crate) fn runtime(&self) -> Result<tenure_runtime::Runtime, CommandError> {
        let options = tenure_runtime::RuntimeOptions {
            systemd_cgroup: self.wants_systemd(),
            no_cgroups: self.globals.cgroup_manager == Some(CgroupDriver::Disabled),
            rootless: match self.globals.rootless {
                Rootless::Auto => None,
                Rootless::True => Some(true),
                Rootless::False => Some(false),
            },
        };
        Ok(tenure_runtime::Runtime::new(&self.root()?, options))
    }
}

/// `path` as seen from the working directory, without looking at what is there.
pub(crate) fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot make {} absolute", path.display()))
}

/// The order in which a root is looked for.
fn choose_root(
    option: Option<&Path>,
    env: impl Fn(&str) -> Option<OsString>,
    is_root: bool,
) -> anyhow::Result<PathBuf> {
    if let Some(path) = option {
        if path.as_os_str().is_empty() {
            return Err(anyhow!("--root is empty"));
        }
        return Ok(path.to_owned());
    }
    if let Some(path) = env("TENURE_ROOT") {
        return Ok(path.into());
    }
    if is_root {
        return Ok("/run/tenure".into());
    }
    env("XDG_RUNTIME_DIR")
        .map(|dir| PathBuf::from(dir).join("tenure"))
        .ok_or_else(|| {
            anyhow!("no place for records: XDG_RUNTIME_DIR is not set; give --root or TENURE_ROOT")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(option: Option<&str>, env: &[(&str, &str)], is_root: bool) -> Option<String> {
        let look_up = |name: &str| {
            env.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| value.into())
        };
        choose_root(option.map(Path::new), look_up, is_root)
            .ok()
            .map(|path| path.display().to_string())
    }

    #[test]
    fn the_option_beats_the_variable_and_the_variable_beats_the_default() {
        let env = [("TENURE_ROOT", "/b"), ("XDG_RUNTIME_DIR", "/c")];
        assert_eq!(chosen(Some("/a"), &env, true).as_deref(), Some("/a"));
        assert_eq!(chosen(None, &env, true).as_deref(), Some("/b"));
        assert_eq!(chosen(None, &env[1..], true).as_deref(), Some("/run/tenure"));
        assert_eq!(chosen(None, &env[1..], false).as_deref(), Some("/c/tenure"));
    }

    #[test]
    fn a_user_without_a_place_and_an_empty_root_are_errors() {
        assert_eq!(chosen(None, &[], false), None);
        assert_eq!(chosen(Some(""), &[], true), None);
    }
}
