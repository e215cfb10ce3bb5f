//! How containers are assumed to behave, and why.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use tenure_lifecycle::simulate::Assumption;
use tenure_lifecycle::{ContainerKind, ExitStatus, PodPlan};
use tenure_spec::{ContainerSpec, Handler, PodSpec};

use super::program::{self, Seen};
use crate::exit::CommandError;
use crate::pod::timeline::span_text;

/// How much of a script is looked at, in bytes.
const SCRIPT_LONGEST: u64 = 64 * 1024;

/// What is assumed of a container.
#[derive(Debug, Clone)]
pub(super) struct Assumed {
    /// The container's name.
    pub(super) name: String,
    /// Its part in the pod's life.
    pub(super) kind: ContainerKind,
    /// What the simulation goes by.
    pub(super) assumption: Assumption,
    /// Why it takes no notice of its stop signal.
    pub(super) deaf: Option<&'static str>,
}

/// `--assume CONTAINER.KEY=VALUE`.
#[derive(Debug, Clone)]
pub(super) struct Override {
    container: String,
    setting: Setting,
}

#[derive(Debug, Clone)]
enum Setting {
    Runs(Option<Duration>),
    Exit(u8),
    StopsIn(Option<Duration>),
    StopExit(u8),
    PostStart(Hook),
    PreStop(Hook),
    Create(Duration),
    ReadyAfter(Option<Duration>),
    UnhealthyAfter(Option<Duration>),
}

#[derive(Debug, Clone, Copy)]
enum Hook {
    Takes(Duration),
    Hangs,
    Fails,
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (left, value) = text.split_once('=').ok_or("CONTAINER.KEY=VALUE is wanted")?;
        let (container, key) = left.rsplit_once('.').ok_or("CONTAINER.KEY=VALUE is wanted")?;
        let or = |word: &str| match value == word {
            true => Ok(None),
            false => time(value).map(Some),
        };
        let code = || {
            value
                .parse::<u8>()
                .map_err(|_| format!("{value} is no exit code, 0 to 255"))
        };
        let hook = || match value {
            "hang" => Ok(Hook::Hangs),
            "fail" => Ok(Hook::Fails),
            value => time(value).map(Hook::Takes),
        };
        let setting = match key {
            "runs" => Setting::Runs(or("forever")?),
            "exit" => Setting::Exit(code()?),
            "stops-in" => Setting::StopsIn(or("never")?),
            "stop-exit" => Setting::StopExit(code()?),
            "post-start" => Setting::PostStart(hook()?),
            "pre-stop" => Setting::PreStop(hook()?),
            "create" => Setting::Create(time(value)?),
            "ready-after" => Setting::ReadyAfter(or("never")?),
            "unhealthy-after" => Setting::UnhealthyAfter(or("never")?),
            key => {
                return Err(format!(
                    "unknown key {key} (known: runs, exit, stops-in, stop-exit, post-start, pre-stop, create, \
                     ready-after, unhealthy-after)"
                ));
            }
        };
        Ok(Self {
            container: container.into(),
            setting,
        })
    }
}

/// A length of time: `250ms`, `5s`, `2m`, `1h`; a bare number is seconds.
///
/// # Errors
/// What is wrong with it.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is no time such as 250ms, 5s or 2m");
    let (number, unit) = match text.find(|letter: char| letter.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let factor = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = number * factor;
    // A year is more than any pod is planned for.
    match (0.0..=31_536_000.0).contains(&seconds) {
        true => Duration::try_from_secs_f64(seconds).map_err(|_| wrong()),
        false => Err(wrong()),
    }
}

/// What is assumed of every container, in the order of the pod's life.
///
/// # Errors
/// When an override is about a container that the pod has not.
pub(super) fn all(spec: &PodSpec, overrides: &[Override]) -> Result<Vec<Assumed>, CommandError> {
    let plan = PodPlan::from(spec);
    let own_namespace = !spec.share_process_namespace && !spec.host_pid;
    let mut assumed: Vec<Assumed> = spec
        .all_containers()
        .zip(plan.containers)
        .map(|(container, plan)| of(container, plan.kind, own_namespace))
        .collect();
    for change in overrides {
        let known: Vec<String> = assumed.iter().map(|assumed| assumed.name.clone()).collect();
        let place = assumed
            .iter_mut()
            .find(|assumed| assumed.name == change.container);
        let place = place.ok_or_else(|| {
            CommandError::usage(format!(
                "--assume: the pod has no container {}; it has: {}",
                change.container,
                known.join(", ")
            ))
        })?;
        place.apply(&change.setting);
    }
    Ok(assumed)
}

