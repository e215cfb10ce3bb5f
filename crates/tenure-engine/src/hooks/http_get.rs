//! The httpGet handler (`lifecycle-semantics 2.5` to `2.9`): one GET from inside the pod's network namespace. Probes
//! ask by it, too ([`fetch`]).
//!
//! For a handler the status is not looked at; only a transport error fails. Redirects are followed within the host name. HTTPS
//! answered by plain HTTP is tried once more without TLS and without `Authorization`. Nothing else is tried again,
//! and nothing has a time limit but the look-up of a name.

mod request;
mod resolve;
#[cfg(test)]
mod tests;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::pin;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderValue, LOCATION};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tenure_lifecycle::HookReport;
use tenure_spec::{HttpGet, Scheme};
use tenure_supervise::netns;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{failed, succeeded, told};
pub(crate) use request::Agent;
use request::Target;
use resolve::Resolver;

/// How many requests one handler makes at most, all but the first after a redirect (`lifecycle-semantics 2.8`).
const MOST_REQUESTS: usize = 10;
/// How much of a body is read at the most (`lifecycle-semantics 2.8`), in bytes.
const BODY_READ: usize = 10 * 1024;
/// How much of a body is shown, in bytes.
const BODY_SHOWN: usize = 1024;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// No address for a name.
    #[error("cannot find the address of {host}")]
    Resolve {
        /// The name.
        host: String,
        /// Why not.
        source: io::Error,
    },
    /// No connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// No TLS session.
    #[error("cannot speak TLS with {host}")]
    Tls {
        /// With whom.
        host: String,
        /// Why not.
        source: io::Error,
    },
    /// The manifest's values make no request.
    #[error("cannot make the request")]
    Request(#[from] hyper::http::Error),
    /// No answer, or a bad one.
    #[error("no answer from {host}")]
    Answer {
        /// From whom.
        host: String,
        /// Why not.
        source: hyper::Error,
    },
    /// An answer leads nowhere.
    #[error("cannot follow the redirect to {location}")]
    Redirect {
        /// Where to.
        location: String,
    },
    /// It goes round in circles.
    #[error("stopped after {MOST_REQUESTS} redirects")]
    Redirects,
}

impl HttpError {
    /// The other side answered the TLS hello in plain text.
    fn is_plain_answer(&self) -> bool {
        match self {
            Self::Tls { source, .. } => tls::is_plain_answer(source),
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Request(_)
            | Self::Answer { .. }
            | Self::Redirect { .. }
            | Self::Redirects => false,
        }
    }
}

/// Makes the request, from inside `network`.
pub(super) async fn run(get: HttpGet, network: Option<&Path>) -> HookReport {
    let target = Target::of(&get, Agent::Handler);
    match follow(target.clone(), network).await {
        Ok(answer) => succeeded(answer.text),
        Err(error) if get.scheme == Scheme::Https && error.is_plain_answer() => {
            match follow(target.without_tls(), network).await {
                Ok(answer) => HookReport {
                    http_fallback: true,
                    ..succeeded(answer.text)
                },
                // What was asked for is what failed.
                Err(_) => failed(told(&error), String::new()),
            }
        }
        Err(error) => failed(told(&error), String::new()),
    }
}

/// Makes a probe's request from inside `network`; gives the status of the answer (`lifecycle-semantics 6.8`): that of
/// a redirect when it leads to another host. The body is read like a handler's.
pub(crate) async fn fetch(get: &HttpGet, network: Option<&Path>) -> Result<u16, HttpError> {
    let answer = follow(Target::of(get, Agent::Probe), network).await?;
    Ok(answer.status.as_u16())
}

async fn follow(mut target: Target, network: Option<&Path>) -> Result<Answer, HttpError> {
    let host = target.host().to_owned();
    for _ in 0..MOST_REQUESTS {
        let answer = ask(&target, network).await?;
        let Some(location) = answer.redirect() else {
            return Ok(answer);
        };
        target = match target.moved_to(location) {
            // An answer that leads to another host is the answer.
            Some(next) if next.host() != host => return Ok(answer),
            Some(next) => next,
            None => {
                let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
                return Err(HttpError::Redirect { location });
            }
        };
    }
    Err(HttpError::Redirects)
}

async fn ask(target: &Target, network: Option<&Path>) -> Result<Answer, HttpError> {
    let request = target.request()?;
    let host = target.host().to_owned();
    let stream = connect(target.host(), target.port(), network).await?;
    let answer = if target.is_tls() {
        match tls::connect(&host, stream).await {
            Ok(stream) => exchange(stream, request).await,
            Err(source) => return Err(HttpError::Tls { host, source }),
        }
    } else {
        exchange(stream, request).await
    };
    answer.map_err(|source| HttpError::Answer { host, source })
}

/// Connects to the first of the host's addresses that takes it, one attempt each.
pub(crate) async fn connect(host: &str, port: u16, network: Option<&Path>) -> Result<TcpStream, HttpError> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => {
            let resolver = Resolver::of_the_host();
            let found = resolver.addresses(host, network).await;
            found.map_err(|source| HttpError::Resolve {
                host: host.to_owned(),
                source,
            })?
        }
    };
    let mut failure = HttpError::Resolve {
        host: host.to_owned(),
        source: io::Error::new(io::ErrorKind::NotFound, "it has none"),
    };
    for address in addresses {
        let address = SocketAddr::new(address, port);
        match netns::connect(network, address).await {
            Ok(stream) => return Ok(stream),
            Err(source) => failure = HttpError::Connect { address, source },
        }
    }
    Err(failure)
}

/// Sends the request and reads the answer; the connection ends with it.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    request: Request<Empty<Bytes>>,
) -> Result<Answer, hyper::Error> {
    let mut protocol = hyper::client::conn::http1::Builder::new();
    protocol.title_case_headers(true);
    let (mut sender, connection) = protocol.handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        Ok(Answer::read(response).await)
    };
    let (mut exchange, connection) = (pin!(exchange), pin!(connection));
    tokio::select! {
        answer = &mut exchange => answer,
        // What went wrong on the connection is told by the request.
        _ = connection => exchange.await,
    }
}

/// What is used of an answer.
struct Answer {
    status: StatusCode,
    location: Option<HeaderValue>,
    /// The status and the beginning of the body, for people.
    text: String,
}

impl Answer {
    async fn read(response: Response<Incoming>) -> Self {
        let status = response.status();
        let location = response.headers().get(LOCATION).cloned();
        let mut answer = Self {
            status,
            location,
            text: format!("HTTP {status}"),
        };
        if answer.redirect().is_none() {
            let body = beginning(response.into_body()).await;
            if !body.trim().is_empty() && !body.contains('\0') {
                answer.text = format!("{}\n{body}", answer.text);
            }
        }
        answer
    }

    /// Where it leads.
    fn redirect(&self) -> Option<&HeaderValue> {
        let leads = matches!(self.status.as_u16(), 301 | 302 | 303 | 307 | 308);
        self.location
            .as_ref()
            .filter(|location| leads && !location.is_empty())
    }
}

/// Reads a body as far as it is read at all; gives its beginning.
async fn beginning(mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    let mut read = 0;
    while read < BODY_READ {
        // An answer that breaks off was an answer all the same.
        let Some(Ok(frame)) = body.frame().await else {
            break;
        };
        let data = frame.data_ref().map_or(&[][..], |data| data);
        read += data.len();
        let room = BODY_SHOWN.saturating_sub(bytes.len()).min(data.len());
        bytes.extend_from_slice(&data[..room]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
