//! Real containers in the foreground: terminals, signals, and what a program inherits. Needs root and busybox-static.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A root and a bundle of busybox.
struct Place {
    dir: TempDir,
}

/// `None` where the test may be passed over: not as root, and `TENURE_SKIP_ROOT=1`.
#[track_caller]
fn place(terminal: bool, script: &str) -> Option<Place> {
    if !nix::unistd::geteuid().is_root() {
        let may_skip = std::env::var_os("TENURE_SKIP_ROOT").is_some_and(|value| value == "1");
        assert!(
            may_skip,
            "this test needs root; set TENURE_SKIP_ROOT=1 to pass it over"
        );
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let rootfs = dir.path().join("rootfs");
    for folder in ["bin", "proc", "dev", "sys", "tmp"] {
        fs::create_dir_all(rootfs.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).expect("busybox-static is installed");
    for name in [
        "sh", "cat", "echo", "env", "grep", "ls", "seq", "sleep", "stty", "true", "tty",
    ] {
        symlink("busybox", rootfs.join("bin").join(name)).unwrap();
    }
    fs::write(
        dir.path().join("config.json"),
        config(terminal, script).to_string(),
    )
    .unwrap();
    Some(Place { dir })
}

fn config(terminal: bool, script: &str) -> Value {
    json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {
            "terminal": terminal, "cwd": "/", "user": {"uid": 0, "gid": 0},
            "args": ["/bin/sh", "-c", script], "env": ["PATH=/bin", "ONLY=this"],
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        ],
        "linux": {"namespaces": [
            {"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"},
        ]},
    })
}

