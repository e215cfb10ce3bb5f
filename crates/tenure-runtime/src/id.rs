//! The name of a container.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The longest name accepted, in bytes.
const MAX_LEN: usize = 1024;

/// A validated container id: `[A-Za-z0-9_+.-]+`, not `.` or `..`, at most 1,024 bytes.
///
/// It is used as a directory name below the runtime's root, so a value of this type can never leave that
/// directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(String);

impl ContainerId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerId {
    type Err = Error;

    /// Accepts what runc accepts as a container id.
    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'.' | b'-');
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.len() > MAX_LEN {
            "it is longer than 1024 bytes"
        } else if text == "." || text == ".." {
            "it is a directory reference"
        } else if !text.bytes().all(allowed) {
            "only A-Z, a-z, 0-9, '_', '+', '.' and '-' are allowed"
        } else {
            return Ok(Self(text.to_owned()));
        };
        let mut shown: String = text.chars().take(64).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Err(Error::InvalidId { id: shown, reason })
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ContainerId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_runc_accepts_are_accepted() {
        for name in ["a", "web_app_0", "a.b+c-d", "..a", "-x", "A1"] {
            assert_eq!(name.parse::<ContainerId>().unwrap().as_str(), name);
        }
        assert!("x".repeat(1024).parse::<ContainerId>().is_ok());
    }

    #[test]
    fn names_that_could_leave_the_root_are_refused() {
        for name in ["", ".", "..", "a/b", "../x", "a b", "a\0b", "ü", "a\n"] {
            assert!(
                matches!(name.parse::<ContainerId>(), Err(Error::InvalidId { .. })),
                "{name:?}"
            );
        }
        assert!("x".repeat(1025).parse::<ContainerId>().is_err());
    }
}
