//! The life of a pod: the order of its containers, and what ends it.
//!
//! The pod hands each container's events to its machine and then recomputes, from all containers' states, what is to
//! be created, whose turn it is and whether it is over. Nothing is remembered that the states tell already.
//!
//! ```text
//! New ─Begin▶ CreatingSandbox ─SandboxCreated▶ Active ─ends▶ Ending ─all deleted▶ RemovingSandbox ─▶ Finished
//!                  │                             │  ▲           ▲ ▲                                     ▲
//!                  │    a rule restarts all ──── ▼  │ begins anew │ ends                                │
//!                  │                           Restarting ──────┘ │                                     │
//!                  ├─ Stop, Kill: ends once the sandbox is there ─┘                                     │
//!                  └─ SandboxFailed ────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! # The table
//!
//! `·` = absorbed; container events go to the container's machine in every state, and wake an adopted pod as every
//! event does. A request that changes nothing is told all the same.
//!
//! | State | Begin | SandboxCreated | SandboxFailed | SandboxRemoved | Stop | Kill | due |
//! |---|---|---|---|---|---|---|---|
//! | New | create sandbox → CreatingSandbox | · | · | · | → Finished | → Finished | · |
//! | Adopted | → Active | → Active | → Active | → Active | → Ending | → Ending, kills | → Active |
//! | CreatingSandbox | · | → Active | → Finished, phase Failed | · | nothing will be created | as Stop | · |
//! | CreatingSandbox, to end | · | remove sandbox → RemovingSandbox | → Finished, phase Failed | · | · | · | · |
//! | Active | · | · | · | · | → Ending | → Ending, kills | activeDeadlineSeconds: → Ending |
//! | Restarting | · | · | · | · | → Ending | → Ending, kills | all deleted and the wait over: → Active; activeDeadlineSeconds: → Ending |
//! | Ending | · | · | · | · | shortens | kills | · |
//! | RemovingSandbox | · | · | · | → Finished | · | · | · |
//! | Finished | · | · | · | · | rejected | rejected | · |
//!
//! `Interrupt` is `Stop` with the pod's grace, then `Stop` with 1 s, then `Kill`, whatever else was asked meanwhile
//! (S99, S100). Container deadlines are looked at with every event, so a `Tick` that is late, early or doubled does
//! nothing wrong.
//!
//! In Active, after every event, the first of these that holds:
//! 0. A container has ended of its own accord with a code whose rule is RestartAllContainers → Restarting
//!    (`lifecycle-semantics 5.3, 5.9`).
//! 1. `activeDeadlineSeconds` have passed since Begin: ends, phase Failed, reason DeadlineExceeded.
//! 2. An init container failed for good: ends, phase Failed (`lifecycle-semantics 4.2`, S63).
//! 3. Every app has ended for good: ends; sidecars are stopped with the pod's grace (3.26, S60). They are not
//!    restarted from here on (4.26).
//! 4. The first container never begun is created if all before it let it: plain inits have ended 0, sidecars are
//!    running with postStart returned and their startup probe, if any, passed (4.20), the app before has come through its first start or is dead (1.4, S4).
//!    Once an app has begun, inits and sidecars hold nothing up any more (4.3).
//!
//! In Restarting: all containers but the one that ended are ended at once, without preStop and order, with 2 s from the
//! stop signal to SIGKILL, and deleted; then that one is. What any of them came to does not count: when all are
//! deleted, and the wait of the one that ended is over (5.4, counted from its end), every container is as if it had never
//! been begun, but for its restartCount and lastState, and the pod goes on in Active, in the same sandbox. The wait holds
//! up the whole pod: KEP-5532 promises the same back-off as for restarts of one container. Only an exit counts: a create
//! that fails with code 128 is tried again alone, whatever its rule says.
//!
//! In Ending, after every event: a sidecar gets its turn when no app and no later sidecar runs (3.20); when all are
//! deleted, the sandbox is removed.
//!
//! # Exit code
//! A failed init container's code, else the first app's that is not 0, in manifest order, else 0. So a pod stopped
//! during an init gives 143 or 137 (S99). A pod whose phase is Failed never gives 0: when no container has a code to
//! show for it, 143 if it was ended from outside (a stop, the deadline), 125 otherwise (sandbox, configuration).

