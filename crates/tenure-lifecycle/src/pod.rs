//! The life of a pod.

use crate::action::Action;
use crate::adopt::Adopted;
use crate::event::Event;
use crate::plan::PodPlan;
use crate::status::{Phase, PodStatus};
use crate::time::Timestamp;

/// Why a request was refused. Facts never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Everything is deleted; there is nothing left to stop or kill.
    #[error("the pod has already finished")]
    Finished,
}

/// The machine of a whole pod.
#[derive(Debug, Clone)]
pub struct PodMachine {
    plan: PodPlan,
}

impl PodMachine {
    /// A pod whose life has not begun; `Event::Begin` begins it.
    pub fn new(plan: PodPlan) -> Self {
        Self { plan }
    }

    /// A pod whose supervisor died: nothing is started any more, it can only be stopped, killed and cleaned up.
    /// `adopted` has one entry a container; missing ones count as never created. The sandbox is taken to exist.
    /// The first event (`Begin` or a request) sets it going.
    pub fn adopt(plan: PodPlan, adopted: Vec<Adopted>, now: Timestamp) -> Self {
        let _ = (adopted, now);
        Self { plan }
    }

    /// Takes an event in, gives the orders that follow from it, to be carried out in that order.
    ///
    /// # Errors
    /// A request to a pod that has finished.
    pub fn on_event(&mut self, now: Timestamp, event: Event) -> Result<Vec<Action>, Rejected> {
        let _ = (now, event);
        Ok(Vec::new())
    }

    /// When to deliver `Event::Tick` at the latest; ask again after every event.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    /// What to publish.
    pub fn status(&self) -> PodStatus {
        PodStatus {
            phase: Phase::Pending,
            reason: String::new(),
            message: String::new(),
            conditions: Vec::new(),
            stopping_since: None,
            finished_at: None,
            containers: Vec::new(),
            exit_code: 0,
        }
    }

    /// True once `Action::Finish` was given.
    pub fn is_finished(&self) -> bool {
        self.plan.containers.is_empty()
    }
}
