//! System calls that neither `nix` nor `rustix` offers safely. The only module with unsafe code.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::bpf::BpfInstruction;
use crate::seccomp::Instruction;

/// The C library's own constant is of a type too narrow for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of [`clone3`] this is.
pub(crate) enum Cloned {
    /// The calling process: the child's pid (in the caller's pid namespace) and pidfd.
    Parent(i32, OwnedFd),
    /// The new process.
    Child,
}

/// Forks with the namespace `flags`, optionally straight into a cgroup of the unified hierarchy.
///
/// The child is a copy of this process, as after `fork`, but is not known to the C library. It is for
/// single-threaded processes only. The child starts with no signal blocked and SIGPIPE as it is by default: a caller
/// that forwards signals has blocked them, Rust's own start-up ignores SIGPIPE, and programs inherit both.
pub(crate) fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    // SAFETY: an all-zero clone_args is the documented default of every field.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | libc::CLONE_PIDFD as u64;
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    // A sibling (CLONE_PARENT) inherits the caller's exit signal; naming one is refused.
    args.exit_signal = if flags & libc::CLONE_PARENT as u64 == 0 {
        libc::SIGCHLD as u64
    } else {
        0
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM the child runs on a copy of this stack, exactly as after fork(2); `args` and `pidfd`
    // outlive the call. The process has one thread, so no lock can be held by another one in the copy.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &mut args, size_of::<libc::clone_args>()) };
    match i32::try_from(pid) {
        Ok(0) => {
            reset_signals();
            Ok(Cloned::Child)
        }
        // SAFETY: the kernel has just opened this descriptor for us and nobody else knows it.
        Ok(pid) if pid > 0 => Ok(Cloned::Parent(pid, unsafe { OwnedFd::from_raw_fd(pidfd) })),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Blocks no signal and gives SIGPIPE its default action. Neither call can fail with these arguments.
fn reset_signals() {
    // SAFETY: `set` is initialised by sigemptyset before it is read; SIG_DFL names no handler.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Has a program start with no signal blocked and SIGPIPE as it is by default.
pub(crate) fn with_default_signals(command: &mut Command) {
    // SAFETY: what runs between fork and exec calls nothing but the system and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            reset_signals();
            Ok(())
        })
    };
}

/// Turns a system call's result into an [`io::Result`].
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Joins the namespace (or, through a pidfd, the namespaces) that `fd` refers to.
pub(crate) fn setns(fd: BorrowedFd<'_>, flags: i32) -> io::Result<()> {
    // SAFETY: setns takes two integers.
    check(unsafe { libc::setns(fd.as_raw_fd(), flags) }.into()).map(drop)
}

/// The `CLONE_NEW*` flag of the namespace open as `fd`.
pub(crate) fn namespace_type(fd: BorrowedFd<'_>) -> io::Result<i32> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: NS_GET_NSTYPE takes no argument and writes nothing; on anything but a namespace it is refused.
    let flag = check(unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) }.into())?;
    i32::try_from(flag).map_err(io::Error::other)
}

/// Leaves namespaces and enters new ones.
pub(crate) fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: unshare takes an integer; CLONE_FILES, the one flag that could invalidate descriptors, is never passed.
    check(unsafe { libc::unshare(flags & !libc::CLONE_FILES) }.into()).map(drop)
}

/// Sends a signal, or 0, through a pidfd.
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a null siginfo is allowed and means "as kill(2) would".
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0u32,
        )
    };
    check(result).map(drop)
}

