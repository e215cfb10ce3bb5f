//! A supervisor that dies at each of its await points, and what recovery makes of it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;

use tenure_lifecycle::{Exit, HookPoint, HookReport, ProbeKind, ProbeOutcome, StartFailure};
use tenure_supervise::cgroup::Cgroup;
use tenure_supervise::mount::mounts_below;
use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;

use super::*;
use crate::effects::Effects;
use crate::store::{ContainerStage, PodDir, SandboxStage, Store};
use crate::testing::{FakeRuntime, bundle, launched, pod, skip_without_root, write_launched};

/// Effects of a supervisor that is killed at its n-th step.
struct Mortal {
    host: Host<FakeRuntime>,
    left: Cell<u32>,
    dead: Notify,
}

impl Mortal {
    async fn step<T>(&self, effect: impl Future<Output = T>) -> T {
        let mut effect = pin!(effect);
        std::future::poll_fn(|context| {
            let left = self.left.get();
            self.left.set(left.saturating_sub(1));
            if left == 0 {
                self.dead.notify_one();
                return Poll::Pending;
            }
            effect.as_mut().poll(context)
        })
        .await
    }
}

impl Effects for Mortal {
    async fn create_sandbox(&self) -> Result<(), String> {
        self.step(self.host.create_sandbox()).await
    }
    async fn remove_sandbox(&self) -> Vec<String> {
        self.step(self.host.remove_sandbox()).await
    }
    async fn create(&self, index: ContainerIndex, restart_count: u32) -> Result<(), StartFailure> {
        self.step(self.host.create(index, restart_count)).await
    }
    async fn start(&self, index: ContainerIndex) -> Result<(), StartFailure> {
        self.step(self.host.start(index)).await
    }
    async fn ended(&self, index: ContainerIndex) -> Exit {
        self.step(self.host.ended(index)).await
    }
    async fn run_hook(
        &self,
        index: ContainerIndex,
        point: HookPoint,
        cancel: oneshot::Receiver<()>,
    ) -> HookReport {
        self.step(self.host.run_hook(index, point, cancel)).await
    }
    async fn run_probe(
        &self,
        index: ContainerIndex,
        kind: ProbeKind,
        cancel: oneshot::Receiver<()>,
    ) -> ProbeOutcome {
        self.step(self.host.run_probe(index, kind, cancel)).await
    }
    fn signal_stop(&self, index: ContainerIndex) {
        self.host.signal_stop(index);
    }
    async fn kill(&self, index: ContainerIndex) {
        self.step(self.host.kill(index)).await;
    }
    async fn delete(&self, index: ContainerIndex) -> Result<(), String> {
        self.step(self.host.delete(index)).await
    }
}

struct World {
    folder: tempfile::TempDir,
    location: RuntimeLocation,
    name: String,
}

impl World {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        bundle(folder.path(), "init", &["true"]);
        bundle(folder.path(), "app", &["sleep", "1000"]);
        Self {
            location: RuntimeLocation {
                binary: "/nonexistent/runtime".into(),
                root: folder.path().join("root"),
            },
            folder,
            name: format!("{name}-{}", std::process::id()),
        }
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("root")
    }

    /// Another test's child may hold our descriptors between its fork and its exec.
    fn claim(&self) -> Claim {
        let store = Store::new(&self.root());
        loop {
            match store.claim(&self.name) {
                Err(EngineError::Running { .. }) => {
                    let lock = store.open(&self.name).unwrap().lock();
                    crate::store::wait_until_free(&lock).unwrap();
                }
                other => return other.unwrap(),
            }
        }
    }

    fn spec(&self) -> tenure_spec::PodSpec {
        let yaml = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {}}}, spec: {{restartPolicy: Never, hostNetwork: true, \
             hostIPC: true, volumes: [{{name: v, emptyDir: {{medium: Memory}}}}], \
             initContainers: [{{name: init, image: 'bundle-rw:init'}}], containers: [{{name: app, image: \
             'bundle-rw:app', volumeMounts: [{{name: v, mountPath: /v, subPath: below}}]}}]}}}}",
            self.name
        );
        pod(&yaml, self.folder.path())
    }

    /// Lives until the supervisor is killed at step `dies`; true when it was, false when the pod ran to `until` first.
    fn live(&self, dies: u32) -> bool {
        let claim = self.claim();
        let dir = claim.dir();
        claim.clear().unwrap();
        let plan = write_launched(dir, &launched(&self.spec(), &self.location));
        let record = RecordFile::begin(dir, SandboxStage::Present).unwrap();
        run(async {
            let runtime = Rc::new(FakeRuntime::new(&self.root(), dir));
            let mortal = Rc::new(Mortal {
                host: Host::new(runtime, dir.clone(), self.spec(), record, Vec::new()),
                left: Cell::new(dies),
                dead: Notify::new(),
            });
            let clock = Clock::start();
            let publisher = Publisher::open(dir, clock, names(&self.spec()), None).unwrap();
            let engine = Engine::new(PodMachine::new(plan), Rc::clone(&mortal), clock, publisher);
            let inputs = engine.inputs();
            let stop_when_up = {
                let dir = dir.clone();
                async move {
                    let mut watch = tenure_supervise::watch::FileWatch::new(&[&dir.status()]).unwrap();
                    while !is_running(&dir) {
                        watch.changed().await.unwrap();
                    }
                    let stop = Event::Request(Request::Stop { grace: Some(1) });
                    inputs.send(crate::engine::Input::Event(stop)).unwrap();
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = mortal.dead.notified() => true,
                _ = engine.run(Event::Begin) => false,
                () = stop_when_up => false,
            }
        })
    }

    fn recover(&self, request: Request) -> u8 {
        let claim = self.claim();
        run(async {
            let remains = Remains {
                claim: &claim,
                location: self.location.clone(),
                runtime: Rc::new(FakeRuntime::new(&self.root(), claim.dir())),
            };
            remains.end(request, &mut Watch::without_signals()).await.unwrap()
        })
    }

    /// Nothing is left but the record.
    fn assert_gone(&self, what: &str) {
        let dir = Store::new(&self.root()).open(&self.name).unwrap();
        assert!(dir.has_ended(), "{what}");
        assert!(!find::lives(&dir).unwrap(), "{what}");
        assert!(
            find::container_ids(&dir, &self.root()).unwrap().is_empty(),
            "{what}"
        );
        assert!(mounts_below(dir.path()).unwrap().is_empty(), "{what}");
        assert!(
            !Cgroup::open(Path::new(&dir.cgroup())).unwrap().exists(),
            "{what}"
        );
        for folder in [dir.bundles(), dir.volumes(), dir.files(), dir.namespaces()] {
            assert!(!folder.exists(), "{what}: {}", folder.display());
        }
    }
}

