//! Taking a sandbox down, from whatever state it is in.

use std::path::{Path, PathBuf};

use tenure_supervise::cgroup::Cgroup;
use tenure_supervise::mount::{detach_all_below, mounts_below};
use tenure_supervise::namespaces;
use tenure_supervise::pidfd::PidFd;

use crate::error::{EngineError, line};
use crate::offload::offload;
use crate::store::{PodDir, file_error, remove_tree};

/// Removes everything of a pod but its record and logs; goes on whatever fails, and tells what is left. Containers
/// must be deleted by now. Removing what is not there succeeds.
pub(crate) async fn remove(dir: &PodDir, pod_init: Option<PidFd>) -> Vec<String> {
    let mut left = Vec::new();
    let mut note = |result: Result<(), EngineError>| {
        if let Err(error) = result {
            left.push(line(&error));
        }
    };
    if let Some(init) = pod_init {
        note(end(&init).await);
    }
    let path = PathBuf::from(dir.cgroup());
    match Cgroup::open(&path) {
        Ok(cgroup) => {
            let emptied = if cgroup.exists() {
                cgroup.kill().await
            } else {
                Ok(())
            };
            note(
                emptied
                    .and_then(|()| cgroup.remove())
                    .map_err(|source| file_error("remove cgroup", &path, source)),
            );
        }
        Err(source) => note(Err(file_error("open cgroup", &path, source))),
    }
    let moved = dir.clone();
    match offload(move || remove_files(&moved)).await {
        Ok(errors) => errors.into_iter().for_each(|error| note(Err(error))),
        Err(source) => note(Err(file_error("remove", dir.path(), source))),
    }
    left
}

/// Ends the shared PID namespace's init, and all processes of the namespace with it.
async fn end(init: &PidFd) -> Result<(), EngineError> {
    let gone = match init.signal(nix::libc::SIGKILL) {
        Ok(()) => init.wait().await.map(drop),
        Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(()),
        Err(error) => Err(error),
    };
    gone.map_err(|source| EngineError::Process {
        operation: "end the pod's init",
        source,
    })
}

/// Unmounts everything in a folder and makes sure of it: what is mounted there may be a folder of the host's.
pub(super) fn unmount_all(folder: &Path) -> std::io::Result<()> {
    detach_all_below(folder)?;
    match mounts_below(folder)?.first() {
        None => Ok(()),
        Some(mount) => Err(std::io::Error::new(
            std::io::ErrorKind::ResourceBusy,
            format!("{} is mounted again", mount.display()),
        )),
    }
}

/// Unmounts and removes what exists only while the pod does.
fn remove_files(dir: &PodDir) -> Vec<EngineError> {
    let mut errors = Vec::new();
    let mut note = |operation, path: &Path, result: std::io::Result<()>| {
        if let Err(source) = result {
            errors.push(file_error(operation, path, source));
        }
    };
    let namespaces = dir.namespaces();
    note(
        "remove namespaces in",
        &namespaces,
        namespaces::remove(&namespaces),
    );
    // Deleting below a mount would delete what is mounted, a hostPath for one: all of it or nothing.
    match unmount_all(dir.path()) {
        Ok(()) => {
            for path in [dir.bundles(), dir.volumes(), dir.files(), namespaces] {
                note("remove", &path, remove_tree(&path));
            }
        }
        Err(error) => note("unmount", dir.path(), Err(error)),
    }
    errors
}
