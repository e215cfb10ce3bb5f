//! The side that asks.

use std::io;

use prost::Message;
use tokio::net::UnixStream;

use super::frame::{self, Frame, Kind};
use super::{Request, Response, Status};

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The connection does not work.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// The other side said no.
    #[error("{}", .0.message())]
    Refused(Status),
}

/// Calls a method, one call at a time on a connection; `stream` is odd and higher than that of the call before.
///
/// # Errors
/// [`CallError::Connection`]: the connection is of no use any more.
pub(crate) async fn call(
    connection: &mut UnixStream,
    stream: u32,
    (service, method): (&str, &str),
    payload: Vec<u8>,
) -> Result<Vec<u8>, CallError> {
    let request = Request {
        service: service.to_owned(),
        method: method.to_owned(),
        payload,
        timeout_nano: 0,
    };
    let frame = Frame {
        stream,
        kind: Kind::Request,
        message: request.encode_to_vec(),
    };
    frame::write(connection, &frame).await?;
    loop {
        let frame = frame::read(connection)
            .await?
            .ok_or(io::ErrorKind::UnexpectedEof)
            .map_err(io::Error::from)?;
        if frame.kind != Kind::Response || frame.stream != stream {
            continue;
        }
        let response = Response::decode(frame.message.as_slice()).map_err(io::Error::other)?;
        return match response.status {
            Some(status) if status.code != 0 => Err(CallError::Refused(status)),
            _ => Ok(response.payload),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::{Code, Handler, serve};
    use super::*;

    struct Echo;

    impl Handler for Echo {
        async fn handle(
            self: Rc<Self>,
            service: String,
            method: String,
            payload: Vec<u8>,
        ) -> Result<Vec<u8>, Status> {
            if method == "Fail" {
                return Err(Status::new(Code::NotFound, format!("{service}: nothing")));
            }
            Ok(payload)
        }
    }

    #[test]
    fn a_call_gets_its_answer_or_the_reason_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let listener = tokio::net::UnixListener::bind(&path).unwrap();
            tokio::task::spawn_local(serve(listener, Rc::new(Echo)));
            let mut connection = UnixStream::connect(&path).await.unwrap();
            let answer = call(&mut connection, 1, ("s", "Echo"), b"x".to_vec()).await;
            assert_eq!(answer.unwrap(), b"x");
            let refused = call(&mut connection, 3, ("s", "Fail"), Vec::new()).await;
            assert_eq!(refused.unwrap_err().to_string(), "s: nothing");
        });
    }
}
