//! Kubernetes' rules for names, addresses and paths, each as the message that says what is wrong.

use std::path::{Component, Path as FilePath, PathBuf};

/// A rule: `Some` message when the text breaks it.
pub(crate) type Rule = fn(&str) -> Option<&'static str>;

/// A DNS-1123 label (RFC 1123), at most 63 characters.
pub(crate) fn dns_label(text: &str) -> Option<&'static str> {
    let good = text.len() <= 63 && is_label(text);
    (!good).then_some(
        "must be a DNS-1123 label: lower case letters, digits and '-', beginning and ending with a letter or \
         digit, at most 63 characters",
    )
}

/// A DNS-1123 subdomain, at most 253 characters.
pub(crate) fn dns_subdomain(text: &str) -> Option<&'static str> {
    let good = text.len() <= 253 && text.split('.').all(is_label);
    (!good).then_some(
        "must be a DNS-1123 subdomain: lower case letters, digits, '-' and '.', every part beginning and ending \
         with a letter or digit, at most 253 characters",
    )
}

/// A domain to search: a DNS-1123 subdomain in which an underscore may begin a part, or the root.
pub(crate) fn search_domain(text: &str) -> Option<&'static str> {
    let parts = text.strip_suffix('.').unwrap_or(text);
    let part = |part: &str| {
        let plain = part.strip_prefix('_').unwrap_or(part).replace('_', "-");
        is_label(&plain) && !part.ends_with('_')
    };
    let good = text == "." || text.len() <= 253 && parts.split('.').all(part);
    (!good).then_some(
        "must be a DNS-1123 subdomain: lower case letters, digits, '-', '_' and '.', every part beginning and ending \
         with a letter or digit, at most 253 characters",
    )
}

/// A word of resolv.conf.
pub(crate) fn resolver_word(text: &str) -> Option<&'static str> {
    text.contains(|c: char| c.is_whitespace() || c.is_control())
        .then_some("must be one word")
}

fn is_label(text: &str) -> bool {
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(edge)
        && bytes.last().copied().is_some_and(edge)
        && bytes.iter().all(|b| edge(*b) || *b == b'-')
}

/// An IANA service name, as ports have.
pub(crate) fn port_name(text: &str) -> Option<&'static str> {
    let good = text.len() <= 15
        && is_label(text)
        && !text.contains("--")
        && text.bytes().any(|b| b.is_ascii_lowercase());
    (!good).then_some(
        "must be an IANA service name: lower case letters, digits and single '-', at least one letter, at most 15 \
         characters",
    )
}

/// An environment variable's name.
pub(crate) fn env_name(text: &str) -> Option<&'static str> {
    let good = !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=');
    (!good).then_some("must consist of printable ASCII characters other than '='")
}

/// The key of a label or annotation.
pub(crate) fn qualified_name(text: &str) -> Option<&'static str> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let good = prefix.is_none_or(|prefix| dns_subdomain(&prefix.to_ascii_lowercase()).is_none())
        && !name.is_empty()
        && is_label_value(name);
    (!good).then_some(
        "must be letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, at most 63 \
         characters, after an optional DNS prefix and '/'",
    )
}

/// The value of a label.
pub(crate) fn label_value(text: &str) -> Option<&'static str> {
    (!is_label_value(text)).then_some(
        "must be empty or letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, at most \
         63 characters",
    )
}

fn is_label_value(text: &str) -> bool {
    let edge = |b: &u8| b.is_ascii_alphanumeric();
    let bytes = text.as_bytes();
    text.len() <= 63
        && bytes.first().is_none_or(edge)
        && bytes.last().is_none_or(edge)
        && bytes.iter().all(|b| edge(b) || matches!(b, b'-' | b'_' | b'.'))
}

/// The name of an HTTP header.
pub(crate) fn header_name(text: &str) -> Option<&'static str> {
    let good = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (!good).then_some("must consist of letters, digits, '-' and '_'")
}

/// The name of a kernel parameter, dots or slashes between its parts.
pub(crate) fn sysctl_name(text: &str) -> Option<&'static str> {
    let part = |part: &str| {
        let edge = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = part.as_bytes();
        bytes.first().is_some_and(edge)
            && bytes.last().is_some_and(edge)
            && bytes.iter().all(|b| edge(b) || matches!(b, b'-' | b'_'))
    };
    let good = text.len() <= 253 && text.split(['.', '/']).all(part);
    (!good).then_some("must be a kernel parameter such as net.ipv4.ip_unprivileged_port_start")
}

/// An IP address.
pub(crate) fn ip_address(text: &str) -> Option<&'static str> {
    text.parse::<std::net::IpAddr>()
        .is_err()
        .then_some("must be an IP address")
}

/// A host name or address to connect to.
pub(crate) fn host(text: &str) -> Option<&'static str> {
    let good = text.len() <= 253
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'_' | b'-' | b'%'));
    (!good).then_some("must be a host name or an IP address")
}

/// A path inside a container or of the host: absolute, without `..`.
pub(crate) fn absolute_path(text: &str) -> Option<&'static str> {
    if !text.starts_with('/') {
        return Some("must be an absolute path");
    }
    no_parent(text)
}

/// A path below another: relative, without `..`.
pub(crate) fn relative_path(text: &str) -> Option<&'static str> {
    if text.starts_with('/') {
        return Some("must be a relative path");
    }
    no_parent(text)
}

/// The path of a file in a volume: relative, without `..` and not beginning with it.
pub(crate) fn file_path(text: &str) -> Option<&'static str> {
    relative_path(text).or_else(|| {
        let plain = plain(text);
        let mut parts = plain.iter().map(std::ffi::OsStr::len);
        if plain.as_os_str().is_empty() {
            Some("must name a file")
        } else if plain.to_string_lossy().starts_with("..") {
            Some("must not begin with '..'")
        } else if parts.any(|length| length > 255) || text.len() >= 4096 {
            Some("must be shorter than 4096 bytes, and each part of it shorter than 256")
        } else {
            None
        }
    })
}

/// A path in its plain spelling.
pub(crate) fn plain(text: &str) -> PathBuf {
    let parts = FilePath::new(text).components();
    parts.filter(|part| *part != Component::CurDir).collect()
}

fn no_parent(text: &str) -> Option<&'static str> {
    FilePath::new(text)
        .components()
        .any(|part| part == Component::ParentDir)
        .then_some("must not contain '..'")
}
