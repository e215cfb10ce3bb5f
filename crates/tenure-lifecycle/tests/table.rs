//! The whole state × input tables of the container and the pod, every cell (the docs of `container` and `pod`).
//!
//! A row lists the inputs that do something, as `Input: orders → State`; every input that it does not list is absorbed:
//! nothing ordered, nothing told, nothing changed.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::simulator::{event, report};
use support::*;
use tenure_lifecycle::HandlerKind::Exec;
use tenure_lifecycle::{
    Action, Adopted, AdoptedState, Command, ContainerAction, ContainerEvent, ContainerIndex,
    ContainerMachine, Event, Exit, ExitStatus, Grace, HookOutcome, HookPoint, PodMachine, ProbeKind,
    ProbeOutcome, ProbePlan, Request, Timestamp,
};

#[derive(Clone)]
enum Input {
    Command(fn(Timestamp) -> Command),
    Due,
    Event(ContainerEvent),
}

fn hook(point: HookPoint, outcome: HookOutcome) -> Input {
    Input::Event(ContainerEvent::HookFinished {
        point,
        report: report(outcome),
    })
}

fn probed(kind: ProbeKind, outcome: ProbeOutcome) -> Input {
    Input::Event(ContainerEvent::ProbeFinished { kind, outcome })
}

fn failed() -> HookOutcome {
    HookOutcome::Failed {
        message: "exit code 1".to_owned(),
    }
}

fn inputs() -> Vec<(&'static str, Input)> {
    use ContainerEvent as E;
    use HookPoint::{PostStart, PreStop};
    let exit = Exit::plain(ExitStatus::Code(1));
    vec![
        ("Create", Input::Command(|_| Command::Create)),
        (
            "Stop",
            Input::Command(|now| {
                Command::Stop(Grace::requested(
                    now,
                    secs(if now == t(0.0) { 30.0 } else { 5.0 }),
                ))
            }),
        ),
        ("Kill", Input::Command(|_| Command::Kill)),
        ("Turn", Input::Command(|_| Command::Turn)),
        ("Restart", Input::Command(|_| Command::Restart)),
        ("Due", Input::Due),
        ("Created", Input::Event(E::Created)),
        ("CreateFailed", Input::Event(E::CreateFailed(runtime_error()))),
        ("Started", Input::Event(E::Started)),
        ("StartFailed", Input::Event(E::StartFailed(runtime_error()))),
        ("Exited", Input::Event(E::Exited(exit))),
        ("PostOk", hook(PostStart, HookOutcome::Succeeded)),
        ("PostFailed", hook(PostStart, failed())),
        ("PostCancelled", hook(PostStart, HookOutcome::Cancelled)),
        ("PreOk", hook(PreStop, HookOutcome::Succeeded)),
        ("PreFailed", hook(PreStop, failed())),
        ("PreCancelled", hook(PreStop, HookOutcome::Cancelled)),
        ("StartupOk", probed(ProbeKind::Startup, ProbeOutcome::Succeeded)),
        ("StartupFailed", probed(ProbeKind::Startup, unhealthy())),
        ("StartupError", probed(ProbeKind::Startup, errored())),
        ("ReadyOk", probed(ProbeKind::Readiness, ProbeOutcome::Succeeded)),
        ("ReadyFailed", probed(ProbeKind::Readiness, unhealthy())),
        ("LiveOk", probed(ProbeKind::Liveness, ProbeOutcome::Succeeded)),
        ("LiveFailed", probed(ProbeKind::Liveness, unhealthy())),
        (
            "LiveCancelled",
            probed(ProbeKind::Liveness, ProbeOutcome::Cancelled),
        ),
        ("Deleted", Input::Event(E::Deleted)),
        (
            "DeleteFailed",
            Input::Event(E::DeleteFailed {
                message: "busy".to_owned(),
            }),
        ),
    ]
}

fn put(machine: &mut ContainerMachine, now: Timestamp, input: Input) -> Vec<Action> {
    match input {
        Input::Command(command) => machine.command(now, command(now)),
        Input::Due => machine.on_tick(machine.next_deadline().unwrap_or(now)),
        Input::Event(event) => machine.on_event(now, event),
    }
}

