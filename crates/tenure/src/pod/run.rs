//! `tenure pod run`.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use tenure_engine::{EngineError, PodLaunch, PodOptions, RuntimeLocation, Tee};
use tenure_spec::manifest::Manifest;

use super::progress::{Mode, Progress};
use super::sources::SourceArgs;
use super::supervise::{self, Launch};
use super::wait::seconds;
use crate::context::{Context, absolute};
use crate::exit::{Code, CommandError};

/// Runs a pod of OCI bundles through its managed life
///
/// In the foreground the containers' output is shown here, and the command ends with the pod.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure pod run web.yaml                        output and end in this terminal; \
                        Ctrl-C stops it\n  tenure pod run -d web.yaml                     returns when every app has \
                        started\n  tenure pod run --runtime runc --rm web.yaml    another OCI runtime, no record\n\n\
                        The first SIGINT or SIGTERM stops the pod with its grace, the second shortens the grace, the \
                        third kills.\nExit code: a failed init container's, else the first app's that is not 0, else \
                        0; 125 Tenure failed; 2 invalid manifest."
)]
pub(crate) struct RunArgs {
    /// A Kubernetes v1 Pod in YAML or JSON; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    sources: SourceArgs,
    /// Return once every app container has started and its postStart has returned
    #[arg(short, long)]
    detach: bool,
    /// Remove the pod's record at its end
    #[arg(long)]
    rm: bool,
    /// The OCI runtime that makes the containers [default: tenure itself]
    #[arg(long, value_name = "PATH")]
    runtime: Option<PathBuf>,
    /// The longest wait between restarts [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    max_backoff: Option<Duration>,
    /// What to tell on stderr while the pod runs
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: Mode,
}

/// Runs a pod.
///
/// # Errors
/// When the manifest is invalid (2), the pod's name is taken or Tenure itself fails (125).
pub(crate) fn execute(context: &Context, args: &RunArgs) -> Result<Code, CommandError> {
    context.require_cgroups()?;
    let manifest = super::manifest::read(&args.file, &args.sources)?;
    let root = context.root()?;
    let name = manifest.pod.name.clone();
    let defaults = PodOptions::default();
    let launch = Launch {
        object: serde_json::to_value(&manifest.object).context("cannot write the pod as JSON")?,
        runtime: runtime(context, &root, &name, args.runtime.as_deref())?,
        root,
        options: PodOptions {
            remove_at_end: args.rm,
            max_backoff: args.max_backoff.unwrap_or(defaults.max_backoff),
            systemd_cgroup: context.wants_systemd(),
        },
        spec: manifest.pod.clone(),
        sources: manifest.sources.clone(),
    };
    // In the background, too, what is wrong with it is told before anything is begun.
    let scope = supervise::scope(&launch.spec.name, &launch.options)?;
    if args.detach {
        let mut progress = Progress::of_start(args.progress, &name);
        return supervise::detach(context, &launch, &mut progress);
    }
    let tee = tee(&manifest, args.progress)?;
    let code = tenure_engine::run(PodLaunch {
        tee: Some(tee),
        scope,
        ..launch.into()
    });
    code.map(Code).map_err(|error| taken(error, &name))
}

/// Adds to a taken name what to do about it.
fn taken(error: EngineError, name: &str) -> CommandError {
    match error {
        EngineError::Running { .. } => CommandError::from(error).hint(format!(
            "`tenure pod stop {name}` ends it; `tenure pod status {name}` shows it"
        )),
        error => error.into(),
    }
}

/// Our own stdout and stderr for the containers' lines; named when there is more than one app container or a terminal.
fn tee(manifest: &Manifest, progress: Mode) -> anyhow::Result<Tee> {
    let copying = "cannot copy a descriptor";
    Ok(Tee {
        prefix: manifest.pod.containers.len() > 1 || io::stdout().is_terminal(),
        stdout: io::stdout().as_fd().try_clone_to_owned().context(copying)?,
        stderr: io::stderr().as_fd().try_clone_to_owned().context(copying)?,
        display: Box::new(Progress::of_life(progress, &manifest.pod)),
    })
}

/// The runtime that makes the containers. A foreign one keeps its own records, in the pod's folder, so that they go with
/// the pod.
fn runtime(
    context: &Context,
    root: &Path,
    pod: &str,
    given: Option<&Path>,
) -> Result<RuntimeLocation, CommandError> {
    let own = context.own_binary()?;
    let Some(given) = given else {
        return Ok(RuntimeLocation {
            binary: own,
            root: root.into(),
        });
    };
    let binary = find_program(given, std::env::var_os("PATH").as_deref())?;
    let root = match context.is_own_binary(&binary) {
        true => root.into(),
        false => root.join("pods").join(pod).join("runtime"),
    };
    Ok(RuntimeLocation { binary, root })
}

/// The program that a shell would run for `given`, absolute.
fn find_program(given: &Path, path: Option<&std::ffi::OsStr>) -> anyhow::Result<PathBuf> {
    let shown = given.display();
    let is_bare = given.components().count() == 1 && !given.as_os_str().as_encoded_bytes().contains(&b'/');
    if !is_bare {
        check_executable(given).with_context(|| format!("--runtime {shown}"))?;
        return absolute(given);
    }
    std::env::split_paths(path.unwrap_or_default())
        .map(|dir| dir.join(given))
        .find(|candidate| check_executable(candidate).is_ok())
        .ok_or_else(|| anyhow!("--runtime {shown}: executable file not found in $PATH"))
        .and_then(|path| absolute(&path))
}

/// Refuses what cannot be executed.
fn check_executable(path: &Path) -> anyhow::Result<()> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(anyhow!("not a regular file"));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(anyhow!("permission denied: not executable"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_up_in_path_and_a_path_is_taken_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("runtime");
        std::fs::write(&program, "").unwrap();
        let path = Some(dir.path().as_os_str());
        assert!(
            find_program(Path::new("runtime"), path).is_err(),
            "not executable"
        );
        assert!(find_program(&program, None).is_err(), "not executable");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_program(Path::new("runtime"), path).unwrap(), program);
        assert_eq!(find_program(&program, None).unwrap(), program);
        assert!(find_program(Path::new("runtime"), None).is_err());
        assert!(find_program(dir.path(), None).is_err(), "a folder");
    }
}
