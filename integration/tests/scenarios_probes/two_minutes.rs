//! One pod with all that a pod can have, two minutes of it, and everything goes wrong once.
//!
//! The four ways to ask and the three kinds of probes make twelve probes, each of which fails by the test's will:
//!
//! | container | startup | readiness | liveness |
//! |---|---|---|---|
//! | proxy (sidecar) | tcpSocket | httpGet | exec |
//! | agent (sidecar) | grpc | exec | tcpSocket |
//! | web (app) | exec | grpc | httpGet |
//! | api (app) | httpGet | tcpSocket | grpc |
//!
//! Beside them `prepare`, an init container that fails at first, and `job`, an app that fails four times. What is
//! asserted holds on a machine of any speed: while a startup probe fails, the other two rest, so nothing can fail
//! once more before the test has put it right.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, PodStatus};
use tenure_integration::{Gate, Host, Outcome};

use super::*;

/// How long the pod lives at least.
const LIFE: f64 = 120.0;

/// How often `job` fails: its restarts wait 0, 10, 20 and 40 s (`lifecycle-semantics 5.4`).
const TRIES: i32 = 4;

/// Something that a probe asks for.
enum Target {
    File(String),
    Http(HttpServer),
    Tcp(Gate),
    Grpc(HealthServer),
}

impl Target {
    fn file(name: &str) -> Self {
        Self::File(format!("/shared/{name}"))
    }

    fn handler(&self) -> Value {
        match self {
            Self::File(path) => exec(&format!("test -e {path}")),
            Self::Http(server) => http_get(json!({ "port": server.port, "path": "/healthz" })),
            Self::Tcp(gate) => json!({ "tcpSocket": { "port": gate.port } }),
            Self::Grpc(server) => json!({ "grpc": { "port": server.port } }),
        }
    }

    /// What a failure of it says.
    fn complaint(&self) -> &'static str {
        match self {
            Self::File(_) => "exited with code 1",
            Self::Http(_) => "HTTP probe failed with statuscode: 503",
            Self::Tcp(_) => "Connection refused",
            Self::Grpc(_) => "NOT_SERVING",
        }
    }

    fn set(&mut self, pod: &RunningPod<'_>, container: &str, good: bool) {
        match self {
            Self::File(path) if good => exec_in(pod, container, &format!(": >{path}")),
            // What it is told to may take the messenger with it.
            Self::File(path) => {
                let outcome = run_in(pod, container, &format!("rm {path}"));
                assert!([0, 137].contains(&outcome.code), "{outcome}");
            }
            Self::Http(server) => server.set_answer(Answer::Status(if good { 200 } else { 503 })),
            Self::Tcp(gate) if good => gate.open(),
            Self::Tcp(gate) => gate.close(),
            Self::Grpc(server) => server.set_serving(good),
        }
    }
}

/// A container with its three probes. All of them fail at first.
struct Probed {
    name: &'static str,
    startup: Target,
    readiness: Target,
    liveness: Target,
}

impl Probed {
    fn container(&self) -> Container {
        let name = self.name;
        let end =
            format!("[ -e /shared/{name}-stays ] || exit $(cat /shared/{name}-code 2>/dev/null || echo 0)");
        let of = |target: &Target, threshold: u32| {
            probe(
                target.handler(),
                json!({ "timeoutSeconds": 20, "failureThreshold": threshold }),
            )
        };
        let mut liveness = of(&self.liveness, 2);
        liveness["terminationGracePeriodSeconds"] = 3.into();
        shell(name, &format!("trap '{end}' TERM; trap 'exit 4' USR1; {STAY}"))
            .mount("shared", "/shared")
            .set("startupProbe", of(&self.startup, 1000))
            .set("readinessProbe", of(&self.readiness, 2))
            .set("livenessProbe", liveness)
    }

    /// Its startup probe has failed at least once; from now on all its probes succeed.
    fn bring_up(&mut self, pod: &RunningPod<'_>) {
        pod.until_event("Unhealthy", self.name);
        assert_eq!(
            pod.container(self.name).started,
            Some(false),
            "{} has started up",
            self.name
        );
        self.readiness.set(pod, self.name, true);
        self.liveness.set(pod, self.name, true);
        self.startup.set(pod, self.name, true);
        until_ready(pod, self.name, 0);
    }

