//! A container's bundle: its layer over the image's root file system, and the config.json to run.
//!
//! ```text
//! bundles/NAME/  config.json   rootfs ◀─overlay─ upper work ─over─ the image's root file system
//!                subpaths/N    what volume subPaths are bound on
//! ```

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;
use tenure_lifecycle::StartFailure;
use tenure_spec::container::Seccomp;
use tenure_spec::oci::{self, JoinedNamespaces, Placement};
use tenure_spec::reference::Known;
use tenure_spec::{ContainerSpec, Image, PodSpec};
use tenure_supervise::mount::overlay;

use super::remove::unmount_all;
use super::{accounts, devices, files, volume};
use crate::error::{EngineError, line};
use crate::store::{PodDir, file_error, make_private_dir, remove_tree};

/// A config.json of ours is not longer.
const CONFIG_MAX: u64 = 4 * 1024 * 1024;

/// What a container can be made of.
#[derive(Debug)]
pub(crate) struct Layer {
    /// The image's config.json.
    base: Value,
    /// The root file system to run on.
    rootfs: PathBuf,
}

/// What a container is created from.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// The folder with config.json.
    pub(crate) path: PathBuf,
    /// A signal's number.
    pub(crate) stop_signal: i32,
    /// Its processes end with its init.
    pub(crate) own_pid_namespace: bool,
}

/// Makes the layer of the next start, which has nothing from earlier ones.
pub(crate) fn prepare(dir: &PodDir, container: &ContainerSpec) -> Result<Layer, EngineError> {
    let image = container.image.bundle();
    let base = read_config(&image.join("config.json"))?;
    let root = base
        .pointer("/root/path")
        .and_then(Value::as_str)
        .unwrap_or("rootfs");
    let lower = image.join(root);
    let folder = dir.bundle(&container.name);
    make_private_dir(&folder)?;
    let rootfs = match &container.image {
        Image::InPlace(_) => lower,
        Image::Layered(_) => layer(&lower, &folder)?,
    };
    Ok(Layer { base, rootfs })
}

fn read_config(path: &Path) -> Result<Value, EngineError> {
    let read = |source| file_error("read", path, source);
    let size = fs::metadata(path).map_err(read)?.len();
    if size > CONFIG_MAX {
        return Err(read(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "larger than 4 MiB",
        )));
    }
    let bytes = fs::read(path).map_err(read)?;
    serde_json::from_slice(&bytes).map_err(|source| EngineError::Content {
        path: path.into(),
        source,
    })
}

fn layer(lower: &Path, folder: &Path) -> Result<PathBuf, EngineError> {
    let [upper, work, rootfs] = ["upper", "work", "rootfs"].map(|name| folder.join(name));
    let metadata = fs::metadata(lower).map_err(|source| file_error("use root file system", lower, source))?;
    if !metadata.is_dir() {
        let source = std::io::ErrorKind::NotADirectory.into();
        return Err(file_error("use root file system", lower, source));
    }
    for path in [&upper, &work, &rootfs] {
        fs::create_dir(path).map_err(|source| file_error("create", path, source))?;
    }
    // The merged root shows the upper folder's owner and mode: the image's should stand.
    chown(&upper, Some(metadata.uid()), Some(metadata.gid()))
        .and_then(|()| fs::set_permissions(&upper, PermissionsExt::from_mode(metadata.mode() & 0o7777)))
        .map_err(|source| file_error("change", &upper, source))?;
    overlay(lower, &upper, &work, &rootfs)
        .map_err(|source| file_error("mount an overlay on", &rootfs, source))?;
    Ok(rootfs)
}

/// Writes the config.json of a prepared layer; binds subPaths as they are now.
pub(crate) fn complete(
    dir: &PodDir,
    spec: &PodSpec,
    container: &ContainerSpec,
    known: &Rc<Known>,
    layer: Layer,
) -> Result<Bundle, StartFailure> {
    let path = dir.bundle(&container.name);
    // As in Kubernetes, what the manifest wants of a volume and cannot have is the manifest's fault.
    let mounts = volume::mounts(dir, spec, container, &path.join("subpaths")).map_err(|error| {
        StartFailure::Config {
            message: format!("container {}: {}", container.name, line(&error)),
        }
    })?;
    let mut placement = placement(dir, spec, container, &layer).map_err(runtime_failure)?;
    placement.mounts = mounts;
    placement.known = Rc::clone(known);
    let refused = |problem: oci::ConfigProblem| StartFailure::Config {
        message: problem.to_string(),
    };
    let config = oci::config(&layer.base, container, spec, &placement).map_err(refused)?;
    let signal = oci::stop_signal(&layer.base, container).map_err(refused)?;
    let stop_signal = super::signal::number(&signal).ok_or_else(|| StartFailure::Config {
        message: format!("container {}: {signal} is not a signal", container.name),
    })?;
    let file = path.join("config.json");
    let written = serde_json::to_vec(&config)
        .map_err(std::io::Error::from)
        .and_then(|bytes| fs::write(&file, bytes));
    written.map_err(|source| runtime_failure(file_error("write", &file, source)))?;
    Ok(Bundle {
        path,
        stop_signal,
        own_pid_namespace: has_own_pid_namespace(&config),
    })
}

