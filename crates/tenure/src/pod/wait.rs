//! `tenure pod wait`.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use tenure_engine::{EngineError, Observed, Store, observe};
use tenure_lifecycle::{ConditionType, Phase};

use super::kubernetes;
use super::watch::{PodWatch, is_over};
use crate::context::Context;
use crate::exit::{Code, CommandError};

/// Waits until a pod is as you want it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure pod wait web --for condition=Ready --timeout 30\n  \
                        tenure pod wait job --for phase=Succeeded\n\nExit code 0 when it holds, 1 on time-out or \
                        when it can no longer hold."
)]
pub(crate) struct WaitArgs {
    /// The pod
    #[arg(value_name = "NAME")]
    name: String,
    /// What to wait for
    #[arg(long = "for", value_name = "phase=PHASE|condition=TYPE", value_parser = goal)]
    goal: Goal,
    /// Give up after so many seconds [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
}

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Phase(Phase),
    Condition { kind: ConditionType, holds: bool },
}

/// Reads `phase=X`, `condition=T` or `condition=T=False`.
fn goal(text: &str) -> Result<Goal, String> {
    let phases = [Phase::Pending, Phase::Running, Phase::Succeeded, Phase::Failed];
    let conditions = [
        ConditionType::PodScheduled,
        ConditionType::PodReadyToStartContainers,
        ConditionType::Initialized,
        ConditionType::ContainersReady,
        ConditionType::Ready,
        ConditionType::AllContainersRestarting,
    ];
    if let Some(word) = text.strip_prefix("phase=") {
        let found = phases.into_iter().find(|phase| phase.as_str() == word);
        let known = phases.map(Phase::as_str).join(", ");
        return found
            .map(Goal::Phase)
            .ok_or_else(|| format!("{word:?} is no phase; these are: {known}"));
    }
    if let Some(rest) = text.strip_prefix("condition=") {
        let (word, holds) = match rest.split_once('=') {
            None => (rest, true),
            Some((word, "True" | "true")) => (word, true),
            Some((word, "False" | "false")) => (word, false),
            Some((_, value)) => return Err(format!("{value:?} is neither True nor False")),
        };
        let found = conditions.into_iter().find(|kind| kind.as_str() == word);
        let known = conditions.map(ConditionType::as_str).join(", ");
        return found
            .map(|kind| Goal::Condition { kind, holds })
            .ok_or_else(|| format!("{word:?} is no condition; these are: {known}"));
    }
    Err("neither phase=PHASE nor condition=TYPE".into())
}

/// Reads a number of seconds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    number
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "not a number of seconds".into())
}

/// Waits until the goal holds.
///
/// # Errors
/// On time-out, when it can no longer hold, or when there is no such pod.
pub(crate) fn execute(context: &Context, args: &WaitArgs) -> Result<Code, CommandError> {
    let root = context.root()?;
    let name = &args.name;
    let deadline = args
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let dir = Store::new(&root).open(name)?;
    let mut watch = PodWatch::new(&dir, &[]).with_context(|| format!("cannot watch pod {name}"))?;
    loop {
        let observed = match observe(&root, name) {
            Err(EngineError::NotFound { .. }) => return Err(no_longer(args, "the pod was deleted")),
            observed => observed?,
        };
        watch.hold(&observed);
        match judge(args.goal, &observed) {
            Verdict::Holds => return Ok(Code::SUCCESS),
            Verdict::NoLonger => {
                let phase = kubernetes::phase(&observed);
                return Err(no_longer(args, &format!("the pod is {phase} for good")));
            }
            Verdict::NotYet => {}
        }
        if !watch
            .wait(deadline)
            .with_context(|| format!("cannot wait for pod {name}"))?
        {
            let timeout = args.timeout.unwrap_or_default().as_secs_f64();
            let phase = kubernetes::phase(&observed);
            return Err(CommandError::message(format!(
                "pod {name}: {} does not hold after {timeout} s; the phase is {phase}",
                describe(args.goal)
            )));
        }
    }
}

/// How things stand with a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Holds,
    NotYet,
    NoLonger,
}

/// Whether a goal holds, may hold later, or never will.
fn judge(goal: Goal, observed: &Observed) -> Verdict {
    let status = observed.published.as_ref().map(|published| &published.status);
    let holds = match goal {
        Goal::Phase(phase) => kubernetes::phase(observed) == phase.as_str(),
        Goal::Condition { kind, holds } => status.is_some_and(|status| {
            let condition = status.conditions.iter().find(|condition| condition.kind == kind);
            condition.is_some_and(|condition| condition.holds) == holds
        }),
    };
    let is_terminal = status.is_some_and(|status| status.phase.is_terminal());
    match (holds, goal) {
        (true, _) => Verdict::Holds,
        // A terminal phase never changes back, though the pod may still be ending.
        (false, Goal::Phase(_)) if is_terminal => Verdict::NoLonger,
        (false, _) if is_over(observed) => Verdict::NoLonger,
        (false, _) => Verdict::NotYet,
    }
}

/// The goal as it was written.
fn describe(goal: Goal) -> String {
    match goal {
        Goal::Phase(phase) => format!("phase={}", phase.as_str()),
        Goal::Condition { kind, holds: true } => format!("condition={}", kind.as_str()),
        Goal::Condition { kind, holds: false } => format!("condition={}=False", kind.as_str()),
    }
}

/// The error for a goal that can no longer hold.
fn no_longer(args: &WaitArgs, why: &str) -> CommandError {
    CommandError::message(format!(
        "pod {}: {} can no longer hold: {why}",
        args.name,
        describe(args.goal)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_engine::Supervisor;

    #[test]
    fn goals_are_phases_and_conditions_by_their_kubernetes_names() {
        assert_eq!(goal("phase=Running"), Ok(Goal::Phase(Phase::Running)));
        let ready = |holds| Goal::Condition {
            kind: ConditionType::Ready,
            holds,
        };
        assert_eq!(goal("condition=Ready"), Ok(ready(true)));
        assert_eq!(goal("condition=Ready=False"), Ok(ready(false)));
        for text in [
            "sunrise",
            "phase=Tired",
            "condition=Tired",
            "condition=Ready=maybe",
            "phase=",
        ] {
            assert!(goal(text).is_err(), "{text}");
        }
    }

    #[test]
    fn seconds_may_have_a_fraction_and_are_never_negative() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(seconds("30s"), Ok(Duration::from_secs(30)));
        for text in ["-1", "soon", "", "NaN", "1e300"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_terminal_phase_ends_the_waiting_for_any_other() {
        let root = tempfile::tempdir().unwrap();
        let mut pod = kubernetes::tests::observed(root.path());
        assert_eq!(judge(Goal::Phase(Phase::Running), &pod), Verdict::Holds);
        assert_eq!(judge(Goal::Phase(Phase::Failed), &pod), Verdict::NotYet);
        if let Some(published) = &mut pod.published {
            published.status.phase = Phase::Failed;
        }
        assert_eq!(judge(Goal::Phase(Phase::Running), &pod), Verdict::NoLonger);
        assert_eq!(judge(Goal::Phase(Phase::Failed), &pod), Verdict::Holds);
    }

    #[test]
    fn a_dead_supervisor_ends_the_waiting() {
        let root = tempfile::tempdir().unwrap();
        let mut pod = kubernetes::tests::observed(root.path());
        pod.supervisor = Supervisor::Dead;
        assert_eq!(judge(goal("condition=Ready").unwrap(), &pod), Verdict::NoLonger);
    }
}
