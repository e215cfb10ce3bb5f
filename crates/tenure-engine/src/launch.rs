//! What a pod is launched with, and its whole life as one blocking call.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tenure_lifecycle::{Event, PodMachine, PodPlan, PodStatus};
use tenure_spec::reference::Known;
use tenure_spec::{PodSpec, Sources};

use crate::clock::Clock;
use crate::engine::Engine;
use crate::error::{EngineError, process_error};
use crate::host::{Host, RecordFile};
use crate::oci::RuntimeLocation;
use crate::oci::cli::CliRuntime;
use crate::publish::Publisher;
use crate::ready::Ready;
use crate::recover;
use crate::sandbox::node;
use crate::screen::Display;
use crate::store::{Claim, Launched, PodEvent, SandboxStage, Store, write_json};
use crate::supervision::{Supervision, Watch};
use crate::tee::TeeOut;

/// All that [`run`] needs.
#[derive(Debug)]
pub struct PodLaunch {
    /// What to run.
    pub spec: PodSpec,
    /// The ConfigMaps and Secrets that it refers to. They stay in memory and in what containers are given.
    pub sources: Sources,
    /// The accepted Kubernetes Pod object, kept as `pod.json` for `status -o json`.
    pub object: serde_json::Value,
    /// Who creates the containers.
    pub runtime: RuntimeLocation,
    /// Tenure's root, e.g. `/run/tenure`.
    pub root: PathBuf,
    /// Choices of the command line.
    pub options: PodOptions,
    /// Where systemd is to make the pod's cgroup; without it the engine makes it.
    pub scope: Option<Scope>,
    /// Foreground: where the containers' lines go besides their logs.
    pub tee: Option<Tee>,
    /// In the background: called with every event in order, from the loop: must not block for long.
    pub progress: Option<Progress>,
    /// `-d`: a pipe that gets one JSON line, `{"ready":true}` or `{"error":"...","code":125}`, and is closed then.
    pub ready: Option<OwnedFd>,
}

/// Choices of the command line for one run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PodOptions {
    /// `--rm`: the record goes when the pod has ended.
    pub remove_at_end: bool,
    /// The longest wait between restarts (`lifecycle-semantics 5.4, 5.6`).
    pub max_backoff: Duration,
    /// `--systemd-cgroup`: the pod is in a scope of systemd's.
    #[serde(default)]
    pub systemd_cgroup: bool,
}

impl Default for PodOptions {
    fn default() -> Self {
        Self {
            remove_at_end: false,
            max_backoff: Duration::from_secs(300),
            systemd_cgroup: false,
        }
    }
}

/// A scope of systemd's that is the supervisor's and its pod's, and their own to make cgroups in.
///
/// ```text
/// system.slice / tenure-pod-web.scope     systemd's; ends with its last process
///                  / supervisor           where there is only v2, for a cgroup with children holds no process
///                  / pod / app            limits and containers, made by us
/// ```
pub struct Scope {
    /// Its cgroup, from the hierarchies' mount points.
    pub cgroup: PathBuf,
    /// Has it made, with this process in it; blocks until it is. The error is one line.
    pub enter: Box<dyn FnOnce() -> Result<(), String> + Send>,
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("cgroup", &self.cgroup)
            .finish_non_exhaustive()
    }
}

/// Where a foreground run shows its containers' lines.
#[derive(Debug)]
pub struct Tee {
    /// Put `name | ` before each line.
    pub prefix: bool,
    /// Gets what containers write to stdout.
    pub stdout: OwnedFd,
    /// Gets what containers write to stderr, and what the display shows.
    pub stderr: OwnedFd,
    /// Shows the pod's events and state.
    pub display: Box<dyn Display>,
}

/// Somebody to call with every event of the pod.
pub struct Progress(pub Box<dyn FnMut(&PodEvent)>);

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Runs a pod from claim to end and returns its exit code (`cli.md`, exit codes).
///
/// Blocks until the pod's life is over and nothing of it is left but its record. Makes this process a child subreaper
/// and takes its signals: the first SIGINT or SIGTERM stops the pod, the second shortens the grace, the third kills.
/// To be called once, from a process with a single thread.
///
/// # Errors
/// When the name is taken, or the supervisor itself cannot work. A pod that fails is not an error.
pub fn run(mut launch: PodLaunch) -> Result<u8, EngineError> {
    let mut ready = launch.ready.take();
    let result = try_run(launch, &mut ready);
    if let (Err(error), Some(pipe)) = (&result, ready) {
        Ready::refuse(pipe, error);
    }
    result
}

