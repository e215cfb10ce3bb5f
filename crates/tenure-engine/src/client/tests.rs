//! Clients and a supervisor in one process, over the real socket; the containers are scripts.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::{JoinHandle, spawn};
use std::time::Instant;

use tenure_lifecycle::{Event, PodMachine};
use tokio::task::LocalSet;

use super::*;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::engine::tests::{Fake, Script, plan};
use crate::host::RecordFile;
use crate::publish::Publisher;
use crate::store::SandboxStage;
use crate::supervision::Watch;

/// Lives a pod of one app in a thread of its own; returns once the app runs.
fn supervise(root: &Path, name: &'static str, script: Script, grace: u64) -> JoinHandle<u8> {
    let (listening, heard) = mpsc::channel();
    let (store, root) = (Store::new(root), root.to_path_buf());
    let life = spawn(move || {
        let claim = Store::new(&root).claim(name).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, async {
            let mut watch = Watch::without_signals();
            watch.listen(claim.dir()).unwrap();
            RecordFile::begin(claim.dir(), SandboxStage::Absent).unwrap();
            let scripts = [script];
            let clock = Clock::start();
            let publisher = Publisher::open(claim.dir(), clock, vec!["app".into()], None).unwrap();
            let machine = PodMachine::new(plan(&scripts, 0, grace));
            let engine = Engine::new(machine, Fake::new(scripts.to_vec()), clock, publisher);
            listening.send(()).unwrap();
            let status = watch.live(engine, Event::Begin).await;
            drop(claim);
            status.exit_code
        })
    });
    heard.recv().unwrap();
    let dir = store.open(name).unwrap();
    let mut watch = FileWatch::new(&[&dir.status()]).unwrap();
    while !runs(&dir) {
        watch.wait(None).unwrap();
    }
    life
}

fn runs(dir: &PodDir) -> bool {
    dir.read_published().unwrap().is_some_and(|published| {
        matches!(
            published.status.containers[0].state,
            tenure_lifecycle::ContainerState::Running { .. }
        )
    })
}

fn obedient() -> Script {
    Script {
        obeys: Some((Duration::ZERO, 7)),
        ..Script::FOR_EVER
    }
}

#[test]
fn a_stop_returns_when_the_pod_has_ended_and_its_name_is_free() {
    // Far longer than a socket's name may be.
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("r".repeat(150));
    let life = supervise(&root, "web", obedient(), 30);
    assert!(matches!(
        delete(&root, "web", false),
        Err(EngineError::Running { .. })
    ));
    let outcome = stop(&root, "web", None).unwrap();
    assert_eq!((outcome.exit_code, outcome.ended_by), (7, EndedBy::Supervisor));
    Store::new(&root).claim("web").unwrap();
    assert_eq!(life.join().unwrap(), 7);
    let outcome = stop(&root, "web", None).unwrap();
    assert_eq!((outcome.exit_code, outcome.ended_by), (7, EndedBy::Nobody));
    delete(&root, "web", false).unwrap();
    assert!(matches!(
        stop(&root, "web", None),
        Err(EngineError::NotFound { .. })
    ));
}

#[test]
fn a_kill_overtakes_a_stop_and_both_are_told_of_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let root: PathBuf = folder.path().into();
    let life = supervise(&root, "web", Script::FOR_EVER, 3_600);
    let stopping = {
        let root = root.clone();
        spawn(move || stop(&root, "web", None).unwrap())
    };
    let began = Instant::now();
    let outcome = kill(&root, "web").unwrap();
    assert_eq!(outcome.exit_code, 137);
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(stopping.join().unwrap().exit_code, 137);
    assert_eq!(life.join().unwrap(), 137);
}

#[test]
fn what_is_no_request_is_refused_and_the_pod_lives_on() {
    let folder = tempfile::tempdir().unwrap();
    let root: PathBuf = folder.path().into();
    let life = supervise(&root, "web", obedient(), 30);
    let dir = Store::new(&root).open("web").unwrap();
    let say = |text: &[u8]| {
        let mut stream = UnixStream::connect(dir.control()).unwrap();
        stream.write_all(text).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(say(b"{\"explode\":{}}\n").starts_with("{\"refused\":\"not a request"));
    assert!(say(b"\xff\xfe\n").is_empty());
    assert!(say(&[b'x'; 100_000][..8_000]).len() < 200);
    assert_eq!(say(b"{\"ping\":{}}\n"), "{\"pong\":true}\n");
    let asked = say(b"{\"stop\":{\"grace\":null}}\n");
    assert_eq!(asked, "{\"accepted\":true}\n{\"ended\":{\"exit_code\":7}}\n");
    assert_eq!(life.join().unwrap(), 7);
}

#[test]
fn only_we_may_ask() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let root: PathBuf = folder.path().into();
    let life = supervise(&root, "web", obedient(), 30);
    let dir = Store::new(&root).open("web").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.control()), 0o600);
    assert_eq!(mode(dir.path()), 0o700);
    stop(&root, "web", None).unwrap();
    life.join().unwrap();
}

#[test]
fn a_finished_pod_is_observed_as_ended_and_a_live_one_as_alive() {
    let folder = tempfile::tempdir().unwrap();
    let root: PathBuf = folder.path().into();
    let life = supervise(&root, "web", obedient(), 30);
    let seen = crate::observe(&root, "web").unwrap();
    let pid = i32::try_from(std::process::id()).unwrap();
    assert_eq!(seen.supervisor, crate::Supervisor::Alive { pid });
    stop(&root, "web", Some(0)).unwrap();
    life.join().unwrap();
    let seen = crate::observe(&root, "web").unwrap();
    assert_eq!(seen.supervisor, crate::Supervisor::Ended);
    assert!(seen.published.unwrap().status.finished_at.is_some());
}

#[test]
fn many_may_ask_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let root: PathBuf = folder.path().into();
    let life = supervise(&root, "web", obedient(), 30);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let root = root.clone();
            spawn(move || stop(&root, "web", None).unwrap().exit_code)
        })
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), 7);
    }
    life.join().unwrap();
}
