//! Ends a pod whose supervisor died, from any state that its death may have left.
//!
//! ```text
//! 1 find    record.json ▶ which inits live (pid and start time)     status.json ▶ what was published
//! 2 settle  kill the runtime's processes that the supervisor left half-way
//! 3 live    PodMachine::adopt, the same loop: preStop, stop signal, grace, SIGKILL
//! 4 sweep   whatever has the pod's name and is not in the record: containers, cgroup, mounts, namespaces
//! ```
//!
//! Nothing is started again. A handler that ran when the supervisor died is run again from its beginning
//! (`lifecycle-semantics 3.10`). What the containers wrote since then is still in their pipes and goes to their logs.

mod find;
mod settle;

use std::rc::Rc;

use tenure_lifecycle::{ContainerIndex, Event, Phase, PodMachine, PodPlan, PodStatus, Request};
use tenure_spec::PodSpec;

use crate::clock::Clock;
use crate::engine::Engine;
use crate::error::{EngineError, line, process_error};
use crate::host::{Host, RecordFile, Slot};
use crate::launch::names;
use crate::oci::cli::CliRuntime;
use crate::oci::{OciRuntime, RuntimeLocation};
use crate::output::Output;
use crate::publish::Publisher;
use crate::sandbox;
use crate::store::{Claim, Launched, PodDir, Published, SandboxStage, rfc3339, write_json};
use crate::supervision::{Supervision, Watch};

/// `status.reason` of a pod that recovery ended.
const REASON: &str = "SupervisorDied";
const MESSAGE: &str = "the pod's supervisor died; what was left of the pod has been ended and removed";

/// Stops such a pod with the same machine and loop, in this process: preStop, stop signal, grace, SIGKILL. `grace` in
/// whole seconds, `None` is the pod's own. Returns the pod's exit code; the record and the logs stay.
///
/// # Errors
/// When something of it cannot be removed.
pub(crate) fn stop(claim: &Claim, grace: Option<u64>) -> Result<u8, EngineError> {
    end(claim, Request::Stop { grace })
}

/// Kills everything of such a pod with SIGKILL, runs no handlers, and removes it, the record excepted.
///
/// # Errors
/// When something of it cannot be removed.
pub(crate) fn kill(claim: &Claim) -> Result<u8, EngineError> {
    end(claim, Request::Kill)
}

/// True when any process of the pod lives.
///
/// # Errors
/// When the pod's processes cannot be looked for.
pub(crate) fn lives(claim: &Claim) -> Result<bool, EngineError> {
    find::lives(claim.dir()).map_err(|source| process_error("look for a pod's processes", source))
}

fn end(claim: &Claim, request: Request) -> Result<u8, EngineError> {
    let location = find::runtime_location(claim.dir());
    let supervision = Supervision::begin()?;
    let runtime = CliRuntime::new(location.clone(), claim.dir().path().to_path_buf());
    let remains = Remains {
        claim,
        location,
        runtime: Rc::new(runtime),
    };
    supervision.block_on(async |mut watch| remains.end(request, &mut watch).await)
}

/// What a dead supervisor left, and the means to end it.
pub(crate) struct Remains<'a, R> {
    pub(crate) claim: &'a Claim,
    pub(crate) location: RuntimeLocation,
    pub(crate) runtime: Rc<R>,
}

impl<R: OciRuntime + 'static> Remains<'_, R> {
    /// Ends and removes everything, and publishes the last status.
    pub(crate) async fn end(&self, request: Request, watch: &mut Watch) -> Result<u8, EngineError> {
        let dir = self.claim.dir();
        watch.listen(dir)?;
        self.settle().await?;
        let status = match dir.read_launched() {
            Ok(Some(launched)) => self.live(launched, request, watch).await?,
            // Lost or torn: nobody knows how to stop it, but all of it is found by its name.
            Ok(None) | Err(EngineError::Content { .. }) => lost(),
            Err(error) => return Err(error),
        };
        self.sweep().await?;
        conclude(self.claim, status)
    }

