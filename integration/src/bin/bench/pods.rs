//! Pods: Tenure beside `podman kube play`, and what a pod costs while nothing happens.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tenure_integration::{Container, Event, Manifest, parse_events, wait_until};

use crate::measure::{Place, milliseconds};
use crate::options::Options;
use crate::report::Report;

const STARTED: &str = "pod of one init and two apps: until the last app has started";
const WHOLE: &str = "pod of one init and two apps: to its end";
const REMOVED: &str = "pod of one init and two apps: removal";

/// The pod of the issue: one init container and two apps of `/bin/true`.
pub(crate) fn life(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let podman = options
        .podman
        .as_deref()
        .map(|program| Podman::new(program, place))
        .transpose();
    let podman = podman.unwrap_or_else(|error| {
        eprintln!("bench: podman is left out: {error:#}");
        None
    });
    let through: Vec<_> = options.runtimes.iter().skip(1).collect();
    for round in 0..=options.rounds {
        tenure_pod(options, place, (report, round, "tenure"), &[])?;
        for runtime in &through {
            let name = format!("tenure over {}", runtime.name);
            let path = runtime.path.to_string_lossy().into_owned();
            tenure_pod(options, place, (report, round, &name), &["--runtime", &path])?;
        }
        // podman takes tens of times as long; a few rounds tell as much.
        if let Some(podman) = podman.as_ref().filter(|_| round <= 5) {
            let took = place.time(&mut podman.command(&["kube", "play", &podman.manifest]))?;
            let removed = place.time(&mut podman.command(&["kube", "down", &podman.manifest]))?;
            if round > 0 {
                report.add(STARTED, "podman kube play (host network)", took);
                report.add(REMOVED, "podman kube play (host network)", removed);
            }
        }
    }
    Ok(())
}

/// One life of the pod under Tenure.
fn tenure_pod(
    options: &Options,
    place: &Place,
    (report, round, name): (&mut Report, usize, &str),
    flags: &[&str],
) -> Result<()> {
    let program = |name: &str| Container::new(name, &["/bin/true"]);
    let manifest = Manifest::new()
        .init(program("init"))
        .app(program("a"))
        .app(program("b"));
    let pod = format!("bench-{}-{round}", std::process::id());
    let file = write(place, &pod, manifest)?;
    let begun = Timestamp::now();
    let mut run = place.runtime(options.tenure(), &["pod", "run"]);
    let whole = place.time(run.args(flags).arg(&file))?;
    let started = events(place, options, &pod)
        .into_iter()
        .filter(|event| event.reason == "Started")
        .map(|event| event.time)
        .max()
        .context("no Started event")?;
    let removed = place.time(&mut place.runtime(options.tenure(), &["pod", "delete", &pod]))?;
    if round > 0 {
        report.add(
            STARTED,
            name,
            started.duration_since(begun).as_secs_f64() * 1000.0,
        );
        report.add(WHOLE, name, whole);
        report.add(REMOVED, name, removed);
    }
    Ok(())
}

/// Memory and wake-ups of a supervisor at rest, and how soon it acts on a death.
pub(crate) fn rest(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    const WATCHED: Duration = Duration::from_secs(5);
    for round in 0..options.rounds.min(12) {
        let pod = format!("bench-{}-rest{round}", std::process::id());
        let app = Container::new("app", &["/bin/sleep", "100000"]);
        let manifest = Manifest::new().restart_policy("Always").grace(1).app(app);
        let file = write(place, &pod, manifest)?;
        place.time(place.runtime(options.tenure(), &["pod", "run", "-d"]).arg(&file))?;
        let record = pod_directory(place, options, &pod);
        let supervisor = lock_holder(&record.join("lock"))?;
        if round < 2 {
            let before = switches(supervisor)?;
            std::thread::sleep(WATCHED);
            report.add_plain(
                "supervisor at rest: wake-ups in 5 s",
                "tenure",
                switches(supervisor)? - before,
            );
            report.add_plain(
                "supervisor at rest: RSS KiB",
                "tenure",
                status_field(supervisor, "VmRSS:")?,
            );
            report.add_plain(
                "supervisor at rest: threads",
                "tenure",
                status_field(supervisor, "Threads:")?,
            );
        }
        // The first death is followed by a restart at once; the second is the one that is timed.
        kill_app(supervisor)?;
        until_event(&record, "Started", 2)?;
        let died = kill_app(supervisor)?;
        let acted = until_event(&record, "Exited", 2)?;
        let took = acted.time.duration_since(died).as_secs_f64() * 1000.0;
        report.add("from SIGKILL to acting on the death", "tenure", took);
        place.time(&mut place.runtime(options.tenure(), &["pod", "delete", "--force", &pod]))?;
    }
    Ok(())
}

/// Kills the app, which is the supervisor's only child that is not of Tenure, and says when.
fn kill_app(supervisor: i32) -> Result<Timestamp> {
    let is_app = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.starts_with(b"/bin/sleep")
    };
    let find = || children(supervisor).into_iter().find(is_app);
    let pid = wait_until(Duration::from_secs(5), find).context("the app is no child of the supervisor")?;
    let now = Timestamp::now();
    kill(Pid::from_raw(pid), Signal::SIGKILL)?;
    Ok(now)
}

fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<i32>>()
        })
        .collect()
}

