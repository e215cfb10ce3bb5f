//! Programs run in a container, for exec handlers (`lifecycle-semantics 2.4`) and exec probes (`6.8`): argv run
//! directly, without a shell, the output kept for people.

use std::io;

use tenure_lifecycle::HookReport;
use tenure_supervise::ProcessExit;
use tenure_supervise::stdio::OutputPipe;
use tokio::sync::oneshot;

use super::{HookContext, cancelled, failed, succeeded, told};
use crate::oci::{ExecRequest, Execute, OciError, RuntimeExec};

/// How much of what a handler writes is kept, in bytes.
const KEPT: usize = 64 * 1024;
const SIGKILL: i32 = 9;

/// Runs `command` to its end, or kills it when `cancel` says so.
pub(super) async fn run<R: Execute>(
    command: Vec<String>,
    context: HookContext<R>,
    mut cancel: oneshot::Receiver<()>,
) -> HookReport {
    let program = tokio::select! {
        program = Program::start(command, &context, KEPT) => program,
        _ = &mut cancel => return cancelled(String::new()),
    };
    let mut program = match program {
        Ok(program) => program,
        Err(NotStarted { error, output }) => return failed(told(&error), output),
    };
    let exit = tokio::select! {
        exit = program.ended() => Some(exit),
        _ = &mut cancel => None,
    };
    let Some(exit) = exit else {
        // Its end is awaited, whatever it is: nothing of it is left.
        let _ = program.kill().await;
        return cancelled(program.output());
    };
    let output = program.output();
    match why_not(&exit) {
        None => succeeded(output),
        Some(why) => failed(why, output),
    }
}

/// How a program ended that did not end well.
pub(crate) fn why_not(exit: &io::Result<ProcessExit>) -> Option<String> {
    match exit {
        Ok(ProcessExit::Code(0)) => None,
        Ok(ProcessExit::Code(code)) => Some(format!("exited with code {code}")),
        Ok(ProcessExit::Signal(signal)) => Some(format!("was ended by signal {signal}")),
        Ok(ProcessExit::Unknown) => Some("ended in an unknown way".to_owned()),
        Err(error) => Some(format!("cannot be watched: {error}")),
    }
}

/// Why a program does not run.
#[derive(Debug)]
pub(crate) struct NotStarted {
    pub(crate) error: ExecError,
    /// What the runtime, or the program, has written all the same.
    pub(crate) output: String,
}

/// Why a program could not be run in a container.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    /// There is nowhere for its output to go.
    #[error("cannot make a pipe for its output")]
    Pipe(#[source] io::Error),
    /// The runtime refused.
    #[error(transparent)]
    Runtime(#[from] OciError),
}

/// A program that runs in a container.
#[derive(Debug)]
pub(crate) struct Program {
    process: RuntimeExec,
    pipe: OutputPipe,
    is_open: bool,
    kept: Kept,
}

impl Program {
    /// Starts a program; of what it writes `limit` bytes are kept, the rest is read and let go, so that it never
    /// waits. Dropped before it has started, the runtime's process is killed.
    pub(crate) async fn start<R: Execute>(
        command: Vec<String>,
        context: &HookContext<R>,
        limit: usize,
    ) -> Result<Self, NotStarted> {
        let (pipe, output) = OutputPipe::new().map_err(|error| NotStarted {
            error: ExecError::Pipe(error),
            output: String::new(),
        })?;
        let mut kept = Kept::new(limit);
        let request = ExecRequest {
            id: context.container_id.clone(),
            command,
            output,
        };
        match context.runtime.exec(request).await {
            Ok(process) => Ok(Self {
                process,
                pipe,
                is_open: true,
                kept,
            }),
            Err(error) => {
                kept.drain(&pipe);
                Err(NotStarted {
                    error: error.into(),
                    output: kept.text(),
                })
            }
        }
    }

    /// Waits for its end, reading what it writes. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> io::Result<ProcessExit> {
        let mut buffer = [0; 4096];
        loop {
            tokio::select! {
                exit = self.process.pidfd.wait() => return exit,
                read = self.pipe.read(&mut buffer), if self.is_open => match read {
                    Ok(count) if count > 0 => self.kept.add(&buffer[..count]),
                    // Nobody can write any more; the program may go on all the same.
                    Ok(_) | Err(_) => self.is_open = false,
                },
            }
        }
    }

    /// SIGKILL to the program and to the runtime's process that waits for it; either may have ended by itself. Waits
    /// for the end.
    pub(crate) async fn kill(&mut self) -> io::Result<ProcessExit> {
        if let Some(program) = &self.process.program {
            let _ = program.signal(SIGKILL);
        }
        let _ = self.process.pidfd.signal(SIGKILL);
        self.ended().await
    }

    /// What it wrote, as far as it is kept.
    pub(crate) fn output(&mut self) -> String {
        self.kept.drain(&self.pipe);
        self.kept.text()
    }
}

/// What a program wrote, as far as it is kept.
#[derive(Debug)]
struct Kept {
    limit: usize,
    bytes: Vec<u8>,
    cut: usize,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: Vec::new(),
            cut: 0,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.bytes.len()).min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..room]);
        self.cut += bytes.len() - room;
    }

    /// Takes what is in the pipe now: a grandchild may hold it open for ever.
    fn drain(&mut self, pipe: &OutputPipe) {
        let mut left = pipe.waiting().unwrap_or(0);
        let mut buffer = [0; 4096];
        while left > 0 {
            match pipe.try_read(&mut buffer) {
                Ok(Some(count)) if count > 0 => {
                    self.add(&buffer[..count]);
                    left = left.saturating_sub(count as u64);
                }
                Ok(_) | Err(_) => return,
            }
        }
    }

    fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.cut > 0 {
            text.push_str(&format!("\n[{} more bytes]", self.cut));
        }
        text
    }
}
