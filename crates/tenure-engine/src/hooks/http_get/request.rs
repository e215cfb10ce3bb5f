//! What is asked of whom (`lifecycle-semantics 2.6, 2.7`), and where a redirect leads (`2.8`).

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::http::uri::Authority;
use tenure_spec::{HttpGet, Scheme};

use super::HttpError;

/// Who asks. Programs look for the prefix of the client's name, which is the kubelet's (S15, `lifecycle-semantics 6.8`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agent {
    /// A lifecycle handler.
    Handler,
    /// A probe.
    Probe,
}

impl Agent {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Handler => "kube-lifecycle/1.37",
            Self::Probe => "kube-probe/1.37",
        }
    }
}

/// Headers that say how the message is framed: ours to say, and the message has no body.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "trailer"];

/// One request's goal and headers.
#[derive(Clone, Debug)]
pub(super) struct Target {
    scheme: Scheme,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// Host and port as they are named in the URL: the Host header's default.
    authority: String,
    /// Path and query.
    path: String,
    headers: Vec<(String, String)>,
    agent: Agent,
}

impl Target {
    /// The goal that a manifest names; the default host is the pod itself.
    pub(super) fn of(get: &HttpGet, agent: Agent) -> Self {
        let host = get
            .host
            .as_deref()
            .filter(|host| !host.is_empty())
            .unwrap_or("127.0.0.1");
        let host = without_brackets(host);
        let port = get.port.0;
        let authority = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        Self {
            scheme: get.scheme,
            host: host.to_owned(),
            port,
            authority,
            path: escape(&get.path),
            headers: get.headers.clone(),
            agent,
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
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The goal of a redirect; `None` when it cannot be understood, or is no HTTP.
    pub(super) fn moved_to(&self, location: &HeaderValue) -> Option<Self> {
        let location = String::from_utf8_lossy(location.as_bytes());
        let location = location.split('#').next().unwrap_or_default();
        let (scheme, rest) = match split_scheme(location) {
            None => (self.scheme, location),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            Some(_) => return None,
        };
        match rest.strip_prefix("//") {
            Some(rest) => self.moved_to_authority(scheme, rest),
            None => Some(Self {
                path: escape(&self.resolve(rest)),
                ..self.clone()
            }),
        }
    }

    /// `rest` begins with an authority.
    fn moved_to_authority(&self, scheme: Scheme, rest: &str) -> Option<Self> {
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let authority: Authority = authority.parse().ok()?;
        let default = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let mut next = self.clone();
        next.scheme = scheme;
        next.host = without_brackets(authority.host()).to_owned();
        next.port = authority.port_u16().unwrap_or(default);
        next.authority = match authority.port_u16() {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        };
        next.path = escape(&if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        });
        // The host that was asked for by name is not the one that is asked now.
        next.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
        Some(next)
    }

    /// A reference without authority, relative to this request's path (RFC 3986, 5.2).
    fn resolve(&self, reference: &str) -> String {
        let own = self.path.split('?').next().unwrap_or("/");
        if reference.is_empty() {
            return self.path.clone();
        }
        if reference.starts_with('?') {
            return format!("{own}{reference}");
        }
        let folder = own.rfind('/').map_or("/", |slash| &own[..=slash]);
        let (path, query) = reference.split_at(reference.find('?').unwrap_or(reference.len()));
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{folder}{path}")
        };
        format!("{}{query}", without_dots(&path))
    }

    /// The request, headers as listed, defaults where nothing is given (`lifecycle-semantics 2.7`).
    pub(super) fn request(&self) -> Result<Request<Empty<Bytes>>, HttpError> {
        let host = self
            .first("host")
            .filter(|host| !host.is_empty())
            .unwrap_or(&self.authority);
        let mut request = Request::get(&self.path).header("Host", host);
        // Given but empty takes the default away.
        for (name, default) in [("User-Agent", self.agent.name()), ("Accept", "*/*")] {
            match self.first(name) {
                None => request = request.header(name, default),
                Some("") => {}
                Some(_) => request = self.append(request, |given| given.eq_ignore_ascii_case(name)),
            }
        }
        let ours = |name: &str| {
            let ours = ["host", "user-agent", "accept", "connection"];
            ours.iter()
                .chain(&FRAMING)
                .any(|one| name.eq_ignore_ascii_case(one))
        };
        request = self.append(request, |given| !ours(given));
        Ok(request.header("Connection", "close").body(Empty::new())?)
    }

    /// The first value that is given for a header.
    fn first(&self, name: &str) -> Option<&str> {
        let given = self
            .headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name));
        given.map(|(_, value)| value.as_str())
    }

    fn append(
        &self,
        request: hyper::http::request::Builder,
        wanted: impl Fn(&str) -> bool,
    ) -> hyper::http::request::Builder {
        let wanted = self.headers.iter().filter(|(name, _)| wanted(name));
        wanted.fold(request, |request, (name, value)| request.header(name, value))
    }
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// `scheme:rest`, if it begins with a scheme.
fn split_scheme(location: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = location.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || "+-.".contains(one));
    is_scheme.then_some((scheme, rest))
}

/// Takes `.` and `..` out of an absolute path.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Percent-encodes what may not be in a request line; what is encoded stays.
fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            0..=b' ' | 0x7f.. | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                escaped.push_str(&format!("%{byte:02X}"));
            }
            plain => escaped.push(char::from(plain)),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use tenure_spec::PortRef;

    use super::*;

    fn target(path: &str) -> Target {
        let get = HttpGet {
            host: Some("example.test".to_owned()),
            port: PortRef(8080),
            scheme: Scheme::Http,
            path: path.to_owned(),
            headers: vec![("Host".to_owned(), "other.test".to_owned())],
        };
        Target::of(&get, Agent::Handler)
    }

    #[test]
    fn a_redirect_is_read_as_a_browser_would() {
        let cases = [
            ("/a/b?x=1", "/c", "example.test 8080 /c"),
            ("/a/b?x=1", "c?y=2#f", "example.test 8080 /a/c?y=2"),
            ("/a/b?x=1", "../c/./d/", "example.test 8080 /c/d/"),
            ("/a/b", "../../..", "example.test 8080 /"),
            ("/a/b?x=1", "?y=2", "example.test 8080 /a/b?y=2"),
            ("/a", "http://example.test", "example.test 80 /"),
            ("/a", "HTTPS://example.test?q", "example.test 443 /?q"),
            ("/a", "//user@example.test:81/b c", "example.test 81 /b%20c"),
            ("/a", "http://[::1]:82/b", "::1 82 /b"),
        ];
        for (path, location, expected) in cases {
            let next = target(path)
                .moved_to(&HeaderValue::from_static(location))
                .unwrap();
            let found = format!("{} {} {}", next.host(), next.port(), next.path);
            assert_eq!(found, expected, "{path} {location}");
        }
        for location in ["ftp://example.test/", "http://ho st/", "http://a:b:c/"] {
            assert!(
                target("/")
                    .moved_to(&HeaderValue::from_static(location))
                    .is_none(),
                "{location}"
            );
        }
    }

    #[test]
    fn a_host_header_stays_for_a_relative_redirect_only() {
        let host = |location| {
            let next = target("/").moved_to(&HeaderValue::from_static(location)).unwrap();
            next.request().unwrap().headers()["host"]
                .to_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(host("/x"), "other.test");
        assert_eq!(host("http://example.test:81/x"), "example.test:81");
        assert_eq!(host("http://example.test/x"), "example.test");
    }
}
