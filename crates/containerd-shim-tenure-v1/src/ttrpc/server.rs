//! The side that answers.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use prost::Message;
use rustix::io::Errno;
use tokio::net::UnixListener;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::Mutex;

use super::frame::{self, Frame, Kind};
use super::{Code, Request, Response, Status};

/// Who does what is called for.
pub(crate) trait Handler: 'static {
    /// Does `method` of `service`; takes and gives encoded messages. Calls overlap.
    fn handle(
        self: Rc<Self>,
        service: String,
        method: String,
        payload: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, Status>>;
}

/// How long a caller waits where the machine is out of descriptors or memory.
const BETTER_TIMES: Duration = Duration::from_millis(50);

/// Answers whoever connects, for ever. To be run inside a `LocalSet`.
///
/// # Errors
/// When no connection can be accepted any more.
pub(crate) async fn serve<H: Handler>(listener: UnixListener, handler: Rc<H>) -> io::Result<()> {
    loop {
        let (connection, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            // The caller has given up already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            // Nothing tells of better times, and containers live here.
            Err(error) if is_shortage(&error) => {
                tracing::error!(%error, "a caller cannot be taken");
                tokio::time::sleep(BETTER_TIMES).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let handler = Rc::clone(&handler);
        tokio::task::spawn_local(async move {
            if let Err(error) = attend(connection, handler).await {
                tracing::warn!(%error, "a caller's connection is broken");
            }
        });
    }
}

/// Whether descriptors or memory have run out, for a while perhaps.
fn is_shortage(error: &io::Error) -> bool {
    const SHORTAGES: [Errno; 5] = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::NOBUFS,
        Errno::INTR,
    ];
    Errno::from_io_error(error).is_some_and(|errno| SHORTAGES.contains(&errno))
}

/// Reads calls until the caller goes, and answers each when it is done.
async fn attend<H: Handler>(connection: tokio::net::UnixStream, handler: Rc<H>) -> io::Result<()> {
    let (mut reading, writing) = connection.into_split();
    let writing = Rc::new(Mutex::new(writing));
    while let Some(frame) = frame::read(&mut reading).await? {
        if frame.kind != Kind::Request {
            continue;
        }
        let (handler, writing) = (Rc::clone(&handler), Rc::clone(&writing));
        tokio::task::spawn_local(async move {
            let stream = frame.stream;
            let answered = answer(frame, handler).await;
            if let Err(error) = send(stream, answered, &writing).await {
                tracing::debug!(%error, "an answer has nobody to take it");
            }
        });
    }
    Ok(())
}

async fn answer<H: Handler>(frame: Frame, handler: Rc<H>) -> Result<Vec<u8>, Status> {
    let request = Request::decode(frame.message.as_slice())
        .map_err(|error| Status::new(Code::InvalidArgument, format!("request: {error}")))?;
    // Its time-out is the caller's affair: what has begun is brought to its end.
    handler
        .handle(request.service, request.method, request.payload)
        .await
}

async fn send(stream: u32, answered: Result<Vec<u8>, Status>, to: &Mutex<OwnedWriteHalf>) -> io::Result<()> {
    let response = match answered {
        Ok(payload) => Response {
            status: Some(Status::default()),
            payload,
        },
        Err(status) => Response {
            status: Some(status),
            payload: Vec::new(),
        },
    };
    let frame = Frame {
        stream,
        kind: Kind::Response,
        message: response.encode_to_vec(),
    };
    frame::write(&mut *to.lock().await, &frame).await
}
