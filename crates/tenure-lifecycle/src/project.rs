//! The projection of the machines' states onto phase, conditions and exit code (`lifecycle-semantics 7`).

use crate::container::ContainerMachine;
use crate::container::view::Verdict;
use crate::event::ContainerIndex;
use crate::plan::{ContainerKind, PodPlan};
use crate::pod::{End, Life, Why};
use crate::status::{Condition, ConditionType, ContainerStatus, Phase, PodStatus};
use crate::time::Timestamp;

/// What the status is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) plan: &'a PodPlan,
    pub(crate) life: &'a Life,
    pub(crate) containers: &'a [ContainerMachine],
}

/// 128 + SIGTERM: ended from outside, with no container's code to show for it.
const ENDED_FROM_OUTSIDE: u8 = 143;

/// The pod failed and no container has a code to show for it.
const FAILED_BESIDES_CONTAINERS: u8 = 125;

impl<'a> View<'a> {
    fn of_kind(self, kind: ContainerKind) -> impl Iterator<Item = &'a ContainerMachine> {
        self.containers
            .iter()
            .filter(move |container| container.plan().kind == kind)
    }

    fn end(self) -> Option<&'a End> {
        match self.life {
            Life::New | Life::Adopted | Life::Active { .. } | Life::Restarting { .. } => None,
            Life::CreatingSandbox { end, .. } => end.as_ref(),
            Life::Ending { end } | Life::RemovingSandbox { end } | Life::Finished { end, .. } => Some(end),
        }
    }

    /// No start is to come: the end of the pod has begun, and there is no create on its way.
    fn is_closing(self) -> bool {
        match self.life {
            Life::New
            | Life::Adopted
            | Life::CreatingSandbox { .. }
            | Life::Active { .. }
            | Life::Restarting { .. } => false,
            Life::Ending { .. } | Life::RemovingSandbox { .. } | Life::Finished { .. } => true,
        }
    }

    fn has_sandbox(self) -> bool {
        match self.life {
            Life::New
            | Life::CreatingSandbox { .. }
            | Life::RemovingSandbox { .. }
            | Life::Finished { .. } => false,
            Life::Adopted | Life::Active { .. } | Life::Restarting { .. } | Life::Ending { .. } => true,
        }
    }

    /// All containers are deleted, to be begun again.
    fn is_restarted(self) -> bool {
        self.containers.iter().all(ContainerMachine::is_pending)
    }

    fn any_app_ran(self) -> bool {
        self.of_kind(ContainerKind::App).any(|app| {
            app.is_published_running() || app.newest_end().is_some_and(|end| end.started_at.is_some())
        })
    }

    fn is_initialised(self) -> bool {
        let inits_done = self
            .of_kind(ContainerKind::Init)
            .all(|init| init.verdict() == Verdict::Succeeded);
        let sidecars_up = self
            .of_kind(ContainerKind::Sidecar)
            .all(ContainerMachine::is_started);
        self.any_app_ran() || (inits_done && sidecars_up)
    }
}

/// The phase, not yet made sticky.
pub(crate) fn phase(view: View<'_>) -> Phase {
    let alive = view.containers.iter().any(ContainerMachine::may_be_alive);
    if view.is_closing() && !alive {
        return terminal_phase(view);
    }
    // A container that waits without having ended before makes the pod Pending; sidecars too, and inits that are
    // not done. Once an app has begun, inits are done.
    let waits = |container: &ContainerMachine| match container.plan().kind {
        ContainerKind::Init => container.verdict() != Verdict::Succeeded,
        ContainerKind::Sidecar | ContainerKind::App => {
            !container.is_published_running() && container.newest_end().is_none()
        }
    };
    let sidecar_missing = |container: &ContainerMachine| {
        container.plan().kind == ContainerKind::Sidecar && !container.is_started()
    };
    let no_app_begun = view
        .of_kind(ContainerKind::App)
        .all(|app| !app.was_ever_created());
    let pending =
        view.containers.iter().any(waits) || (no_app_begun && view.containers.iter().any(sidecar_missing));
    if pending { Phase::Pending } else { Phase::Running }
}

fn terminal_phase(view: View<'_>) -> Phase {
    let failed_as_a_whole = match view.end().map(|end| &end.why) {
        Some(Why::InitFailed | Why::DeadlineExceeded | Why::SandboxFailed { .. }) => true,
        Some(Why::AppsEnded | Why::Requested) | None => false,
    };
    let all_well = view
        .of_kind(ContainerKind::App)
        .all(|app| app.verdict() == Verdict::Succeeded);
    // One that was ended while it ran again counts, whatever the apps had come to before (`lifecycle-semantics 5.9`).
    let init_failed = view
        .of_kind(ContainerKind::Init)
        .any(|init| init.verdict() == Verdict::Failed);
    if all_well && !init_failed && !failed_as_a_whole {
        Phase::Succeeded
    } else {
        Phase::Failed
    }
}

