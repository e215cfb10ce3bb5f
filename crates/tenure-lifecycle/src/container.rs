//! The life of one container: its states, and what every input does in every one of them.
//!
//! Inputs are the events of the engine, the commands of the pod (or of whoever drives a single container) and time.
//! Outputs are actions. The pod decides when the first start begins, when a sidecar's turn has come and when it is
//! all over; the container decides everything else, its restarts included.
//!
//! ```text
//! Pending ─Create▶ Creating ─Created▶ Starting ─Started▶ PostStart ─Hook ok▶ StartingUp ─startup probe ok▶ Running
//!                    │ Stop              │ Stop             │ Stop, hook failed   │ Stop, probe failed        │ same
//!                    ▼                   ▼                  ▼                     ▼                           ▼
//!                Discarding      StartingThenStop       PreStop ─▶ AwaitingTurn ─▶ Terminating ─▶ Killing
//!                    └─Created▶ Killing                 (handler)   (sidecars)     (signal sent)  (SIGKILL sent)
//!
//! any of these ─Exited▶ Stopped ─(all answers in)▶ Deleting ─Deleted▶ BackingOff ─(due)▶ Creating
//!                                                                  └▶ Deleted
//! ```
//!
//! # The table
//!
//! Rows are states, columns inputs. `·` = absorbed: nothing ordered, nothing changed. Words in lower case are orders.
//! An *answer* (`Created`, `CreateFailed`, `Started`, `StartFailed`, `HookFinished`, `Deleted`, `DeleteFailed`) that is
//! not owed is absorbed in every state before the table is looked at; the columns of answers speak of owed ones, and
//! `–` marks a cell where the answer cannot be owed.
//!
//! Commands and time ("due" = the state's deadline has come; at any other time a tick is `·`):
//!
//! | State | Create | Stop | Kill | Turn | due |
//! |---|---|---|---|---|---|
//! | Pending | create → Creating | → Deleted | → Deleted | · | · |
//! | Creating | · | → Discarding | → Discarding | · | · |
//! | Discarding | · | · | · | · | · |
//! | Created | · | kill → Killing | kill → Killing | · | · |
//! | Starting | · | → StartingThenStop | kill → Killing | · | · |
//! | StartingThenStop | · | shortens | kill → Killing | · | kill → Killing (end of grace) |
//! | StartingEnded | · | no other start | no other start | · | · |
//! | PostStart | · | cancel hook, preStop → PreStop, or signal → Terminating | kill, cancel hook → Killing | · | · |
//! | PostStartCutShort | · | signal → Terminating | kill → Killing | · | · |
//! | StartingUp | · | cancel probe; as Running | kill, cancel probe → Killing | · | probe startup |
//! | Running | · | cancel liveness; preStop → PreStop, or signal → Terminating | kill, cancel probes → Killing | · | probe readiness, liveness |
//! | PreStop | · | shortens | kill, cancel hook → Killing | · | handler abandoned; signal → Terminating (end of grace) |
//! | AwaitingTurn | · | shortens | kill → Killing | signal → Terminating | signal → Terminating (end of grace) |
//! | Terminating | · | shortens | kill, cancel abandoned hook → Killing | · | kill → Killing |
//! | Killing | · | no other start | kill again, cancel abandoned hook | · | · |
//! | Stopped | · | no other start | no other start | · | · |
//! | Deleting | · | no other start | no other start | · | · |
//! | BackingOff | · | → Deleted | → Deleted | · | create → Creating |
//! | Deleted | · | · | · | · | · |
//!
//! "preStop, or signal": preStop if there is one and the grace is not nothing; else a sidecar whose pod ends goes to
//! AwaitingTurn while the grace lasts, and everything else gets its signal at once. The same choice follows preStop.
//! A start that comes to Stopped goes on to Deleting, with the order, at once when no answer is owed; one whose end
//! restarts all containers only when `Restart` comes.
//! `Restart` is `Stop` without any grace, in Pending it is `·`; what it has brought to Deleted, or finds there, is Pending
//! at once.
//! "no other start": a restart that the policy would give is given up. Without a startup probe StartingUp is passed over.
//!
//! Events:
//!
//! | State | Created | CreateFailed | Started | StartFailed | Exited |
//! |---|---|---|---|---|---|
//! | Pending | – | – | – | – | · |
//! | Creating | start → Starting | → BackingOff or Deleted | – | – | → Stopped (owes the create) |
//! | Discarding | kill → Killing | → Deleted | – | – | → Stopped (owes the create) |
//! | Created | – | – | – | – | → Stopped |
//! | Starting | – | – | postStart → PostStart, or → Running | kill → Stopped | → StartingEnded |
//! | StartingThenStop | – | – | preStop → PreStop, or signal → Terminating | kill → Stopped | → StartingEnded |
//! | StartingEnded | – | – | → Stopped | → Stopped | · |
//! | PostStart | – | – | – | – | cancel hook → Stopped |
//! | PostStartCutShort | – | – | – | – | → Stopped |
//! | StartingUp, Running | – | – | – | – | cancel probes → Stopped |
//! | PreStop | – | – | – | – | cancel hooks → Stopped; no signal (S39) |
//! | AwaitingTurn, Terminating | – | – | – | – | cancel hooks → Stopped |
//! | Killing | – | – | told, · | → Stopped | cancel hooks → Stopped |
//! | Stopped | deletes once all is in | nothing to delete: → BackingOff or Deleted | deletes once all is in | deletes once all is in | · |
//! | Deleting, BackingOff, Deleted | – | – | – | – | · |
//!
//! | State | postStart succeeded | postStart failed | postStart cancelled | preStop succeeded or failed | preStop cancelled | Deleted, DeleteFailed |
//! |---|---|---|---|---|---|---|
//! | PostStart | → StartingUp, or → Running; what is due is probed | preStop → PreStop, or signal → Terminating | → PostStartCutShort | – | – | – |
//! | PreStop | told, · | told, · | · | signal → Terminating, or → AwaitingTurn | · (the exit, or the end of the grace, is on its way) | – |
//! | AwaitingTurn | told, · | told, · | · | – | – | – |
//! | Terminating | told, · | told, · | · | told, · (an abandoned one) | · | – |
//! | Killing | told, · | told, · | · | success told, · | · | – |
//! | Stopped | deletes once all is in | deletes once all is in | deletes once all is in | deletes once all is in | deletes once all is in | – |
//! | Deleting | – | – | – | – | – | → BackingOff or Deleted |
//! | all others | – | – | – | – | – | – |
//!
//! Probes (`lifecycle-semantics 6`). "Good" and "bad" are verdicts: as many equal results in a row as the threshold wants.
//! A result short of its threshold, and one of a probe that was cancelled, changes nothing; failures are told. Readiness
//! is asked on in PreStop, AwaitingTurn and Terminating (6.7, S90); the end of the container cancels it.
//!
//! | State | startup good | startup bad | readiness good or bad | liveness good | liveness bad |
//! |---|---|---|---|---|---|
//! | StartingUp | probe readiness, liveness → Running | preStop → PreStop, or signal → Terminating | – | – | – |
//! | Running | – | – | told, `ready` | · | preStop → PreStop, or signal → Terminating |
//! | PreStop, AwaitingTurn, Terminating | · | · | told, `ready` | · | · |
//! | Killing | · | · | · | · | · |
//! | Stopped | deletes once all is in | deletes once all is in | deletes once all is in | deletes once all is in | deletes once all is in |
//! | all others | – | – | – | – | – |
//!
//! Decisions that the specification leaves open:
//! - A prober's ticks begin when it may first ask: startup when postStart has returned, the others when the container
//!   counts as started. It asks at once; the kubelet's ticks begin with the pod, which only makes the first one late.
//! - A failure is told each time until the verdict is bad, and then when its text changes: a readiness probe may fail
//!   for ever.
//! - `Delete` waits for every answer owed, handlers' too, so that no report of one start is taken for the next one's.
//! - A start whose init ends before `Started` is judged by the answer to `Start`. If it ran, its postStart is not run
//!   any more and counts as failed (`FailedPostStartHook`; a sleep just ends), as it would be refused anyway.
//! - A postStart cut short by the container's end is `FailedPostStartHook` for exec and httpGet (S23) and nothing for a
//!   sleep (S24); one that we cancelled for a stop is no failure (S25).
//! - A start not confirmed by the end of the grace is killed: a stop always wins.
//! - `StartFailed` orders `Kill` before `Delete`: a failing OCI poststart hook can leave a process (S103).
//! - `Kill` in Killing is ordered again: it is harmless, and it was asked for.

