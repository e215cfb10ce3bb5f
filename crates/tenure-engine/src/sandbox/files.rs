//! Files that the engine puts into containers: `/etc/hosts`, `/etc/resolv.conf`, `/etc/hostname`, and the one that
//! takes the termination message.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use serde_json::Value;
use tenure_spec::oci::{MountKind, ResolvedMount};
use tenure_spec::{ContainerSpec, Image, MountPropagation, PodSpec};
use tenure_supervise::mount::tmpfs;

use super::beneath::kind_in_root;
use crate::error::EngineError;
use crate::store::{PodDir, file_error, make_private_dir};

/// How much of a termination message counts: its last bytes (`lifecycle-semantics 5.21`).
const MESSAGE_MAX: u64 = 4096;

/// Where POSIX shared memory is, which goes with the IPC namespace; its size is what container engines give.
const SHARED_MEMORY: &str = "/dev/shm";
const SHARED_MEMORY_BYTES: u64 = 64 * 1024 * 1024;

/// The pod's files and where containers see them.
const SHARED: [(&str, &str); 3] = [
    ("hosts", "/etc/hosts"),
    ("resolv.conf", "/etc/resolv.conf"),
    ("hostname", "/etc/hostname"),
];

/// Writes the files that all containers of the pod share (0644).
pub(crate) fn create(dir: &PodDir, spec: &PodSpec) -> Result<(), EngineError> {
    let folder = dir.files();
    make_private_dir(&folder)?;
    if !spec.host_ipc {
        create_shared_memory(dir)?;
    }
    let write = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, content)
            .and_then(|()| fs::set_permissions(&path, PermissionsExt::from_mode(0o644)))
            .map_err(|source| file_error("write", &path, source))
    };
    write("hosts", hosts(spec).as_bytes())?;
    // Absent on the host: empty in the pod, so that names simply do not resolve.
    let resolv_conf = fs::read("/etc/resolv.conf").unwrap_or_default();
    let resolv_conf = spec.dns.resolv_conf(&String::from_utf8_lossy(&resolv_conf));
    write("resolv.conf", resolv_conf.as_bytes())?;
    if !spec.host_network {
        write("hostname", format!("{}\n", spec.hostname).as_bytes())?;
    }
    Ok(())
}

/// What /dev/shm is in all containers of the pod: the pod's own, or with `hostIPC` the host's.
pub(crate) fn shared_memory(dir: &PodDir, spec: &PodSpec) -> ResolvedMount {
    let source = if spec.host_ipc {
        PathBuf::from(SHARED_MEMORY)
    } else {
        dir.files().join("shm")
    };
    bind(source, PathBuf::from(SHARED_MEMORY))
}

fn create_shared_memory(dir: &PodDir) -> Result<(), EngineError> {
    let path = dir.files().join("shm");
    fs::create_dir(&path)
        .and_then(|()| tmpfs(&path, Some(SHARED_MEMORY_BYTES), 0o1777))
        .map_err(|source| file_error("make shared memory in", &path, source))
}

fn hosts(spec: &PodSpec) -> String {
    let mut text = if spec.host_network {
        fs::read_to_string("/etc/hosts").unwrap_or_default()
    } else {
        format!(
            "# The pod's own network has the loopback only.\n\
             127.0.0.1\tlocalhost\n\
             ::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::0\tip6-localnet\n\
             fe00::0\tip6-mcastprefix\n\
             fe00::1\tip6-allnodes\n\
             fe00::2\tip6-allrouters\n\
             127.0.0.1\t{}\n",
            spec.host_names.join("\t")
        )
    };
    if !spec.host_aliases.is_empty() {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str("\n# hostAliases of the pod.\n");
        for (address, names) in &spec.host_aliases {
            text.push_str(&format!("{address}\t{}\n", names.join("\t")));
        }
    }
    text
}

