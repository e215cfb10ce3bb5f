//! Keeping a container from overwriting the runtime's own program (CVE-2019-5736).
//!
//! ```text
//! /proc/self/exe on a writable mount ──▶ a detached read-only clone of its mount, or a sealed copy in memory
//!                                        executed in place of this process, same arguments and environment
//! ```
//!
//! Nothing marks the second start but the program file itself: it lies on a read-only mount, or is sealed. So there
//! is no variable or argument that a caller could forge or a container could see.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags};
use rustix::mount::OpenTreeFlags;

use crate::Error;
use crate::sys::{self, MountAttr};

/// Every seal that keeps a memory file as it is.
const SEALED: SealFlags = SealFlags::WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

/// Makes sure that `/proc/self/exe` of this process cannot be opened for writing by a container.
///
/// Called first thing by `create`, `run` and `exec` commands. Where the program is not yet protected, the process is
/// executed again from a read-only view of itself, with the same arguments and environment, and the function does
/// not return.
///
/// # Errors
/// Neither a read-only view nor a sealed copy could be made or executed.
pub fn protect_own_binary() -> Result<(), Error> {
    let fail = Error::system("protect the runtime's own program");
    let own = match rustix::fs::open("/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(own) => own,
        Err(error) => return Err(fail(error.into())),
    };
    if is_protected(&own) {
        return Ok(());
    }
    let protected = match read_only_view() {
        Ok(view) => Ok(view),
        // Without privileges, or before Linux 5.12.
        Err(_) => sealed_copy(own),
    };
    match protected {
        Ok(program) => Err(fail(execute(&program))),
        Err(error) => Err(fail(error)),
    }
}

fn is_protected(own: &OwnedFd) -> bool {
    let read_only =
        rustix::fs::fstatvfs(own).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY));
    read_only || rustix::fs::fcntl_get_seals(own).is_ok_and(|seals| seals.contains(SEALED))
}

/// A clone of the program's mount that is in no mount namespace and read-only for ever.
fn read_only_view() -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let view = rustix::mount::open_tree(CWD, "/proc/self/exe", flags)?;
    sys::mount_setattr(
        view.as_fd(),
        &MountAttr {
            set: libc::MOUNT_ATTR_RDONLY,
            ..MountAttr::default()
        },
        false,
    )?;
    Ok(view)
}

fn sealed_copy(own: OwnedFd) -> io::Result<OwnedFd> {
    let copy = rustix::fs::memfd_create("tenure", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut copy = File::from(copy);
    io::copy(&mut File::from(own), &mut copy)?;
    rustix::fs::fcntl_add_seals(&copy, SEALED)?;
    Ok(copy.into())
}

/// Executes `program` in place of this process; returns only to tell why not.
fn execute(program: &OwnedFd) -> io::Error {
    let argument = |bytes: Vec<u8>| CString::new(bytes).unwrap_or_default();
    let args: Vec<CString> = std::env::args_os().map(|arg| argument(arg.into_vec())).collect();
    let env = std::env::vars_os().map(|(name, value)| {
        let mut entry = name.into_vec();
        entry.push(b'=');
        entry.extend(value.into_vec());
        argument(entry)
    });
    sys::execve_fd(program.as_fd(), &args, &env.collect::<Vec<_>>())
}