use std::mem;
use std::time::Duration;

use crate::action::{Action, ContainerAction, NoticeKind, Reason};
use crate::adopt::{Adopted, AdoptedState};
use crate::event::{ContainerEvent, ContainerIndex, HookPoint};
use crate::exit::{Exit, ExitStatus};
use crate::plan::ContainerPlan;
use crate::probe::{ProbeKind, ProbePlans};
use crate::restart::Backoff;
use crate::status::Terminated;
use crate::stop::Grace;
use crate::time::Timestamp;

mod ending;
mod hooks;
mod prober;
mod probing;
mod starting;
pub(crate) mod state;
mod stopping;
pub(crate) mod view;

use prober::Probers;
pub use state::StateName;
pub(crate) use state::{AfterCreate, Answer, Cause, Outcome, Owed, PostStart, Standing, State, Stopping};

/// What the pod, or whoever drives a single container, can want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Begin the first start. Later ones begin by themselves.
    Create,
    /// End for good. A later one can only shorten the grace.
    Stop(Grace),
    /// SIGKILL now; no handlers.
    Kill,
    /// A sidecar may be signalled (`lifecycle-semantics 3.20`).
    Turn,
    /// End now, without preStop, and wait for another first start: the pod begins again (`lifecycle-semantics 5.9`).
    Restart,
}

