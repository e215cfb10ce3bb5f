//! Probes, valid by construction (`lifecycle-semantics 6.1`).

use serde::{Deserialize, Serialize};

use crate::handler::HttpGet;

/// The probes of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probes {
    /// `startupProbe`.
    pub startup: Option<Probe>,
    /// `readinessProbe`.
    pub readiness: Option<Probe>,
    /// `livenessProbe`.
    pub liveness: Option<Probe>,
}

/// One probe with its defaults filled in. Times are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What is asked.
    pub action: ProbeAction,
    /// `initialDelaySeconds`, default 0.
    pub initial_delay_seconds: u64,
    /// `timeoutSeconds`, default 1.
    pub timeout_seconds: u64,
    /// `periodSeconds`, default 10.
    pub period_seconds: u64,
    /// `successThreshold`, default 1, must be 1 for liveness and startup.
    pub success_threshold: u32,
    /// `failureThreshold`, default 3.
    pub failure_threshold: u32,
    /// `terminationGracePeriodSeconds`, above 0, not on readiness.
    pub termination_grace_period_seconds: Option<u64>,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeAction {
    /// A program inside the container; exit 0 is success.
    Exec {
        /// The argv, never empty.
        command: Vec<String>,
    },
    /// A GET request; 200 to 399 is success.
    HttpGet(HttpGet),
    /// A TCP connection.
    TcpSocket {
        /// `None` is 127.0.0.1 inside the pod's network namespace.
        host: Option<String>,
        /// 1 to 65535.
        port: u16,
    },
    /// The gRPC health protocol.
    Grpc {
        /// 1 to 65535.
        port: u16,
        /// The service asked for, default empty.
        service: String,
    },
}
