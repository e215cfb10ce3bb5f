//! The system calls that neither nix nor rustix wraps. Nothing here keeps state.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The highest signal number of Linux.
pub(crate) const LAST_SIGNAL: i32 = 64;

/// Registers a descriptor with the async runtime.
pub(crate) fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is the same open descriptor for as long as it lives.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

/// Registers a descriptor with the async runtime, for reading.
pub(crate) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    register(fd, Interest::READABLE)
}

/// `struct pidfd_info` as of kernel 6.15 (PIDFD_INFO_SIZE_VER0).
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    credentials: [u32; 8],
    exit_code: i32,
}

/// `_IOWR(0xFF, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: libc::Ioctl =
    (3 << 30) | ((size_of::<PidfdInfo>() as libc::Ioctl) << 16) | (0xFF << 8) | 11;
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// The wait status of a reaped process, from its pidfd; `None` when the kernel does not tell (before 6.15, or the
/// process is not reaped).
pub(crate) fn pidfd_wait_status(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let mut info = PidfdInfo {
        mask: PIDFD_INFO_EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: the request encodes the size of PidfdInfo, which the kernel writes at most.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    (result == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

/// Sends a signal by number, real-time ones too; 0 only asks whether the process exists.
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signo: i32) -> io::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: four plain arguments; a null siginfo is allowed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signo,
            no_info,
            0_u32,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The pid of a child that has ended, without reaping it.
pub(crate) fn peek_ended_child() -> io::Result<Option<i32>> {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the kernel fills the siginfo or leaves it zeroed; zeroes are a valid siginfo.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), flags) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: initialised above; for a waitid result the pid member is the valid one.
    let pid = unsafe { info.assume_init().si_pid() };
    Ok((pid != 0).then_some(pid))
}

fn signal_set(signals: &[i32]) -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set, sigaddset only changes it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            if libc::sigaddset(set.as_mut_ptr(), signal) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(set.assume_init())
    }
}

/// Blocks the signals in this thread; gives those that were not blocked before.
pub(crate) fn block_signals(signals: &[i32]) -> io::Result<Vec<i32>> {
    let set = signal_set(signals)?;
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets live; the second is written when the call succeeds.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, before.as_mut_ptr()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: initialised by the successful call.
    let before = unsafe { before.assume_init() };
    // SAFETY: reads a valid set.
    let was_open = |signal: &i32| unsafe { libc::sigismember(&raw const before, *signal) } == 0;
    Ok(signals.iter().copied().filter(was_open).collect())
}

/// Unblocks the signals in this thread.
pub(crate) fn unblock_signals(signals: &[i32]) -> io::Result<()> {
    let set = signal_set(signals)?;
    // SAFETY: the set lives; no old set is asked for.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) };
    if error == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(error))
    }
}

