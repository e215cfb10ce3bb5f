//! The process that becomes the container's program: everything from its birth to exec.
//!
//! It is a copy of the runtime process, alone, and nothing it does before `pivot` trusts what the container's image
//! holds. It dies when the runtime process dies before it has let go.

use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::{Linux, LinuxNamespaceType, Process, Spec};
use libcontainer::syscall::syscall::create_syscall;
use rustix::fs::FileType;
use rustix::process::{DumpableBehavior, Signal as ProcessSignal};

use crate::cgroup::{Cgroups, Entrance};
use crate::channel::{Channel, Message, encode};
use crate::failure::Failure;
use crate::hook::Point;
use crate::namespace::{Namespaces, time_offsets};
use crate::net_device;
use crate::program::Program;
use crate::rootfs::{Rootfs, finish};
use crate::seccomp::Filter;
use crate::settle::{Settlement, let_go_of_host, reopen_null, settle};
use crate::store::Record;
use crate::sys::{self, Cloned};

/// How the program gets its signal to start.
#[derive(Debug)]
pub(crate) enum Start {
    /// At once, when the runtime process says so (`run`).
    AtOnce,
    /// When a byte arrives in the first fifo; the second takes the reason if the program cannot be executed.
    OnRequest(OwnedFd, OwnedFd),
}

/// All that init needs, prepared by the runtime process.
pub(crate) struct Setup<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) linux: &'a Linux,
    pub(crate) process: &'a Process,
    pub(crate) record: &'a Record,
    pub(crate) cgroups: &'a Cgroups,
    pub(crate) entrance: Entrance,
    pub(crate) namespaces: Namespaces,
    /// Bind sources taken in advance, by index of the mount.
    pub(crate) sources: Vec<Option<OwnedFd>>,
    /// The mounted root, where the creator has mounted it.
    pub(crate) root: Option<OwnedFd>,
    /// The connected socket that takes the master end of the terminal.
    pub(crate) console: Option<OwnedFd>,
    pub(crate) start: Start,
    pub(crate) filter: Option<Filter>,
    pub(crate) no_pivot: bool,
    pub(crate) no_new_keyring: bool,
    pub(crate) preserve_fds: u32,
    /// Init's pid as the host knows it, found out where hooks need it.
    pub(crate) host_pid: Option<i32>,
    /// `LISTEN_FDS` and `LISTEN_PID`, if the runtime process was given any.
    pub(crate) inherited_env: Vec<String>,
}

impl Setup<'_> {
    /// Closes all but what is still to be used of this and of what this process was born with.
    fn let_go_of_host(&mut self, channel: &Channel) -> Result<(), Failure> {
        drop(std::mem::take(&mut self.entrance));
        drop(std::mem::take(&mut self.namespaces));
        let mut keep = vec![channel.as_fd()];
        keep.extend(self.console.as_ref().map(AsFd::as_fd));
        if let Start::OnRequest(start, exec) = &self.start {
            keep.extend([start.as_fd(), exec.as_fd()]);
        }
        let_go_of_host(&keep, self.preserve_fds)
    }
}

/// Runs in the first process forked. Never returns.
pub(crate) fn first_process(setup: Setup<'_>, channel: &Channel) -> ! {
    // A runtime process that dies now must not leave a half-made container behind.
    let _ = rustix::process::set_parent_process_death_signal(Some(ProcessSignal::KILL));
    let failure = match before_init(&setup, channel) {
        Ok(true) => init(setup, channel),
        Ok(false) => sys::exit_now(0),
        Err(failure) => failure,
    };
    // Nobody to tell if the runtime process is gone.
    let _ = channel.send(&Message::Failed(failure));
    sys::exit_now(1)
}

/// Enters cgroups and user namespace; tells whether this process is to go on as init.
fn before_init(setup: &Setup<'_>, channel: &Channel) -> Result<bool, Failure> {
    // First of all: what it uses from here on counts as the container's.
    if setup.cgroups.scope.is_some() {
        if !channel.wait_for_go() {
            sys::exit_now(1);
        }
        let entered = setup.cgroups.enter_beside_systemd();
        entered.map_err(Failure::step("enter the container's cgroups"))?;
    }
    setup
        .entrance
        .enter()
        .map_err(Failure::step("enter the container's cgroups"))?;
    let namespaces = &setup.namespaces;
    if namespaces.user.is_new() && !channel.wait_for_go() {
        sys::exit_now(1);
    }
    if let Some(user) = namespaces.user.joined() {
        sys::setns(user, libc::CLONE_NEWUSER).map_err(Failure::step("join user namespace"))?;
    }
    if namespaces.user.is_new() || namespaces.user.joined().is_some() {
        become_root_of_namespace()?;
    }
    if !namespaces.need_second_fork() {
        return Ok(true);
    }
    if namespaces.new_time {
        sys::unshare(libc::CLONE_NEWTIME).map_err(Failure::step("create time namespace"))?;
        if let Some(offsets) = time_offsets(setup.linux) {
            write_time_offsets(&offsets)?;
        }
    }
    if let Some(pid) = namespaces.pid.joined() {
        sys::setns(pid, libc::CLONE_NEWPID).map_err(Failure::step("join pid namespace"))?;
    }
    let new_pid = if namespaces.pid.is_new() {
        libc::CLONE_NEWPID
    } else {
        0
    };
    match sys::clone3((libc::CLONE_PARENT | new_pid) as u64, None).map_err(Failure::step("fork init"))? {
        Cloned::Child => {
            let _ = rustix::process::set_parent_process_death_signal(Some(ProcessSignal::KILL));
            Ok(true)
        }
        Cloned::Parent(pid, _) => {
            channel
                .send(&Message::Pid(pid))
                .map_err(Failure::step("tell init's pid"))?;
            Ok(false)
        }
    }
}

