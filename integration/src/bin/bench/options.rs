//! What is measured, and how often.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A program that is measured.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// Its name in the report.
    pub(crate) name: String,
    /// The program.
    pub(crate) path: PathBuf,
}

/// The command line.
#[derive(Debug)]
pub(crate) struct Options {
    /// The OCI runtimes, Tenure first.
    pub(crate) runtimes: Vec<Subject>,
    /// podman, where it is installed.
    pub(crate) podman: Option<PathBuf>,
    /// How often each subject is measured.
    pub(crate) rounds: usize,
    /// The seccomp profile, in the form of Docker's and podman's.
    pub(crate) seccomp: Option<PathBuf>,
    /// JSON instead of a table.
    pub(crate) json: bool,
    /// Whether single containers are enough.
    quick: bool,
    only: Vec<String>,
}

const USAGE: &str =
    "usage: bench [--tenure FILE] [--runtime NAME=FILE]... [--podman FILE] [--seccomp FILE] [--rounds N] \
[--only SECTION]... [--quick] [--json]
sections: run, run-alone, run-seccomp, run-limits, life, exec, state, kill, rss, pod, rest
--quick: 10 rounds, and no pods unless --only asks for them
without --runtime: runc and crun, where they are installed
without --seccomp: podman's default profile, where it is installed";

/// Where podman's packages put its default seccomp profile, which is nearly Docker's.
const PROFILE: &str = "/usr/share/containers/seccomp.json";

impl Options {
    /// Reads the command line.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut tenure =
            std::env::var("TENURE_BIN").map_or_else(|_| PathBuf::from("target/tenure"), PathBuf::from);
        let (mut peers, mut podman, mut seccomp, mut rounds) = (Vec::new(), None, None, None);
        let (mut json, mut quick, mut only) = (false, false, Vec::new());
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{argument} needs a value\n{USAGE}"))
            };
            match argument.as_str() {
                "--tenure" => tenure = value()?.into(),
                "--podman" => podman = Some(value()?.into()),
                "--seccomp" => seccomp = Some(value()?.into()),
                "--rounds" => rounds = Some(value()?.parse().context("--rounds")?),
                "--quick" => quick = true,
                "--only" => only.push(value()?),
                "--json" => json = true,
                "--runtime" => {
                    let text = value()?;
                    let (name, path) = text
                        .split_once('=')
                        .with_context(|| format!("--runtime {text}\n{USAGE}"))?;
                    peers.push(Subject {
                        name: name.to_owned(),
                        path: path.into(),
                    });
                }
                _ => bail!("unknown argument {argument}\n{USAGE}"),
            }
        }
        if peers.is_empty() {
            peers = ["runc", "crun"].into_iter().filter_map(installed).collect();
        }
        let podman = podman.or_else(|| installed("podman").map(|subject| subject.path));
        let tenure = tenure
            .canonicalize()
            .with_context(|| format!("{} (built by scripts/build)", tenure.display()))?;
        let mut runtimes = vec![Subject {
            name: "tenure".to_owned(),
            path: tenure.clone(),
        }];
        runtimes.extend(peers);
        Ok(Self {
            runtimes,
            podman,
            seccomp: seccomp.or_else(|| Some(PathBuf::from(PROFILE)).filter(|file| file.is_file())),
            rounds: rounds.unwrap_or(if quick { 10 } else { 30 }).max(1),
            json,
            quick,
            only,
        })
    }

    /// Tenure itself.
    pub(crate) fn tenure(&self) -> &Subject {
        &self.runtimes[0]
    }

    /// Whether a section is to be run.
    pub(crate) fn wants(&self, section: &str) -> bool {
        if self.only.is_empty() {
            return !(self.quick && matches!(section, "pod" | "rest"));
        }
        self.only.iter().any(|name| name == section)
    }
}

/// A program in PATH.
fn installed(name: &str) -> Option<Subject> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| Path::is_file(file))?;
    Some(Subject {
        name: name.to_owned(),
        path: found,
    })
}