    /// Its liveness probe fails, it is restarted, and all is well again.
    fn dies(&mut self, pod: &RunningPod<'_>) -> ContainerStateTerminated {
        // Holds the next start's liveness probe back.
        self.startup.set(pod, self.name, false);
        self.liveness.set(pod, self.name, false);
        until(pod, self.name, "a restart", |status| {
            status.restart_count == 1 && is_running(status)
        });
        self.liveness.set(pod, self.name, true);
        self.startup.set(pod, self.name, true);
        until_ready(pod, self.name, 1);
        pod.container(self.name).last_state.unwrap().terminated.unwrap()
    }

    /// Its readiness probe fails and succeeds again: the conditions follow, and nothing is restarted.
    fn becomes_unready(&mut self, pod: &RunningPod<'_>) {
        holds(pod, "condition=Ready");
        let before = pod.container(self.name);
        self.readiness.set(pod, self.name, false);
        holds(pod, "condition=Ready=False");
        let status = pod.status();
        assert_eq!(status.phase.as_deref(), Some("Running"));
        let unready: Vec<String> = statuses(&status)
            .filter(|status| !status.ready)
            .map(|status| status.name.clone())
            .collect();
        assert_eq!(unready, [self.name]);
        let told = [
            "PodReadyToStartContainers",
            "Initialized",
            "ContainersReady",
            "Ready",
        ]
        .map(|kind| condition(&status, kind));
        let not_ready = || ("False".to_owned(), Some("ContainersNotReady".to_owned()));
        let good = || ("True".to_owned(), None);
        assert_eq!(told, [good(), good(), not_ready(), not_ready()]);
        self.readiness.set(pod, self.name, true);
        holds(pod, "condition=Ready");
        assert_eq!(pod.container(self.name), before);
    }

    /// The three complaints that each must have been told, of a start at the least.
    fn assert_complained(&self, pod: &RunningPod<'_>) {
        let unhealthy = pod.events_of("Unhealthy");
        let targets = [
            ("Startup", &self.startup),
            ("Readiness", &self.readiness),
            ("Liveness", &self.liveness),
        ];
        for (kind, target) in targets {
            let told = unhealthy.iter().any(|event| {
                event.container.as_deref() == Some(self.name)
                    && event.kind == "Warning"
                    && event.message.starts_with(&format!("{kind} probe failed: "))
                    && event.message.contains(target.complaint())
            });
            assert!(told, "no {kind} failure of {} in {unhealthy:#?}", self.name);
        }
    }
}

fn probed() -> [Probed; 4] {
    let http = || Target::Http(HttpServer::start(Answer::Status(503)));
    let tcp = || Target::Tcp(Gate::closed());
    let grpc = || {
        let server = HealthServer::start();
        server.set_serving(false);
        Target::Grpc(server)
    };
    let of = |name, startup, readiness, liveness| Probed {
        name,
        startup,
        readiness,
        liveness,
    };
    [
        of("proxy", tcp(), http(), Target::file("proxy-lives")),
        of("agent", grpc(), Target::file("agent-is-ready"), tcp()),
        of("web", Target::file("web-is-up"), grpc(), http()),
        of("api", http(), tcp(), grpc()),
    ]
}

fn manifest([proxy, agent, web, api]: &[Probed; 4]) -> Manifest {
    let sidecar = |probed: &Probed| probed.container().set("restartPolicy", "Always");
    let prepare = "[ -e /shared/tried ] && exit 0; : >/shared/tried; exit 3";
    let job = format!(
        "n=$(cat /shared/tries 2>/dev/null || echo 0); echo $((n+1)) >/shared/tries; [ $n -ge {TRIES} ] || exit 1; \
         trap 'exit 0' USR1; {STAY}"
    );
    Manifest::new()
        .host_network()
        .restart_policy("OnFailure")
        .volume(json!({ "name": "shared", "emptyDir": {} }))
        .init(sidecar(proxy))
        .init(shell("prepare", prepare).mount("shared", "/shared"))
        .init(sidecar(agent))
        .app(web.container())
        .app(api.container())
        .app(shell("job", &job).mount("shared", "/shared"))
}

fn run_in(pod: &RunningPod<'_>, container: &str, script: &str) -> Outcome {
    let arguments = [
        "pod", "exec", &pod.name, "-c", container, "--", "sh", "-c", script,
    ];
    pod.host.run(&arguments)
}

fn exec_in(pod: &RunningPod<'_>, container: &str, script: &str) {
    run_in(pod, container, script).ok();
}

/// A signal to a container's first process, which may take the sender with it.
fn tell(pod: &RunningPod<'_>, container: &str) {
    let arguments = [
        "pod", "exec", &pod.name, "-c", container, "--", "kill", "-USR1", "1",
    ];
    pod.host.run(&arguments);
}

