//! `$(VAR)` in command, args and env (`lifecycle-semantics 8`, S96). No shell is involved.

use std::collections::HashMap;

/// Replaces every `$(VAR)` of a text. A variable that `lookup` does not know stays as it is written; `$$` is one `$`,
/// so `$$(VAR)` becomes `$(VAR)`.
pub fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            match lookup(name) {
                Some(value) => expanded.push_str(value),
                None => {
                    expanded.push_str("$(");
                    expanded.push_str(name);
                    expanded.push(')');
                }
            }
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    expanded
}

/// An environment in order, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<(String, String)>,
    places: HashMap<String, usize>,
}

impl Environment {
    /// The environment of a config.json: `NAME=VALUE` entries. An entry without `=` is kept as a name without a value.
    pub fn from_entries<'a>(entries: impl IntoIterator<Item = &'a str>) -> Self {
        let mut environment = Self::default();
        for entry in entries {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            environment.set(name, value.to_owned());
        }
        environment
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.places
            .get(name)
            .map(|place| self.variables[*place].1.as_str())
    }

    /// Sets a variable as it is; one that is there keeps its place.
    pub fn set(&mut self, name: &str, value: String) {
        match self.places.get(name) {
            Some(place) => self.variables[*place].1 = value,
            None => {
                self.places.insert(name.to_owned(), self.variables.len());
                self.variables.push((name.to_owned(), value));
            }
        }
    }

    /// Sets a variable after expanding its value from the variables before it.
    pub fn set_expanded(&mut self, name: &str, value: &str) {
        let value = self.expand(value);
        self.set(name, value);
    }

    /// Expands a text from these variables.
    pub fn expand(&self, text: &str) -> String {
        expand(text, |name| self.get(name))
    }

    /// The `NAME=VALUE` entries in order.
    pub fn entries(&self) -> impl Iterator<Item = String> {
        self.variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Environment, expand};

    #[test]
    fn s96_references_expand_escapes_unescape_unknown_ones_stay() {
        let lookup = |name: &str| match name {
            "A" => Some("1"),
            "EMPTY" => Some(""),
            "NESTED" => Some("$(A)"),
            "a b" => Some("spaces"),
            _ => None,
        };
        for (text, expected) in [
            ("$(A)-$$(A)-$(B)", "1-$(A)-$(B)"),
            ("", ""),
            ("plain", "plain"),
            ("$", "$"),
            ("$$", "$"),
            ("$$$(A)", "$1"),
            ("$$$$(A)", "$$(A)"),
            ("$A ${A}", "$A ${A}"),
            ("$(A", "$(A"),
            ("$(A$(A)", "$(A$(A)"),
            ("$()", "$()"),
            ("$(EMPTY)x", "x"),
            ("$(NESTED)", "$(A)"),
            ("$(a b)", "spaces"),
            ("€$(A)€$", "€1€$"),
            ("$(A)$(A)", "11"),
        ] {
            assert_eq!(expand(text, lookup), expected, "{text}");
        }
    }

    #[test]
    fn variables_see_those_before_them_and_keep_their_place() {
        let mut environment = Environment::from_entries(["PATH=/bin", "A=base", "FLAG", "EQ=a=b"]);
        environment.set_expanded("B", "$(A)-$(C)");
        environment.set_expanded("A", "$(A)+$(PATH)");
        environment.set_expanded("C", "$(A)");
        let entries: Vec<String> = environment.entries().collect();
        assert_eq!(
            entries,
            [
                "PATH=/bin",
                "A=base+/bin",
                "FLAG=",
                "EQ=a=b",
                "B=base-$(C)",
                "C=base+/bin"
            ]
        );
    }
}
