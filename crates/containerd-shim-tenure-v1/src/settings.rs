//! Where a container is recorded: kept in its bundle, for the `delete` of a shim that has died.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::proto::options::RuncOptions;
use crate::ttrpc::{Code, Status};

/// The file in the bundle.
const FILE: &str = "tenure.json";
/// The runtime's root where nobody names another; below it a folder for each of containerd's namespaces.
const ROOT: &str = "/run/containerd/tenure";

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The runtime's root for this container.
    pub(crate) root: PathBuf,
}

impl Settings {
    /// The settings that options make.
    pub(crate) fn of(options: &RuncOptions, namespace: &str) -> Self {
        let root = if options.root.is_empty() {
            ROOT
        } else {
            &options.root
        };
        Self {
            root: Path::new(root).join(namespace),
        }
    }

    /// Writes them into a bundle, before anything is made that they would be needed for.
    ///
    /// # Errors
    /// Naming the file.
    pub(crate) fn save(&self, bundle: &Path) -> Result<(), Status> {
        let path = bundle.join(FILE);
        let text = serde_json::to_vec(self).unwrap_or_default();
        tenure_supervise::atomic::write_atomic(&path, &text, 0o600)
            .map_err(|error| Status::new(Code::Internal, format!("{}: {error}", path.display())))
    }

    /// Those of a bundle; what nobody wrote is the default.
    pub(crate) fn load(bundle: &Path, namespace: &str) -> Self {
        std::fs::read(bundle.join(FILE))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_else(|| Self::of(&RuncOptions::default(), namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_found_again_and_the_default_otherwise() {
        let bundle = tempfile::tempdir().unwrap();
        let absent = Settings::load(bundle.path(), "moby");
        assert_eq!(absent.root, Path::new("/run/containerd/tenure/moby"));
        let options = RuncOptions {
            root: "/r".to_owned(),
            ..RuncOptions::default()
        };
        let settings = Settings::of(&options, "moby");
        settings.save(bundle.path()).unwrap();
        assert_eq!(Settings::load(bundle.path(), "moby").root, Path::new("/r/moby"));
    }
}
