//! Running a command and timing it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tenure_integration::Bundle;

use crate::options::Subject;

/// A directory with bundles and roots of the bench's own.
pub(crate) struct Place {
    directory: TempDir,
    /// Where runtimes keep their records.
    roots: TempDir,
}

impl Place {
    /// Makes the directory and its bundle `box` with `/bin/true`.
    pub(crate) fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tenure-bench.").tempdir()?;
        Bundle::create(&directory.path().join("box"), "bench", &["/bin/true"]);
        // In memory, as /run is everywhere: the cost of files on a disk is not the runtimes'.
        let memory = Path::new("/dev/shm");
        let roots = tempfile::Builder::new()
            .prefix("tenure-bench.")
            .tempdir_in(memory)?;
        Ok(Self { directory, roots })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The bundle that runs `/bin/true`.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.path().join("box")
    }

    /// Another bundle, with another program.
    pub(crate) fn new_bundle(&self, name: &str, arguments: &[&str]) -> PathBuf {
        Bundle::create(&self.path().join(name), "bench", arguments).path
    }

    /// A bundle that runs `/bin/true` with this at a place of its config.json.
    pub(crate) fn bundle_with(&self, name: &str, pointer: &str, value: Value) -> PathBuf {
        let mut bundle = Bundle::create(&self.path().join(name), "bench", &["/bin/true"]);
        bundle.set(pointer, value);
        bundle.path
    }

    /// A command of a runtime with a root of its own.
    pub(crate) fn runtime(&self, subject: &Subject, arguments: &[&str]) -> Command {
        let mut command = Command::new(&subject.path);
        command.arg("--root").arg(self.root(subject)).args(arguments);
        command
    }

    /// Where a subject keeps its records.
    pub(crate) fn root(&self, subject: &Subject) -> PathBuf {
        self.roots.path().join(&subject.name)
    }

    /// Runs a command to its end, which must be good. Gives milliseconds.
    pub(crate) fn time(&self, command: &mut Command) -> Result<f64> {
        let log = self.path().join("stderr");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .env_remove("RUST_BACKTRACE");
        let begun = Instant::now();
        let status = command.status().with_context(|| format!("{command:?}"))?;
        let took = milliseconds(begun);
        let said = || fs::read_to_string(&log).unwrap_or_default();
        ensure!(status.success(), "{command:?}: {status}: {}", said());
        Ok(took)
    }
}

/// Milliseconds since a moment.
pub(crate) fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}

/// Waits for the end of a container's process that we have inherited from its runtime.
pub(crate) fn reap(pid_file: &Path) -> Result<()> {
    let text = fs::read_to_string(pid_file).with_context(|| pid_file.display().to_string())?;
    let pid: i32 = text
        .trim()
        .parse()
        .with_context(|| format!("{}: {text:?}", pid_file.display()))?;
    waitpid(Pid::from_raw(pid), None).with_context(|| format!("waiting for process {pid}"))?;
    Ok(())
}