    async fn settle(&self) -> Result<(), EngineError> {
        settle::settle(self.claim.dir(), &self.location.binary)
            .await
            .map_err(|source| process_error("end the runtime's processes", source))
    }

    /// Lives the rest of the pod's life.
    async fn live(
        &self,
        launched: Launched,
        request: Request,
        watch: &mut Watch,
    ) -> Result<(Clock, PodStatus), EngineError> {
        let dir = self.claim.dir();
        let published = dir.read_published().ok().flatten();
        let clock = published
            .as_ref()
            .and_then(|published| published.origin.parse().ok())
            .map_or_else(Clock::start, Clock::resume);
        let mut found = find::find(dir, &launched.spec, published.as_ref(), clock.now());
        for index in &found.alive {
            adopt_output(dir, &launched.spec, *index, &mut found.slots);
        }
        let record = RecordFile::take_over(dir, found.record)?;
        let mut plan = PodPlan::from(&launched.spec);
        plan.max_backoff = launched.options.max_backoff;
        let machine = PodMachine::adopt(plan, found.adopted, clock.now());
        let publisher = Publisher::open(dir, clock, names(&launched.spec), None)?;
        let runtime = Rc::clone(&self.runtime);
        let host = Host::new(runtime, dir.clone(), launched.spec, record, found.slots);
        host.adopt_pod_init(found.pod_init);
        let engine = Engine::new(machine, Rc::new(host), clock, publisher);
        for container in found.alive {
            engine.adopt(ContainerIndex(container));
        }
        let status = watch.live(engine, Event::Request(request)).await;
        Ok((clock, status))
    }

    /// Removes by name whatever the record did not tell.
    async fn sweep(&self) -> Result<(), EngineError> {
        let dir = self.claim.dir();
        let mut left = Vec::new();
        for id in find::container_ids(dir, &self.location.root)? {
            if let Err(error) = self.runtime.delete(&id).await {
                left.push(line(&error));
            }
        }
        left.extend(sandbox::remove(dir, find::pod_init(dir)).await);
        if left.is_empty() {
            Ok(())
        } else {
            Err(EngineError::Leftovers {
                name: dir.name().into(),
                what: left,
            })
        }
    }
}

/// Goes on logging what a living container writes; without that it still can be ended.
fn adopt_output(dir: &PodDir, spec: &PodSpec, index: usize, slots: &mut [Slot]) {
    let (Some(container), Some(slot)) = (spec.all_containers().nth(index), slots.get_mut(index)) else {
        return;
    };
    let Some(pid) = slot.init.as_ref().map(|init| init.pid()) else {
        return;
    };
    match Output::adopt(dir, &container.name, slot.restart_count, pid) {
        Ok(output) => slot.output = Some(output),
        Err(error) => tracing::warn!(error = line(&error), "output is not logged any more"),
    }
}

/// The status of a pod of which nothing is known any more.
fn lost() -> (Clock, PodStatus) {
    let clock = Clock::start();
    let status = PodStatus {
        phase: Phase::Failed,
        reason: String::new(),
        message: String::new(),
        conditions: Vec::new(),
        stopping_since: None,
        finished_at: Some(clock.now()),
        containers: Vec::new(),
        exit_code: 137,
    };
    (clock, status)
}

/// Writes the last record and status.
fn conclude(claim: &Claim, (clock, mut status): (Clock, PodStatus)) -> Result<u8, EngineError> {
    let dir = claim.dir();
    RecordFile::begin(dir, SandboxStage::Absent)?;
    if status.reason.is_empty() && status.phase != Phase::Succeeded {
        status.reason = REASON.into();
        status.message = MESSAGE.into();
    }
    let exit_code = status.exit_code;
    write_json(
        &dir.status(),
        &Published {
            origin: rfc3339(clock.origin()),
            supervisor_pid: i32::try_from(std::process::id()).unwrap_or_default(),
            status,
        },
    )?;
    Ok(exit_code)
}

#[cfg(test)]
mod tests;
