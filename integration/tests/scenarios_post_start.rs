//! postStart on real containers (lifecycle-semantics 2; scenarios S1 to S25).
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::time::Duration;

use serde_json::json;
use tenure_integration::{
    AWAIT_READY, Answer, ClosedPort, Container, HttpServer, Manifest, RunningPod, STAY, assert_about,
    assert_between, ends_on_term, exec, host, http_get, ignores_term, seconds_between, shell, sleep,
    wait_until,
};

/// The phase and the waiting reason of the only app container.
fn phase_and_reason(pod: &RunningPod<'_>) -> (String, String) {
    let status = pod.status();
    let container = status.container_statuses.unwrap_or_default().into_iter().next();
    let waiting = container
        .and_then(|container| container.state)
        .and_then(|state| state.waiting);
    (
        status.phase.unwrap_or_default(),
        waiting.and_then(|waiting| waiting.reason).unwrap_or_default(),
    )
}

/// Stops a pod that is in no hurry and checks that nothing keeps running.
fn stop(pod: &RunningPod<'_>) {
    pod.stop(&["--grace", "1"]).outcome.ok();
    pod.finish();
    pod.host.assert_nothing_runs();
}

#[test]
fn s1_until_the_handler_returns_the_container_is_published_as_being_created() {
    let Some(host) = host("s1") else { return };
    let script = format!("echo ready; {AWAIT_HOOK}; echo hook seen; {STAY}");
    let app = shell("app", &script).post_start(exec(": >/tmp/hook; sleep 3"));
    let pod = host.start(&Manifest::new().app(app));

    let ready = pod.until_wrote("app", "ready");
    let seen = pod.until_wrote("app", "hook seen");
    assert_between(
        "from the entrypoint to the handler beside it",
        seconds_between(ready, seen),
        -0.1,
        0.5,
    );
    assert_eq!(
        phase_and_reason(&pod),
        ("Pending".to_owned(), "ContainerCreating".to_owned())
    );

    let status = pod.until_phase("Running");
    assert_about(
        "time until Running",
        seconds_between(ready, jiff::Timestamp::now()),
        3.0,
    );
    assert!(status.container_statuses.unwrap()[0].ready);
    stop(&pod);
}

const AWAIT_HOOK: &str = "until [ -e /tmp/hook ]; do sleep 0.02; done";

#[test]
fn s2_entrypoint_and_handler_both_run_in_whatever_order() {
    let Some(host) = host("s2") else { return };
    for _ in 0..20 {
        let script = format!("echo entrypoint; {AWAIT_HOOK}; cat /tmp/hook");
        let app = shell("app", &script).post_start(exec("echo handler >/tmp/.hook; mv /tmp/.hook /tmp/hook"));
        let pod = host.start(&Manifest::new().app(app));
        pod.finish().ok();
        assert_eq!(pod.log("app"), ["entrypoint", "handler"]);
    }
}

#[test]
fn s3_the_next_app_is_not_started_before_the_handler_of_the_one_before_has_returned() {
    let Some(host) = host("s3") else { return };
    let a = ends_on_term("a", 0).post_start(exec("sleep 3"));
    let pod = host.start(&Manifest::new().app(a).app(ends_on_term("b", 0)));
    let b = pod.until_wrote("b", "ready");
    assert_between(
        "from a to b",
        seconds_between(pod.wrote("a", "ready"), b),
        2.9,
        3.5,
    );
    stop(&pod);
}

#[test]
fn s4_after_a_failed_handler_the_container_is_stopped_and_the_next_is_still_started() {
    let Some(host) = host("s4") else { return };
    let a = ends_on_term("a", 0).post_start(exec(&format!("{AWAIT_READY}; exit 1")));
    let pod = host.start(&Manifest::new().app(a).app(shell("b", "echo ready; sleep 0.2")));
    pod.finish().ok();
    let failed = pod.event("FailedPostStartHook", "a");
    assert_eq!(failed.kind, "Warning");
    assert!(
        pod.wrote("a", "TERM") < pod.wrote("b", "ready"),
        "b started before a was dead"
    );
    assert!(failed.time < pod.wrote("b", "ready"));
}

