//! Probes on real containers (lifecycle-semantics 6; scenarios S26, S36, S50 to S51, S88 to S92).
//!
//! Order and counts are asserted, and times only where they cannot come out too long.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use serde_json::{Value, json};
use tenure_integration::{
    AWAIT_READY, Answer, Container, HealthServer, HttpServer, Manifest, RunningPod, STAY, assert_between,
    ends_on_term, exec, host, http_get, ignores_term, seconds_between, shell, wait_until,
};

#[path = "scenarios_probes/two_minutes.rs"]
mod two_minutes;

/// A probe: a handler with period 1 and more fields.
fn probe(handler: Value, fields: Value) -> Value {
    let mut probe = handler;
    probe["periodSeconds"] = 1.into();
    for (name, value) in fields.as_object().unwrap() {
        probe[name] = value.clone();
    }
    probe
}

/// An exec probe that succeeds while the file exists, with time enough on a busy machine.
fn exists(file: &str, fields: Value) -> Value {
    let mut probe = probe(exec(&format!("test -e {file}")), fields);
    probe["timeoutSeconds"] = 10.into();
    probe
}

fn stop(pod: &RunningPod<'_>) {
    pod.stop(&["--grace", "1"]).outcome.ok();
    pod.finish();
    pod.host.assert_nothing_runs();
}

/// The reasons of the events about a container, in order.
fn reasons(pod: &RunningPod<'_>, container: &str) -> Vec<String> {
    let events = pod.events().into_iter();
    events
        .filter(|event| event.container.as_deref() == Some(container))
        .map(|event| event.reason)
        .collect()
}

fn restarts(pod: &RunningPod<'_>, container: &str, count: i32) {
    pod.until_status("restarts", |status| {
        let mut all = status
            .container_statuses
            .iter()
            .chain(&status.init_container_statuses)
            .flatten();
        all.any(|status| status.name == container && status.restart_count >= count)
    });
}

fn holds(pod: &RunningPod<'_>, goal: &str) {
    let arguments = ["pod", "wait", &pod.name, "--for", goal, "--timeout", "30"];
    pod.host.run(&arguments).ok();
}

fn ready_column(pod: &RunningPod<'_>) -> String {
    let list = pod.host.run(&["pod", "list"]).ok().stdout;
    let line = list.lines().find(|line| line.starts_with(&pod.name)).unwrap();
    line.split_whitespace().nth(2).unwrap().to_owned()
}

#[test]
fn s26_nothing_is_probed_before_post_start_has_returned() {
    let Some(host) = host("s26") else { return };
    let script = format!(
        "until [ \"$(grep -c . /tmp/order)\" -ge 7 ]; do sleep 0.1; done 2>/dev/null; cat /tmp/order; {STAY}"
    );
    let says = |what: &str| {
        probe(
            exec(&format!("echo {what} >>/tmp/order")),
            json!({ "timeoutSeconds": 20 }),
        )
    };
    let app = shell("app", &script)
        .post_start(exec(
            "echo begun >>/tmp/order; sleep 3; echo returned >>/tmp/order",
        ))
        .set("readinessProbe", says("readiness"))
        .set("livenessProbe", says("liveness"));
    let pod = host.start(&Manifest::new().app(app));
    pod.until_wrote("app", "ready");
    let order = pod.log("app");
    assert_eq!(order[..2], ["begun", "returned"], "{order:?}");
    for what in ["readiness", "liveness"] {
        let count = order.iter().filter(|line| *line == what).count();
        assert!(count >= 2, "{what} was executed {count} times: {order:?}");
    }
    holds(&pod, "condition=Ready");
    stop(&pod);
}

#[test]
fn s36_a_liveness_failure_runs_pre_stop_and_restarts() {
    let Some(host) = host("s36") else { return };
    let app = ends_on_term("app", 0)
        .pre_stop(exec("echo preStop >/proc/1/fd/1"))
        .set(
            "livenessProbe",
            probe(
                exec(&format!("{AWAIT_READY}; echo the disk is full; exit 1")),
                json!({ "failureThreshold": 2, "timeoutSeconds": 20 }),
            ),
        );
    let pod = host.start(&Manifest::new().restart_policy("Always").grace(10).app(app));
    restarts(&pod, "app", 1);
    assert_eq!(pod.log("app"), ["ready", "preStop", "TERM", "bye"]);
    let seen = reasons(&pod, "app");
    let wanted = [
        "Created",
        "Started",
        "Unhealthy",
        "Unhealthy",
        "Killing",
        "HookStarted",
        "Exited",
    ];
    let seen: Vec<&str> = seen
        .iter()
        .map(String::as_str)
        .filter(|reason| wanted.contains(reason))
        .collect();
    assert_eq!(seen[..7], wanted);
    let unhealthy = pod.event("Unhealthy", "app");
    assert_eq!(unhealthy.kind, "Warning");
    assert_eq!(
        unhealthy.message,
        "Liveness probe failed: exited with code 1: the disk is full"
    );
    let killing = pod.event("Killing", "app");
    assert_eq!(
        killing.message,
        "Container app failed liveness probe, will be restarted"
    );
    let last = pod.container("app").last_state.unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (0, Some("Completed")));
    stop(&pod);
}

