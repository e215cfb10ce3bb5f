//! The config.json to run: the manifest's overrides laid over the bundle's own.
//!
//! Works on JSON values, so that everything which is not overridden stands as the bundle has it, known or not.
//!
//! | manifest | config.json |
//! |---|---|
//! | `command` | replaces `process.args` whole (the image's entrypoint and command) |
//! | `args` alone | replaces all of `process.args` but its first element: a bundle does not tell its entrypoint from its arguments, so the program is taken for the entrypoint |
//! | `env` | sets variables of `process.env` by name; `$(VAR)` sees the bundle's and those before it; a `valueFrom` is resolved |
//! | `workingDir`, `tty` | `process.cwd`, `process.terminal` |
//! | `securityContext` | `process.user`, `.capabilities`, `.noNewPrivileges`, `root.readonly`, `linux.seccomp`, … |
//! | `resources` | `linux.resources.cpu`, `.memory`, `.hugepageLimits` |
//! | `volumeMounts` | `mounts`: a volume replaces what the bundle mounts at the same place and lies below what it mounts inside |
//! | `hostNetwork`, `hostPID`, `hostIPC` | the namespace is left out; with hostNetwork the UTS namespace too |
//!
//! The lifecycle annotations are left out: whoever runs this config runs the handlers, and a runtime that honours
//! annotations would run them a second time.

mod linux;
mod mounts;
mod process;
mod security;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::annotations;
use crate::container::ContainerSpec;
use crate::pod::PodSpec;
use crate::reference::Known;
use crate::signal;
use crate::volume::MountPropagation;

/// Where the engine puts a container: all that the manifest cannot know.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Placement {
    /// The root file system to run on, absolute.
    pub rootfs: PathBuf,
    /// The pod's namespaces that the container joins.
    pub namespaces: JoinedNamespaces,
    /// `linux.cgroupsPath`.
    pub cgroups_path: String,
    /// The container's volume mounts, resolved, in the order of the manifest.
    pub mounts: Vec<ResolvedMount>,
    /// Mounts of the engine's own (termination log, /etc/hosts, the /dev/shm of a shared IPC namespace, …); a volume
    /// mount at the same place wins.
    pub extra_mounts: Vec<ResolvedMount>,
    /// The host name, for `HOSTNAME` and, unless the UTS namespace is joined, for the config.
    pub hostname: Option<String>,
    /// Annotations to add.
    pub annotations: BTreeMap<String, String>,
    /// The primary group of `runAsUser` in the image's /etc/passwd; stands where there is no `runAsGroup`.
    pub primary_gid: Option<u32>,
    /// Groups of the user in the image's /etc/group; left out with `supplementalGroupsPolicy: Strict`.
    pub supplementary_gids: Vec<u32>,
    /// What `ALL` and `privileged` stand for, as `CAP_X`: the capabilities that this process has and can give.
    /// `None` is every one there is.
    pub available_capabilities: Option<Vec<String>>,
    /// `linux.devices` entries that a privileged container gets: the machine's devices.
    pub host_devices: Vec<Value>,
    /// What `valueFrom` is resolved against.
    pub known: Rc<Known>,
    /// The content of the file that `Seccomp::Localhost` names: an OCI `linux.seccomp` object.
    pub seccomp_profile: Option<Value>,
}

/// Namespaces to join by path; `None` leaves the bundle's own choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinedNamespaces {
    /// The network namespace.
    pub network: Option<PathBuf>,
    /// The IPC namespace.
    pub ipc: Option<PathBuf>,
    /// The UTS namespace.
    pub uts: Option<PathBuf>,
    /// The PID namespace, with `shareProcessNamespace`.
    pub pid: Option<PathBuf>,
}

/// One mount with its source known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedMount {
    /// Absolute on the host (or `/proc/self/fd/N`); for a tmpfs its label.
    pub source: PathBuf,
    /// Absolute inside the container.
    pub destination: PathBuf,
    /// Mounted read-only.
    pub read_only: bool,
    /// `mountPropagation`.
    pub propagation: MountPropagation,
    /// What is mounted.
    pub kind: MountKind,
}

/// What a [`ResolvedMount`] mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountKind {
    /// The source itself, with what is mounted below it.
    Bind,
    /// A fresh tmpfs.
    Tmpfs {
        /// Its size in bytes; `None` is the kernel's default.
        size_bytes: Option<u64>,
    },
}

/// Why no config can be made of a bundle and a container.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigProblem {
    /// The container may not run as asked; reason `CreateContainerConfigError`.
    #[error("container {container}: {message}")]
    Refused {
        /// The container's name.
        container: String,
        /// Why.
        message: String,
    },
    /// The bundle's config.json cannot be built upon.
    #[error("config.json of container {container}: {path}: {message}")]
    Bundle {
        /// The container's name.
        container: String,
        /// The place in config.json.
        path: String,
        /// What is wrong there.
        message: String,
    },
}

impl ConfigProblem {
    /// The waiting reason in Kubernetes' words (`lifecycle-semantics 5`, reasons).
    pub fn reason(&self) -> &'static str {
        "CreateContainerConfigError"
    }
}