/// Waits for the `count`th event with a reason.
fn until_event(record: &Path, reason: &str, count: usize) -> Result<Event> {
    let find = || {
        let text = fs::read_to_string(record.join("events.jsonl")).unwrap_or_default();
        parse_events(&text)
            .into_iter()
            .filter(|event| event.reason == reason)
            .nth(count - 1)
    };
    wait_until(Duration::from_secs(20), find).with_context(|| format!("no {reason} event"))
}

/// Voluntary and other context switches of all threads of a process: each is a wake-up.
fn switches(pid: i32) -> Result<f64> {
    let mut sum = 0.0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("status"))?;
        let counts = text.lines().filter(|line| line.contains("ctxt_switches"));
        sum += counts
            .filter_map(|line| line.split_whitespace().last()?.parse::<f64>().ok())
            .sum::<f64>();
    }
    Ok(sum)
}

fn status_field(pid: i32, field: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .context("no such field in status")?;
    line.split_whitespace()
        .next()
        .unwrap_or_default()
        .parse()
        .with_context(|| line.to_owned())
}

/// The process that holds a file's lock: the pod's supervisor.
fn lock_holder(file: &Path) -> Result<i32> {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(
        ":{} ",
        fs::metadata(file)
            .with_context(|| file.display().to_string())?
            .ino()
    );
    let locks = fs::read_to_string("/proc/locks")?;
    let line = locks
        .lines()
        .find(|line| line.contains("FLOCK") && line.contains(&inode))
        .context("nobody holds the lock")?;
    let holder = line.split_whitespace().nth(4).unwrap_or_default();
    holder.parse().with_context(|| line.to_owned())
}

fn pod_directory(place: &Place, options: &Options, pod: &str) -> PathBuf {
    place.root(options.tenure()).join("pods").join(pod)
}

fn events(place: &Place, options: &Options, pod: &str) -> Vec<Event> {
    let file = pod_directory(place, options, pod).join("events.jsonl");
    parse_events(&fs::read_to_string(file).unwrap_or_default())
}

fn write(place: &Place, pod: &str, manifest: Manifest) -> Result<PathBuf> {
    let mut document = manifest.0;
    document["metadata"]["name"] = pod.into();
    let file = place.path().join(format!("{pod}.json"));
    fs::write(&file, document.to_string())?;
    Ok(file)
}

/// podman with storage and limits of its own, and an image of busybox.
struct Podman {
    program: PathBuf,
    directory: PathBuf,
    manifest: String,
}

/// What the pod's pause container runs.
const ENTRYPOINT: &str = r#"ENTRYPOINT ["/bin/sleep", "1000000"]"#;

impl Podman {
    fn new(program: &Path, place: &Place) -> Result<Self> {
        let directory = place.path().join("podman");
        fs::create_dir_all(&directory)?;
        // Its default limits need a capability that containers and small machines lack. Its own pause image would
        // need a package more; ours ends at once when stopped, which is in podman's favour.
        let settings = "[containers]\ndefault_ulimits = [\"nofile=20000:20000\", \"nproc=20000:20000\"]\n\
                        [engine]\ninfra_image = \"localhost/tenure-bench:1\"\n";
        fs::write(directory.join("containers.conf"), settings)?;
        let manifest = directory.join("pod.yaml");
        let container = |name: &str| json!({ "name": name, "image": "localhost/tenure-bench:1", "command": ["/bin/true"] });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "tenure-bench" },
            "spec": {
                "restartPolicy": "Never", "hostNetwork": true,
                "initContainers": [container("init")], "containers": [container("a"), container("b")],
            },
        });
        fs::write(&manifest, pod.to_string())?;
        let podman = Self {
            program: program.to_owned(),
            directory,
            manifest: manifest.to_string_lossy().into_owned(),
        };
        podman.import(&place.bundle().join("rootfs"))?;
        // The first play shows whether it works here at all.
        place.time(&mut podman.command(&["kube", "play", &podman.manifest]))?;
        place.time(&mut podman.command(&["kube", "down", &podman.manifest]))?;
        Ok(podman)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env("CONTAINERS_CONF", self.directory.join("containers.conf"));
        command
            .arg("--root")
            .arg(self.directory.join("storage"))
            .arg("--runroot")
            .arg(self.directory.join("run"));
        command
            .args(["--cgroup-manager=cgroupfs", "--events-backend=none"])
            .args(arguments);
        command
    }

    /// Makes the image out of a root file system.
    fn import(&self, rootfs: &Path) -> Result<()> {
        let begun = Instant::now();
        let mut tar = Command::new("tar")
            .arg("-C")
            .arg(rootfs)
            .args(["-c", "."])
            .stdout(Stdio::piped())
            .spawn()?;
        let input = tar.stdout.take().context("tar has an output")?;
        let mut import = self.command(&[
            "import",
            "-q",
            "-c",
            ENTRYPOINT,
            "-c",
            "STOPSIGNAL=SIGKILL",
            "-",
            "localhost/tenure-bench:1",
        ]);
        let output = import.stdin(input).output()?;
        tar.wait()?;
        ensure!(
            output.status.success(),
            "podman import: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        eprintln!("bench: image for podman made in {:.0} ms", milliseconds(begun));
        Ok(())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        for arguments in [
            ["pod", "rm", "--all", "--force"].as_slice(),
            &["system", "reset", "--force"],
        ] {
            let mut command = self.command(arguments);
            let _ = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}