#[test]
fn s50_the_probes_grace_is_used_instead_of_a_longer_one_of_the_pod() {
    let Some(host) = host("s50") else { return };
    let fields = json!({ "failureThreshold": 1, "terminationGracePeriodSeconds": 2, "timeoutSeconds": 20 });
    let app = ignores_term("app").set(
        "livenessProbe",
        probe(exec(&format!("{AWAIT_READY}; exit 1")), fields),
    );
    let pod = host.start(&Manifest::new().grace(40).app(app));
    pod.finish().expect_code(137);
    let took = seconds_between(pod.event("Killing", "app").time, pod.event("Exited", "app").time);
    assert_between("from the failure to SIGKILL", took, 1.9, 20.0);
    assert_eq!(
        pod.event("Killing", "app").message,
        "Container app failed liveness probe"
    );
}

#[test]
fn s51_the_probes_grace_may_be_longer_than_the_pods() {
    let Some(host) = host("s51") else { return };
    let fields = json!({ "failureThreshold": 1, "terminationGracePeriodSeconds": 5, "timeoutSeconds": 20 });
    let app = ignores_term("app").set(
        "startupProbe",
        probe(exec(&format!("{AWAIT_READY}; exit 1")), fields),
    );
    let pod = host.start(&Manifest::new().grace(2).app(app));
    pod.finish().expect_code(137);
    let took = seconds_between(pod.event("Killing", "app").time, pod.event("Exited", "app").time);
    assert_between("from the failure to SIGKILL", took, 4.9, 15.0);
}

#[test]
fn s88_a_failing_startup_probe_holds_liveness_back_and_ends_the_container() {
    let Some(host) = host("s88") else { return };
    let app = ends_on_term("app", 0)
        .set(
            "startupProbe",
            exists("/nothing", json!({ "failureThreshold": 3 })),
        )
        .set(
            "livenessProbe",
            probe(exec("echo asked >/proc/1/fd/1"), json!({})),
        );
    let pod = host.start(&Manifest::new().app(app));
    pod.finish().ok();
    let log = pod.log("app");
    assert!(!log.contains(&"asked".to_owned()), "{log:?}");
    let failures = pod.events_of("Unhealthy");
    assert_eq!(failures.len(), 3);
    assert!(failures[0].message.starts_with("Startup probe failed: "));
    let started = pod.event("Started", "app").time;
    let took = seconds_between(started, pod.event("Killing", "app").time);
    assert_between("delay + (threshold - 1) x period", took, 1.9, 20.0);
}

#[test]
fn after_the_startup_probe_the_container_is_started_and_ready() {
    let Some(host) = host("startup") else { return };
    let app = ends_on_term("app", 0)
        .set(
            "startupProbe",
            exists("/tmp/up", json!({ "failureThreshold": 1000 })),
        )
        .set("readinessProbe", exists("/tmp/up", json!({})));
    let pod = host.start(&Manifest::new().app(app));
    pod.until_wrote("app", "ready");
    let before = pod.until_phase("Running").container_statuses.unwrap().remove(0);
    assert_eq!((before.started, before.ready), (Some(false), false));
    assert!(before.state.unwrap().running.is_some());
    pod.host
        .run(&["pod", "exec", &pod.name, "--", "touch", "/tmp/up"])
        .ok();
    holds(&pod, "condition=Ready");
    let after = pod.container("app");
    assert_eq!(
        (after.started, after.ready, after.restart_count),
        (Some(true), true, 0)
    );
    let seen = reasons(&pod, "app");
    let place = |reason: &str| seen.iter().position(|seen| seen == reason);
    assert!(place("StartedUp") < place("Ready"), "{seen:?}");
    stop(&pod);
}

