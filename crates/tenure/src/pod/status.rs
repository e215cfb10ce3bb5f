//! `tenure pod status`.

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tenure_engine::{Observed, Published, Supervisor, observe};
use tenure_lifecycle::{ContainerState, ContainerStatus, Terminated, Timestamp};

use super::list::{ready, shown_phase};
use super::{age, kubernetes, until};
use crate::context::Context;
use crate::exit::{Code, CommandError, flatten};
use crate::output;

/// Shows what a pod and its containers are doing
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tenure pod status web\n  \
                        tenure pod status web -o json | jq .status.phase    the Kubernetes v1 Pod object")]
pub(crate) struct StatusArgs {
    /// The pod
    #[arg(value_name = "NAME")]
    name: String,
    /// The form of the status [default: text]
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

/// `-o`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The Kubernetes v1 Pod object
    Json,
    /// The same as YAML
    Yaml,
}

/// Shows a pod's status.
///
/// # Errors
/// When there is no such pod.
pub(crate) fn execute(context: &Context, args: &StatusArgs) -> Result<Code, CommandError> {
    let observed = observe(&context.root()?, &args.name)?;
    let text = match args.output {
        None => text(&observed),
        Some(Format::Json) => {
            let object = kubernetes::object(&observed);
            serde_json::to_string_pretty(&object).context("cannot write the pod as JSON")? + "\n"
        }
        Some(Format::Yaml) => {
            let object = kubernetes::object(&observed);
            serde_saphyr::to_string(&object).context("cannot write the pod as YAML")?
        }
    };
    output::print(&text)
}

/// The status for people.
fn text(pod: &Observed) -> String {
    let supervisor = match pod.supervisor {
        Supervisor::Alive { pid } if pid > 0 => format!("supervisor {pid}"),
        Supervisor::Alive { .. } => "supervisor alive".into(),
        Supervisor::Ended => "ended".into(),
        Supervisor::Dead => format!("supervisor died; `tenure pod stop {}` cleans up", pod.name),
    };
    let mut text = format!(
        "Pod {}: {}, ready {}, {supervisor}\n",
        pod.name,
        shown_phase(pod),
        ready(pod)
    );
    let Some(published) = &pod.published else {
        return text;
    };
    for line in [&published.status.reason, &published.status.message] {
        if !line.is_empty() {
            text.push_str(&format!("  {}\n", flatten(line)));
        }
    }
    let heading = ["CONTAINER", "STATE", "RESTARTS", "NOW", "LAST EXIT"];
    let mut rows = vec![heading.map(String::from).to_vec()];
    let inits = kubernetes::init_count(pod);
    for (index, container) in published.status.containers.iter().enumerate() {
        let name = match index < inits {
            true => format!("{} (init)", container.name),
            false => container.name.clone(),
        };
        rows.push(vec![
            name,
            state(published, container),
            container.restart_count.to_string(),
            activity(published, container),
            container
                .last
                .as_ref()
                .map_or_else(|| "-".into(), |ended| exit(published, ended)),
        ]);
    }
    text.push_str(&output::table(&rows));
    for container in &published.status.containers {
        let message = message(container);
        if !message.is_empty() {
            text.push_str(&format!("{}: {}\n", container.name, flatten(message)));
        }
    }
    text
}

/// What the state has to say in words: why a container does not start, or its termination message.
fn message(container: &ContainerStatus) -> &str {
    match &container.state {
        ContainerState::Waiting { message, .. } => message,
        ContainerState::Running { .. } => "",
        ContainerState::Terminated(ended) => &ended.message,
    }
}

/// `Running 3m`, `Waiting CrashLoopBackOff`, `Terminated Error 137, 2s ago`.
fn state(published: &Published, container: &ContainerStatus) -> String {
    match &container.state {
        ContainerState::Waiting { reason, .. } => format!("Waiting {reason}"),
        ContainerState::Running { started_at } => format!("Running {}", since(published, *started_at)),
        ContainerState::Terminated(ended) => format!("Terminated {}", exit(published, ended)),
    }
}

/// `Error 137, 12s ago`.
fn exit(published: &Published, ended: &Terminated) -> String {
    let ago = since(published, ended.finished_at);
    format!("{} {}, {ago} ago", ended.reason, ended.exit_code)
}

/// What goes on inside the state, and until when: `preStop, 27s left`.
pub(super) fn activity(published: &Published, container: &ContainerStatus) -> String {
    let limit = container
        .activity_until
        .and_then(|at| published.wall_clock(at))
        .map(until);
    match (container.activity.as_str(), limit) {
        ("", _) => "-".into(),
        (activity, None) => activity.into(),
        (activity, Some(left)) => format!("{activity}, at most {left} more"),
    }
}

/// How long ago a point of the machine's time was.
fn since(published: &Published, at: Timestamp) -> String {
    published.wall_clock(at).map_or_else(|| "?".into(), age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_container_has_a_line_with_its_state_and_last_exit() {
        let root = tempfile::tempdir().unwrap();
        let text = text(&kubernetes::tests::observed(root.path()));
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("Pod web: Running, ready 1/1, supervisor 7"),
            "{text}"
        );
        assert!(
            lines[2].starts_with("setup (init)  Terminated Error 137,"),
            "{text}"
        );
        assert!(lines[3].starts_with("app           Running "), "{text}");
        assert!(lines[3].contains("Error 137,"), "{text}");
    }
}