/// A descriptor that reads the signals, which must be blocked.
pub(crate) fn signalfd(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = signal_set(signals)?;
    // SAFETY: the set lives during the call.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits for one of the signals, which must be blocked; gives its number.
pub(crate) fn wait_for_signal(signals: &[i32]) -> io::Result<i32> {
    let set = signal_set(signals)?;
    // SAFETY: the set lives; no siginfo is asked for.
    let signal = unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) };
    if signal > 0 {
        Ok(signal)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Marks every descriptor from 3 on close-on-exec: those that we were born with are not.
pub(crate) fn close_all_on_exec() -> io::Result<()> {
    close_range(3, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes every descriptor from `first` on.
///
/// The caller must own none of them any more.
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    close_range(first, 0)
}

fn close_range(first: u32, flags: u32) -> io::Result<()> {
    // SAFETY: three plain arguments; what becomes of the descriptors is the callers' business.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Forks; the new process ends with the code that `life` returns, and the caller gets its pid.
///
/// The calling process must have a single thread.
pub(crate) fn fork_and_run(life: impl FnOnce() -> u8) -> io::Result<i32> {
    // SAFETY: there is no other thread that could hold a lock, so the copy may do whatever this process might.
    match unsafe { libc::fork() } {
        0 => {
            let code = life();
            // SAFETY: ends the process; nothing of the parent's is flushed or run a second time.
            unsafe { libc::_exit(i32::from(code)) }
        }
        pid if pid > 0 => Ok(pid),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Numbers descriptors from 3 on and closes all others that are above. For a process of its own, in which nothing owns
/// what is closed, nor `kept`.
pub(crate) fn renumber(kept: &[OwnedFd]) -> io::Result<Vec<OwnedFd>> {
    let above = libc::c_int::try_from(kept.len() + 3).map_err(io::Error::other)?;
    // Out of the way first, so that none is overwritten.
    let apart = |fd: &OwnedFd| {
        // SAFETY: makes a new descriptor, and changes none.
        match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, above) } {
            number if number >= 0 => Ok(number),
            _ => Err(io::Error::last_os_error()),
        }
    };
    let apart: io::Result<Vec<libc::c_int>> = kept.iter().map(apart).collect();
    for (number, apart) in (3..).zip(apart?) {
        // SAFETY: what had this number is not used any more.
        if unsafe { libc::dup3(apart, number, libc::O_CLOEXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    close_from(above.unsigned_abs())?;
    // SAFETY: just made, and nobody else owns them.
    Ok((3..above)
        .map(|number| unsafe { OwnedFd::from_raw_fd(number) })
        .collect())
}

/// A program to be executed in a new process.
pub(crate) struct Program<'a> {
    pub(crate) path: &'a CStr,
    pub(crate) arguments: &'a [CString],
    pub(crate) environment: &'a [CString],
    /// Descriptors and the numbers they get, in this order. Every descriptor's own number is above all of the numbers.
    pub(crate) descriptors: &'a [(OwnedFd, i32)],
    /// Whether to begin a session.
    pub(crate) new_session: bool,
}

/// Starts a program with an empty signal mask and the default action for every signal, by the C library's vfork:
/// returns its pid once it is executed, or why it cannot be.
pub(crate) fn spawn(program: &Program<'_>) -> io::Result<i32> {
    let attributes = SpawnAttributes::new(program.new_session)?;
    let mut actions = SpawnActions::new()?;
    for (fd, number) in program.descriptors {
        actions.duplicate(fd, *number)?;
    }
    let pointers = |strings: &[CString]| -> Vec<*mut libc::c_char> {
        let each = strings.iter().map(|string| string.as_ptr().cast_mut());
        each.chain([std::ptr::null_mut()]).collect()
    };
    let (arguments, environment) = (pointers(program.arguments), pointers(program.environment));
    let mut pid = 0;
    // SAFETY: all that is pointed to outlives the call, which returns only after the child's exec; the two arrays end
    // with null, and nothing is written through their pointers.
    let error = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    succeeded(error).map(|()| pid)
}

/// What the `posix_spawn` functions and `pthread_sigmask` return: an error number, or 0.
fn succeeded(error: libc::c_int) -> io::Result<()> {
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

struct SpawnAttributes(libc::posix_spawnattr_t);

impl SpawnAttributes {
    fn new(new_session: bool) -> io::Result<Self> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initialises the attributes, or fails.
        succeeded(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: initialised by the successful call.
        let mut this = Self(unsafe { attributes.assume_init() });
        let none = signal_set(&[])?;
        let mut all = MaybeUninit::uninit();
        // SAFETY: initialises the set.
        let all = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            all.assume_init()
        };
        // SAFETY: the attributes are initialised, the set lives.
        succeeded(unsafe { libc::posix_spawnattr_setsigmask(&raw mut this.0, &raw const none) })?;
        // SAFETY: the attributes are initialised, the set lives.
        succeeded(unsafe { libc::posix_spawnattr_setsigdefault(&raw mut this.0, &raw const all) })?;
        let mut flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        if new_session {
            flags |= libc::c_int::from(libc::POSIX_SPAWN_SETSID);
        }
        let flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
        // SAFETY: the attributes are initialised.
        succeeded(unsafe { libc::posix_spawnattr_setflags(&raw mut this.0, flags) })?;
        Ok(this)
    }
}

impl Drop for SpawnAttributes {
    fn drop(&mut self) {
        // SAFETY: initialised, and not used again.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

struct SpawnActions(libc::posix_spawn_file_actions_t);

impl SpawnActions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: initialises the actions, or fails.
        succeeded(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: initialised by the successful call.
        Ok(Self(unsafe { actions.assume_init() }))
    }

    fn duplicate(&mut self, fd: &OwnedFd, number: i32) -> io::Result<()> {
        // SAFETY: the actions are initialised; the two numbers are the child's business.
        succeeded(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, fd.as_raw_fd(), number) })
    }
}

impl Drop for SpawnActions {
    fn drop(&mut self) {
        // SAFETY: initialised, and not used again.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// Sets the loopback interface of this thread's network namespace up.
#[allow(clippy::cast_possible_truncation)] // IFF_UP is 1.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(c"lo".to_bytes()) {
        *to = from.cast_signed();
    }
    let mut request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: 0 },
    };
    // SAFETY: both requests read and write one ifreq.
    unsafe {
        if libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCGIFFLAGS as libc::Ioctl,
            &raw mut request,
        ) != 0
        {
            return Err(io::Error::last_os_error());
        }
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        if libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as libc::Ioctl,
            &raw const request,
        ) != 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Makes a mount (a descriptor of its root) read-only.
pub(crate) fn set_mount_read_only(mount: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: an empty path with AT_EMPTY_PATH means the descriptor itself; the attributes live and their size is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Drops every capability of this thread's sets; what the bounding set holds stays unreachable without them only
/// together with `no_new_privs`.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let empty = [0_u32; 6];
    // SAFETY: version 3 reads one header and two data blocks of three words.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, empty.as_ptr()) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Drops the pages of a mapping of a file that has not been written to; they come again from the file.
///
/// `from` to `to` must be such a mapping: the caller has read it in /proc/self/maps.
pub(crate) fn forget_pages(from: usize, to: usize) -> io::Result<()> {
    let start = std::ptr::without_provenance_mut::<libc::c_void>(from);
    // SAFETY: for clean pages of a private file mapping MADV_DONTNEED changes nothing that can be read.
    let result = unsafe { libc::madvise(start, to.saturating_sub(from), libc::MADV_DONTNEED) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
