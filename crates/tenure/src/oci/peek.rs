//! The little of config.json that the command line itself must know before the runtime reads it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::Deserialize;
use tenure_spec::annotations::{self, ManagedLifecycle};

use crate::exit::CommandError;

/// No config.json is larger.
const LARGEST: u64 = 16 << 20;

/// Whether a container wants a terminal, and its annotations.
#[derive(Debug)]
pub(super) struct Peek {
    path: PathBuf,
    config: Config,
}

#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    process: Option<Process>,
}

#[derive(Debug, Deserialize)]
struct Process {
    #[serde(default)]
    terminal: bool,
}

impl Peek {
    /// Looks at a bundle's config.json. A file that cannot be read or understood is left to the runtime, which says
    /// better what is wrong with it: nothing is known of it here.
    pub(super) fn at(bundle: &Path) -> Self {
        let path = bundle.join("config.json");
        let config = read(&path)
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self { path, config }
    }

    /// `process.terminal`.
    pub(super) fn terminal(&self) -> bool {
        self.config
            .process
            .as_ref()
            .is_some_and(|process| process.terminal)
    }

    /// The managed lifecycle that the annotations ask for.
    ///
    /// # Errors
    /// When a lifecycle annotation cannot be used; the key is named.
    pub(super) fn lifecycle(&self) -> Result<Option<ManagedLifecycle>, CommandError> {
        let Some(annotations) = &self.config.annotations else {
            return Ok(None);
        };
        annotations::lifecycle(annotations, None).map_err(|errors| {
            let faults: Vec<String> = errors.iter().map(ToString::to_string).collect();
            CommandError::message(format!("{}: {}", self.path.display(), faults.join("; ")))
        })
    }

    /// Refuses a terminal that nobody could hold, and a socket that would stay unused.
    ///
    /// # Errors
    /// As said.
    pub(super) fn check_console(&self, socket: bool, detach: bool) -> Result<(), CommandError> {
        match (self.terminal(), socket, detach) {
            (true, false, true) => Err(CommandError::message(format!(
                "{}: process.terminal: cannot allocate tty if tenure will detach without setting console socket",
                self.path.display()
            ))
            .hint("give --console-socket")),
            (false, true, _) => Err(CommandError::message(format!(
                "{}: process.terminal is false: cannot use console socket without a tty",
                self.path.display()
            ))),
            _ => Ok(()),
        }
    }
}

/// The content of a regular file of bearable size: a fifo would block, a device never end.
fn read(path: &Path) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()?.saturating_add(1));
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unwrap_used)]
    fn peek(config: &str) -> Peek {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        Peek::at(dir.path())
    }

    #[test]
    fn a_detached_terminal_needs_a_socket() {
        let terminal = peek(r#"{"process":{"terminal":true}}"#);
        assert!(terminal.check_console(false, true).is_err());
        assert!(terminal.check_console(true, true).is_ok());
        assert!(terminal.check_console(false, false).is_ok());
    }

    #[test]
    fn a_socket_without_a_terminal_is_refused() {
        assert!(peek(r#"{"process":{}}"#).check_console(true, true).is_err());
        assert!(peek("{}").check_console(false, true).is_ok());
    }

    #[test]
    fn a_broken_config_is_left_to_the_runtime() {
        for text in ["", "[]", "{\"process\":7}", "{\"annotations\":{\"a\":1}}"] {
            assert!(peek(text).lifecycle().unwrap().is_none(), "{text}");
        }
    }
}
