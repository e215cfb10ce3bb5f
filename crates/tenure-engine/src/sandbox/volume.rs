//! Volumes: `emptyDir`, `hostPath` and those of files, and what of them is mounted into a container.
//!
//! `sizeLimit` of an `emptyDir` in memory is the tmpfs's size, enforced by the kernel. On disk it is not enforced:
//! the kubelet measures and evicts, and no file system that we may count on has quotas for a folder.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tenure_spec::oci::{MountKind, ResolvedMount};
use tenure_spec::reference::Known;
use tenure_spec::volume::HostPathKind;
use tenure_spec::{ContainerSpec, Medium, PodSpec, Volume, VolumeMount, VolumeSource};
use tenure_supervise::mount::{BindOptions, bind, tmpfs};

use super::{beneath, volume_files};
use crate::error::EngineError;
use crate::store::{PodDir, file_error, make_private_dir};

/// What the kubelet gives to an `emptyDir`.
const EMPTY_DIR_MODE: u32 = 0o777;

/// Makes what a pod's volumes need, with content as `known` has it.
pub(crate) fn create(dir: &PodDir, spec: &PodSpec, known: &Known) -> Result<(), EngineError> {
    for volume in &spec.volumes {
        match &volume.source {
            VolumeSource::EmptyDir {
                medium,
                size_limit_bytes,
            } => {
                let path = dir.volumes().join(&volume.name);
                empty_dir(&path, *medium, *size_limit_bytes)
                    .and_then(|()| own(&path, group(spec)))
                    .map_err(|source| file_error("create", &path, source))?;
            }
            VolumeSource::HostPath { path, kind } => {
                host_path(path, *kind).map_err(|source| file_error("use", path, source))?;
            }
            VolumeSource::Files(files) => {
                let path = dir.volumes().join(&volume.name);
                volume_files::create(&path, files, group(spec), spec, known)
                    .map_err(|source| file_error("create", &path, source))?;
            }
        }
    }
    Ok(())
}

fn empty_dir(path: &Path, medium: Medium, size: Option<u64>) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).create(path)?;
    if medium == Medium::Memory {
        tmpfs(path, size, EMPTY_DIR_MODE)?;
    }
    Ok(())
}

/// Mode and group of an `emptyDir`: open to all, or with `fsGroup` its group's, inherited by what is made in it.
fn own(path: &Path, group: Option<u32>) -> io::Result<()> {
    let mode = match group {
        Some(group) => {
            chown(path, None, Some(group))?;
            0o2000 | EMPTY_DIR_MODE
        }
        None => EMPTY_DIR_MODE,
    };
    // Not left to mkdir: our umask would cut it.
    fs::set_permissions(path, PermissionsExt::from_mode(mode))
}

/// `fsGroup` is the pod's; every container has it merged in.
fn group(spec: &PodSpec) -> Option<u32> {
    spec.all_containers()
        .find_map(|container| container.security.fs_group)
}

fn host_path(path: &Path, kind: HostPathKind) -> io::Result<()> {
    let there = match path.metadata() {
        Ok(metadata) => Some(metadata.file_type()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let wanted = |ok: bool, what: &str| {
        if ok {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("not {what}")))
        }
    };
    match (kind, there) {
        (HostPathKind::Any, _) => Ok(()),
        (HostPathKind::DirectoryOrCreate, None) => {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
        }
        (HostPathKind::FileOrCreate, None) => fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(path)
            .map(drop),
        (_, None) => Err(io::ErrorKind::NotFound.into()),
        (HostPathKind::DirectoryOrCreate | HostPathKind::Directory, Some(there)) => {
            wanted(there.is_dir(), "a directory")
        }
        (HostPathKind::FileOrCreate | HostPathKind::File, Some(there)) => {
            wanted(there.is_file(), "a regular file")
        }
        (HostPathKind::Socket, Some(there)) => wanted(there.is_socket(), "a socket"),
        (HostPathKind::CharDevice, Some(there)) => wanted(there.is_char_device(), "a character device"),
        (HostPathKind::BlockDevice, Some(there)) => wanted(there.is_block_device(), "a block device"),
    }
}

