//! Whether the bundles that a pod names can be used.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path as FilePath;

use serde_json::Value;

use super::Problem;
use super::document::LONGEST;
use super::report::Path;
use crate::pod::PodSpec;

/// The longest config.json, in bytes.
const CONFIG_LONGEST: usize = 4 * 1024 * 1024;

/// Looks whether every bundle that a pod names can be used: a folder with a readable config.json and a root file
/// system.
///
/// Returns what is wrong, empty when all is well. [`super::Manifest::check_bundles`] adds file name and lines.
pub fn check_bundles(pod: &PodSpec) -> Vec<Problem> {
    let spec = Path::root().field("spec");
    let places = |field: &str, count: usize| {
        let path = spec.field(field);
        (0..count)
            .map(move |index| path.index(index).field("image"))
            .collect::<Vec<_>>()
    };
    let inits = places("initContainers", pod.init_containers.len());
    let apps = places("containers", pod.containers.len());
    let mut known: HashMap<&FilePath, Option<String>> = HashMap::new();
    let mut problems = Vec::new();
    for (path, container) in inits.into_iter().chain(apps).zip(pod.all_containers()) {
        let bundle = container.image.bundle().as_path();
        let fault = known.entry(bundle).or_insert_with(|| fault(bundle));
        if let Some(fault) = fault {
            let message = format!("bundle {}: {fault}", bundle.display());
            problems.push(Problem {
                file: String::new(),
                line: None,
                path: path.to_string(),
                message,
            });
        }
    }
    problems
}

/// What is wrong with a bundle.
fn fault(bundle: &FilePath) -> Option<String> {
    match fs::metadata(bundle) {
        Err(error) => return Some(reason(&error)),
        Ok(metadata) if !metadata.is_dir() => return Some("is not a folder".into()),
        Ok(_) => {}
    }
    let text = match read(&bundle.join("config.json")) {
        Ok(text) => text,
        Err(error) => return Some(format!("config.json {}", reason(&error))),
    };
    let config: Value = match serde_json::from_slice(&text) {
        Ok(config) => config,
        Err(error) => return Some(format!("config.json is not valid JSON: {error}")),
    };
    if !config.is_object() {
        return Some("config.json must be an object".into());
    }
    let Some(root) = config
        .pointer("/root/path")
        .and_then(Value::as_str)
        .filter(|root| !root.is_empty())
    else {
        return Some("config.json: root.path: required".into());
    };
    match fs::metadata(bundle.join(root)) {
        Err(error) => Some(format!("root file system {root} {}", reason(&error))),
        Ok(metadata) if !metadata.is_dir() => Some(format!("root file system {root} is not a folder")),
        Ok(_) => None,
    }
}

/// Reads a config.json of at most 4 MiB; a pipe or device in its place is not waited for.
fn read(path: &FilePath) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a file"));
    }
    let mut text = Vec::new();
    let limit = u64::try_from(CONFIG_LONGEST).unwrap_or(u64::MAX);
    File::open(path)?.take(limit + 1).read_to_end(&mut text)?;
    if text.len() > CONFIG_LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is larger than 4 MiB",
        ));
    }
    Ok(text)
}

/// An error as the end of a sentence.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".into(),
        io::ErrorKind::InvalidInput if error.raw_os_error().is_none() => error.to_string(),
        io::ErrorKind::PermissionDenied => "may not be read: permission denied".into(),
        io::ErrorKind::NotADirectory => "cannot be reached: not a folder on the way".into(),
        _ => format!("cannot be read: {error}"),
    }
}

/// Reads a manifest's file.
pub(crate) fn read_manifest(path: &FilePath) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    let read = || -> io::Result<()> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "is a folder, a manifest is wanted",
            ));
        }
        file.take(limit + 1).read_to_end(&mut text)?;
        Ok(())
    };
    let mut read = read;
    read().map_err(|error| reason(&error))?;
    Ok(text)
}