/// The stop signal of a container that somebody else created; SIGTERM when its bundle has become unreadable.
pub(crate) fn stop_signal(container: &ContainerSpec) -> i32 {
    let base = read_config(&container.image.bundle().join("config.json"));
    base.ok()
        .and_then(|base| oci::stop_signal(&base, container).ok())
        .and_then(|name| super::signal::number(&name))
        .unwrap_or(nix::libc::SIGTERM)
}

/// The failure of something that is not the manifest's fault.
pub(crate) fn runtime_failure(error: EngineError) -> StartFailure {
    StartFailure::Runtime {
        message: line(&error),
    }
}

/// Everything but the volume mounts and what references are resolved against.
fn placement(
    dir: &PodDir,
    spec: &PodSpec,
    container: &ContainerSpec,
    layer: &Layer,
) -> Result<Placement, EngineError> {
    let mut extra_mounts = files::mounts(dir, spec, &container.image, &layer.base, &layer.rootfs);
    extra_mounts.push(files::create_termination_log(dir, container)?);
    extra_mounts.push(files::shared_memory(dir, spec));
    let joined = |wanted: bool, name: &str| wanted.then(|| dir.namespaces().join(name));
    let account = container
        .security
        .run_as_user
        .map(|uid| accounts::account(&layer.rootfs, uid))
        .unwrap_or_default();
    let host_devices = if container.security.privileged {
        devices::host_devices().map_err(|source| file_error("list", "/dev".as_ref(), source))?
    } else {
        Vec::new()
    };
    Ok(Placement {
        rootfs: layer.rootfs.clone(),
        namespaces: JoinedNamespaces {
            network: joined(!spec.host_network, "net"),
            ipc: joined(!spec.host_ipc, "ipc"),
            uts: joined(!spec.host_network, "uts"),
            pid: joined(spec.share_process_namespace, "pid"),
        },
        cgroups_path: format!("/{}/{}", dir.cgroup(), container.name),
        mounts: Vec::new(),
        extra_mounts,
        hostname: Some(spec.hostname.clone()),
        annotations: std::collections::BTreeMap::new(),
        primary_gid: account.primary_gid,
        supplementary_gids: account.supplementary_gids,
        available_capabilities: available_capabilities(),
        host_devices,
        known: Rc::default(),
        seccomp_profile: seccomp_profile(container)?,
    })
}

/// What we may do and so can allow; `None` when it cannot be told.
fn available_capabilities() -> Option<Vec<String>> {
    let permitted = caps::read(None, caps::CapSet::Permitted).ok()?;
    Some(permitted.iter().map(ToString::to_string).collect())
}

fn seccomp_profile(container: &ContainerSpec) -> Result<Option<Value>, EngineError> {
    match &container.security.seccomp {
        Some(Seccomp::Localhost(path)) => read_config(path).map(Some),
        Some(Seccomp::Unconfined | Seccomp::RuntimeDefault) | None => Ok(None),
    }
}

fn has_own_pid_namespace(config: &Value) -> bool {
    config
        .pointer("/linux/namespaces")
        .and_then(Value::as_array)
        .is_some_and(|namespaces| {
            namespaces.iter().any(|namespace| {
                namespace.pointer("/type").and_then(Value::as_str) == Some("pid")
                    && namespace.pointer("/path").is_none()
            })
        })
}

/// Removes what [`prepare`] and [`complete`] made. May take long: a layer holds whatever its container wrote.
pub(crate) fn discard(dir: &PodDir, container: &str) -> Result<(), EngineError> {
    let path = dir.bundle(container);
    if !path.exists() {
        return Ok(());
    }
    unmount_all(&path).map_err(|source| file_error("unmount", &path, source))?;
    remove_tree(&path).map_err(|source| file_error("remove", &path, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pid_namespace_is_the_containers_own_unless_it_is_joined_or_the_hosts() {
        let of = |namespaces: Value| has_own_pid_namespace(&json!({"linux": {"namespaces": namespaces}}));
        assert!(of(json!([{"type": "mount"}, {"type": "pid"}])));
        assert!(!of(json!([{"type": "pid", "path": "/run/x/ns/pid"}])));
        assert!(!of(json!([{"type": "mount"}])));
        assert!(!has_own_pid_namespace(&json!({})));
    }
}
