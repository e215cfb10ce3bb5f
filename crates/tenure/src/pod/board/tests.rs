use tenure_lifecycle::Terminated;

use super::*;

/// A board of two plain inits, a sidecar and an app.
fn board() -> Board {
    use ContainerKind::{App, Init, Sidecar};
    Board::new("web", vec![Init, Sidecar, Init, App])
}

fn waiting() -> ContainerState {
    ContainerState::Waiting {
        reason: "PodInitializing".into(),
        message: String::new(),
    }
}

fn running() -> ContainerState {
    ContainerState::Running {
        started_at: Timestamp::ZERO,
    }
}

fn terminated(exit_code: u8) -> Terminated {
    Terminated {
        status: None,
        exit_code,
        reason: if exit_code == 0 { "Completed" } else { "Error" }.into(),
        message: String::new(),
        started_at: None,
        finished_at: Timestamp::ZERO,
        restart_count: 0,
    }
}

fn done() -> ContainerState {
    ContainerState::Terminated(terminated(0))
}

fn container(name: &str, state: ContainerState) -> ContainerStatus {
    let is_over = matches!(state, ContainerState::Terminated(_));
    let runs = matches!(state, ContainerState::Running { .. });
    ContainerStatus {
        name: name.into(),
        state,
        last: None,
        restart_count: 0,
        ready: is_over,
        started: runs,
        ever_created: true,
        activity: String::new(),
        activity_until: None,
    }
}

fn busy(name: &str, state: ContainerState, activity: &str, until: Option<u64>) -> ContainerStatus {
    ContainerStatus {
        activity: activity.into(),
        activity_until: until.map(Timestamp::from_secs),
        ..container(name, state)
    }
}

fn status(phase: Phase, containers: Vec<ContainerStatus>) -> PodStatus {
    PodStatus {
        phase,
        reason: String::new(),
        message: String::new(),
        conditions: Vec::new(),
        stopping_since: None,
        finished_at: None,
        containers,
        exit_code: 0,
    }
}

fn shown(board: &Board, now: u64) -> String {
    board.lines(Timestamp::from_secs(now)).join("\n")
}

#[test]
fn nothing_is_drawn_before_anything_is_known() {
    assert_eq!(shown(&board(), 1), "");
    assert_eq!(board().changes_at(Timestamp::ZERO), None);
}

#[test]
fn an_init_that_runs_is_counted_and_the_others_say_what_they_wait_for() {
    let mut board = board();
    let containers = vec![
        container("fetch", done()),
        container("proxy", running()),
        container("migrate", running()),
        container("app", waiting()),
    ];
    board.update(status(Phase::Pending, containers), Timestamp::from_secs(2));
    assert_eq!(
        shown(&board, 6),
        "pod web  Pending, init 3/3\n  fetch    done\n  proxy    running, not ready\n  \
         migrate  running for 4s\n  app      waits for init 3/3 (migrate)"
    );
    let now = Timestamp::from_millis(6_300);
    assert_eq!(board.changes_at(now), Some(Timestamp::from_secs(7)));
}

#[test]
fn a_sidecar_is_waited_for_until_it_has_started() {
    let mut board = board();
    let containers = vec![
        container("fetch", done()),
        busy("proxy", waiting(), "startup probe", None),
        container("migrate", waiting()),
        container("app", waiting()),
    ];
    board.update(status(Phase::Pending, containers), Timestamp::ZERO);
    let shown = shown(&board, 5);
    assert!(shown.contains("proxy    startup probe for 5s"), "{shown}");
    assert!(shown.contains("migrate  waits for init 2/3 (proxy)"), "{shown}");
}

#[test]
fn handlers_kills_and_back_offs_tell_their_times() {
    let mut board = board();
    let mut crashed = busy("app", waiting(), "back-off", Some(40));
    crashed.restart_count = 3;
    crashed.last = Some(terminated(7));
    let containers = vec![
        busy("fetch", waiting(), "postStart", None),
        busy("proxy", running(), "preStop", Some(30)),
        busy("migrate", running(), "terminating", Some(12)),
        crashed,
    ];
    board.update(status(Phase::Running, containers), Timestamp::ZERO);
    assert_eq!(
        shown(&board, 4),
        "pod web  Running, ready 0/1\n  fetch    postStart for 4s\n  \
         proxy    preStop for 4s, SIGKILL in 26s\n  migrate  terminating for 4s, SIGKILL in 8s\n  \
         app      back-off, starts again in 36s, restarts 3, last Error 7"
    );
}

#[test]
fn a_pod_at_rest_wakes_nobody_up() {
    let mut board = board();
    let mut containers = vec![
        container("fetch", done()),
        container("proxy", running()),
        container("migrate", done()),
        container("app", running()),
    ];
    containers[3].ready = true;
    board.update(status(Phase::Running, containers), Timestamp::ZERO);
    assert_eq!(board.changes_at(Timestamp::from_secs(5)), None);
    assert!(shown(&board, 5).starts_with("pod web  Running, ready 1/1\n"));
    assert!(shown(&board, 5).ends_with("app      running, ready"));
}

#[test]
fn the_seconds_begin_anew_with_another_thing_to_do() {
    let mut board = board();
    let with = |activity: &str| {
        let app = busy("app", running(), activity, Some(60));
        let others = ["fetch", "proxy", "migrate"].map(|name| container(name, done()));
        status(Phase::Running, others.into_iter().chain([app]).collect())
    };
    board.update(with("preStop"), Timestamp::from_secs(10));
    board.update(with("preStop"), Timestamp::from_secs(15));
    assert!(shown(&board, 20).contains("preStop for 10s, SIGKILL in 40s"));
    board.update(with("terminating"), Timestamp::from_secs(20));
    assert!(shown(&board, 21).contains("terminating for 1s, SIGKILL in 39s"));
}

#[test]
fn an_ended_pod_tells_how_it_ended_and_who_never_ran() {
    let mut board = board();
    let containers = vec![
        container("fetch", ContainerState::Terminated(terminated(3))),
        container("proxy", waiting()),
        container("migrate", waiting()),
        container("app", waiting()),
    ];
    let ended = PodStatus {
        finished_at: Some(Timestamp::from_secs(9)),
        reason: "DeadlineExceeded".into(),
        ..status(Phase::Failed, containers)
    };
    board.update(ended, Timestamp::from_secs(9));
    assert_eq!(
        shown(&board, 9),
        "pod web  Failed, DeadlineExceeded\n  fetch    Error 3\n  proxy    never ran\n  migrate  never ran\n  \
         app      never ran"
    );
}

#[test]
fn what_a_container_says_of_itself_cannot_drive_the_terminal() {
    let mut board = board();
    let hostile = ContainerState::Waiting {
        reason: "CreateContainerConfigError".into(),
        message: "no \x1b[2Juser\nhere".into(),
    };
    let containers = vec![container("fetch", hostile)];
    board.update(status(Phase::Pending, containers), Timestamp::ZERO);
    assert!(!shown(&board, 1).contains('\x1b'));
    assert_eq!(shown(&board, 1).lines().count(), 2);
}