fn of(container: &ContainerSpec, kind: ContainerKind, own_namespace: bool) -> Assumed {
    let read = |path: &str| script(container, path);
    let seen = program::look(&argv(container), &read);
    let mut assumption = Assumption {
        exit: ExitStatus::Code(seen.exit.unwrap_or(0)),
        runs: match (seen.runs, kind) {
            (Some(runs), _) => runs,
            (None, ContainerKind::Init) => Some(Duration::from_secs(1)),
            (None, ContainerKind::App | ContainerKind::Sidecar) => None,
        },
        ..Assumption::default()
    };
    let deaf = seen.deaf.filter(|_| own_namespace);
    match (seen.deaf, own_namespace) {
        (Some(_), true) => assumption.stops_in = None,
        (Some(_), false) => assumption.stop_exit = ExitStatus::Signal(15),
        (None, _) => {}
    }
    for (handler, takes, fails) in [
        (
            &container.lifecycle.post_start,
            &mut assumption.post_start,
            &mut assumption.post_start_fails,
        ),
        (
            &container.lifecycle.pre_stop,
            &mut assumption.pre_stop,
            &mut assumption.pre_stop_fails,
        ),
    ] {
        let Seen { runs, exit, deaf: _ } = match handler {
            Some(Handler::Exec { command }) => program::look(command, &read),
            Some(Handler::Sleep { seconds }) => Seen {
                runs: Some(Some(Duration::from_secs(*seconds))),
                ..Seen::default()
            },
            Some(Handler::HttpGet(_)) | None => Seen::default(),
        };
        *takes = runs.unwrap_or(Some(Duration::from_millis(100)));
        *fails = exit.is_some_and(|code| code != 0);
    }
    Assumed {
        name: container.name.clone(),
        kind,
        assumption,
        deaf,
    }
}

/// What a container executes, as far as manifest and bundle tell: `command` and `args` laid over the bundle's.
fn argv(container: &ContainerSpec) -> Vec<String> {
    let base = || bundle_args(container.image.bundle());
    let args = container.args.clone();
    match (container.command.clone(), args) {
        (Some(command), args) => command.into_iter().chain(args.unwrap_or_default()).collect(),
        (None, Some(args)) => base().into_iter().take(1).chain(args).collect(),
        (None, None) => base(),
    }
}

/// A script in the bundle's root file system; no link leads out of that.
fn script(container: &ContainerSpec, path: &str) -> Option<String> {
    let bundle = container.image.bundle();
    let root: String = serde_json::from_value(config(bundle)?.pointer("/root/path")?.clone()).ok()?;
    let root = File::open(bundle.join(root)).ok()?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()?;
    let file = File::from(file);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(SCRIPT_LONGEST).read_to_end(&mut text).ok()?;
    String::from_utf8(text).ok()
}

/// `process.args` of a bundle's config.json; nothing when they cannot be read: the bundles are checked elsewhere.
fn bundle_args(bundle: &Path) -> Vec<String> {
    let args = || serde_json::from_value(config(bundle)?.pointer("/process/args")?.clone()).ok();
    args().unwrap_or_default()
}

