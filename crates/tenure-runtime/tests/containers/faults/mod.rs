//! Thirteen faults of the published container library (libcontainer 0.7.0), each with the test that Tenure does not
//! share it. The number in a test's name is that of its fault.
//!
//! | fault | what the library does | its source |
//! |---|---|---|
//! | 1 | exec joins every namespace but the user namespace, and runs as the host's root | `container/tenant_builder.rs`, `NAMESPACE_TYPES` has no "user" |
//! | 2 | the options of a cgroup v1 mount are dropped | `rootfs/mount.rs`, `mount_cgroup_v1` builds its tmpfs and binds with options of its own |
//! | 3 | any signal makes the container "stopped", until its state is read again and taken for "running" | `container/container_kill.rs`, `set_status(Stopped)` after every signal |
//! | 4 | a recycled pid is taken for the container | `container/state.rs` has no start time |
//! | 5 | a filter without noNewPrivileges cannot be loaded | `process/init/process.rs` loads it after capabilities are gone |
//! | 6 | `rprivate` is no propagation | `rootfs/rootfs.rs` knows four words |
//! | 7 | kill KILL leaves processes that share their pid namespace | `container/container_kill.rs`, `kill_one_process` |
//! | 8 | exec is refused in "created" and ignores much of the process | `container/tenant_builder.rs` |
//! | 9 | mounts by path, with options missing | `rootfs/mount.rs`, `process/init/process.rs` |
//! | 10 | cgroup v1: unified, pids.limit 0, frozen and occupied cgroups, sub-cgroups | libcgroups `v1/` |
//! | 11 | no session keyring, no SELinux label, no console size; an unknown capability is an error | `process/init/process.rs`, `oci-spec` |
//! | 12 | a failing poststop hook keeps the container, a failing poststart hook lets it run | `container/container_delete.rs`, `container/container_start.rs` |
//! | 13 | the caller's own program can be overwritten | none of its files |

pub(crate) mod cgroups;
pub(crate) mod library;
pub(crate) mod mounts;
pub(crate) mod process;
pub(crate) mod state;