/// A container with both handlers that is always restarted, brought to a state by the inputs named.
fn brought(kind: fn(&str) -> Sim, path: &str) -> ContainerMachine {
    let plan = kind("c")
        .post_start(Exec, ok(0.0))
        .pre_stop(Exec, ok(0.0))
        .policy(Always)
        .plan;
    let mut machine = ContainerMachine::new(ContainerIndex(0), plan, secs(30.0), secs(300.0));
    let inputs: BTreeMap<_, _> = inputs().into_iter().collect();
    for name in path.split_whitespace() {
        if name == "Adopt" {
            let adopted = Adopted {
                restart_count: 0,
                last: None,
                state: AdoptedState::Created,
            };
            machine = machine.adopt(adopted, t(0.0));
        } else {
            put(&mut machine, t(0.0), inputs[name].clone());
        }
    }
    machine
}

/// An app with all three probes, every result of which counts; period 10 s.
fn probed_app(name: &str) -> Sim {
    let plan = ProbePlan {
        period: secs(10.0),
        ..probe()
    };
    app(name)
        .startup(plan.clone(), goes(&[]))
        .readiness(plan.clone(), goes(&[]))
        .liveness(plan, goes(&[]))
}

fn order(action: &ContainerAction) -> String {
    match action {
        ContainerAction::Create { restart_count: _ } => "create".to_owned(),
        ContainerAction::Start => "start".to_owned(),
        ContainerAction::RunHook { point } => format!("run {}", point.as_str()),
        ContainerAction::CancelHook { point } => format!("cancel {}", point.as_str()),
        ContainerAction::Probe { kind } => format!("probe {}", kind.as_str()),
        ContainerAction::CancelProbe { kind } => format!("cancel {}", kind.as_str()),
        ContainerAction::SignalStop => "signal".to_owned(),
        ContainerAction::Kill => "kill".to_owned(),
        ContainerAction::Delete => "delete".to_owned(),
    }
}

/// `orders → State`, the orders absent if there are none; `told` for events only; `due N` for a deadline moved to N s;
/// `noted` for a change that shows later; empty when absorbed.
fn cell(machine: &ContainerMachine, input: Input) -> String {
    let (before, deadline, debug) = (machine.state(), machine.next_deadline(), format!("{machine:?}"));
    let mut machine = machine.clone();
    let actions = put(&mut machine, t(1.0), input);
    let mut words: Vec<String> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Container { container: _, action } => Some(order(action)),
            _ => None,
        })
        .collect();
    if words.is_empty() && !actions.is_empty() {
        words.push("told".to_owned());
    }
    if machine.state() == before && machine.next_deadline() != deadline {
        words.extend(
            machine
                .next_deadline()
                .map(|at| format!("due {}", at.since_origin().as_secs())),
        );
    }
    if words.is_empty() && machine.state() == before && format!("{machine:?}") != debug {
        words.push("noted".to_owned());
    }
    let mut text = words.join(", ");
    if machine.state() != before {
        let arrow = if text.is_empty() { "→ " } else { " → " };
        text = format!("{text}{arrow}{}", machine.state());
    }
    text
}

/// `State via path | Input: cell | ...`
fn row(kind: fn(&str) -> Sim, path: &str) -> String {
    let machine = brought(kind, path);
    let mut cells = vec![format!("{} via {path}", machine.state())];
    for (name, input) in inputs() {
        let cell = cell(&machine, input);
        if !cell.is_empty() {
            cells.push(format!("{name}: {cell}"));
        }
    }
    cells.join(" | ")
}

