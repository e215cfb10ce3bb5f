//! Reading the manifest that a command names.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tenure_spec::manifest::{self, Manifest, Origin};

use crate::exit::CommandError;
use crate::output;

/// One byte more than a manifest may have: the reader of manifests says what is wrong with that.
const READ_LIMIT: u64 = (1 << 20) + 1;

/// Reads and validates the manifest in `file`, `-` being stdin, and looks at the bundles it names. Warnings go to
/// stderr.
///
/// # Errors
/// Everything that is wrong with it, at once (exit code 2).
pub(super) fn read(file: &Path) -> Result<Manifest, CommandError> {
    let manifest = if file == Path::new("-") {
        from_reader(io::stdin().lock(), "<stdin>", working_directory()?)?
    } else if is_stream(file) {
        // Process substitution: such a file has no folder to start from.
        let stream =
            File::open(file).map_err(|error| CommandError::usage(format!("{}: {error}", file.display())))?;
        from_reader(stream, &file.display().to_string(), working_directory()?)?
    } else {
        manifest::load_file(file).map_err(CommandError::faults)?
    };
    for warning in &manifest.warnings {
        output::complain(&format!("warning: {warning}"));
    }
    let problems = manifest.check_bundles();
    if problems.is_empty() {
        Ok(manifest)
    } else {
        Err(CommandError::faults(problems))
    }
}

/// Reads a manifest from a stream; relative bundle paths start from `dir`.
fn from_reader(reader: impl Read, name: &str, dir: PathBuf) -> Result<Manifest, CommandError> {
    let mut text = Vec::new();
    reader
        .take(READ_LIMIT)
        .read_to_end(&mut text)
        .map_err(|error| CommandError::usage(format!("{name}: {error}")))?;
    let origin = Origin {
        file: name.into(),
        dir,
    };
    manifest::load(&text, &origin).map_err(CommandError::faults)
}

/// True for a pipe: what a shell makes of `<(…)`.
fn is_stream(file: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    file.metadata()
        .is_ok_and(|metadata| metadata.file_type().is_fifo())
}

fn working_directory() -> anyhow::Result<PathBuf> {
    std::env::current_dir().context("cannot tell the working directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_is_no_manifest_is_code_2() {
        let error = from_reader(&b"kind: Nothing\n"[..], "<stdin>", PathBuf::from("/")).unwrap_err();
        assert_eq!(error.code(crate::exit::Class::Run), crate::exit::Code(2));
        assert!(
            error.lines().iter().all(|line| line.starts_with("<stdin>:")),
            "{:?}",
            error.lines()
        );
    }
}
