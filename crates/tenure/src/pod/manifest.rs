//! Reading the manifest that a command names.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context as _;
use tenure_spec::Sources;
use tenure_spec::manifest::{self, Manifest, Origin};

use super::sources::SourceArgs;
use crate::exit::CommandError;
use crate::output;

/// One byte more than a manifest may have: the reader of manifests says what is wrong with that.
const READ_LIMIT: u64 = (1 << 20) + 1;

/// Reads and validates the manifest in `file`, `-` being stdin, and looks at the bundles it names. Warnings go to
/// stderr.
///
/// # Errors
/// Everything that is wrong with it, at once (exit code 2).
pub(super) fn read(file: &Path, sources: &SourceArgs) -> Result<Manifest, CommandError> {
    let sources = sources.read()?;
    let manifest = if file == Path::new("-") {
        from_reader(io::stdin().lock(), &stream_origin("<stdin>")?, sources)?
    } else if is_stream(file) {
        // Process substitution: such a file has no folder to start from.
        let stream =
            File::open(file).map_err(|error| CommandError::usage(format!("{}: {error}", file.display())))?;
        from_reader(stream, &stream_origin(&file.display().to_string())?, sources)?
    } else {
        manifest::load_file_with(file, sources).map_err(CommandError::faults)?
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

/// Reads a manifest from a stream; relative bundle paths start from its folder.
fn from_reader(reader: impl Read, origin: &Origin, sources: Sources) -> Result<Manifest, CommandError> {
    let mut text = Vec::new();
    reader
        .take(READ_LIMIT)
        .read_to_end(&mut text)
        .map_err(|error| CommandError::usage(format!("{}: {error}", origin.file)))?;
    manifest::load_with(&text, origin, sources).map_err(CommandError::faults)
}

/// True for a pipe: what a shell makes of `<(…)`.
fn is_stream(file: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    file.metadata()
        .is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// A stream has no folder: bundle paths start from ours.
fn stream_origin(name: &str) -> anyhow::Result<Origin> {
    Ok(Origin {
        file: name.into(),
        dir: std::env::current_dir().context("cannot tell the working directory")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_is_no_manifest_is_code_2() {
        let error = from_reader(
            &b"kind: Nothing\n"[..],
            &stream_origin("<stdin>").unwrap(),
            Sources::default(),
        )
        .unwrap_err();
        assert_eq!(error.code(crate::exit::Class::Run), crate::exit::Code(2));
        assert!(
            error.lines().iter().all(|line| line.starts_with("<stdin>:")),
            "{:?}",
            error.lines()
        );
    }
}
