//! The systemd cgroup driver: a container's cgroup is that of a transient scope, made by systemd.
//!
//! ```text
//! runtime process                      systemd                          init
//!   record: scope and cgroups
//!   clone3 -------------------------------------------------------->    waits
//!   StartTransientUnit(init) ------>   makes slices, scope and cgroup
//!                                      moves init into it
//!   JobRemoved: done        <-------
//!   limits that systemd knows not
//!   go ------------------------------------------------------------>    namespaces, mounts, ...
//! ```
//!
//! systemd takes processes by pid only, so init is moved once. What `exec` adds is born in the cgroup.

mod bus;
mod delegated;
mod properties;
mod variant;
mod wire;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};

use self::bus::{Bus, Fault};
pub use self::delegated::DelegatedScope;
pub(crate) use self::properties::Property;
use self::wire::Value;
use super::{Cgroups, Hierarchies};
use crate::Error;

/// The longest name that systemd gives a unit, in bytes.
const MAX_NAME: usize = 255;

/// A transient scope, named before it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope {
    /// `PREFIX-NAME.scope`.
    pub(crate) unit: String,
    /// The slice it is in: `system.slice`.
    pub(crate) slice: String,
}

impl Scope {
    /// The scope that a `cgroupsPath` of the form `SLICE:PREFIX:NAME` names; the error is what is wrong with it.
    ///
    /// Without a path it is `tenure-ID.scope`, and without a slice it is in `system.slice` (`user.slice` for a user).
    pub(crate) fn of(cgroups_path: Option<&Path>, id: &str, root: bool) -> Result<Self, String> {
        let given = cgroups_path.map(Path::as_os_str).filter(|p| !p.is_empty());
        let (slice, prefix, name) = match given {
            None => ("", "tenure", escape(id)),
            Some(text) => {
                let shown = text.to_string_lossy();
                let parts: Vec<&str> = text.to_str().unwrap_or_default().split(':').collect();
                let &[slice, prefix, name] = parts.as_slice() else {
                    return Err(format!(
                        "\"{shown}\" is not of the form SLICE:PREFIX:NAME, which the systemd cgroup driver needs"
                    ));
                };
                (slice, prefix, name.to_owned())
            }
        };
        let default = if root { "system.slice" } else { "user.slice" };
        let scope = Self {
            unit: format!("{prefix}-{name}.scope"),
            slice: if slice.is_empty() { default } else { slice }.to_owned(),
        };
        if name.is_empty() || name.ends_with(".slice") {
            return Err(format!("names no scope in {}", scope.slice));
        }
        if !scope.has_valid_name() {
            return Err(format!("\"{}\" cannot be the name of a unit", scope.unit));
        }
        match slice_directory(&scope.slice) {
            Some(_) => Ok(scope),
            None => Err(format!("\"{}\" is no name of a slice", scope.slice)),
        }
    }

    /// Whether a unit can have its name.
    fn has_valid_name(&self) -> bool {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b":_.\\-@".contains(&b);
        self.unit.bytes().all(allowed) && self.unit.len() <= MAX_NAME
    }

    /// Where its cgroup is, seen from systemd's root.
    fn directory(&self) -> PathBuf {
        slice_directory(&self.slice).unwrap_or_default().join(&self.unit)
    }

    /// Has systemd make the scope, with process `pid` in it, and returns when that is done.
    fn start(&self, pid: i32, description: String, more: Vec<Property>) -> Result<(), StartError> {
        let fault = |fault: Fault| match fault {
            Fault::Absent(_) => StartError::NotOurs(self.error("start", fault)),
            _ => StartError::Failed(self.error("start", fault)),
        };
        let mut bus = Bus::connect().map_err(fault)?;
        let more = known(&mut bus, more).map_err(fault)?;
        let pid = u32::try_from(pid).unwrap_or_default();
        let mut list = vec![
            property("Description", Value::Text(description)),
            property("Slice", Value::text(self.slice.clone())),
            property("Delegate", Value::Bool(true)),
            property("PIDs", Value::Array("u".to_owned(), vec![Value::U32(pid)])),
            property("MemoryAccounting", Value::Bool(true)),
            property("CPUAccounting", Value::Bool(true)),
            property("IOAccounting", Value::Bool(true)),
            property("TasksAccounting", Value::Bool(true)),
            property("DefaultDependencies", Value::Bool(false)),
        ];
        list.extend(more.into_iter().map(as_struct));
        let body = [
            Value::text(self.unit.clone()),
            Value::text("replace"),
            Value::Array("(sv)".to_owned(), list),
            Value::Array("(sa(sv))".to_owned(), Vec::new()),
        ];
        let mut result = bus.job("StartTransientUnit", &body);
        if result.as_ref().is_err_and(|f| f.is("UnitExists")) {
            // Perhaps one that has failed and is only remembered.
            let _ = bus.call("ResetFailedUnit", &[Value::text(self.unit.clone())]);
            result = bus.job("StartTransientUnit", &body);
        }
        match result {
            Ok(result) if result == "done" => Ok(()),
            Ok(result) => Err(fault(Fault::Broken(format!("the job ended with \"{result}\"")))),
            Err(exists) if exists.is("UnitExists") => Err(StartError::NotOurs(self.error("start", exists))),
            Err(other) => Err(fault(other)),
        }
    }

