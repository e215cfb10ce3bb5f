//! The lifecycle annotations of one OCI bundle.
//!
//! | key | value |
//! |---|---|
//! | `org.tenure.lifecycle.postStart`, `.preStop` | a Kubernetes LifecycleHandler as JSON |
//! | `org.tenure.lifecycle.stopSignal` | a signal name, default SIGTERM |
//! | `org.tenure.lifecycle.terminationGracePeriodSeconds` | whole seconds from 0, default 30 |
//! | `org.tenure.lifecycle.CONTAINER.…` | the same for the container of that name; wins over the plain key |

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::LifecycleHandler;
use serde_json::Value;
use thiserror::Error;

use crate::container::Lifecycle;
use crate::handler::Handler;
use crate::manifest::Check;
use crate::manifest::decode::decode;
use crate::manifest::document::Node;
use crate::manifest::report::{Path, Report, quote};
use crate::signal;

/// What every lifecycle annotation's key begins with.
pub const PREFIX: &str = "org.tenure.lifecycle.";

/// The grace period when none is given, in seconds (`lifecycle-semantics 3d`).
const DEFAULT_GRACE: u64 = 30;

/// The managed life that annotations ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedLifecycle {
    /// Handlers and stop signal.
    pub lifecycle: Lifecycle,
    /// Whole seconds from the stop request to SIGKILL, default 30.
    pub termination_grace_period_seconds: u64,
}

/// An annotation that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("annotation {key}: {message}")]
pub struct AnnotationError {
    /// The annotation's key.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

/// Reads the lifecycle annotations of a container; `None` when it has none.
///
/// `container_name` also admits the `org.tenure.lifecycle.CONTAINER.…` form, which wins over the plain one; keys for
/// other containers are checked and then left alone. Without a name no such key may be there.
///
/// # Errors
/// Every annotation that cannot be used, in the order of their keys.
pub fn lifecycle<'a>(
    annotations: impl IntoIterator<Item = (&'a String, &'a String)>,
    container_name: Option<&str>,
) -> Result<Option<ManagedLifecycle>, Vec<AnnotationError>> {
    let sorted: BTreeMap<&str, &str> = annotations
        .into_iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value.as_str())))
        .collect();
    let mut reader = Reader {
        errors: BTreeMap::new(),
    };
    let mut plain = Values::default();
    let mut named: BTreeMap<&str, Values<'_>> = BTreeMap::new();
    for (rest, value) in sorted {
        match (rest.rsplit_once('.'), container_name) {
            (None, _) => reader.sort(&mut plain, rest, rest, value),
            (Some((container, setting)), Some(_)) => {
                reader.sort(named.entry(container).or_default(), rest, setting, value);
            }
            (Some(_), None) => reader.error(rest, "unknown annotation"),
        }
    }
    let own = container_name
        .and_then(|name| named.remove(name))
        .unwrap_or_default();
    for other in named.into_values() {
        reader.read(other.over(plain));
    }
    let values = own.over(plain);
    let managed = reader.read(values);
    if own != plain && own != Values::default() {
        reader.check_alone(plain);
    }
    if !reader.errors.is_empty() {
        return Err(reader.errors.into_values().collect());
    }
    Ok((values != Values::default()).then_some(managed))
}

/// The values given, each with the rest of its key.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Values<'a> {
    post_start: Option<(&'a str, &'a str)>,
    pre_stop: Option<(&'a str, &'a str)>,
    stop_signal: Option<(&'a str, &'a str)>,
    grace: Option<(&'a str, &'a str)>,
}

impl Values<'_> {
    /// These values, and where there is none, those below.
    fn over(self, below: Self) -> Self {
        Self {
            post_start: self.post_start.or(below.post_start),
            pre_stop: self.pre_stop.or(below.pre_stop),
            stop_signal: self.stop_signal.or(below.stop_signal),
            grace: self.grace.or(below.grace),
        }
    }
}

/// Collects errors, one a key.
struct Reader {
    errors: BTreeMap<String, AnnotationError>,
}

impl Reader {
    fn error(&mut self, rest: &str, message: impl Into<String>) {
        let key = format!("{PREFIX}{rest}");
        let error = AnnotationError {
            key: key.clone(),
            message: message.into(),
        };
        self.errors.entry(key).or_insert(error);
    }

    fn sort<'a>(&mut self, values: &mut Values<'a>, rest: &'a str, setting: &str, value: &'a str) {
        let place = match setting {
            "postStart" => &mut values.post_start,
            "preStop" => &mut values.pre_stop,
            "stopSignal" => &mut values.stop_signal,
            "terminationGracePeriodSeconds" => &mut values.grace,
            _ => return self.error(rest, "unknown annotation"),
        };
        *place = Some((rest, value));
    }

    /// Checks plain values that a container's own hide.
    fn check_alone(&mut self, values: Values<'_>) {
        self.read(values);
    }

    fn read(&mut self, values: Values<'_>) -> ManagedLifecycle {
        let grace = values
            .grace
            .map_or(DEFAULT_GRACE, |(rest, value)| self.seconds(rest, value));
        let mut handler =
            |value: Option<(&str, &str)>| value.and_then(|(rest, value)| self.handler(rest, value, grace));
        let post_start = handler(values.post_start);
        let pre_stop = handler(values.pre_stop);
        let stop_signal = values.stop_signal.and_then(|(rest, value)| {
            let name = signal::canonical(value);
            if name.is_none() {
                self.error(
                    rest,
                    format!("must be a signal name such as SIGUSR1, not {}", quote(value)),
                );
            }
            name
        });
        ManagedLifecycle {
            lifecycle: Lifecycle {
                post_start,
                pre_stop,
                stop_signal,
            },
            termination_grace_period_seconds: grace,
        }
    }

    fn seconds(&mut self, rest: &str, value: &str) -> u64 {
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        match value.parse::<u64>() {
            Ok(seconds) if digits && i64::try_from(seconds).is_ok() => seconds,
            _ => {
                self.error(
                    rest,
                    format!("must be a whole number of seconds from 0, not {}", quote(value)),
                );
                DEFAULT_GRACE
            }
        }
    }

    fn handler(&mut self, rest: &str, value: &str, grace: u64) -> Option<Handler> {
        let json: Value = match serde_json::from_str(value) {
            Ok(json) => json,
            Err(error) => {
                self.error(rest, format!("not valid JSON: {error}"));
                return None;
            }
        };
        if value.contains("\\u0000") && holds_nul(&json) {
            self.error(rest, "must not hold a NUL byte");
            return None;
        }
        let node = Node::from(&json);
        let mut report = Report::default();
        let handler: Option<LifecycleHandler> = decode(&node, &Path::root(), &mut report);
        let mut check = Check {
            report: &mut report,
            grace,
        };
        let handler = handler.and_then(|handler| check.handler(&handler, &[], &Path::root()));
        let (problems, _) = report.finish("", &node);
        if !problems.is_empty() {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            self.error(rest, told.join("; "));
            return None;
        }
        handler
    }
}

fn holds_nul(json: &Value) -> bool {
    match json {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(object) => object
            .iter()
            .any(|(key, value)| key.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
