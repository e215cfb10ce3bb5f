//! The seam between the loop and everything it does to the outside.
//!
//! ```text
//! Engine ──Effects──▶ host::Host     a pod on this machine
//!             ├─────▶ single::Single one bundle, used in place
//!             └─────▶ a fake in tests, under a paused clock
//! ```
//!
//! Effects are dumb: each performs one order and says how it went; none decides anything. Futures are not `Send`: an
//! engine is one thread. For one container the loop never has two of `create`, `start` and `delete` under way.

use std::future::Future;

use tenure_lifecycle::{ContainerIndex, Exit, HookPoint, HookReport, ProbeKind, ProbeOutcome, StartFailure};
use tokio::sync::oneshot;

/// What a pod's loop can do.
pub(crate) trait Effects: 'static {
    /// Sets up namespaces, cgroup and volumes. After an error nothing is left of them.
    fn create_sandbox(&self) -> impl Future<Output = Result<(), String>>;

    /// Takes the sandbox down as far as possible, and tells what is left.
    fn remove_sandbox(&self) -> impl Future<Output = Vec<String>>;

    /// Makes a container whose init waits to be started. After an error nothing is left of it.
    fn create(
        &self,
        container: ContainerIndex,
        restart_count: u32,
    ) -> impl Future<Output = Result<(), StartFailure>>;

    /// Runs the program of a created container.
    fn start(&self, container: ContainerIndex) -> impl Future<Output = Result<(), StartFailure>>;

    /// Waits for init's end. Called once after each successful `create`, and for each adopted container that lives.
    fn ended(&self, container: ContainerIndex) -> impl Future<Output = Exit>;

    /// Runs a handler to its end; `cancel` ends it at once.
    fn run_hook(
        &self,
        container: ContainerIndex,
        point: HookPoint,
        cancel: oneshot::Receiver<()>,
    ) -> impl Future<Output = HookReport>;

    /// Executes a probe once, within its `timeoutSeconds`; `cancel` ends it at once.
    fn run_probe(
        &self,
        container: ContainerIndex,
        kind: ProbeKind,
        cancel: oneshot::Receiver<()>,
    ) -> impl Future<Output = ProbeOutcome>;

    /// Sends the stop signal to init (`lifecycle-semantics 3.30, 3.32`). At once; the container may be gone.
    fn signal_stop(&self, container: ContainerIndex);

    /// SIGKILL to every process of the container (`lifecycle-semantics 3.33`). Init gets it before the first await.
    fn kill(&self, container: ContainerIndex) -> impl Future<Output = ()>;

    /// Removes what is left of a container; the error says what is not removed.
    fn delete(&self, container: ContainerIndex) -> impl Future<Output = Result<(), String>>;
}