fn statuses(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    let inits = status.init_container_statuses.iter();
    inits.chain(&status.container_statuses).flatten()
}

fn is_running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|state| state.running.is_some())
}

fn until(pod: &RunningPod<'_>, container: &str, what: &str, wanted: impl Fn(&ContainerStatus) -> bool) {
    pod.until_status(&format!("{what} of {container}"), |status| {
        statuses(status).any(|status| status.name == container && wanted(status))
    });
}

/// The container is ready, and its program has set its traps.
fn until_ready(pod: &RunningPod<'_>, container: &str, restarts: u32) {
    until(pod, container, "readiness", |status| {
        status.ready && status.restart_count.cast_unsigned() == restarts
    });
    let wrote = || {
        let lines = pod.log_of(container, restarts);
        lines.iter().any(|line| line.text == "ready").then_some(())
    };
    assert!(wait_until(Duration::from_secs(60), wrote).is_some());
}

/// `status` and `reason` of a condition.
fn condition(status: &PodStatus, kind: &str) -> (String, Option<String>) {
    let mut all = status.conditions.iter().flatten();
    let found = all.find(|condition| condition.type_ == kind).unwrap();
    (found.status.clone(), found.reason.clone())
}

fn ended(terminated: &ContainerStateTerminated) -> (i32, &str) {
    (
        terminated.exit_code,
        terminated.reason.as_deref().unwrap_or_default(),
    )
}

/// The pod comes up container by container, each once the startup probes before it have succeeded.
fn comes_up(pod: &RunningPod<'_>, [proxy, agent, web, api]: &mut [Probed; 4]) {
    proxy.bring_up(pod);
    agent.bring_up(pod);
    for app in ["web", "api", "job"] {
        pod.until_event("Created", app);
    }
    assert_eq!(condition(&pod.status(), "Initialized"), ("True".to_owned(), None));
    web.bring_up(pod);
    api.bring_up(pod);
    pod.until_phase("Running");
    let time = |reason: &str, container: &str| pod.event(reason, container).time;
    let last_of_prepare = pod.events_of("Exited");
    let last_of_prepare = last_of_prepare
        .iter()
        .rfind(|event| event.container.as_deref() == Some("prepare"))
        .unwrap();
    let order = [
        time("StartedUp", "proxy"),
        time("Created", "prepare"),
        last_of_prepare.time,
        time("Created", "agent"),
        time("StartedUp", "agent"),
        time("Created", "web"),
        time("Created", "api"),
        time("Created", "job"),
    ];
    assert!(order.is_sorted(), "{order:#?}");
}

/// Each liveness probe fails once, and each container ends in a way of its own.
fn die_of_liveness(pod: &RunningPod<'_>, [proxy, agent, web, api]: &mut [Probed; 4]) {
    assert_eq!(ended(&proxy.dies(pod)), (0, "Completed"));
    exec_in(pod, "agent", ": >/shared/agent-stays");
    assert_eq!(ended(&agent.dies(pod)), (137, "Error"));
    exec_in(pod, "agent", "rm /shared/agent-stays");
    assert_eq!(ended(&web.dies(pod)), (0, "Completed"));
    exec_in(pod, "api", "echo 9 >/shared/api-code");
    assert_eq!(ended(&api.dies(pod)), (9, "Error"));
    exec_in(pod, "api", "rm /shared/api-code");
    for name in ["proxy", "agent", "web", "api"] {
        assert_eq!(
            pod.event("Killing", name).message,
            format!("Container {name} failed liveness probe, will be restarted")
        );
    }
}

/// A sidecar ends by itself, for the second time: it waits 10 s, and the pod runs on.
fn sidecar_exits(pod: &RunningPod<'_>) {
    tell(pod, "agent");
    until(pod, "agent", "back-off", |status| {
        let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"))
    });
    assert_eq!(pod.status().phase.as_deref(), Some("Running"));
    until_ready(pod, "agent", 2);
    let last = pod.container("agent").last_state.unwrap().terminated.unwrap();
    assert_eq!(ended(&last), (4, "Error"));
}

