//! A test's place on the machine.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::bundle::Bundle;
use crate::command::{Outcome, run};
use crate::leftovers::Leftovers;
use crate::manifest::Manifest;
use crate::pod::RunningPod;
use crate::timing::wait_until;

/// Limit for commands that are not expected to wait for anything.
const SHORT: Duration = Duration::from_secs(30);

/// A root directory, a bundle named `box` and the binary, for one test. Dropping it checks for leftovers.
pub struct Host {
    directory: TempDir,
    token: String,
    binary: PathBuf,
    runtime: Option<String>,
    pods: RefCell<Vec<String>>,
    serial: Cell<u32>,
}

/// Makes the host of a test, or gives `None` where the test cannot run and may be passed over: not as root, and
/// `TENURE_SKIP_ROOT=1` is set while `TENURE_REQUIRE_ALL` is not.
///
/// # Panics
/// Where the test cannot run and may not be passed over, or no binary has been built.
#[track_caller]
pub fn host(test: &str) -> Option<Host> {
    if !nix::unistd::geteuid().is_root() {
        assert!(
            is_set("TENURE_SKIP_ROOT") && !is_set("TENURE_REQUIRE_ALL"),
            "{test} needs root; run as root, or set TENURE_SKIP_ROOT=1 to pass such tests over"
        );
        eprintln!("{test} is passed over: not root");
        return None;
    }
    Some(Host::new(test))
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

/// The binary under test.
fn binary() -> PathBuf {
    let path = std::env::var_os("TENURE_BIN").map_or_else(
        || {
            let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
            target
                .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"))
                .join("tenure")
        },
        PathBuf::from,
    );
    path.canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}; build it with scripts/build", path.display()))
}

impl Host {
    fn new(test: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let token = format!(
            "{test}-{:x}-{:x}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let directory = tempfile::Builder::new()
            .prefix(&format!("{token}."))
            .tempdir()
            .unwrap();
        Bundle::create(&directory.path().join("box"), &token, &["/bin/true"]);
        fs::create_dir(directory.path().join("root")).unwrap();
        Self {
            directory,
            token,
            binary: binary(),
            runtime: std::env::var("TENURE_RUNTIME")
                .ok()
                .filter(|runtime| !runtime.is_empty()),
            pods: RefCell::default(),
            serial: Cell::new(0),
        }
    }

    /// The directory in which manifests are written; bundles are found relative to it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Tenure's root.
    pub fn root(&self) -> PathBuf {
        self.directory().join("root")
    }

    /// What everything of this test carries in its name.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The runtime under the engine when it is not Tenure's own.
    pub fn runtime(&self) -> Option<&str> {
        self.runtime.as_deref()
    }

    /// The bundle `box`, whose config.json can be changed.
    pub fn bundle(&self) -> Bundle {
        let path = self.directory().join("box");
        let config = serde_json::from_slice(&fs::read(path.join("config.json")).unwrap()).unwrap();
        Bundle { path, config }
    }

    /// Makes another bundle.
    pub fn new_bundle(&self, name: &str, args: &[&str]) -> Bundle {
        Bundle::create(&self.directory().join(name), &self.token, args)
    }

    /// A command of the binary under test with the test's root; standard input is empty.
    pub fn tenure(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .env("TENURE_ROOT", self.root())
            .env_remove("XDG_RUNTIME_DIR")
            .current_dir(self.directory())
            .stdin(Stdio::null());
        command
    }

    /// Runs a short command of the binary under test.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        run(&mut self.tenure(arguments), SHORT)
    }

    /// A command for the OCI runtime under test, which may be another than Tenure, with the test's root; where
    /// `TENURE_SYSTEMD_CGROUP=1` is set, with cgroups that systemd makes.
    pub fn oci(&self, arguments: &[&str]) -> Command {
        let mut command = match self.runtime() {
            None => self.tenure(&[]),
            Some(runtime) => {
                let mut command = Command::new(runtime);
                command.current_dir(self.directory()).stdin(Stdio::null());
                command
            }
        };
        command.arg("--root").arg(self.root());
        if is_set("TENURE_SYSTEMD_CGROUP") {
            command.arg("--systemd-cgroup");
        }
        command.args(arguments);
        command
    }

    /// Runs a short command of the OCI runtime under test.
    #[track_caller]
    pub fn run_oci(&self, arguments: &[&str]) -> Outcome {
        run(&mut self.oci(arguments), SHORT)
    }

    /// A container id for OCI commands.
    pub fn container_id(&self) -> String {
        format!("{}-c{}", self.token, self.next())
    }

    fn next(&self) -> u32 {
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }

