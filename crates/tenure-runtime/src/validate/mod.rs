//! What a configuration must be, before anything is done with it.
//!
//! One file for each section of the OCI runtime specification. Unknown properties are ignored, as it asks; what cannot
//! work is named with its place. What runc accepts and does no harm is accepted.

mod hooks;
mod linux;
mod mounts;
mod namespaces;
mod process;
mod seccomp;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use libcontainer::oci_spec::runtime::Spec;

use crate::cgroup;

pub(crate) use process::validate_process;

/// A place in the configuration and what is wrong there.
pub(crate) type Fault = (String, String);

fn fault<T>(at: impl Into<String>, reason: impl Into<String>) -> Result<T, Fault> {
    Err((at.into(), reason.into()))
}

/// Checks a configuration found in `bundle`.
pub(crate) fn validate(spec: &Spec, bundle: &Path) -> Result<(), Fault> {
    if !spec.version().starts_with("1.") {
        return fault(
            "ociVersion",
            format!("\"{}\" is not supported, only 1.x is", spec.version()),
        );
    }
    let Some(process) = spec.process() else {
        return fault("process", "is missing");
    };
    validate_process(process).map_err(|(at, reason)| (format!("process.{at}"), reason))?;
    root(spec, bundle)?;
    let Some(linux) = spec.linux() else {
        return fault("linux", "is missing");
    };
    namespaces::namespaces(spec, linux)?;
    namespaces::sysctl(linux)?;
    namespaces::net_devices(linux)?;
    mounts::mounts(spec, linux)?;
    hooks::hooks(spec)?;
    linux::devices(linux)?;
    if let Some(resources) = linux.resources() {
        cgroup::validate(resources).map_err(|(at, reason)| (format!("linux.resources.{at}"), reason))?;
    }
    if let Some(profile) = linux.seccomp() {
        seccomp::seccomp(profile).map_err(|(at, reason)| (format!("linux.seccomp.{at}"), reason))?;
    }
    linux::rest(linux)
}

fn root(spec: &Spec, bundle: &Path) -> Result<(), Fault> {
    let Some(root) = spec.root() else {
        return fault("root", "is missing");
    };
    if root.path().as_os_str().is_empty() {
        return fault("root.path", "is empty");
    }
    let path = bundle.join(root.path());
    match fs::metadata(&path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => fault("root.path", format!("{} is not a directory", path.display())),
        Err(error) => {
            let reason = crate::failure::reason_of(&error);
            fault("root.path", format!("cannot open {}: {reason}", path.display()))
        }
    }
}
