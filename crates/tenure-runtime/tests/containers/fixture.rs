//! A bundle, a runtime root, and the check that nothing of either is left.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::{Value, json};

/// The programs of the test image, all one busybox.
const PROGRAMS: [&str; 25] = [
    "sh", "true", "false", "sleep", "cat", "id", "ls", "mount", "ps", "env", "pwd", "echo", "kill", "touch",
    "stat", "hostname", "dd", "head", "grep", "readlink", "mknod", "mkdir", "test", "tty", "rm",
];

/// One test's world. Dropped, it makes sure that no cgroup, mount or process of it remains.
pub(crate) struct World {
    directory: tempfile::TempDir,
    /// The container's name, different for every test.
    pub(crate) id: String,
    pub(crate) config: Value,
    /// Whether systemd makes its cgroups.
    pub(crate) systemd: bool,
}

/// Whether systemd makes the cgroups of every world from now on.
pub(crate) static SYSTEMD: AtomicBool = AtomicBool::new(false);

/// What an operation printed, and how it ended.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Fails unless the operation succeeded; returns what it printed.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout {:?}, stderr {:?}", self.stdout, self.stderr);
        self.stdout
    }

    /// Fails unless the operation failed with this status and one line that holds `text`.
    pub(crate) fn fails(self, code: i32, text: &str) {
        assert_eq!(
            (self.code, self.stderr.lines().count()),
            (code, 1),
            "{:?}",
            self.stderr
        );
        assert!(
            self.stderr.contains(text),
            "{:?} does not tell {text:?}",
            self.stderr
        );
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let code = output
            .status
            .code()
            .unwrap_or_else(|| 128 + output.status.signal().unwrap());
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            code,
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl World {
    /// A bundle whose container runs `command` in a shell, with namespaces of its own.
    pub(crate) fn new(command: &str) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests need root; TENURE_SKIP_ROOT=1 leaves them out"
        );
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = format!(
            "tenure-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let directory = tempfile::tempdir().unwrap();
        // Readable for the users of user namespaces.
        fs::set_permissions(
            directory.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let world = Self {
            directory,
            id,
            config: config(command),
            systemd: SYSTEMD.load(Ordering::Relaxed),
        };
        let bin = world.rootfs().join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(world.rootfs().join("etc")).unwrap();
        fs::copy("/bin/busybox", bin.join("busybox")).expect("busybox-static is needed");
        for name in PROGRAMS {
            symlink("busybox", bin.join(name)).unwrap();
        }
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.path("bundle")
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.path("bundle/rootfs")
    }

    /// Where containers are recorded.
    pub(crate) fn record(&self) -> PathBuf {
        self.path("root/containers").join(&self.id)
    }

    /// Sets a value of the configuration by JSON pointer.
    pub(crate) fn set(&mut self, pointer: &str, value: Value) {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match self.config.pointer_mut(parent).unwrap() {
            Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
            object => object[key] = value,
        }
    }

    /// Adds a mount at the end.
    pub(crate) fn mount(&mut self, mount: Value) {
        self.config["mounts"].as_array_mut().unwrap().push(mount);
    }

    /// Takes a namespace away, or replaces it by one to join.
    pub(crate) fn namespace(&mut self, kind: &str, path: Option<&str>) {
        let list = self.config["linux"]["namespaces"].as_array_mut().unwrap();
        list.retain(|n| n["type"] != kind);
        list.extend(path.map(|path| json!({"type": kind, "path": path})));
    }

    /// Gives the container a user namespace in which the host's users from 100000 on are its own, and the image to
    /// them.
    pub(crate) fn map_users(&mut self) {
        self.config["linux"]["namespaces"]
            .as_array_mut()
            .unwrap()
            .push(json!({"type": "user"}));
        for kind in ["uidMappings", "gidMappings"] {
            self.config["linux"][kind] = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        }
        self.give_image_to(100_000);
    }

    /// Makes a host user the owner of the image's directories.
    pub(crate) fn give_image_to(&self, uid: u32) {
        for directory in ["", "bin", "etc"] {
            std::os::unix::fs::chown(self.rootfs().join(directory), Some(uid), Some(uid)).unwrap();
        }
    }

    pub(crate) fn write_config(&self) {
        fs::write(self.bundle().join("config.json"), self.config.to_string()).unwrap();
    }

    /// An operation, not run yet. The configuration is written first.
    pub(crate) fn command(&self, operation: &str, rest: &[&str]) -> Command {
        if matches!(operation, "create" | "run" | "run-blocked")
            && !self.bundle().join("keep-config").exists()
        {
            self.write_config();
        }
        let mut command = Command::new("/proc/self/exe");
        command
            .arg("operate")
            .arg(self.path("root"))
            .arg(operation)
            .arg(&self.id);
        if matches!(operation, "create" | "run" | "run-blocked") {
            command.arg(self.bundle());
            if self.systemd {
                command.arg("--systemd-cgroup");
            }
        }
        command.args(rest).stdin(Stdio::null());
        command
    }

    /// Runs an operation to its end.
    pub(crate) fn op(&self, operation: &str, rest: &[&str]) -> Outcome {
        self.command(operation, rest).output().unwrap().into()
    }

    /// Creates the container. Its output goes to the file `out`.
    pub(crate) fn create(&self) {
        let out = fs::File::create(self.path("out")).unwrap();
        let status = self.command("create", &[]).stdout(out).status().unwrap();
        assert!(status.success(), "create: {status}");
    }

    /// Waits until the container has written `line` to the file `out`.
    pub(crate) fn wait_for(&self, line: &str) {
        wait_until(line, || {
            fs::read_to_string(self.path("out"))
                .unwrap_or_default()
                .lines()
                .any(|l| l == line)
        });
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.op("state", &[]).ok()).unwrap()
    }

    pub(crate) fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    /// Waits for a status.
    pub(crate) fn wait_for_status(&self, status: &str) {
        wait_until(status, || {
            self.op("state", &[])
                .stdout
                .contains(&format!("\"status\":\"{status}\""))
        });
    }

    /// Whether anything of the container is left: record, cgroups, mounts.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let mut left: Vec<String> = cgroups(&self.id)
            .iter()
            .map(|p| p.display().to_string())
            .collect();
        if self.record().exists() {
            left.push(self.record().display().to_string());
        }
        let directory = self.directory.path().to_str().unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        left.extend(
            mounts
                .lines()
                .filter(|l| l.contains(directory))
                .map(ToOwned::to_owned),
        );
        left
    }

    pub(crate) fn leaves_nothing(&self) {
        assert_eq!(self.leftovers(), Vec::<String>::new());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let force = self.op("delete", &["--force"]);
        if !std::thread::panicking() {
            force.ok();
            self.leaves_nothing();
        }
    }
}