fn try_run(launch: PodLaunch, ready: &mut Option<OwnedFd>) -> Result<u8, EngineError> {
    let claim = claim(&launch)?;
    let clock = Clock::start();
    let supervision = Supervision::begin()?;
    let remove_at_end = launch.options.remove_at_end;
    // The claim goes before the listener: nobody is told that nobody listens while the name is taken.
    let (exit_code, _watch) = supervision.block_on(async |mut watch| {
        let status = live(launch, ready, &claim, clock, &mut watch).await?;
        Ok((status.exit_code, watch))
    })?;
    if remove_at_end {
        finish(claim)?;
    }
    Ok(exit_code)
}

/// Takes the name, and cleans up after a supervisor that died and left nothing alive.
fn claim(launch: &PodLaunch) -> Result<Claim, EngineError> {
    let name = &launch.spec.name;
    let claim = Store::new(&launch.root).claim(name)?;
    if !claim.is_new()? && !claim.dir().has_ended() {
        if recover::lives(&claim)? {
            return Err(EngineError::LeftBehind { name: name.clone() });
        }
        recover::kill(&claim)?;
    }
    Ok(claim)
}

async fn live(
    launch: PodLaunch,
    ready: &mut Option<OwnedFd>,
    claim: &Claim,
    clock: Clock,
    watch: &mut Watch,
) -> Result<PodStatus, EngineError> {
    let dir = claim.dir();
    // From here on whoever finds the lock held finds somebody listening, too.
    watch.listen(dir)?;
    claim.clear()?;
    if let Some(scope) = &launch.scope {
        write_json(&dir.scope(), &scope.cgroup)?;
    }
    let record = RecordFile::begin(dir, SandboxStage::Present)?;
    let mut plan = PodPlan::from(&launch.spec);
    plan.max_backoff = launch.options.max_backoff;
    write_json(
        &dir.launched(),
        &Launched {
            object: launch.object,
            spec: launch.spec.clone(),
            options: launch.options,
            runtime: launch.runtime.binary.clone(),
            runtime_root: launch.runtime.root.clone(),
        },
    )?;
    let names = names(&launch.spec);
    let mut publisher = Publisher::open(dir, clock, names, launch.progress)?;
    let mut tee = None;
    let mut written = None;
    if let Some(given) = launch.tee {
        let (out, to_screen, done) = TeeOut::start(given, clock)
            .map_err(|source| process_error("start the terminal's writer", source))?;
        publisher = publisher.with_screen(to_screen);
        (tee, written) = (Some(out), Some(done));
    }
    let runtime = Rc::new(CliRuntime::new(launch.runtime, dir.path().to_path_buf()));
    let known = Known {
        node: node::facts(dir.root()),
        sources: launch.sources,
    };
    let host = Host::new(runtime, dir.clone(), launch.spec, record, Vec::new())
        .with_tee(tee)
        .with_known(known)
        .with_scope(launch.scope);
    let ready = ready.take().map(|pipe| Ready::new(pipe, &plan));
    let engine = Engine::new(PodMachine::new(plan), Rc::new(host), clock, publisher).with_ready(ready);
    let status = watch.live(engine, Event::Begin).await;
    if let Some(written) = written {
        watch.until_interrupted(written).await;
    }
    Ok(status)
}

/// The containers' names by index.
pub(crate) fn names(spec: &PodSpec) -> Vec<String> {
    spec.all_containers()
        .map(|container| container.name.clone())
        .collect()
}

/// `--rm`: removes the record, unless it is still needed to clean up.
fn finish(claim: Claim) -> Result<(), EngineError> {
    if claim.dir().has_ended() {
        claim.remove()
    } else {
        Err(EngineError::Leftovers {
            name: claim.dir().name().into(),
            what: vec!["see its events".into()],
        })
    }
}
