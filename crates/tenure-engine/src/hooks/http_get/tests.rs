//! Against a server that notes what it is sent, byte by byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tenure_lifecycle::HookOutcome;
use tenure_spec::PortRef;

use super::*;

/// A key that protects nothing, and its certificate: self-signed, for another host, long expired.
const KEY: &str = "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420832ff34d233e1e89f9a896f1\
    81f440f348ee8a15d3c979087142d40aeb4659b3a14403420004e69045bf7bb0fa3745ac56038abdf83627019dbb1b83\
    e5692a4c16698890d2fc936b0c976989da3b91fddeb10f084841186456828c9acea9cf0925ffd71b8bdc";
const CERTIFICATE: &str = "3082017230820118a003020102020101300a06082a8648ce3d04030230183116301406035504030c0d736f6d65626f64\
    792e656c7365301e170d3236313132343130313630335a170d3236313132353130313630335a30183116301406035504\
    030c0d736f6d65626f64792e656c73653059301306072a8648ce3d020106082a8648ce3d03010703420004e69045bf7b\
    b0fa3745ac56038abdf83627019dbb1b83e5692a4c16698890d2fc936b0c976989da3b91fddeb10f084841186456828c\
    9acea9cf0925ffd71b8bdca3533051301d0603551d0e04160414f4b6a3ef55627ab6638ec088b9be7f6ebb9199a6301f\
    0603551d23041830168014f4b6a3ef55627ab6638ec088b9be7f6ebb9199a6300f0603551d130101ff040530030101ff\
    300a06082a8648ce3d040302034800304502200edc88c2b7f28717db76e16b7b85c60f6cf95c5f2232ac75478019364d\
    bcc9de02210090f70a1b57c0fa532f59bb84c0920ed8f079a61f15450b5a08f8a36379c86305";

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

/// A server that answers its connections one after another, then hears nobody any more.
struct Server {
    port: u16,
    thread: JoinHandle<Vec<String>>,
}

impl Server {
    /// One answer a connection; the answers may name the server's port as PORT.
    fn answering(answers: &[&str]) -> Self {
        let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
        Self::serving(answers.len(), move |number, mut stream, port| {
            let request = read_head(&mut stream);
            let answer = answers[number].replace("PORT", &port.to_string());
            // The client may have gone.
            let _ = stream.write_all(answer.as_bytes());
            request
        })
    }

    fn serving(
        connections: usize,
        mut serve: impl FnMut(usize, TcpStream, u16) -> String + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let accept = move || {
            let mut each = |number| serve(number, listener.accept().unwrap().0, port);
            (0..connections).map(&mut each).collect()
        };
        Self {
            port,
            thread: std::thread::spawn(accept),
        }
    }

