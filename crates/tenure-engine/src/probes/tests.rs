//! The four probes against programs and servers of this process.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::mpsc;

use tenure_spec::{PortRef, Scheme};
use tenure_supervise::pidfd::PidFd;

use super::*;
use crate::hooks::exec_tests::{Here, block_on, context};

fn probe(action: ProbeAction) -> Probe {
    Probe {
        action,
        initial_delay_seconds: 0,
        timeout_seconds: 1,
        period_seconds: 10,
        success_threshold: 1,
        failure_threshold: 3,
        termination_grace_period_seconds: None,
    }
}

fn shell(script: &str) -> ProbeAction {
    ProbeAction::Exec {
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
    }
}

/// Executes a probe that nobody cancels.
fn outcome_by(runtime: &Rc<Here>, action: ProbeAction) -> ProbeOutcome {
    let (_keep, cancel) = oneshot::channel();
    block_on(run(probe(action), context(runtime), cancel))
}

fn outcome(action: ProbeAction) -> ProbeOutcome {
    outcome_by(&Rc::default(), action)
}

fn failure(message: &str) -> ProbeOutcome {
    ProbeOutcome::Failed {
        message: message.to_owned(),
    }
}

#[test]
fn an_exec_probe_succeeds_with_0_and_its_failure_tells_what_it_wrote() {
    assert_eq!(outcome(shell("echo fine")), ProbeOutcome::Succeeded);
    assert_eq!(
        outcome(shell("echo not yet; exit 7")),
        failure("exited with code 7: not yet")
    );
    assert_eq!(outcome(shell("exit 1")), failure("exited with code 1"));
}

#[test]
fn s91_an_exec_probe_that_outlasts_its_limit_has_failed_and_is_killed() {
    let runtime = Rc::new(Here::default());
    let text = "command \"/bin/sh -c echo waiting; exec sleep 1000\" timed out after 1 s: waiting";
    assert_eq!(
        outcome_by(&runtime, shell("echo waiting; exec sleep 1000")),
        failure(text)
    );
    // Reaped.
    assert!(PidFd::open(runtime.started.get().unwrap()).is_err());
}

