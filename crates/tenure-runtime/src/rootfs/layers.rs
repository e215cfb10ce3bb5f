//! A container's root as engines hand it over: a list of mounts to make before `create`, mostly one overlay.

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::Mount;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use super::mounts::{attach, clone_tree};
use super::options::Options;
use super::path::magic;
use crate::sys;
use crate::{Error, failure::Failure};

/// What mount(2) takes as data: a page, its final NUL included.
const DATA_MAX: usize = 4096;

/// Makes the mounts that are a container's root, in their order, in the caller's mount namespace: at `target`, or at the
/// destination of each below it. After an error none of them is left.
///
/// An overlay may have more layers than mount(2) takes words for: they are then named from the folder that they share.
///
/// # Errors
/// `Init`, naming source, destination and reason.
pub fn mount_root(mounts: &[Mount], target: &Path) -> Result<(), Error> {
    for mount in mounts {
        if let Err(error) = mount_one(mount, target) {
            let _ = unmount_root(target);
            return Err(error.into());
        }
    }
    Ok(())
}

/// Unmounts all that is mounted at `target`, and what is mounted below; a success if there is nothing.
///
/// # Errors
/// `File`, when the kernel refuses.
pub fn unmount_root(target: &Path) -> Result<(), Error> {
    loop {
        match rustix::mount::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(error) => return Err(Error::file("unmount", target)(error.into())),
        }
    }
}

fn mount_one(mount: &Mount, target: &Path) -> Result<(), Failure> {
    let below = mount
        .destination()
        .strip_prefix("/")
        .unwrap_or(mount.destination());
    let place = target.join(below);
    let source = mount.source().clone().unwrap_or_default();
    let what = format!("mount {} at {}", source.display(), place.display());
    let fail = |error: io::Error| Failure::step(what.clone())(error);
    let options = Options::parse(mount);
    // Whoever made the folder below a mounted layer may have made it a link.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(&place, flags, Mode::empty()).map_err(|e| fail(e.into()))?;
    if options.is_bind() {
        let tree = clone_tree(&source, options.is_recursive_bind()).map_err(fail)?;
        use std::os::fd::AsFd;
        sys::mount_setattr(tree.as_fd(), &options.attributes(), false).map_err(fail)?;
        return attach(tree.as_fd(), opened.as_fd()).map_err(fail);
    }
    let kind = mount.typ().clone().unwrap_or_default();
    let flags = u32::try_from(options.mount_flags()).map_err(|e| fail(io::Error::other(e)))?;
    let flags = MountFlags::from_bits_retain(flags);
    let call = |data: &str| -> io::Result<()> {
        let data = CString::new(data)?;
        use std::os::fd::AsFd;
        rustix::mount::mount(
            &source,
            magic(opened.as_fd()),
            kind.as_str(),
            flags,
            data.as_c_str(),
        )
        .map_err(Into::into)
    };
    match shorter(&options.data).filter(|_| kind == "overlay") {
        None => call(&options.data).map_err(fail),
        Some((folder, data)) => from(&folder, || call(&data)).map_err(fail),
    }
}

/// Options of an overlay that are too long, with its lower layers named from a folder that they share.
fn shorter(data: &str) -> Option<(PathBuf, String)> {
    if data.len() < DATA_MAX {
        return None;
    }
    let lower = data.split(',').find_map(|word| word.strip_prefix("lowerdir="))?;
    let mut shared = Path::new(lower.split(':').next()?).parent()?;
    while !lower.split(':').all(|layer| Path::new(layer).starts_with(shared)) {
        shared = shared.parent()?;
    }
    let relative: Option<Vec<&str>> = lower
        .split(':')
        .map(|layer| Path::new(layer).strip_prefix(shared).ok()?.to_str())
        .collect();
    let shortened = data.replacen(lower, &relative?.join(":"), 1);
    Some((shared.to_owned(), shortened))
}

/// Does something with `folder` as the working directory.
fn from(folder: &Path, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let here = rustix::fs::open(".", flags, Mode::empty())?;
    rustix::process::chdir(folder)?;
    let done = act();
    rustix::process::fchdir(here)?;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_of_many_layers_is_named_from_the_folder_that_they_share() {
        let layers: Vec<String> = (0..200).map(|n| format!("/var/lib/snapshots/{n}/fs")).collect();
        let long = format!("index=off,lowerdir={},upperdir=/u,workdir=/w", layers.join(":"));
        assert!(long.len() > DATA_MAX);
        let (folder, data) = shorter(&long).unwrap();
        assert_eq!(folder, Path::new("/var/lib/snapshots"));
        assert!(data.len() < DATA_MAX && data.starts_with("index=off,lowerdir=0/fs:1/fs:"));
        assert!(data.ends_with(":199/fs,upperdir=/u,workdir=/w"));
        assert_eq!(shorter("lowerdir=/a:/b"), None);
    }

    #[test]
    fn what_is_not_mounted_is_unmounted_already() {
        let folder = tempfile::tempdir().unwrap();
        unmount_root(folder.path()).unwrap();
        unmount_root(&folder.path().join("absent")).unwrap();
    }
}
