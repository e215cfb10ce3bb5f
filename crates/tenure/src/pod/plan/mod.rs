//! `tenure pod plan`: a pod's life without running it.
//!
//! ```text
//! manifest, bundles ─▶ assume: how each container behaves, and why ─▶ Simulation ─▶ time line, picture
//!                              ▲                                         │
//!                          --assume                                      └─▶ warn: what will go wrong
//! ```

mod assume;
mod program;
mod show;
mod warn;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tenure_lifecycle::simulate::{Simulation, Told};
use tenure_lifecycle::{ConditionType, PodPlan, PodStatus, Request, Timestamp};
use tenure_spec::PodSpec;

use self::assume::{Assumed, Override};
use super::sources::SourceArgs;
use super::{manifest, timeline};
use crate::exit::{Code, CommandError};
use crate::output;

/// How long the simulated clock may run without the pod becoming ready.
const LONGEST_START: Duration = Duration::from_secs(3600);
/// When a pod that never becomes ready is looked at for the last time.
const NEVER_READY: Timestamp = Timestamp::from_secs(60);
/// How long it may run after the stop.
const LONGEST_STOP: Duration = Duration::from_secs(365 * 86_400);

/// Simulates a pod's life without running anything
///
/// The machine that runs pods is driven by a simulated clock. What containers do is assumed: from their commands where
/// that can be seen (`sleep 5`, `exit 1`), else that init containers end at once and that apps run until they are
/// stopped. --assume says otherwise.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tenure pod plan web.yaml\n  tenure pod plan web.yaml --assume migrate.runs=40s --assume \
                  web.stops-in=12s\n  tenure pod plan web.yaml --assume web.exit=1 --assume web.runs=3s -o svg > plan.svg\n\n\
                  Assumptions, CONTAINER.KEY=VALUE:\n  runs=TIME|forever     how long its program runs when left alone\n  \
                  exit=CODE             how it ends then\n  stops-in=TIME|never   how long it takes to end after its stop \
                  signal\n  stop-exit=CODE        how it ends then\n  post-start=TIME|hang|fail, pre-stop=TIME|hang|fail\n  \
                  create=TIME           how long its creation takes\n  \
                  ready-after=TIME|never, unhealthy-after=TIME|never    what its probes find, from its start\n\nTIME is like 250ms, 5s, 2m; a bare number is seconds."
)]
pub(crate) struct PlanArgs {
    /// A Kubernetes v1 Pod in YAML or JSON; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    sources: SourceArgs,
    /// What to assume of a container
    #[arg(long, value_name = "CONTAINER.KEY=VALUE")]
    assume: Vec<Override>,
    /// Stop the pod so long after it is ready
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = assume::time)]
    stop_after: Duration,
    /// Stop it with this grace instead of its own
    #[arg(long, value_name = "SECONDS")]
    grace: Option<u64>,
    /// The form of the plan
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

/// `-o`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Assumptions, the time line, a picture, warnings
    Text,
    /// The same as one JSON object
    Json,
    /// The picture for documents
    Svg,
}

/// A simulated life.
struct Plan {
    spec: PodSpec,
    assumed: Vec<Assumed>,
    told: Vec<Told>,
    status: PodStatus,
    /// When the pod was ready for the first time.
    ready: Option<Timestamp>,
    /// When it was asked to stop, unless it had ended by then.
    stop: Option<Timestamp>,
    grace: u64,
}

/// Shows what would happen.
///
/// # Errors
/// When the manifest is invalid, or an assumption is about a container that it has not (2).
pub(crate) fn execute(args: &PlanArgs) -> Result<Code, CommandError> {
    let manifest = manifest::read(&args.file, &args.sources)?;
    let assumed = assume::all(&manifest.pod, &args.assume)?;
    let plan = simulate(manifest.pod, assumed, args);
    let warnings = warn::all(&plan);
    output::print(&match args.output {
        Format::Text => show::text(&plan, &warnings, &timeline::look(None)),
        Format::Json => show::json(&plan, &warnings).to_string() + "\n",
        Format::Svg => timeline::svg::draw(&show::story(&plan)),
    })
}

/// Lives the life twice: once to see when the pod is ready, and once with a stop after that.
fn simulate(spec: PodSpec, assumed: Vec<Assumed>, args: &PlanArgs) -> Plan {
    let begin = || {
        let assumptions = assumed.iter().map(|assumed| assumed.assumption.clone()).collect();
        Simulation::new(PodPlan::from(&spec), assumptions)
    };
    let mut start = begin();
    let limit = Timestamp::from_origin(LONGEST_START);
    start.run(limit, |status| is_ready(status) || status.finished_at.is_some());
    let ready = is_ready(&start.status()).then(|| start.now());
    let stop = ready.unwrap_or(start.now().min(NEVER_READY)) + args.stop_after;
    let mut life = begin();
    life.request(stop, Request::Stop { grace: args.grace });
    life.run(stop + LONGEST_STOP, |_| false);
    let status = life.status();
    // One that waits for its next start has ended the moment it is asked to.
    let stopped =
        status.finished_at.is_none_or(|finished| finished > stop) || status.stopping_since == Some(stop);
    Plan {
        told: life.told().to_vec(),
        status,
        ready,
        stop: stopped.then_some(stop),
        grace: args.grace.unwrap_or(spec.termination_grace_period_seconds),
        assumed,
        spec,
    }
}