/// Lays a container's overrides over its bundle's config.json. Pure; everything not overridden stands.
///
/// # Errors
/// When the bundle's config.json has the wrong shape, or the result may not run (`runAsNonRoot` with uid 0).
pub fn config(
    base: &Value,
    container: &ContainerSpec,
    pod: &PodSpec,
    placement: &Placement,
) -> Result<Value, ConfigProblem> {
    let mut overlay = Overlay {
        config: Map::new(),
        container,
        pod,
        placement,
    };
    let Value::Object(config) = base else {
        return Err(overlay.bundle("", format!("must be an object, not {}", describe(base))));
    };
    overlay.config = config.clone();
    overlay.process()?;
    overlay.user()?;
    overlay.capabilities()?;
    overlay.root()?;
    overlay.namespaces()?;
    overlay.sysctls()?;
    overlay.resources()?;
    overlay.mounts()?;
    overlay.confinement()?;
    overlay.annotations()?;
    Ok(Value::Object(overlay.config))
}

/// The annotation by which a bundle tells the image's STOPSIGNAL.
const STOP_SIGNAL: &str = "org.opencontainers.image.stopSignal";

/// The signal that asks a container to stop, in its full name: the manifest's, else the bundle's annotation
/// `org.opencontainers.image.stopSignal`, else SIGTERM (`lifecycle-semantics 3.30`).
///
/// # Errors
/// When the bundle's annotation is no signal.
pub fn stop_signal(base: &Value, container: &ContainerSpec) -> Result<String, ConfigProblem> {
    if let Some(name) = &container.lifecycle.stop_signal {
        return Ok(name.clone());
    }
    let annotation = base
        .get("annotations")
        .and_then(|annotations| annotations.get(STOP_SIGNAL));
    let text = match annotation {
        None | Some(Value::Null) => return Ok("SIGTERM".into()),
        Some(Value::String(text)) if text.is_empty() => return Ok("SIGTERM".into()),
        Some(Value::String(text)) => text.as_str(),
        Some(_) => "",
    };
    signal::canonical(text).ok_or_else(|| ConfigProblem::Bundle {
        container: container.name.clone(),
        path: format!("annotations[{STOP_SIGNAL}]"),
        message: "must be a signal name such as SIGQUIT".into(),
    })
}

/// A config.json in the making.
struct Overlay<'a> {
    config: Map<String, Value>,
    container: &'a ContainerSpec,
    pod: &'a PodSpec,
    placement: &'a Placement,
}

impl Overlay<'_> {
    fn bundle(&self, path: &str, message: impl Into<String>) -> ConfigProblem {
        let path = if path.is_empty() { "the whole" } else { path };
        ConfigProblem::Bundle {
            container: self.container.name.clone(),
            path: path.to_owned(),
            message: message.into(),
        }
    }

    fn refused(&self, message: impl Into<String>) -> ConfigProblem {
        ConfigProblem::Refused {
            container: self.container.name.clone(),
            message: message.into(),
        }
    }

    /// The object at a path such as `linux.resources`, made when absent.
    fn object(&mut self, path: &str) -> Result<&mut Map<String, Value>, ConfigProblem> {
        let container = &self.container.name;
        let mut object = &mut self.config;
        for key in path.split('.') {
            let value = object.entry(key).or_insert(Value::Null);
            if value.is_null() {
                *value = json!({});
            }
            let found = describe(value);
            let Value::Object(inner) = value else {
                let message = format!("{key} must be an object, not {found}");
                return Err(ConfigProblem::Bundle {
                    container: container.clone(),
                    path: path.into(),
                    message,
                });
            };
            object = inner;
        }
        Ok(object)
    }

    /// The list at the key of the object at a path, made when absent.
    fn list(&mut self, path: &str, key: &str) -> Result<&mut Vec<Value>, ConfigProblem> {
        let whole = if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        };
        let container = self.container.name.clone();
        let object = if path.is_empty() {
            &mut self.config
        } else {
            self.object(path)?
        };
        let value = object.entry(key).or_insert(Value::Null);
        if value.is_null() {
            *value = json!([]);
        }
        let message = format!("must be a list, not {}", describe(value));
        match value {
            Value::Array(list) => Ok(list),
            _ => Err(ConfigProblem::Bundle {
                container,
                path: whole,
                message,
            }),
        }
    }

    /// Takes the key out of the object at a path, if both are there.
    fn remove(&mut self, path: &str, key: &str) {
        let mut object = Some(&mut self.config);
        for step in path.split('.') {
            object = object
                .and_then(|object| object.get_mut(step))
                .and_then(Value::as_object_mut);
        }
        if let Some(object) = object {
            object.remove(key);
        }
    }

    fn root(&mut self) -> Result<(), ConfigProblem> {
        let rootfs = self.text_of(&self.placement.rootfs)?;
        let read_only = self.container.security.read_only_root_filesystem;
        let root = self.object("root")?;
        root.insert("path".into(), rootfs.into());
        if let Some(read_only) = read_only {
            root.insert("readonly".into(), read_only.into());
        }
        Ok(())
    }

    /// A path as JSON can hold it.
    fn text_of(&self, path: &std::path::Path) -> Result<String, ConfigProblem> {
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| self.refused(format!("the path {} is not UTF-8", path.display())))
    }

    fn annotations(&mut self) -> Result<(), ConfigProblem> {
        let (pod, container) = (self.pod.name.clone(), self.container.name.clone());
        let added = self.placement.annotations.clone();
        let all = self.object("annotations")?;
        all.retain(|key, _| !key.starts_with(annotations::PREFIX));
        all.extend(added.into_iter().map(|(key, value)| (key, value.into())));
        all.insert("org.tenure.pod".into(), pod.into());
        all.insert("org.tenure.container".into(), container.into());
        Ok(())
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