/// Waits for a condition that another process brings about.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20 * tolerance());
    while !condition() {
        assert!(
            std::time::Instant::now() < deadline,
            "waited in vain for {what:?}"
        );
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// How many times slower than usual this machine may be.
pub(crate) fn tolerance() -> u64 {
    let given = std::env::var("TENURE_TOLERANCE").ok();
    given.and_then(|t| t.parse().ok()).unwrap_or(1)
}

/// Where a container's cgroups are, seen from their hierarchies, if its configuration does not say.
pub(crate) fn cgroup_path(id: &str, systemd: bool) -> String {
    if systemd {
        format!("system.slice/tenure-{id}.scope")
    } else {
        id.to_owned()
    }
}

/// All cgroups of a container, in all hierarchies.
pub(crate) fn cgroups(id: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).unwrap().flatten().map(|e| e.path());
    hierarchies
        .chain([root.to_owned()])
        .flat_map(|h| [false, true].map(|systemd| h.join(cgroup_path(id, systemd))))
        .filter(|p| p.exists())
        .collect()
}

/// The cgroup of a container that has this controller's file.
pub(crate) fn cgroup_file(id: &str, v1: &str, v2: &str) -> PathBuf {
    let files = cgroups(id).into_iter().flat_map(|c| [c.join(v1), c.join(v2)]);
    files
        .into_iter()
        .find(|p| p.exists())
        .expect("the controller's file")
}

fn config(command: &str) -> Value {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_MKNOD"]);
    json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs", "readonly": false},
        "hostname": "inside",
        "annotations": {"a": "b"},
        "process": {
            "cwd": "/", "args": ["/bin/sh", "-c", command], "user": {"uid": 0, "gid": 0},
            "env": ["PATH=/bin", "TERM=xterm"], "noNewPrivileges": true,
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities}
        },
        "mounts": [
            mount("/proc", "proc", &[]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"])
        ],
        "linux": {
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                {"type": "cgroup"}],
            "maskedPaths": ["/proc/kcore", "/proc/acpi", "/proc/keys", "/sys/firmware", "/absent"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/sys", "/proc/sysrq-trigger"]
        }
    })
}
