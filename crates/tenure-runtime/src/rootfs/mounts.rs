//! The mounts of a configuration, in their order.
//!
//! A destination is opened first, below the root and by descriptor, and mounted on by descriptor: nothing a
//! container image holds can turn a mount elsewhere.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::Mount;
use rustix::fs::{CWD, FileType, Mode};
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags};

use super::copy_up::copy_tree;
use super::options::{Options, Propagation};
use super::path::{clean, ensure, location, magic, resolve, resolve_without_links};
use crate::cgroup::Cgroups;
use crate::failure::Failure;
use crate::id_map::IdMaps;
use crate::sys::{self, MountAttr};
use crate::{Error, selinux};

/// Files of `/proc` that may be mounted over, as in runc (lxcfs does).
const PROC_FILES: [&str; 10] = [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
];

const ATTR_IDMAP: u64 = 0x0010_0000;

const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// What all mounts of a container have in common.
pub(super) struct Mounter<'a> {
    /// The container's root, as mounted.
    pub(super) root: BorrowedFd<'a>,
    /// Where relative sources of bind mounts start.
    pub(super) bundle: &'a Path,
    pub(super) cgroups: &'a Cgroups,
    /// The SELinux label of new file systems.
    pub(super) label: Option<&'a str>,
}

/// A copy of a mount tree, not attached anywhere.
///
/// Taken by the creator, with its rights, where the child would lack them (user namespaces), and where ids are to be
/// mapped.
pub(crate) fn detach_source<'a>(
    bundle: &Path,
    mount: &'a Mount,
    id_maps: &mut IdMaps<'a>,
) -> Result<Option<OwnedFd>, Error> {
    let options = Options::parse(mount);
    if !options.is_bind() {
        return Ok(None);
    }
    let tree = open_source(bundle, mount, &options)?;
    if options.propagation.is_empty() {
        // Receive what the host mounts later, send nothing.
        let slave = MountAttr {
            propagation: libc::MS_SLAVE,
            ..MountAttr::default()
        };
        sys::mount_setattr(tree.as_fd(), &slave, true).map_err(describe(mount))?;
    }
    if let Some(recursive) = options.id_mapped {
        let namespace = id_maps.namespace(mount)?;
        let mapped = MountAttr {
            set: ATTR_IDMAP,
            userns: u64::try_from(namespace.as_raw_fd()).unwrap_or(0),
            ..MountAttr::default()
        };
        sys::mount_setattr(tree.as_fd(), &mapped, recursive).map_err(Failure::step(format!(
            "map the ids of {} for {}",
            mount.source().as_deref().unwrap_or(Path::new("")).display(),
            mount.destination().display()
        )))?;
    }
    Ok(Some(tree))
}

fn open_source(bundle: &Path, mount: &Mount, options: &Options) -> Result<OwnedFd, Failure> {
    let Some(source) = mount.source() else {
        return Err(describe(mount)(io::Error::other("a bind mount needs a source")));
    };
    clone_tree(&bundle.join(source), options.is_recursive_bind()).map_err(describe(mount))
}

/// Copies the mount tree at a path of the host.
pub(super) fn clone_tree(path: &Path, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(CWD, path, flags).map_err(Into::into)
}

/// Attaches a detached mount to an open place.
pub(super) fn attach(tree: BorrowedFd<'_>, place: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", place, c"", flags).map_err(Into::into)
}

/// A constructor for `map_err` that names source and destination.
fn describe(mount: &Mount) -> impl FnOnce(io::Error) -> Failure {
    let kind = mount.typ().as_deref().unwrap_or("none");
    let source = mount
        .source()
        .as_ref()
        .map_or_else(|| PathBuf::from(kind), Clone::clone);
    let what = format!("mount {} at {}", source.display(), mount.destination().display());
    move |error| Failure::step(what)(error)
}