/// The shared files that one container gets: not where the bundle mounts something of its own, and only where its
/// root file system has or can have the place. What the manifest speaks of goes before both.
pub(crate) fn mounts(
    dir: &PodDir,
    spec: &PodSpec,
    image: &Image,
    base: &Value,
    rootfs: &Path,
) -> Vec<ResolvedMount> {
    let is_given = |name: &str| match name {
        "hosts" => !spec.host_aliases.is_empty() || spec.host_names.len() > 1,
        "resolv.conf" => spec.dns.is_given,
        _ => false,
    };
    let taken = |destination: &str| {
        base.pointer("/mounts")
            .and_then(Value::as_array)
            .is_some_and(|mounts| {
                mounts
                    .iter()
                    .any(|mount| mount.pointer("/destination").and_then(Value::as_str) == Some(destination))
            })
    };
    SHARED
        .iter()
        .filter(|(name, destination)| {
            dir.files().join(name).exists()
                && (is_given(name) || !taken(destination) && has_place(image, rootfs, destination))
        })
        .map(|(name, destination)| bind(dir.files().join(name), PathBuf::from(destination)))
        .collect()
}

/// A layer of our own can be given the file; the bundle's own root file system must have it.
fn has_place(image: &Image, rootfs: &Path, destination: &str) -> bool {
    let is_file =
        |path: &str| kind_in_root(rootfs, Path::new(path)).map(|kind| kind.map(|kind| kind.is_file()));
    let folder =
        || kind_in_root(rootfs, Path::new("/etc")).is_ok_and(|kind| kind.is_none_or(|kind| kind.is_dir()));
    match (image, is_file(destination)) {
        (_, Ok(Some(is_file))) => is_file,
        (Image::Layered(_), Ok(None)) => folder(),
        (Image::InPlace(_), Ok(None)) | (_, Err(_)) => false,
    }
}

fn bind(source: PathBuf, destination: PathBuf) -> ResolvedMount {
    ResolvedMount {
        source,
        destination,
        read_only: false,
        propagation: MountPropagation::Private,
        kind: MountKind::Bind,
    }
}

/// Where a container's termination message is taken.
pub(crate) fn termination_log(dir: &PodDir, container: &str) -> PathBuf {
    dir.files().join(format!("termination-log.{container}"))
}

/// An empty file (0666) for one start's termination message (`lifecycle-semantics 5.20`).
pub(crate) fn create_termination_log(
    dir: &PodDir,
    container: &ContainerSpec,
) -> Result<ResolvedMount, EngineError> {
    let path = termination_log(dir, &container.name);
    let made = (|| {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o666)
            .open(&path)?;
        // Not left to open: our umask would cut it.
        file.set_permissions(PermissionsExt::from_mode(0o666))
    })();
    made.map_err(|source| file_error("create", &path, source))?;
    Ok(bind(path, container.termination_message_path.clone()))
}

/// The last 4096 bytes of a termination message; empty when there is none (`lifecycle-semantics 5.21`).
pub(crate) fn read_termination_log(path: &Path) -> String {
    read_tail(path, MESSAGE_MAX)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

fn read_tail(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut file: File = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    file.seek(SeekFrom::Start(metadata.len().saturating_sub(limit)))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_4096_bytes_of_a_message_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        fs::write(&path, format!("{}{}", "a".repeat(904), "b".repeat(4096))).unwrap();
        assert_eq!(read_termination_log(&path), "b".repeat(4096));
        fs::write(&path, "short").unwrap();
        assert_eq!(read_termination_log(&path), "short");
    }

    #[test]
    fn a_link_or_a_fifo_in_place_of_the_message_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(read_termination_log(&path), "");
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        assert_eq!(read_termination_log(&path), "");
        assert_eq!(read_termination_log(&folder.path().join("absent")), "");
    }

    #[test]
    fn a_file_goes_where_the_root_file_system_can_have_it() {
        let rootfs = tempfile::tempdir().unwrap();
        let layered = Image::Layered(rootfs.path().into());
        let in_place = Image::InPlace(rootfs.path().into());
        assert!(has_place(&layered, rootfs.path(), "/etc/hosts"));
        assert!(!has_place(&in_place, rootfs.path(), "/etc/hosts"));
        fs::create_dir(rootfs.path().join("etc")).unwrap();
        fs::write(rootfs.path().join("etc/hosts"), "").unwrap();
        assert!(has_place(&in_place, rootfs.path(), "/etc/hosts"));
        fs::create_dir(rootfs.path().join("etc/hostname")).unwrap();
        assert!(!has_place(&layered, rootfs.path(), "/etc/hostname"));
        fs::remove_dir_all(rootfs.path().join("etc")).unwrap();
        fs::write(rootfs.path().join("etc"), "").unwrap();
        assert!(!has_place(&layered, rootfs.path(), "/etc/hosts"));
    }
}
