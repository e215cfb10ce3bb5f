//! Namespaces of a pod without a pause container.
//!
//! ```text
//!  create ─▶ a thread: unshare, set up, bind /proc/thread-self/ns/* ─▶ dir/net dir/ipc dir/uts   (the thread ends)
//!  create_pid ─▶ a thread: unshare(PID) ─▶ pod_init, process 1 ─bind─▶ dir/pid
//! ```
//!
//! The bind mounts keep the namespaces alive without a process, also when their maker dies; only a PID namespace
//! lives as long as its process 1, so that one is given a process of ours: [`pod_init()`].

mod pod_init;

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::pipe::PipeFlags;

use crate::error::Context;
use crate::pidfd::PidFd;
use crate::process::{Child, Spawn, start_time};
use crate::sys;

pub use pod_init::pod_init;

/// Which namespaces a pod has of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Network, with the loopback up.
    pub network: bool,
    /// IPC.
    pub ipc: bool,
    /// Host name.
    pub uts: bool,
}

/// Makes the namespaces and binds them on `dir/net`, `dir/ipc`, `dir/uts`; `dir` exists. `sysctls` (name with dots
/// or slashes, value) are written inside them: `net.*` needs a network, `kernel.shm*`, `kernel.msg*`, `kernel.sem`
/// and `fs.mqueue.*` an IPC namespace, and no other is allowed, as it would change the host. After an error nothing
/// is left.
pub fn create(kinds: Kinds, hostname: &str, sysctls: &[(String, String)], dir: &Path) -> io::Result<()> {
    let files: Vec<(PathBuf, String)> = kinds
        .names()
        .map(|name| (name.to_owned(), ns_of_thread(name)))
        .map(|(name, namespace)| (dir.join(name), namespace))
        .collect();
    let sysctls: Vec<(PathBuf, &str)> = sysctls
        .iter()
        .map(|(name, value)| Ok((sysctl_path(kinds, name)?, value.as_str())))
        .collect::<io::Result<_>>()?;
    let made = on_own_thread(|| {
        unshare(kinds.flags()).context("cannot make namespaces for", dir.display())?;
        if kinds.network {
            let flags = SockFlag::SOCK_CLOEXEC;
            let control = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
            sys::loopback_up(std::os::fd::AsFd::as_fd(&control))
                .context("cannot set up the interface", "lo")?;
        }
        if kinds.uts {
            rustix::system::sethostname(hostname.as_bytes()).context("cannot set the host name", hostname)?;
        }
        for (path, value) in &sysctls {
            std::fs::write(path, value).context("cannot set", path.display())?;
        }
        files
            .iter()
            .try_for_each(|(file, namespace)| bind_namespace(Path::new(namespace), file))
    });
    made.inspect_err(|_| {
        // The error that matters is the one before.
        let _ = remove(dir);
    })
}

impl Kinds {
    fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [(self.network, "net"), (self.ipc, "ipc"), (self.uts, "uts")];
        all.into_iter()
            .filter(|(wanted, _)| *wanted)
            .map(|(_, name)| name)
    }

    fn flags(self) -> CloneFlags {
        let all = [
            (self.network, CloneFlags::CLONE_NEWNET),
            (self.ipc, CloneFlags::CLONE_NEWIPC),
            (self.uts, CloneFlags::CLONE_NEWUTS),
        ];
        all.into_iter()
            .filter(|(wanted, _)| *wanted)
            .map(|(_, flag)| flag)
            .collect()
    }
}

fn ns_of_thread(name: &str) -> String {
    format!("/proc/thread-self/ns/{name}")
}

