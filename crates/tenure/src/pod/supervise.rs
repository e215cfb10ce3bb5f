//! A pod in the background: `pod run -d`, and the hidden command that it executes.
//!
//! ```text
//! pod run -d ──exec──▶ tenure pod-supervise    stdin: the launch (a sealed-off memory file), stdout: a pipe
//!     │ ◀──{"event":…}*, {"ready":true} | {"error":…,"code":…}── │
//!     │ ◀──end of file, pidfd: it died without a word─────────── │
//!     ▼ exit code                                                ▼ setsid, stdio on /dev/null, the pod's whole life
//! ```

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{MemfdFlags, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use tenure_engine::{PodEvent, PodLaunch, PodOptions, RuntimeLocation, Scope};
use tenure_runtime::DelegatedScope;
use tenure_spec::{PodSpec, Sources};
use tenure_supervise::ProcessExit;
use tenure_supervise::pidfd::PidFd;
use tenure_supervise::process::Spawn;

use super::progress::Progress;
use crate::context::Context;
use crate::exit::{Code, CommandError};
use crate::oci::foreground::{self, Signals};
use crate::output;

/// What a supervisor is started with.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    pub(super) spec: PodSpec,
    pub(super) sources: Sources,
    pub(super) object: serde_json::Value,
    pub(super) runtime: RuntimeLocation,
    pub(super) root: PathBuf,
    pub(super) options: PodOptions,
}

/// The same on its way to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
struct Sent {
    spec: PodSpec,
    sources: Sources,
    object: serde_json::Value,
    runtime: PathBuf,
    runtime_root: PathBuf,
    root: PathBuf,
    options: PodOptions,
}

/// What a supervisor says until its pod is ready.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Said {
    Event { event: PodEvent },
    Failed { error: String },
    Ready { ready: bool },
}

impl From<Launch> for PodLaunch {
    fn from(launch: Launch) -> Self {
        Self {
            spec: launch.spec,
            sources: launch.sources,
            object: launch.object,
            runtime: launch.runtime,
            root: launch.root,
            options: launch.options,
            scope: None,
            tee: None,
            progress: None,
            ready: None,
        }
    }
}

/// Starts a supervisor and waits until its pod is ready; prints the pod's name then. SIGINT and SIGTERM are passed on:
/// they stop the pod.
///
/// # Errors
/// When the pod's start-up failed for good, or the supervisor died.
pub(super) fn detach(
    context: &Context,
    launch: &Launch,
    progress: &mut Progress,
) -> Result<Code, CommandError> {
    let name = &launch.spec.name;
    let (pipe, theirs) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).context("cannot make a pipe")?;
    let mut signals = Signals::take().context("cannot take signals")?;
    let child = Spawn::new(&context.own_binary()?)
        .args(context.log_arguments())
        .arg("pod-supervise")
        .stdin(send(launch)?)
        .stdout(theirs)
        .spawn()
        .context("cannot start a supervisor")?;
    let mut said = BufReader::new(File::from(pipe));
    let mut failures = Vec::new();
    loop {
        // What was read along with the line before is not in the pipe any more: waiting for it would be for ever.
        if said.buffer().is_empty() {
            wait_for_word(said.get_ref(), &child.pidfd, &mut signals)
                .context("cannot wait for the supervisor")?;
        }
        let mut line = String::new();
        let read = said.read_line(&mut line).context("cannot hear the supervisor")?;
        if read == 0 {
            return Err(died(name, &child.pidfd));
        }
        match serde_json::from_str(&line).with_context(|| format!("the supervisor said {line:?}"))? {
            Said::Event { event } => failures.extend(progress.show_start(&event)),
            Said::Ready { ready: true } => {
                for failure in failures {
                    output::complain(&format!("pod {name}: {failure}"));
                }
                return output::print(&format!("{name}\n"));
            }
            Said::Ready { ready: false } => {
                return Err(CommandError::message(format!("pod {name} is not ready")));
            }
            Said::Failed { error } => {
                // The name is free, and nothing is left, when this command ends.
                foreground::wait(child.pidfd.as_fd(), &mut signals, None)
                    .context("cannot wait for the supervisor")?;
                let error = CommandError::message(prefixed(name, &error));
                return Err(match failures.pop() {
                    Some(failure) => error.hint(failure),
                    None => error,
                });
            }
        }
    }
}

/// The error for a supervisor that went without a word.
fn died(name: &str, supervisor: &PidFd) -> CommandError {
    let how = match supervisor.wait_blocking() {
        Ok(ProcessExit::Code(code)) => format!("it exited with code {code}"),
        Ok(ProcessExit::Signal(signal)) => format!("signal {signal} ended it"),
        Ok(ProcessExit::Unknown) | Err(_) => "nobody can tell how".into(),
    };
    CommandError::message(format!(
        "pod {name}: its supervisor died before the pod was ready: {how}"
    ))
    .hint(format!("`tenure pod delete --force {name}` removes what is left"))
}

/// The supervisor's reason with the pod's name before it, unless it names the pod itself.
fn prefixed(name: &str, error: &str) -> String {
    match error.contains(name) {
        true => error.into(),
        false => format!("pod {name}: {error}"),
    }
}

/// The launch as a file in memory, to be read from its beginning.
fn send(launch: &Launch) -> anyhow::Result<OwnedFd> {
    let sent = Sent {
        spec: launch.spec.clone(),
        sources: launch.sources.clone(),
        object: launch.object.clone(),
        runtime: launch.runtime.binary.clone(),
        runtime_root: launch.runtime.root.clone(),
        root: launch.root.clone(),
        options: launch.options.clone(),
    };
    let mut file = File::from(
        rustix::fs::memfd_create("launch", MemfdFlags::CLOEXEC).context("cannot make a file in memory")?,
    );
    serde_json::to_writer(&file, &sent).context("cannot write the launch")?;
    file.rewind().context("cannot rewind the launch")?;
    Ok(file.into())
}

