//! The last steps before a program, for init and for exec alike: who it is, what it may, where it stands.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use libcontainer::capabilities::CapabilityExt;
use libcontainer::oci_spec::runtime::{
    Capabilities, IOPriorityClass, Linux, LinuxCapabilities, LinuxPersonalityDomain, Process,
};
use libcontainer::syscall::syscall::create_syscall;
use rustix::fs::{FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};
use tracing::subscriber::NoSubscriber;

use crate::channel::Channel;
use crate::create::limit;
use crate::failure::Failure;
use crate::program::{Program, environment};
use crate::seccomp::Filter;
use crate::{notify, selinux, sys};

/// What a process is to become.
pub(crate) struct Settlement<'a> {
    pub(crate) process: &'a Process,
    pub(crate) linux: &'a Linux,
    pub(crate) in_user_namespace: bool,
    pub(crate) filter: Option<&'a Filter>,
    /// The line to the runtime process.
    pub(crate) channel: &'a Channel,
    /// How many descriptors from 3 on stay open in the program.
    pub(crate) preserved: u32,
    /// Environment variables of socket activation.
    pub(crate) inherited_env: &'a [String],
}

/// Closes what this process was born with and does not need any more, before anything that the container decides is
/// looked up: through an open directory of the host's, `/proc/self/fd/N/..` leads out of the container, as a working
/// directory, as a program or as the interpreter of one (CVE-2024-21626).
pub(crate) fn let_go_of_host(keep: &[BorrowedFd<'_>], preserved: u32) -> Result<(), Failure> {
    // The log's is among them.
    std::mem::forget(tracing::subscriber::set_default(NoSubscriber::default()));
    sys::close_all_but(keep, 3 + preserved).map_err(Failure::step("close descriptors of the host"))
}

/// Gives this process the user, rights and surroundings of the configuration and finds its program.
pub(crate) fn settle(settlement: &Settlement<'_>) -> Result<Program, Failure> {
    let Settlement { process, linux, .. } = *settlement;
    // A filter may forbid it later. What is left to do takes no time, and then the runtime process's word is needed.
    rustix::process::set_parent_process_death_signal(None)
        .map_err(Failure::step("outlive the runtime process"))?;
    priorities(process, linux)?;
    if let Some(profile) = process.apparmor_profile() {
        libcontainer::apparmor::apply_profile(profile)
            .map_err(|e| Failure::Step(format!("cannot apply AppArmor profile {profile}: {e}")))?;
    }
    if let Some(label) = process.selinux_label().as_ref().filter(|l| !l.is_empty()) {
        selinux::label_next_program(label)
            .map_err(Failure::step(format!("set the SELinux label {label}")))?;
    }
    own_stdio(process.user().uid());
    let env = environment(process, settlement.inherited_env);
    rustix::process::umask(Mode::from_raw_mode(
        process.user().umask().unwrap_or(0o022) & 0o777,
    ));
    let no_new_privileges = process.no_new_privileges() == Some(true);
    if no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(Failure::step("set noNewPrivileges"))?;
    }
    let chdir = || rustix::process::chdir(process.cwd());
    let denied = match chdir() {
        Err(Errno::ACCESS | Errno::PERM) => true,
        other => {
            other.map_err(Failure::step(format!(
                "change to directory {}",
                process.cwd().display()
            )))?;
            false
        }
    };
    // Many a filter is older than close_range. What is opened from here on is close-on-exec from its birth.
    sys::close_on_exec_from(3 + settlement.preserved)
        .map_err(Failure::step("mark descriptors close-on-exec"))?;
    if !no_new_privileges {
        // Without noNewPrivileges, only a privileged process may load a filter.
        load_filter(settlement)?;
    }
    if !settlement.in_user_namespace {
        // The last act with the runtime's rights, and the last one that needs more than the program will.
        limit(process, None)?;
    }
    become_user(process)?;
    if denied {
        chdir().map_err(Failure::step(format!(
            "change to directory {}",
            process.cwd().display()
        )))?;
    }
    check_cwd()?;
    let program = Program::find(process, &env)?;
    if no_new_privileges {
        load_filter(settlement)?;
    }
    Ok(program)
}

/// Loads the filter, and where it asks an agent, waits until the agent listens.
fn load_filter(settlement: &Settlement<'_>) -> Result<(), Failure> {
    match settlement.filter.map(Filter::load).transpose()?.flatten() {
        Some(listener) => notify::hand_over(settlement.channel, listener),
        None => Ok(()),
    }
}

/// I/O priority, scheduler, memory policy and execution domain.
fn priorities(process: &Process, linux: &Linux) -> Result<(), Failure> {
    let other = |what: &str| {
        let what = what.to_owned();
        move |e: &dyn std::fmt::Display| Failure::Step(format!("cannot set the {what}: {e}"))
    };
    if let Some(priority) = process.io_priority() {
        let class = match priority.class() {
            IOPriorityClass::IoprioClassRt => 1,
            IOPriorityClass::IoprioClassBe => 2,
            IOPriorityClass::IoprioClassIdle => 3,
        };
        create_syscall()
            .set_io_priority(class, priority.priority())
            .map_err(|e| other("I/O priority")(&e))?;
    }
    if let Some(scheduler) = process.scheduler() {
        crate::scheduler::apply(scheduler).map_err(Failure::step("set the scheduler"))?;
    }
    if linux.memory_policy().is_some() {
        let syscall = create_syscall();
        libcontainer::process::memory_policy::setup_memory_policy(linux.memory_policy(), syscall.as_ref())
            .map_err(|e| other("memory policy")(&e))?;
    }
    if let Some(personality) = linux.personality() {
        use libcontainer::config::PersonalityDomain;
        let domain = match personality.domain() {
            LinuxPersonalityDomain::PerLinux => PersonalityDomain::Linux,
            LinuxPersonalityDomain::PerLinux32 => PersonalityDomain::Linux32,
        };
        create_syscall()
            .personality(domain)
            .map_err(|e| other("personality")(&e))?;
    }
    Ok(())
}

