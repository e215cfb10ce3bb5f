//! What recovery found of a container whose pod lost its supervisor.

use crate::status::Terminated;
use crate::time::Timestamp;

/// One container of an adopted pod, in the order of `ContainerIndex`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// `restartCount` of the newest start.
    pub restart_count: u32,
    /// `lastState`: the start before the newest, as last published.
    pub last: Option<Terminated>,
    /// What was found.
    pub state: AdoptedState,
}

/// What was found of the newest start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdoptedState {
    /// No create was ever ordered. It never will be.
    NeverCreated,
    /// Init exists and waits for a start that will not come: killed and deleted.
    Created,
    /// The program runs.
    Running {
        /// When it started.
        since: Timestamp,
    },
    /// Not alive. `Delete` is ordered in any case, for what may be left.
    Ended {
        /// How, if it was published; `None`: it ended unseen (`ContainerStatusUnknown`, 137).
        terminated: Option<Terminated>,
    },
}