/// A container's volume mounts with their sources. `staging` is a private folder for what `subPath`s are bound on.
pub(crate) fn mounts(
    dir: &PodDir,
    spec: &PodSpec,
    container: &ContainerSpec,
    staging: &Path,
) -> Result<Vec<ResolvedMount>, EngineError> {
    let mut mounts = Vec::with_capacity(container.volume_mounts.len());
    for (number, mount) in container.volume_mounts.iter().enumerate() {
        // A valid spec names only volumes that it has.
        let Some(volume) = spec.volumes.iter().find(|volume| volume.name == mount.name) else {
            continue;
        };
        let base = base(dir, volume);
        let source = match &mount.sub_path {
            None => base,
            Some(sub_path) => stage(&base, sub_path, &staging.join(number.to_string()))?,
        };
        mounts.push(resolved(mount, volume, source));
    }
    Ok(mounts)
}

fn resolved(mount: &VolumeMount, volume: &Volume, source: PathBuf) -> ResolvedMount {
    ResolvedMount {
        source,
        destination: mount.mount_path.clone(),
        // As the kubelet has it, what is made from data is nobody's to change.
        read_only: mount.read_only || matches!(volume.source, VolumeSource::Files(_)),
        propagation: mount.propagation,
        kind: MountKind::Bind,
    }
}

fn base(dir: &PodDir, volume: &Volume) -> PathBuf {
    match &volume.source {
        VolumeSource::EmptyDir { .. } | VolumeSource::Files(_) => dir.volumes().join(&volume.name),
        VolumeSource::HostPath { path, .. } => path.clone(),
    }
}

/// Binds what `sub_path` is now onto a place that no container can reach, so that it stays what it is.
fn stage(base: &Path, sub_path: &Path, place: &Path) -> Result<PathBuf, EngineError> {
    let file = beneath::open_or_create(base, sub_path)
        .map_err(|source| file_error("use subPath", &base.join(sub_path), telling(source)))?;
    let there = fs::File::from(file);
    let made = (|| {
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        if there.metadata()?.is_dir() {
            fs::create_dir(place)?;
        } else {
            fs::File::create_new(place)?;
        }
        let source = Path::new("/proc/self/fd").join(there.as_raw_fd().to_string());
        bind(
            &source,
            place,
            BindOptions {
                recursive: true,
                read_only: false,
            },
        )
    })();
    made.map_err(|source| file_error("bind", place, source))?;
    Ok(place.to_path_buf())
}

/// The kernel says "cross-device link" when a link leads out of the volume.
fn telling(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(nix::libc::EXDEV) {
        io::Error::new(error.kind(), "a link in it leads out of the volume")
    } else {
        error
    }
}

/// The folder that holds all volumes, which only we may enter: containers get them by mount.
pub(crate) fn create_folder(dir: &PodDir) -> Result<(), EngineError> {
    make_private_dir(&dir.volumes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_paths_are_checked_by_kind_and_made_where_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        host_path(&path("d"), HostPathKind::DirectoryOrCreate).unwrap();
        host_path(&path("d"), HostPathKind::Directory).unwrap();
        host_path(&path("f"), HostPathKind::FileOrCreate).unwrap();
        host_path(&path("f"), HostPathKind::File).unwrap();
        host_path(&path("absent"), HostPathKind::Any).unwrap();
        for (name, kind) in [
            ("absent", HostPathKind::Directory),
            ("absent", HostPathKind::File),
            ("f", HostPathKind::Directory),
            ("d", HostPathKind::File),
            ("f", HostPathKind::Socket),
            ("f", HostPathKind::CharDevice),
            ("d", HostPathKind::BlockDevice),
            ("f", HostPathKind::DirectoryOrCreate),
        ] {
            assert!(host_path(&path(name), kind).is_err(), "{name} {kind:?}");
        }
        host_path(Path::new("/dev/null"), HostPathKind::CharDevice).unwrap();
    }

    #[test]
    fn an_empty_dir_is_open_to_all_whatever_our_umask() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v");
        empty_dir(&path, Medium::Disk, None).unwrap();
        own(&path, None).unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o777);
    }
}