/// What [`mount_setattr`] changes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MountAttr {
    /// `MOUNT_ATTR_*` to set.
    pub(crate) set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub(crate) clear: u64,
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE`, `MS_UNBINDABLE`, or 0.
    pub(crate) propagation: u64,
    /// A user namespace for id mapping.
    pub(crate) userns: u64,
}

/// Changes the attributes of the mount `fd` refers to, `recursive`ly if asked.
pub(crate) fn mount_setattr(fd: BorrowedFd<'_>, attr: &MountAttr, recursive: bool) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, `attr` has the layout of struct mount_attr and its size is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    };
    check(result).map(drop)
}

/// Closes every descriptor from 3 on but those to `keep`, and but those below `first` that the next exec would leave
/// open. For a child that does not return: variables of its parent's own some of them.
pub(crate) fn close_all_but(keep: &[BorrowedFd<'_>], first: u32) -> io::Result<()> {
    let mut kept: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd().cast_unsigned()).collect();
    kept.extend((3..first).filter(|fd| is_left_open_by_exec(*fd)));
    kept.sort_unstable();
    let mut next = 3;
    for fd in kept.into_iter().chain([u32::MAX]) {
        if next < fd {
            // SAFETY: nobody uses these descriptors any more, which is the caller's part of the contract.
            check(unsafe { libc::syscall(libc::SYS_close_range, next, fd - 1, 0) })?;
        }
        next = fd.saturating_add(1);
    }
    Ok(())
}

fn is_left_open_by_exec(fd: u32) -> bool {
    // SAFETY: F_GETFD takes no argument and fails on a descriptor that is not open.
    let flags = unsafe { libc::fcntl(fd.cast_signed(), libc::F_GETFD) };
    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// Has every descriptor from `first` on closed by the next exec.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: with CLOSE_RANGE_CLOEXEC no descriptor is closed, only flags change.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })
        .map(drop)
}

/// Joins a new session keyring of this name and makes it searchable; nothing on kernels without keyrings.
pub(crate) fn join_session_keyring(name: &CStr) -> io::Result<()> {
    const JOIN_SESSION_KEYRING: i32 = 1;
    const SETPERM: i32 = 5;
    // Possessor: everything; user: view, read, search, link.
    const PERMISSIONS: u32 = 0x3f1b_0000;
    // SAFETY: `name` is a C string; keyctl copies it.
    let key = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    if key < 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ENOSYS) {
            Ok(())
        } else {
            Err(error)
        };
    }
    // SAFETY: integers only.
    check(unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, key, PERMISSIONS) }).map(drop)
}

/// Brings the loopback interface of the current network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    // SAFETY: socket takes integers; the descriptor it returns is ours alone.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        check(fd.into())?;
        OwnedFd::from_raw_fd(fd)
    };
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    // IFF_UP | IFF_RUNNING: both fit, they are 1 and 64.
    request.ifr_ifru.ifru_flags = 1 | 64;
    // SAFETY: `request` is a valid ifreq whose name ends in NUL bytes.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request) }.into()).map(drop)
}

/// The pointers to C strings that an exec wants, a null pointer last.
fn vector(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|s| s.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

/// Replaces this process by the program at `path`; returns only to tell why not.
pub(crate) fn execve(path: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let (args, env) = (vector(args), vector(env));
    // SAFETY: `path` is a C string, both vectors end in a null pointer and point to C strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Replaces this process by the program open as `fd`, with this process's own environment vector `env`.
pub(crate) fn execve_fd(fd: BorrowedFd<'_>, args: &[CString], env: &[CString]) -> io::Error {
    let (args, env) = (vector(args), vector(env));
    // SAFETY: the path is an empty C string, as AT_EMPTY_PATH wants; the vectors are as in `execve`.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            args.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// Ends this process at once, without running destructors or exit handlers of the process it was copied from.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

/// Whether this descriptor number is in use.
pub(crate) fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD only reads a flag.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// What [`sched_setattr`] sets; the layout of struct sched_attr.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SchedAttr {
    /// Filled in by [`sched_setattr`].
    pub(crate) size: u32,
    pub(crate) policy: u32,
    pub(crate) flags: u64,
    pub(crate) nice: i32,
    pub(crate) priority: u32,
    pub(crate) runtime: u64,
    pub(crate) deadline: u64,
    pub(crate) period: u64,
}

/// Sets the scheduling policy of this process.
pub(crate) fn sched_setattr(attr: &SchedAttr) -> io::Result<()> {
    let attr = SchedAttr {
        size: u32::try_from(size_of::<SchedAttr>()).unwrap_or(0),
        ..*attr
    };
    // SAFETY: `attr` has the layout of struct sched_attr (first version) and tells its own size.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::from_ref(&attr), 0u32) }).map(drop)
}

/// Puts this process under a seccomp filter. Returns a descriptor where `flags` ask for a listener.
///
/// Loading needs noNewPrivileges or CAP_SYS_ADMIN.
pub(crate) fn load_seccomp_filter(
    program: &[Instruction],
    flags: libc::c_ulong,
) -> io::Result<Option<OwnedFd>> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the kernel reads `filter` and the instructions it points to, which have the layout of struct
    // sock_filter and outlive the call; it writes neither.
    let result = check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            std::ptr::from_ref(&filter),
        )
    })?;
    let listens = flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0;
    // SAFETY: with that flag, the kernel has just opened this descriptor for us and nobody else knows it.
    let listener = listens.then(|| i32::try_from(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
    listener.transpose().map_err(io::Error::other)
}

/// The leading fields of union bpf_attr for BPF_PROG_LOAD.
#[repr(C)]
#[derive(Default)]
struct BpfLoad {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
}

/// The leading fields of union bpf_attr for BPF_PROG_ATTACH.
#[repr(C)]
#[derive(Default)]
struct BpfAttach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

/// Loads a program that judges the use of devices and attaches it to a cgroup of the unified hierarchy.
pub(crate) fn attach_device_program(cgroup: BorrowedFd<'_>, program: &[BpfInstruction]) -> io::Result<()> {
    const PROG_LOAD: i32 = 5;
    const PROG_ATTACH: i32 = 8;
    const TYPE_CGROUP_DEVICE: u32 = 15;
    const CGROUP_DEVICE: u32 = 6;
    const ALLOW_MULTI: u32 = 2;
    let load = BpfLoad {
        program_type: TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
    };
    // SAFETY: the kernel reads `load` (whose size is passed, what follows counts as zero), the instructions, which
    // have the layout of struct bpf_insn, and a C string; all outlive the call.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_LOAD,
            std::ptr::from_ref(&load),
            size_of::<BpfLoad>(),
        )
    })?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened this descriptor for us (close-on-exec) and nobody else knows it.
    let loaded = unsafe { OwnedFd::from_raw_fd(fd) };
    let number = |fd: i32| u32::try_from(fd).map_err(io::Error::other);
    let attach = BpfAttach {
        target: number(cgroup.as_raw_fd())?,
        program: number(loaded.as_raw_fd())?,
        attach_type: CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: the kernel reads `attach`, whose size is passed; it takes its own reference to the program.
    check(unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_ATTACH,
            std::ptr::from_ref(&attach),
            size_of::<BpfAttach>(),
        )
    })
    .map(drop)
}
