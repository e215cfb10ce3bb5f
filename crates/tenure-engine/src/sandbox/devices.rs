//! The machine's devices, which a privileged container gets.

use std::fs::{self, FileType};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::sys::stat::{major, minor};
use serde_json::{Value, json};

/// What a container has of its own, or what is no device of the machine.
const LEFT_OUT: [&str; 6] = ["pts", "shm", "mqueue", "fd", "console", "ptmx"];
/// Deeper than any folder of /dev.
const DEPTH_MAX: usize = 4;

/// Every device below /dev as an entry of `linux.devices`.
pub(crate) fn host_devices() -> io::Result<Vec<Value>> {
    let mut devices = Vec::new();
    collect(Path::new("/dev"), 0, &mut devices)?;
    Ok(devices)
}

fn collect(folder: &Path, depth: usize, devices: &mut Vec<Value>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if depth == 0 && LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        // A device may be unplugged while we look.
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        if metadata.is_dir() && depth < DEPTH_MAX {
            collect(&path, depth + 1, devices)?;
        } else if let Some(kind) = kind(metadata.file_type()) {
            devices.push(json!({
                "path": path,
                "type": kind,
                "major": major(metadata.rdev()),
                "minor": minor(metadata.rdev()),
                "fileMode": metadata.mode() & 0o7777,
                "uid": metadata.uid(),
                "gid": metadata.gid(),
            }));
        }
    }
    Ok(())
}

fn kind(file: FileType) -> Option<&'static str> {
    if file.is_char_device() {
        Some("c")
    } else if file.is_block_device() {
        Some("b")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_null_device_is_among_its_devices() {
        let devices = host_devices().unwrap();
        let null = devices
            .iter()
            .find(|device| device["path"] == "/dev/null")
            .unwrap();
        assert_eq!(
            (&null["type"], &null["major"], &null["minor"]),
            (&json!("c"), &json!(1), &json!(3))
        );
        assert!(
            devices
                .iter()
                .all(|device| !device["path"].as_str().unwrap().starts_with("/dev/pts"))
        );
    }
}
