//! Logging by a program of the user's: `binary:///path?key=value`, as containerd documents it.
//!
//! It has the process's stdout as descriptor 3 and stderr as 4, both for reading, and says that it is ready by closing
//! (or writing to) descriptor 5. `CONTAINER_ID` and `CONTAINER_NAMESPACE` are in its environment, and its arguments are
//! the address's keys and values, in their order.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::pipe::PipeFlags;
use tenure_supervise::process::{Child, Spawn};
use tenure_supervise::stdio::OutputPipe;

/// How long a logger may take to be ready, and to end when its container has.
const READY: Duration = Duration::from_secs(10);
const END: Duration = Duration::from_secs(12);
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// A logger at work.
#[derive(Debug)]
pub(super) struct Logger(Child);

impl Logger {
    /// Starts it and waits until it is ready; gives the writing ends of what it reads.
    ///
    /// # Errors
    /// Naming its address, when it cannot be executed or is not ready in time; it is gone then.
    pub(super) async fn start(address: &str, id: &str, namespace: &str) -> io::Result<(Self, [OwnedFd; 2])> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("logger {address}: {error}"));
        Self::try_start(address, id, namespace).await.map_err(named)
    }

    async fn try_start(address: &str, id: &str, namespace: &str) -> io::Result<(Self, [OwnedFd; 2])> {
        let (path, arguments) = parse(address).ok_or(io::ErrorKind::InvalidInput)?;
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC);
        let ((stdout, stdout_end), (stderr, stderr_end)) = (pipe()?, pipe()?);
        let (mut ready, ready_end) = OutputPipe::new()?;
        let child = Spawn::new(Path::new(&path))
            .args(arguments)
            .env("CONTAINER_ID", id)
            .env("CONTAINER_NAMESPACE", namespace)
            .inherit(stdout, 3)
            .inherit(stderr, 4)
            .inherit(ready_end, 5)
            .spawn()?;
        let logger = Self(child);
        let mut byte = [0; 1];
        let told = tokio::select! {
            told = tokio::time::timeout(READY, ready.read(&mut byte)) => told,
            _ = logger.0.pidfd.ended() => return Err(io::Error::other("it ended before it was ready")),
        };
        match told {
            Ok(told) => told.map(drop)?,
            Err(_) => {
                let _ = logger.0.pidfd.signal(SIGKILL);
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "it is not ready after 10 s",
                ));
            }
        }
        Ok((logger, [stdout_end, stderr_end]))
    }

    /// Waits for its end once its input has ended; one that stays is told to go, then made to.
    pub(super) async fn end(self) {
        for signal in [SIGTERM, SIGKILL] {
            if tokio::time::timeout(END, self.0.pidfd.wait()).await.is_ok() {
                return;
            }
            let _ = self.0.pidfd.signal(signal);
        }
        let _ = self.0.pidfd.wait().await;
    }
}

/// The program and its arguments.
fn parse(address: &str) -> Option<(String, Vec<String>)> {
    let rest = address.strip_prefix("binary://")?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut arguments = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        arguments.push(decode(key)?);
        if !value.is_empty() {
            arguments.push(decode(value)?);
        }
    }
    let path = decode(path)?;
    path.starts_with('/').then_some((path, arguments))
}

/// Takes the percent signs and plus signs out of a part of an address.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_program_and_its_arguments() {
        let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            parse("binary:///usr/bin/log%20it?id=a%2Fb&flag&x=y+z"),
            Some((
                "/usr/bin/log it".to_owned(),
                strings(&["id", "a/b", "flag", "x", "y z"])
            ))
        );
        assert_eq!(parse("binary:///log"), Some(("/log".to_owned(), Vec::new())));
        assert_eq!(parse("binary://log"), None);
        assert_eq!(parse("binary:///log?x=%zz"), None);
    }
}
