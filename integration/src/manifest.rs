//! Pod manifests, put together in the words of Kubernetes.

use serde_json::{Value, json};

/// A pod manifest in the making. Its name is given by the host that runs it.
#[derive(Debug, Clone)]
pub struct Manifest(pub Value);

impl Default for Manifest {
    fn default() -> Self {
        Self::new()
    }
}

impl Manifest {
    /// A pod without containers, with restartPolicy `Never`.
    pub fn new() -> Self {
        Self(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": "pod" },
            "spec": { "restartPolicy": "Never", "containers": [] },
        }))
    }

    /// Sets a field of the pod's spec.
    #[must_use]
    pub fn set(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0["spec"][field] = value.into();
        self
    }

    /// Sets terminationGracePeriodSeconds.
    #[must_use]
    pub fn grace(self, seconds: u64) -> Self {
        self.set("terminationGracePeriodSeconds", seconds)
    }

    /// Sets the pod's restartPolicy.
    #[must_use]
    pub fn restart_policy(self, policy: &str) -> Self {
        self.set("restartPolicy", policy)
    }

    /// Shares the host's network.
    #[must_use]
    pub fn host_network(self) -> Self {
        self.set("hostNetwork", true)
    }

    /// Adds an app container.
    #[must_use]
    pub fn app(self, container: Container) -> Self {
        self.push("containers", container.0)
    }

    /// Adds an init container.
    #[must_use]
    pub fn init(self, container: Container) -> Self {
        self.push("initContainers", container.0)
    }

    /// Adds a volume: `{"name": …, "emptyDir": {}}`.
    #[must_use]
    pub fn volume(self, volume: Value) -> Self {
        self.push("volumes", volume)
    }

    fn push(mut self, list: &str, item: Value) -> Self {
        let list = &mut self.0["spec"][list];
        if list.is_null() {
            *list = json!([]);
        }
        list.as_array_mut().expect("a list of the manifest").push(item);
        self
    }
}

/// A container of a manifest.
#[derive(Debug, Clone)]
pub struct Container(pub Value);

/// A container of the host's bundle that runs a shell script as process 1.
pub fn shell(name: &str, script: &str) -> Container {
    Container(json!({ "name": name, "image": "bundle:box", "command": ["/bin/sh", "-c", script] }))
}

/// A container that writes `ready`, and on SIGTERM `TERM`; then it takes `seconds`, writes `bye` and ends with 0.
/// The file `/tmp/ready` tells a handler that SIGTERM will be heeded: see [`AWAIT_READY`].
pub fn ends_on_term(name: &str, seconds: u32) -> Container {
    shell(
        name,
        &format!("trap 'echo TERM; sleep {seconds}; echo bye; exit 0' TERM; {STAY}"),
    )
}

/// A container that writes `ready`, and `TERM` for each SIGTERM, and carries on.
pub fn ignores_term(name: &str) -> Container {
    shell(name, &format!("trap 'echo TERM' TERM; {STAY}"))
}

/// The rest of a script that has set its traps: says so and stays.
pub const STAY: &str = ": >/tmp/ready; echo ready; while :; do sleep 1000 & wait $!; done";

/// The beginning of a handler's script that must not run before the container has set its traps.
pub const AWAIT_READY: &str = "until [ -e /tmp/ready ]; do sleep 0.05; done";

impl Container {
    /// A container with a command of its own; none leaves the bundle's.
    pub fn new(name: &str, command: &[&str]) -> Self {
        let mut container = json!({ "name": name, "image": "bundle:box" });
        if !command.is_empty() {
            container["command"] = json!(command);
        }
        Self(container)
    }

    /// Sets a field of the container.
    #[must_use]
    pub fn set(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0[field] = value.into();
        self
    }

    /// Sets the handler of postStart.
    #[must_use]
    pub fn post_start(mut self, handler: Value) -> Self {
        self.0["lifecycle"]["postStart"] = handler;
        self
    }

    /// Sets the handler of preStop.
    #[must_use]
    pub fn pre_stop(mut self, handler: Value) -> Self {
        self.0["lifecycle"]["preStop"] = handler;
        self
    }

    /// Sets the lifecycle's stopSignal.
    #[must_use]
    pub fn stop_signal(mut self, signal: &str) -> Self {
        self.0["lifecycle"]["stopSignal"] = signal.into();
        self
    }

    /// Mounts a volume at a path.
    #[must_use]
    pub fn mount(mut self, volume: &str, path: &str) -> Self {
        let mounts = &mut self.0["volumeMounts"];
        if mounts.is_null() {
            *mounts = json!([]);
        }
        mounts
            .as_array_mut()
            .expect("volumeMounts")
            .push(json!({ "name": volume, "mountPath": path }));
        self
    }
}

/// A handler that runs a shell script in the container.
pub fn exec(script: &str) -> Value {
    json!({ "exec": { "command": ["/bin/sh", "-c", script] } })
}

/// A handler that sends a GET request; `action` is a Kubernetes HTTPGetAction.
pub fn http_get(action: Value) -> Value {
    json!({ "httpGet": action })
}

/// A handler that waits.
pub fn sleep(seconds: i64) -> Value {
    json!({ "sleep": { "seconds": seconds } })
}
