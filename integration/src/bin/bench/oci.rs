//! Single containers: Tenure's runtime beside others.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::measure::{Place, reap};
use crate::options::{Options, Subject};
use crate::report::Report;
use crate::seccomp;

/// How long a container is left alone before it starts: long enough for the kernel to have forgotten the last one.
/// Joining a cgroup right after another process has joined one is much cheaper than doing so alone.
const ALONE: Duration = Duration::from_millis(120);

/// A container id of the subject's own: it names the cgroups too, which all subjects share.
pub(crate) fn id(subject: &Subject, round: usize) -> String {
    format!("bench-{}-{}-{round}", std::process::id(), subject.name)
}

/// `run` of `/bin/true`, one right after another.
pub(crate) fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let section = "run of /bin/true, back to back";
    run_bundle(options, place, report, (section, &place.bundle(), Duration::ZERO))
}

/// `run` of `/bin/true`, each alone.
pub(crate) fn run_alone(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let section = "run of /bin/true, 0.12 s apart";
    run_bundle(options, place, report, (section, &place.bundle(), ALONE))
}

/// `run` of `/bin/true` under a seccomp profile such as Docker's or podman's default.
pub(crate) fn run_filtered(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let Some(profile) = &options.seccomp else {
        eprintln!("bench: no seccomp profile is installed, and none given by --seccomp");
        return Ok(());
    };
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    let filter = seccomp::section(profile, &capabilities)?;
    let bundle = place.bundle_with("filtered", "/linux/seccomp", filter);
    let section = "run of /bin/true with the default seccomp profile";
    run_bundle(options, place, report, (section, &bundle, Duration::ZERO))
}

/// `run` of `/bin/true` under limits of memory, CPU time and number of processes.
pub(crate) fn run_limited(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let limits = json!({
        "devices": [{ "allow": false, "access": "rwm" }],
        "memory": { "limit": 128 << 20 },
        "cpu": { "shares": 512, "quota": 50_000, "period": 100_000 },
        "pids": { "limit": 64 },
    });
    let bundle = place.bundle_with("limited", "/linux/resources", limits);
    let section = "run of /bin/true with limits of memory, cpu and pids";
    run_bundle(options, place, report, (section, &bundle, Duration::ZERO))
}

/// `run` of a bundle in every round by every subject, after a pause.
fn run_bundle(
    options: &Options,
    place: &Place,
    report: &mut Report,
    (section, bundle, pause): (&'static str, &Path, Duration),
) -> Result<()> {
    for round in 0..=options.rounds {
        for subject in &options.runtimes {
            std::thread::sleep(pause);
            let mut command = place.runtime(subject, &["run", "--bundle"]);
            command.arg(bundle).arg(id(subject, round));
            let took = place.time(&mut command)?;
            // The first round warms up.
            if round > 0 {
                report.add(section, &subject.name, took);
            }
        }
    }
    Ok(())
}

/// `create`, `start` and `delete` of `/bin/true`, and their sum.
pub(crate) fn life(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let (bundle, pid_file) = (place.bundle(), place.path().join("pid"));
    for round in 0..=options.rounds {
        for subject in &options.runtimes {
            let id = id(subject, round);
            let mut create = place.runtime(subject, &["create", "--bundle"]);
            create.arg(&bundle).arg("--pid-file").arg(&pid_file).arg(&id);
            let create = place.time(&mut create)?;
            let start = place.time(&mut place.runtime(subject, &["start", &id]))?;
            reap(&pid_file)?;
            let delete = place.time(&mut place.runtime(subject, &["delete", &id]))?;
            if round > 0 {
                report.add("create", &subject.name, create);
                report.add("start", &subject.name, start);
                report.add("delete", &subject.name, delete);
                report.add("create + start + delete", &subject.name, create + start + delete);
            }
        }
    }
    Ok(())
}

/// `exec` of `/bin/true` in a running container.
pub(crate) fn exec(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    in_running(
        options,
        place,
        report,
        ("exec of /bin/true", |place, subject, id| {
            place.runtime(subject, &["exec", id, "/bin/true"])
        }),
    )
}

/// `state` of a running container.
pub(crate) fn state(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    in_running(
        options,
        place,
        report,
        ("state", |place, subject, id| {
            place.runtime(subject, &["state", id])
        }),
    )
}

/// `kill` of a running container, with a signal that it ignores.
pub(crate) fn kill(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    in_running(
        options,
        place,
        report,
        ("kill", |place, subject, id| {
            place.runtime(subject, &["kill", id, "URG"])
        }),
    )
}

/// A command on a container, by its id.
type OnContainer = fn(&Place, &Subject, &str) -> Command;

/// A command in every round on a running container of every subject.
fn in_running(
    options: &Options,
    place: &Place,
    report: &mut Report,
    (section, command): (&'static str, OnContainer),
) -> Result<()> {
    let name = format!("sleeper-{}", section.replace(['/', ' '], "-"));
    let bundle = place.new_bundle(&name, &["/bin/sleep", "100000"]);
    let pid_file = |name: &str| place.path().join(format!("pid-{name}"));
    let id = |subject: &Subject| id(subject, 0);
    for subject in &options.runtimes {
        let mut run = place.runtime(subject, &["run", "--detach", "--bundle"]);
        place.time(
            run.arg(&bundle)
                .arg("--pid-file")
                .arg(pid_file(&subject.name))
                .arg(id(subject)),
        )?;
    }
    for round in 0..=options.rounds {
        for subject in &options.runtimes {
            let took = place.time(&mut command(place, subject, &id(subject)))?;
            if round > 0 {
                report.add(section, &subject.name, took);
            }
        }
    }
    for subject in &options.runtimes {
        place.time(&mut place.runtime(subject, &["kill", &id(subject), "KILL"]))?;
        reap(&pid_file(&subject.name))?;
        place.time(&mut place.runtime(subject, &["delete", &id(subject)]))?;
    }
    Ok(())
}