/// The job has failed as often as it may, and runs.
fn job_runs_at_last(pod: &RunningPod<'_>) {
    for count in 1..=TRIES {
        restarts(pod, "job", count);
    }
    until_ready(pod, "job", TRIES.cast_unsigned());
    let of_job = |reason: &str| {
        let events = pod.events_of(reason).into_iter();
        let of_job = events.filter(|event| event.container.as_deref() == Some("job"));
        of_job.map(|event| event.time).collect::<Vec<_>>()
    };
    for ((exit, start), wait) in of_job("Exited")
        .iter()
        .zip(&of_job("Created")[1..])
        .zip([0, 10, 20, 40])
    {
        let waited = seconds_between(*exit, *start);
        assert!(waited >= f64::from(wait) - 0.1, "{waited} s instead of {wait} s");
    }
}

/// Every container's events in order, but for what its probes said.
fn assert_told(pod: &RunningPod<'_>) {
    let start = "Created Started StartedUp Ready";
    let of_life = format!("{start} Killing Exited {start} NotReady Ready Killing Exited");
    let of_agent =
        format!("{start} Killing Killed Exited {start} Exited BackOff {start} NotReady Ready Killing Exited");
    let failure = "Created Started Exited";
    let of_job = format!("{failure} {failure} BackOff {failure} BackOff {failure} BackOff {failure}");
    let wanted = [
        ("proxy", of_life.clone()),
        ("prepare", format!("{failure} {failure}")),
        ("agent", of_agent),
        ("web", of_life.clone()),
        ("api", of_life),
        ("job", of_job),
    ];
    for (container, wanted) in wanted {
        let mut seen = reasons(pod, container);
        seen.retain(|reason| reason != "Unhealthy");
        assert_eq!(seen.join(" "), wanted, "the events of {container}");
    }
    let exits = pod.events_of("Exited");
    let ends: Vec<&str> = exits[exits.len() - 5..]
        .iter()
        .map(|event| event.container.as_deref().unwrap())
        .collect();
    assert_eq!(
        (ends[0], &ends[3..]),
        ("job", &["agent", "proxy"][..]),
        "{exits:#?}"
    );
    assert_eq!(pod.events().last().unwrap().reason, "Finished");
}

#[test]
fn a_pod_with_every_kind_of_probe_lives_through_every_kind_of_failure_for_two_minutes() {
    let Some(host): Option<Host> = host("twomin") else {
        return;
    };
    let mut all = probed();
    let pod = host.start(&manifest(&all));
    pod.until_event("Unhealthy", "proxy");
    assert_eq!(pod.status().phase.as_deref(), Some("Pending"));
    comes_up(&pod, &mut all);
    die_of_liveness(&pod, &mut all);
    sidecar_exits(&pod);
    job_runs_at_last(&pod);
    for probed in &mut all {
        probed.becomes_unready(&pod);
    }
    for probed in &all {
        probed.assert_complained(&pod);
    }

    // What is well stays so.
    let well = pod.status();
    let lived = || (seconds_between(pod.begun, jiff::Timestamp::now()) >= LIFE).then_some(());
    assert!(wait_until(Duration::from_secs(300), lived).is_some());
    assert_eq!(pod.status(), well);

    tell(&pod, "job");
    until(&pod, "job", "the end", |status| {
        status
            .state
            .as_ref()
            .is_some_and(|state| state.terminated.is_some())
    });
    assert_eq!(pod.status().phase.as_deref(), Some("Running"));
    pod.stop(&[]).outcome.ok();
    pod.finish().ok();
    host.assert_nothing_runs();

    assert_told(&pod);
    let status = pod.status();
    assert_eq!(status.phase.as_deref(), Some("Succeeded"));
    for kind in ["ContainersReady", "Ready"] {
        let completed = ("False".to_owned(), Some("PodCompleted".to_owned()));
        assert_eq!(condition(&status, kind), completed);
    }
    let results: Vec<_> = statuses(&status)
        .map(|status| {
            let terminated = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
                let terminated = state.as_ref().unwrap().terminated.clone().unwrap();
                (terminated.exit_code, terminated.reason.unwrap())
            };
            let (state, last) = (terminated(&status.state), terminated(&status.last_state));
            (status.name.clone(), status.restart_count, state, last)
        })
        .collect();
    let completed = || (0, "Completed".to_owned());
    let failed = |code| (code, "Error".to_owned());
    let wanted = [
        ("proxy".to_owned(), 1, completed(), completed()),
        ("prepare".to_owned(), 1, completed(), failed(3)),
        ("agent".to_owned(), 2, completed(), failed(4)),
        ("web".to_owned(), 1, completed(), completed()),
        ("api".to_owned(), 1, completed(), failed(9)),
        ("job".to_owned(), TRIES, completed(), failed(1)),
    ];
    assert_eq!(results, wanted);
}
