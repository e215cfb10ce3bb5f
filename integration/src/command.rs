//! Running a program to its end, with a limit in time.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::timing::wait_until;

/// What came of a command.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was run, for messages.
    pub command: String,
    /// The exit code; 128 + n when signal n ended it.
    pub code: i32,
    /// All that it wrote to standard output.
    pub stdout: String,
    /// All that it wrote to standard error.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Outcome {
    /// Panics with everything the command said unless it ended with `code`.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(self.code == code, "expected exit code {code}: {self}");
        self
    }

    /// Panics unless the command ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect_code(0)
    }

    /// The one line that standard error must consist of. Panics when there are more, or none.
    #[track_caller]
    pub fn one_line_of_error(&self) -> &str {
        let lines: Vec<&str> = self
            .stderr
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        assert!(lines.len() == 1, "expected one line on standard error: {self}");
        lines[0]
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            code,
            stdout,
            stderr,
            took,
        } = self;
        write!(
            f,
            "`{command}` ended with {code} after {took:.1?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---"
        )
    }
}

/// A child whose output is being read: see [`spawn`] and [`finish`].
pub struct Spawned {
    child: Child,
    command: String,
    started: Instant,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

impl Spawned {
    /// The process id, valid until [`finish`].
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// Runs a command to its end and panics when that takes longer than `limit` (see [`wait_until`]).
#[track_caller]
pub fn run(command: &mut Command, limit: Duration) -> Outcome {
    finish(spawn(command), limit)
}

/// Starts a command whose output is collected. Standard input is empty unless the caller has set it.
#[track_caller]
pub fn spawn(command: &mut Command) -> Spawned {
    let text = format!("{command:?}").replace('"', "");
    let started = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("`{text}` could not be run: {error}"));
    let stdout = collect(child.stdout.take().expect("stdout is piped"));
    let stderr = collect(child.stderr.take().expect("stderr is piped"));
    Spawned {
        child,
        command: text,
        started,
        stdout,
        stderr,
    }
}

/// Waits for the end of a child and panics, having killed it, when that takes longer than `limit`.
#[track_caller]
pub fn finish(mut spawned: Spawned, limit: Duration) -> Outcome {
    let status = wait_until(limit, || {
        spawned.child.try_wait().expect("a child can be waited for")
    });
    let took = spawned.started.elapsed();
    let in_time = status.is_some();
    let status = status.unwrap_or_else(|| {
        let _ = spawned.child.kill();
        spawned.child.wait().expect("a child can be waited for")
    });
    // A process that outlives the command may hold its output open; that is no reason to wait for it for ever.
    let read = |output: JoinHandle<String>| {
        wait_until(Duration::from_secs(3), || output.is_finished().then_some(())).map_or_else(
            || "(still held open by another process)".to_owned(),
            |()| output.join().unwrap_or_default(),
        )
    };
    let outcome = Outcome {
        command: spawned.command,
        code: status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal))
            .unwrap_or(-1),
        stdout: read(spawned.stdout),
        stderr: read(spawned.stderr),
        took,
    };
    assert!(in_time, "not finished in {took:.1?} and so killed: {outcome}");
    outcome
}

fn collect(mut source: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = source.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