    /// Writes a manifest to a file, under a pod name of the test's own. Gives the name and the file.
    pub fn write(&self, manifest: &Manifest) -> (String, PathBuf) {
        let name = format!("{}-p{}", self.token, self.next());
        let mut document = manifest.0.clone();
        document["metadata"]["name"] = name.clone().into();
        let path = self.directory().join(format!("{name}.json"));
        fs::write(&path, serde_json::to_vec_pretty(&document).unwrap()).unwrap();
        (name, path)
    }

    /// The arguments of `tenure pod run`, with the runtime where it is not Tenure's own; where
    /// `TENURE_SYSTEMD_CGROUP=1` is set, with cgroups in a scope of systemd's.
    pub fn pod_run<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = Vec::new();
        if is_set("TENURE_SYSTEMD_CGROUP") {
            arguments.push("--systemd-cgroup");
        }
        arguments.extend(["pod", "run"]);
        if let Some(runtime) = self.runtime() {
            arguments.extend(["--runtime", runtime]);
        }
        arguments.extend(rest);
        arguments
    }

    /// Runs a pod in the foreground, beside the test.
    #[track_caller]
    pub fn start(&self, manifest: &Manifest) -> RunningPod<'_> {
        self.start_with(&[], manifest)
    }

    /// The same with options of `tenure pod run`.
    #[track_caller]
    pub fn start_with(&self, options: &[&str], manifest: &Manifest) -> RunningPod<'_> {
        let (name, path) = self.write(manifest);
        self.remember(&name);
        let mut rest = options.to_vec();
        rest.push(path.to_str().unwrap());
        RunningPod::spawn(self, name, &mut self.tenure(&self.pod_run(&rest)))
    }

    /// Runs a pod with `-d`. Gives the pod and what became of the command.
    #[track_caller]
    pub fn detach(&self, manifest: &Manifest) -> (RunningPod<'_>, Outcome) {
        self.detach_with(&[], manifest)
    }

    /// The same with further options of `tenure pod run`.
    #[track_caller]
    pub fn detach_with(&self, options: &[&str], manifest: &Manifest) -> (RunningPod<'_>, Outcome) {
        let (name, path) = self.write(manifest);
        self.remember(&name);
        let rest = [&["-d"], options, &[path.to_str().unwrap()]].concat();
        let outcome = run(&mut self.tenure(&self.pod_run(&rest)), Duration::from_secs(90));
        (RunningPod::detached(self, name), outcome)
    }

    /// A pod that the test has started in its own way.
    pub fn running(&self, name: &str) -> RunningPod<'_> {
        RunningPod::detached(self, name.to_owned())
    }

    /// Has a pod deleted at the end of the test, whatever came of it.
    pub fn remember(&self, name: &str) {
        self.pods.borrow_mut().push(name.to_owned());
    }

    /// Panics unless, within 2 s, no process, mount or cgroup of the test is left. Files may be: an ended pod keeps
    /// its record.
    #[track_caller]
    pub fn assert_nothing_runs(&self) {
        let clean = || Leftovers::running(&self.token).is_empty().then_some(());
        if wait_until(Duration::from_secs(2), clean).is_none() {
            panic!("left running:\n{}", Leftovers::running(&self.token));
        }
    }

    /// Panics unless, within 2 s, nothing of the test is left, files under the root included.
    #[track_caller]
    pub fn assert_nothing_is_left(&self) {
        let all = || Leftovers::everything(&self.token, &self.root());
        if wait_until(Duration::from_secs(2), || all().is_empty().then_some(())).is_none() {
            panic!("left behind:\n{}", all());
        }
    }

    /// Ends and deletes the pods of the test and gives what the commands complained about.
    fn delete_pods(&self) -> String {
        let mut complaints = String::new();
        for name in self.pods.borrow().iter() {
            if self.root().join("pods").join(name).exists() {
                let outcome = self.run(&["pod", "delete", "--force", name]);
                if outcome.code != 0 {
                    complaints.push_str(&outcome.to_string());
                }
            }
        }
        complaints
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        // A panic while unwinding would hide the first: the pods of a failed test are removed by force instead.
        let complaints = if failed {
            for name in self.pods.borrow().iter() {
                let mut command = self.tenure(&["pod", "delete", "--force", name]);
                let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            }
            String::new()
        } else {
            self.delete_pods()
        };
        let all = || Leftovers::everything(&self.token, &self.root());
        let clean = wait_until(Duration::from_secs(2), || all().is_empty().then_some(())).is_some();
        let left = all();
        left.remove();
        if !failed {
            assert!(complaints.is_empty(), "deleting the test's pods: {complaints}");
            assert!(clean, "left behind at the end of the test:\n{left}");
        }
    }
}