/// Becomes uid and gid 0 of the user namespace entered.
pub(crate) fn become_root_of_namespace() -> Result<(), Failure> {
    let (uid, gid) = (rustix::fs::Uid::ROOT, rustix::fs::Gid::ROOT);
    match rustix::thread::set_thread_groups(&[]) {
        // A namespace made without privileges forbids setgroups.
        Ok(()) | Err(rustix::io::Errno::PERM) => {}
        Err(error) => return Err(Failure::step("drop supplementary groups")(error)),
    }
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .map_err(Failure::step("become group 0 of the user namespace"))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
        .map_err(Failure::step("become user 0 of the user namespace"))
}

/// Its own files in `/proc` belong to the host's root while this process cannot be dumped.
fn write_time_offsets(offsets: &str) -> Result<(), Failure> {
    let dumpable = |b| rustix::process::set_dumpable_behavior(b).map_err(Failure::step("change dumpability"));
    dumpable(DumpableBehavior::Dumpable)?;
    let written = fs::write("/proc/self/timens_offsets", offsets);
    dumpable(DumpableBehavior::NotDumpable)?;
    written.map_err(Failure::step(format!(
        "set linux.timeOffsets to {:?}",
        offsets.trim()
    )))
}

/// Sets the container up and executes its program. Returns only to tell why not.
fn init(mut setup: Setup<'_>, channel: &Channel) -> Failure {
    let program = match prepare(&mut setup, channel) {
        Ok(program) => program,
        Err(failure) => return failure,
    };
    if let Err(error) = channel.send(&Message::Ready) {
        return Failure::step("tell that all is set up")(error);
    }
    // From the runtime process's word on, the container lives on its own. Without it, it does not live.
    if !channel.wait_for_go() {
        sys::exit_now(1);
    }
    match &setup.start {
        Start::AtOnce => execute(&setup, &program),
        Start::OnRequest(start, exec) => {
            if !wait_for_start(start) {
                sys::exit_now(1);
            }
            let failure = execute(&setup, &program);
            let _ = rustix::io::write(exec, &encode(&failure));
            sys::exit_now(1)
        }
    }
}

/// Waits for the byte that starts the program.
fn wait_for_start(start: &OwnedFd) -> bool {
    let mut byte = [0; 1];
    loop {
        match rustix::io::read(start, &mut byte) {
            Err(rustix::io::Errno::INTR) => {}
            other => return other == Ok(1),
        }
    }
}

fn execute(setup: &Setup<'_>, program: &Program) -> Failure {
    let hooks = setup.spec.hooks().as_ref();
    // In the program's directory, as in runc.
    if let Err(failure) = Point::StartContainer.run(hooks, setup.record, setup.host_pid, None) {
        return failure;
    }
    program.execute()
}

fn prepare(setup: &mut Setup<'_>, channel: &Channel) -> Result<Program, Failure> {
    rustix::process::setsid().map_err(Failure::step("create a session"))?;
    let hooks = setup.spec.hooks().as_ref();
    if Point::CreateContainer.is_used(hooks) || Point::StartContainer.is_used(hooks) {
        // The host's /proc is still there, so this link names the pid the host knows.
        setup.host_pid = fs::read_link("/proc/self")
            .ok()
            .and_then(|p| p.to_str()?.parse().ok());
    }
    setup.namespaces.enter()?;
    if setup.namespaces.is_new(LinuxNamespaceType::Network) {
        sys::loopback_up().map_err(Failure::step("bring the loopback interface up"))?;
    }
    name_host(setup)?;
    if !setup.no_new_keyring {
        join_keyring(&setup.record.id)?;
    }
    // Modes of directories and devices are exactly those asked for.
    rustix::process::umask(rustix::fs::Mode::empty());
    let root = setup.root.take();
    let rootfs = Rootfs::attach(setup.spec, setup.linux, &setup.record.rootfs, root)?;
    let in_user_namespace = setup.record.user_namespace;
    let sources = std::mem::take(&mut setup.sources);
    rootfs.populate(&setup.record.bundle, setup.cgroups, sources, in_user_namespace)?;
    set_sysctls(setup.linux)?;
    run_create_hooks(setup, channel)?;
    rootfs.restrict()?;
    rootfs.pivot(setup.no_pivot)?;
    setup.let_go_of_host(channel)?;
    match setup.console.take() {
        Some(console) => open_terminal(console, setup.process, true)?,
        None => reopen_null().map_err(Failure::step("open the container's /dev/null"))?,
    }
    make_cwd(setup.process.cwd())?;
    finish(setup.spec, setup.linux)?;
    settle(&Settlement {
        process: setup.process,
        linux: setup.linux,
        in_user_namespace: setup.record.user_namespace,
        filter: setup.filter.as_ref(),
        channel,
        preserved: setup.preserve_fds,
        inherited_env: &setup.inherited_env,
    })
}

