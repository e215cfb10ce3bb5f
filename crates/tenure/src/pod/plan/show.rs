//! A planned life on paper.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tenure_engine::PodEvent;
use tenure_lifecycle::simulate::Told;
use tenure_lifecycle::{NoticeKind, Timestamp};

use super::Plan;
use crate::exit::flatten;
use crate::output;
use crate::pod::timeline::{self, Look, Member, Story};

/// Assumptions, the time line of start and stop, the picture, the warnings.
pub(super) fn text(plan: &Plan, warnings: &[String], look: &Look) -> String {
    let mut text = format!(
        "Plan for pod {}: nothing was run.\n\nAssumed (change with --assume)\n",
        plan.spec.name
    );
    let names: Vec<Vec<String>> = plan
        .spec
        .all_containers()
        .zip(&plan.assumed)
        .map(|(container, assumed)| vec![format!("  {}", container.name), assumed.words(container)])
        .collect();
    text.push_str(&output::table(&names));
    let is_stop = |told: &&Told| plan.stop.is_some_and(|stop| told.at >= stop);
    let (stop, start): (Vec<&Told>, Vec<&Told>) = plan.told.iter().partition(is_stop);
    let _ = write!(text, "\nStart{}\n", ready(plan));
    text.push_str(&lines(plan, &start));
    if let Some(at) = plan.stop {
        let _ = write!(
            text,
            "\nStop at {}, with a grace of {} s\n",
            seconds(at),
            plan.grace
        );
        text.push_str(&lines(plan, &stop));
    }
    let phase = plan.status.phase.as_str();
    match plan.status.finished_at {
        Some(_) => {
            let _ = write!(
                text,
                "\nEnds as {phase} with exit code {}.\n",
                plan.status.exit_code
            );
        }
        None => {
            let _ = write!(text, "\nIs still {phase} after a year.\n");
        }
    }
    text.push('\n');
    text.push_str(&timeline::text::picture(&story(plan), look));
    if !warnings.is_empty() {
        text.push_str("\nWarnings\n");
        for warning in warnings {
            let _ = writeln!(text, "  ! {warning}");
        }
    }
    text
}

fn ready(plan: &Plan) -> String {
    plan.ready
        .map_or_else(String::new, |ready| format!(", ready at {}", seconds(ready)))
}

fn lines(plan: &Plan, told: &[&Told]) -> String {
    let rows: Vec<Vec<String>> = told
        .iter()
        .map(|told| {
            let warning = match told.notice.kind {
                NoticeKind::Normal => "",
                NoticeKind::Warning => "! ",
            };
            vec![
                format!("  {:>9}", seconds(told.at)),
                container(plan, told).unwrap_or("-").to_owned(),
                format!("{warning}{}", told.notice.reason.as_str()),
                flatten(&told.notice.message),
            ]
        })
        .collect();
    output::table(&rows)
}

fn container<'p>(plan: &'p Plan, told: &Told) -> Option<&'p str> {
    let place = told.notice.container?;
    plan.assumed.get(place.0).map(|assumed| assumed.name.as_str())
}

fn seconds(at: Timestamp) -> String {
    format!("+{:.3}s", at.since_origin().as_secs_f64())
}

/// The whole plan for scripts. Times are seconds from the beginning.
pub(super) fn json(plan: &Plan, warnings: &[String]) -> Value {
    let number = |at: Timestamp| at.since_origin().as_secs_f64();
    let events: Vec<Value> = plan
        .told
        .iter()
        .map(|told| {
            json!({
                "at": number(told.at),
                "type": told.notice.kind,
                "reason": told.notice.reason.as_str(),
                "container": container(plan, told),
                "message": told.notice.message,
            })
        })
        .collect();
    json!({
        "pod": plan.spec.name,
        "events": events,
        "readyAt": plan.ready.map(number),
        "stopAt": plan.stop.map(number),
        "finishedAt": plan.status.finished_at.map(number),
        "phase": plan.status.phase.as_str(),
        "exitCode": plan.status.exit_code,
        "warnings": warnings,
    })
}

/// The planned life as one that could be drawn.
pub(super) fn story(plan: &Plan) -> Story {
    let inits = plan.spec.init_containers.len();
    let members: Vec<Member> = plan
        .spec
        .all_containers()
        .enumerate()
        .map(|(index, container)| Member {
            name: container.name.clone(),
            kind: timeline::kind(
                index < inits,
                container.restart_policy == Some(tenure_spec::RestartPolicy::Always),
            ),
        })
        .collect();
    let events: Vec<PodEvent> = plan
        .told
        .iter()
        .map(|told| PodEvent {
            time: moment(told.at),
            kind: told.notice.kind,
            reason: told.notice.reason.as_str().into(),
            container: container(plan, told).map(String::from),
            message: told.notice.message.clone(),
        })
        .collect();
    Story::plan(&plan.spec.name, &members, &events)
}

/// A time of no day in particular.
fn moment(at: Timestamp) -> String {
    let since = i64::try_from(at.since_origin().as_micros()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_microsecond(since).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.9}")
}
