//! YAML (and JSON, its subset) as a tree whose nodes know their lines, within fixed bounds.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::report::{Path, Report};
use super::scalar::{Scalar, resolve};

/// The longest manifest, in bytes.
pub(crate) const LONGEST: usize = 1024 * 1024;
/// The deepest nesting.
const DEEPEST: usize = 64;
/// The most values that a document may hold once its aliases are followed.
const MOST_VALUES: usize = 200_000;

/// A place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    /// The line, from 1.
    pub(crate) line: usize,
    /// Characters before it.
    pub(crate) offset: usize,
}

/// A value of the document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) tree: Tree,
    /// Values in it, itself included, aliases followed.
    size: usize,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Scalar(Scalar),
    Seq(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

/// One key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// Where the key is.
    pub(crate) mark: Mark,
    pub(crate) node: Rc<Node>,
}

impl Node {
    fn new(mark: Mark, tree: Tree) -> Self {
        let size = match &tree {
            Tree::Scalar(_) => 1,
            Tree::Seq(items) => items.iter().fold(1, |sum, item| item.size.saturating_add(sum)),
            Tree::Map(entries) => entries
                .iter()
                .fold(1, |sum, entry| entry.node.size.saturating_add(sum)),
        };
        Self { mark, tree, size }
    }

    /// The value of a key of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.tree {
            Tree::Map(entries) => entries
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| &*entry.node),
            Tree::Scalar(_) | Tree::Seq(_) => None,
        }
    }

    /// The value in words, for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.tree {
            Tree::Scalar(scalar) => scalar.describe(),
            Tree::Seq(_) => "a list".into(),
            Tree::Map(_) => "an object".into(),
        }
    }
}

impl From<&serde_json::Value> for Node {
    /// A tree without places, for JSON that stands inside a string.
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        let tree = match value {
            Value::Null => Tree::Scalar(Scalar::Null),
            Value::Bool(value) => Tree::Scalar(Scalar::Bool(*value)),
            Value::Number(number) => Tree::Scalar(resolve(&number.to_string())),
            Value::String(text) => Tree::Scalar(Scalar::Str {
                text: text.clone(),
                plain: false,
            }),
            Value::Array(items) => Tree::Seq(items.iter().map(|item| Rc::new(Self::from(item))).collect()),
            Value::Object(object) => Tree::Map(
                object
                    .iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        mark: Mark::default(),
                        node: Rc::new(Self::from(value)),
                    })
                    .collect(),
            ),
        };
        Self::new(Mark::default(), tree)
    }
}

/// Why a text is no document.
#[derive(Debug, PartialEq)]
pub(crate) struct Broken {
    pub(crate) mark: Option<Mark>,
    pub(crate) message: String,
}

impl Broken {
    pub(crate) fn new(mark: Mark, message: impl Into<String>) -> Self {
        Self {
            mark: Some(mark),
            message: message.into(),
        }
    }
}

/// Reads the documents of a text, of which there is at least one. Duplicate keys go to `report`; the first of them counts.
pub(crate) fn parse(text: &str, report: &mut Report) -> Result<Vec<Node>, Broken> {
    let mut builder = Builder {
        report,
        open: Vec::new(),
        anchors: HashMap::new(),
        roots: Vec::new(),
    };
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.simple_key_max_lookahead = LONGEST;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| syntax_error(text, &error))?;
        builder.event(event, span)?;
    }
    if builder.roots.is_empty() {
        return Err(Broken {
            mark: None,
            message: "the file is empty, a v1 Pod is wanted".into(),
        });
    }
    Ok(builder.roots.into_iter().map(Rc::unwrap_or_clone).collect())
}

/// A parser's error; of a text that means to be JSON, the JSON parser's, which knows better where it went wrong.
fn syntax_error(text: &str, error: &ScanError) -> Broken {
    let trimmed = text.trim_start();
    let json = trimmed
        .strip_prefix('{')
        .is_some_and(|rest| rest.trim_start().starts_with('"'));
    if json && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let told = error.to_string();
        let told = told.split(" at line ").next().unwrap_or_default();
        return Broken::new(
            Mark {
                line: error.line(),
                offset: 0,
            },
            format!("not valid JSON: {told}"),
        );
    }
    let marker = error.marker();
    let mark = Mark {
        line: marker.line(),
        offset: marker.index(),
    };
    Broken::new(
        mark,
        format!("not valid YAML: {}", error.info().replace('\n', " ")),
    )
}

/// A list or object whose end has not come.
struct Frame {
    mark: Mark,
    anchor: usize,
    content: Content,
}

enum Content {
    Seq(Vec<Rc<Node>>),
    Map {
        entries: Vec<Entry>,
        seen: HashMap<String, usize>,
        key: Option<(String, Mark)>,
    },
}