/// The machine of one container.
#[derive(Debug, Clone)]
pub struct ContainerMachine {
    index: ContainerIndex,
    plan: ContainerPlan,
    /// The pod's own grace, for the stop that follows a failed postStart (`lifecycle-semantics 2.12`).
    grace: Duration,
    state: State,
    restart_count: u32,
    /// There was another start since the pod began, or began again.
    restarted: bool,
    /// The pod is to begin again: what comes to its end for good now is Pending then.
    begins_anew: bool,
    /// `lastState`: the start before the newest.
    last: Option<Terminated>,
    backoff: Backoff,
    owed: Owed,
    /// The newest start's probes.
    probers: Probers,
}

impl ContainerMachine {
    /// A container that was never created. `grace` is the pod's own, `max_backoff` the longest wait before a restart.
    pub fn new(index: ContainerIndex, plan: ContainerPlan, grace: Duration, max_backoff: Duration) -> Self {
        Self {
            index,
            probers: Probers::new(&plan.probes),
            plan,
            grace,
            state: State::Pending {
                before: Outcome::Never,
            },
            restart_count: 0,
            restarted: false,
            begins_anew: false,
            last: None,
            backoff: Backoff::new(max_backoff),
            owed: Owed::default(),
        }
    }

    /// Takes on what recovery found; nothing is started any more.
    #[must_use]
    pub fn adopt(mut self, adopted: Adopted, now: Timestamp) -> Self {
        self.plan.restart = tenure_spec::RestartPolicy::Never;
        self.plan.restart_rules.clear();
        // Nobody probes a container that nobody would restart; what runs counts as started and ready.
        self.plan.probes = ProbePlans::default();
        self.probers = Probers::new(&self.plan.probes);
        self.restart_count = adopted.restart_count;
        self.last = adopted.last;
        self.state = match adopted.state {
            AdoptedState::NeverCreated => State::Deleted {
                outcome: Outcome::Never,
            },
            AdoptedState::Created => State::Created,
            AdoptedState::Running { since } => State::Running {
                started_at: since,
                post_start: PostStart::Over,
            },
            AdoptedState::Ended { terminated } => State::Stopped {
                outcome: match terminated {
                    Some(terminated) => Outcome::Ended(terminated),
                    None => {
                        let exit = Exit::plain(ExitStatus::Unknown);
                        Outcome::exited(exit, (None, now), self.restart_count)
                    }
                },
                cause: Cause::PodEnding,
            },
        };
        self
    }

