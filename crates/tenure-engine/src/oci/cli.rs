//! The seam's implementation for every runtime with runc's command line: one short-lived process per operation.
//!
//! ```text
//!  create ─▶ RUNTIME create --pid-file F ID   its stdio is the container's; init is left to us by our subreaper
//!            ... --console-socket S ...       or a terminal is, whose master it sends to us
//!  start, kill, delete ─▶ RUNTIME start ID    its stderr is kept for its last word
//!  exec ─▶ RUNTIME exec --pid-file F -- ID ARGV   runs as long as the program, ends with the program's status
//! ```
//!
//! A runtime's error is read from its log file (`--log`, JSON), since its stderr may be the container's.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::libc::SIGKILL;
use nix::sys::memfd::{MemFdCreateFlag, memfd_create};
use tenure_supervise::ProcessExit;
use tenure_supervise::pidfd::PidFd;
use tenure_supervise::process::{self, Child, Spawn};
use tenure_supervise::subreaper;
use tenure_supervise::terminal::ConsoleSocket;
use tenure_supervise::watch::FileWatch;

use super::message;
use super::{
    CreateRequest, CreatedContainer, ExecRequest, Execute, OciError, OciRuntime, RuntimeExec,
    RuntimeLocation, Stdio,
};

/// Runs `<binary> --root ROOT ...` for every operation: tenure, runc or crun.
#[derive(Debug)]
pub struct CliRuntime {
    location: RuntimeLocation,
    scratch: PathBuf,
    environment: Vec<(String, String)>,
    /// Makes the names of scratch files different.
    operations: Cell<u64>,
}

impl CliRuntime {
    /// A runtime at `location`. `scratch` is an existing folder of the caller's for pid and log files (the pod's own);
    /// each operation removes its files again, and those of a killed supervisor begin with `oci-`.
    ///
    /// The calling process must be a subreaper ([`tenure_supervise::subreaper::become_subreaper`]): a container's
    /// init becomes its child.
    pub fn new(location: RuntimeLocation, scratch: PathBuf) -> Self {
        Self {
            location,
            scratch,
            environment: Vec::new(),
            operations: Cell::new(0),
        }
    }

    /// Adds an environment variable to every operation's process, which otherwise has the caller's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Begins an operation on a container.
    fn operation<'a>(&self, name: &'static str, id: &'a str) -> Operation<'a> {
        let number = self.operations.get();
        self.operations.set(number.wrapping_add(1));
        let stem = format!("oci-{}-{number}", std::process::id());
        let operation = Operation {
            name,
            id,
            program: self.location.binary.clone(),
            log: self.scratch.join(format!("{stem}.log")),
            pid_file: self.scratch.join(format!("{stem}.pid")),
            console: self.scratch.join(format!("{stem}.tty")),
        };
        // Of a process that had our pid.
        operation.remove_files();
        operation
    }

    /// The runtime's process up to the operation's own arguments.
    fn spawn(&self, operation: &Operation<'_>) -> Spawn {
        let mut spawn = Spawn::new(&self.location.binary)
            .arg("--root")
            .arg(&self.location.root);
        spawn = spawn
            .arg("--log")
            .arg(&operation.log)
            .args(["--log-format", "json", operation.name]);
        // Meant for us; runc would pass sockets on and speak to the service manager in our place.
        for name in ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
            spawn = spawn.env_remove(name);
        }
        // Its stderr is the container's or a handler's: Tenure's own runtime then keeps its error to the log.
        spawn = spawn.env("TENURE_ERRORS", "log");
        for (name, value) in &self.environment {
            spawn = spawn.env(name, value);
        }
        spawn
    }

    /// Runs an operation that leaves no process, to its end.
    async fn run(&self, name: &'static str, id: &str, arguments: &[&str]) -> Result<(), OciError> {
        let operation = self.operation(name, id);
        let mut said = memory_file().map_err(|error| operation.cannot_run(error))?;
        let stderr = said.try_clone().map_err(|error| operation.cannot_run(error))?;
        let spawn = self
            .spawn(&operation)
            .args(arguments)
            .stderr(OwnedFd::from(stderr));
        let child = spawn.spawn().map_err(|error| operation.cannot_run(error))?;
        let status = operation.wait(&child).await?;
        if status == ProcessExit::Code(0) {
            return Ok(());
        }
        let mut text = String::new();
        // What cannot be read cannot be told.
        let _ = said.rewind().and_then(|()| said.read_to_string(&mut text));
        Err(operation.refused(status, &text))
    }
}

