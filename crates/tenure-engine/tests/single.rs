//! One bundle under its managed lifecycle, with a real runtime: runc, or what TENURE_RUNTIME names.
//!
//! A program of its own: `run_single` takes the signals of a process with a single thread, so each life is a process
//! that this one starts from itself. Needs root; fails without it unless TENURE_SKIP_ROOT=1.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::exit,
    missing_docs
)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::json;
use tenure_engine::single::{SingleLaunch, run_single};
use tenure_engine::{EngineError, RuntimeLocation};
use tenure_spec::annotations::lifecycle;

/// Where a life's process finds its bundle; absent in the test's own.
const BUNDLE: &str = "TENURE_TEST_BUNDLE";
/// Its lifecycle annotations, as JSON.
const ANNOTATIONS: &str = "TENURE_TEST_ANNOTATIONS";

fn main() {
    if let Some(bundle) = std::env::var_os(BUNDLE) {
        std::process::exit(live(&PathBuf::from(bundle)));
    }
    if std::env::var_os("TENURE_SKIP_ROOT").is_some() {
        println!("left out: TENURE_SKIP_ROOT is set");
        return;
    }
    assert!(
        geteuid().is_root(),
        "needs root; TENURE_SKIP_ROOT=1 leaves these tests out"
    );
    let tests: [(&str, fn()); 8] = [
        (
            "the_containers_exit_code_and_output_are_ours",
            the_containers_exit_code_and_output_are_ours,
        ),
        (
            "the_first_sigterm_is_the_stop_signal",
            the_first_sigterm_is_the_stop_signal,
        ),
        ("the_third_sigterm_kills", the_third_sigterm_kills),
        (
            "the_stop_signal_of_the_annotation_is_sent",
            the_stop_signal_of_the_annotation_is_sent,
        ),
        (
            "other_signals_go_to_the_container",
            other_signals_go_to_the_container,
        ),
        (
            "a_missing_program_is_127_and_leaves_nothing",
            a_missing_program_is_127_and_leaves_nothing,
        ),
        ("the_pid_file_names_init", the_pid_file_names_init),
        ("handlers_run_in_the_container", handlers_run_in_the_container),
    ];
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
}

/// One life, in a process of its own.
fn live(bundle: &Path) -> i32 {
    let annotations: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&std::env::var(ANNOTATIONS).unwrap()).unwrap();
    let binary = std::env::var_os("TENURE_RUNTIME").map_or("/usr/sbin/runc".into(), PathBuf::from);
    let result = run_single(SingleLaunch {
        id: format!("single-{}", std::process::id()),
        bundle: bundle.into(),
        lifecycle: lifecycle(&annotations, None).unwrap().unwrap(),
        runtime: RuntimeLocation {
            binary,
            root: bundle.join("root"),
        },
        pid_file: Some(bundle.join("pid")),
        keep: false,
    });
    match result {
        Ok(code) => i32::from(code),
        Err(error) => {
            eprintln!("{error}");
            match error {
                EngineError::Start { code, .. } => i32::from(code),
                _ => 125,
            }
        }
    }
}

struct Life {
    folder: tempfile::TempDir,
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Life {
    fn begin(arguments: &[&str], annotations: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_bundle(folder.path(), arguments);
        let mut all: std::collections::BTreeMap<_, _> = annotations
            .iter()
            .map(|(key, value)| (format!("org.tenure.lifecycle.{key}"), value.to_string()))
            .collect();
        all.entry("org.tenure.lifecycle.terminationGracePeriodSeconds".into())
            .or_insert("60".into());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(BUNDLE, folder.path())
            .env(ANNOTATIONS, serde_json::to_string(&all).unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            folder,
            child,
            output,
        }
    }

    /// A shell that says `ready` before the rest of its script.
    fn script(script: &str, annotations: &[(&str, &str)]) -> Self {
        let mut life = Self::begin(&["/bin/sh", "-c", script], annotations);
        assert_eq!(life.line(), "ready");
        life
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Its exit code and what it said since; nothing of it is left.
    fn end(mut self) -> (i32, String, String) {
        let status = self.child.wait().unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        self.output.read_to_string(&mut out).unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        let left = fs::read_dir(self.folder.path().join("root")).map_or(0, |entries| entries.count());
        assert_eq!(left, 0, "the runtime still knows the container: {err}");
        let scratch = std::env::temp_dir().join(format!("tenure-run-{}", self.child.id()));
        assert!(!scratch.exists(), "{}", scratch.display());
        (status.code().unwrap_or(-1), out, err)
    }
}

fn write_bundle(folder: &Path, arguments: &[&str]) {
    let bin = folder.join("rootfs/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy("/bin/busybox", bin.join("busybox")).expect("busybox-static is installed");
    for name in ["sh", "sleep", "echo"] {
        symlink("busybox", bin.join(name)).unwrap();
    }
    fs::create_dir_all(folder.join("rootfs/proc")).unwrap();
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "args": arguments,
            "cwd": "/",
            "user": {"uid": 0, "gid": 0},
            "env": ["PATH=/bin"],
        },
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "cgroupsPath": format!("/tenure-single-{}", std::process::id()),
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}],
        },
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