    /// Takes an event in, gives the orders that follow from it.
    pub fn on_event(&mut self, now: Timestamp, event: ContainerEvent) -> Vec<Action> {
        let mut out = Vec::new();
        if !self.owed.settle(&event) {
            return out;
        }
        match event {
            ContainerEvent::Created => self.created(&mut out),
            ContainerEvent::CreateFailed(failure) => self.create_failed(now, failure, &mut out),
            ContainerEvent::Started => self.started(now, &mut out),
            ContainerEvent::StartFailed(failure) => self.start_failed(now, failure, &mut out),
            ContainerEvent::Exited(exit) => self.exited(now, exit, &mut out),
            ContainerEvent::HookFinished {
                point: HookPoint::PostStart,
                report,
            } => {
                self.post_start_finished(now, report, &mut out);
            }
            ContainerEvent::HookFinished {
                point: HookPoint::PreStop,
                report,
            } => {
                self.pre_stop_finished(now, report, &mut out);
            }
            ContainerEvent::ProbeFinished { kind, outcome } => {
                self.probe_finished(now, kind, &outcome, &mut out);
            }
            ContainerEvent::Deleted => self.deleted(now, &mut out),
            ContainerEvent::DeleteFailed { message } => {
                let text = format!("Container {} could not be deleted: {message}", self.plan.name);
                self.tell(NoticeKind::Warning, Reason::FailedDelete, text, &mut out);
                self.deleted(now, &mut out);
            }
        }
        self.settle(now, &mut out);
        out
    }

    /// Carries out a command, gives the orders that follow from it.
    pub fn command(&mut self, now: Timestamp, command: Command) -> Vec<Action> {
        let mut out = Vec::new();
        match command {
            Command::Create => self.begin(&mut out),
            Command::Stop(grace) => self.stop(now, grace, &mut out),
            Command::Kill => self.kill(now, &mut out),
            Command::Turn => self.turn(now, &mut out),
            Command::Restart => self.restart(now, &mut out),
        }
        self.settle(now, &mut out);
        out
    }

    /// Does what has become due. Harmless at any time.
    pub fn on_tick(&mut self, now: Timestamp) -> Vec<Action> {
        let mut out = Vec::new();
        if self.states_deadline().is_some_and(|deadline| deadline <= now) {
            self.due(now, &mut out);
        }
        self.settle(now, &mut out);
        out
    }

    /// What follows from every input: probes that are due now, a delete that nothing stands in the way of any more,
    /// another beginning.
    fn settle(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        self.ask_probes(now, out);
        self.delete_when_settled(out);
        self.begin_anew();
    }

    /// When something becomes due.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.states_deadline().into_iter().chain(self.next_probe()).min()
    }

    fn states_deadline(&self) -> Option<Timestamp> {
        match &self.state {
            State::Starting {
                stop: Some(grace),
                ended: None,
            } => Some(grace.end()),
            State::Stopping { phase, .. } => match phase {
                Stopping::PreStop { grace } | Stopping::AwaitingTurn { grace } => Some(grace.end()),
                Stopping::Terminating { kill_at } => Some(*kill_at),
                Stopping::Killing => None,
            },
            State::BackingOff { until, .. } => Some(*until),
            State::Starting { .. }
            | State::Pending { .. }
            | State::Creating { .. }
            | State::Created
            | State::Running { .. }
            | State::Stopped { .. }
            | State::Deleting { .. }
            | State::Deleted { .. } => None,
        }
    }

    /// The state's name, as in the table of this module's documentation.
    pub fn state(&self) -> StateName {
        let name = self.state.name();
        if name == StateName::Running && !self.probers.is_good(ProbeKind::Startup) {
            StateName::StartingUp
        } else {
            name
        }
    }

    /// What the next state is made from. The caller puts one back before it returns.
    fn take(&mut self) -> State {
        let nothing = State::Pending {
            before: Outcome::Never,
        };
        mem::replace(&mut self.state, nothing)
    }

    fn order(&self, action: ContainerAction, out: &mut Vec<Action>) {
        out.push(Action::Container {
            container: self.index,
            action,
        });
    }

    fn tell(&self, kind: NoticeKind, reason: Reason, message: String, out: &mut Vec<Action>) {
        let container = Some(self.index);
        out.push(Action::Notify(crate::action::Notice {
            kind,
            reason,
            container,
            message,
        }));
    }
}
