//! The container's root file system, from the bundle's directory to `/`.
//!
//! ```text
//! attach      the root's directory becomes a mount of its own in the container's mount namespace
//! populate    mounts, device nodes and links, below it
//! restrict    masked and read-only paths
//! pivot       it becomes "/", the host's tree is let go
//! finish      read-only root and /dev, propagation
//! ```

mod copy_up;
mod devices;
mod layers;
mod masks;
mod mounts;
mod options;
mod path;
pub(crate) mod shared;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use libcontainer::oci_spec::runtime::{Linux, Mount, Spec};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};

use crate::cgroup::Cgroups;
use crate::failure::Failure;
use crate::sys::{self, MountAttr};

pub use layers::{mount_root, unmount_root};
pub(crate) use mounts::detach_source;
pub use options::mount_options;
use options::{Options, Propagation};
pub(crate) use path::clean;

/// Whether a mount shows something that exists, in place of a file system of its own.
pub(crate) fn is_bind(mount: &Mount) -> bool {
    Options::parse(mount).is_bind()
}

/// Whether a mount maps ids.
pub(crate) fn is_id_mapped(mount: &Mount) -> bool {
    Options::parse(mount).id_mapped.is_some()
}

/// Whether a word is a value of `linux.rootfsPropagation`.
pub(crate) fn is_propagation(word: &str) -> bool {
    Propagation::parse(word).is_some()
}

/// The root of a container that is being set up, in its own mount namespace.
pub(crate) struct Rootfs<'a> {
    spec: &'a Spec,
    linux: &'a Linux,
    /// The root, as mounted.
    root: OwnedFd,
    /// Whether it is mounted in the host's mount namespace.
    shared: bool,
}

impl<'a> Rootfs<'a> {
    /// Cuts the mount namespace off from the host's and mounts the root's directory.
    ///
    /// Where the container has no mount namespace, the creator has done the latter: `mounted`.
    pub(crate) fn attach(
        spec: &'a Spec,
        linux: &'a Linux,
        directory: &Path,
        mounted: Option<OwnedFd>,
    ) -> Result<Self, Failure> {
        if let Some(root) = mounted {
            let shared = true;
            return Ok(Self {
                spec,
                linux,
                root,
                shared,
            });
        }
        let wanted = linux.rootfs_propagation().as_deref().and_then(Propagation::parse);
        let mut propagation = wanted.unwrap_or(Propagation {
            kind: libc::MS_SLAVE,
            recursive: true,
        });
        if propagation.kind == libc::MS_UNBINDABLE {
            // The root is yet to be bound; `finish` makes it what it is to be.
            propagation.kind = libc::MS_PRIVATE;
        }
        change(Path::new("/"), propagation).map_err(Failure::step("set the propagation of /"))?;
        let cut_off = propagation.recursive && propagation.kind != libc::MS_SHARED;
        if !cut_off {
            make_parent_private(directory).map_err(Failure::step("make the parent of the root private"))?;
        }
        let root = Self::mount(directory).map_err(Failure::step(format!(
            "mount the root file system {}",
            directory.display()
        )))?;
        Ok(Self {
            spec,
            linux,
            root,
            shared: false,
        })
    }