fn is_ready(status: &PodStatus) -> bool {
    status
        .conditions
        .iter()
        .any(|condition| condition.kind == ConditionType::Ready && condition.holds)
}

#[cfg(test)]
mod tests {
    use tenure_spec::manifest::{Origin, load};

    use super::*;

    #[allow(clippy::unwrap_used)]
    fn planned(containers: &str, arguments: &[&str]) -> (Plan, Vec<String>) {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            plan: PlanArgs,
        }
        let text = format!("{{apiVersion: v1, kind: Pod, metadata: {{name: web}}, spec: {{{containers}}}}}");
        let origin = Origin {
            file: "web.yaml".into(),
            dir: "/".into(),
        };
        let spec = load(text.as_bytes(), &origin).unwrap().pod;
        let words = ["plan", "web.yaml"].iter().chain(arguments);
        let args = <Line as clap::Parser>::parse_from(words).plan;
        let assumed = assume::all(&spec, &args.assume).unwrap();
        let plan = simulate(spec, assumed, &args);
        let warnings = warn::all(&plan);
        (plan, warnings)
    }

    fn reasons(plan: &Plan) -> Vec<(u128, &'static str)> {
        let told = plan
            .told
            .iter()
            .map(|told| (told.at.since_origin().as_millis(), told.notice.reason.as_str()));
        told.collect()
    }

    #[test]
    fn a_server_is_stopped_ten_seconds_after_it_is_ready() {
        let app = "containers: [{name: web, image: 'bundle:b', command: [/server]}]";
        let (plan, warnings) = planned(app, &[]);
        assert_eq!(plan.ready, Some(Timestamp::from_millis(25)));
        assert_eq!(plan.stop, Some(Timestamp::from_millis(10_025)));
        assert!(
            reasons(&plan).contains(&(10_025, "Killing")),
            "{:?}",
            reasons(&plan)
        );
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn what_will_go_wrong_is_warned_of() {
        let pod = "terminationGracePeriodSeconds: 5, initContainers: [{name: setup, image: 'bundle:b', command: \
                   [sleep, infinity]}], containers: [{name: web, image: 'bundle:b', command: [/server]}]";
        let (plan, warnings) = planned(pod, &[]);
        assert_eq!(plan.ready, None);
        assert!(
            warnings.iter().any(|warning| warning.contains("never ends")),
            "{warnings:?}"
        );
        let pod = "terminationGracePeriodSeconds: 5, containers: [{name: web, image: 'bundle:b', command: [sh, -c, \
                   'while :; do sleep 1; done'], lifecycle: {preStop: {exec: {command: [sleep, '9']}}}}]";
        let (_, warnings) = planned(pod, &[]);
        for part in ["process 1", "preStop", "SIGKILL"] {
            assert!(
                warnings.iter().any(|warning| warning.contains(part)),
                "{part}: {warnings:?}"
            );
        }
    }

    #[test]
    fn assumptions_are_taken_from_the_command_line() {
        let app = "restartPolicy: Never, containers: [{name: web, image: 'bundle:b', command: [/server]}]";
        let (plan, _) = planned(app, &["--assume", "web.runs=3s", "--assume", "web.exit=7"]);
        assert_eq!((plan.status.exit_code, plan.stop), (7, None));
    }

    #[test]
    fn a_restart_of_all_containers_is_planned_and_warned_of() {
        let pod = "initContainers: [{name: setup, image: 'bundle:b', command: [/setup]}], containers: [{name: job, image: \
                   'bundle:b', command: [/job], restartPolicy: Never, restartPolicyRules: [{action: \
                   RestartAllContainers, exitCodes: {operator: In, values: [88]}}]}]";
        let assume = ["--assume", "job.runs=3s", "--assume", "job.exit=88"];
        let (plan, warnings) = planned(pod, &assume);
        let told = reasons(&plan);
        let at = |reason: &str| told.iter().position(|(_, told)| *told == reason);
        let begins = told.iter().filter(|(_, reason)| *reason == "Created").count();
        // setup and job, both again, and both once more after a wait of 10 s.
        assert_eq!(begins, 4, "{told:?}");
        assert!(at("Exited") < at("RestartingAllContainers"), "{told:?}");
        assert!(at("BackOff").is_some(), "{told:?}");
        assert_eq!(
            warnings,
            [
                "job: ends with 88, and all containers of the pod are restarted (its restartPolicyRules say so)"
            ]
        );
    }

    #[test]
    fn a_pod_that_waits_for_its_next_start_is_told_to_have_been_stopped() {
        // Ends after 10 s, at once again, and then waits for 10 s: it is asked to stop halfway.
        let app = "containers: [{name: app, image: 'bundle:b', command: [/job]}]";
        let (plan, _) = planned(app, &["--stop-after", "25s", "--assume", "app.runs=10s"]);
        assert_eq!(plan.stop, Some(Timestamp::from_millis(25_025)));
        assert_eq!(plan.status.finished_at, plan.stop);
    }
}
