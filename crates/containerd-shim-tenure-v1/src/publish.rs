//! Events on their way to containerd, in their order.
//!
//! Whoever publishes never waits. While containerd is away the queue is kept, up to a limit, and delivered when its
//! socket is there again.

use std::path::PathBuf;
use std::time::Duration;

use prost::Message;
use tenure_supervise::watch::FileWatch;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};

use crate::proto::types::{Envelope, ForwardRequest};
use crate::proto::{Any, Timestamp};
use crate::ttrpc::{CallError, call};

const FORWARD: (&str, &str) = ("containerd.services.events.ttrpc.v1.Events", "Forward");
/// How many events are kept for a containerd that is away.
const KEPT: usize = 4096;
/// How long one delivery may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait for a socket that is there and refuses, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Where events go; any number of clones.
#[derive(Clone, Debug)]
pub(crate) struct Publisher {
    namespace: String,
    queue: mpsc::UnboundedSender<Envelope>,
    /// How many are not delivered yet.
    waiting: watch::Sender<usize>,
}

impl Publisher {
    /// A publisher, and the task that delivers to the socket at `address` (a path).
    pub(crate) fn new(namespace: &str, address: PathBuf) -> (Self, impl Future<Output = ()> + use<>) {
        let (queue, events) = mpsc::unbounded_channel();
        let publisher = Self {
            namespace: namespace.to_owned(),
            queue,
            waiting: watch::Sender::new(0),
        };
        let delivery = Delivery {
            events,
            waiting: publisher.waiting.clone(),
            address,
            connection: None,
        };
        (publisher, delivery.run())
    }

    /// Tells an event: `topic` as in `/tasks/start`, with the name of its message (`TaskStart`).
    pub(crate) fn publish(&self, topic: &str, name: &str, event: &impl Message) {
        let mut lost = false;
        self.waiting.send_modify(|waiting| {
            lost = *waiting >= KEPT;
            *waiting += usize::from(!lost);
        });
        if lost {
            return tracing::warn!(topic, "containerd has been away for too long: an event is lost");
        }
        let envelope = Envelope {
            timestamp: Some(Timestamp::now()),
            namespace: self.namespace.clone(),
            topic: topic.to_owned(),
            event: Some(Any::of(&format!("containerd.events.{name}"), event)),
        };
        // The delivery lives as long as the shim.
        let _ = self.queue.send(envelope);
    }

    /// Waits until all is delivered, but not for long.
    pub(crate) async fn flush(&self) {
        let mut waiting = self.waiting.subscribe();
        let all = waiting.wait_for(|waiting| *waiting == 0);
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("containerd does not take the last events");
        }
    }
}

struct Delivery {
    events: mpsc::UnboundedReceiver<Envelope>,
    waiting: watch::Sender<usize>,
    address: PathBuf,
    /// With the number of its next stream.
    connection: Option<(UnixStream, u32)>,
}

impl Delivery {
    async fn run(mut self) {
        while let Some(envelope) = self.events.recv().await {
            let request = ForwardRequest {
                envelope: Some(envelope),
            };
            let payload = request.encode_to_vec();
            let mut wait = FIRST_WAIT;
            while !self.deliver(payload.clone()).await {
                self.wait_for_containerd(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            self.waiting.send_modify(|waiting| *waiting -= 1);
        }
    }

    /// Tries once. What containerd refuses it would refuse again.
    async fn deliver(&mut self, payload: Vec<u8>) -> bool {
        let (mut connection, stream) = match self.connection.take() {
            Some(connection) => connection,
            None => match UnixStream::connect(&self.address).await {
                Ok(connection) => (connection, 1),
                Err(error) => {
                    tracing::debug!(%error, "containerd is away");
                    return false;
                }
            },
        };
        let called = call(&mut connection, stream, FORWARD, payload);
        match tokio::time::timeout(PATIENCE, called).await {
            Ok(Err(CallError::Connection(error))) => {
                tracing::debug!(%error, "containerd went away");
                return false;
            }
            Ok(Err(refused)) => tracing::warn!(error = %refused, "containerd refuses an event"),
            Ok(Ok(_)) => {}
            Err(_) => return false,
        }
        self.connection = Some((connection, stream + 2));
        true
    }

    /// Waits until the socket is made anew, or for a while.
    async fn wait_for_containerd(&self, wait: Duration) {
        let changed = async {
            match FileWatch::new(&[&self.address]) {
                Ok(mut watch) => drop(watch.changed().await),
                Err(error) => {
                    tracing::debug!(%error, "containerd's socket is not watched");
                    std::future::pending().await
                }
            }
        };
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}
