//! The seam's implementation for every runtime with runc's command line: one short-lived process per operation.

use std::path::PathBuf;

use super::{
    CreateRequest, CreatedContainer, ExecRequest, OciError, OciRuntime, RuntimeExec, RuntimeLocation,
};

/// Runs `<binary> --root ROOT ...` for every operation: tenure, runc or crun.
#[derive(Debug)]
pub struct CliRuntime {
    #[allow(dead_code)]
    location: RuntimeLocation,
    #[allow(dead_code)]
    scratch: PathBuf,
}

impl CliRuntime {
    /// A runtime at `location`. `scratch` is an existing folder of the caller's for pid and log files (the pod's own),
    /// named after the container's id and removed after each operation.
    ///
    /// The calling process must be a subreaper ([`tenure_supervise::subreaper::become_subreaper`]).
    pub fn new(location: RuntimeLocation, scratch: PathBuf) -> Self {
        Self { location, scratch }
    }
    /// Adds an environment variable to every operation's process, which otherwise has the caller's environment.
    pub fn env(self, name: &str, value: &str) -> Self {
        let _ = (name, value);
        self
    }
}

fn unsupported() -> OciError {
    OciError::Spawn {
        program: PathBuf::new(),
        source: std::io::ErrorKind::Unsupported.into(),
    }
}

impl OciRuntime for CliRuntime {
    async fn create(&self, _request: CreateRequest) -> Result<CreatedContainer, OciError> {
        Err(unsupported())
    }
    async fn start(&self, _id: &str) -> Result<(), OciError> {
        Err(unsupported())
    }
    async fn kill(&self, _id: &str, _signal: &str, _all: bool) -> Result<(), OciError> {
        Err(unsupported())
    }
    async fn delete(&self, _id: &str) -> Result<(), OciError> {
        Err(unsupported())
    }
    async fn exec(&self, _request: ExecRequest) -> Result<RuntimeExec, OciError> {
        Err(unsupported())
    }
}