/// Gives the standard streams to the user, so that it can open `/dev/stdout`; the null device stays as it is.
fn own_stdio(uid: u32) {
    let owner = Uid::from_raw(uid);
    for fd in [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ] {
        let Ok(stat) = rustix::fs::fstat(fd) else { continue };
        if stat.st_uid != uid && !is_null(&stat) {
            // Refused on read-only file systems and on files a user namespace does not map, as in runc.
            let _ = rustix::fs::fchown(fd, Some(owner), None);
        }
    }
}

fn is_null(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev == rustix::fs::makedev(1, 3)
}

/// Exchanges the host's null device on the standard streams for the container's own: whoever has the host's as its
/// owner can change its mode for everybody.
pub(crate) fn reopen_null() -> io::Result<()> {
    let mut null = None;
    for number in 0..3 {
        let fd = match number {
            0 => rustix::stdio::stdin(),
            1 => rustix::stdio::stdout(),
            _ => rustix::stdio::stderr(),
        };
        let Ok(stat) = rustix::fs::fstat(fd) else { continue };
        if !is_null(&stat) {
            continue;
        }
        if null.is_none() {
            let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
            let opened = rustix::fs::open("/dev/null", flags, Mode::empty())?;
            if !is_null(&rustix::fs::fstat(&opened)?) {
                return Err(io::Error::other(
                    "/dev/null of the container is not the null device",
                ));
            }
            null = Some(opened);
        }
        if let Some(null) = &null {
            let null = null.as_fd();
            match number {
                0 => rustix::stdio::dup2_stdin(null)?,
                1 => rustix::stdio::dup2_stdout(null)?,
                _ => rustix::stdio::dup2_stderr(null)?,
            }
        }
    }
    Ok(())
}

/// The process's groups, user and capabilities.
fn become_user(process: &Process) -> Result<(), Failure> {
    let none = LinuxCapabilities::default();
    let empty = Capabilities::new();
    // No capabilities in the configuration means none, as in runc.
    let given = process.capabilities().as_ref();
    let sets = given.unwrap_or(&none);
    let mask = |set: &Option<Capabilities>| -> CapabilitySet {
        let names = if given.is_some() {
            set.as_ref().unwrap_or(&empty)
        } else {
            &empty
        };
        CapabilitySet::from_bits_retain(names.iter().fold(0, |bits, c| bits | 1 << c.to_cap().index()))
    };
    drop_bounding(mask(sets.bounding())).map_err(Failure::step("drop capabilities from the bounding set"))?;
    rustix::thread::set_keep_capabilities(true).map_err(Failure::step("keep capabilities"))?;
    let user = process.user();
    // An engine may name a group twice; the kernel would keep it twice.
    let groups: BTreeSet<u32> = user.additional_gids().iter().flatten().copied().collect();
    let groups: Vec<Gid> = groups.into_iter().map(Gid::from_raw).collect();
    match rustix::thread::set_thread_groups(&groups) {
        // Without additional groups, a user namespace that forbids setgroups is no obstacle.
        Err(Errno::PERM) if groups.is_empty() => {}
        other => other.map_err(Failure::step(format!("set supplementary groups {groups:?}")))?,
    }
    let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(user.gid()));
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .map_err(Failure::step(format!("become group {}", user.gid())))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
        .map_err(Failure::step(format!("become user {}", user.uid())))?;
    rustix::thread::set_keep_capabilities(false).map_err(Failure::step("keep capabilities"))?;
    rustix::thread::clear_ambient_capability_set().map_err(Failure::step("clear ambient capabilities"))?;
    let wanted = CapabilitySets {
        effective: mask(sets.effective()),
        permitted: mask(sets.permitted()),
        inheritable: mask(sets.inheritable()),
    };
    rustix::thread::set_capabilities(None, wanted).map_err(Failure::step("set capabilities"))?;
    for capability in mask(sets.ambient()).iter() {
        // As in runc, one that is not permitted or inheritable is a warning.
        if let Err(error) = rustix::thread::configure_capability_in_ambient_set(capability, true) {
            tracing::warn!(?capability, %error, "cannot raise ambient capability");
        }
    }
    Ok(())
}

/// Drops every capability the kernel knows from the bounding set, but those to `keep`.
fn drop_bounding(keep: CapabilitySet) -> Result<(), Errno> {
    for number in 0..63 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if keep.contains(capability) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // The first number the kernel does not know.
            Err(Errno::INVAL) => break,
            other => other?,
        }
    }
    Ok(())
}

/// Makes sure that the working directory is inside the container (CVE-2024-21626).
fn check_cwd() -> Result<(), Failure> {
    let outside =
        |reason: String| Failure::Step(format!("working directory is not inside the container: {reason}"));
    let cwd = rustix::process::getcwd(Vec::new()).map_err(|e| outside(e.to_string()))?;
    if cwd.as_bytes().first() == Some(&b'/') {
        Ok(())
    } else {
        Err(outside(cwd.to_string_lossy().into_owned()))
    }
}
