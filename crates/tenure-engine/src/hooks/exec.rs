//! The exec handler (`lifecycle-semantics 2.4`): argv run directly in the container, its output kept for people.

use tenure_lifecycle::HookReport;
use tenure_supervise::ProcessExit;
use tenure_supervise::stdio::OutputPipe;
use tokio::sync::oneshot;

use super::{HookContext, cancelled, failed, succeeded, told};
use crate::oci::{ExecRequest, OciRuntime, RuntimeExec};

/// How much of what a handler writes is kept, in bytes. The rest is read and let go, so that the handler never waits.
const KEPT: usize = 64 * 1024;
const SIGKILL: i32 = 9;

/// Runs `command` to its end, or kills it when `cancel` says so.
pub(super) async fn run<R: OciRuntime>(
    command: Vec<String>,
    context: HookContext<R>,
    mut cancel: oneshot::Receiver<()>,
) -> HookReport {
    let (pipe, output) = match OutputPipe::new() {
        Ok(ends) => ends,
        Err(error) => {
            return failed(
                format!("cannot make a pipe for its output: {error}"),
                String::new(),
            );
        }
    };
    let request = ExecRequest {
        id: context.container_id.clone(),
        command,
        output,
    };
    // Dropped before it has started, the runtime's process is killed.
    let started = tokio::select! {
        started = context.runtime.exec(request) => started,
        _ = &mut cancel => return cancelled(String::new()),
    };
    let mut kept = Kept::default();
    match started {
        Err(error) => {
            kept.drain(&pipe);
            failed(told(&error), kept.text())
        }
        Ok(process) => attend(process, &pipe, kept, cancel).await,
    }
}

async fn attend(
    process: RuntimeExec,
    pipe: &OutputPipe,
    mut kept: Kept,
    mut cancel: oneshot::Receiver<()>,
) -> HookReport {
    let mut is_cancelled = false;
    let mut is_open = true;
    let mut buffer = [0; 4096];
    let exit = loop {
        tokio::select! {
            exit = process.pidfd.wait() => break exit,
            read = pipe.read(&mut buffer), if is_open => match read {
                Ok(count) if count > 0 => kept.add(&buffer[..count]),
                // Nobody can write any more; the program may go on all the same.
                Ok(_) | Err(_) => is_open = false,
            },
            _ = &mut cancel, if !is_cancelled => {
                is_cancelled = true;
                kill(&process);
            }
        }
    };
    kept.drain(pipe);
    let output = kept.text();
    match exit {
        _ if is_cancelled => cancelled(output),
        Ok(ProcessExit::Code(0)) => succeeded(output),
        Ok(ProcessExit::Code(code)) => failed(format!("exited with code {code}"), output),
        Ok(ProcessExit::Signal(signal)) => failed(format!("was ended by signal {signal}"), output),
        Ok(ProcessExit::Unknown) => failed("ended in an unknown way".to_owned(), output),
        Err(error) => failed(format!("cannot be watched: {error}"), output),
    }
}

/// The program, and the runtime's process that waits for it. Either may have ended by itself.
fn kill(process: &RuntimeExec) {
    if let Some(program) = &process.program {
        let _ = program.signal(SIGKILL);
    }
    let _ = process.pidfd.signal(SIGKILL);
}

/// What a handler wrote, as far as it is kept.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    cut: usize,
}

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.bytes.len()).min(bytes.len());
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
