//! Single containers: Tenure's runtime beside others.

use std::time::Duration;

use anyhow::Result;

use crate::measure::{Place, reap};
use crate::options::{Options, Subject};
use crate::report::Report;

/// How long a container is left alone before it starts: long enough for the kernel to have forgotten the last one.
/// Joining a cgroup right after another process has joined one is much cheaper than doing so alone.
const ALONE: Duration = Duration::from_millis(120);

/// A container id of the subject's own: it names the cgroups too, which all subjects share.
fn id(subject: &Subject, round: usize) -> String {
    format!("bench-{}-{}-{round}", std::process::id(), subject.name)
}

/// `run` of `/bin/true`, one right after another or each alone.
pub(crate) fn run(options: &Options, place: &Place, report: &mut Report, alone: bool) -> Result<()> {
    let section = if alone {
        "run of /bin/true, 0.12 s apart"
    } else {
        "run of /bin/true, back to back"
    };
    let bundle = place.bundle();
    for round in 0..=options.rounds {
        for subject in &options.runtimes {
            if alone {
                std::thread::sleep(ALONE);
            }
            let mut command = place.runtime(subject, &["run", "--bundle"]);
            command.arg(&bundle).arg(id(subject, round));
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
    let bundle = place.new_bundle("sleeper", &["/bin/sleep", "100000"]);
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
            let took = place.time(&mut place.runtime(subject, &["exec", &id(subject), "/bin/true"]))?;
            if round > 0 {
                report.add("exec of /bin/true", &subject.name, took);
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
