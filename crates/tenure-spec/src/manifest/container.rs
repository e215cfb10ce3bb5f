//! One container of the manifest (`lifecycle-semantics 8`).

use std::collections::HashSet;
use std::path::{Component, Path as FilePath, PathBuf};

use k8s_openapi::api::core::v1 as k8s;

use super::check::Check;
use super::names;
use super::report::{Path, quote};
use crate::container::{ContainerSpec, Image, Port, RestartPolicy, Security};
use crate::volume::Volume;

/// What a container inherits from its pod.
pub(crate) struct PodFacts<'a> {
    /// The pod's name.
    pub(crate) name: &'a str,
    /// `spec.securityContext`.
    pub(crate) security: Security,
    /// `spec.volumes`.
    pub(crate) volumes: Vec<Volume>,
    /// The names of all its containers.
    pub(crate) containers: Vec<&'a str>,
    /// `spec.hostNetwork`.
    pub(crate) host_network: bool,
    /// The folder that relative paths start from.
    pub(crate) dir: &'a FilePath,
}

/// The words of a restart policy; the first is the pod's default.
pub(crate) const RESTART_POLICIES: [(&str, RestartPolicy); 3] = [
    ("Always", RestartPolicy::Always),
    ("OnFailure", RestartPolicy::OnFailure),
    ("Never", RestartPolicy::Never),
];

