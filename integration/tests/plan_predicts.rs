//! `tenure pod plan` says beforehand what happens: the order of every container's events, and their times.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tenure_integration::{
    Container, Host, Manifest, exec, host, seconds_between, shell, sleep, tolerance, wait_until,
};

/// What is compared; output of handlers and probes is not.
const COMPARED: [&str; 8] = [
    "Created",
    "Started",
    "HookStarted",
    "HookSucceeded",
    "Killing",
    "Killed",
    "Exited",
    "BackOff",
];
/// Ends with 0 as soon as it is told to; what it does while it waits is over within a tenth of a second.
const SERVES: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
/// Only SIGKILL ends it.
const STUBBORN: &str = "trap '' TERM; while :; do sleep 0.1; done";

fn serves(name: &str) -> Container {
    shell(name, SERVES)
}

fn always(container: Container) -> Container {
    container.set("restartPolicy", "Always")
}

/// A probe of a file that the container makes when it is up. It fails far fewer times than it may.
fn finds(path: &str) -> Value {
    json!({ "exec": { "command": ["test", "-e", path] }, "periodSeconds": 1, "failureThreshold": 30 })
}

fn pod() -> Manifest {
    Manifest::new().grace(4)
}

/// Twenty lives, each with what is to be assumed of it beyond what its commands show. No two things of one life
/// happen so close together that a busy machine could swap them: ends, probes and the stop are half a second apart.
#[allow(clippy::too_many_lines)] // A table.
fn samples() -> Vec<(&'static str, Manifest, &'static [&'static str])> {
    let ready = |name| {
        shell(
            name,
            "sleep 1.5; : >/tmp/up; trap 'exit 0' TERM; while :; do sleep 0.1; done",
        )
    };
    let probed = |name, probe| ready(name).set(probe, finds("/tmp/up"));
    vec![
        ("a server", pod().app(serves("web")), &[]),
        ("two servers", pod().app(serves("web")).app(serves("cache")), &[]),
        ("a job", pod().app(shell("job", "sleep 1; exit 0")), &[]),
        ("a failing job", pod().app(shell("job", "sleep 1; exit 3")), &[]),
        (
            "an init",
            pod().init(shell("setup", "sleep 1; exit 0")).app(serves("web")),
            &[],
        ),
        (
            "two inits",
            pod()
                .init(shell("one", "sleep 1"))
                .init(shell("two", "sleep 1"))
                .app(serves("web")),
            &[],
        ),
        (
            "a failing init",
            pod().init(shell("setup", "sleep 1; exit 2")).app(serves("web")),
            &[],
        ),
        (
            "a job that is tried again only on failure",
            pod()
                .restart_policy("OnFailure")
                .app(shell("job", "sleep 1; exit 0")),
            &[],
        ),
        ("a stubborn app", pod().app(shell("app", STUBBORN)), &[]),
        (
            "postStart",
            pod()
                .app(serves("web").post_start(exec("sleep 1")))
                .app(serves("cache")),
            &[],
        ),
        (
            "a failing postStart",
            pod().app(serves("web").post_start(exec("sleep 1; exit 1"))),
            &[],
        ),
        ("preStop", pod().app(serves("web").pre_stop(exec("sleep 1"))), &[]),
        (
            "a failing preStop",
            pod().app(serves("web").pre_stop(exec("exit 1"))),
            &[],
        ),
        (
            "a preStop that sleeps",
            pod().app(serves("web").pre_stop(sleep(2))),
            &[],
        ),
        (
            "a preStop that outlives the grace",
            pod().app(serves("web").pre_stop(exec("sleep 60"))),
            &[],
        ),
        (
            "a crash loop",
            pod()
                .restart_policy("Always")
                .app(shell("app", "sleep 0.5; exit 1")),
            &[],
        ),
        (
            "a sidecar",
            pod()
                .init(always(serves("proxy")))
                .app(shell("job", "sleep 1; exit 0")),
            &[],
        ),
        (
            "two sidecars in front of a server",
            pod()
                .init(always(serves("proxy")))
                .init(always(serves("log")))
                .app(serves("web")),
            &[],
        ),
        (
            "a startup probe",
            pod()
                .init(always(probed("db", "startupProbe")))
                .app(serves("web")),
            &["db.ready-after=1500ms", "db.runs=forever"],
        ),
        (
            "a readiness probe",
            pod().app(probed("web", "readinessProbe")),
            &["web.ready-after=1500ms", "web.runs=forever"],
        ),
    ]
}

/// An event of a container: which, what, and the seconds since the sandbox was there.
type Moment = (String, String, f64);

/// What is planned: moments in order, and when the pod is stopped.
fn planned(host: &Host, manifest: &Manifest, assumptions: &[&str]) -> (Vec<Moment>, Option<f64>) {
    let (_, path) = host.write(manifest);
    let mut arguments = vec![
        "pod",
        "plan",
        path.to_str().unwrap(),
        "-o",
        "json",
        "--stop-after",
        "2s",
    ];
    arguments.extend(assumptions.iter().flat_map(|assumption| ["--assume", assumption]));
    let plan: Value = serde_json::from_str(&host.run(&arguments).ok().stdout).unwrap();
    let moments = plan["events"].as_array().unwrap().iter().filter_map(|event| {
        let container = event["container"].as_str()?;
        let reason = event["reason"].as_str()?;
        Some((container.to_owned(), reason.to_owned(), event["at"].as_f64()?))
    });
    (moments.collect(), plan["stopAt"].as_f64())
}

/// What happens when the pod is stopped at that time.
fn lived(host: &Host, manifest: &Manifest, stop: Option<f64>) -> Vec<Moment> {
    let pod = host.start(manifest);
    let events = || {
        wait_until(Duration::from_secs(20), || {
            Some(pod.events()).filter(|events| !events.is_empty())
        })
    };
    let begin = events().expect("events")[0].time;
    if let Some(stop) = stop {
        let left = stop - seconds_between(begin, Timestamp::now());
        std::thread::sleep(Duration::from_secs_f64(left.max(0.0)));
        pod.stop(&[]).outcome.ok();
    }
    pod.finish();
    let events = pod.events().into_iter();
    let moments =
        events.filter_map(|event| Some((event.container?, event.reason, seconds_between(begin, event.time))));
    moments.collect()
}

/// The events of one container that are compared.
fn of<'m>(moments: &'m [Moment], name: &str) -> Vec<(&'m str, f64)> {
    let own = moments
        .iter()
        .filter(|(container, reason, _)| container == name && COMPARED.contains(&reason.as_str()));
    own.map(|(_, reason, at)| (reason.as_str(), *at)).collect()
}

