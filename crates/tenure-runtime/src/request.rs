//! What callers ask for, and what they get back.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use libcontainer::oci_spec::runtime::Process;

/// How `create` and `run` are to set a container up.
#[derive(Debug, Default)]
pub struct CreateRequest {
    /// The bundle: a directory with `config.json`.
    pub bundle: PathBuf,
    /// Where to write init's pid, in decimal without a newline, before the container is started.
    pub pid_file: Option<PathBuf>,
    /// Unix socket that receives init's pidfd, with the message `standard`, before the container is started.
    pub pidfd_socket: Option<PathBuf>,
    /// Unix socket that receives the master end of the terminal; needed if and only if `process.terminal`.
    pub console_socket: Option<PathBuf>,
    /// The same socket already connected; wins over `console_socket`. For callers that keep the terminal.
    pub console_fd: Option<OwnedFd>,
    /// Use `MS_MOVE` and chroot in place of `pivot_root` (for a root on an initial ramdisk).
    pub no_pivot: bool,
    /// Stay in the caller's session keyring.
    pub no_new_keyring: bool,
    /// How many descriptors from 3 on to pass to the program, besides those of `LISTEN_FDS`.
    pub preserve_fds: u32,
    /// Whether the caller will leave before the container ends.
    pub detach: bool,
}

/// A container that has been set up.
#[derive(Debug)]
pub struct Created {
    /// Pid of its init, a child of the calling process.
    pub pid: i32,
    /// The same process by descriptor: readable when it has ended, good for `waitid(P_PIDFD)`.
    pub pidfd: OwnedFd,
}

/// A further process for a container.
#[derive(Debug)]
pub struct ExecRequest {
    /// The complete process, as [`exec_process`](crate::exec_process) builds it or as a `process.json` holds it.
    pub process: Process,
    /// Where to write its pid, in decimal without a newline.
    pub pid_file: Option<PathBuf>,
    /// Unix socket that receives its pidfd, with the message `setns`, before the program is executed.
    pub pidfd_socket: Option<PathBuf>,
    /// Cgroups below the container's, in which to run it.
    pub cgroups: Vec<SubCgroup>,
    /// Unix socket that receives the master end of the terminal; needed if and only if `process.terminal`.
    pub console_socket: Option<PathBuf>,
    /// The same socket already connected; wins over `console_socket`.
    pub console_fd: Option<OwnedFd>,
    /// How many descriptors from 3 on to pass to the program, besides those of `LISTEN_FDS`.
    pub preserve_fds: u32,
    /// Whether the caller will leave before the process ends.
    pub detach: bool,
    /// Start it in a paused container, too: it runs, and exec returns, once the container is resumed.
    pub ignore_paused: bool,
}

impl ExecRequest {
    /// A request without pid file, terminal or extra descriptors.
    pub fn new(process: Process) -> Self {
        Self {
            process,
            pid_file: None,
            pidfd_socket: None,
            cgroups: Vec::new(),
            console_socket: None,
            console_fd: None,
            preserve_fds: 0,
            detach: false,
            ignore_paused: false,
        }
    }
}

/// An existing cgroup below a container's own.
///
/// Parsed from `PATH`, which is meant in every hierarchy, or `CONTROLLER[,CONTROLLER]:PATH` for those of v1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubCgroup {
    /// v1 controllers in whose hierarchies it is; none means all.
    pub controllers: Vec<String>,
    /// Where it is, seen from the container's cgroup.
    pub path: PathBuf,
}

impl std::str::FromStr for SubCgroup {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (controllers, path) = match text.split_once(':') {
            Some((controllers, path)) => (controllers.split(',').map(ToOwned::to_owned).collect(), path),
            None => (Vec::new(), text),
        };
        if path.is_empty() || controllers.iter().any(String::is_empty) {
            return Err(format!("{text:?} is not of the form [CONTROLLER:]PATH"));
        }
        Ok(Self {
            controllers,
            path: path.into(),
        })
    }
}

/// A process that now runs in a container.
#[derive(Debug)]
pub struct Executed {
    /// Its pid, a child of the calling process.
    pub pid: i32,
    /// The same process by descriptor.
    pub pidfd: OwnedFd,
}

/// What to change in a container's own process for `exec`. `Default` changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessOverrides {
    /// The command; required, for the container's own command is never run again.
    pub args: Vec<String>,
    /// `NAME=VALUE`, put after the container's own; the last one of a name wins.
    pub env: Vec<String>,
    /// Working directory inside the container.
    pub cwd: Option<PathBuf>,
    /// `UID` or `UID:GID`, numbers.
    pub user: Option<(u32, Option<u32>)>,
    /// More supplementary groups.
    pub additional_gids: Vec<u32>,
    /// Capabilities added to all sets, by name (`CAP_NET_RAW`).
    pub capabilities: Vec<String>,
    /// Whether to run on a terminal.
    pub terminal: bool,
    /// Set or lift noNewPrivileges; `None` keeps the container's.
    pub no_new_privileges: Option<bool>,
    /// AppArmor profile.
    pub apparmor_profile: Option<String>,
    /// SELinux label.
    pub selinux_label: Option<String>,
}