use std::time::Duration;

use crate::action::{Action, ContainerAction, Notice, NoticeKind, Reason};
use crate::adopt::{Adopted, AdoptedState};
use crate::container::{Command, ContainerMachine, StateName};
use crate::event::{ContainerIndex, Event, Request};
use crate::plan::PodPlan;
use crate::project;
use crate::status::{Condition, Phase, PodStatus};
use crate::stop::Grace;
use crate::time::Timestamp;

mod order;

/// Why a request was refused. Facts never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Everything is deleted; there is nothing left to stop or kill.
    #[error("the pod has already finished")]
    Finished,
}

/// Where the pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Life {
    /// `Begin` has not come.
    New,
    /// Found by recovery; the first event sets it going.
    Adopted,
    /// `CreateSandbox` is under way; `end` tells that nothing is to be created in it.
    CreatingSandbox {
        deadline: Option<Timestamp>,
        end: Option<End>,
    },
    /// Containers are begun and restarted.
    Active { deadline: Option<Timestamp> },
    /// All containers are brought to their ends, to be begun again.
    Restarting {
        deadline: Option<Timestamp>,
        /// Whose end has restarted them.
        trigger: ContainerIndex,
        /// No container is begun before.
        until: Timestamp,
    },
    /// Containers are brought to their ends.
    Ending { end: End },
    /// `RemoveSandbox` is under way.
    RemovingSandbox { end: End },
    /// Nothing is left.
    Finished { end: End, at: Timestamp },
}

/// Where the pod is, for logs: the first column of this module's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // The table explains the names.
pub enum PodStage {
    New,
    Adopted,
    CreatingSandbox,
    Active,
    Restarting,
    Ending,
    RemovingSandbox,
    Finished,
}

/// The end of a pod: since when, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) since: Timestamp,
    pub(crate) why: Why,
}

/// Why a pod ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// Every app has ended for good.
    AppsEnded,
    /// An init container has failed for good.
    InitFailed,
    /// `activeDeadlineSeconds` are over.
    DeadlineExceeded,
    /// Somebody asked for it.
    Requested,
    /// It never got a sandbox.
    SandboxFailed { message: String },
}

/// How many interrupts have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interrupts {
    None,
    One,
    More,
}

/// The machine of a whole pod.
#[derive(Debug, Clone)]
pub struct PodMachine {
    plan: PodPlan,
    life: Life,
    interrupts: Interrupts,
    containers: Vec<ContainerMachine>,
    phase: Phase,
    conditions: Vec<Condition>,
}

impl PodMachine {
    /// A pod whose life has not begun; `Event::Begin` begins it.
    pub fn new(plan: PodPlan) -> Self {
        let (grace, max_backoff) = (plan.grace, plan.max_backoff);
        let containers = plan.containers.iter().enumerate().map(|(place, container)| {
            ContainerMachine::new(ContainerIndex(place), container.clone(), grace, max_backoff)
        });
        let mut machine = Self {
            containers: containers.collect(),
            plan,
            life: Life::New,
            interrupts: Interrupts::None,
            phase: Phase::Pending,
            conditions: Vec::new(),
        };
        machine.refresh(Timestamp::ZERO);
        machine
    }

    /// A pod whose supervisor died: nothing is started any more, it can only be stopped, killed and cleaned up.
    /// `adopted` has one entry a container; missing ones count as never created. The sandbox is taken to exist.
    /// The first event (`Begin` or a request) sets it going. It ends by itself once no app runs.
    pub fn adopt(plan: PodPlan, adopted: Vec<Adopted>, now: Timestamp) -> Self {
        let mut machine = Self::new(plan);
        let mut adopted = adopted.into_iter();
        machine.containers = machine
            .containers
            .into_iter()
            .map(|container| {
                let found = adopted.next().unwrap_or(Adopted {
                    restart_count: 0,
                    last: None,
                    state: AdoptedState::NeverCreated,
                });
                container.adopt(found, now)
            })
            .collect();
        machine.life = Life::Adopted;
        machine.conditions.clear();
        machine.refresh(now);
        machine
    }

