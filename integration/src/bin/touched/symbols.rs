//! The functions of a program, as `nm` tells them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The names of the functions by their address; several names can stand for the same code.
pub(crate) fn read(program: &Path) -> Result<BTreeMap<u64, Vec<String>>> {
    let told = Command::new("nm")
        .arg("--defined-only")
        .arg(program)
        .output()
        .context("cannot run nm (of Debian's package binutils)")?;
    ensure!(
        told.status.success(),
        "nm: {}",
        String::from_utf8_lossy(&told.stderr)
    );
    let mut functions: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&told.stdout).lines() {
        let mut fields = line.split(' ');
        let (Some(address), Some(kind), Some(name)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        // Functions are local, global or weak symbols of a text section.
        if matches!(kind, "t" | "T" | "w" | "W") {
            let address = u64::from_str_radix(address, 16).with_context(|| format!("nm told {line}"))?;
            functions.entry(address).or_default().push(name.to_owned());
        }
    }
    if functions.is_empty() {
        bail!(
            "{} has no symbols (build it with strip = \"none\")",
            program.display()
        );
    }
    Ok(functions)
}