#[test]
fn s89_readiness_turns_both_ways_and_the_container_runs_on() {
    let Some(host) = host("s89") else { return };
    let app = ends_on_term("app", 0).set(
        "readinessProbe",
        exists("/tmp/good", json!({ "failureThreshold": 2 })),
    );
    let pod = host.start(&Manifest::new().app(app).app(ends_on_term("other", 0)));
    pod.until_event("Unhealthy", "app");
    let exec_in = |script: &str| {
        let arguments = ["pod", "exec", &pod.name, "-c", "app", "--", "sh", "-c", script];
        pod.host.run(&arguments).ok();
    };
    pod.until_phase("Running");
    assert_eq!(ready_column(&pod), "1/2");
    exec_in(": >/tmp/good");
    holds(&pod, "condition=Ready");
    assert_eq!(ready_column(&pod), "2/2");
    exec_in("rm /tmp/good");
    holds(&pod, "condition=Ready=False");
    holds(&pod, "condition=ContainersReady=False");
    assert_eq!(ready_column(&pod), "1/2");
    let status = pod.status();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let condition = status
        .conditions
        .unwrap()
        .into_iter()
        .find(|it| it.type_ == "Ready")
        .unwrap();
    assert_eq!(condition.reason.as_deref(), Some("ContainersNotReady"));
    exec_in(": >/tmp/good");
    holds(&pod, "condition=Ready");
    assert_eq!(pod.container("app").restart_count, 0);
    stop(&pod);
}

#[test]
fn s90_while_the_pod_ends_liveness_rests_and_readiness_goes_on() {
    let Some(host) = host("s90") else { return };
    let writes = |what: &str| exec(&format!("echo {what} >/proc/1/fd/1; exit 1"));
    let fields = json!({ "failureThreshold": 1000, "timeoutSeconds": 20 });
    let app = ignores_term("app")
        .set("livenessProbe", probe(writes("liveness"), fields.clone()))
        .set("readinessProbe", probe(writes("readiness"), fields));
    let pod = host.start(&Manifest::new().restart_policy("Always").grace(5).app(app));
    pod.until_wrote("app", "liveness");
    pod.stop(&[]).outcome.ok();
    pod.finish().expect_code(137);
    let log = pod.log("app");
    let term = log.iter().position(|line| line == "TERM").unwrap();
    let after = |what: &str| log[term..].iter().filter(|line| *line == what).count();
    assert!(after("readiness") >= 2, "{log:?}");
    // One may have been on its way.
    assert!(after("liveness") <= 1, "{log:?}");
    assert_eq!(pod.container("app").restart_count, 0);
    host.assert_nothing_runs();
}

#[test]
fn s91_an_exec_probe_that_outlasts_its_limit_has_failed_and_is_killed() {
    let Some(host) = host("s91") else { return };
    let app = ends_on_term("app", 0).set(
        "readinessProbe",
        probe(
            exec("exec sleep 4321"),
            json!({ "timeoutSeconds": 1, "periodSeconds": 2 }),
        ),
    );
    let pod = host.start(&Manifest::new().app(app));
    let failed = pod.until_event("Unhealthy", "app");
    assert_eq!(
        failed.message,
        "Readiness probe failed: command \"/bin/sh -c exec sleep 4321\" timed out after 1 s"
    );
    let sleeping = || {
        let list = pod.host.run(&["pod", "exec", &pod.name, "--", "ps"]).ok().stdout;
        list.lines().filter(|line| line.contains("sleep 4321")).count()
    };
    // The next one may run by now, and no other.
    assert!(
        wait_until(std::time::Duration::from_secs(20), || (sleeping() <= 1)
            .then_some(()))
        .is_some()
    );
    stop(&pod);
}

/// A pod on the host's network with a probe that asks a server.
fn asking(server: &HttpServer, kind: &str, fields: Value) -> Manifest {
    let get = http_get(json!({ "port": server.port, "path": "/healthz" }));
    let mut fields = fields;
    fields["timeoutSeconds"] = 20.into();
    Manifest::new()
        .host_network()
        .restart_policy("Always")
        .app(ends_on_term("app", 0).set(kind, probe(get, fields)))
}

