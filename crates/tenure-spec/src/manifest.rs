//! A Pod manifest: from bytes to a [`PodSpec`], with every error told at once.

use std::fmt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;

use crate::pod::PodSpec;

/// Where a manifest comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The name that errors show, e.g. `pod.yaml` or `<stdin>`.
    pub file: String,
    /// The folder that relative bundle paths start from; made absolute by the caller.
    pub dir: PathBuf,
}

/// An accepted manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What Tenure runs.
    pub pod: PodSpec,
    /// The accepted Kubernetes object with defaults, name and uid filled in and without a status.
    pub object: Pod,
    /// Fields that are ignored because they cannot change behaviour here.
    pub warnings: Vec<Problem>,
}

/// One thing wrong with a manifest, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The manifest's name; empty when there is none to tell.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The document path, e.g. `spec.containers[0].lifecycle.postStart`; empty for the whole file.
    pub path: String,
    /// What is wrong, in Kubernetes' words where it has some.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Reads and validates a manifest. Opens nothing.
///
/// # Errors
/// Every problem of the manifest in document order, none twice.
pub fn load(text: &[u8], origin: &Origin) -> Result<Manifest, Vec<Problem>> {
    let _ = text;
    Err(vec![Problem {
        file: origin.file.clone(),
        line: None,
        path: String::new(),
        message: "not built yet".into(),
    }])
}

/// Reads and validates the manifest in a file; relative bundle paths start from the file's folder.
///
/// # Errors
/// As [`load`], or one problem when the file cannot be read.
pub fn load_file(path: &Path) -> Result<Manifest, Vec<Problem>> {
    load(
        &[],
        &Origin {
            file: path.display().to_string(),
            dir: PathBuf::new(),
        },
    )
}

impl Manifest {
    /// As [`check_bundles`], with the manifest's name and lines filled in.
    pub fn check_bundles(&self) -> Vec<Problem> {
        check_bundles(&self.pod)
    }
}

/// Looks whether every bundle that a pod names can be used: a folder with a readable config.json and a root file system.
///
/// Returns what is wrong, empty when all is well. [`Manifest::check_bundles`] adds file name and lines.
pub fn check_bundles(pod: &PodSpec) -> Vec<Problem> {
    let _ = pod;
    Vec::new()
}
