//! Frames on a stream of bytes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest message that the protocol knows, in bytes.
const MESSAGE_MAX: u32 = 4 * 1024 * 1024;
const HEADER: usize = 10;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
    /// Anything else, of no use here.
    Other(u8),
}

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) stream: u32,
    pub(super) kind: Kind,
    pub(super) message: Vec<u8>,
}

/// Reads a frame; `None` at the end of the stream. Not cancel-safe.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut header = [0; HEADER];
    match from.read_exact(&mut header).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let [a, b, c, d, e, f, g, h, kind, _flags] = header;
    let length = u32::from_be_bytes([a, b, c, d]);
    if length > MESSAGE_MAX {
        let text = format!("a message of {length} bytes, and {MESSAGE_MAX} is the most");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut message = vec![0; length as usize];
    from.read_exact(&mut message).await?;
    Ok(Some(Frame {
        stream: u32::from_be_bytes([e, f, g, h]),
        kind: match kind {
            1 => Kind::Request,
            2 => Kind::Response,
            other => Kind::Other(other),
        },
        message,
    }))
}

/// Writes a frame.
///
/// # Errors
/// Also when its message is longer than the protocol knows.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    let length = u32::try_from(frame.message.len())
        .ok()
        .filter(|length| *length <= MESSAGE_MAX)
        .ok_or(io::ErrorKind::InvalidData)?;
    let mut bytes = Vec::with_capacity(HEADER + frame.message.len());
    bytes.extend(length.to_be_bytes());
    bytes.extend(frame.stream.to_be_bytes());
    bytes.push(match frame.kind {
        Kind::Request => 1,
        Kind::Response => 2,
        Kind::Other(other) => other,
    });
    bytes.push(0);
    bytes.extend_from_slice(&frame.message);
    to.write_all(&bytes).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(test)
    }

    #[test]
    fn what_is_written_is_read_again() {
        run(async {
            let frame = Frame {
                stream: 7,
                kind: Kind::Response,
                message: b"text".to_vec(),
            };
            let mut bytes = Vec::new();
            write(&mut bytes, &frame).await.unwrap();
            assert_eq!(bytes, b"\0\0\0\x04\0\0\0\x07\x02\0text");
            let mut rest = bytes.as_slice();
            assert_eq!(read(&mut rest).await.unwrap(), Some(frame));
            assert_eq!(read(&mut rest).await.unwrap(), None);
        });
    }

    #[test]
    fn a_frame_longer_than_the_protocol_knows_is_an_error_before_its_memory_is_taken() {
        run(async {
            let bytes = b"\xff\xff\xff\xff\0\0\0\x01\x01\0";
            let error = read(&mut bytes.as_slice()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        });
    }

    #[test]
    fn a_frame_that_is_cut_off_is_an_error() {
        run(async {
            let bytes = b"\0\0\0\x04\0\0\0\x07\x02\0te";
            assert!(read(&mut bytes.as_slice()).await.is_err());
        });
    }
}