    /// What was asked, all connections being over.
    fn requests(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn get(port: u16, path: &str) -> HttpGet {
    HttpGet {
        host: None,
        port: PortRef(port),
        scheme: Scheme::Http,
        path: path.to_owned(),
        headers: Vec::new(),
    }
}

fn with_headers(get: HttpGet, headers: &[(&str, &str)]) -> HttpGet {
    let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    HttpGet {
        headers: headers.iter().map(own).collect(),
        ..get
    }
}

fn report(get: HttpGet) -> HookReport {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(get, None))
}

fn message(report: &HookReport) -> &str {
    match &report.outcome {
        HookOutcome::Failed { message } => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn s11_a_status_of_500_is_a_success() {
    let server = Server::answering(&["HTTP/1.1 500 Oh No\r\nContent-Length: 4\r\n\r\nboom"]);
    let report = report(get(server.port, "/"));
    assert_eq!(report.outcome, HookOutcome::Succeeded);
    assert_eq!(report.output, "HTTP 500 Internal Server Error\nboom");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn s12_a_closed_port_is_tried_once_and_fails() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let report = report(get(port, "/"));
    let expected = format!("cannot connect to 127.0.0.1:{port}: Connection refused (os error 111)");
    assert_eq!(message(&report), expected);
}

#[test]
fn s14_s15_the_request_is_the_kubelets_byte_by_byte() {
    let server = Server::answering(&[OK]);
    let port = server.port;
    let report = report(get(port, "/shutdown?now=1"));
    assert_eq!(report.output, "HTTP 200 OK\nyes");
    assert!(!report.http_fallback);
    let expected = format!(
        "GET /shutdown?now=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: kube-lifecycle/1.37\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(server.requests(), [expected]);
}

#[test]
fn s16_headers_replace_repeat_and_remove() {
    let server = Server::answering(&[OK]);
    let headers = [
        ("host", "example.test"),
        ("Accept", ""),
        ("user-agent", "me"),
        ("X-Twice", "1"),
        ("X-Empty", ""),
        ("x-twice", "2"),
        ("Content-Length", "7"),
    ];
    let report = report(with_headers(get(server.port, "/"), &headers));
    assert_eq!(report.outcome, HookOutcome::Succeeded);
    let request = &server.requests()[0];
    let mut lines: Vec<&str> = request
        .trim_end()
        .split("\r\n")
        .skip(1)
        .map(str::trim_end)
        .collect();
    lines.sort_unstable();
    let expected = [
        "Connection: close",
        "Host: example.test",
        "User-Agent: me",
        "X-Empty:",
        "X-Twice: 1",
        "X-Twice: 2",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_header_that_cannot_be_sent_fails() {
    let report = report(with_headers(get(1, "/"), &[("X-A", "a\r\nX-B: b")]));
    assert_eq!(
        message(&report),
        "cannot make the request: failed to parse header value"
    );
}

#[test]
fn a_path_is_escaped_and_not_twice() {
    let server = Server::answering(&[OK]);
    report(get(server.port, "/a b/%20/\u{fc}"));
    assert!(server.requests()[0].starts_with("GET /a%20b/%20/%C3%BC HTTP/1.1\r\n"));
}

#[test]
fn s17_a_redirect_to_another_host_is_an_answer() {
    let server = Server::answering(&["HTTP/1.1 302 Found\r\nLocation: http://other.test/x\r\n\r\n"]);
    let report = report(get(server.port, "/"));
    assert_eq!(
        (report.outcome, report.output.as_str()),
        (HookOutcome::Succeeded, "HTTP 302 Found")
    );
}

#[test]
fn a_redirect_within_the_host_is_followed_with_the_headers() {
    let first = "HTTP/1.1 307 Temporary Redirect\r\nLocation: there?x=1\r\nContent-Length: 0\r\n\r\n";
    let second = "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:PORT/end\r\nContent-Length: 0\r\n\r\n";
    let server = Server::answering(&[first, second, OK]);
    let port = server.port;
    let headers = [("Host", "example.test"), ("Authorization", "secret")];
    let report = report(with_headers(get(port, "/a/b"), &headers));
    assert_eq!(report.output, "HTTP 200 OK\nyes");
    let requests = server.requests();
    assert!(
        requests[1].starts_with("GET /a/there?x=1 HTTP/1.1\r\nHost: example.test\r\n"),
        "{requests:?}"
    );
    let third = format!("GET /end HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    assert!(requests[2].starts_with(&third), "{requests:?}");
    assert!(
        requests
            .iter()
            .all(|request| request.contains("Authorization: secret\r\n")),
        "{requests:?}"
    );
}

#[test]
fn s18_a_redirect_without_end_fails_after_ten_requests() {
    let again = "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n";
    let server = Server::answering(&[again; 10]);
    let report = report(get(server.port, "/"));
    assert_eq!(message(&report), "stopped after 10 redirects");
    assert_eq!(server.requests().len(), 10);
}

#[test]
fn a_redirect_that_leads_nowhere_fails() {
    let server = Server::answering(&["HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\n\r\n"]);
    let report = report(get(server.port, "/"));
    assert_eq!(message(&report), "cannot follow the redirect to ftp://127.0.0.1/");
}

#[test]
fn a_redirect_without_location_is_an_answer() {
    let server = Server::answering(&["HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"]);
    assert_eq!(report(get(server.port, "/")).outcome, HookOutcome::Succeeded);
}

#[test]
fn s19_plain_http_where_https_was_asked_is_tried_again_without_authorization() {
    let server = Server::serving(2, |number, mut stream, _| {
        let request = if number == 0 {
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).unwrap();
            format!("{:02x}", hello[0])
        } else {
            read_head(&mut stream)
        };
        let answer = ["HTTP/1.0 400 Bad Request\r\n\r\nspeak plainly", OK][number];
        let _ = stream.write_all(answer.as_bytes());
        // Closed with unread bytes the answer might be lost.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
        request
    });
    let headers = [("Authorization", "secret"), ("X-Other", "kept")];
    let https = HttpGet {
        scheme: Scheme::Https,
        ..with_headers(get(server.port, "/"), &headers)
    };
    let report = report(https);
    assert_eq!(report.outcome, HookOutcome::Succeeded);
    assert!(report.http_fallback);
    let requests = server.requests();
    assert_eq!(requests[0], "16", "a TLS handshake");
    assert!(
        requests[1].contains("X-Other: kept\r\n") && !requests[1].contains("secret"),
        "{requests:?}"
    );
}

#[test]
fn a_tls_server_that_hangs_up_is_not_asked_again() {
    let server = Server::serving(1, |_, stream, _| {
        drop(stream);
        String::new()
    });
    let report = report(HttpGet {
        scheme: Scheme::Https,
        ..get(server.port, "/")
    });
    assert!(
        message(&report).starts_with("cannot speak TLS with 127.0.0.1: "),
        "{report:?}"
    );
    assert!(!report.http_fallback);
    server.requests();
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn s20_a_self_signed_certificate_is_taken() {
    let server = Server::serving(1, |_, stream, _| {
        let key = PrivatePkcs8KeyDer::from(bytes(KEY));
        let certificate = CertificateDer::from(bytes(CERTIFICATE));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key.into())
            .unwrap();
        let session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(session, stream);
        let mut request = read_head(&mut stream);
        stream.write_all(OK.as_bytes()).unwrap();
        stream.conn.send_close_notify();
        let _ = stream.flush();
        request.push_str(stream.conn.server_name().unwrap_or("no name"));
        request
    });
    let port = server.port;
    let report = report(HttpGet {
        scheme: Scheme::Https,
        ..get(port, "/x")
    });
    assert_eq!(
        (&report.outcome, report.output.as_str()),
        (&HookOutcome::Succeeded, "HTTP 200 OK\nyes")
    );
    assert!(!report.http_fallback);
    let request = &server.requests()[0];
    assert!(
        request.starts_with("GET /x HTTP/1.1\r\n") && request.ends_with("no name"),
        "{request}"
    );
}

#[test]
fn s38_a_server_that_goes_away_without_an_answer_is_a_failure() {
    let server = Server::serving(1, |_, mut stream, _| read_head(&mut stream));
    let report = report(get(server.port, "/exit"));
    assert!(
        message(&report).starts_with("no answer from 127.0.0.1: "),
        "{report:?}"
    );
    server.requests();
}

#[test]
fn an_answer_that_is_no_http_is_a_failure() {
    let server = Server::answering(&["SSH-2.0-OpenSSH_9.2\r\n\r\n"]);
    assert!(message(&report(get(server.port, "/"))).starts_with("no answer from 127.0.0.1: "));
}

#[test]
fn a_body_is_read_to_ten_kibibytes_and_shown_to_one() {
    let server = Server::serving(1, |_, mut stream, _| {
        let request = read_head(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        // Far more than is read, and less than would end the answer.
        let _ = stream.write_all(&[b'x'; 20 * 1024]);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
        request
    });
    let report = report(get(server.port, "/"));
    assert_eq!(report.outcome, HookOutcome::Succeeded);
    assert_eq!(report.output.len(), "HTTP 200 OK\n".len() + 1024);
    server.requests();
}

#[test]
fn a_body_that_is_no_text_is_not_shown() {
    let server = Server::answering(&["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\0\0\0"]);
    assert_eq!(report(get(server.port, "/")).output, "HTTP 200 OK");
}

#[test]
fn a_name_is_looked_up_in_the_hosts_file() {
    let server = Server::answering(&[OK]);
    let port = server.port;
    let report = report(HttpGet {
        host: Some("localhost".to_owned()),
        ..get(port, "/")
    });
    assert_eq!(report.outcome, HookOutcome::Succeeded);
    assert!(server.requests()[0].contains(&format!("Host: localhost:{port}\r\n")));
}