const CONTAINER_TABLE: &str = "
    Pending via  | Create: create → Creating | Stop: → Deleted | Kill: → Deleted
    Creating via Create | Stop: → Discarding | Kill: → Discarding | Restart: → Discarding | Created: start → Starting | CreateFailed: told → BackingOff | Exited: told → Stopped
    Discarding via Create Stop | Restart: noted | Created: kill → Killing | CreateFailed: told → Deleted | Exited: told → Stopped
    Created via Adopt | Stop: kill → Killing | Kill: kill → Killing | Restart: kill → Killing | Exited: delete → Deleting
    Starting via Create Created | Stop: → StartingThenStop | Kill: kill → Killing | Restart: → StartingThenStop | Started: run postStart → PostStart | StartFailed: kill, delete → Deleting | Exited: → StartingEnded
    StartingThenStop via Create Created Stop | Stop: due 6 | Kill: kill → Killing | Restart: due 1 | Due: kill → Killing | Started: run preStop → PreStop | StartFailed: kill, delete → Deleting | Exited: → StartingEnded
    StartingEnded via Create Created Exited | Stop: noted | Kill: noted | Restart: noted | Started: delete → Deleting | StartFailed: delete → Deleting
    StartingEnded via Create Created Stop Exited | Stop: noted | Kill: noted | Restart: noted | Started: delete → Deleting | StartFailed: delete → Deleting
    PostStart via Create Created Started | Stop: cancel postStart, run preStop → PreStop | Kill: kill, cancel postStart → Killing | Restart: cancel postStart, signal → Terminating | Exited: cancel postStart → Stopped | PostOk: told → Running | PostFailed: run preStop → PreStop | PostCancelled: told → PostStartCutShort
    PostStartCutShort via Create Created Started PostCancelled | Stop: signal → Terminating | Kill: kill → Killing | Restart: signal → Terminating | Exited: delete → Deleting
    Running via Create Created Started PostOk | Stop: run preStop → PreStop | Kill: kill → Killing | Restart: signal → Terminating | Exited: delete → Deleting
    PreStop via Create Created Started PostOk Stop | Stop: due 6 | Kill: kill, cancel preStop → Killing | Restart: due 1 | Due: signal → Terminating | Exited: cancel preStop → Stopped | PreOk: signal → Terminating | PreFailed: signal → Terminating | PreCancelled: noted
    PreStop via Create Created Started Stop | Stop: due 6 | Kill: kill, cancel preStop → Killing | Restart: due 1 | Due: signal → Terminating | Exited: cancel preStop → Stopped | PostOk: told | PostFailed: told | PostCancelled: noted | PreOk: signal → Terminating | PreFailed: signal → Terminating | PreCancelled: noted
    PreStop via Create Created Started PostFailed | Stop: due 6 | Kill: kill, cancel preStop → Killing | Restart: due 1 | Due: signal → Terminating | Exited: cancel preStop → Stopped | PreOk: signal → Terminating | PreFailed: signal → Terminating | PreCancelled: noted
    Terminating via Create Created Started PostOk Stop PreOk | Stop: due 6 | Kill: kill → Killing | Restart: due 3 | Due: kill → Killing | Exited: delete → Deleting
    Terminating via Create Created Started PostOk Stop Due | Stop: due 6 | Kill: kill, cancel preStop → Killing | Restart: due 3 | Due: kill → Killing | Exited: cancel preStop → Stopped | PreOk: told | PreFailed: told | PreCancelled: noted
    Terminating via Create Created Started Stop PreOk | Stop: due 6 | Kill: kill → Killing | Restart: due 3 | Due: kill → Killing | Exited: told → Stopped | PostOk: told | PostFailed: told | PostCancelled: noted
    Killing via Create Stop Created | Kill: kill | Restart: noted | Exited: delete → Deleting
    Killing via Create Created Kill | Kill: kill | Restart: noted | Started: told | StartFailed: delete → Deleting | Exited: told → Stopped
    Killing via Create Created Started Kill | Kill: kill | Restart: noted | Exited: told → Stopped | PostOk: told | PostFailed: told | PostCancelled: noted
    Killing via Create Created Started PostOk Stop Due Due | Kill: kill, cancel preStop | Restart: noted | Exited: cancel preStop → Stopped | PreOk: told | PreFailed: noted | PreCancelled: noted
    Stopped via Create Exited | Stop: noted | Kill: noted | Restart: noted | Created: delete → Deleting | CreateFailed: told → BackingOff
    Stopped via Create Stop Exited | Restart: noted | Created: delete → Deleting | CreateFailed: told → Deleted
    Stopped via Create Created Kill Exited | Restart: noted | Started: delete → Deleting | StartFailed: delete → Deleting
    Stopped via Create Created Started Exited | Stop: noted | Kill: noted | Restart: noted | PostOk: delete → Deleting | PostFailed: delete → Deleting | PostCancelled: delete → Deleting
    Stopped via Create Created Started PostOk Stop Exited | Restart: noted | PreOk: delete → Deleting | PreFailed: delete → Deleting | PreCancelled: delete → Deleting
    Deleting via Create Created Started PostOk Exited | Stop: noted | Kill: noted | Restart: noted | Deleted: → BackingOff | DeleteFailed: told → BackingOff
    Deleting via Create Created Started PostOk Stop PreOk Exited | Restart: noted | Deleted: → Deleted | DeleteFailed: told → Deleted
    BackingOff via Create Created Started PostOk Exited Deleted | Stop: → Deleted | Kill: → Deleted | Restart: → Pending | Due: create → Creating
    Deleted via Stop | Restart: → Pending
    Deleted via Create Created Started PostOk Stop PreOk Exited Deleted | Restart: → Pending
    PreStop via Create Created Started PostOk Stop | Stop: due 6 | Kill: kill, cancel preStop → Killing | Restart: due 1 | Due: signal → Terminating | Exited: cancel preStop → Stopped | PreOk: told → AwaitingTurn | PreFailed: told → AwaitingTurn | PreCancelled: noted
    AwaitingTurn via Create Created Started PostOk Stop PreOk | Stop: due 6 | Kill: kill → Killing | Turn: signal → Terminating | Restart: due 1 | Due: signal → Terminating | Exited: delete → Deleting
    AwaitingTurn via Create Created Started Stop PreOk | Stop: due 6 | Kill: kill → Killing | Turn: signal → Terminating | Restart: due 1 | Due: signal → Terminating | Exited: told → Stopped | PostOk: told | PostFailed: told | PostCancelled: noted
    Terminating via Create Created Started PostFailed PreOk | Stop: due 6 | Kill: kill → Killing | Restart: due 3 | Due: kill → Killing | Exited: delete → Deleting
    PostStart via Create Created Started | Stop: cancel postStart, run preStop → PreStop | Kill: kill, cancel postStart → Killing | Restart: cancel postStart, signal → Terminating | Exited: cancel postStart → Stopped | PostOk: probe startup → StartingUp | PostFailed: run preStop → PreStop | PostCancelled: told → PostStartCutShort
    StartingUp via Create Created Started PostOk | Stop: cancel startup, run preStop → PreStop | Kill: kill, cancel startup → Killing | Restart: cancel startup, signal → Terminating | Exited: cancel startup → Stopped | StartupOk: probe readiness, probe liveness → Running | StartupFailed: run preStop → PreStop | StartupError: probe startup
    StartingUp via Create Created Started PostOk StartupError | Stop: cancel startup, run preStop → PreStop | Kill: kill, cancel startup → Killing | Restart: cancel startup, signal → Terminating | Exited: cancel startup → Stopped | StartupOk: probe readiness, probe liveness → Running | StartupFailed: run preStop → PreStop | StartupError: probe startup
    Running via Create Created Started PostOk StartupOk | Stop: cancel liveness, run preStop → PreStop | Kill: kill, cancel liveness, cancel readiness → Killing | Restart: cancel liveness, signal → Terminating | Exited: cancel liveness, cancel readiness → Stopped | ReadyOk: told, due 10 | ReadyFailed: told, due 10 | LiveOk: due 10 | LiveFailed: run preStop → PreStop | LiveCancelled: due 10
    Running via Create Created Started PostOk StartupOk ReadyOk LiveOk | Stop: run preStop → PreStop | Kill: kill → Killing | Restart: signal → Terminating | Due: probe readiness, probe liveness | Exited: delete → Deleting
    PreStop via Create Created Started PostOk StartupFailed | Stop: due 6 | Kill: kill, cancel preStop → Killing | Restart: due 1 | Due: signal → Terminating | Exited: cancel preStop → Stopped | PreOk: signal → Terminating | PreFailed: signal → Terminating | PreCancelled: noted
    PreStop via Create Created Started PostOk StartupOk LiveFailed | Stop: due 6 | Kill: kill, cancel preStop, cancel readiness → Killing | Restart: due 1 | Due: signal → Terminating | Exited: cancel preStop, cancel readiness → Stopped | PreOk: signal → Terminating | PreFailed: signal → Terminating | PreCancelled: noted | ReadyOk: told, due 10 | ReadyFailed: told, due 10
    Terminating via Create Created Started PostOk StartupOk LiveFailed ReadyOk PreOk | Stop: due 6 | Kill: kill → Killing | Restart: due 3 | Due: probe readiness, due 30 | Exited: delete → Deleting
    PreStop via Create Created Started PostOk Stop | Stop: due 6 | Kill: kill, cancel preStop → Killing | Restart: due 1 | Due: signal → Terminating | Exited: cancel preStop → Stopped | PreOk: signal → Terminating | PreFailed: signal → Terminating | PreCancelled: noted | StartupOk: noted | StartupFailed: noted | StartupError: noted
    PreStop via Create Created Started PostOk StartupOk Stop | Stop: due 6 | Kill: kill, cancel preStop, cancel readiness → Killing | Restart: due 1 | Due: signal → Terminating | Exited: cancel preStop, cancel readiness → Stopped | PreOk: signal → Terminating | PreFailed: signal → Terminating | PreCancelled: noted | ReadyOk: told, due 10 | ReadyFailed: told, due 10 | LiveOk: noted | LiveFailed: noted | LiveCancelled: noted
    PreStop via Create Created Started PostOk StartupOk Stop LiveCancelled ReadyFailed Due | Stop: due 6 | Kill: kill, cancel preStop, cancel readiness → Killing | Restart: due 1 | Due: signal → Terminating | Exited: cancel preStop, cancel readiness → Stopped | PreOk: signal → Terminating | PreFailed: signal → Terminating | PreCancelled: noted | ReadyOk: told, due 20 | ReadyFailed: due 20
    Killing via Create Created Started PostOk StartupOk Kill | Kill: kill | Restart: noted | Exited: told → Stopped | ReadyOk: noted | ReadyFailed: noted | LiveOk: noted | LiveFailed: noted | LiveCancelled: noted
    Stopped via Create Created Started PostOk StartupOk Exited | Stop: noted | Kill: noted | Restart: noted | ReadyOk: noted | ReadyFailed: noted | LiveOk: noted | LiveFailed: noted | LiveCancelled: noted
    Deleting via Create Created Started PostOk StartupOk LiveFailed ReadyOk PreOk Exited | Stop: noted | Kill: noted | Restart: noted | Deleted: → BackingOff | DeleteFailed: told → BackingOff
    Deleting via Create Created Started PostOk StartupOk LiveFailed Stop ReadyOk PreOk Exited | Restart: noted | Deleted: → Deleted | DeleteFailed: told → Deleted