/// All conditions, as of `now`.
pub(crate) fn conditions(view: View<'_>, phase: Phase, now: Timestamp) -> Vec<Condition> {
    let ready = !phase.is_terminal()
        && view
            .containers
            .iter()
            .filter(|container| container.plan().kind != ContainerKind::Init)
            .all(ContainerMachine::is_ready);
    let (unready, uninitialised) = match phase {
        Phase::Succeeded => ("PodCompleted", "PodCompleted"),
        Phase::Failed => ("PodFailed", "ContainersNotInitialized"),
        Phase::Pending | Phase::Running => ("ContainersNotReady", "ContainersNotInitialized"),
    };
    let condition = |kind, holds, reason: &str| Condition {
        kind,
        holds,
        reason: if holds { String::new() } else { reason.to_owned() },
        since: now,
    };
    let initialised = view.is_initialised() || phase == Phase::Succeeded;
    let mut conditions = vec![
        condition(ConditionType::PodScheduled, true, ""),
        condition(ConditionType::PodReadyToStartContainers, view.has_sandbox(), ""),
        condition(ConditionType::Initialized, initialised, uninitialised),
        condition(ConditionType::ContainersReady, ready, unready),
        condition(ConditionType::Ready, ready, unready),
    ];
    if view.plan.may_restart_all_containers() {
        let holds = matches!(view.life, Life::Restarting { .. }) && !view.is_restarted();
        let reason = match phase {
            Phase::Succeeded => "PodCompleted",
            Phase::Failed => "PodFailed",
            Phase::Pending | Phase::Running if holds => "RestartAllContainersStarted",
            Phase::Pending | Phase::Running => "",
        };
        conditions.push(Condition {
            kind: ConditionType::AllContainersRestarting,
            holds,
            reason: reason.to_owned(),
            since: now,
        });
    }
    conditions
}

/// The new conditions, each with the time since which it has stood so.
pub(crate) fn keep_times(old: &[Condition], new: Vec<Condition>) -> Vec<Condition> {
    new.into_iter()
        .map(|condition| {
            let before = old
                .iter()
                .find(|old| old.kind == condition.kind && old.holds == condition.holds);
            let since = before.map_or(condition.since, |before| before.since);
            Condition { since, ..condition }
        })
        .collect()
}

/// The whole status, from the machines and from what was kept of phase and conditions.
pub(crate) fn pod_status(view: View<'_>, phase: Phase, conditions: &[Condition]) -> PodStatus {
    let end = view.end();
    let (reason, message) = match end.map(|end| &end.why) {
        Some(Why::DeadlineExceeded) => (
            "DeadlineExceeded",
            "The pod was active longer than its activeDeadlineSeconds",
        ),
        Some(Why::SandboxFailed { message }) => ("FailedCreatePodSandBox", message.as_str()),
        Some(Why::AppsEnded | Why::InitFailed | Why::Requested) | None => ("", ""),
    };
    let finished_at = match view.life {
        Life::Finished { at, .. } => Some(*at),
        Life::New
        | Life::Adopted
        | Life::CreatingSandbox { .. }
        | Life::Active { .. }
        | Life::Restarting { .. }
        | Life::Ending { .. }
        | Life::RemovingSandbox { .. } => None,
    };
    PodStatus {
        phase,
        reason: reason.to_owned(),
        message: message.to_owned(),
        conditions: conditions.to_vec(),
        stopping_since: end.map(|end| end.since),
        finished_at,
        containers: view
            .containers
            .iter()
            .enumerate()
            .map(|(place, container)| container_status(view, ContainerIndex(place), container))
            .collect(),
        exit_code: exit_code(view, phase),
    }
}

/// One entry of the pod's status, with why a container waits that was not begun.
fn container_status(view: View<'_>, place: ContainerIndex, container: &ContainerMachine) -> ContainerStatus {
    let waiting = match view.life {
        // The pod waits as a container does that is in back-off (`lifecycle-semantics 5.7`).
        Life::Restarting { trigger, until, .. } if *trigger == place && view.is_restarted() => {
            let mut status = container.status("CrashLoopBackOff");
            status.activity = "back-off".to_owned();
            status.activity_until = Some(*until);
            return status;
        }
        Life::Restarting { .. } => "RestartingAllContainers",
        Life::New
        | Life::Adopted
        | Life::CreatingSandbox { .. }
        | Life::Active { .. }
        | Life::Ending { .. }
        | Life::RemovingSandbox { .. }
        | Life::Finished { .. } => {
            if view.plan.has_init_containers() {
                "PodInitializing"
            } else {
                "ContainerCreating"
            }
        }
    };
    container.status(waiting)
}

/// The pod's exit code; `pod`'s documentation tells the rule.
fn exit_code(view: View<'_>, phase: Phase) -> u8 {
    let code_of = |container: &ContainerMachine| match container.verdict() {
        Verdict::Failed => container
            .newest_end()
            .map(|end| end.exit_code)
            .filter(|code| *code != 0),
        Verdict::Open | Verdict::Succeeded | Verdict::NeverRan => None,
    };
    let recorded = view.of_kind(ContainerKind::Init).find_map(code_of);
    let recorded = recorded.or_else(|| view.of_kind(ContainerKind::App).find_map(code_of));
    let besides = match (phase, view.end().map(|end| &end.why)) {
        (Phase::Failed, Some(Why::Requested | Why::DeadlineExceeded)) => ENDED_FROM_OUTSIDE,
        (Phase::Failed, _) => FAILED_BESIDES_CONTAINERS,
        (Phase::Pending | Phase::Running | Phase::Succeeded, _) => 0,
    };
    recorded.unwrap_or(besides)
}