#[test]
fn s5_after_a_failed_handler_a_container_that_ends_well_on_term_has_succeeded() {
    let Some(host) = host("s5") else { return };
    let app = ends_on_term("app", 1).post_start(exec(&format!("{AWAIT_READY}; exit 1")));
    let pod = host.start(&Manifest::new().app(app));
    pod.finish().ok();
    pod.event("Killing", "app");
    assert_eq!(pod.log("app"), ["ready", "TERM", "bye"]);
    assert_eq!(pod.status().phase.as_deref(), Some("Succeeded"));
    let ended = pod.container("app").state.unwrap().terminated.unwrap();
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (0, Some("Completed")));
}

#[test]
fn s6_after_a_failed_handler_a_container_that_ignores_term_is_killed_after_the_grace() {
    let Some(host) = host("s6") else { return };
    let app = ignores_term("app").post_start(exec(&format!("{AWAIT_READY}; exit 1")));
    let pod = host.start(&Manifest::new().grace(4).app(app));
    pod.finish().expect_code(137);
    assert_about(
        "from TERM to the end",
        seconds_between(pod.wrote("app", "TERM"), jiff::Timestamp::now()),
        4.0,
    );
    assert_eq!(pod.status().phase.as_deref(), Some("Failed"));
    let ended = pod.container("app").state.unwrap().terminated.unwrap();
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (137, Some("Error")));
}

#[test]
fn s7_a_failing_handler_is_called_at_every_restart() {
    let Some(host) = host("s7") else { return };
    let app = ends_on_term("app", 0).post_start(exec(&format!("{AWAIT_READY}; exit 1")));
    let pod = host.start(&Manifest::new().restart_policy("Always").app(app));
    let reason = |status: &k8s_openapi::api::core::v1::PodStatus| {
        let app = status.container_statuses.as_ref()?.first()?.clone();
        Some((app.restart_count, app.state?.waiting?.reason?))
    };
    let status = pod.until_status("back-off after a restart", |status| {
        reason(status).is_some_and(|(restarts, reason)| restarts >= 1 && reason == "CrashLoopBackOff")
    });
    assert_eq!(reason(&status).unwrap().0, 1);
    pod.until_status("a second restart", |status| {
        status
            .container_statuses
            .as_ref()
            .is_some_and(|all| all.first().is_some_and(|app| app.restart_count >= 2))
    });
    let failures = wait_until(Duration::from_secs(5), || {
        let failures = pod.events_of("FailedPostStartHook");
        (failures.len() == 3).then_some(failures)
    });
    let failures = failures.expect("a failure for each of three starts");
    assert_about(
        "back-off",
        seconds_between(failures[1].time, failures[2].time),
        10.0,
    );
    assert!(!pod.events_of("BackOff").is_empty());
    stop(&pod);
}

#[test]
fn s8_a_failed_post_start_runs_pre_stop_before_term() {
    let Some(host) = host("s8") else { return };
    let script = format!("trap 'ls /tmp/pre-stop; exit 0' TERM; {STAY}");
    let app = shell("app", &script)
        .post_start(exec(&format!("{AWAIT_READY}; exit 1")))
        .pre_stop(exec(": >/tmp/pre-stop"));
    let pod = host.start(&Manifest::new().app(app));
    pod.finish().ok();
    assert_eq!(pod.log("app"), ["ready", "/tmp/pre-stop"]);
}

#[test]
fn s9_a_handler_whose_program_is_missing_has_failed() {
    let Some(host) = host("s9") else { return };
    let handler = json!({ "exec": { "command": ["/no/such/program"] } });
    let pod = host.start(
        &Manifest::new()
            .grace(1)
            .app(ignores_term("app").post_start(handler)),
    );
    pod.finish().expect_code(137);
    let failed = pod.event("FailedPostStartHook", "app");
    assert!(!failed.message.contains("panicked"), "{failed:?}");
    assert_eq!(pod.status().phase.as_deref(), Some("Failed"));
}

#[test]
fn s10_a_handler_has_no_time_out() {
    let Some(host) = host("s10") else { return };
    let pod = host.start(&Manifest::new().app(ends_on_term("app", 0).post_start(exec("sleep 40"))));
    let ready = pod.until_wrote("app", "ready");
    pod.until_phase("Running");
    assert_about(
        "time until Running",
        seconds_between(ready, jiff::Timestamp::now()),
        40.0,
    );
    stop(&pod);
}

