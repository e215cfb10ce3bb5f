//! What is asked of whom (`lifecycle-semantics 2.6, 2.7`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use tenure_spec::{HttpGet, Scheme};

use super::HttpError;

/// Names the client, as the kubelet does; programs look for the prefix (S15).
const USER_AGENT: &str = "kube-lifecycle/1.37";

/// One request's goal and headers.
#[derive(Clone, Debug)]
pub(super) struct Target {
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
}

impl Target {
    /// The goal that a manifest names; the default host is the pod itself.
    pub(super) fn of(get: &HttpGet) -> Self {
        Self {
            scheme: get.scheme,
            host: get
                .host
                .clone()
                .filter(|host| !host.is_empty())
                .unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: get.port.0,
            path: get.path.clone(),
            headers: get.headers.clone(),
        }
    }

    /// The same over plain HTTP, without what must not go in the clear (`lifecycle-semantics 2.9`).
    pub(super) fn without_tls(mut self) -> Self {
        self.scheme = Scheme::Http;
        self.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
        self
    }

    pub(super) fn is_tls(&self) -> bool {
        self.scheme == Scheme::Https
    }

    pub(super) fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Where to connect to. Names are looked up in the machine's hosts file: a static program has no other resolver.
    pub(super) fn address(&self) -> Result<SocketAddr, HttpError> {
        let host = self.host();
        let ip = match host.parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) if host.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST.into(),
            Err(_) => in_hosts_file(host).ok_or_else(|| HttpError::Resolve(host.to_owned()))?,
        };
        Ok(SocketAddr::new(ip, self.port))
    }

    /// The goal of a redirect, if it has the same host name (`lifecycle-semantics 2.8`).
    pub(super) fn moved_to(&self, location: &str) -> Option<Self> {
        let mut next = self.clone();
        let (scheme, rest) = if let Some(rest) = location.strip_prefix("https://") {
            (Scheme::Https, rest)
        } else if let Some(rest) = location.strip_prefix("http://") {
            (Scheme::Http, rest)
        } else {
            next.path = if location.starts_with('/') {
                location.to_owned()
            } else {
                let folder = self
                    .path
                    .split('?')
                    .next()
                    .unwrap_or("/")
                    .rsplit_once('/')
                    .map_or("", |(f, _)| f);
                format!("{folder}/{location}")
            };
            return Some(next);
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let uri: hyper::http::uri::Authority = authority.parse().ok()?;
        if !uri.host().eq_ignore_ascii_case(&self.host) {
            return None;
        }
        let default = if scheme == Scheme::Https { 443 } else { 80 };
        next.scheme = scheme;
        next.port = uri.port_u16().unwrap_or(default);
        next.path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Some(next)
    }

    /// The request, headers as listed, defaults where nothing is given (`lifecycle-semantics 2.7`).
    pub(super) fn request(&self) -> Result<Request<Empty<Bytes>>, HttpError> {
        let given = |name: &str| {
            self.headers
                .iter()
                .any(|(given, _)| given.eq_ignore_ascii_case(name))
        };
        let mut request = Request::get(&self.path);
        if !given("host") {
            request = request.header("Host", self.authority());
        }
        if !given("user-agent") {
            request = request.header("User-Agent", USER_AGENT);
        }
        if !given("accept") {
            request = request.header("Accept", "*/*");
        }
        for (name, value) in &self.headers {
            // Given but empty takes the default away.
            let removes = value.is_empty()
                && ["accept", "user-agent"]
                    .iter()
                    .any(|n| name.eq_ignore_ascii_case(n));
            if !removes {
                request = request.header(name, value);
            }
        }
        Ok(request.body(Empty::new())?)
    }

    fn authority(&self) -> String {
        let host = if self.host().contains(':') {
            format!("[{}]", self.host())
        } else {
            self.host.clone()
        };
        match (self.scheme, self.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => host,
            (Scheme::Http | Scheme::Https, port) => format!("{host}:{port}"),
        }
    }
}

fn in_hosts_file(host: &str) -> Option<IpAddr> {
    let hosts = std::fs::read_to_string("/etc/hosts").ok()?;
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let ip = words.next()?.parse().ok()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then_some(ip)
    })
}
