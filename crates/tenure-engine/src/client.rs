//! What other processes ask of a pod: blocking calls for the command line.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use tenure_supervise::pidfd::PidFd;
use tenure_supervise::watch::FileWatch;

use crate::control::{Answer, Asked, short_name};
use crate::error::EngineError;
use crate::recover;
use crate::store::{Claim, PodDir, Store, boot_id, file_error, wait_until_free};

/// How long a supervisor that is asked to kill may be silent before it is killed itself: stopped, or held up by an
/// operation that never ends, such as a create whose OCI hook hangs.
const UNRESPONSIVE: Duration = Duration::from_secs(10);

/// How a pod came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopOutcome {
    /// The pod's exit code.
    pub exit_code: u8,
    /// Who ended it.
    pub ended_by: EndedBy,
}

/// Who ended a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// Its supervisor.
    Supervisor,
    /// This process, because the supervisor was dead.
    Recovery,
    /// It had ended before.
    Nobody,
}

/// Stops a pod as the kubelet does on deletion and returns when it has ended. `grace` in whole seconds, `None` is the
/// pod's own; a later stop may only shorten. With a dead supervisor this process does it.
///
/// # Errors
/// When there is no such pod, or it cannot be reached or cleaned up.
pub fn stop(root: &Path, name: &str, grace: Option<u64>) -> Result<StopOutcome, EngineError> {
    let store = Store::new(root);
    end(&store, name, Asked::Stop { grace }, |claim| {
        recover::stop(&claim, grace)
    })
}

/// Kills everything in a pod with SIGKILL, runs no handlers, and returns when it has ended. A supervisor that does not
/// answer is killed as well.
///
/// # Errors
/// As [`stop`].
pub fn kill(root: &Path, name: &str) -> Result<StopOutcome, EngineError> {
    let store = Store::new(root);
    end(&store, name, Asked::Kill {}, |claim| recover::kill(&claim))
}

/// Removes an ended pod's record, logs and leftovers; with `force` kills it first. Works when the supervisor is dead.
///
/// # Errors
/// When there is no such pod, it lives and `force` is not given, or something cannot be removed.
pub fn delete(root: &Path, name: &str, force: bool) -> Result<(), EngineError> {
    let store = Store::new(root);
    if force {
        match kill(root, name) {
            Ok(_) => {}
            // `--rm`, or another delete, was quicker.
            Err(EngineError::NotFound { .. }) if store.open(name).is_err() => {
                return Err(EngineError::NotFound { name: name.into() });
            }
            Err(error) => return Err(error),
        }
        if store.open(name).is_err() {
            return Ok(());
        }
    }
    let claim = store.claim_existing(name)?;
    if !claim.dir().has_ended() {
        if recover::lives(&claim)? {
            return Err(EngineError::LeftBehind { name: name.into() });
        }
        recover::kill(&claim)?;
    }
    claim.remove()
}

/// Asks the supervisor and waits for the end; where there is none, `recover` does it.
fn end(
    store: &Store,
    name: &str,
    asked: Asked,
    recover: impl Fn(Claim) -> Result<u8, EngineError>,
) -> Result<StopOutcome, EngineError> {
    let dir = store.open(name)?;
    let mut supervised = false;
    loop {
        match store.claim_existing(name) {
            Ok(claim) if claim.dir().has_ended() => {
                let exit_code = exit_code(claim.dir());
                let ended_by = if supervised {
                    EndedBy::Supervisor
                } else {
                    EndedBy::Nobody
                };
                return Ok(StopOutcome { exit_code, ended_by });
            }
            Ok(claim) => {
                return Ok(StopOutcome {
                    exit_code: recover(claim)?,
                    ended_by: EndedBy::Recovery,
                });
            }
            Err(EngineError::Running { .. }) => supervised = true,
            // `--rm`: it has ended, and its exit code went with it.
            Err(EngineError::NotFound { .. }) if supervised => {
                return Ok(StopOutcome {
                    exit_code: 0,
                    ended_by: EndedBy::Supervisor,
                });
            }
            Err(error) => return Err(error),
        }
        match ask(&dir, asked)? {
            Told::Ended(exit_code) => {
                free(&dir)?;
                return Ok(StopOutcome {
                    exit_code,
                    ended_by: EndedBy::Supervisor,
                });
            }
            Told::Gone => free(&dir)?,
            Told::NotThere => await_socket(&dir, asked)?,
        }
    }
}