fn is_running(dir: &PodDir) -> bool {
    let published = dir.read_published().unwrap();
    published.is_some_and(|published| {
        published
            .status
            .containers
            .get(1)
            .is_some_and(|app| matches!(app.state, tenure_lifecycle::ContainerState::Running { .. }))
    })
}

fn run<T>(life: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, life)
}

/// Kills a supervisor at every step of a pod's life, and ends what is left by `request`.
fn dies_at_every_step(name: &str, request: Request) {
    if skip_without_root() {
        return;
    }
    let world = World::new(name);
    let mut steps = 0;
    while world.live(steps) {
        world.recover(request);
        world.assert_gone(&format!("killed at step {steps}"));
        steps += 1;
        assert!(steps < 1_000, "never ends");
    }
    world.assert_gone("not killed");
    assert!(steps > 15, "only {steps} steps");
}

#[test]
fn a_supervisor_killed_at_any_step_leaves_what_stop_can_end() {
    dies_at_every_step("recover-stop", Request::Stop { grace: Some(1) });
}

#[test]
fn a_supervisor_killed_at_any_step_leaves_what_delete_can_remove() {
    dies_at_every_step("recover-kill", Request::Kill);
}

#[test]
fn torn_records_do_not_keep_a_pod_from_being_removed() {
    if skip_without_root() {
        return;
    }
    let world = World::new("recover-torn");
    for files in [
        &["record.json"][..],
        &["status.json"],
        &["pod.json"],
        &["pod.json", "record.json", "status.json"],
    ] {
        assert!(world.live(14), "{files:?}");
        let dir = Store::new(&world.root()).open(&world.name).unwrap();
        for file in files {
            fs::write(dir.path().join(file), "{\"half").unwrap();
        }
        world.recover(Request::Stop { grace: Some(1) });
        world.assert_gone(&format!("torn {files:?}"));
    }
}

#[test]
fn a_recovered_pod_says_that_its_supervisor_died() {
    if skip_without_root() {
        return;
    }
    let world = World::new("recover-says");
    // In the middle of the app's life.
    assert!(world.live(14));
    world.recover(Request::Kill);
    let dir = Store::new(&world.root()).open(&world.name).unwrap();
    let status = dir.read_published().unwrap().unwrap().status;
    assert_eq!((status.phase, status.reason.as_str()), (Phase::Failed, REASON));
    assert!(!dir.read_events().unwrap().is_empty());
}

#[test]
fn what_a_container_wrote_without_a_supervisor_is_logged() {
    if skip_without_root() {
        return;
    }
    let world = World::new("recover-log");
    let folder = world.folder.path();
    let (word, marker) = (folder.join("word"), folder.join("written"));
    nix::unistd::mkfifo(&word, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!(
        "read x < {}; echo written alone; : > {}; exec sleep 1000",
        word.display(),
        marker.display()
    );
    bundle(folder, "app", &["sh", "-c", &script]);
    let mut steps = 0;
    while world.live(steps) {
        let dir = Store::new(&world.root()).open(&world.name).unwrap();
        if dir.read_record().unwrap().is_some_and(|record| {
            let app = record.containers.get(&1);
            app.is_some_and(|app| app.stage == ContainerStage::Started && app.init.is_some())
        }) {
            // Open for both, so that neither side waits for the other to open it; closed, it forgets what nobody read.
            let mut speaker = fs::OpenOptions::new().read(true).write(true).open(&word).unwrap();
            speaker.write_all(b"go\n").unwrap();
            let mut watch = tenure_supervise::watch::FileWatch::new(&[&marker]).unwrap();
            // Killed right before the start, it waits for ever; a later step has it started.
            if marker.exists() || watch.wait(Some(std::time::Duration::from_secs(3))).unwrap() {
                world.recover(Request::Stop { grace: Some(1) });
                let log = fs::read_to_string(dir.log("app", 0)).unwrap();
                assert!(log.contains("stdout F written alone"), "{log}");
                return;
            }
        }
        world.recover(Request::Kill);
        steps += 1;
    }
    panic!("it never wrote alone");
}