fn config(bundle: &Path) -> Option<serde_json::Value> {
    let text = std::fs::read(bundle.join("config.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

impl Assumed {
    fn apply(&mut self, setting: &Setting) {
        let assumption = &mut self.assumption;
        match *setting {
            Setting::Runs(runs) => assumption.runs = runs,
            Setting::Exit(code) => assumption.exit = ExitStatus::Code(code),
            Setting::StopsIn(time) => {
                assumption.stops_in = time;
                self.deaf = None;
            }
            Setting::StopExit(code) => assumption.stop_exit = ExitStatus::Code(code),
            Setting::PostStart(hook) => {
                hook.apply(&mut assumption.post_start, &mut assumption.post_start_fails);
            }
            Setting::PreStop(hook) => hook.apply(&mut assumption.pre_stop, &mut assumption.pre_stop_fails),
            Setting::Create(time) => assumption.create = time,
            Setting::ReadyAfter(time) => assumption.ready_after = time,
            Setting::UnhealthyAfter(time) => assumption.unhealthy_after = time,
        }
    }

    /// The assumption in words.
    pub(super) fn words(&self, container: &ContainerSpec) -> String {
        let assumption = &self.assumption;
        let mut words = vec![match assumption.runs {
            Some(runs) => format!("runs for {} and ends with {}", told(runs), code(assumption.exit)),
            None => "runs until it is stopped".into(),
        }];
        if self.kind != ContainerKind::Init {
            words.push(match (assumption.stops_in, self.deaf) {
                (Some(Duration::ZERO), _) => {
                    format!("ends with {} on its stop signal", code(assumption.stop_exit))
                }
                (Some(time), _) => {
                    let code = code(assumption.stop_exit);
                    format!("ends with {code} {} after its stop signal", told(time))
                }
                (None, Some(why)) => format!("takes no notice of its stop signal ({why})"),
                (None, None) => "takes no notice of its stop signal".into(),
            });
        }
        let lifecycle = &container.lifecycle;
        for (name, is_there, takes, fails) in [
            (
                "postStart",
                lifecycle.post_start.is_some(),
                assumption.post_start,
                assumption.post_start_fails,
            ),
            (
                "preStop",
                lifecycle.pre_stop.is_some(),
                assumption.pre_stop,
                assumption.pre_stop_fails,
            ),
        ] {
            if is_there {
                let verdict = if fails { " and fails" } else { "" };
                words.push(match takes {
                    Some(time) => format!("{name} takes {}{verdict}", told(time)),
                    None => format!("{name} hangs"),
                });
            }
        }
        words.extend(self.probe_words(container));
        words.join(", ")
    }

    /// What its probes are assumed to find.
    fn probe_words(&self, container: &ContainerSpec) -> Vec<String> {
        let (probes, assumption) = (&container.probes, &self.assumption);
        let mut words = Vec::new();
        if probes.startup.is_some() || probes.readiness.is_some() {
            words.push(match assumption.ready_after {
                Some(Duration::ZERO) => "is ready when it is probed".into(),
                Some(time) => format!("is ready after {}", told(time)),
                None => "is never ready".into(),
            });
        }
        if let (Some(time), true) = (
            assumption.unhealthy_after,
            probes.liveness.is_some() || probes.readiness.is_some(),
        ) {
            words.push(format!("fails its probes after {}", told(time)));
        }
        words
    }
}

/// A length of time in words.
pub(super) fn told(time: Duration) -> String {
    span_text(i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
}

impl Hook {
    fn apply(self, takes: &mut Option<Duration>, fails: &mut bool) {
        match self {
            Self::Takes(time) => *takes = Some(time),
            Self::Hangs => *takes = None,
            Self::Fails => *fails = true,
        }
    }
}

fn code(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("code {code}"),
        ExitStatus::Signal(signal) => format!("signal {signal}"),
        ExitStatus::Unknown => "an unknown code".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_nonsense_is_not() {
        assert_eq!(time("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(time("1.5"), Ok(Duration::from_millis(1500)));
        for text in ["", "-1s", "5 parsecs", "NaN", "1e300h", "s"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn overrides_are_read_and_nonsense_names_what_is_known() {
        assert!("web.runs=forever".parse::<Override>().is_ok());
        assert!("web.pre-stop=hang".parse::<Override>().is_ok());
        assert!(
            "web.exit=300"
                .parse::<Override>()
                .unwrap_err()
                .contains("0 to 255")
        );
        assert!(
            "web.mood=good"
                .parse::<Override>()
                .unwrap_err()
                .contains("known: runs")
        );
        assert!("web".parse::<Override>().is_err());
    }
}
