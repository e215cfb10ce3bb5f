//! A gRPC health server on the host's loopback that says what it is told to.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

/// Flag of DATA and HEADERS: the stream's last frame. Of SETTINGS and PING: an answer.
const END: u8 = 1;
/// Flag of HEADERS: no more of them follow.
const END_HEADERS: u8 = 4;

/// No header block, message or preface of a health check is longer.
const LONGEST: usize = 1 << 16;

/// The server. It ends with the test's process.
pub struct HealthServer {
    /// The port on 127.0.0.1.
    pub port: u16,
    serving: Arc<AtomicBool>,
}

impl HealthServer {
    /// Starts a server of which every service is `SERVING`.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = Arc::new(AtomicBool::new(true));
        let says = Arc::clone(&serving);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let says = Arc::clone(&says);
                // A client that goes away in the middle is no failure of the server.
                std::thread::spawn(move || serve(stream, &says).ok());
            }
        });
        Self { port, serving }
    }

    /// From now on every service is `SERVING`, or `NOT_SERVING`.
    pub fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::SeqCst);
    }
}

/// Answers every request of one connection, whatever it asks for.
fn serve(mut stream: TcpStream, serving: &AtomicBool) -> io::Result<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface)?;
    send(&mut stream, (SETTINGS, 0, 0), &[])?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, rest @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let id = u32::from_be_bytes(rest);
        let mut payload = vec![0; length.min(LONGEST)];
        stream.read_exact(&mut payload)?;
        match kind {
            SETTINGS if flags & END == 0 => send(&mut stream, (SETTINGS, END, 0), &[])?,
            PING if flags & END == 0 => send(&mut stream, (PING, END, 0), &payload)?,
            HEADERS | DATA if flags & END != 0 => {
                let status = if serving.load(Ordering::SeqCst) { 1 } else { 2 };
                answer(&mut stream, id, status)?;
            }
            _ => {}
        }
    }
}

/// A `HealthCheckResponse` with a serving status.
fn answer(stream: &mut TcpStream, id: u32, status: u8) -> io::Result<()> {
    // `:status: 200` is the eighth entry of HPACK's static table.
    let mut headers = vec![0x88];
    headers.extend(header("content-type", "application/grpc"));
    send(stream, (HEADERS, END_HEADERS, id), &headers)?;
    send(stream, (DATA, 0, id), &[0, 0, 0, 0, 2, 8, status])?;
    let trailers = header("grpc-status", "0");
    send(stream, (HEADERS, END_HEADERS | END, id), &trailers)
}

/// A header that no table holds, in HPACK.
fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        bytes.push(u8::try_from(text.len()).unwrap());
        bytes.extend(text.as_bytes());
    }
    bytes
}

fn send(stream: &mut TcpStream, (kind, flags, id): (u8, u8, u32), payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(id.to_be_bytes());
    frame.extend(payload);
    stream.write_all(&frame)
}
