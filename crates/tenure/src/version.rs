//! `tenure --version`.

use crate::exit::Code;
use crate::output;

/// The OCI runtime specification that this program follows.
pub(crate) const SPEC: &str = "1.2.0";

/// Prints what probes read: `tenure version X.Y.Z` on the first line, then commit and specification.
pub(crate) fn print() -> Code {
    match output::print(&text()) {
        Ok(code) => code,
        Err(_) => Code::NO,
    }
}

/// The lines of `--version`.
fn text() -> String {
    format!(
        "tenure version {}\ncommit: {}\nspec: {}\n",
        env!("CARGO_PKG_VERSION"),
        option_env!("TENURE_COMMIT").unwrap_or("unknown"),
        SPEC,
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_line_is_what_probes_parse() {
        let text = super::text();
        let first = text.lines().next().unwrap();
        assert_eq!(first, format!("tenure version {}", env!("CARGO_PKG_VERSION")));
        assert!(text.contains("\nspec: 1."), "{text}");
    }
}
