//! `--config-map` and `--secret`: ConfigMaps and Secrets from files.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use k8s_openapi::ByteString;
use tenure_spec::Sources;
use tenure_spec::sources::{Data, SourceKind};

use crate::exit::CommandError;

/// One byte more than an object may hold.
const READ_LIMIT: u64 = (1 << 20) + 1;

/// The options that give them.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SourceArgs {
    /// A ConfigMap of a file, or of every file in a folder; the files' names are its keys
    #[arg(long = "config-map", value_name = "NAME=PATH", value_parser = named)]
    config_maps: Vec<(String, PathBuf)>,
    /// A Secret, likewise
    #[arg(long = "secret", value_name = "NAME=PATH", value_parser = named)]
    secrets: Vec<(String, PathBuf)>,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.into(), path.into())),
        _ => Err("must be NAME=PATH".into()),
    }
}

impl SourceArgs {
    /// Reads all of them.
    ///
    /// # Errors
    /// What cannot be read or cannot be one (2), naming the option.
    pub(super) fn read(&self) -> Result<Sources, CommandError> {
        let mut sources = Sources::default();
        for (option, kind, all) in [
            ("--config-map", SourceKind::ConfigMap, &self.config_maps),
            ("--secret", SourceKind::Secret, &self.secrets),
        ] {
            for (name, path) in all {
                let wrong = |message: String| CommandError::usage(format!("{option} {name}: {message}"));
                let data = data(path).map_err(wrong)?;
                sources.insert(kind, name, data).map_err(wrong)?;
            }
        }
        Ok(sources)
    }
}

/// The content of a file, or of the files in a folder: folders in it are left out, links are followed.
fn data(path: &Path) -> Result<Data, String> {
    let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let metadata = fs::metadata(path).map_err(|error| told(path, error))?;
    let mut files = Vec::new();
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(|error| told(path, error))? {
            let file = entry.map_err(|error| told(path, error))?.path();
            if fs::metadata(&file).map_err(|error| told(&file, error))?.is_file() {
                files.push(file);
            }
        }
    } else if metadata.is_file() {
        files.push(path.to_path_buf());
    } else {
        return Err(format!("{}: neither a file nor a folder", path.display()));
    }
    let (mut data, mut left) = (Data::new(), READ_LIMIT);
    for file in files {
        let mut bytes = Vec::new();
        let opened = File::open(&file).map_err(|error| told(&file, error))?;
        let read = opened.take(left).read_to_end(&mut bytes);
        let read = read.map_err(|error| told(&file, error))?;
        left = left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        let key = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        data.insert(key, ByteString(bytes));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_one_key_and_a_folder_is_one_for_each_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "1").unwrap();
        fs::write(folder.path().join("b"), [0xff]).unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        let keys = |path: &Path| data(path).unwrap().into_keys().collect::<Vec<_>>();
        assert_eq!(keys(folder.path()), ["a.txt", "b"]);
        assert_eq!(keys(&folder.path().join("a.txt")), ["a.txt"]);
        assert!(data(&folder.path().join("absent")).is_err());
        assert!(data(Path::new("/dev/null")).is_err());
        assert!(named("=x").is_err() && named("x").is_err() && named("x=").is_err());
    }
}
