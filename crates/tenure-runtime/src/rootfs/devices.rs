//! Device nodes and the links every container finds in `/dev`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, makedev};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use super::mounts::attach;
use super::path::{clean, ensure};
use crate::failure::Failure;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    path: PathBuf,
    kind: FileType,
    major: u32,
    minor: u32,
    mode: u32,
    owner: Option<(u32, u32)>,
}

/// The nodes the OCI specification promises; `console` is made by the terminal's set-up.
const DEFAULT: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Links in `/dev`: name and target.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Makes the nodes of the configuration and the default ones, and the links.
pub(super) fn create(root: BorrowedFd<'_>, configured: &[LinuxDevice], by_bind: bool) -> Result<(), Failure> {
    let (dev, _) =
        ensure(root, Path::new("dev"), true).map_err(Failure::step("open /dev of the container"))?;
    for node in nodes(configured) {
        let what = format!("create device /{}", node.path.display());
        create_node(root, dev.as_fd(), &node, by_bind).map_err(Failure::step(what))?;
    }
    links(dev.as_fd()).map_err(Failure::step("create the links in /dev"))
}

fn nodes(configured: &[LinuxDevice]) -> Vec<Node> {
    let mut nodes: Vec<Node> = configured.iter().filter_map(node).collect();
    for (name, major, minor) in DEFAULT {
        let path = Path::new("dev").join(name);
        if !nodes.iter().any(|n| n.path == path) {
            let kind = FileType::CharacterDevice;
            nodes.push(Node {
                path,
                kind,
                major,
                minor,
                mode: 0o666,
                owner: None,
            });
        }
    }
    nodes
}

/// Where nodes are to be.
#[cfg(feature = "fuzz")]
pub(super) fn paths(configured: &[LinuxDevice]) -> Vec<PathBuf> {
    nodes(configured).into_iter().map(|n| n.path).collect()
}

/// A configured node; numbers that are no device numbers were refused with the configuration.
fn node(device: &LinuxDevice) -> Option<Node> {
    let kind = match device.typ() {
        LinuxDeviceType::B => FileType::BlockDevice,
        LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
        LinuxDeviceType::P => FileType::Fifo,
        LinuxDeviceType::A => return None,
    };
    Some(Node {
        path: clean(device.path()),
        kind,
        major: u32::try_from(device.major()).unwrap_or(0),
        minor: u32::try_from(device.minor()).unwrap_or(0),
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        owner: match (device.uid(), device.gid()) {
            (None, None) => None,
            (uid, gid) => Some((uid.unwrap_or(0), gid.unwrap_or(0))),
        },
    })
}

fn create_node(root: BorrowedFd<'_>, dev: BorrowedFd<'_>, node: &Node, by_bind: bool) -> io::Result<()> {
    if by_bind {
        return bind_node(root, node);
    }
    let (Some(parent), Some(name)) = (node.path.parent(), node.path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let opened;
    let parent = if parent == Path::new("dev") {
        dev
    } else {
        opened = ensure(root, parent, true)?.0;
        opened.as_fd()
    };
    let number = makedev(node.major, node.minor);
    match rustix::fs::mknodat(parent, name, node.kind, Mode::from_raw_mode(node.mode), number) {
        Ok(()) => {}
        Err(Errno::EXIST) => {
            let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let same = FileType::from_raw_mode(stat.st_mode) == node.kind
                && (node.kind == FileType::Fifo || stat.st_rdev == number);
            return if same {
                Ok(())
            } else {
                Err(io::Error::other("something else is there"))
            };
        }
        // A user namespace around this one, or a seccomp filter: borrow the host's node.
        Err(Errno::PERM) => return bind_node(root, node),
        Err(error) => return Err(error.into()),
    }
    if let Some((uid, gid)) = node.owner {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Mounts the host's node over a file, where the kernel lets nobody make nodes.
fn bind_node(root: BorrowedFd<'_>, node: &Node) -> io::Result<()> {
    let source = Path::new("/").join(&node.path);
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(rustix::fs::CWD, &source, flags)?;
    // What the host has at that path need not be what the configuration means.
    let stat = rustix::fs::fstat(&tree)?;
    let same = FileType::from_raw_mode(stat.st_mode) == node.kind
        && (node.kind == FileType::Fifo || stat.st_rdev == makedev(node.major, node.minor));
    if !same {
        return Err(io::Error::other(format!(
            "no node can be made here, and {} of the host is another",
            source.display()
        )));
    }
    let (place, _) = ensure(root, &node.path, false)?;
    attach(tree.as_fd(), place.as_fd())
}

fn links(dev: BorrowedFd<'_>) -> io::Result<()> {
    for (name, target) in LINKS {
        link(dev, name, target, false)?;
    }
    if Path::new("/proc/kcore").exists() {
        link(dev, "core", "/proc/kcore", false)?;
    }
    link(dev, "ptmx", "pts/ptmx", true)
}

/// Makes a link; what is there already stays unless it must be `replace`d.
fn link(dev: BorrowedFd<'_>, name: &str, target: &str, replace: bool) -> io::Result<()> {
    match rustix::fs::symlinkat(target, dev, name) {
        Err(Errno::EXIST) if replace => {
            rustix::fs::unlinkat(dev, name, AtFlags::empty())?;
            rustix::fs::symlinkat(target, dev, name).map_err(Into::into)
        }
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libcontainer::oci_spec::runtime::LinuxDeviceBuilder;

    #[test]
    fn a_configured_device_replaces_the_default_of_its_path() {
        let device = LinuxDeviceBuilder::default()
            .path("/dev/null")
            .typ(LinuxDeviceType::C)
            .major(1)
            .minor(3)
            .file_mode(0o600u32)
            .build()
            .unwrap();
        let nodes = nodes(&[device]);
        assert_eq!(nodes.len(), DEFAULT.len());
        assert_eq!(nodes[0].mode, 0o600);
    }
}
