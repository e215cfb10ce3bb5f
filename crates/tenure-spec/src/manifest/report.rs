//! Collects what is wrong with a document and tells it in document order.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::Problem;
use super::document::{Mark, Node, Tree};

/// The most problems that are told of one file.
const MOST_TOLD: usize = 1000;

/// Fields whose keys are data, written `limits[cpu]` as Kubernetes does.
const DATA_MAPS: [&str; 7] = [
    "labels",
    "annotations",
    "limits",
    "requests",
    "nodeSelector",
    "overhead",
    "matchLabels",
];

/// A document path such as `spec.containers[0].name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Path(String);

impl Path {
    /// The whole document.
    pub(crate) fn root() -> Self {
        Self::default()
    }

    /// The field or key `key` of this object.
    pub(crate) fn field(&self, key: &str) -> Self {
        let last = self.0.rsplit('.').next().unwrap_or("");
        let plain = !key.is_empty()
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !plain || DATA_MAPS.contains(&last) {
            return Self(format!("{}[{}]", self.0, one_line(key)));
        }
        let dot = if self.0.is_empty() { "" } else { "." };
        Self(format!("{}{dot}{key}", self.0))
    }

    /// Element `index` of this list.
    pub(crate) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    fn parent(&self) -> Option<&str> {
        parent(&self.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value quoted for a message: one line, not endless.
pub(crate) fn quote(value: &str) -> String {
    const LONGEST: usize = 80;
    if value.chars().count() <= LONGEST {
        return format!("{value:?}");
    }
    let head: String = value.chars().take(LONGEST).collect();
    format!("{head:?}…")
}

fn one_line(key: &str) -> String {
    let head: String = key.chars().take(120).collect();
    head.escape_debug()
        .to_string()
        .replace("\\\"", "\"")
        .replace("\\'", "'")
}

/// The findings of one document.
#[derive(Debug, Default)]
pub(crate) struct Report {
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

#[derive(Debug)]
struct Finding {
    path: Path,
    message: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A key is there that should not be, at a place of its own.
    Key(Option<Mark>),
    /// A value has the wrong type: it is taken as absent, and what follows from that is not told.
    Type,
    /// A value breaks a rule.
    Value,
}

impl Report {
    /// Records that the value at `path` breaks a rule.
    pub(crate) fn error(&mut self, path: &Path, message: impl Into<String>) {
        self.push_error(path, message.into(), Kind::Value);
    }

    /// Records that the key at `path` stands twice, the second time at `mark`.
    pub(crate) fn duplicate_key(&mut self, path: &Path, mark: Mark, message: impl Into<String>) {
        self.push_error(path, message.into(), Kind::Key(Some(mark)));
    }

    /// Records that the key at `path` is unknown or refused.
    pub(crate) fn key_error(&mut self, path: &Path, message: impl Into<String>) {
        self.push_error(path, message.into(), Kind::Key(None));
    }

    /// Records that the value at `path` has the wrong type.
    pub(crate) fn type_error(&mut self, path: &Path, message: impl Into<String>) {
        self.push_error(path, message.into(), Kind::Type);
    }

    fn push_error(&mut self, path: &Path, message: String, kind: Kind) {
        self.errors.push(Finding {
            path: path.clone(),
            message,
            kind,
        });
    }

    /// Records that the value at `path` is ignored.
    pub(crate) fn warn(&mut self, path: &Path, message: impl Into<String>) {
        self.warnings.push(Finding {
            path: path.clone(),
            message: message.into(),
            kind: Kind::Value,
        });
    }

    /// Takes over what another report found.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.errors.extend(other.errors);
        self.warnings.extend(other.warnings);
    }

    /// Errors and warnings in document order, each once.
    pub(crate) fn finish(self, file: &str, document: &Node) -> (Vec<Problem>, Vec<Problem>) {
        if self.errors.is_empty() && self.warnings.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let marks = marks(document);
        let Self { errors, warnings } = self;
        let echoes: Vec<bool> = {
            let of_kind =
                |wanted: fn(Kind) -> bool| errors.iter().filter(move |finding| wanted(finding.kind));
            let mistyped: HashSet<&str> = of_kind(|kind| kind == Kind::Type)
                .map(|finding| finding.path.0.as_str())
                .collect();
            let above: HashSet<&str> = of_kind(|kind| kind != Kind::Value)
                .filter_map(|finding| finding.path.parent())
                .collect();
            errors
                .iter()
                .map(|finding| is_echo(finding, &mistyped, &above))
                .collect()
        };
        let told = errors
            .into_iter()
            .zip(echoes)
            .filter(|(_, echo)| !echo)
            .map(|(finding, _)| finding)
            .collect();
        (in_order(told, file, &marks), in_order(warnings, file, &marks))
    }
}

/// Whether a finding only follows from a value that could not be read, there, above or just below.
fn is_echo(finding: &Finding, mistyped: &HashSet<&str>, above: &HashSet<&str>) -> bool {
    if finding.kind != Kind::Value {
        return false;
    }
    let mut path = Some(finding.path.0.as_str());
    while let Some(text) = path {
        if mistyped.contains(text) {
            return true;
        }
        path = parent(text);
    }
    let wants_a_field = finding.message == "required" || finding.message.starts_with("must specify");
    wants_a_field && above.contains(finding.path.0.as_str())
}

/// The path of the object or list that holds the value at `path`.
fn parent(path: &str) -> Option<&str> {
    path.rfind(['.', '[']).map(|end| &path[..end])
}

fn in_order(findings: Vec<Finding>, file: &str, marks: &HashMap<String, Mark>) -> Vec<Problem> {
    let mut placed: Vec<(Mark, Finding)> = findings
        .into_iter()
        .map(|finding| match finding.kind {
            Kind::Key(Some(mark)) => (mark, finding),
            Kind::Key(None) | Kind::Type | Kind::Value => (nearest(&finding.path, marks), finding),
        })
        .collect();
    placed.sort_by_key(|(mark, _)| mark.offset);
    let mut seen = HashSet::new();
    let mut problems: Vec<Problem> = placed
        .into_iter()
        .filter(|(_, finding)| seen.insert((finding.path.clone(), finding.message.clone())))
        .map(|(mark, finding)| Problem {
            file: file.to_owned(),
            line: Some(mark.line),
            path: finding.path.0,
            message: finding.message,
        })
        .collect();
    let more = problems.len().saturating_sub(MOST_TOLD);
    if more > 0 {
        problems.truncate(MOST_TOLD);
        let line = problems.last().and_then(|last| last.line);
        let message = format!("and {more} more problems");
        problems.push(Problem {
            file: file.to_owned(),
            line,
            path: String::new(),
            message,
        });
    }
    problems
}

/// The mark of the node at `path`, or of the nearest one above it that exists.
fn nearest(path: &Path, marks: &HashMap<String, Mark>) -> Mark {
    let mut path = Some(path.0.as_str());
    while let Some(text) = path {
        if let Some(mark) = marks.get(text) {
            return *mark;
        }
        path = parent(text);
    }
    marks.get("").copied().unwrap_or_default()
}

/// Where every node of a document is: a value at its key, a list's element at its beginning.
fn marks(document: &Node) -> HashMap<String, Mark> {
    let mut marks = HashMap::new();
    let mut open = vec![(Path::root(), document.mark, document)];
    while let Some((path, mark, node)) = open.pop() {
        match &node.tree {
            Tree::Scalar(_) => {}
            Tree::Seq(items) => {
                open.extend(
                    items
                        .iter()
                        .enumerate()
                        .map(|(i, item)| (path.index(i), item.mark, &**item)),
                );
            }
            Tree::Map(entries) => {
                open.extend(
                    entries
                        .iter()
                        .map(|entry| (path.field(&entry.key), entry.mark, &*entry.node)),
                );
            }
        }
        marks.insert(path.0, mark);
    }
    marks
}

/// The line of every container's image, by document path.
pub(crate) fn image_lines(document: &Node) -> HashMap<String, usize> {
    let marks = marks(document).into_iter();
    marks
        .filter(|(path, _)| path.ends_with("].image"))
        .map(|(path, mark)| (path, mark.line))
        .collect()
}