impl Mounter<'_> {
    /// Performs one mount. `source` is its source if the creator has taken it already.
    pub(super) fn mount(&self, mount: &Mount, source: Option<OwnedFd>) -> Result<(), Failure> {
        let options = Options::parse(mount);
        if options.is_bind() {
            let tree = match source {
                Some(tree) => tree,
                None => open_source(self.bundle, mount, &options)?,
            };
            return self.bind(mount, &options, tree.as_fd()).map_err(describe(mount));
        }
        match mount.typ().as_deref() {
            Some("cgroup") => self.cgroup(mount, &options),
            Some(kind) => self.file_system(mount, kind, options),
            None => Err(io::Error::other("it has neither a type nor the option bind")),
        }
        .map_err(describe(mount))
    }

    fn bind(&self, mount: &Mount, options: &Options, tree: BorrowedFd<'_>) -> io::Result<()> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(tree)?.st_mode);
        let destination = clean(mount.destination());
        let (place, _) = ensure(self.root, &destination, kind == FileType::Directory)?;
        self.check_proc(place.as_fd(), Some(tree))?;
        let attributes = options.attributes();
        if attributes != MountAttr::default() {
            sys::mount_setattr(tree, &attributes, false)?;
        }
        if options.recursive != MountAttr::default() {
            sys::mount_setattr(tree, &options.recursive, true)?;
        }
        for Propagation { kind, recursive } in &options.propagation {
            let attr = MountAttr {
                propagation: *kind,
                ..MountAttr::default()
            };
            sys::mount_setattr(tree, &attr, *recursive)?;
        }
        attach(tree, place.as_fd())
    }

    /// Refuses mounts on and in `/proc` by which an image could forge it.
    fn check_proc(&self, place: BorrowedFd<'_>, source: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let location = location(self.root, place)?;
        let Ok(inside) = location.strip_prefix("/proc") else {
            return Ok(());
        };
        let allowed = if inside.as_os_str().is_empty() {
            match source {
                Some(tree) => rustix::fs::fstatfs(tree)?.f_type == PROC_SUPER_MAGIC,
                None => false,
            }
        } else {
            PROC_FILES.iter().any(|f| inside == Path::new(f))
        };
        if allowed {
            Ok(())
        } else {
            Err(io::Error::other("nothing but proc may be mounted at or in /proc"))
        }
    }

    /// Mounts a new instance of a file system.
    fn file_system(&self, mount: &Mount, kind: &str, mut options: Options) -> io::Result<()> {
        let destination = clean(mount.destination());
        let (place, made) = if matches!(kind, "proc" | "sysfs") {
            // Whoever controls where /proc really is controls what labels and limits are written to.
            match resolve_without_links(self.root, &destination) {
                Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                    return Err(io::Error::other(format!(
                        "{kind} must be mounted on ordinary directory"
                    )));
                }
                Ok(place) => (place, false),
                Err(_) => ensure(self.root, &destination, true)?,
            }
        } else {
            let place = ensure(self.root, &destination, true)?;
            self.check_proc(place.0.as_fd(), None)?;
            place
        };
        if kind == "tmpfs" && !made && !options.data.split(',').any(|o| o.starts_with("mode=")) {
            let mode = rustix::fs::fstat(&place)?.st_mode & 0o7777;
            let comma = if options.data.is_empty() { "" } else { "," };
            options.data.push_str(&format!("{comma}mode={mode:o}"));
        }
        if destination == Path::new("dev") {
            // The nodes must be made first; `finish` makes it read-only.
            options.flags &= !libc::MS_RDONLY;
        }
        let saved = options
            .copy_up
            .then(|| resolve(self.root, &destination))
            .transpose()?;
        if saved.is_some() {
            options.flags &= !libc::MS_RDONLY;
        }
        if !matches!(kind, "proc" | "sysfs" | "mqueue") {
            options.data = selinux::with_context(&options.data, self.label);
        }
        let source = mount.source().clone().unwrap_or_else(|| PathBuf::from(kind));
        mount_at(&source, place.as_fd(), kind, options.mount_flags(), &options.data)?;
        if saved.is_none() && options.propagation.is_empty() && options.recursive == MountAttr::default() {
            return Ok(());
        }
        let top = resolve(self.root, &destination)?;
        if let Some(saved) = saved {
            if rustix::fs::fstat(&top)?.st_dev == rustix::fs::fstat(&saved)?.st_dev {
                return Err(io::Error::other("somebody moves the folders above it"));
            }
            copy_tree(saved.as_fd(), top.as_fd())?;
            if Options::parse(mount).is_read_only() {
                sys::mount_setattr(top.as_fd(), &Options::parse(mount).attributes(), false)?;
            }
        }
        if options.recursive != MountAttr::default() {
            sys::mount_setattr(top.as_fd(), &options.recursive, true)?;
        }
        for Propagation { kind, recursive } in &options.propagation {
            let attr = MountAttr {
                propagation: *kind,
                ..MountAttr::default()
            };
            sys::mount_setattr(top.as_fd(), &attr, *recursive)?;
        }
        Ok(())
    }

    /// Shows the container its own cgroups, and nothing else of the hierarchies.
    fn cgroup(&self, mount: &Mount, options: &Options) -> io::Result<()> {
        let destination = clean(mount.destination());
        let (place, _) = ensure(self.root, &destination, true)?;
        self.check_proc(place.as_fd(), None)?;
        if self.cgroups.v1.is_empty() {
            return self.cgroup_v2(place.as_fd(), options);
        }
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        mount_at(Path::new("tmpfs"), place.as_fd(), "tmpfs", flags, "mode=755")?;
        let top = resolve(self.root, &destination)?;
        let attributes = Options {
            flags: flags | options.flags,
            ..Options::default()
        }
        .attributes();
        for cgroup in &self.cgroups.v1 {
            rustix::fs::mkdirat(&top, cgroup.name.as_str(), Mode::from_raw_mode(0o755))?;
            let tree = clone_tree(&cgroup.path, false)?;
            sys::mount_setattr(tree.as_fd(), &attributes, false)?;
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
            rustix::mount::move_mount(&tree, c"", &top, cgroup.name.as_str(), flags)?;
            for alias in cgroup
                .controllers
                .iter()
                .filter(|c| **c != cgroup.name && !c.starts_with("name="))
            {
                match rustix::fs::symlinkat(cgroup.name.as_str(), &top, alias.as_str()) {
                    Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        if options.is_read_only() {
            sys::mount_setattr(top.as_fd(), &attributes, false)?;
        }
        Ok(())
    }

    fn cgroup_v2(&self, place: BorrowedFd<'_>, options: &Options) -> io::Result<()> {
        let mounted = mount_at(
            Path::new("cgroup"),
            place,
            "cgroup2",
            options.mount_flags(),
            &options.data,
        );
        match (mounted, &self.cgroups.unified) {
            (Err(error), Some(own)) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EBUSY)) => {
                let tree = clone_tree(own, false)?;
                sys::mount_setattr(tree.as_fd(), &options.attributes(), false)?;
                attach(tree.as_fd(), place)
            }
            (other, _) => other,
        }
    }
}

/// mount(2) of a file system on an open place.
pub(super) fn mount_at(
    source: &Path,
    place: BorrowedFd<'_>,
    kind: &str,
    flags: u64,
    data: &str,
) -> io::Result<()> {
    let flags = MountFlags::from_bits_retain(u32::try_from(flags).map_err(io::Error::other)?);
    let data = std::ffi::CString::new(data)?;
    rustix::mount::mount(source, magic(place), kind, flags, data.as_c_str()).map_err(Into::into)
}
