//! What every check of the manifest needs: where it is, what it found, what it knows of the pod.

use std::collections::HashSet;

use super::names::Rule;
use super::report::{Path, Report, quote};

/// The checks' common ground.
pub(crate) struct Check<'a> {
    /// What was found so far.
    pub(crate) report: &'a mut Report,
    /// The pod's grace period in seconds.
    pub(crate) grace: u64,
}

impl Check<'_> {
    /// Records that the value at `path` breaks a rule.
    pub(crate) fn error(&mut self, path: &Path, message: impl Into<String>) {
        self.report.error(path, message);
    }

    /// Applies a rule to a text that must be there.
    pub(crate) fn required(&mut self, path: &Path, text: &str, rule: Rule) {
        if text.is_empty() {
            self.error(path, "required");
        } else {
            self.rule(path, text, rule);
        }
    }

    /// Applies a rule to a text.
    pub(crate) fn rule(&mut self, path: &Path, text: &str, rule: Rule) {
        if let Some(message) = rule(text) {
            self.error(path, format!("{message}, not {}", quote(text)));
        }
    }

    /// One of a few words; the first when the field is absent or empty.
    pub(crate) fn word<T: Copy>(
        &mut self,
        path: &Path,
        text: Option<&str>,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = text.unwrap_or("");
        if text.is_empty() {
            return words.first().map(|(_, value)| *value);
        }
        let found = words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            let supported: Vec<&str> = words
                .iter()
                .map(|(word, _)| *word)
                .filter(|word| !word.is_empty())
                .collect();
            self.error(
                path,
                format!("must be one of {}, not {}", supported.join(", "), quote(text)),
            );
        }
        found
    }

    /// A whole number from `least`.
    pub(crate) fn at_least(&mut self, path: &Path, value: i64, least: u32) -> u64 {
        match u64::try_from(value) {
            Ok(value) if value >= u64::from(least) => value,
            _ => {
                let message = match least {
                    1 => "must be greater than 0".to_owned(),
                    _ => format!("must be greater than or equal to {least}"),
                };
                self.error(path, format!("{message}, not {value}"));
                u64::from(least)
            }
        }
    }

    /// A port number.
    pub(crate) fn port(&mut self, path: &Path, value: i64) -> u16 {
        match u16::try_from(value) {
            Ok(port) if port > 0 => port,
            _ => {
                self.error(
                    path,
                    format!("must be between 1 and 65535, inclusive, not {value}"),
                );
                1
            }
        }
    }

    /// A user or group number.
    pub(crate) fn id(&mut self, path: &Path, value: i64) -> u32 {
        match u32::try_from(value) {
            Ok(id) if id <= i32::MAX.unsigned_abs() => id,
            _ => {
                self.error(
                    path,
                    format!("must be between 0 and 2147483647, inclusive, not {value}"),
                );
                0
            }
        }
    }

    /// Records a value that stands in the list before.
    pub(crate) fn unique(&mut self, path: &Path, value: &str, seen: &mut HashSet<String>) {
        if !value.is_empty() && !seen.insert(value.to_owned()) {
            self.error(path, format!("duplicate value {}", quote(value)));
        }
    }
}