struct Builder<'r> {
    report: &'r mut Report,
    open: Vec<Frame>,
    anchors: HashMap<usize, Rc<Node>>,
    /// The documents that are not empty.
    roots: Vec<Rc<Node>>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Broken> {
        let mark = Mark {
            line: span.start.line(),
            offset: span.start.index(),
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = scalar(&text, style, tag.as_deref()).map_err(|text| Broken::new(mark, text))?;
                if text.contains('\0') {
                    self.report
                        .type_error(&path_of(&self.open), "must not hold a NUL byte");
                }
                self.complete(Node::new(mark, Tree::Scalar(scalar)), anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| Broken::new(mark, "an alias stands inside what it names"))?;
                self.place(node, mark)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(mark, anchor, tag.as_deref(), Content::Seq(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let content = Content::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: None,
                };
                self.begin(mark, anchor, tag.as_deref(), content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        mark: Mark,
        anchor: usize,
        tag: Option<&Tag>,
        content: Content,
    ) -> Result<(), Broken> {
        if self.open.len() >= DEEPEST {
            return Err(Broken::new(mark, format!("nested deeper than {DEEPEST} levels")));
        }
        let expected = if matches!(content, Content::Seq(_)) {
            "seq"
        } else {
            "map"
        };
        match tag.map(|tag| tag.core_suffix()) {
            None => {}
            Some(Some(suffix)) if suffix == expected => {}
            Some(_) => return Err(Broken::new(mark, "YAML tags are not supported here")),
        }
        self.open.push(Frame {
            mark,
            anchor,
            content,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Broken> {
        let Some(frame) = self.open.pop() else {
            return Ok(());
        };
        let tree = match frame.content {
            Content::Seq(items) => Tree::Seq(items),
            Content::Map { entries, .. } => Tree::Map(merge(entries)?),
        };
        self.complete(Node::new(frame.mark, tree), frame.anchor)
    }

    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Broken> {
        let mark = node.mark;
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(node, mark)
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, node: Rc<Node>, mark: Mark) -> Result<(), Broken> {
        if node.size > MOST_VALUES {
            return Err(Broken::new(
                mark,
                format!("holds more than {MOST_VALUES} values, aliases followed"),
            ));
        }
        let Some((frame, above)) = self.open.split_last_mut() else {
            if node.tree != Tree::Scalar(Scalar::Null) {
                self.roots.push(node);
            }
            return Ok(());
        };
        match &mut frame.content {
            Content::Seq(items) => items.push(node),
            Content::Map { entries, seen, key } => match key.take() {
                None => *key = Some((key_text(&node, mark)?, mark)),
                Some((name, at)) => {
                    if let Some(first) = seen.get(&name) {
                        let message = format!("duplicate key, first on line {first}");
                        self.report
                            .duplicate_key(&path_of(above).field(&name), at, message);
                    } else {
                        seen.insert(name.clone(), at.line);
                        entries.push(Entry {
                            key: name,
                            mark: at,
                            node,
                        });
                    }
                }
            },
        }
        Ok(())
    }
}

/// The path of the value that comes next in the innermost of these.
fn path_of(open: &[Frame]) -> Path {
    open.iter()
        .fold(Path::root(), |path, frame| match &frame.content {
            Content::Seq(items) => path.index(items.len()),
            Content::Map {
                key: Some((key, _)), ..
            } => path.field(key),
            Content::Map { key: None, .. } => path,
        })
}

fn key_text(node: &Node, mark: Mark) -> Result<String, Broken> {
    match &node.tree {
        Tree::Scalar(Scalar::Str { text, .. } | Scalar::Float(text)) => Ok(text.clone()),
        Tree::Scalar(Scalar::Int(value)) => Ok(value.to_string()),
        Tree::Scalar(Scalar::Bool(value)) => Ok(value.to_string()),
        Tree::Scalar(Scalar::Null) => Ok("null".into()),
        Tree::Seq(_) | Tree::Map(_) => Err(Broken::new(mark, "a key must be a string")),
    }
}

/// Follows YAML 1.1's merge key `<<`; a key of the object's own wins.
fn merge(mut entries: Vec<Entry>) -> Result<Vec<Entry>, Broken> {
    let Some(at) = entries.iter().position(|entry| entry.key == "<<") else {
        return Ok(entries);
    };
    let merged = entries.remove(at);
    let mut known: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
    let sources: Vec<&Rc<Node>> = match &merged.node.tree {
        Tree::Seq(items) => items.iter().collect(),
        Tree::Scalar(_) | Tree::Map(_) => vec![&merged.node],
    };
    for source in sources {
        let Tree::Map(inherited) = &source.tree else {
            return Err(Broken::new(
                merged.mark,
                "<< takes an object or a list of objects",
            ));
        };
        entries.extend(
            inherited
                .iter()
                .filter(|entry| known.insert(entry.key.clone()))
                .cloned(),
        );
    }
    Ok(entries)
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Scalar, String> {
    let string = |plain| Scalar::Str {
        text: text.to_owned(),
        plain,
    };
    let Some(tag) = tag else {
        return Ok(if style == ScalarStyle::Plain {
            resolve(text)
        } else {
            string(false)
        });
    };
    let resolved = resolve(text);
    match (tag.core_suffix(), &resolved) {
        (Some("str"), _) => Ok(string(false)),
        (Some("null"), Scalar::Null)
        | (Some("bool"), Scalar::Bool(_))
        | (Some("int"), Scalar::Int(_))
        | (Some("float"), Scalar::Float(_) | Scalar::Int(_)) => Ok(resolved),
        (Some(name @ ("null" | "bool" | "int" | "float")), other) => {
            Err(format!("tagged !!{name} but is {}", other.describe()))
        }
        _ => Err("YAML tags are not supported here".into()),
    }
}
