//! A Pod manifest: from bytes to a [`PodSpec`], with every error told at once.

mod bundle;
mod check;
mod container;
pub(crate) mod decode;
pub(crate) mod document;
mod env;
mod fields;
mod files;
mod handler;
mod hostname;
mod identity;
pub(crate) mod names;
mod pod;
mod probe;
pub(crate) mod report;
mod resources;
mod restart;
mod scalar;
pub(crate) mod security;
mod source;
mod volume;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path as FilePath, PathBuf};

use k8s_openapi::api::core::v1::Pod;

pub use self::bundle::check_bundles;
pub(crate) use self::check::Check;
use self::decode::decode;
use self::document::{Node, Tree};
use self::report::{Path, Report, quote};
use self::scalar::Scalar;
use crate::pod::PodSpec;
use crate::sources::{SourceKind, Sources};

/// Where a manifest comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The name that errors show, e.g. `pod.yaml` or `<stdin>`.
    pub file: String,
    /// The folder that relative bundle paths start from; made absolute by the caller.
    pub dir: PathBuf,
}

/// An accepted manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What Tenure runs.
    pub pod: PodSpec,
    /// The ConfigMaps and Secrets that the pod's references are resolved against.
    pub sources: Sources,
    /// The accepted Kubernetes object with defaults, name and uid filled in and without a status.
    pub object: Pod,
    /// Fields that are ignored because they cannot change behaviour here.
    pub warnings: Vec<Problem>,
    /// The manifest's name, for later messages.
    file: String,
    /// The line of every container's image, by document path.
    image_lines: HashMap<String, usize>,
}

/// One thing wrong with a manifest, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The manifest's name; empty when there is none to tell.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The document path, e.g. `spec.containers[0].lifecycle.postStart`; empty for the whole file.
    pub path: String,
    /// What is wrong, in Kubernetes' words where it has some.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Reads and validates a manifest. Opens nothing but the kernel's source of randomness, for a uid.
///
/// # Errors
/// Every problem of the manifest in document order, none twice.
pub fn load(text: &[u8], origin: &Origin) -> Result<Manifest, Vec<Problem>> {
    load_with(text, origin, Sources::default())
}

/// As [`load`], with ConfigMaps and Secrets from elsewhere; those that stand beside the pod are added.
///
/// # Errors
/// As [`load`].
pub fn load_with(text: &[u8], origin: &Origin, mut sources: Sources) -> Result<Manifest, Vec<Problem>> {
    let alone = |line, message: String| {
        vec![Problem {
            file: origin.file.clone(),
            line,
            path: String::new(),
            message,
        }]
    };
    let text = text_of(text).map_err(|message| alone(None, message))?;
    let mut report = Report::default();
    let broken = |broken: document::Broken| alone(broken.mark.map(|mark| mark.line), broken.message);
    let documents = document::parse(text, &mut report).map_err(broken)?;
    let (document, beside) = the_pod(documents).map_err(broken)?;
    let mut problems = Vec::new();
    for (kind, document) in &beside {
        problems.extend(source::add(document, *kind, &origin.file, &mut sources));
    }
    let mut accepted = None;
    if is_pod(&document, &mut report)
        && let Some(mut object) = decode::<Pod>(&document, &Path::root(), &mut report)
    {
        identity::complete(&mut object.metadata, &mut report);
        let grace = grace_period(&object, &mut report);
        let pod = Check {
            report: &mut report,
            grace,
        }
        .pod(&object, &origin.dir);
        // A source that is wrong has been told: that references to it lead nowhere follows from that.
        if problems.is_empty() {
            source::check(&pod, &object, &sources, &mut report);
        }
        accepted = Some((pod, object));
    }
    let (mut errors, warnings) = report.finish(&origin.file, &document);
    errors.append(&mut problems);
    errors.sort_by_key(|problem| problem.line);
    match accepted {
        Some((pod, mut object)) if errors.is_empty() => {
            pod::set_defaults(&mut object, &pod);
            let file = origin.file.clone();
            let image_lines = report::image_lines(&document);
            Ok(Manifest {
                pod,
                sources,
                object,
                warnings,
                file,
                image_lines,
            })
        }
        _ => Err(errors),
    }
}

