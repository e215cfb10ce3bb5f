//! `tenure spec`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::{Value, json};

use crate::exit::{Code, CommandError};

/// Writes a config.json to begin with
///
/// It runs `sh` on a terminal in the folder `rootfs`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mkdir -p hello/rootfs && tenure spec --bundle hello")]
pub(crate) struct SpecArgs {
    /// The bundle to write config.json into
    #[arg(
        short,
        long,
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true
    )]
    bundle: PathBuf,
    /// For a user without root's powers
    #[arg(long)]
    rootless: bool,
}

/// Writes a config.json that runs `sh` on a terminal in `rootfs`.
///
/// # Errors
/// When there is a config.json already, or it cannot be written.
pub(crate) fn execute(args: &SpecArgs) -> Result<Code, CommandError> {
    let path = args.bundle.join("config.json");
    let ids = args
        .rootless
        .then(|| (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()));
    let text = format!("{:#}\n", config(ids));
    let created = OpenOptions::new().write(true).create_new(true).open(&path);
    match created.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => Ok(Code::SUCCESS),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(anyhow!("{} exists; remove it first", path.display()).into())
        }
        Err(error) => Err(anyhow::Error::new(error))
            .with_context(|| format!("cannot write {}", path.display()))
            .map_err(CommandError::from),
    }
}

/// The configuration; with `ids` for that user's own user namespace.
fn config(ids: Option<(u32, u32)>) -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": crate::version::SPEC,
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM=xterm",
            ],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "tenure",
        "mounts": mounts(ids.is_some()),
        "linux": linux(ids),
    })
}

/// The usual kernel file systems.
fn mounts(rootless: bool) -> Value {
    // A user namespace without a mapping for the group `tty` refuses gid=5.
    let pts = if rootless {
        json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"])
    } else {
        json!([
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            "gid=5"
        ])
    };
    // sysfs belongs to the owner of the network namespace, which a rootless container shares.
    let sys = if rootless {
        json!({"destination": "/sys", "type": "none", "source": "/sys",
               "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]})
    } else {
        json!({"destination": "/sys", "type": "sysfs", "source": "sysfs",
               "options": ["nosuid", "noexec", "nodev", "ro"]})
    };
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": pts},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
         "options": ["nosuid", "noexec", "nodev"]},
        sys,
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
    ])
}

/// Namespaces, devices, and what /proc and /sys hide.
fn linux(ids: Option<(u32, u32)>) -> Value {
    let mut linux = json!({
        "maskedPaths": [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
            "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    });
    let names: &[&str] = match ids {
        None => &["pid", "network", "ipc", "uts", "mount", "cgroup"],
        Some(_) => &["pid", "ipc", "uts", "mount", "cgroup", "user"],
    };
    linux["namespaces"] = names.iter().map(|name| json!({"type": name})).collect();
    match ids {
        None => linux["resources"] = json!({"devices": [{"allow": false, "access": "rwm"}]}),
        Some((uid, gid)) => {
            linux["uidMappings"] = json!([{"containerID": 0, "hostID": uid, "size": 1}]);
            linux["gidMappings"] = json!([{"containerID": 0, "hostID": gid, "size": 1}]);
        }
    }
    linux
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_runtime::oci_spec::runtime::Spec;

    #[test]
    fn both_forms_are_valid_configurations() {
        for ids in [None, Some((1000, 1000))] {
            let spec: Spec = serde_json::from_value(config(ids)).unwrap();
            assert_eq!(
                spec.process().as_ref().and_then(|process| process.terminal()),
                Some(true)
            );
        }
    }

    #[test]
    fn an_existing_config_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let args = SpecArgs {
            bundle: dir.path().into(),
            rootless: false,
        };
        execute(&args).unwrap();
        let error = execute(&args).unwrap_err();
        assert!(error.lines()[0].ends_with("config.json exists; remove it first"));
    }
}