#[test]
fn s11_the_status_code_of_the_answer_does_not_matter() {
    let Some(host) = host("s11") else { return };
    let server = HttpServer::start(Answer::Status(500));
    let app = ends_on_term("app", 0).post_start(http_get(json!({ "port": server.port })));
    let pod = host.start(&Manifest::new().host_network().app(app));
    pod.until_phase("Running");
    assert_eq!(server.requests().len(), 1);
    assert!(pod.events_of("FailedPostStartHook").is_empty());
    stop(&pod);
}

#[test]
fn s12_a_refused_connection_fails_the_handler_at_once() {
    let Some(host) = host("s12") else { return };
    let closed = ClosedPort::take();
    let app = ends_on_term("app", 0).post_start(http_get(json!({ "port": closed.port })));
    let pod = host.start(&Manifest::new().grace(1).host_network().app(app));
    let failed = pod.until_event("FailedPostStartHook", "app");
    let started = pod.event("Started", "app").time;
    assert_between(
        "time until the failure",
        seconds_between(started, failed.time),
        0.0,
        1.0,
    );
    pod.finish();
}

#[test]
fn s12_a_connection_that_breaks_is_not_tried_again() {
    let Some(host) = host("s12b") else { return };
    let server = HttpServer::start(Answer::Reset);
    let app = ends_on_term("app", 0).post_start(http_get(json!({ "port": server.port })));
    let pod = host.start(&Manifest::new().grace(1).host_network().app(app));
    pod.until_event("FailedPostStartHook", "app");
    pod.finish();
    assert_eq!(server.requests().len(), 1);
}

/// Runs a pod whose postStart asks `server`, and gives the first request.
fn request_of(test: &str, server: &HttpServer, app: Container) -> Option<tenure_integration::Request> {
    let host = host(test)?;
    let pod = host.start(&Manifest::new().host_network().app(app));
    pod.until_phase("Running");
    stop(&pod);
    Some(
        server
            .requests()
            .into_iter()
            .next()
            .expect("the server was asked"),
    )
}

#[test]
fn s13_a_port_may_be_named() {
    let server = HttpServer::start(Answer::Status(200));
    let app = ends_on_term("app", 0)
        .set(
            "ports",
            json!([{ "name": "other", "containerPort": 1 }, { "name": "web", "containerPort": server.port }]),
        )
        .post_start(http_get(json!({ "port": "web", "path": "/named" })));
    let Some(request) = request_of("s13", &server, app) else {
        return;
    };
    assert_eq!(request.line, "GET /named HTTP/1.1");
}

#[test]
fn s14_a_path_without_a_slash_gets_one() {
    let server = HttpServer::start(Answer::Status(200));
    let app = ends_on_term("app", 0).post_start(http_get(json!({ "port": server.port, "path": "shutdown" })));
    let Some(request) = request_of("s14", &server, app) else {
        return;
    };
    assert_eq!(request.line, "GET /shutdown HTTP/1.1");
}

#[test]
fn s15_agent_and_accept_are_those_of_the_kubelet() {
    let server = HttpServer::start(Answer::Status(200));
    let app = ends_on_term("app", 0).post_start(http_get(json!({ "port": server.port })));
    let Some(request) = request_of("s15", &server, app) else {
        return;
    };
    assert_eq!(request.line, "GET / HTTP/1.1");
    assert!(
        request
            .header("User-Agent")
            .unwrap()
            .starts_with("kube-lifecycle/"),
        "{request:?}"
    );
    assert_eq!(request.header("Accept"), Some("*/*"));
    assert_eq!(
        request.header("Host").unwrap(),
        format!("127.0.0.1:{}", server.port)
    );
}

#[test]
fn s16_headers_can_be_set_and_accept_removed() {
    let server = HttpServer::start(Answer::Status(200));
    let headers = json!([
        { "name": "Host", "value": "example.test" },
        { "name": "Accept", "value": "" },
        { "name": "X-Twice", "value": "1" },
        { "name": "X-Twice", "value": "2" },
    ]);
    let app =
        ends_on_term("app", 0).post_start(http_get(json!({ "port": server.port, "httpHeaders": headers })));
    let Some(request) = request_of("s16", &server, app) else {
        return;
    };
    assert_eq!(request.header("Host"), Some("example.test"));
    assert_eq!(request.header("Accept"), None);
    let twice = request
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("x-twice"))
        .count();
    assert_eq!(twice, 2, "{request:?}");
}

