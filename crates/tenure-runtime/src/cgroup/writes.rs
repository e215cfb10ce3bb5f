//! Writing limits into the kernel's files: the one way to do it, at create and at update.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::Error;

/// A value for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) path: PathBuf,
    pub(super) value: String,
    pub(super) absent: Absent<PathBuf>,
}

/// What to do on a kernel without that file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Absent<File> {
    /// It is an error.
    Fails,
    /// Nothing: what is asked for holds anyway, or only refines another limit.
    Ignored,
    /// The same limit has another name there, and another form.
    Instead {
        /// The other file.
        file: File,
        /// The value for it.
        value: String,
    },
}

impl Write {
    /// A value for a file that must be there.
    fn plain(path: &Path, value: &str) -> Self {
        Self {
            path: path.to_owned(),
            value: value.to_owned(),
            absent: Absent::Fails,
        }
    }

    /// The file and the value meant for this kernel; nothing where there is nothing to do.
    fn target(&self) -> Option<(&Path, &str)> {
        match &self.absent {
            Absent::Instead { file, value } if !self.path.exists() => Some((file, value)),
            Absent::Ignored if !self.path.exists() => None,
            Absent::Fails | Absent::Ignored | Absent::Instead { .. } => Some((&self.path, &self.value)),
        }
    }
}

/// Writes values in an order that the kernel takes.
///
/// Limits depend on each other: memory must not exceed memory and swap, a quota must fit its period, weights do not go
/// with idleness. Which of two has to come first depends on the values before. A value that the kernel calls invalid is
/// therefore tried again after the others, as long as that gets any further.
///
/// # Errors
/// `CgroupLimit` for the first value that is refused for good; values written before it stay.
pub(super) fn write_all(writes: &[Write]) -> Result<(), Error> {
    let mut waiting: Vec<(&Path, &str)> = writes.iter().filter_map(Write::target).collect();
    while !waiting.is_empty() {
        let mut refused = Vec::new();
        let mut reason = None;
        let count = waiting.len();
        for (path, value) in waiting {
            match write_limit(path, value) {
                Err(error) if is_invalid(&error) => {
                    reason.get_or_insert(error);
                    refused.push((path, value));
                }
                other => other?,
            }
        }
        if refused.len() == count
            && let Some(error) = reason
        {
            return Err(error);
        }
        waiting = refused;
    }
    Ok(())
}

/// The values that the files of these writes hold now, as writes in the opposite order; one for each line, as with limits
/// for several devices.
pub(super) fn present(writes: &[Write]) -> Vec<Write> {
    let mut present: Vec<Write> = Vec::new();
    for (path, _) in writes.iter().rev().filter_map(Write::target) {
        if !present.iter().any(|write| write.path == path) {
            let text = fs::read_to_string(path).unwrap_or_default();
            present.extend(text.lines().map(|line| Write::plain(path, line)));
        }
    }
    present
}

/// Whether the kernel takes this value for no good at present.
fn is_invalid(error: &Error) -> bool {
    matches!(error, Error::CgroupLimit { source, .. } if source.kind() == ErrorKind::InvalidInput)
}

/// Writes one value, naming file and value if the kernel refuses it.
pub(super) fn write_limit(path: &Path, value: &str) -> Result<(), Error> {
    let written: io::Result<usize> = OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| rustix::io::write(file.as_fd(), value.as_bytes()).map_err(Into::into));
    written.map(drop).map_err(|source| Error::CgroupLimit {
        path: path.to_owned(),
        value: value.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unwrap_used)]
    fn files(content: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in content {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn what_was_there_can_be_written_back() {
        let dir = files(&[("a", "1\n"), ("b", "2\n")]);
        let at = |name: &str, value: &str| Write::plain(&dir.path().join(name), value);
        let writes = [at("a", "5"), at("a", "6"), at("missing", "7"), at("b", "8")];
        let before = present(&writes);
        assert_eq!(before, [at("b", "2"), at("a", "1")]);
        let error = write_all(&writes).unwrap_err();
        assert!(matches!(error, Error::CgroupLimit { path, value, .. }
            if path.ends_with("missing") && value == "7"));
        write_all(&before).unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!((read("a").trim(), read("b").trim()), ("1", "2"));
    }

    #[test]
    fn a_file_that_this_kernel_lacks_is_left_out_or_replaced() {
        let dir = files(&[("new", "0")]);
        let write = |absent| Write {
            absent,
            ..Write::plain(&dir.path().join("old"), "100")
        };
        write_all(&[write(Absent::Ignored)]).unwrap();
        let instead = Absent::Instead {
            file: dir.path().join("new"),
            value: "default 7".to_owned(),
        };
        write_all(&[write(instead)]).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("new")).unwrap(), "default 7");
        assert!(write_all(&[write(Absent::Fails)]).is_err());
    }
}