    /// Takes an event in, gives the orders that follow from it, to be carried out in that order.
    ///
    /// # Errors
    /// A request to a pod that has finished.
    pub fn on_event(&mut self, now: Timestamp, event: Event) -> Result<Vec<Action>, Rejected> {
        let mut out = Vec::new();
        self.wake_adopted(now, &mut out);
        match event {
            Event::Begin => self.begin(now, &mut out),
            Event::SandboxCreated => self.sandbox_created(&mut out),
            Event::SandboxFailed { message } => self.sandbox_failed(now, message, &mut out),
            Event::SandboxRemoved => self.sandbox_removed(now, &mut out),
            Event::Request(request) => self.request(now, request, &mut out)?,
            Event::Container { container, event } => {
                if let Some(machine) = self.containers.get_mut(container.0) {
                    out.extend(machine.on_event(now, event));
                }
            }
            Event::Tick => {}
        }
        // Whether it is over comes before what is due: a restart that fell due with the last app's end is not begun.
        self.decide(now, &mut out);
        for container in &mut self.containers {
            out.extend(container.on_tick(now));
        }
        self.decide(now, &mut out);
        self.refresh(now);
        Ok(deletes_last(out))
    }

    /// When to deliver `Event::Tick` at the latest; ask again after every event.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let own = match &self.life {
            Life::Active { deadline } => *deadline,
            Life::Restarting { deadline, until, .. } => {
                let all_deleted = self.containers.iter().all(ContainerMachine::is_pending);
                deadline.iter().chain(all_deleted.then_some(until)).min().copied()
            }
            Life::New
            | Life::Adopted
            | Life::CreatingSandbox { .. }
            | Life::Ending { .. }
            | Life::RemovingSandbox { .. }
            | Life::Finished { .. } => None,
        };
        self.containers
            .iter()
            .filter_map(ContainerMachine::next_deadline)
            .chain(own)
            .min()
    }

    /// What to publish.
    pub fn status(&self) -> PodStatus {
        project::pod_status(self.view(), self.phase, &self.conditions)
    }

    /// True once `Action::Finish` was given.
    pub fn is_finished(&self) -> bool {
        matches!(self.life, Life::Finished { .. })
    }

    /// Where the pod is, for logs.
    pub fn stage(&self) -> PodStage {
        match &self.life {
            Life::New => PodStage::New,
            Life::Adopted => PodStage::Adopted,
            Life::CreatingSandbox { .. } => PodStage::CreatingSandbox,
            Life::Active { .. } => PodStage::Active,
            Life::Restarting { .. } => PodStage::Restarting,
            Life::Ending { .. } => PodStage::Ending,
            Life::RemovingSandbox { .. } => PodStage::RemovingSandbox,
            Life::Finished { .. } => PodStage::Finished,
        }
    }

    /// The state of a container's machine, for logs: the table of `container` tells the names.
    pub fn container_state(&self, container: ContainerIndex) -> Option<StateName> {
        self.containers.get(container.0).map(ContainerMachine::state)
    }

    fn begin(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        if self.life == Life::New {
            let deadline = self.plan.active_deadline.map(|length| now + length);
            self.life = Life::CreatingSandbox { deadline, end: None };
            self.conditions.clear();
            out.push(Action::CreateSandbox);
        }
    }

    /// An adopted container that was created and never started is done away with; all else waits for its end.
    fn wake_adopted(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        if self.life != Life::Adopted {
            return;
        }
        self.life = Life::Active { deadline: None };
        for container in &mut self.containers {
            if container.state() == StateName::Created {
                out.extend(container.command(now, Command::Kill));
            }
        }
    }

    fn sandbox_created(&mut self, out: &mut Vec<Action>) {
        if let Life::CreatingSandbox { deadline, end } = &mut self.life {
            tell_pod(
                NoticeKind::Normal,
                Reason::SandboxCreated,
                "Created the pod's sandbox".to_owned(),
                out,
            );
            self.life = match end.take() {
                Some(end) => Life::Ending { end },
                None => Life::Active { deadline: *deadline },
            };
        }
    }

    fn sandbox_failed(&mut self, now: Timestamp, message: String, out: &mut Vec<Action>) {
        if let Life::CreatingSandbox { end, .. } = &self.life {
            let since = end.as_ref().map_or(now, |end| end.since);
            let text = format!("The pod's sandbox could not be created: {message}");
            tell_pod(NoticeKind::Warning, Reason::FailedCreatePodSandBox, text, out);
            self.command_all(now, Command::Stop(Grace::internal(now, Duration::ZERO)), out);
            self.finish(
                now,
                End {
                    since,
                    why: Why::SandboxFailed { message },
                },
                out,
            );
        }
    }

    fn sandbox_removed(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        if let Life::RemovingSandbox { end } = &self.life {
            self.finish(now, end.clone(), out);
        }
    }

    fn request(&mut self, now: Timestamp, request: Request, out: &mut Vec<Action>) -> Result<(), Rejected> {
        if self.is_finished() {
            return Err(Rejected::Finished);
        }
        let grace = match (request, self.interrupts) {
            (Request::Stop { grace: None }, _) => Some(self.plan.grace),
            (Request::Stop { grace: Some(seconds) }, _) => Some(Duration::from_secs(seconds)),
            (Request::Interrupt, Interrupts::None) => {
                self.interrupts = Interrupts::One;
                Some(self.plan.grace)
            }
            (Request::Interrupt, Interrupts::One) => {
                self.interrupts = Interrupts::More;
                Some(Duration::ZERO)
            }
            (Request::Interrupt, Interrupts::More) | (Request::Kill, _) => None,
        };
        let (command, text) = match grace {
            Some(grace) => {
                let length = grace.max(crate::stop::LEAST_REQUESTED_GRACE).as_secs();
                let text = format!("Asked to stop the pod with a grace of {length} s");
                (Command::Stop(Grace::requested(now, grace)), text)
            }
            None => (Command::Kill, "Asked to kill the pod".to_owned()),
        };
        tell_pod(NoticeKind::Normal, Reason::Stopping, text, out);
        self.end(now, Why::Requested, command, out);
        Ok(())
    }

    /// The pod ends, if it was not ending yet; all containers are told in any case.
    fn end(&mut self, now: Timestamp, why: Why, command: Command, out: &mut Vec<Action>) {
        self.command_all(now, command, out);
        match &mut self.life {
            Life::New => self.finish(now, End { since: now, why }, out),
            Life::CreatingSandbox { end, .. } => {
                end.get_or_insert(End { since: now, why });
            }
            Life::Adopted | Life::Active { .. } | Life::Restarting { .. } => {
                self.life = Life::Ending {
                    end: End { since: now, why },
                }
            }
            Life::Ending { .. } | Life::RemovingSandbox { .. } | Life::Finished { .. } => {}
        }
    }

    fn command_all(&mut self, now: Timestamp, command: Command, out: &mut Vec<Action>) {
        for container in &mut self.containers {
            out.extend(container.command(now, command));
        }
    }

    fn finish(&mut self, now: Timestamp, end: End, out: &mut Vec<Action>) {
        self.life = Life::Finished { end, at: now };
        self.refresh(now);
        let text = format!(
            "The pod is {}, exit code {}",
            self.phase.as_str(),
            self.status().exit_code
        );
        tell_pod(NoticeKind::Normal, Reason::Finished, text, out);
        out.push(Action::Finish);
    }

    fn view(&self) -> project::View<'_> {
        project::View {
            plan: &self.plan,
            life: &self.life,
            containers: &self.containers,
        }
    }

    fn refresh(&mut self, now: Timestamp) {
        let phase = project::phase(self.view());
        // Succeeded and Failed never change back (`lifecycle-semantics 7`, sticky).
        if !self.phase.is_terminal() {
            self.phase = phase;
        }
        let conditions = project::conditions(self.view(), self.phase, now);
        self.conditions = project::keep_times(&self.conditions, conditions);
    }
}

/// Says something about the pod as a whole.
fn tell_pod(kind: NoticeKind, reason: Reason, message: String, out: &mut Vec<Action>) {
    out.push(Action::Notify(Notice {
        kind,
        reason,
        container: None,
        message,
    }));
}

/// Deletes do not hold up what else is ordered: the next container's create comes before the last one's delete.
fn deletes_last(actions: Vec<Action>) -> Vec<Action> {
    let is_delete = |action: &Action| {
        matches!(
            action,
            Action::Container {
                action: ContainerAction::Delete,
                ..
            }
        )
    };
    let (deletes, mut others): (Vec<_>, Vec<_>) = actions.into_iter().partition(is_delete);
    others.extend(deletes);
    others
}
