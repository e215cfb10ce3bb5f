//! What will go wrong in a planned life.

use std::time::Duration;

use tenure_lifecycle::{ContainerKind, Reason};
use tenure_spec::{ContainerSpec, RestartPolicy};

use super::Plan;
use super::assume::{Assumed, told};

/// Every warning, in the order of the containers, the pod's first.
pub(super) fn all(plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    let told = |reason| plan.told.iter().any(|told| told.notice.reason == reason);
    if told(Reason::DeadlineExceeded) {
        let deadline = plan.spec.active_deadline_seconds.unwrap_or_default();
        warnings.push(format!(
            "the pod is ended by its activeDeadlineSeconds of {deadline} s"
        ));
    } else if plan.ready.is_none() && plan.stop.is_some() {
        warnings.push("the pod is never ready".into());
    }
    for (index, (container, assumed)) in plan.spec.all_containers().zip(&plan.assumed).enumerate() {
        let mut say = |text: String| warnings.push(format!("{}: {text}", container.name));
        of_start(container, assumed, &mut say);
        of_restarts(plan, index, assumed, &mut say);
        of_stop(plan, index, assumed, container, &mut say);
        of_probes(plan, index, container, &mut say);
    }
    warnings
}

fn of_start(container: &ContainerSpec, assumed: &Assumed, say: &mut impl FnMut(String)) {
    let assumption = &assumed.assumption;
    if assumed.kind == ContainerKind::Init && assumption.runs.is_none() {
        say("this init container never ends: nothing after it starts".into());
    }
    if container.lifecycle.post_start.is_some() {
        if assumption.post_start.is_none() {
            say("postStart hangs: the container is never ready, and nothing after it starts".into());
        } else if assumption.post_start_fails {
            say("postStart fails: the container is killed".into());
        }
    }
}

fn of_restarts(plan: &Plan, index: usize, assumed: &Assumed, say: &mut impl FnMut(String)) {
    let is_told = |reason| {
        let mut events = plan.told.iter();
        events
            .any(|told| told.notice.reason == reason && told.notice.container.is_some_and(|at| at.0 == index))
    };
    if is_told(Reason::RestartingAllContainers) {
        let code = assumed.assumption.exit.shell_code();
        say(format!(
            "ends with {code}, and all containers of the pod are restarted (its restartPolicyRules say so)"
        ));
    } else if is_told(Reason::BackOff) {
        let policy = match plan.spec.restart_policy {
            RestartPolicy::Always => "Always",
            RestartPolicy::OnFailure => "OnFailure",
            RestartPolicy::Never => "Never",
        };
        let code = assumed.assumption.exit.shell_code();
        say(format!(
            "ends with {code} and is restarted with growing back-off (the pod's restartPolicy is {policy})"
        ));
    }
}

fn of_stop(
    plan: &Plan,
    index: usize,
    assumed: &Assumed,
    container: &ContainerSpec,
    say: &mut impl FnMut(String),
) {
    let grace = plan.grace;
    let takes = assumed.assumption.pre_stop;
    if container.lifecycle.pre_stop.is_some() && takes.is_none_or(|takes| takes >= Duration::from_secs(grace))
    {
        let length = takes.map_or_else(|| "hangs".into(), |takes| format!("takes {}", told(takes)));
        say(format!(
            "preStop {length}, and the grace is {grace} s: it is cut off, and the program has 2 s from its stop signal \
             to SIGKILL"
        ));
    }
    if let Some(why) = assumed.deaf.filter(|_| assumed.kind != ContainerKind::Init) {
        say(format!(
            "its program runs as process 1 and takes no notice of SIGTERM ({why}); let it trap the signal, `exec` a program \
             that does, or set shareProcessNamespace"
        ));
    }
    let is_killed = plan.told.iter().any(|told| {
        told.notice.reason == Reason::Killed
            && told
                .notice
                .container
                .is_some_and(|container| container.0 == index)
    });
    if is_killed {
        say(format!(
            "does not end within the grace of {grace} s: SIGKILL, exit code 137"
        ));
    }
}

fn of_probes(plan: &Plan, index: usize, container: &ContainerSpec, say: &mut impl FnMut(String)) {
    let pods = plan.spec.termination_grace_period_seconds;
    let probes = &container.probes;
    for (name, probe) in [
        ("livenessProbe", &probes.liveness),
        ("startupProbe", &probes.startup),
    ] {
        let grace = probe
            .as_ref()
            .and_then(|probe| probe.termination_grace_period_seconds);
        if let Some(grace) = grace.filter(|grace| *grace > pods) {
            say(format!(
                "{name}.terminationGracePeriodSeconds is {grace} s, above the pod's {pods} s: a container that fails its \
                 probe is given longer than one that is stopped"
            ));
        }
    }
    let is_told = |reason| {
        let mut events = plan.told.iter();
        events
            .any(|told| told.notice.reason == reason && told.notice.container.is_some_and(|at| at.0 == index))
    };
    if is_told(Reason::Unhealthy)
        && is_told(Reason::Killing)
        && !is_told(Reason::Ready)
        && probes.startup.is_some()
    {
        say("its startup probe gives up before it is ready: it is killed".into());
    }
}
