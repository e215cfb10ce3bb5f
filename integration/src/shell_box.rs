//! A container that runs a shell script by the OCI commands.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::command::Outcome;
use crate::host::{Host, host};
use crate::timing::wait_until;

/// A host whose bundle runs a shell script, and a container id.
pub struct ShellBox {
    /// The test's place on the machine.
    pub host: Host,
    /// What the container is made of.
    pub bundle: Bundle,
    /// The container's id.
    pub id: String,
}

/// Makes one; `None` where the test may be passed over (see [`host`]).
#[track_caller]
pub fn shell_box(test: &str, script: &str) -> Option<ShellBox> {
    let host = host(test)?;
    let mut bundle = host.bundle();
    bundle.set("/process/args", json!(["/bin/sh", "-c", script]));
    let id = host.container_id();
    Some(ShellBox { host, bundle, id })
}

impl ShellBox {
    /// The bundle's directory, as an argument.
    pub fn bundle_path(&self) -> &str {
        self.bundle.path.to_str().unwrap()
    }

    /// Runs the container to its end.
    #[track_caller]
    pub fn run(&self) -> Outcome {
        self.host
            .run_oci(&["run", "--bundle", self.bundle_path(), &self.id])
    }

    /// Runs the container in the background, with its output in a file, and waits until it is ready.
    #[track_caller]
    pub fn start(&self) {
        let mut command = self
            .host
            .oci(&["run", "--detach", "--bundle", self.bundle_path(), &self.id]);
        let output = fs::File::create(self.output_file()).unwrap();
        let status = command
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .status()
            .unwrap();
        assert!(status.success(), "{}", self.output());
        let ready = || self.output().contains("ready").then_some(());
        wait_until(Duration::from_secs(10), ready).expect("the container is ready");
    }

    /// Creates the container, with its output in a file.
    #[track_caller]
    pub fn create(&self, arguments: &[&str]) {
        let mut all = vec!["create", "--bundle", self.bundle_path()];
        all.extend(arguments);
        all.push(&self.id);
        let output = fs::File::create(self.output_file()).unwrap();
        let status = self
            .host
            .oci(&all)
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .status()
            .unwrap();
        assert!(status.success(), "{}", self.output());
    }

    /// Where the output of a container goes that is created or started.
    pub fn output_file(&self) -> PathBuf {
        self.host.directory().join("output")
    }

    /// What it holds.
    pub fn output(&self) -> String {
        fs::read_to_string(self.output_file()).unwrap_or_default()
    }

    /// The container's state.
    #[track_caller]
    pub fn state(&self) -> Value {
        let outcome = self.host.run_oci(&["state", &self.id]).ok();
        serde_json::from_str(&outcome.stdout).unwrap()
    }

    /// The status that its state tells.
    pub fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    /// Waits until it has stopped.
    #[track_caller]
    pub fn until_stopped(&self) {
        let stopped = || (self.status() == "stopped").then_some(());
        wait_until(Duration::from_secs(10), stopped).expect("the container has stopped");
    }

    /// Deletes the container, with these options.
    #[track_caller]
    pub fn delete(&self, arguments: &[&str]) {
        let mut all = vec!["delete"];
        all.extend(arguments);
        all.push(&self.id);
        self.host.run_oci(&all).ok();
    }

    /// Runs `exec` with these arguments, the container's id among them.
    #[track_caller]
    pub fn exec(&self, arguments: &[&str]) -> Outcome {
        let mut all = vec!["exec"];
        all.extend(arguments);
        self.host.run_oci(&all)
    }
}

impl Drop for ShellBox {
    fn drop(&mut self) {
        let mut command = self.host.oci(&["delete", "--force", &self.id]);
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