/// Waits until the supervisor has said something or is gone, passing our signals on to it.
fn wait_for_word(pipe: &File, supervisor: &PidFd, signals: &mut Signals) -> io::Result<()> {
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
        ];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [word, signal] = fds.map(|fd| !fd.revents().is_empty());
        if signal {
            signals.forward(supervisor.as_fd(), None)?;
        }
        if word {
            return Ok(());
        }
    }
}

/// The scope of a pod that systemd is to make cgroups for.
///
/// # Errors
/// When there is no systemd, or the pod's name is too long for a unit's.
pub(super) fn scope(pod: &str, options: &PodOptions) -> Result<Option<Scope>, tenure_runtime::Error> {
    if !options.systemd_cgroup {
        return Ok(None);
    }
    let scope = DelegatedScope::named(&format!("tenure-pod-{pod}"))?;
    let description = format!("pod {pod}");
    Ok(Some(Scope {
        cgroup: scope.cgroup().to_owned(),
        enter: Box::new(move || scope.enter(&description).map_err(|error| error.to_string())),
    }))
}

/// The supervisor itself: takes its launch, lets go of everything that is the caller's, and lives the pod's life.
///
/// # Errors
/// Any failure; the caller has been told of it through the pipe.
pub(crate) fn execute() -> Result<Code, CommandError> {
    let Setting {
        sent,
        scope,
        pipe,
        telling,
    } = settle().inspect_err(|error| {
        let last_word = serde_json::json!({"error": format!("{error:#}"), "code": 125});
        let _ = writeln!(io::stdout(), "{last_word}");
    })?;
    let mut telling = telling;
    let code = tenure_engine::run(PodLaunch {
        scope,
        spec: sent.spec,
        sources: sent.sources,
        object: sent.object,
        runtime: RuntimeLocation {
            binary: sent.runtime,
            root: sent.runtime_root,
        },
        root: sent.root,
        options: sent.options,
        tee: None,
        progress: Some(tenure_engine::Progress(Box::new(move |event| {
            telling = telling.take().filter(|telling| telling.tell(event).is_ok());
        }))),
        ready: Some(pipe),
    })?;
    Ok(Code(code))
}

/// What a supervisor begins with.
struct Setting {
    sent: Sent,
    scope: Option<Scope>,
    pipe: OwnedFd,
    telling: Option<Telling>,
}

/// Reads the launch, and turns this process into one without terminal, caller and inherited descriptors.
fn settle() -> anyhow::Result<Setting> {
    let mut text = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut text)
        .context("cannot read the launch")?;
    let sent: Sent = serde_json::from_slice(&text).context("the launch cannot be understood")?;
    drop(text);
    let scope = scope(&sent.spec.name, &sent.options)?;
    close_inherited().context("cannot close inherited descriptors")?;
    // Nobody is to wait for us to leave a file system.
    std::env::set_current_dir("/").context("cannot go to the root directory")?;
    let null = File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .context("cannot open /dev/null")?;
    let pipe = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .context("cannot copy a descriptor")?;
    let telling = Telling::open().ok();
    rustix::stdio::dup2_stdin(&null).context("cannot let go of stdin")?;
    rustix::stdio::dup2_stderr(&null).context("cannot let go of stderr")?;
    // EPERM: it leads a session already, so it has no terminal either.
    let _ = rustix::process::setsid();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // Last: until here a failure is told through it.
    rustix::stdio::dup2_stdout(&null).context("cannot let go of stdout")?;
    Ok(Setting {
        sent,
        scope,
        pipe,
        telling,
    })
}

/// Closes what the caller's caller left open: it must neither keep a pipe of theirs open nor reach a container.
fn close_inherited() -> io::Result<()> {
    let mut inherited = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok());
        inherited.extend(number.filter(|number| *number > 2));
    }
    for number in inherited {
        // EBADF: it was the one that read the folder.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

/// Sends events to the caller while it waits; never waits for it.
struct Telling {
    pipe: File,
}

impl Telling {
    /// A second way into the pipe at stdout: non-blocking, which the first must not become.
    fn open() -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = rustix::fs::open("/proc/self/fd/1", flags, rustix::fs::Mode::empty())?;
        Ok(Self { pipe: pipe.into() })
    }

    /// Sends one event. An error means that nobody listens any more, or not quickly enough.
    fn tell(&self, event: &PodEvent) -> io::Result<()> {
        let line = format!("{}\n", serde_json::json!({"event": event}));
        // What is longer could be torn by the last word.
        if line.len() > rustix::pipe::PIPE_BUF {
            return Ok(());
        }
        (&self.pipe).write_all(line.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisors_words_are_understood() {
        let parse = |text: &str| serde_json::from_str::<Said>(text).unwrap();
        assert!(matches!(parse(r#"{"ready":true}"#), Said::Ready { ready: true }));
        assert!(matches!(
            parse(r#"{"error":"init failed","code":125}"#),
            Said::Failed { .. }
        ));
        let event = r#"{"event":{"time":"t","type":"Normal","reason":"Started","message":"m"}}"#;
        assert!(matches!(parse(event), Said::Event { .. }));
    }

    #[test]
    fn the_pods_name_is_told_once() {
        assert_eq!(prefixed("web", "init failed"), "pod web: init failed");
        assert_eq!(prefixed("web", "pod web is running"), "pod web is running");
    }
}
