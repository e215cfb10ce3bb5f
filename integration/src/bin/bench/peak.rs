//! The peak RSS of every command of an OCI runtime.
//!
//! A process inherits the peak of whoever starts it, up to its exec, and the kernel tells children's peaks only all
//! together. So each command is started by a process of its own, this program again, which forks while it is small.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};

use crate::measure::{Place, reap};
use crate::oci::id;
use crate::options::Options;
use crate::report::Report;

/// The argument that makes this program the starter of one command.
pub(crate) const ARGUMENT: &str = "--peak-of";

/// More than a few rounds tell nothing new.
const ROUNDS: usize = 3;

/// Runs a command and prints its peak RSS in KiB.
pub(crate) fn tell(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let program = arguments.next().context("no command")?;
    let mut command = Command::new(program);
    // Asking for a user makes it a fork: after a vfork, the command would count as as large as this process.
    command.args(arguments).uid(0).stdout(Stdio::null());
    let status = command.status()?;
    ensure!(status.success(), "{command:?}: {status}");
    println!("{}", getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
    Ok(())
}

/// The peak RSS of a command, in KiB.
fn peak(place: &Place, command: &Command) -> Result<f64> {
    // A file: a container holds the streams of whoever created it, and a pipe would not end before it.
    let log = place.path().join("stderr");
    let mut starter = Command::new(std::env::current_exe()?);
    starter
        .arg(ARGUMENT)
        .arg(command.get_program())
        .args(command.get_args())
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log)?);
    let output = starter.spawn()?.wait_with_output()?;
    let said = || fs::read_to_string(&log).unwrap_or_default();
    ensure!(output.status.success(), "{command:?}: {}", said());
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// The peak RSS of every command.
pub(crate) fn all(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let sleeper = place.new_bundle("peak-sleeper", &["/bin/sleep", "100000"]);
    let pid_file = place.path().join("peak-pid");
    for round in 0..ROUNDS {
        for subject in &options.runtimes {
            let id = id(subject, round);
            let mut add = |section: &'static str, command: &Command| -> Result<()> {
                report.add_kib(section, &subject.name, peak(place, command)?);
                Ok(())
            };
            let mut run = place.runtime(subject, &["run", "--bundle"]);
            run.arg(place.bundle()).arg(&id);
            add("peak RSS of run", &run)?;
            let mut create = place.runtime(subject, &["create", "--pid-file"]);
            create.arg(&pid_file).arg("--bundle").arg(&sleeper).arg(&id);
            add("peak RSS of create", &create)?;
            add("peak RSS of start", &place.runtime(subject, &["start", &id]))?;
            add("peak RSS of state", &place.runtime(subject, &["state", &id]))?;
            add(
                "peak RSS of exec",
                &place.runtime(subject, &["exec", &id, "/bin/true"]),
            )?;
            add(
                "peak RSS of kill",
                &place.runtime(subject, &["kill", &id, "KILL"]),
            )?;
            reap(&pid_file)?;
            add("peak RSS of delete", &place.runtime(subject, &["delete", &id]))?;
        }
    }
    Ok(())
}