    /// Stops the scope if it still exists, and makes systemd forget a failure of it.
    pub(super) fn stop(&self) -> Result<(), Error> {
        let mut bus = match Bus::connect() {
            Err(Fault::Absent(reason)) => {
                // Then there is no unit either.
                tracing::warn!(unit = %self.unit, reason, "cannot ask systemd to forget a scope");
                return Ok(());
            }
            other => other.map_err(|fault| self.error("stop", fault))?,
        };
        let unit = Value::text(self.unit.clone());
        match bus.job("StopUnit", &[unit.clone(), Value::text("replace")]) {
            Err(fault) if fault.is("NoSuchUnit") => return Ok(()),
            other => other.map_err(|fault| self.error("stop", fault))?,
        };
        match bus.call("ResetFailedUnit", &[unit]) {
            // Stopped and forgotten.
            Err(fault) if fault.is("NoSuchUnit") => Ok(()),
            other => other.map(drop).map_err(|fault| self.error("reset", fault)),
        }
    }

    /// Tells systemd other limits. Returns when systemd has written them, so that what is written then stays.
    fn set(&self, properties: Vec<Property>) -> Result<(), Error> {
        let fault = |fault| self.error("change", fault);
        let mut bus = Bus::connect().map_err(fault)?;
        let properties = known(&mut bus, properties).map_err(fault)?;
        let list = properties.into_iter().map(as_struct).collect();
        let body = [
            Value::text(self.unit.clone()),
            Value::Bool(true),
            Value::Array("(sv)".to_owned(), list),
        ];
        bus.call("SetUnitProperties", &body).map_err(fault)?;
        bus.settle().map_err(fault)
    }

    fn error(&self, operation: &'static str, fault: Fault) -> Error {
        match fault {
            Fault::Absent(reason) => Error::NoSystemd { reason },
            other => Error::Systemd {
                operation,
                unit: self.unit.clone(),
                reason: other.text(),
            },
        }
    }
}

/// Why there is no scope.
#[derive(Debug)]
pub(crate) enum StartError {
    /// What there is of it may be removed.
    Failed(Error),
    /// There is no systemd, or a unit of that name is somebody else's: nothing must be removed.
    NotOurs(Error),
}

/// A property as D-Bus carries it.
fn as_struct((name, value): Property) -> Value {
    Value::Struct(vec![Value::Text(name), Value::Variant(Box::new(value))])
}

fn property(name: &str, value: Value) -> Value {
    as_struct((name.to_owned(), value))
}

/// Those of the properties that this systemd knows.
fn known(bus: &mut Bus, mut properties: Vec<Property>) -> Result<Vec<Property>, Fault> {
    if properties::need_version(&properties) {
        let version = properties::parse_version(&bus.property("Version")?);
        properties::retain_known(&mut properties, version);
    }
    Ok(properties)
}

/// A container's id in the name of a unit: one character of ids is none of theirs.
fn escape(id: &str) -> String {
    id.replace('+', "\\x2b")
}