/// What came of asking a supervisor.
enum Told {
    /// The pod has ended with this code.
    Ended(u8),
    /// It went without a word: its lock is or will be free.
    Gone,
    /// Nobody listens: it is just beginning or just ending.
    NotThere,
}

/// Waits until the supervisor has let go of the name.
fn free(dir: &PodDir) -> Result<(), EngineError> {
    wait_until_free(&dir.lock()).map_err(|source| file_error("wait for", &dir.lock(), source))
}

/// Asks and waits for the answer that follows the pod's end.
fn ask(dir: &PodDir, asked: Asked) -> Result<Told, EngineError> {
    match converse(dir, asked) {
        Ok(Some(exit_code)) => Ok(Told::Ended(exit_code)),
        Ok(None) => Ok(Told::Gone),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(Told::NotThere),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Ok(Told::Gone),
            io::ErrorKind::WouldBlock if asked == (Asked::Kill {}) => {
                kill_supervisor(dir)?;
                Ok(Told::Gone)
            }
            _ => Err(unreachable_supervisor(dir, error)),
        },
    }
}

fn unreachable_supervisor(dir: &PodDir, source: io::Error) -> EngineError {
    EngineError::Control {
        name: dir.name().into(),
        source,
    }
}

/// The last answer's exit code; `None` when there will be none.
fn converse(dir: &PodDir, asked: Asked) -> io::Result<Option<u8>> {
    let (_folder, name) = short_name(&dir.control())?;
    let mut stream = UnixStream::connect(name)?;
    let mut line = serde_json::to_vec(&asked)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    if asked == (Asked::Kill {}) {
        stream.set_read_timeout(Some(UNRESPONSIVE))?;
    }
    let mut answers = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match serde_json::from_str(&line)? {
            Answer::Ended { exit_code } => return Ok(Some(exit_code)),
            // It has finished: the end is near.
            Answer::Refused(_) => return Ok(None),
            Answer::Accepted(_) | Answer::Pong(_) => {}
        }
    }
}

/// A supervisor takes its lock and listens in one breath; this waits out the moment between.
fn await_socket(dir: &PodDir, asked: Asked) -> Result<(), EngineError> {
    let control = dir.control();
    let mut watch = FileWatch::new(&[&control]).map_err(|error| unreachable_supervisor(dir, error))?;
    // What happened before the watch began is not told.
    if !dir.is_supervised()? || listens(&control) {
        return Ok(());
    }
    let changed = watch
        .wait(Some(UNRESPONSIVE))
        .map_err(|error| unreachable_supervisor(dir, error))?;
    if changed || !dir.is_supervised()? {
        Ok(())
    } else if asked == (Asked::Kill {}) {
        kill_supervisor(dir)
    } else {
        Err(unreachable_supervisor(dir, io::ErrorKind::TimedOut.into()))
    }
}

fn listens(control: &Path) -> bool {
    short_name(control).is_ok_and(|(_folder, name)| UnixStream::connect(name).is_ok())
}

fn kill_supervisor(dir: &PodDir) -> Result<(), EngineError> {
    let Some(record) = dir.read_record()?.filter(|record| record.boot_id == boot_id()) else {
        return Ok(());
    };
    let supervisor = record.supervisor;
    let killed = PidFd::open_verified(supervisor.pid, supervisor.start_time)
        .and_then(|process| process.map_or(Ok(()), |process| process.signal(nix::libc::SIGKILL)));
    killed.map_err(|error| unreachable_supervisor(dir, error))
}

fn exit_code(dir: &PodDir) -> u8 {
    dir.read_published()
        .ok()
        .flatten()
        .map_or(0, |published| published.status.exit_code)
}

#[cfg(test)]
mod tests;