";

#[test]
fn every_cell_of_the_containers_table_is_as_decided() {
    let expected: Vec<&str> = CONTAINER_TABLE.trim().lines().map(str::trim).collect();
    let mut found = Vec::new();
    for path in PATHS {
        found.push(row(app, path));
    }
    for path in SIDECAR_PATHS {
        found.push(row(sidecar, path));
    }
    for path in PROBED_PATHS {
        found.push(row(probed_app, path));
    }
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn the_table_has_a_row_for_every_state() {
    let rows: BTreeSet<&str> = CONTAINER_TABLE
        .lines()
        .filter_map(|row| row.split_whitespace().next())
        .collect();
    assert_eq!(rows.len(), 19, "as many as StateName has: {rows:?}");
}

/// What the pod orders and where it is then, for each of its own inputs.
fn pod_cell(machine: &PodMachine, input: &str) -> String {
    let before = (machine.stage(), format!("{machine:?}"));
    let mut machine = machine.clone();
    let answer = machine.on_event(t(if input == "Due" { 100.0 } else { 1.0 }), pod_input(input));
    let Ok(actions) = answer else {
        return "rejected".to_owned();
    };
    let mut words: Vec<String> = actions
        .iter()
        .filter_map(|action| match action {
            Action::CreateSandbox => Some("create sandbox".to_owned()),
            Action::RemoveSandbox => Some("remove sandbox".to_owned()),
            Action::Finish => Some("finish".to_owned()),
            Action::Container { container: _, action } => Some(order(action)),
            Action::Notify(_) => None,
        })
        .collect();
    if words.is_empty() && machine.stage() == before.0 && format!("{machine:?}") != before.1 {
        words.push("noted".to_owned());
    }
    if words.is_empty() && machine.stage() == before.0 && !actions.is_empty() {
        words.push("told".to_owned());
    }
    let mut text = words.join(", ");
    if machine.stage() != before.0 {
        let arrow = if text.is_empty() { "→ " } else { " → " };
        text = format!("{text}{arrow}{:?}", machine.stage());
    }
    text
}

#[allow(clippy::panic)] // A typing error in this file.
fn pod_input(name: &str) -> Event {
    match name {
        "Begin" => Event::Begin,
        "SandboxCreated" => Event::SandboxCreated,
        "SandboxFailed" => Event::SandboxFailed {
            message: "no cgroup".to_owned(),
        },
        "SandboxRemoved" => Event::SandboxRemoved,
        "Stop" => Event::Request(Request::Stop { grace: None }),
        "Kill" => Event::Request(Request::Kill),
        "Due" => Event::Tick,
        "CreateFailed" => event(0, ContainerEvent::CreateFailed(runtime_error())),
        "Started" => event(0, ContainerEvent::Started),
        "Created" => event(0, ContainerEvent::Created),
        "Deleted" => event(0, ContainerEvent::Deleted),
        "Exited88" => event(0, ContainerEvent::Exited(Exit::plain(ExitStatus::Code(88)))),
        other => panic!("no input {other}"),
    }
}

#[allow(clippy::unwrap_used)] // Only requests to a finished pod are rejected.
fn pod_row(path: &str) -> String {
    let container = app("a").policy(Always).restarts_all_on(&[88]);
    let plan = pod(Always).active_deadline(100.0).with(container).plan;
    let mut machine = PodMachine::new(plan.clone());
    for name in path.split_whitespace() {
        if name == "Adopt" {
            let running = AdoptedState::Running { since: t(0.0) };
            let adopted = Adopted {
                restart_count: 0,
                last: None,
                state: running,
            };
            machine = PodMachine::adopt(plan.clone(), vec![adopted], t(0.0));
        } else {
            machine.on_event(t(0.0), pod_input(name)).unwrap();
        }
    }
    let mut cells = vec![format!("{:?} via {path}", machine.stage())];
    for input in [
        "Begin",
        "SandboxCreated",
        "SandboxFailed",
        "SandboxRemoved",
        "Stop",
        "Kill",
        "Due",
    ] {
        let cell = pod_cell(&machine, input);
        if !cell.is_empty() {
            cells.push(format!("{input}: {cell}"));
        }
    }
    cells.join(" | ")
}

const POD_TABLE: &str = "
    New via  | Begin: create sandbox → CreatingSandbox | Stop: finish → Finished | Kill: finish → Finished
    Adopted via Adopt | Begin: → Active | SandboxCreated: → Active | SandboxFailed: → Active | SandboxRemoved: → Active | Stop: signal → Ending | Kill: kill → Ending | Due: → Active
    CreatingSandbox via Begin | SandboxCreated: create → Active | SandboxFailed: finish → Finished | Stop: noted | Kill: noted
    CreatingSandbox via Begin Stop | SandboxCreated: remove sandbox → RemovingSandbox | SandboxFailed: finish → Finished | Stop: told | Kill: told
    Active via Begin SandboxCreated | Stop: → Ending | Kill: → Ending | Due: → Ending
    Active via Begin SandboxCreated Created Started | Stop: signal → Ending | Kill: kill → Ending | Due: signal → Ending
    Restarting via Begin SandboxCreated Created Started Exited88 | Stop: → Ending | Kill: → Ending | Due: → Ending
    Restarting via Begin SandboxCreated Created Started Exited88 Deleted Created Started Exited88 Deleted | Stop: remove sandbox → RemovingSandbox | Kill: remove sandbox → RemovingSandbox | Due: remove sandbox → RemovingSandbox
    Ending via Begin SandboxCreated Stop | Stop: told | Kill: told
    Ending via Begin SandboxCreated Created Started Stop | Stop: told | Kill: kill | Due: kill
    RemovingSandbox via Begin SandboxCreated Stop CreateFailed | SandboxRemoved: finish → Finished | Stop: told | Kill: told
    Finished via Begin SandboxFailed | Stop: rejected | Kill: rejected
";

#[test]
fn every_cell_of_the_pods_table_is_as_decided() {
    let paths = [
        "",
        "Adopt",
        "Begin",
        "Begin Stop",
        "Begin SandboxCreated",
        "Begin SandboxCreated Created Started",
        "Begin SandboxCreated Created Started Exited88",
        "Begin SandboxCreated Created Started Exited88 Deleted Created Started Exited88 Deleted",
        "Begin SandboxCreated Stop",
        "Begin SandboxCreated Created Started Stop",
        "Begin SandboxCreated Stop CreateFailed",
        "Begin SandboxFailed",
    ];
    let found: Vec<String> = paths
        .into_iter()
        .map(|path| pod_row(path).trim_end().to_owned())
        .collect();
    let expected: Vec<&str> = POD_TABLE.trim().lines().map(str::trim).collect();
    assert_eq!(found, expected);
}

/// One way into every state, and further ones where something else is owed.
const PATHS: &[&str] = &[
    "",
    "Create",
    "Create Stop",
    "Adopt",
    "Create Created",
    "Create Created Stop",
    "Create Created Exited",
    "Create Created Stop Exited",
    "Create Created Started",
    "Create Created Started PostCancelled",
    "Create Created Started PostOk",
    "Create Created Started PostOk Stop",
    "Create Created Started Stop",
    "Create Created Started PostFailed",
    "Create Created Started PostOk Stop PreOk",
    "Create Created Started PostOk Stop Due",
    "Create Created Started Stop PreOk",
    "Create Stop Created",
    "Create Created Kill",
    "Create Created Started Kill",
    "Create Created Started PostOk Stop Due Due",
    "Create Exited",
    "Create Stop Exited",
    "Create Created Kill Exited",
    "Create Created Started Exited",
    "Create Created Started PostOk Stop Exited",
    "Create Created Started PostOk Exited",
    "Create Created Started PostOk Stop PreOk Exited",
    "Create Created Started PostOk Exited Deleted",
    "Stop",
    "Create Created Started PostOk Stop PreOk Exited Deleted",
];

const SIDECAR_PATHS: &[&str] = &[
    "Create Created Started PostOk Stop",
    "Create Created Started PostOk Stop PreOk",
    "Create Created Started Stop PreOk",
    "Create Created Started PostFailed PreOk",
];

/// What a container with all three probes does otherwise.
const PROBED_PATHS: &[&str] = &[
    "Create Created Started",
    "Create Created Started PostOk",
    "Create Created Started PostOk StartupError",
    "Create Created Started PostOk StartupOk",
    "Create Created Started PostOk StartupOk ReadyOk LiveOk",
    "Create Created Started PostOk StartupFailed",
    "Create Created Started PostOk StartupOk LiveFailed",
    "Create Created Started PostOk StartupOk LiveFailed ReadyOk PreOk",
    "Create Created Started PostOk Stop",
    "Create Created Started PostOk StartupOk Stop",
    "Create Created Started PostOk StartupOk Stop LiveCancelled ReadyFailed Due",
    "Create Created Started PostOk StartupOk Kill",
    "Create Created Started PostOk StartupOk Exited",
    "Create Created Started PostOk StartupOk LiveFailed ReadyOk PreOk Exited",
    "Create Created Started PostOk StartupOk LiveFailed Stop ReadyOk PreOk Exited",
];
