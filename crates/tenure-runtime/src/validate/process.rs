//! `process`, of a configuration or for exec.

use std::collections::HashSet;

use libcontainer::oci_spec::runtime::{LinuxSchedulerPolicy, Process, Scheduler};

use super::{Fault, fault};
use crate::selinux;

/// Checks a process, of a configuration or for `exec`.
pub(crate) fn validate_process(process: &Process) -> Result<(), Fault> {
    let args = process.args().as_deref().unwrap_or_default();
    if args.first().is_none_or(String::is_empty) {
        return fault("args", "must hold at least the program");
    }
    if let Some(i) = args.iter().position(|a| a.contains('\0')) {
        return fault(format!("args[{i}]"), "holds a NUL byte");
    }
    for (i, variable) in process.env().iter().flatten().enumerate() {
        if variable.contains('\0') {
            return fault(format!("env[{i}]"), "holds a NUL byte");
        }
        if variable.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
            return fault(format!("env[{i}]"), format!("\"{variable}\" is not NAME=VALUE"));
        }
    }
    if !process.cwd().is_absolute() {
        return fault(
            "cwd",
            format!("\"{}\" must be an absolute path", process.cwd().display()),
        );
    }
    let mut seen = HashSet::new();
    for (i, limit) in process.rlimits().iter().flatten().enumerate() {
        if !seen.insert(limit.typ().to_string()) {
            return fault(
                format!("rlimits[{i}].type"),
                format!("{} is given twice", limit.typ()),
            );
        }
        if limit.soft() > limit.hard() {
            return fault(
                format!("rlimits[{i}]"),
                format!("soft {} is above hard {}", limit.soft(), limit.hard()),
            );
        }
    }
    if process.user().umask().is_some_and(|u| u > 0o777) {
        return fault("user.umask", "must be 0 to 0777");
    }
    if process
        .oom_score_adj()
        .is_some_and(|s| !(-1000..=1000).contains(&s))
    {
        return fault("oomScoreAdj", "must be -1000 to 1000");
    }
    if let Some(priority) = process.io_priority().as_ref().map(|p| p.priority())
        && !(0..8).contains(&priority)
    {
        return fault("ioPriority.priority", format!("{priority} is not from 0 to 7"));
    }
    if let Some(scheduler) = process.scheduler() {
        check_scheduler(scheduler).map_err(|(at, reason)| (format!("scheduler.{at}"), reason))?;
    }
    security_modules(process)
}

/// Each policy has values of its own; those of another one are a mistake.
fn check_scheduler(scheduler: &Scheduler) -> Result<(), Fault> {
    use LinuxSchedulerPolicy as Policy;
    let policy = *scheduler.policy();
    if let Some(nice) = scheduler.nice().filter(|n| *n != 0) {
        if !matches!(policy, Policy::SchedOther | Policy::SchedBatch) {
            return fault(
                "nice",
                format!("goes with SCHED_OTHER and SCHED_BATCH only, not {policy}"),
            );
        }
        if !(-20..=19).contains(&nice) {
            return fault("nice", format!("{nice} is not from -20 to 19"));
        }
    }
    let priority = scheduler.priority().unwrap_or(0);
    if matches!(policy, Policy::SchedFifo | Policy::SchedRr) {
        if !(1..=99).contains(&priority) {
            return fault("priority", format!("{priority} is not from 1 to 99"));
        }
    } else if priority != 0 {
        return fault(
            "priority",
            format!("goes with SCHED_FIFO and SCHED_RR only, not {policy}"),
        );
    }
    let times = [
        ("runtime", scheduler.runtime()),
        ("deadline", scheduler.deadline()),
        ("period", scheduler.period()),
    ];
    match times.iter().find(|(_, time)| time.is_some_and(|t| t != 0)) {
        Some((at, _)) if policy != Policy::SchedDeadline => {
            fault(*at, format!("goes with SCHED_DEADLINE only, not {policy}"))
        }
        _ => Ok(()),
    }
}

fn security_modules(process: &Process) -> Result<(), Fault> {
    let set = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
    if set(process.selinux_label()) && !selinux::is_enabled() {
        return fault("selinuxLabel", selinux::DISABLED);
    }
    if set(process.apparmor_profile()) && !libcontainer::apparmor::is_enabled().unwrap_or(false) {
        return fault(
            "apparmorProfile",
            "is given, but AppArmor is not enabled on this host",
        );
    }
    Ok(())
}
