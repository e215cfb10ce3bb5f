//! A small HTTP server on the host's loopback that writes down what it is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET /path HTTP/1.1`.
    pub line: String,
    /// Header names, as they were sent, and values.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header; names are compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// What the server answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status code and an empty body.
    Status(u16),
    /// A redirect to a location; `{port}` stands for the server's own port.
    Redirect(String),
    /// The connection is closed without a word.
    Reset,
    /// A body of so many bytes.
    Body(usize),
    /// No answer at all for as long as the client stays.
    Silence,
}

/// The server. It ends with the test's process.
pub struct HttpServer {
    /// The port on 127.0.0.1.
    pub port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    answer: Arc<Mutex<Answer>>,
}

impl HttpServer {
    /// Starts a server that gives every request this answer, until it is told another.
    pub fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let answer = Arc::new(Mutex::new(answer));
        let gives = Arc::clone(&answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (gives, seen) = (Arc::clone(&gives), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, port, &gives, &seen));
            }
        });
        Self {
            port,
            requests,
            answer,
        }
    }

    /// From now on every request is given this answer.
    pub fn set_answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// A port of 127.0.0.1 that is taken, so that no other test gets it, and on which nothing listens.
pub struct ClosedPort {
    /// Its number.
    pub port: u16,
    _held: OwnedFd,
}

impl ClosedPort {
    /// Takes a port that is free now.
    pub fn take() -> Self {
        let held = socket(
            AddressFamily::Inet,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .unwrap();
        bind(held.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        let address: SockaddrIn = getsockname(held.as_raw_fd()).unwrap();
        Self {
            port: address.port(),
            _held: held,
        }
    }
}

fn serve(stream: TcpStream, port: u16, gives: &Mutex<Answer>, seen: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        seen.lock().unwrap().push(request);
        let stream = reader.get_mut();
        let answer = gives.lock().unwrap().clone();
        let written = match answer {
            Answer::Status(code) => write!(stream, "HTTP/1.1 {code} Told\r\nContent-Length: 0\r\n\r\n"),
            Answer::Redirect(location) => {
                let location = location.replace("{port}", &port.to_string());
                write!(
                    stream,
                    "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
                )
            }
            Answer::Reset => return,
            Answer::Body(length) => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")
                .and_then(|()| stream.write_all(&vec![b'x'; length])),
            Answer::Silence => stream.read_to_end(&mut Vec::new()).map(drop),
        };
        if written.is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let line = read_line(reader)?;
    let mut headers = Vec::new();
    loop {
        let header = read_line(reader)?;
        if header.is_empty() {
            return Some(Request { line, headers });
        }
        let (name, value) = header.split_once(':')?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn read_line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match reader.read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim_end().to_owned()),
    }
}
