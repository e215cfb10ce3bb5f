//! `lifecycle`: handlers and the stop signal (`lifecycle-semantics 2`, `3.31`, `8`).

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::check::Check;
use super::names;
use super::report::{Path, quote};
use crate::container::{Lifecycle, Port};
use crate::handler::{Handler, HttpGet, PortRef, Scheme};
use crate::signal;

/// Two handlers at one place.
const TWO_HANDLERS: &str = "may not specify more than 1 handler type";
/// No handler where one must be.
const NO_HANDLER: &str = "must specify a handler type";

impl Check<'_> {
    /// Checks `lifecycle`.
    pub(crate) fn lifecycle(&mut self, lifecycle: &k8s::Lifecycle, ports: &[Port], path: &Path) -> Lifecycle {
        let handler = |check: &mut Self, handler: &Option<k8s::LifecycleHandler>, name: &str| {
            handler
                .as_ref()
                .and_then(|handler| check.handler(handler, ports, &path.field(name)))
        };
        let post_start = handler(self, &lifecycle.post_start, "postStart");
        let pre_stop = handler(self, &lifecycle.pre_stop, "preStop");
        let stop_signal = lifecycle.stop_signal.clone();
        if let Some(name) = &stop_signal
            && signal::number(name).is_none()
        {
            let message = format!(
                "must be a signal name such as SIGUSR1 or SIGRTMIN+3, not {}",
                quote(name)
            );
            self.error(&path.field("stopSignal"), message);
        }
        Lifecycle {
            post_start,
            pre_stop,
            stop_signal,
        }
    }

    /// Checks a lifecycle handler: exactly one type, and none that could only fail.
    pub(crate) fn handler(
        &mut self,
        handler: &k8s::LifecycleHandler,
        ports: &[Port],
        path: &Path,
    ) -> Option<Handler> {
        let types = [
            ("exec", handler.exec.is_some()),
            ("httpGet", handler.http_get.is_some()),
            ("tcpSocket", handler.tcp_socket.is_some()),
            ("sleep", handler.sleep.is_some()),
        ];
        self.one_type(&types, path);
        if handler.tcp_socket.is_some() {
            let message = "not supported: a lifecycle handler of this type always fails, use exec or httpGet";
            self.error(&path.field("tcpSocket"), message);
        }
        let exec = handler.exec.as_ref().map(|exec| Handler::Exec {
            command: self.exec(exec, &path.field("exec")),
        });
        let http_get = handler
            .http_get
            .as_ref()
            .map(|get| Handler::HttpGet(self.http_get(get, ports, &path.field("httpGet"))));
        let sleep = handler
            .sleep
            .as_ref()
            .map(|sleep| self.sleep(sleep, &path.field("sleep")));
        exec.or(http_get).or(sleep)
    }

    /// Tells when not exactly one of the types is there.
    pub(crate) fn one_type(&mut self, types: &[(&str, bool)], path: &Path) {
        let mut present = types.iter().filter(|(_, present)| *present);
        if present.next().is_none() {
            self.error(path, NO_HANDLER);
        }
        for (name, _) in present {
            self.error(&path.field(name), TWO_HANDLERS);
        }
    }

    /// Checks `exec`.
    pub(crate) fn exec(&mut self, exec: &k8s::ExecAction, path: &Path) -> Vec<String> {
        let command = exec.command.clone().unwrap_or_default();
        if command.is_empty() {
            self.error(&path.field("command"), "required");
        } else if command[0].is_empty() {
            self.error(&path.field("command").index(0), "must not be empty");
        }
        command
    }

    fn sleep(&mut self, sleep: &k8s::SleepAction, path: &Path) -> Handler {
        let seconds = u64::try_from(sleep.seconds)
            .ok()
            .filter(|seconds| *seconds <= self.grace);
        if seconds.is_none() {
            let message = format!(
                "must be between 0 and terminationGracePeriodSeconds ({}), inclusive, not {}",
                self.grace, sleep.seconds
            );
            self.error(&path.field("seconds"), message);
        }
        Handler::Sleep {
            seconds: seconds.unwrap_or(0),
        }
    }

    /// Checks `httpGet` and fills its defaults in (`lifecycle-semantics 2.6`).
    pub(crate) fn http_get(&mut self, get: &k8s::HTTPGetAction, ports: &[Port], path: &Path) -> HttpGet {
        let host = get.host.clone().filter(|host| !host.is_empty());
        if let Some(host) = &host {
            self.rule(&path.field("host"), host, names::host);
        }
        let schemes = [("HTTP", Scheme::Http), ("HTTPS", Scheme::Https)];
        let scheme = self.word(&path.field("scheme"), get.scheme.as_deref(), &schemes);
        let mut headers = Vec::new();
        for (index, header) in get.http_headers.iter().flatten().enumerate() {
            let path = path.field("httpHeaders").index(index);
            self.required(&path.field("name"), &header.name, names::header_name);
            if header.value.chars().any(|c| c.is_control() && c != '\t') {
                self.error(&path.field("value"), "must not hold control characters");
            }
            headers.push((header.name.clone(), header.value.clone()));
        }
        HttpGet {
            host,
            port: PortRef(self.port_number(&get.port, ports, &path.field("port"))),
            scheme: scheme.unwrap_or(Scheme::Http),
            path: request_target(get.path.as_deref().unwrap_or("")),
            headers,
        }
    }

    /// A port by number, or by its name among the container's ports, or as a number in a string
    /// (`lifecycle-semantics 2.6`).
    pub(crate) fn port_number(&mut self, port: &IntOrString, ports: &[Port], path: &Path) -> u16 {
        let name = match port {
            IntOrString::Int(number) => return self.port(path, i64::from(*number)),
            IntOrString::String(name) => name,
        };
        if let Some(port) = ports.iter().find(|port| port.name.as_ref() == Some(name)) {
            return port.container_port;
        }
        if let Ok(number) = name.parse::<i64>() {
            return self.port(path, number);
        }
        match names::port_name(name) {
            Some(message) => self.error(path, format!("{message}, not {}", quote(name))),
            None => self.error(path, format!("no port of the container is named {}", quote(name))),
        }
        1
    }
}

/// The path and query as they go into the request line: absolute, escaped where needed, without a fragment.
fn request_target(path: &str) -> String {
    let path = path.split('#').next().unwrap_or("");
    let bytes = path.as_bytes();
    let escaped =
        |at: usize| matches!(bytes.get(at + 1..at + 3), Some(hex) if hex.iter().all(u8::is_ascii_hexdigit));
    let mut target = String::from(if path.starts_with('/') { "" } else { "/" });
    for (at, byte) in bytes.iter().enumerate() {
        let stands = match byte {
            b'%' => escaped(at),
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
            _ => byte.is_ascii_graphic(),
        };
        if stands {
            target.push(char::from(*byte));
        } else {
            target.push_str(&format!("%{byte:02X}"));
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::request_target;

    #[test]
    fn a_request_target_is_absolute_and_escaped() {
        for (path, target) in [
            ("", "/"),
            ("shutdown", "/shutdown"),
            ("/a?b=c&d", "/a?b=c&d"),
            ("?q", "/?q"),
            ("/a b", "/a%20b"),
            ("/a%20b", "/a%20b"),
            ("/100%", "/100%25"),
            ("/ä\r\nX: y", "/%C3%A4%0D%0AX:%20y"),
            ("/a#b", "/a"),
        ] {
            assert_eq!(request_target(path), target, "{path:?}");
        }
    }
}
