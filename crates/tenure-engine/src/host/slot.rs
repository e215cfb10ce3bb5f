//! What the host knows of one container.

use std::rc::Rc;

use tenure_supervise::pidfd::PidFd;

use crate::output::Output;
use crate::sandbox::bundle::Layer;

/// One container, from the create of its newest start on.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// The newest start's id; empty before the first create.
    pub(crate) id: String,
    /// The newest start's number.
    pub(crate) restart_count: u32,
    /// Init, while there is one.
    pub(crate) init: Option<Rc<PidFd>>,
    /// A signal's number.
    pub(crate) stop_signal: i32,
    /// Init's end is everybody's.
    pub(crate) own_pid_namespace: bool,
    /// Where the output goes; `None` for an adopted container whose pipes are gone.
    pub(crate) output: Option<Output>,
    /// Between its create and the end of its start: others give way.
    pub(crate) starting: bool,
    /// A layer made ahead of the first create.
    pub(crate) prepared: Option<Layer>,
}
