//! Lifecycle handlers (postStart, preStop), valid by construction.

use serde::{Deserialize, Serialize};

/// A Kubernetes LifecycleHandler. `tcpSocket` is refused at load (`lifecycle-semantics 2.10`, S21, S40).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Handler {
    /// A program run inside the container, argv as it is, no shell (`lifecycle-semantics 2.4`).
    Exec {
        /// The argv, never empty.
        command: Vec<String>,
    },
    /// One GET request (`lifecycle-semantics 2.5` to `2.9`).
    HttpGet(HttpGet),
    /// Waits (`lifecycle-semantics 2.11`).
    Sleep {
        /// Whole seconds, 0 to the grace period.
        seconds: u64,
    },
}

/// `httpGet` of a handler or a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpGet {
    /// `host`; `None` is 127.0.0.1 inside the pod's network namespace.
    pub host: Option<String>,
    /// The port; a name is resolved at load from the container's `ports` (`lifecycle-semantics 2.6`).
    pub port: PortRef,
    /// `scheme`, default HTTP.
    pub scheme: Scheme,
    /// `path`, begins with `/`, default `/`; may hold a query.
    pub path: String,
    /// `httpHeaders` in order; an empty value is kept (`lifecycle-semantics 2.7`).
    pub headers: Vec<(String, String)>,
}

/// A resolved port number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRef(
    /// 1 to 65535.
    pub u16,
);

/// URL scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// TLS; the certificate is not verified (`lifecycle-semantics 2.8`).
    Https,
}
