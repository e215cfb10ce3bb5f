//! ttrpc, containerd's light form of gRPC: unary calls over a Unix socket.
//!
//! ```text
//! frame = length (4 bytes, big endian) · stream (4) · type (1: request, 2: response) · flags (1) · message
//! ```
//!
//! A client's streams have odd numbers; calls are answered in any order. Streams of messages (a later addition to the
//! protocol) are used by no task API and are answered with `Unimplemented`.

mod client;
mod frame;
mod server;

use prost::Message;

pub(crate) use client::{CallError, call};
pub(crate) use server::{Handler, serve};

/// A call.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, tag = "1")]
    service: String,
    #[prost(string, tag = "2")]
    method: String,
    #[prost(bytes = "vec", tag = "3")]
    payload: Vec<u8>,
    #[prost(int64, tag = "4")]
    timeout_nano: i64,
}

/// Its answer.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
    #[prost(bytes = "vec", tag = "2")]
    payload: Vec<u8>,
}

/// `google.rpc.Status`: why a call failed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Kinds of failure, as gRPC numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Code {
    Unknown = 2,
    InvalidArgument = 3,
    NotFound = 5,
    AlreadyExists = 6,
    FailedPrecondition = 9,
    Unimplemented = 12,
    Internal = 13,
}

impl Status {
    /// A failure, told in one line.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code: code as i32,
            message: message.into(),
        }
    }

    /// Whether it is of this kind.
    pub(crate) fn is(&self, code: Code) -> bool {
        self.code == code as i32
    }

    /// The line.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}
