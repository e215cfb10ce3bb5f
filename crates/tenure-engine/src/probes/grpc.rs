//! The grpc probe: `grpc.health.v1.Health/Check` says SERVING (`lifecycle-semantics 6.8`). Plain text, one connection.

use std::cell::RefCell;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::header::{HeaderValue, USER_AGENT};
use hyper::http::uri::InvalidUri;
use hyper::rt::Executor;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tenure_lifecycle::ProbeOutcome;
use tokio::task::{AbortHandle, spawn_local};
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{POD, errored, failed};
use crate::hooks::http_get::{self, Agent};
use crate::hooks::told;

/// Asks the pod's server about a service; the empty one is the server as a whole. Inside a `LocalSet`.
pub(super) async fn ask(port: u16, service: &str, network: Option<&Path>) -> ProbeOutcome {
    let stream = match http_get::connect(POD, port, network).await {
        Ok(stream) => stream,
        Err(error) => return failed(told(&error)),
    };
    let origin: Result<Uri, InvalidUri> = format!("http://{POD}:{port}").parse();
    let origin = match origin {
        Ok(origin) => origin,
        Err(error) => return errored(told(&error)),
    };
    let tasks = Tasks::default();
    let _end = EndWith(tasks.clone());
    let connection = Builder::new(tasks.clone()).handshake(TokioIo::new(stream)).await;
    let sender = match connection {
        Ok((sender, connection)) => {
            // What goes wrong on the connection is told by the request.
            tasks.execute(async { drop(connection.await) });
            sender
        }
        Err(error) => return failed(told(&error)),
    };
    let mut client = HealthClient::with_origin(Channel(sender), origin);
    let service = service.to_owned();
    match client.check(HealthCheckRequest { service }).await {
        Ok(answer) => match answer.get_ref().status() {
            ServingStatus::Serving => ProbeOutcome::Succeeded,
            other => failed(format!(
                "service unhealthy (responded with \"{}\")",
                other.as_str_name()
            )),
        },
        Err(status) if status.code() == Code::Unimplemented => failed(format!(
            "this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
            status.message()
        )),
        Err(status) => failed(format!("{}: {}", status.code().description(), status.message())),
    }
}

/// The connection as the gRPC client wants it.
struct Channel(SendRequest<Body>);

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let agent = HeaderValue::from_static(Agent::Probe.name());
        request.headers_mut().insert(USER_AGENT, agent);
        Box::pin(self.0.send_request(request))
    }
}

/// What runs for one connection.
#[derive(Clone, Debug, Default)]
struct Tasks(Rc<RefCell<Vec<AbortHandle>>>);

impl<F: Future<Output = ()> + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.0.borrow_mut().push(spawn_local(task).abort_handle());
    }
}

/// Ends the tasks with the probe, however it ends.
struct EndWith(Tasks);

impl Drop for EndWith {
    fn drop(&mut self) {
        for task in self.0.0.borrow_mut().drain(..) {
            task.abort();
        }
    }
}
