//! A pod as other processes see it, from its record alone.

use std::path::Path;

use crate::error::EngineError;
use crate::store::{PodDir, Published, Store, has_ended};

/// What `pod list`, `status` and `wait` show.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The pod's name.
    pub name: String,
    /// The accepted Kubernetes Pod object, without a status; `Null` when it is lost.
    pub object: serde_json::Value,
    /// The last published status; `None` when it is lost or not yet there.
    pub published: Option<Published>,
    /// Whether somebody looks after the pod.
    pub supervisor: Supervisor,
    /// Where the record is.
    pub dir: PodDir,
}

/// Whether somebody looks after a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supervisor {
    /// Alive, and this is its pid (0 while it is not yet recorded).
    Alive {
        /// The pid.
        pid: i32,
    },
    /// The pod has ended and so has its supervisor.
    Ended,
    /// It died before the pod had ended: `pod stop` or `pod delete --force` clean up.
    Dead,
}

/// Looks at one pod.
///
/// # Errors
/// When there is no such pod or its folder cannot be looked at. Torn or missing files are not errors.
pub fn observe(root: &Path, name: &str) -> Result<Observed, EngineError> {
    let dir = Store::new(root).open(name)?;
    // The lock first: a supervisor publishes its last status before it lets go, so "not alive" and "not finished"
    // read in this order mean that it died.
    let alive = dir.is_supervised()?;
    let record = dir.read_record().ok().flatten();
    let published = dir.read_published().ok().flatten();
    let supervisor = if alive {
        Supervisor::Alive {
            pid: record.map_or(0, |record| record.supervisor.pid),
        }
    } else if has_ended(published.as_ref(), record.as_ref()) {
        Supervisor::Ended
    } else {
        Supervisor::Dead
    };
    let object = dir
        .read_launched()
        .ok()
        .flatten()
        .map_or(serde_json::Value::Null, |launched| launched.object);
    Ok(Observed {
        name: name.into(),
        object,
        published,
        supervisor,
        dir,
    })
}
