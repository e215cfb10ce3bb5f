//! Volumes of files: `configMap`, `secret`, `downwardAPI` and `projected`.
//!
//! Each is a tmpfs of its own, which never comes to a disk and goes with its mount. It is filled before the pod's first
//! container is made, below a folder that only we may enter: nobody can see half of it. Nothing in it changes later,
//! so there are plain files where the kubelet has links to links.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use tenure_spec::PodSpec;
use tenure_spec::files::Files;
use tenure_spec::reference::Known;
use tenure_supervise::mount::tmpfs_without_swap;

/// Folders may be entered by all; the kubelet has 0777 for a volume's root, where programs that are careful complain.
const FOLDER_MODE: u32 = 0o755;

/// What `fsGroup` adds to a file (kubelet: of volumes that are read-only).
const GROUP_FILE: u32 = 0o440;

/// What `fsGroup` adds to a folder.
const GROUP_FOLDER: u32 = 0o2550;

/// Mounts the volume at `path` and fills it.
pub(super) fn create(
    path: &Path,
    files: &Files,
    group: Option<u32>,
    pod: &PodSpec,
    known: &Known,
) -> io::Result<()> {
    fs::create_dir(path)?;
    tmpfs_without_swap(path, FOLDER_MODE)?;
    fill(path, files, group, pod, known)
}

/// Writes the files below `root`, which is empty and ours alone.
fn fill(root: &Path, files: &Files, group: Option<u32>, pod: &PodSpec, known: &Known) -> io::Result<()> {
    let plan = files.plan(&known.sources);
    // A pod that was accepted has none.
    if let Some(fault) = plan.faults.into_iter().next() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, fault.message));
    }
    let mut folders = BTreeSet::from([Path::new("")]);
    for file in &plan.files {
        folders.extend(file.path.ancestors().skip(1));
    }
    // Parents come before what is in them.
    for folder in folders {
        let path = root.join(folder);
        if !folder.as_os_str().is_empty() {
            fs::create_dir(&path)?;
        }
        let mode = FOLDER_MODE | group.map_or(0, |_| GROUP_FOLDER);
        own(&fs::File::open(&path)?, None, group, mode)?;
    }
    for file in &plan.files {
        // Nobody else's until owner and mode are right.
        let mut open = fs::OpenOptions::new();
        let mut written = open
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(root.join(file.path))?;
        written.write_all(&file.content(pod, known))?;
        let mode = file.mode | group.map_or(0, |_| GROUP_FILE);
        own(&written, Some(file.user), group, mode)?;
    }
    Ok(())
}

/// Owner first: a change of it takes bits off the mode. Not left to the making: our umask would cut the mode.
fn own(file: &fs::File, user: Option<u32>, group: Option<u32>, mode: u32) -> io::Result<()> {
    // The folder that a file is made in may hand down a group.
    fchown(file, user, Some(group.unwrap_or(0)))?;
    file.set_permissions(PermissionsExt::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use std::os::unix::fs::MetadataExt;
    use tenure_spec::VolumeSource;

    /// A pod with a volume of files whose owner is whoever runs the test.
    fn pod(folder: &Path) -> (PodSpec, Files) {
        let us = nix::unistd::geteuid();
        let pod = testing::pod(
            &format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  volumes: [{{name: v, downwardAPI: {{defaultUser: {us}, defaultMode: 0, items: [\
                 {{path: a/b/name, fieldRef: {{fieldPath: metadata.name}}}}, \
                 {{path: a/uid, mode: 0755, fieldRef: {{fieldPath: metadata.uid}}}}]}}}}]\n  containers: [{{name: app, image: bundle:app}}]"
            ),
            folder,
        );
        let Some(VolumeSource::Files(files)) = pod.volumes.first().map(|volume| volume.source.clone()) else {
            panic!("no files in {pod:?}");
        };
        (pod, files)
    }

    #[test]
    fn folders_are_for_all_and_files_as_asked_with_the_groups_bits() {
        let folder = tempfile::tempdir().unwrap();
        let (pod, files) = pod(folder.path());
        let root = folder.path().join("v");
        fs::create_dir(&root).unwrap();
        let group = nix::unistd::getegid().as_raw();
        fill(&root, &files, Some(group), &pod, &Known::default()).unwrap();
        for (path, mode) in [
            ("", 0o2755),
            ("a", 0o2755),
            ("a/b", 0o2755),
            ("a/b/name", 0o440),
            ("a/uid", 0o755),
        ] {
            let metadata = root.join(path).metadata().unwrap();
            assert_eq!(
                (metadata.mode() & 0o7777, metadata.gid()),
                (mode, group),
                "{path}"
            );
        }
        assert_eq!(fs::read_to_string(root.join("a/uid")).unwrap(), pod.uid);
    }

    #[test]
    fn what_has_gone_since_the_pod_was_accepted_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (pod, mut files) = pod(folder.path());
        files
            .sources
            .push(tenure_spec::FileSource::Object(tenure_spec::files::ObjectFiles {
                kind: tenure_spec::sources::SourceKind::Secret,
                name: "gone".into(),
                items: Vec::new(),
                optional: false,
            }));
        let error = fill(folder.path(), &files, None, &pod, &Known::default()).unwrap_err();
        assert!(error.to_string().contains("Secret \"gone\" not found"), "{error}");
    }
}