impl OciRuntime for CliRuntime {
    async fn create(&self, request: CreateRequest) -> Result<CreatedContainer, OciError> {
        let operation = self.operation("create", &request.id);
        let mut spawn = self.spawn(&operation).arg("--bundle").arg(&request.bundle);
        spawn = spawn.arg("--pid-file").arg(&operation.pid_file);
        let console = match request.stdio {
            Stdio::Descriptors {
                stdin,
                stdout,
                stderr,
            } => {
                if let Some(stdin) = stdin {
                    spawn = spawn.stdin(stdin);
                }
                spawn = spawn.stdout(stdout).stderr(stderr);
                None
            }
            Stdio::Terminal => {
                let console = ConsoleSocket::listen(&operation.console);
                let console = console.map_err(|error| operation.cannot_run(error))?;
                spawn = spawn.arg("--console-socket").arg(console.name());
                Some(console)
            }
        };
        spawn = spawn.arg(&request.id);
        // Init is ours from its creator's end on, and may end at once: its status must wait for us.
        let hold = subreaper::hold();
        let child = spawn.spawn().map_err(|error| operation.cannot_run(error))?;
        let status = operation.wait(&child).await?;
        if status != ProcessExit::Code(0) {
            return Err(operation.refused(status, ""));
        }
        let terminal = match console.map(ConsoleSocket::take) {
            Some(taken) => Some(taken.map_err(|error| operation.has_no_terminal(error))?),
            None => None,
        };
        let created = operation.read_pid().and_then(|pid| {
            // Not reaped, as only we could, so the pid is still its.
            let pidfd = PidFd::open(pid)?;
            let start_time = process::start_time(pid)?;
            Ok(CreatedContainer {
                pid,
                start_time,
                pidfd,
                terminal,
            })
        });
        drop(hold);
        created.map_err(|error| operation.cannot_watch(error))
    }

    async fn start(&self, id: &str) -> Result<(), OciError> {
        self.run("start", id, &[id]).await
    }

    async fn kill(&self, id: &str, signal: &str, all: bool) -> Result<(), OciError> {
        let arguments = if all {
            &["--all", id, signal][..]
        } else {
            &[id, signal]
        };
        forgive(self.run("kill", id, arguments).await, message::says_gone)
    }

    async fn delete(&self, id: &str) -> Result<(), OciError> {
        forgive(
            self.run("delete", id, &["--force", id]).await,
            message::says_unknown,
        )
    }
}

impl Execute for CliRuntime {
    async fn exec(&self, request: ExecRequest) -> Result<RuntimeExec, OciError> {
        let operation = self.operation("exec", &request.id);
        let output = request
            .output
            .try_clone()
            .map_err(|error| operation.cannot_run(error))?;
        let mut watch =
            FileWatch::new(&[&operation.pid_file]).map_err(|error| operation.cannot_run(error))?;
        // Everything behind `--` is a name or the program's, whatever it begins with.
        let mut spawn = self.spawn(&operation).arg("--pid-file").arg(&operation.pid_file);
        spawn = spawn.args(["--", request.id.as_str()]).args(&request.command);
        spawn = spawn.stdout(request.output).stderr(output);
        // An orphan of the runtime may be the program itself.
        let _hold = subreaper::hold();
        let child = spawn.spawn().map_err(|error| operation.cannot_run(error))?;
        let mut unfinished = KillOnDrop(Some(&child.pidfd));
        loop {
            if let Ok(pid) = operation.read_pid() {
                unfinished.0 = None;
                drop(unfinished);
                let program = open_program(pid, child.pid);
                return Ok(RuntimeExec {
                    pidfd: child.pidfd,
                    program,
                });
            }
            tokio::select! {
                changed = watch.changed() => changed.map_err(|error| operation.cannot_watch(error))?,
                ended = child.pidfd.ended() => {
                    ended.map_err(|error| operation.cannot_watch(error))?;
                    if operation.read_pid().is_err() {
                        // It never came to run the program.
                        let status = operation.wait(&child).await?;
                        return Err(operation.refused(status, ""));
                    }
                }
            }
        }
    }
}