const WAIT: &str = "while :; do sleep 0.1; done";

fn the_containers_exit_code_and_output_are_ours() {
    let (code, _, err) = Life::script("echo ready; echo wrong >&2; exit 7", &[]).end();
    assert_eq!((code, err.as_str()), (7, "wrong\n"));
}

fn the_first_sigterm_is_the_stop_signal() {
    let life = Life::script(&format!("trap 'echo bye; exit 3' TERM; echo ready; {WAIT}"), &[]);
    life.signal(Signal::SIGTERM);
    assert_eq!(life.end(), (3, "bye\n".into(), String::new()));
}

fn the_third_sigterm_kills() {
    let mut life = Life::script(&format!("trap 'echo no' TERM; echo ready; {WAIT}"), &[]);
    let began = Instant::now();
    life.signal(Signal::SIGTERM);
    assert_eq!(life.line(), "no");
    life.signal(Signal::SIGINT);
    // Two of one kind that nobody has read yet are one to the kernel, so they differ.
    life.signal(Signal::SIGTERM);
    let (code, ..) = life.end();
    assert_eq!(code, 137);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

fn the_stop_signal_of_the_annotation_is_sent() {
    let script = format!("trap 'exit 4' USR1; trap 'exit 5' TERM; echo ready; {WAIT}");
    let life = Life::script(&script, &[("stopSignal", "SIGUSR1")]);
    life.signal(Signal::SIGTERM);
    assert_eq!(life.end().0, 4);
}

fn other_signals_go_to_the_container() {
    let mut life = Life::script(
        &format!("trap 'echo usr1' USR1; trap 'exit 6' HUP; echo ready; {WAIT}"),
        &[],
    );
    life.signal(Signal::SIGUSR1);
    assert_eq!(life.line(), "usr1");
    life.signal(Signal::SIGHUP);
    assert_eq!(life.end().0, 6);
}

fn a_missing_program_is_127_and_leaves_nothing() {
    let (code, out, err) = Life::begin(&["nothing-of-this-name"], &[]).end();
    assert_eq!((code, out.as_str()), (127, ""), "{err}");
    // runc tells it on its stderr, which is the container's, besides.
    let mut lines: Vec<_> = err.lines().collect();
    lines.dedup();
    assert_eq!(lines.len(), 1, "{err}");
}

fn the_pid_file_names_init() {
    let life = Life::script(&format!("trap 'exit 0' TERM; echo ready; {WAIT}"), &[]);
    let pid = fs::read_to_string(life.folder.path().join("pid")).unwrap();
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(command.starts_with("/bin/sh"), "{command}");
    life.signal(Signal::SIGTERM);
    assert_eq!(life.end().0, 0);
}

fn handlers_run_in_the_container() {
    let handler = |text: &str| {
        let script = format!("echo {text} > /proc/1/fd/1");
        json!({"exec": {"command": ["/bin/sh", "-c", script]}}).to_string()
    };
    let script = format!("trap 'echo bye; exit 3' TERM; echo ready; {WAIT}");
    let annotations = [("postStart", handler("warm")), ("preStop", handler("drain"))];
    let annotations = annotations.each_ref().map(|(key, value)| (*key, value.as_str()));
    let mut life = Life::begin(&["/bin/sh", "-c", &script], &annotations);
    // Program and handler run side by side.
    let mut lines = [life.line(), life.line()];
    lines.sort();
    assert_eq!(lines, ["ready", "warm"]);
    life.signal(Signal::SIGTERM);
    let (code, out, err) = life.end();
    assert_eq!((code, out.as_str()), (3, "drain\nbye\n"), "{err}");
}