impl Check<'_> {
    /// Checks a container; `seen` holds the names before it.
    pub(crate) fn container(
        &mut self,
        container: &k8s::Container,
        pod: &PodFacts<'_>,
        path: &Path,
        seen: &mut HashSet<String>,
    ) -> ContainerSpec {
        self.container_name(&container.name, pod.name, &path.field("name"), seen);
        let image = self.image(
            container.image.as_deref().unwrap_or(""),
            pod.dir,
            &path.field("image"),
        );
        let env = container.env.as_deref().unwrap_or_default();
        let env = self.env(env, pod, &path.field("env"));
        let working_dir = container.working_dir.as_ref().filter(|dir| !dir.is_empty());
        if let Some(dir) = working_dir
            && !dir.starts_with('/')
        {
            self.error(
                &path.field("workingDir"),
                format!("must be an absolute path, not {}", quote(dir)),
            );
        }
        let ports = container.ports.as_deref().unwrap_or_default();
        let ports = self.ports(ports, pod.host_network, &path.field("ports"));
        let resources = container.resources.clone().unwrap_or_default();
        let context = container.security_context.clone().unwrap_or_default();
        let security =
            self.container_security(&context, &pod.security, pod.dir, &path.field("securityContext"));
        let mounts = container.volume_mounts.as_deref().unwrap_or_default();
        let lifecycle = container.lifecycle.clone().unwrap_or_default();
        let restart_policy = container
            .restart_policy
            .as_deref()
            .and_then(|policy| self.word(&path.field("restartPolicy"), Some(policy), &RESTART_POLICIES));
        let (message_path, falls_back) = self.termination_message(container, path);
        let program = |list: &Option<Vec<String>>| list.clone().filter(|list| !list.is_empty());
        ContainerSpec {
            name: container.name.clone(),
            image,
            command: program(&container.command),
            args: program(&container.args),
            env_from: self.env_from(
                container.env_from.as_deref().unwrap_or_default(),
                &path.field("envFrom"),
            ),
            env,
            working_dir: working_dir.map(PathBuf::from),
            resources: self.resources(&resources, &path.field("resources")),
            volume_mounts: self.volume_mounts(
                mounts,
                &pod.volumes,
                security.privileged,
                &path.field("volumeMounts"),
            ),
            security,
            lifecycle: self.lifecycle(&lifecycle, &ports, &path.field("lifecycle")),
            restart_policy,
            restart_rules: self.restart_rules(container, path),
            probes: self.probes(container, &ports, path),
            ports,
            termination_message_path: message_path,
            termination_message_falls_back_to_logs: falls_back,
            stdin: container.stdin.unwrap_or(false),
            tty: container.tty.unwrap_or(false),
        }
    }

    /// What an init container may not have (`lifecycle-semantics 4.6`, S67).
    pub(crate) fn init_container(&mut self, container: &k8s::Container, path: &Path) {
        if container
            .resize_policy
            .as_ref()
            .is_some_and(|policy| !policy.is_empty())
        {
            self.error(&path.field("resizePolicy"), "must not be set for init containers");
        }
        if container.restart_policy.as_deref() == Some("Always") {
            return;
        }
        for (field, present) in [
            ("lifecycle", container.lifecycle.is_some()),
            ("livenessProbe", container.liveness_probe.is_some()),
            ("readinessProbe", container.readiness_probe.is_some()),
            ("startupProbe", container.startup_probe.is_some()),
        ] {
            if present {
                let message = "may not be set for init containers without restartPolicy=Always";
                self.error(&path.field(field), message);
            }
        }
    }

    fn container_name(&mut self, name: &str, pod: &str, path: &Path, seen: &mut HashSet<String>) {
        /// The longest file name, less two separators and a restart count.
        const LONGEST: usize = 255 - 12;
        self.required(path, name, names::dns_label);
        self.unique(path, name, seen);
        if name.len() <= 63 && pod.len() <= 253 && pod.len() + name.len() > LONGEST {
            let message = format!("must be at most {LONGEST} characters together with the pod's name");
            self.error(path, message);
        }
    }

    fn image(&mut self, image: &str, dir: &FilePath, path: &Path) -> Image {
        let (kind, bundle): (fn(PathBuf) -> Image, &str) = if let Some(bundle) = image.strip_prefix("bundle:")
        {
            (Image::Layered, bundle)
        } else if let Some(bundle) = image.strip_prefix("bundle-rw:") {
            (Image::InPlace, bundle)
        } else if image.is_empty() {
            self.error(path, "required");
            (Image::Layered, ".")
        } else {
            let message = format!("must be bundle:PATH or bundle-rw:PATH, not {}", quote(image));
            self.error(path, message);
            (Image::Layered, ".")
        };
        if bundle.is_empty() {
            self.error(path, format!("must name a folder after {}", quote(image)));
        }
        let bundle = dir.join(bundle);
        kind(
            bundle
                .components()
                .filter(|part| *part != Component::CurDir)
                .collect(),
        )
    }

    fn ports(&mut self, ports: &[k8s::ContainerPort], host_network: bool, path: &Path) -> Vec<Port> {
        let mut seen = HashSet::new();
        let mut checked = Vec::new();
        for (index, port) in ports.iter().enumerate() {
            let path = path.index(index);
            let name = port.name.clone().filter(|name| !name.is_empty());
            if let Some(name) = &name {
                self.rule(&path.field("name"), name, names::port_name);
                self.unique(&path.field("name"), name, &mut seen);
            }
            let at = path.field("containerPort");
            let container_port = match port.container_port {
                0 => {
                    self.error(&at, "required");
                    1
                }
                number => self.port(&at, number.into()),
            };
            self.host_port(port, host_network, &path);
            let protocols = [("TCP", "TCP"), ("UDP", "UDP"), ("SCTP", "SCTP")];
            let protocol = self.word(&path.field("protocol"), port.protocol.as_deref(), &protocols);
            checked.push(Port {
                name,
                container_port,
                protocol: protocol.unwrap_or("TCP").to_owned(),
            });
        }
        checked
    }

    fn host_port(&mut self, port: &k8s::ContainerPort, host_network: bool, path: &Path) {
        let at = path.field("hostPort");
        match port.host_port {
            None | Some(0) => {}
            Some(_) if !host_network => {
                self.error(
                    &at,
                    "not supported: the pod's network is its own, use hostNetwork",
                );
            }
            Some(number) if number != port.container_port => {
                self.error(&at, "must match `containerPort` when `hostNetwork` is true");
            }
            Some(_) => {}
        }
        if let Some(address) = port.host_ip.as_ref().filter(|address| !address.is_empty()) {
            self.rule(&path.field("hostIP"), address, names::ip_address);
            self.report
                .warn(&path.field("hostIP"), "ignored: no port is forwarded here");
        }
    }

    fn termination_message(&mut self, container: &k8s::Container, path: &Path) -> (PathBuf, bool) {
        let text = container
            .termination_message_path
            .as_deref()
            .filter(|text| !text.is_empty());
        let text = text.unwrap_or("/dev/termination-log");
        self.rule(&path.field("terminationMessagePath"), text, names::absolute_path);
        let policies = [("File", false), ("FallbackToLogsOnError", true)];
        let policy = container.termination_message_policy.as_deref();
        let falls_back = self.word(&path.field("terminationMessagePolicy"), policy, &policies);
        (PathBuf::from(text), falls_back.unwrap_or(false))
    }
}