#[test]
fn a_program_that_cannot_be_run_is_an_error_and_no_failure() {
    let command = vec!["/nope".to_owned()];
    match outcome(ProbeAction::Exec { command }) {
        ProbeOutcome::Errored { message } => assert!(message.contains("/nope"), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_probe_says_is_cut_to_a_kilobyte() {
    match outcome(shell("yes | head -c 100000; exit 1")) {
        ProbeOutcome::Failed { message } => assert!(message.len() < 1100, "{}", message.len()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cancel_ends_whatever_runs() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for action in [shell("exec sleep 1000"), get(port)] {
        let outcome = block_on(async {
            let (cancel, cancelled) = oneshot::channel();
            let cancelling = async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                cancel.send(()).unwrap();
            };
            let context = context(&Rc::default());
            tokio::join!(run(probe(action), context, cancelled), cancelling).0
        });
        assert_eq!(outcome, ProbeOutcome::Cancelled);
    }
}

fn get(port: u16) -> ProbeAction {
    ProbeAction::HttpGet(HttpGet {
        host: None,
        port: PortRef(port),
        scheme: Scheme::Http,
        path: "/healthz".to_owned(),
        headers: vec![("X-From".to_owned(), "probe".to_owned())],
    })
}

/// Asks a server that answers so; gives the outcome and the request.
fn asked(answer: &str) -> (ProbeOutcome, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = answer.to_owned();
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 2048];
        let count = stream.read(&mut request).unwrap();
        sender
            .send(String::from_utf8_lossy(&request[..count]).into_owned())
            .unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
    });
    (outcome(get(port)), requests.recv().unwrap())
}

#[test]
fn an_http_probe_goes_by_the_status() {
    let status = |status: &str| asked(&format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).0;
    assert_eq!(status("200 OK"), ProbeOutcome::Succeeded);
    assert_eq!(status("204 None"), ProbeOutcome::Succeeded);
    for bad in ["404 No", "500 No", "199 No"] {
        if let ProbeOutcome::Failed { message } = status(bad) {
            assert!(
                message.contains("statuscode") || message.contains("no answer"),
                "{message}"
            );
        } else {
            panic!("{bad}");
        }
    }
}

#[test]
fn s92_a_redirect_to_another_host_is_a_success_with_a_warning() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.test/\r\nContent-Length: 0\r\n\r\n";
    match asked(answer).0 {
        ProbeOutcome::Warned { message } => assert!(message.contains("302"), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_http_probe_names_itself_and_sends_the_headers_listed() {
    let (_, request) = asked("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let request = request.to_lowercase();
    assert!(request.starts_with("get /healthz http/1.1\r\n"), "{request}");
    for header in ["user-agent: kube-probe/", "accept: */*", "x-from: probe"] {
        assert!(request.contains(header), "{request}");
    }
}

/// A socket bound to a port of the loopback, on which nobody listens.
#[allow(clippy::unwrap_used)]
fn silent_port() -> (std::os::fd::OwnedFd, u16) {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};
    let cloexec = SocketFlags::CLOEXEC;
    let held = socket_with(AddressFamily::INET, SocketType::STREAM, cloexec, None).unwrap();
    bind(
        &held,
        &std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0),
    )
    .unwrap();
    let address: std::net::SocketAddr = getsockname(&held).unwrap().try_into().unwrap();
    (held, address.port())
}

#[test]
fn a_network_probe_that_gets_no_connection_or_no_answer_has_failed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_eq!(outcome(get(port)), failure("no answer within 1 s"));
    // A port that is taken and not listened on: one that was let go could be another test's by now.
    let (_taken, port) = silent_port();
    for action in [get(port), ProbeAction::TcpSocket { host: None, port }] {
        match outcome(action) {
            ProbeOutcome::Failed { message } => assert!(message.contains("cannot connect"), "{message}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_tcp_probe_succeeds_when_it_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in [None, Some("localhost".to_owned())] {
        assert_eq!(
            outcome(ProbeAction::TcpSocket { host, port }),
            ProbeOutcome::Succeeded
        );
    }
}

/// A gRPC server that answers one call: the health message, and the status in its trailers.
async fn serve_grpc(listener: tokio::net::TcpListener, message: Vec<u8>, status: &'static str) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut asked = String::new();
    while let Some(call) = connection.accept().await {
        let Ok((request, mut respond)) = call else { break };
        asked = format!("{} {:?}", request.uri().path(), request.headers()["user-agent"]);
        let mut response = hyper::Response::new(());
        let grpc = hyper::header::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", grpc);
        let mut stream = respond.send_response(response, false).unwrap();
        let length = u32::try_from(message.len()).unwrap();
        let frame = [&[0], &length.to_be_bytes()[..], &message].concat();
        stream.send_data(frame.into(), false).unwrap();
        let mut trailers = hyper::HeaderMap::new();
        trailers.insert("grpc-status", hyper::header::HeaderValue::from_static(status));
        stream.send_trailers(trailers).unwrap();
    }
    asked
}

/// Asks such a server.
fn health(message: Vec<u8>, status: &'static str) -> (ProbeOutcome, String) {
    let local = tokio::task::LocalSet::new();
    block_on(local.run_until(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::task::spawn_local(serve_grpc(listener, message, status));
        let (_keep, cancel) = oneshot::channel();
        let service = "web".to_owned();
        let context = context(&Rc::default());
        let outcome = run(probe(ProbeAction::Grpc { port, service }), context, cancel).await;
        (outcome, server.await.unwrap())
    }))
}

#[test]
fn a_grpc_probe_succeeds_when_the_service_is_serving() {
    let (outcome, asked) = health(vec![8, 1], "0");
    assert_eq!(outcome, ProbeOutcome::Succeeded);
    assert!(
        asked.starts_with("/grpc.health.v1.Health/Check \"kube-probe/"),
        "{asked}"
    );
}

#[test]
fn a_grpc_probe_fails_by_what_the_server_says() {
    assert_eq!(
        health(vec![8, 2], "0").0,
        failure("service unhealthy (responded with \"NOT_SERVING\")")
    );
    for (status, words) in [("12", "does not implement"), ("5", "not found")] {
        match health(Vec::new(), status).0 {
            ProbeOutcome::Failed { message } => assert!(message.contains(words), "{message}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_grpc_probe_without_a_server_or_an_answer_has_failed() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let ask = || {
        let service = String::new();
        let (_keep, cancel) = oneshot::channel();
        let local = tokio::task::LocalSet::new();
        let asked = run(
            probe(ProbeAction::Grpc { port, service }),
            context(&Rc::default()),
            cancel,
        );
        block_on(local.run_until(asked))
    };
    assert_eq!(ask(), failure("no answer within 1 s"));
    drop(silent);
    match ask() {
        ProbeOutcome::Failed { message } => assert!(message.contains("cannot connect"), "{message}"),
        other => panic!("{other:?}"),
    }
}
