//! The three probes of a container (`lifecycle-semantics 6.1`, `3d`, `8`).

use k8s_openapi::api::core::v1 as k8s;

use super::check::Check;
use super::names;
use super::report::Path;
use crate::container::Port;
use crate::probe::{Probe, ProbeAction, Probes};

/// What a kind of probe may not do.
struct Kind {
    field: &'static str,
    one_success: bool,
    own_grace: bool,
}

const STARTUP: Kind = Kind {
    field: "startupProbe",
    one_success: true,
    own_grace: true,
};
const READINESS: Kind = Kind {
    field: "readinessProbe",
    one_success: false,
    own_grace: false,
};
const LIVENESS: Kind = Kind {
    field: "livenessProbe",
    one_success: true,
    own_grace: true,
};

impl Check<'_> {
    /// Checks the probes of a container.
    pub(crate) fn probes(&mut self, container: &k8s::Container, ports: &[Port], path: &Path) -> Probes {
        let mut probe = |probe: &Option<k8s::Probe>, kind: Kind| {
            probe
                .as_ref()
                .and_then(|probe| self.probe(probe, &kind, ports, &path.field(kind.field)))
        };
        Probes {
            startup: probe(&container.startup_probe, STARTUP),
            readiness: probe(&container.readiness_probe, READINESS),
            liveness: probe(&container.liveness_probe, LIVENESS),
        }
    }

    fn probe(&mut self, probe: &k8s::Probe, kind: &Kind, ports: &[Port], path: &Path) -> Option<Probe> {
        let action = self.probe_action(probe, ports, path);
        let success_threshold = self.count(probe.success_threshold, 1, &path.field("successThreshold"));
        if kind.one_success && success_threshold != 1 {
            self.error(&path.field("successThreshold"), "must be 1");
        }
        let termination_grace_period_seconds = probe.termination_grace_period_seconds.map(|seconds| {
            let path = path.field("terminationGracePeriodSeconds");
            if !kind.own_grace {
                self.error(&path, "must not be set for readinessProbes");
                return 1;
            }
            self.at_least(&path, seconds, 1)
        });
        Some(Probe {
            action: action?,
            initial_delay_seconds: self
                .count(probe.initial_delay_seconds, 0, &path.field("initialDelaySeconds"))
                .into(),
            timeout_seconds: self
                .count(probe.timeout_seconds, 1, &path.field("timeoutSeconds"))
                .into(),
            period_seconds: self
                .count(probe.period_seconds, 10, &path.field("periodSeconds"))
                .into(),
            success_threshold,
            failure_threshold: self.count(probe.failure_threshold, 3, &path.field("failureThreshold")),
            termination_grace_period_seconds,
        })
    }

    /// A whole number from 0; 0 and an absent one mean the default.
    fn count(&mut self, value: Option<i32>, default: u32, path: &Path) -> u32 {
        let value = self.at_least(path, value.unwrap_or(0).into(), 0);
        u32::try_from(value)
            .ok()
            .filter(|value| *value != 0)
            .unwrap_or(default)
    }

    fn probe_action(&mut self, probe: &k8s::Probe, ports: &[Port], path: &Path) -> Option<ProbeAction> {
        let types = [
            ("exec", probe.exec.is_some()),
            ("httpGet", probe.http_get.is_some()),
            ("tcpSocket", probe.tcp_socket.is_some()),
            ("grpc", probe.grpc.is_some()),
        ];
        self.one_type(&types, path);
        let exec = probe.exec.as_ref().map(|exec| ProbeAction::Exec {
            command: self.exec(exec, &path.field("exec")),
        });
        let http_get = probe
            .http_get
            .as_ref()
            .map(|get| ProbeAction::HttpGet(self.http_get(get, ports, &path.field("httpGet"))));
        let tcp_socket = probe.tcp_socket.as_ref().map(|tcp| {
            let path = path.field("tcpSocket");
            let host = tcp.host.clone().filter(|host| !host.is_empty());
            if let Some(host) = &host {
                self.rule(&path.field("host"), host, names::host);
            }
            ProbeAction::TcpSocket {
                host,
                port: self.port_number(&tcp.port, ports, &path.field("port")),
            }
        });
        let grpc = probe.grpc.as_ref().map(|grpc| ProbeAction::Grpc {
            port: self.port(&path.field("grpc").field("port"), grpc.port.into()),
            service: grpc.service.clone().unwrap_or_default(),
        });
        exec.or(http_get).or(tcp_socket).or(grpc)
    }
}