    fn mount(directory: &Path) -> io::Result<OwnedFd> {
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let tree = rustix::mount::open_tree(CWD, directory, flags)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&tree, c"", CWD, directory, flags)?;
        Ok(tree)
    }

    /// Mounts everything and makes the device nodes. `sources` are bind sources taken by the creator, by index.
    pub(crate) fn populate(
        &self,
        bundle: &Path,
        cgroups: &Cgroups,
        mut sources: Vec<Option<OwnedFd>>,
        in_user_namespace: bool,
    ) -> Result<(), Failure> {
        let mounter = mounts::Mounter {
            root: self.root.as_fd(),
            bundle,
            cgroups,
            label: self.linux.mount_label().as_deref(),
        };
        let mut own_dev = true;
        for (i, mount) in self.spec.mounts().iter().flatten().enumerate() {
            let source = sources.get_mut(i).and_then(Option::take);
            mounter.mount(mount, source)?;
            own_dev &= clean(mount.destination()) != Path::new("dev") || !Options::parse(mount).is_bind();
        }
        if own_dev {
            let configured = self.linux.devices().as_deref().unwrap_or_default();
            devices::create(self.root.as_fd(), configured, in_user_namespace)?;
        }
        Ok(())
    }

    /// Applies masked and read-only paths.
    pub(crate) fn restrict(&self) -> Result<(), Failure> {
        let paths = |list: &'a Option<Vec<String>>| list.as_deref().unwrap_or_default();
        masks::apply(
            self.root.as_fd(),
            paths(self.linux.masked_paths()),
            paths(self.linux.readonly_paths()),
        )
    }

    /// Makes the root `/` and lets the host's tree go, and the root's own descriptor.
    pub(crate) fn pivot(self, no_pivot: bool) -> Result<(), Failure> {
        if self.shared {
            return change_root(self.root.as_fd()).map_err(Failure::step("change the root"));
        }
        let result = if no_pivot {
            self.move_root()
        } else {
            self.pivot_root()
        };
        result.map_err(Failure::step(if no_pivot {
            "move the root"
        } else {
            "pivot the root"
        }))
    }

    fn pivot_root(&self) -> io::Result<()> {
        let old = rustix::fs::open(
            "/",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        rustix::process::fchdir(&self.root)?;
        // The old root ends up mounted over the new one, at ".".
        rustix::process::pivot_root(".", ".")?;
        rustix::process::fchdir(&old)?;
        // Slave first: the unmount must not reach the host.
        change(
            Path::new("."),
            Propagation {
                kind: libc::MS_SLAVE,
                recursive: true,
            },
        )?;
        rustix::mount::unmount(".", UnmountFlags::DETACH)?;
        rustix::process::chdir("/")?;
        Ok(())
    }

    /// For a root on an initial ramdisk, which cannot be pivoted away from.
    fn move_root(&self) -> io::Result<()> {
        for hidden in ["/sys", "/proc"] {
            match rustix::mount::unmount(hidden, UnmountFlags::DETACH) {
                Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        rustix::process::fchdir(&self.root)?;
        rustix::mount::mount_move(".", "/")?;
        rustix::process::chroot(".")?;
        rustix::process::chdir("/").map_err(Into::into)
    }
}

/// What can only be done at the very end, when the root is `/`: propagation and read-only file systems.
pub(crate) fn finish(spec: &Spec, linux: &Linux) -> Result<(), Failure> {
    let wanted = linux.rootfs_propagation().as_deref().and_then(Propagation::parse);
    if let Some(wanted) = wanted {
        change(Path::new("/"), wanted).map_err(Failure::step("set the propagation of the root"))?;
    }
    for mount in spec.mounts().iter().flatten() {
        let options = Options::parse(mount);
        let is_dev = clean(mount.destination()) == Path::new("dev");
        if is_dev && !options.is_bind() && options.is_read_only() {
            read_only(Path::new("/dev")).map_err(Failure::step("make /dev read-only"))?;
        }
    }
    if spec.root().as_ref().and_then(|r| r.readonly()) == Some(true) {
        read_only(Path::new("/")).map_err(Failure::step("make the root read-only"))?;
    }
    Ok(())
}

/// Makes an open directory the root and the working directory of this process.
pub(crate) fn change_root(directory: BorrowedFd<'_>) -> io::Result<()> {
    rustix::process::fchdir(directory)?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/").map_err(Into::into)
}

fn read_only(path: &Path) -> io::Result<()> {
    let mount = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    sys::mount_setattr(
        mount.as_fd(),
        &MountAttr {
            set: 1,
            ..MountAttr::default()
        },
        false,
    )
}

fn change(path: &Path, propagation: Propagation) -> io::Result<()> {
    let mut flags =
        MountPropagationFlags::from_bits_retain(u32::try_from(propagation.kind).map_err(io::Error::other)?);
    if propagation.recursive {
        flags |= MountPropagationFlags::REC;
    }
    rustix::mount::mount_change(path, flags).map_err(Into::into)
}

/// Makes the mount that holds `directory` private: a pivot from a shared one is refused, and mounts below it would
/// show up on the host.
fn make_parent_private(directory: &Path) -> io::Result<()> {
    for path in directory.ancestors() {
        match change(
            path,
            Propagation {
                kind: libc::MS_PRIVATE,
                recursive: false,
            },
        ) {
            // Not a mount point: the one that holds it is further up.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            other => return other,
        }
    }
    Ok(())
}

/// Everything about a mount that is decided before the kernel is asked.
#[cfg(feature = "fuzz")]
#[allow(clippy::expect_used)] // To panic is how it speaks.
pub(crate) fn fuzz_mount(root: std::os::fd::BorrowedFd<'_>, mount: &Mount) {
    let options = Options::parse(mount);
    let attributes = options.attributes();
    assert_eq!(
        attributes.set & attributes.clear & !0x70,
        0,
        "set and cleared: {attributes:?}"
    );
    // A word for the file system may hold commas itself; none are added but between words.
    let words = mount.options().iter().flatten();
    if !words.clone().any(|w| w.contains(',')) {
        let data: Vec<&str> = options.data.split(',').filter(|w| !w.is_empty()).collect();
        assert_eq!(data.join(","), options.data);
        assert!(data.iter().all(|d| words.clone().any(|w| w == d)), "{data:?}");
    }
    u32::try_from(options.mount_flags()).expect("flags of mount(2)");
    let destination = clean(mount.destination());
    assert!(!destination.as_os_str().is_empty() && !destination.is_absolute());
    for directory in [true, false] {
        if let Ok((place, _)) = path::ensure(root, &destination, directory) {
            crate::fuzz::assert_inside(root, place.as_fd());
            path::location(root, place.as_fd()).expect("a place inside the root");
        }
    }
}

/// Resolves a path as masked and read-only ones are.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz_path(root: std::os::fd::BorrowedFd<'_>, path: &Path) {
    for place in [path::resolve(root, path), path::resolve_without_links(root, path)]
        .into_iter()
        .flatten()
    {
        crate::fuzz::assert_inside(root, place.as_fd());
    }
}

/// Plans the device nodes and makes the directories for them.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz_devices(
    root: std::os::fd::BorrowedFd<'_>,
    configured: &[libcontainer::oci_spec::runtime::LinuxDevice],
) {
    for path in devices::paths(configured) {
        if let Ok((place, _)) = path::ensure(root, path.parent().unwrap_or(&path), true) {
            crate::fuzz::assert_inside(root, place.as_fd());
        }
    }
}