/// The file of a sysctl, if it is one of a namespace of these kinds.
fn sysctl_path(kinds: Kinds, name: &str) -> io::Result<PathBuf> {
    let relative = if name.contains('/') {
        name.to_owned()
    } else {
        name.replace('.', "/")
    };
    let relative = PathBuf::from(relative);
    let plain = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let text = relative.to_string_lossy();
    let ipc = ["kernel/shm", "kernel/msg", "kernel/sem", "fs/mqueue/"];
    let owned = (kinds.network && text.starts_with("net/"))
        || (kinds.ipc && ipc.iter().any(|prefix| text.starts_with(prefix)));
    if plain && owned {
        return Ok(Path::new("/proc/sys").join(relative));
    }
    let reason = "it is not a setting of a namespace that the pod has of its own";
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason)).context("cannot set sysctl", name)
}

/// Runs `work` on a thread of its own, whose namespaces may be changed because it ends with the work.
pub(crate) fn on_own_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, work)?;
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread of a namespace ended early")))
    })
}

fn bind_namespace(namespace: &Path, file: &Path) -> io::Result<()> {
    std::fs::write(file, "").context("cannot make", file.display())?;
    mount(
        Some(namespace),
        file,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .context("cannot bind a namespace on", file.display())
}

/// The first process of a shared PID namespace.
#[derive(Debug)]
pub struct PodInit {
    /// Its pid in our namespace, for records.
    pub pid: i32,
    /// Field 22 of its /proc/PID/stat.
    pub start_time: u64,
    /// The process; our child. SIGKILL to it ends everything in the namespace.
    pub pidfd: PidFd,
}

/// Starts `binary argument` (Tenure's hidden `pod-init`, which calls [`pod_init()`]) as process 1 of a new PID
/// namespace and binds that namespace on `dir/pid`; `dir` exists. Returns when the process has isolated itself: its
/// containers find nothing of the host through it. After an error nothing is left. Needs Linux 5.12.
pub fn create_pid(dir: &Path, binary: &Path, argument: &str) -> io::Result<PodInit> {
    let (ready, told) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    // Containers see the program as /proc/1/exe: through a mount that nobody can write.
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let program = open_tree(rustix::fs::CWD, binary, flags).context("cannot open", binary.display())?;
    sys::set_mount_read_only(std::os::fd::AsFd::as_fd(&program))
        .context("cannot protect", binary.display())?;
    let path = format!("/proc/self/fd/{}", program.as_raw_fd());
    let spawn = Spawn::new(Path::new(&path))
        .arg0("tenure")
        .arg(argument)
        .env_clear()
        .stdout(told);
    let Child { pid, pidfd } = on_own_thread(|| {
        unshare(CloneFlags::CLONE_NEWPID).context("cannot make a PID namespace for", dir.display())?;
        spawn.spawn()
    })?;
    let finish = || {
        await_ready(ready).context("cannot start process 1 of the pod:", binary.display())?;
        bind_namespace(Path::new(&format!("/proc/{pid}/ns/pid")), &dir.join("pid"))?;
        start_time(pid)
    };
    match finish() {
        Ok(start_time) => Ok(PodInit {
            pid,
            start_time,
            pidfd,
        }),
        Err(error) => {
            // The error that matters is the one before.
            let _ = pidfd.signal(libc::SIGKILL);
            let _ = pidfd.wait_blocking();
            let _ = remove_one(&dir.join("pid"));
            Err(error)
        }
    }
}

fn await_ready(ready: std::os::fd::OwnedFd) -> io::Result<()> {
    let mut said = String::new();
    std::fs::File::from(ready).read_to_string(&mut said)?;
    match said.as_str() {
        pod_init::READY => Ok(()),
        "" => Err(io::Error::other("it ended early")),
        reason => Err(io::Error::other(reason.to_owned())),
    }
}

/// Unbinds and removes what [`create`] and [`create_pid`] put into `dir`. Absence is success.
pub fn remove(dir: &Path) -> io::Result<()> {
    let results = ["net", "ipc", "uts", "pid"].map(|name| remove_one(&dir.join(name)));
    results.into_iter().collect()
}

fn remove_one(file: &Path) -> io::Result<()> {
    // Until nothing is mounted there any more: EINVAL; or nothing is there at all: ENOENT.
    while umount2(file, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).is_ok() {}
    match std::fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.context("cannot remove", file.display()),
    }
}