fn compare(what: &str, planned: &[Moment], lived: &[Moment]) -> Result<(), String> {
    let mut names: Vec<&str> = planned
        .iter()
        .chain(lived)
        .map(|(name, _, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    // A second is what a machine with nothing else to do keeps; here many tests run at once.
    let slack = 4.0 * tolerance();
    for name in names {
        let (planned, lived) = (of(planned, name), of(lived, name));
        let differs = || {
            Err(format!(
                "{what}: {name}\n  planned {planned:.2?}\n  lived   {lived:.2?}"
            ))
        };
        let same_order = planned
            .iter()
            .map(|(reason, _)| reason)
            .eq(lived.iter().map(|(reason, _)| reason));
        let same_times = planned
            .iter()
            .zip(&lived)
            .all(|((_, planned), (_, lived))| (planned - lived).abs() <= slack);
        if !same_order || !same_times {
            return differs();
        }
    }
    Ok(())
}

#[test]
fn twenty_lives_go_as_planned() {
    let samples = samples();
    assert_eq!(samples.len(), 20);
    let mut faults = Vec::new();
    // A few at a time: the times are what is tested.
    for few in samples.chunks(4) {
        let results = std::thread::scope(|scope| {
            let lives: Vec<_> = few
                .iter()
                .enumerate()
                .map(|(place, (what, manifest, assumptions))| {
                    scope.spawn(move || {
                        let Some(host) = host(&format!("plan-{place}")) else {
                            return Ok(());
                        };
                        let host = &host;
                        let (planned, stop) = planned(host, manifest, assumptions);
                        compare(what, &planned, &lived(host, manifest, stop))
                    })
                })
                .collect();
            lives
                .into_iter()
                .map(|life| life.join().unwrap())
                .collect::<Vec<_>>()
        });
        faults.extend(results.into_iter().filter_map(Result::err));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_plan_runs_nothing_and_warns() {
    let Some(host) = host("plan-warns") else { return };
    let app = shell("app", "sleep 1000").pre_stop(exec("sleep 60"));
    let (_, path) = host.write(&pod().app(app));
    let path = path.to_str().unwrap();
    let plan = host.run(&["pod", "plan", path]).ok().stdout;
    for part in ["nothing was run", "process 1", "preStop takes 60 s", "SIGKILL"] {
        assert!(plan.contains(part), "{part} is not in\n{plan}");
    }
    assert!(
        host.run(&["pod", "plan", path, "-o", "svg"])
            .ok()
            .stdout
            .starts_with("<svg ")
    );
    host.run(&["pod", "plan", path, "--assume", "nobody.exit=1"])
        .expect_code(2)
        .one_line_of_error();
    host.run(&["pod", "plan", path, "--assume", "app.exit=many"])
        .expect_code(2);
    host.assert_nothing_runs();
}