/// Reads and validates the manifest in a file; relative bundle paths start from the file's folder.
///
/// # Errors
/// As [`load`], or one problem when the file cannot be read.
pub fn load_file(path: &FilePath) -> Result<Manifest, Vec<Problem>> {
    load_file_with(path, Sources::default())
}

/// As [`load_file`], with ConfigMaps and Secrets from elsewhere.
///
/// # Errors
/// As [`load_file`].
pub fn load_file_with(path: &FilePath, sources: Sources) -> Result<Manifest, Vec<Problem>> {
    let file = path.display().to_string();
    let alone = |message| {
        vec![Problem {
            file: file.clone(),
            line: None,
            path: String::new(),
            message,
        }]
    };
    let text = bundle::read_manifest(path).map_err(alone)?;
    let whole = std::path::absolute(path).map_err(|error| alone(bundle::reason(&error)))?;
    let dir = whole.parent().unwrap_or(&whole).to_path_buf();
    load_with(&text, &Origin { file, dir }, sources)
}

impl Manifest {
    /// As [`check_bundles`], with the manifest's name and lines filled in.
    pub fn check_bundles(&self) -> Vec<Problem> {
        let mut problems = check_bundles(&self.pod);
        for problem in &mut problems {
            problem.file.clone_from(&self.file);
            problem.line = self.image_lines.get(&problem.path).copied();
        }
        problems
    }
}

/// The manifest as text, without a byte order mark.
fn text_of(bytes: &[u8]) -> Result<&str, String> {
    if bytes.len() > document::LONGEST {
        return Err("larger than 1 MiB".into());
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The pod among the documents, and those of data beside it.
fn the_pod(documents: Vec<Node>) -> Result<(Node, Vec<(SourceKind, Node)>), document::Broken> {
    let (mut pods, mut beside) = (Vec::new(), Vec::new());
    for document in documents {
        match source::kind(&document) {
            Some(kind) => beside.push((kind, document)),
            None => pods.push(document),
        }
    }
    let mut pods = pods.into_iter();
    let first = pods.next();
    if let Some(second) = pods.next() {
        let message = "a second document: a file holds one Pod";
        return Err(document::Broken::new(second.mark, message));
    }
    match first {
        Some(pod) => Ok((pod, beside)),
        // Told as what it is: no Pod.
        None => Ok((beside.remove(0).1, beside)),
    }
}

/// Whether the document is a v1 Pod; what is wrong is told.
fn is_pod(document: &Node, report: &mut Report) -> bool {
    let root = Path::root();
    if !matches!(document.tree, Tree::Map(_)) {
        report.error(
            &root,
            format!("must be an object, a v1 Pod, not {}", document.describe()),
        );
        return false;
    }
    let mut all = true;
    for (field, wanted) in [("kind", "Pod"), ("apiVersion", "v1")] {
        match document.get(field).map(|node| &node.tree) {
            None | Some(Tree::Scalar(Scalar::Null)) => {
                report.error(&root.field(field), format!("required, {wanted} is wanted"));
                all &= field != "kind";
            }
            Some(Tree::Scalar(Scalar::Str { text, .. })) if text == wanted => {}
            Some(Tree::Scalar(Scalar::Str { text, .. })) => {
                let message = format!("{} is not supported, a v1 Pod is", quote(text).trim_matches('"'));
                report.error(&root.field(field), message);
                return false;
            }
            Some(_) => {
                let found = document.get(field).map(Node::describe).unwrap_or_default();
                report.error(&root.field(field), format!("must be {wanted}, not {found}"));
                return false;
            }
        }
    }
    all
}

/// The pod's grace period in seconds, default 30 (`lifecycle-semantics 3d`).
fn grace_period(object: &Pod, report: &mut Report) -> u64 {
    let path = Path::root().field("spec").field("terminationGracePeriodSeconds");
    let seconds = object
        .spec
        .as_ref()
        .and_then(|spec| spec.termination_grace_period_seconds)
        .unwrap_or(30);
    Check { report, grace: 0 }.at_least(&path, seconds, 0)
}
