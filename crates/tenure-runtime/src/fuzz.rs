//! Entrances for the fuzzer: every decision that a configuration leads to and that can be taken without a container.
//!
//! Each panics where something does not hold that must hold for every input.

#![allow(clippy::expect_used, clippy::panic)] // To panic is how it speaks.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use libcontainer::oci_spec::runtime::{Linux, Process, Spec};

use crate::cgroup::{self, Hierarchies};
use crate::program::environment;
use crate::validate::validate_process;
use crate::{ProcessOverrides, config, create, init, namespace, rootfs, seccomp, update};

/// Takes the decisions that follow from a configuration that was accepted. Makes mount points below `root` only.
pub fn decide(spec: &Spec, root: BorrowedFd<'_>) {
    for mount in spec.mounts().iter().flatten() {
        rootfs::fuzz_mount(root, mount);
    }
    if let Some(linux) = spec.linux() {
        decide_linux(linux, root);
    }
    if let Some(process) = spec.process() {
        decide_process(process);
    }
    let overrides = ProcessOverrides {
        args: vec!["sh".to_owned()],
        env: vec!["A=b".to_owned()],
        capabilities: vec!["chown".to_owned()],
        user: Some((1, None)),
        additional_gids: vec![2],
        ..ProcessOverrides::default()
    };
    if let Ok(process) = config::exec_process(spec, &overrides) {
        // What is made from a good process is good.
        assert_eq!(validate_process(&process), Ok(()));
        decide_process(&process);
    }
}

fn decide_linux(linux: &Linux, root: BorrowedFd<'_>) {
    let lists = [linux.masked_paths(), linux.readonly_paths()];
    for path in lists.into_iter().flat_map(|l| l.iter().flatten()) {
        rootfs::fuzz_path(root, Path::new(path));
    }
    rootfs::fuzz_devices(root, linux.devices().as_deref().unwrap_or_default());
    Hierarchies::fuzz_place(linux.cgroups_path().as_deref());
    if let Some(resources) = linux.resources() {
        cgroup::fuzz_limits(resources);
    }
    if let Some(profile) = linux.seccomp() {
        seccomp::fuzz_compile(profile);
    }
    for name in linux.sysctl().iter().flat_map(|s| s.keys()) {
        let path = init::sysctl_path(name);
        let inside = path
            .strip_prefix("/proc/sys")
            .expect("a sysctl is below /proc/sys");
        assert_eq!(rootfs::clean(inside), inside, "{path:?}");
    }
    if let Some(offsets) = namespace::time_offsets(linux) {
        assert!(offsets.ends_with('\n'));
    }
}

fn decide_process(process: &Process) {
    for limit in process.rlimits().iter().flatten() {
        assert!(
            create::resource(&limit.typ().to_string()).is_some(),
            "{}",
            limit.typ()
        );
    }
    let env = environment(process, &[]);
    assert!(env.iter().any(|e| e.starts_with("HOME=/")) || process.env().is_some());
    assert!(env.iter().all(|e| e.contains('=') && !e.contains('\0')));
}

/// A `process.json` for exec, read and judged as the command does. Returns whether it was accepted.
pub fn process(path: &Path) -> bool {
    match config::load_process(path) {
        Ok(process) => {
            decide_process(&process);
            true
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control), "{text:?}");
            false
        }
    }
}

/// Resources for update, up to what would be written and kept. Returns whether they were accepted.
pub fn resources(bytes: &[u8]) -> bool {
    update::fuzz_update(bytes)
}

/// A question to a device program, for every kind of device.
pub(crate) const QUESTIONS: [(u32, u32, u32); 6] = [
    (1, 8, 0),
    (2, 1, 3),
    (2, 1, 11),
    (2, 10, 229),
    (1, 0, 0),
    (2, u32::MAX, 1),
];

/// Whether a descriptor is inside the root.
pub(crate) fn assert_inside(root: BorrowedFd<'_>, place: BorrowedFd<'_>) {
    let name = |fd: BorrowedFd<'_>| {
        use std::os::fd::AsRawFd;
        std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).expect("a descriptor's name")
    };
    let (root, place) = (name(root.as_fd()), name(place));
    assert!(place.starts_with(&root), "{place:?} is outside {root:?}");
}
