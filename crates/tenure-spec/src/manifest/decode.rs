//! From the document's tree to the Kubernetes types, telling every unknown, refused and mistyped field at once.
//!
//! The Kubernetes types skip unknown fields and stop at the first wrong type. This deserializer sees both: it knows
//! each object's fields when it is asked for a struct, and where a value has the wrong type it records that and goes
//! on with an empty one. A visitor that refuses a value all the same is asked again with that value left out.

mod cursor;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, Expected, Unexpected};

use self::cursor::Cursor;
use super::document::Node;
use super::fields::{Decision, decision};
use super::report::{Path, Report};

/// The most values that are left out before decoding is given up.
const MOST_LEFT_OUT: usize = 50;

/// Reads a `T` from a tree. What cannot be read is recorded and left at its default; `None` when there is too much of
/// it to go on.
pub(crate) fn decode<T: DeserializeOwned>(node: &Node, root: &Path, report: &mut Report) -> Option<T> {
    let mut left_out = HashSet::new();
    loop {
        let decoder = Decoder {
            report: RefCell::default(),
            left_out: &left_out,
            muted: Cell::new(false),
        };
        let trail = Trail::Root(root);
        let decoded = T::deserialize(Cursor {
            decoder: &decoder,
            node,
            trail: &trail,
        });
        let found = decoder.report.into_inner();
        match decoded {
            Ok(value) => {
                report.absorb(found);
                return Some(value);
            }
            Err(error) => {
                let path = error.path.unwrap_or_else(|| root.clone());
                report.type_error(&path, error.message);
                if left_out.len() >= MOST_LEFT_OUT || !left_out.insert(path) {
                    report.absorb(found);
                    return None;
                }
            }
        }
    }
}

/// What one pass over the tree found.
struct Decoder<'a> {
    report: RefCell<Report>,
    left_out: &'a HashSet<Path>,
    /// Inside a field that is ignored: its own unsupported parts need no word.
    muted: Cell<bool>,
}

impl Decoder<'_> {
    fn type_error(&self, trail: &Trail<'_>, wanted: &str, node: &Node) {
        let message = format!("must be {wanted}, not {}", node.describe());
        self.report.borrow_mut().type_error(&trail.path(), message);
    }

    fn unknown(&self, trail: &Trail<'_>, key: &str, known: &[&str]) {
        let message = match closest(key, known) {
            Some(near) => format!("unknown field, did you mean {near}?"),
            None => "unknown field".to_owned(),
        };
        self.report.borrow_mut().key_error(&trail.path(), message);
    }

    /// Decides on a known field that is present; whether it is read.
    fn admits(&self, object: &str, key: &str, trail: &Trail<'_>) -> bool {
        match decision(object, key) {
            Decision::Supported => true,
            Decision::Ignored(_) | Decision::Refused(_) if self.muted.get() => true,
            Decision::Ignored(reason) => {
                self.report
                    .borrow_mut()
                    .warn(&trail.path(), format!("ignored: {reason}"));
                true
            }
            Decision::Refused(reason) => {
                self.report
                    .borrow_mut()
                    .key_error(&trail.path(), format!("not supported: {reason}"));
                false
            }
        }
    }
}

/// The way from the root to a value, kept on the stack.
enum Trail<'a> {
    Root(&'a Path),
    Field(&'a Trail<'a>, &'a str),
    Index(&'a Trail<'a>, usize),
}

impl Trail<'_> {
    fn path(&self) -> Path {
        match self {
            Self::Root(path) => (*path).clone(),
            Self::Field(parent, key) => parent.path().field(key),
            Self::Index(parent, index) => parent.path().index(*index),
        }
    }
}

/// Why a visitor refused a value.
#[derive(Debug)]
pub(crate) struct Refusal {
    path: Option<Path>,
    message: String,
}

impl Refusal {
    fn at(mut self, trail: &Trail<'_>) -> Self {
        self.path.get_or_insert_with(|| trail.path());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl serde::de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            path: None,
            message: message.to_string(),
        }
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let wanted = match wanted.to_string().as_str() {
            "IntOrString" => "an integer or a string".to_owned(),
            other => other.to_owned(),
        };
        Self::custom(format!("must be {wanted}, not {}", in_words(found)))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::custom(format!("must be {wanted}, not {}", in_words(found)))
    }
}

fn in_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("the boolean {value}"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Str(value) => format!("the string {}", super::report::quote(value)),
        Unexpected::Unit => "null".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "an object".into(),
        other => other.to_string(),
    }
}

/// The known field that a misspelt one most likely means.
fn closest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let folded = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = folded(key);
    let near = known
        .iter()
        .map(|name| (distance(&wanted, &folded(name)), *name))
        .min()?;
    (near.0 <= 2 && near.0 * 2 <= key.len()).then_some(near.1)
}

/// How many letters must change to make one word the other.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}