#[test]
fn s17_a_redirect_to_another_host_is_not_followed_and_counts_as_success() {
    let server = HttpServer::start(Answer::Redirect("http://localhost:{port}/elsewhere".to_owned()));
    let app = ends_on_term("app", 0).post_start(http_get(json!({ "port": server.port })));
    let Some(_) = request_of("s17", &server, app) else {
        return;
    };
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn s18_endless_redirects_to_the_same_host_fail_after_ten() {
    let Some(host) = host("s18") else { return };
    let server = HttpServer::start(Answer::Redirect("http://127.0.0.1:{port}/again".to_owned()));
    let app = ends_on_term("app", 0).post_start(http_get(json!({ "port": server.port })));
    let pod = host.start(&Manifest::new().grace(1).host_network().app(app));
    pod.until_event("FailedPostStartHook", "app");
    pod.finish();
    assert_eq!(server.requests().len(), 10);
}

#[test]
fn the_pods_own_network_is_where_http_get_connects() {
    let Some(host) = host("netns") else { return };
    let answer = r"printf 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'";
    let server = shell(
        "server",
        &format!("nc -l -p 8080 -e /bin/sh -c \"read l; echo asked \\$l >&2; {answer}\"; {STAY}"),
    )
    .post_start(exec("until netstat -ltn | grep -q :8080; do sleep 0.05; done"));
    let visitor = ends_on_term("visitor", 0).post_start(http_get(json!({ "port": 8080, "path": "/inside" })));
    let pod = host.start(&Manifest::new().app(server).app(visitor));
    pod.until_phase("Running");
    pod.until_wrote("server", "asked GET /inside HTTP/1.1");
    stop(&pod);
}

#[test]
fn s22_a_sleep_handler_delays_running() {
    let Some(host) = host("s22") else { return };
    let pod = host.start(&Manifest::new().app(ends_on_term("app", 0).post_start(sleep(2))));
    let ready = pod.until_wrote("app", "ready");
    pod.until_phase("Running");
    assert_about(
        "time until Running",
        seconds_between(ready, jiff::Timestamp::now()),
        2.0,
    );
    stop(&pod);
}

#[test]
fn s23_a_container_that_ends_takes_its_handler_with_it() {
    let Some(host) = host("s23") else { return };
    let app = shell("app", "echo begin; sleep 1; exit 3").post_start(exec("sleep 10"));
    let pod = host.start(&Manifest::new().app(app));
    pod.finish().expect_code(3);
    let life = seconds_between(pod.wrote("app", "begin"), jiff::Timestamp::now());
    assert_about("life of the app", life, 1.0);
    pod.event("FailedPostStartHook", "app");
    assert_eq!(pod.status().phase.as_deref(), Some("Failed"));
    assert_eq!(
        pod.container("app").state.unwrap().terminated.unwrap().exit_code,
        3
    );
}

#[test]
fn s24_a_sleep_handler_ends_with_its_container() {
    let Some(host) = host("s24") else { return };
    let pod = host.start(&Manifest::new().app(shell("app", "echo begin; sleep 1").post_start(sleep(5))));
    pod.finish().ok();
    let life = seconds_between(pod.wrote("app", "begin"), jiff::Timestamp::now());
    assert_about("life of the app", life, 1.0);
    assert_eq!(pod.status().phase.as_deref(), Some("Succeeded"));
}

#[test]
fn s25_a_stop_does_not_wait_for_a_handler_that_never_returns() {
    let Some(host) = host("s25") else { return };
    let app = ignores_term("app").post_start(exec("while :; do sleep 1; done"));
    let pod = host.start(&Manifest::new().grace(3).app(app));
    pod.until_wrote("app", "ready");
    let stopped = pod.stop(&[]);
    assert_between("time to stop", stopped.seconds(), 2.9, 5.5);
    assert_between(
        "time until TERM",
        stopped.until(pod.wrote("app", "TERM")),
        0.0,
        0.5,
    );
    pod.finish().expect_code(137);
    host.assert_nothing_runs();
}
