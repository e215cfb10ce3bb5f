//! `control.sock`: where a supervisor takes requests, JSON lines both ways.
//!
//! ```text
//! {"stop":{"grace":5}}  →  {"accepted":true}  …  {"ended":{"exit_code":143}}
//! {"kill":{}}           →  {"accepted":true}  …  {"ended":{"exit_code":137}}
//! {"ping":{}}           →  {"pong":true}
//! anything refused      →  {"refused":"the pod has already finished"}
//! ```
//!
//! The socket is 0600 in a folder of 0700: who can reach it may as well kill the supervisor.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use nix::libc;
use serde::{Deserialize, Serialize};
use tenure_lifecycle::Request;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::engine::{Input, Inputs};
use crate::store::PodDir;

/// Longest request; ours have a tenth of it.
const LINE_MAX: u64 = 4096;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Asked {
    /// Stop as on deletion.
    Stop {
        /// Whole seconds; the pod's own when absent.
        #[serde(default)]
        grace: Option<u64>,
    },
    /// SIGKILL to everything.
    Kill {},
    /// Are you there?
    Ping {},
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// It will be done; `Ended` follows.
    Accepted(bool),
    /// It will not be done.
    Refused(String),
    /// I am.
    Pong(bool),
    /// The pod's life is over.
    Ended {
        /// The pod's exit code.
        exit_code: u8,
    },
}

/// A socket's name that fits into 108 bytes however long its folder's is: through a descriptor of the folder, which
/// must be kept open while the name is used.
pub(crate) fn short_name(socket: &Path) -> io::Result<(File, PathBuf)> {
    let folder = socket.parent().unwrap_or(Path::new("/"));
    let folder = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(folder)?;
    let name = socket.file_name().unwrap_or_default();
    let short = Path::new("/proc/self/fd")
        .join(folder.as_raw_fd().to_string())
        .join(name);
    Ok((folder, short))
}

/// Begins to listen; requests wait in the socket until [`serve`] is run. The socket gets its name only once it listens:
/// who finds it is heard.
pub(crate) fn listen(dir: &PodDir) -> io::Result<UnixListener> {
    let path = dir.control();
    let unnamed = path.with_extension("new");
    match std::fs::remove_file(&unnamed) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (_folder, short) = short_name(&unnamed)?;
    let listener = UnixListener::bind(short)?;
    std::fs::set_permissions(&unnamed, PermissionsExt::from_mode(0o600))?;
    std::fs::rename(&unnamed, &path)?;
    Ok(listener)
}

/// How long a request waits where the machine is out of descriptors or memory.
const BETTER_TIMES: Duration = Duration::from_millis(50);

/// Answers requests until the pod has ended and everybody who asked has been told.
pub(crate) async fn serve(listener: Rc<UnixListener>, inputs: Inputs, ended: watch::Receiver<Option<u8>>) {
    let mut conversations = JoinSet::new();
    let mut over = ended.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    conversations.spawn_local(converse(stream, inputs.clone(), ended.clone()));
                }
                Err(error) => {
                    // Out of descriptors or memory, and nothing tells of better times but a conversation's end.
                    tracing::error!(%error, "a request cannot be taken");
                    tokio::select! {
                        Some(_) = conversations.join_next() => {}
                        () = tokio::time::sleep(BETTER_TIMES) => {}
                    }
                }
            },
            // Ended conversations are let go of.
            Some(_) = conversations.join_next() => {}
            _ = over.wait_for(Option::is_some) => break,
        }
    }
    while conversations.join_next().await.is_some() {}
}

async fn converse(stream: UnixStream, inputs: Inputs, mut ended: watch::Receiver<Option<u8>>) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader.take(LINE_MAX));
    let mut told = false;
    loop {
        let mut line = String::new();
        let read = tokio::select! {
            biased;
            _ = ended.wait_for(Option::is_some) => break,
            read = reader.read_line(&mut line) => read,
        };
        match read {
            Ok(1..) => {}
            // Nothing more will be asked, but an answer may still be due.
            Ok(0) if told => {
                let _ = ended.wait_for(Option::is_some).await;
                break;
            }
            Ok(_) | Err(_) => return,
        }
        reader.get_mut().set_limit(LINE_MAX);
        let answer = answer(&line, &inputs).await;
        told |= matches!(answer, Answer::Accepted(_));
        if say(&mut writer, &answer).await.is_err() {
            return;
        }
    }
    if told {
        let exit_code = ended.borrow().unwrap_or_default();
        // Whoever asked may have gone away. Who was not heard in time sees the line closed, and looks for himself.
        let _ = say(&mut writer, &Answer::Ended { exit_code }).await;
    }
}

async fn answer(line: &str, inputs: &Inputs) -> Answer {
    let request = match serde_json::from_str(line) {
        Ok(Asked::Ping {}) => return Answer::Pong(true),
        Ok(Asked::Stop { grace }) => Request::Stop { grace },
        Ok(Asked::Kill {}) => Request::Kill,
        Err(error) => return Answer::Refused(format!("not a request: {error}")),
    };
    let (reply, replied) = oneshot::channel();
    if inputs.send(Input::Request { request, reply }).is_err() {
        return Answer::Accepted(true);
    }
    match replied.await {
        Ok(Ok(())) => Answer::Accepted(true),
        Ok(Err(rejected)) => Answer::Refused(rejected.to_string()),
        // The loop ended before it looked: what was asked for has come about.
        Err(_) => Answer::Accepted(true),
    }
}

async fn say(writer: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    writer.write_all(&line).await
}