#[test]
fn s92_a_redirect_to_another_host_is_a_success_with_a_warning() {
    let Some(host) = host("s92") else { return };
    let server = HttpServer::start(Answer::Redirect("http://elsewhere.test:{port}/".to_owned()));
    let pod = host.start(&asking(
        &server,
        "livenessProbe",
        json!({ "failureThreshold": 1 }),
    ));
    let warned = pod.until_event("ProbeWarning", "app");
    assert_eq!(warned.kind, "Warning");
    let asked = || (server.requests().len() >= 2).then_some(());
    assert!(wait_until(std::time::Duration::from_secs(20), asked).is_some());
    assert!(pod.events_of("Unhealthy").is_empty());
    assert!(
        server.requests()[0]
            .header("User-Agent")
            .unwrap()
            .starts_with("kube-probe/")
    );
    stop(&pod);
}

#[test]
fn an_http_probe_fails_by_status_and_restarts() {
    let Some(host) = host("http500") else { return };
    let server = HttpServer::start(Answer::Status(500));
    let pod = host.start(&asking(
        &server,
        "livenessProbe",
        json!({ "failureThreshold": 1 }),
    ));
    restarts(&pod, "app", 1);
    let unhealthy = pod.event("Unhealthy", "app");
    assert_eq!(
        unhealthy.message,
        "Liveness probe failed: HTTP probe failed with statuscode: 500"
    );
    stop(&pod);
}

#[test]
fn http_and_tcp_probes_ask_inside_the_pods_network() {
    let Some(host) = host("inside") else { return };
    let server = "mkdir /tmp/www; echo yes >/tmp/www/index.html; httpd -f -p 127.0.0.1:8080 -h /tmp/www & ";
    let web = Container(json!({
        "name": "web", "image": "bundle:box",
        "command": ["/bin/sh", "-c", format!("{server}trap 'exit 0' TERM; {STAY}")],
        "ports": [{ "name": "http", "containerPort": 8080 }],
        "startupProbe": probe(json!({ "tcpSocket": { "port": "http" } }), json!({ "failureThreshold": 100, "timeoutSeconds": 20 })),
        "readinessProbe": probe(http_get(json!({ "port": "http", "path": "index.html" })), json!({ "timeoutSeconds": 20 })),
    }));
    let closed = ends_on_term("closed", 0).set(
        "readinessProbe",
        probe(
            json!({ "tcpSocket": { "port": 8081 } }),
            json!({ "timeoutSeconds": 20 }),
        ),
    );
    let pod = host.start(&Manifest::new().app(web).app(closed));
    pod.until_event("Ready", "web");
    let refused = pod.until_event("Unhealthy", "closed");
    assert!(
        refused.message.contains("Connection refused"),
        "{}",
        refused.message
    );
    assert_eq!(ready_column(&pod), "1/2");
    stop(&pod);
}

#[test]
fn a_probe_that_cannot_be_executed_is_told_and_is_no_verdict() {
    let Some(host) = host("nobinary") else { return };
    let missing = json!({ "exec": { "command": ["/no/such/program"] } });
    let app = ends_on_term("app", 0).set("livenessProbe", probe(missing, json!({ "failureThreshold": 1 })));
    let pod = host.start(&Manifest::new().app(app));
    let told = pod.until_event("Unhealthy", "app");
    assert!(told.message.starts_with("Liveness probe "), "{}", told.message);
    stop(&pod);
}

#[test]
fn a_grpc_probe_asks_the_health_service_and_restarts_what_does_not_serve() {
    let Some(host) = host("grpc") else { return };
    let server = HealthServer::start();
    let asks = |fields: Value| {
        let mut fields = fields;
        fields["timeoutSeconds"] = 20.into();
        probe(json!({ "grpc": { "port": server.port } }), fields)
    };
    let app = ends_on_term("app", 0)
        .set("readinessProbe", asks(json!({})))
        .set("livenessProbe", asks(json!({ "failureThreshold": 2 })));
    let manifest = Manifest::new().host_network().restart_policy("Always").app(app);
    let pod = host.start(&manifest);
    pod.until_wrote("app", "ready");
    holds(&pod, "condition=Ready");
    assert_eq!(pod.container("app").restart_count, 0);
    server.set_serving(false);
    restarts(&pod, "app", 1);
    server.set_serving(true);
    let killing = pod.event("Killing", "app");
    assert_eq!(
        killing.message,
        "Container app failed liveness probe, will be restarted"
    );
    let failed = pod.event("Unhealthy", "app");
    assert!(failed.message.contains("NOT_SERVING"), "{}", failed.message);
    holds(&pod, "condition=Ready");
    stop(&pod);
}
