//! OCI bundles made for a test: busybox as the root file system, and a config.json to be changed at will.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// Where Debian's busybox-static puts its program.
const BUSYBOX: &str = "/bin/busybox";

/// A bundle on disk: `config.json` beside `rootfs`.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The bundle's directory.
    pub path: PathBuf,
    /// What config.json holds; [`Bundle::write`] puts changes on disk.
    pub config: Value,
}

impl Bundle {
    /// Makes a bundle in a new directory `path`, running `args`. `token` goes into its environment, by which the
    /// guard against leftovers knows the processes of a test.
    pub fn create(path: &Path, token: &str, args: &[&str]) -> Self {
        fs::create_dir_all(path).unwrap();
        busybox_rootfs(&path.join("rootfs"));
        let bundle = Self {
            path: path.to_owned(),
            config: config(token, args),
        };
        bundle.write();
        bundle
    }

    /// Writes config.json anew.
    pub fn write(&self) {
        let text = serde_json::to_vec_pretty(&self.config).unwrap();
        fs::write(self.path.join("config.json"), text).unwrap();
    }

    /// Sets the value at a JSON pointer (`/process/args`) and writes config.json. The parent must exist.
    pub fn set(&mut self, pointer: &str, value: Value) {
        let (parent, key) = pointer
            .rsplit_once('/')
            .expect("a JSON pointer starts with a slash");
        let parent = self
            .config
            .pointer_mut(parent)
            .unwrap_or_else(|| panic!("no {parent} in config.json"));
        parent[key] = value;
        self.write();
    }

    /// The bundle's root file system.
    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }
}

/// Makes a root file system of busybox under all its names.
pub fn busybox_rootfs(rootfs: &Path) {
    for directory in ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var"] {
        fs::create_dir_all(rootfs.join(directory)).unwrap();
    }
    fs::set_permissions(rootfs.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    let busybox = rootfs.join("bin/busybox");
    fs::copy(BUSYBOX, &busybox)
        .unwrap_or_else(|error| panic!("{BUSYBOX} (Debian package busybox-static): {error}"));
    let names = Command::new(BUSYBOX).arg("--list").output().unwrap();
    for name in String::from_utf8_lossy(&names.stdout)
        .lines()
        .filter(|name| *name != "busybox")
    {
        symlink("busybox", rootfs.join("bin").join(name)).unwrap();
    }
    fs::write(
        rootfs.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n",
    )
    .unwrap();
    fs::write(rootfs.join("etc/group"), "root:x:0:\napp:x:1000:\n").unwrap();
    fs::write(rootfs.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
}

fn config(token: &str, args: &[&str]) -> Value {
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": args,
            "env": ["PATH=/bin", format!("TEST_TOKEN={token}")],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities
            },
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": false },
        "hostname": "box",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
              "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs",
              "options": ["nosuid", "noexec", "nodev", "ro"] },
        ],
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": [
                { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }
            ],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}