/// Names the host in a uts namespace of the container's own; one that is shared belongs to others too.
fn name_host(setup: &Setup<'_>) -> Result<(), Failure> {
    if !setup.namespaces.is_new(LinuxNamespaceType::Uts) {
        return Ok(());
    }
    let named = |name: &Option<String>| name.clone().filter(|n| !n.is_empty());
    if let Some(name) = named(setup.spec.hostname()) {
        rustix::system::sethostname(name.as_bytes())
            .map_err(Failure::step(format!("set hostname {name}")))?;
    }
    if let Some(name) = named(setup.spec.domainname()) {
        rustix::system::setdomainname(name.as_bytes())
            .map_err(Failure::step(format!("set domainname {name}")))?;
    }
    Ok(())
}

/// A session keyring of the container's own keeps the caller's keys from it.
pub(crate) fn join_keyring(id: &str) -> Result<(), Failure> {
    let name = std::ffi::CString::new(format!("_ses.{id}")).unwrap_or_default();
    sys::join_session_keyring(&name).map_err(Failure::step("create a session keyring"))
}

/// The files are the host's, what they set is that of the namespaces of the process that opens them.
fn set_sysctls(linux: &Linux) -> Result<(), Failure> {
    for (name, value) in linux.sysctl().iter().flatten() {
        let set = fs::OpenOptions::new()
            .write(true)
            .open(sysctl_path(name))
            .and_then(|mut f| f.write_all(value.as_bytes()));
        set.map_err(Failure::step(format!("set sysctl {name} to {value:?}")))?;
    }
    Ok(())
}

/// The file of a sysctl, whose name is separated by dots or slashes.
pub(crate) fn sysctl_path(name: &str) -> PathBuf {
    let path = if name.contains('/') {
        name.to_owned()
    } else {
        name.replace('.', "/")
    };
    Path::new("/proc/sys").join(path)
}

/// Hooks that run once the namespaces and mounts stand: the runtime's in the parent, then the container's here.
fn run_create_hooks(setup: &Setup<'_>, channel: &Channel) -> Result<(), Failure> {
    let hooks = setup.spec.hooks().as_ref();
    let needed = Point::Prestart.is_used(hooks) || Point::CreateRuntime.is_used(hooks);
    if needed || net_device::any(setup.linux) {
        channel
            .send(&Message::Hooks)
            .map_err(Failure::step("ask for hooks"))?;
        if !channel.wait_for_go() {
            sys::exit_now(1);
        }
    }
    let directory = Some(setup.record.rootfs.as_path());
    Point::CreateContainer.run(hooks, setup.record, setup.host_pid, directory)
}

/// Makes a terminal in the container, the controlling one of this session, and sends its master end away.
pub(crate) fn open_terminal(console: OwnedFd, process: &Process, is_init: bool) -> Result<(), Failure> {
    // The library opens it for writing, which would wait for ever on a fifo of the image's.
    let is_fifo = |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo;
    if is_init && rustix::fs::stat("/dev/console").is_ok_and(is_fifo) {
        return Err(Failure::Step(
            "cannot open a terminal: /dev/console is a fifo".to_owned(),
        ));
    }
    libcontainer::tty::setup_console(create_syscall().as_ref(), console.into_raw_fd(), is_init).map_err(
        |error| {
            use std::error::Error;
            let cause = error.source().map_or_else(String::new, |s| format!(": {s}"));
            Failure::Step(format!("cannot open a terminal: {error}{cause}"))
        },
    )?;
    let Some(size) = process.console_size() else {
        return Ok(());
    };
    let clamp = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    let size = rustix::termios::Winsize {
        ws_row: clamp(size.height()),
        ws_col: clamp(size.width()),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(rustix::stdio::stdin().as_fd(), size)
        .map_err(Failure::step("set the terminal's size"))
}

/// The working directory is made if it is missing, as in runc.
fn make_cwd(cwd: &Path) -> Result<(), Failure> {
    let path: PathBuf = Path::new("/").join(crate::rootfs::clean(cwd));
    match rustix::fs::stat(&path) {
        Ok(_) => Ok(()),
        Err(rustix::io::Errno::NOENT) => {
            use std::os::unix::fs::DirBuilderExt;
            let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(&path);
            made.map_err(Failure::step(format!(
                "create working directory {}",
                cwd.display()
            )))
        }
        // Not for root to see; the program's user may.
        Err(_) => Ok(()),
    }
}
