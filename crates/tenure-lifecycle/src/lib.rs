//! Every decision in the life of a container and of a pod, as pure state machines.
//!
//! Does not know: clocks, processes, files, tokio, logging. Time is an argument of every call.
//!
//! ```text
//!             on_event(now, Event) ─────────────▶ Vec<Action>
//!   engine ──▶ PodMachine ── one ContainerMachine per container
//!             next_deadline() ──▶ when to deliver Event::Tick
//!             status() ─────────▶ PodStatus, what to publish
//! ```
//!
//! Contract, in the words of the design notes:
//! - Requests may be rejected with a reason; facts (exits!) never are.
//! - One deadline. A late, early or double `Tick` does nothing wrong. There are no arm and disarm actions.
//! - `Create`, `Start`, `Delete`, `RunHook`, `Probe`, `CreateSandbox` and `RemoveSandbox` are reported back exactly once.
//!   `Signal`, `Kill`, `CancelHook`, `CancelProbe` and `Notify` are not. What is cancelled still reports, as cancelled.
//! - An answer that is not owed is absorbed. `Delete` is ordered once every other answer of that start is in, those of
//!   cancelled hooks and probes too: a cancel has to be answered soon. No `Exited` comes after `Deleted`.
//! - Everything that is due at `now` is done within `on_event`: afterwards the next deadline lies in the future.
//! - Create, signal, kill and hook orders of one call come before its `Delete` orders; `Finish` is the last order ever.
//! - The same events at the same times give the same orders.
//! - The container level is driven by events; the pod level is recomputed from all container states after each one.
//! - No event sequence panics.

#![deny(clippy::wildcard_enum_match_arm)]

pub mod action;
pub mod adopt;
pub mod container;
pub mod event;
pub mod exit;
pub mod plan;
pub mod pod;
pub mod probe;
mod project;
mod restart;
pub mod simulate;
pub mod status;
pub mod stop;
pub mod time;

pub use action::{Action, ContainerAction, Notice, NoticeKind, Reason};
pub use adopt::{Adopted, AdoptedState};
pub use container::{Command, ContainerMachine, StateName};
pub use event::{
    ContainerEvent, ContainerIndex, Event, HookOutcome, HookPoint, HookReport, Request, StartFailure,
};
pub use exit::{Exit, ExitStatus};
pub use plan::{ContainerKind, ContainerPlan, DEFAULT_MAX_BACKOFF, HandlerKind, PodPlan};
pub use pod::{PodMachine, PodStage, Rejected};
pub use probe::{ProbeKind, ProbeOutcome, ProbePlan, ProbePlans};
pub use status::{Condition, ConditionType, ContainerState, ContainerStatus, Phase, PodStatus, Terminated};
pub use stop::Grace;
pub use time::Timestamp;