/// `a-b.slice` is in `a.slice`, and `-.slice` is the root; `None` if it is no slice.
fn slice_directory(slice: &str) -> Option<PathBuf> {
    let stem = slice.strip_suffix(".slice")?;
    let mut directory = PathBuf::new();
    if stem == "-" {
        return Some(directory);
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b":_.\\-@".contains(&b);
    let mut parent = String::new();
    for part in stem.split('-') {
        if part.is_empty() || !part.bytes().all(allowed) {
            return None;
        }
        if !parent.is_empty() {
            parent.push('-');
        }
        parent.push_str(part);
        directory.push(format!("{parent}.slice"));
    }
    (slice.len() <= MAX_NAME).then_some(directory)
}

impl Hierarchies {
    /// Where systemd puts a scope.
    pub(crate) fn place_scope(&self, scope: Scope) -> Result<Cgroups, Error> {
        let table = if rustix::process::geteuid().is_root() {
            let file = "/proc/1/cgroup";
            fs::read_to_string(file).map_err(Error::file("read", file))?
        } else {
            let mut bus = Bus::connect().map_err(|fault| scope.error("place", fault))?;
            let root = bus.property("ControlGroup");
            format!("0::{}", root.map_err(|fault| scope.error("place", fault))?)
        };
        let directory = scope.directory();
        let mut cgroups = self.locate(&directory, |controllers| {
            let root = super::hierarchy::own_cgroup(&table, controllers).unwrap_or_default();
            PathBuf::from(root.strip_suffix("/init.scope").unwrap_or(root))
        });
        cgroups.scope = Some(scope);
        Ok(cgroups)
    }
}

impl Cgroups {
    /// Has systemd make the scope with init in it, and returns when init is there.
    pub(crate) fn start_scope(&self, init: i32, properties: &[Property]) -> Result<(), StartError> {
        let Some(scope) = &self.scope else {
            return Ok(());
        };
        let description = format!("container {}", scope.unit);
        scope.start(init, description, properties.to_vec())?;
        let Some(unified) = self.unified.as_deref().filter(|_| self.v1.is_empty()) else {
            return Ok(());
        };
        // The name was reckoned, and all that follows happens to the cgroup of that name.
        if Hierarchies::unified_cgroup_of(init, unified).as_deref() == Some(unified) {
            return Ok(());
        }
        let reason = format!("its cgroup is not {}", unified.display());
        Err(StartError::Failed(scope.error("start", Fault::Broken(reason))))
    }

    /// Moves the calling process into what systemd does not see to: the hierarchies of v1, and the unified one beside
    /// them.
    pub(crate) fn enter_beside_systemd(&self) -> Result<(), std::io::Error> {
        if self.v1.is_empty() {
            return Ok(());
        }
        let tasks = self.v1.iter().map(|c| c.path.join("tasks"));
        let procs = self.unified.iter().map(|p| p.join("cgroup.procs"));
        tasks.chain(procs).try_for_each(|file| fs::write(file, "0"))
    }

    /// What systemd is told of the container when it makes the scope: limits, and what annotations ask for.
    ///
    /// The error is the place in the configuration and the reason. Nothing without a scope.
    pub(crate) fn unit_properties(
        &self,
        resources: Option<&LinuxResources>,
        annotations: Option<&HashMap<String, String>>,
    ) -> Result<Vec<Property>, (String, String)> {
        if self.scope.is_none() {
            return Ok(Vec::new());
        }
        let mut list = resources
            .map(|r| properties::limits(r, self.v1.is_empty()))
            .unwrap_or_default();
        if let Some(annotations) = annotations {
            list.extend(properties::annotated(annotations)?);
        }
        Ok(list)
    }

    /// Tells systemd of changed limits, before they are written; without a scope, does nothing.
    pub(crate) fn tell_systemd(&self, resources: &LinuxResources) -> Result<(), Error> {
        let Some(scope) = &self.scope else { return Ok(()) };
        let list = properties::limits(resources, self.v1.is_empty());
        if list.is_empty() {
            return Ok(());
        }
        scope.set(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Result<(String, String), String> {
        Scope::of(Some(Path::new(path)), "web", true)
            .map(|s| (s.slice.clone(), s.directory().display().to_string()))
    }

    #[test]
    fn a_path_names_slice_and_scope() {
        let is = |slice: &str, directory: &str| Ok((slice.to_owned(), directory.to_owned()));
        assert_eq!(
            of("machine.slice:libpod:0af"),
            is("machine.slice", "machine.slice/libpod-0af.scope")
        );
        assert_eq!(
            of(":docker:0af"),
            is("system.slice", "system.slice/docker-0af.scope")
        );
        assert_eq!(
            of("kubepods-burstable-pod1.slice:cri-containerd:x"),
            is(
                "kubepods-burstable-pod1.slice",
                "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-x.scope"
            )
        );
        assert_eq!(of("-.slice:a:b"), is("-.slice", "a-b.scope"));
        assert_eq!(of(""), is("system.slice", "system.slice/tenure-web.scope"));
        let user = Scope::of(None, "a+b", false).unwrap();
        assert_eq!(
            (user.slice.as_str(), user.unit.as_str()),
            ("user.slice", "tenure-a\\x2bb.scope")
        );
    }

    #[test]
    fn a_path_of_another_form_is_refused_and_shown() {
        for path in ["/a/b", "a.slice:b", "a.slice:b:c:d"] {
            let reason = of(path).unwrap_err();
            assert!(
                reason.contains(&format!("{path:?}")) && reason.contains("SLICE:PREFIX:NAME"),
                "{reason}"
            );
        }
        for path in [
            "a.slice:b:",
            "a.slice:b:c.slice",
            "a:b:c",
            "a/b.slice:c:d",
            "-a.slice:b:c",
            "a--b.slice:c:d",
            "a-.slice:c:d",
            ".slice:c:d",
            "../x.slice:c:d",
            "a.slice:../b:c",
            "a.slice:b:c/d",
            "a.slice:b:c d",
        ] {
            assert!(of(path).is_err(), "{path}");
        }
        assert!(of(&format!("a.slice:b:{}", "x".repeat(300))).is_err());
    }
}