impl Place {
    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// An id that no other test uses: it names cgroups.
    fn id(&self) -> String {
        self.path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .replace('.', "tenure-test-")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
        command
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null());
        command.env("TENURE_ROOT", self.path().join("root"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a tenure command line on a terminal of its own, with what is typed there.
    fn on_terminal(&self, arguments: &str, typed: &str) -> (String, i32) {
        let line = format!(
            "stty rows 33 cols 77; {} {arguments}",
            env!("CARGO_BIN_EXE_tenure")
        );
        let mut child = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .current_dir(self.path())
            .env("TENURE_ROOT", self.path().join("root"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script(1) is installed");
        // Kept open: script(1) types the end of its input.
        let mut keys = child.stdin.take().unwrap();
        keys.write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text, output.status.code().unwrap())
    }
}

/// A terminal of the test's own, and a command that runs on it.
struct Terminal {
    master: File,
    slave: OwnedFd,
    child: Child,
}

impl Terminal {
    /// Runs a tenure command in a session of its own, as a terminal's window does.
    fn run(place: &Place, arguments: &[&str]) -> Self {
        use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        unlockpt(&master).unwrap();
        let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_tenure")])
            .args(arguments)
            .current_dir(place.path())
            .env("TENURE_ROOT", place.path().join("root"))
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("setsid(1) is installed");
        Self {
            master: master.into(),
            slave,
            child,
        }
    }

    /// Reads what is shown until a line that is `wanted`. The terminal stays open whatever ends: silence is a failure.
    fn until(&mut self, wanted: &str) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let limit = Timespec {
            tv_sec: 30,
            tv_nsec: 0,
        };
        let mut text = String::new();
        let mut buffer = [0; 256];
        while !text.lines().any(|line| line == wanted) {
            let shown = poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(&limit)).unwrap();
            assert_eq!(shown, 1, "no {wanted:?} after {text:?}");
            let count = self.master.read(&mut buffer).unwrap();
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    /// Whether lines are edited and shown by the terminal, and all else that it does.
    fn modes(&self) -> String {
        let modes = rustix::termios::tcgetattr(&self.slave).unwrap();
        format!(
            "{:?} {:?} {:?} {:?}",
            modes.input_modes, modes.output_modes, modes.control_modes, modes.local_modes
        )
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self
            .command(&["delete", "--force", &self.id()])
            .stderr(Stdio::null())
            .status();
    }
}

#[test]
fn a_run_on_a_terminal_has_our_size_and_our_keys() {
    let Some(place) = place(true, "tty; stty size; read x; echo got $x; exit 4") else {
        return;
    };
    let (text, code) = place.on_terminal(&format!("run {}", place.id()), "hello\n");
    assert_eq!(code, 4, "{text}");
    // The echo of what is typed comes in between somewhere.
    for line in ["/dev/pts/0\r\n", "33 77\r\n", "got hello\r\n"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn no_byte_of_a_terminal_is_lost_at_the_end() {
    let Some(place) = place(true, "seq 1 100000") else {
        return;
    };
    let (text, code) = place.on_terminal(&format!("run {}", place.id()), "");
    assert_eq!(code, 0);
    for (number, line) in (1..=100_000).zip(text.lines().chain(std::iter::repeat("nothing"))) {
        assert_eq!(line, number.to_string(), "of {} bytes", text.len());
    }
}

#[test]
fn an_exec_on_a_terminal_hands_on_its_exit_code() {
    let Some(place) = place(false, "sleep 1000") else {
        return;
    };
    let started = place
        .command(&["run", "--detach", &place.id()])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(started.success());
    let (text, code) = place.on_terminal(
        &format!("exec --tty {} /bin/sh -c 'tty; stty size; exit 3'", place.id()),
        "",
    );
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("/dev/pts/0\r\n33 77\r\n"), "{text}");
}

#[test]
fn a_detached_terminal_without_socket_is_refused() {
    let Some(place) = place(true, "true") else { return };
    for (arguments, code) in [(&["create"][..], 1), (&["run", "--detach"], 125)] {
        let id = place.id();
        let mut all = arguments.to_vec();
        all.push(&id);
        let output = place.run(&all);
        assert_eq!(output.status.code(), Some(code));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            text.contains("console socket") && text.lines().count() == 1,
            "{text}"
        );
    }
}

#[test]
fn a_program_inherits_no_blocked_signal_no_ignored_pipe_and_no_variable() {
    let Some(place) = place(false, "grep -E 'Sig(Blk|Ign)' /proc/self/status; env") else {
        return;
    };
    let output = place.run(&["run", &place.id()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mask = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default();
        u64::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("{text}"))
    };
    assert_eq!(mask("SigBlk:"), 0);
    assert_eq!(mask("SigIgn:") & (1 << (Signal::SIGPIPE as i32 - 1)), 0);
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    assert!(
        names
            .iter()
            .all(|name| ["HOME", "PATH", "ONLY", "PWD", "SHLVL"].contains(name)),
        "{names:?}"
    );
}

#[test]
fn a_container_that_ends_at_once_never_hangs_its_run() {
    let Some(place) = place(false, "exit 9") else {
        return;
    };
    for _ in 0..50 {
        assert_eq!(place.run(&["run", &place.id()]).status.code(), Some(9));
    }
}

#[test]
fn signals_are_forwarded_real_time_ones_too() {
    let script =
        "trap 'echo term' TERM; trap 'echo real-time; exit 7' 37; echo ready; while :; do sleep 0.05; done";
    let Some(place) = place(false, script) else { return };
    let mut child = place
        .command(&["run", &place.id()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut next = || lines.next().unwrap().unwrap();
    let pid = Pid::from_raw(child.id().cast_signed());
    assert_eq!(next(), "ready");
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(next(), "term");
    // The name of a real-time signal is not in nix's list.
    let sent = Command::new("/bin/kill")
        .args(["-37", &pid.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    assert_eq!(next(), "real-time");
    let status = child.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(7), None));
}

#[test]
fn a_change_of_the_windows_size_reaches_the_container() {
    let script = "trap 'stty size; exit 6' WINCH; echo ready; while :; do sleep 0.05; done";
    let Some(place) = place(true, script) else { return };
    let mut terminal = Terminal::run(&place, &["run", &place.id()]);
    terminal.until("ready");
    let size = rustix::termios::Winsize {
        ws_row: 41,
        ws_col: 103,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&terminal.slave, size).unwrap();
    terminal.until("41 103");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(6));
}

#[test]
fn our_terminal_is_raw_while_the_container_has_it_and_as_before_afterwards() {
    for code in [0, 137] {
        let Some(place) = place(true, "echo ready; read x; exit 0") else {
            return;
        };
        let mut terminal = Terminal::run(&place, &["run", &place.id()]);
        terminal.until("ready");
        let raw = terminal.modes();
        assert!(!raw.contains("ICANON") && !raw.contains("OPOST"), "{raw}");
        if code == 0 {
            terminal.master.write_all(b"go\r").unwrap();
        } else {
            let killed = place.run(&["kill", &place.id(), "KILL"]);
            assert!(killed.status.success(), "{killed:?}");
        }
        assert_eq!(terminal.child.wait().unwrap().code(), Some(code));
        let after = terminal.modes();
        assert!(after.contains("ICANON") && after.contains("ECHO"), "{after}");
        let fresh = Terminal::run(&place, &["--version"]).modes();
        assert_eq!(after, fresh);
    }
}
