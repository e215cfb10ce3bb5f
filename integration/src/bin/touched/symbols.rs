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

/// A name of Rust's without the hash at its end, which is another one with each compiler; other names as they are.
pub(crate) fn without_hash(name: &str) -> String {
    const HASH: usize = "17h0123456789abcdefE".len();
    let whole = name.split_once(".llvm.").map_or(name, |(whole, _)| whole);
    let Some(at) = whole
        .len()
        .checked_sub(HASH)
        .filter(|at| whole.is_char_boundary(*at))
    else {
        return name.to_owned();
    };
    let (bare, hash) = whole.split_at(at);
    let digits = hash.strip_prefix("17h").and_then(|rest| rest.strip_suffix('E'));
    match digits {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => format!("{bare}E"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hash_of_a_rust_name_is_left_out() {
        let bare = "_ZN6tenure4main3runE";
        for suffix in ["", ".llvm.12345"] {
            assert_eq!(
                without_hash(&format!("_ZN6tenure4main3run17h0123456789abcdefE{suffix}")),
                bare
            );
        }
        for other in [
            "_start",
            "memcpy",
            "handle_amd.constprop.0",
            "_ZN3foo3barE",
            "17hE",
        ] {
            assert_eq!(without_hash(other), other);
        }
    }
}