/// Ends a runtime's process when its start is given up.
struct KillOnDrop<'a>(Option<&'a PidFd>);

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(process) = self.0 {
            // ESRCH: it has ended.
            let _ = process.signal(SIGKILL);
        }
    }
}

/// The program by its pid, if it is still there: a child of the runtime's process, or ours if that has left it to us.
fn open_program(pid: i32, runtime: i32) -> Option<PidFd> {
    let program = PidFd::open(pid).ok()?;
    let parent = process::parent(pid).ok()?;
    let is_ours = u32::try_from(parent) == Ok(std::process::id());
    (program.is_alive() && (parent == runtime || is_ours)).then_some(program)
}

/// Takes a refusal for success when its text says that nothing was left to do.
fn forgive(result: Result<(), OciError>, says_done: fn(&str) -> bool) -> Result<(), OciError> {
    match result {
        Err(OciError::Refused { message, .. }) if says_done(&message) => Ok(()),
        result => result,
    }
}

fn memory_file() -> io::Result<File> {
    Ok(File::from(memfd_create(c"stderr", MemFdCreateFlag::MFD_CLOEXEC)?))
}

/// One call of the runtime. Its files go with it.
struct Operation<'a> {
    name: &'static str,
    id: &'a str,
    program: PathBuf,
    log: PathBuf,
    pid_file: PathBuf,
    console: PathBuf,
}

impl Operation<'_> {
    async fn wait(&self, child: &Child) -> Result<ProcessExit, OciError> {
        child.pidfd.wait().await.map_err(|error| self.cannot_watch(error))
    }

    fn read_pid(&self) -> io::Result<i32> {
        let text = std::fs::read_to_string(&self.pid_file)?;
        let pid = text.trim().parse().ok().filter(|&pid| pid > 0);
        pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the runtime's pid file holds no pid"))
    }

    fn cannot_run(&self, source: io::Error) -> OciError {
        OciError::Spawn {
            program: self.program.clone(),
            source,
        }
    }

    fn cannot_watch(&self, source: io::Error) -> OciError {
        OciError::Process {
            operation: self.name,
            id: self.id.to_owned(),
            source,
        }
    }

    fn has_no_terminal(&self, source: io::Error) -> OciError {
        OciError::Terminal {
            id: self.id.to_owned(),
            source,
        }
    }

    fn refused(&self, status: ProcessExit, stderr: &str) -> OciError {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let (code, end) = match status {
            ProcessExit::Code(code) => (
                code,
                format!("the runtime ended with code {code} and gave no reason"),
            ),
            ProcessExit::Signal(signal) => (255, format!("the runtime was ended by signal {signal}")),
            ProcessExit::Unknown => (255, "the runtime ended in an unknown way".to_owned()),
        };
        let message = message::from_log(&log)
            .or_else(|| message::from_stderr(stderr))
            .unwrap_or(end);
        OciError::Refused {
            operation: self.name,
            id: self.id.to_owned(),
            message,
            code,
        }
    }

    fn remove_files(&self) {
        for file in [&self.log, &self.pid_file, &self.console] {
            remove(file);
        }
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        self.remove_files();
    }
}

/// Absent is fine, and a file left behind goes with the caller's folder.
fn remove(file: &Path) {
    let _ = std::fs::remove_file(file);
}
