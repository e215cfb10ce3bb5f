//! The httpGet handler (`lifecycle-semantics 2.5` to `2.9`): one GET from inside the pod's network namespace.
//!
//! The status is not looked at; only a transport error fails. Redirects are followed within the host name, ten at
//! most. Certificates are not verified. HTTPS answered by plain HTTP is tried once more without TLS and without
//! `Authorization`.

mod request;
mod tls;

use std::io;
use std::path::Path;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::LOCATION;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tenure_lifecycle::HookReport;
use tenure_spec::{HttpGet, Scheme};
use tenure_supervise::netns;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{failed, succeeded};
use request::Target;

/// How many redirects are followed (`lifecycle-semantics 2.8`).
const MOST_REDIRECTS: usize = 10;
/// How much of a body is read at the most (`lifecycle-semantics 2.8`), in bytes.
const BODY_READ: usize = 10 * 1024;
/// How much of a body is shown, in bytes.
const BODY_SHOWN: usize = 1024;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The name is in no hosts file.
    #[error("cannot find the address of {0}")]
    Resolve(String),
    /// No connection.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// No TLS session.
    #[error("cannot speak TLS with {address}: {source}")]
    Tls {
        /// With whom.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The manifest's values make no request.
    #[error("cannot make the request: {0}")]
    Request(#[from] hyper::http::Error),
    /// No answer, or a bad one.
    #[error("no answer from {address}: {source}")]
    Answer {
        /// From whom.
        address: String,
        /// Why not.
        source: hyper::Error,
    },
    /// It goes round in circles.
    #[error("stopped after {MOST_REDIRECTS} redirects")]
    Redirects,
}

impl HttpError {
    /// The other side answered the TLS hello in plain text.
    fn is_plain_answer(&self) -> bool {
        match self {
            Self::Tls { source, .. } => tls::is_plain_answer(source),
            Self::Resolve(_)
            | Self::Connect { .. }
            | Self::Request(_)
            | Self::Answer { .. }
            | Self::Redirects => false,
        }
    }
}

/// Makes the request, from inside `network`.
pub(super) async fn run(get: HttpGet, network: Option<&Path>) -> HookReport {
    let target = Target::of(&get);
    match fetch(target.clone(), network).await {
        Ok(output) => succeeded(output),
        Err(error) if get.scheme == Scheme::Https && error.is_plain_answer() => {
            match fetch(target.without_tls(), network).await {
                Ok(output) => HookReport {
                    http_fallback: true,
                    ..succeeded(output)
                },
                Err(error) => failed(error.to_string(), String::new()),
            }
        }
        Err(error) => failed(error.to_string(), String::new()),
    }
}

async fn fetch(mut target: Target, network: Option<&Path>) -> Result<String, HttpError> {
    for _ in 0..=MOST_REDIRECTS {
        let response = ask(&target, network).await?;
        match redirect(&target, &response) {
            Some(next) => target = next,
            None => return Ok(show(response).await),
        }
    }
    Err(HttpError::Redirects)
}

/// Where the answer leads, if that is within the same host name.
fn redirect(target: &Target, response: &Response<Incoming>) -> Option<Target> {
    let followed = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !followed.contains(&response.status()) {
        return None;
    }
    target.moved_to(response.headers().get(LOCATION)?.to_str().ok()?)
}

async fn ask(target: &Target, network: Option<&Path>) -> Result<Response<Incoming>, HttpError> {
    let address = target.address()?;
    let stream = netns::connect(network, address)
        .await
        .map_err(|source| HttpError::Connect {
            address: address.to_string(),
            source,
        })?;
    let request = target.request()?;
    if target.is_tls() {
        let stream = tls::connect(target.host(), stream)
            .await
            .map_err(|source| HttpError::Tls {
                address: address.to_string(),
                source,
            })?;
        send(stream, request, address.to_string()).await
    } else {
        send(stream, request, address.to_string()).await
    }
}

async fn send<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    request: Request<Empty<Bytes>>,
    address: String,
) -> Result<Response<Incoming>, HttpError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|source| HttpError::Answer {
            address: address.clone(),
            source,
        })?;
    // It ends with the response's body.
    tokio::task::spawn_local(async move {
        // What goes wrong on the connection is told by the request.
        let _ = connection.await;
    });
    sender
        .send_request(request)
        .await
        .map_err(|source| HttpError::Answer { address, source })
}

/// The status line and the beginning of the body.
async fn show(response: Response<Incoming>) -> String {
    let mut text = format!("HTTP {}", response.status());
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while bytes.len() < BODY_READ {
        match body.frame().await {
            Some(Ok(frame)) => bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            // An answer that breaks off was an answer all the same.
            Some(Err(_)) | None => break,
        }
    }
    bytes.truncate(BODY_SHOWN);
    if let Ok(body) = std::str::from_utf8(&bytes)
        && !body.trim().is_empty()
    {
        text.push('\n');
        text.push_str(body);
    }
    text
}
