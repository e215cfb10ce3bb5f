//! Runs a program with a breakpoint at the start of each of its functions.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// The instruction of a breakpoint (x86: int3).
const BREAKPOINT: u8 = 0xcc;

pub(crate) struct Tracer {
    program: PathBuf,
    size: u64,
    /// The bytes of each function's start, as they are in the program.
    functions: HashMap<u64, u8>,
    text: Text,
}

/// The program's code with a breakpoint at every function.
struct Text {
    address: u64,
    bytes: Vec<u8>,
}

impl Tracer {
    pub(crate) fn new(program: &Path, functions: Vec<u64>) -> Result<Self> {
        let file = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
        let (address, mut bytes) = text(&file).context("not a program of 64 bits with one text segment")?;
        let mut starts = HashMap::new();
        for function in functions {
            // Symbols outside of it (absolute ones) are no code.
            let offset = function
                .checked_sub(address)
                .and_then(|o| usize::try_from(o).ok());
            if let Some(byte) = offset.and_then(|o| bytes.get_mut(o)) {
                starts.insert(function, std::mem::replace(byte, BREAKPOINT));
            }
        }
        Ok(Self {
            program: program.to_owned(),
            size: file.len() as u64,
            functions: starts,
            text: Text { address, bytes },
        })
    }

    /// Runs one command to its end; the functions called meanwhile in the order of first calls, and how it ended.
    pub(crate) fn run(&self, arguments: &[String]) -> Result<(Vec<u64>, String)> {
        // The shell waits for us with a signal to itself, and then becomes the program.
        let child = Command::new("sh")
            .args(["-c", "kill -STOP $$; exec \"$0\" \"$@\""])
            .arg(&self.program)
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start the program")?;
        let main = Pid::from_raw(i32::try_from(child.id())?);
        waitpid(main, Some(WaitPidFlag::WUNTRACED)).context("cannot wait for the shell")?;
        let followed = Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(main, followed).context("cannot trace the program")?;
        let mut called = Vec::new();
        let mut seen = HashSet::new();
        loop {
            let status = waitpid(None, Some(WaitPidFlag::__WALL)).context("nothing left to wait for")?;
            match status {
                WaitStatus::Exited(pid, code) if pid == main => {
                    return Ok((called, format!("exit code {code}")));
                }
                WaitStatus::Signaled(pid, signal, _) if pid == main => {
                    return Ok((called, signal.to_string()));
                }
                status => {
                    if let Some(address) = self.step(status)?
                        && seen.insert(address)
                    {
                        called.push(address);
                    }
                }
            }
        }
    }

    /// Lets a stopped process go on; the function whose call stopped it.
    fn step(&self, status: WaitStatus) -> Result<Option<u64>> {
        let Some(pid) = status.pid() else { return Ok(None) };
        let mut called = None;
        let mut deliver = None;
        match status {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Ok(None),
            WaitStatus::PtraceEvent(_, _, event) if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 => {
                if !self.runs_the_program(pid) {
                    return gone_is_fine(ptrace::detach(pid, None)).map(|()| None);
                }
                self.set_breakpoints(pid)?;
            }
            WaitStatus::Stopped(_, Signal::SIGTRAP) => called = self.pass_breakpoint(pid)?,
            WaitStatus::Stopped(_, signal) => deliver = Some(signal),
            _ => {}
        }
        gone_is_fine(ptrace::cont(pid, deliver))?;
        Ok(called)
    }

    /// Whether a process that has executed something executed the program, or a copy of it.
    fn runs_the_program(&self, pid: Pid) -> bool {
        fs::metadata(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.len() == self.size)
    }

    fn set_breakpoints(&self, pid: Pid) -> Result<()> {
        memory(pid)?
            .write_all_at(&self.text.bytes, self.text.address)
            .context("cannot set the breakpoints")
    }

    /// Takes the breakpoint away at which a process stopped, and sets it back to the function's start.
    fn pass_breakpoint(&self, pid: Pid) -> Result<Option<u64>> {
        let mut registers = match ptrace::getregs(pid) {
            Err(Errno::ESRCH) => return Ok(None),
            got => got.context("cannot read registers")?,
        };
        let address = registers.rip - 1;
        let Some(byte) = self.functions.get(&address) else {
            bail!("process {pid} stopped at {address:#x}, where no breakpoint is");
        };
        memory(pid)?
            .write_all_at(&[*byte], address)
            .context("cannot take a breakpoint away")?;
        registers.rip = address;
        gone_is_fine(ptrace::setregs(pid, registers))?;
        Ok(Some(address))
    }
}

fn memory(pid: Pid) -> Result<File> {
    let path = format!("/proc/{pid}/mem");
    OpenOptions::new()
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {path}"))
}

/// A process may be killed at any moment.
fn gone_is_fine(result: nix::Result<()>) -> Result<()> {
    match result {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno).context("cannot go on"),
    }
}

/// The address and the bytes of the executable segment (ELF, 64 bits, little-endian).
fn text(file: &[u8]) -> Option<(u64, Vec<u8>)> {
    const LOAD: u64 = 1;
    const EXECUTABLE: u64 = 1;
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = file.get(at..at + size)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    let table = usize::try_from(number(32, 8)?).ok()?;
    let size = usize::try_from(number(54, 2)?).ok()?;
    for index in 0..usize::try_from(number(56, 2)?).ok()? {
        let header = table + index * size;
        if number(header, 4)? == LOAD && number(header + 4, 4)? & EXECUTABLE != 0 {
            let offset = usize::try_from(number(header + 8, 8)?).ok()?;
            let length = usize::try_from(number(header + 32, 8)?).ok()?;
            return Some((
                number(header + 16, 8)?,
                file.get(offset..offset + length)?.to_vec(),
            ));
        }
    }
    None
}
