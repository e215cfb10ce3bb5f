//! Signals to ourselves as an asynchronous stream.

use std::io;

/// Signals that no longer interrupt but are read. Make it before any other thread exists: signals are blocked in the
/// calling thread and in those it starts. Children of [`crate::process::Spawn`] start with an empty mask all the same.
#[derive(Debug)]
pub struct Signals {}

impl Signals {
    /// Takes these signals (numbers, real-time ones too).
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let _ = signals;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// The next signal's number. Cancel-safe.
    pub async fn next(&mut self) -> io::Result<i32> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
