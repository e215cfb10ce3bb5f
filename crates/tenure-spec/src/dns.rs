//! `dnsPolicy` and `dnsConfig`: what is in the pod's /etc/resolv.conf.

use serde::{Deserialize, Serialize};

/// The resolver's own limits, which it does not tell anybody that it applies.
pub(crate) const NAMESERVERS_MOST: usize = 3;
/// How many search domains there may be.
pub(crate) const SEARCHES_MOST: usize = 32;
/// How long all search domains may be together, with spaces between them.
pub(crate) const SEARCHES_LONGEST: usize = 2048;

/// How the pod's names are resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    /// `dnsPolicy: None`: nothing of the machine's own configuration counts.
    pub is_only_own: bool,
    /// There is a `dnsConfig`: it goes before what a bundle mounts.
    pub is_given: bool,
    /// `dnsConfig.nameservers`.
    pub nameservers: Vec<String>,
    /// `dnsConfig.searches`.
    pub searches: Vec<String>,
    /// `dnsConfig.options`, a name with or without a value.
    pub options: Vec<(String, Option<String>)>,
}

impl Dns {
    /// The content of /etc/resolv.conf, from the machine's: the pod's name servers and search domains come after it,
    /// its options in place of those of the same name.
    pub fn resolv_conf(&self, host: &str) -> String {
        let adds = !self.nameservers.is_empty() || !self.searches.is_empty() || !self.options.is_empty();
        if !self.is_only_own && !adds {
            return host.to_owned();
        }
        let mut whole = if self.is_only_own {
            Self::default()
        } else {
            Self::parse(host)
        };
        add(&mut whole.nameservers, &self.nameservers);
        whole.nameservers.truncate(NAMESERVERS_MOST);
        add(&mut whole.searches, &self.searches);
        whole.searches.truncate(SEARCHES_MOST);
        while whole.searches.join(" ").len() > SEARCHES_LONGEST {
            whole.searches.pop();
        }
        for (name, value) in &self.options {
            match whole.options.iter_mut().find(|(known, _)| known == name) {
                Some(known) => known.1.clone_from(value),
                None => whole.options.push((name.clone(), value.clone())),
            }
        }
        whole.write()
    }

    /// Reads a resolv.conf; what is no name server, search domain or option is left out. As for the resolver, the last
    /// `search` counts, and `domain` is one of a single domain.
    fn parse(text: &str) -> Self {
        let mut read = Self::default();
        for line in text.lines() {
            let line = line.trim_start();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => read.nameservers.extend(words.next().map(str::to_owned)),
                Some("search") => read.searches = words.map(str::to_owned).collect(),
                Some("domain") => read.searches = words.take(1).map(str::to_owned).collect(),
                Some("options") => {
                    for word in words {
                        let (name, value) = match word.split_once(':') {
                            Some((name, value)) => (name, Some(value.to_owned())),
                            None => (word, None),
                        };
                        read.options.retain(|(known, _)| known != name);
                        read.options.push((name.to_owned(), value));
                    }
                }
                _ => {}
            }
        }
        read
    }

    fn write(&self) -> String {
        let mut text = String::new();
        if !self.searches.is_empty() {
            text.push_str(&format!("search {}\n", self.searches.join(" ")));
        }
        for server in &self.nameservers {
            text.push_str(&format!("nameserver {server}\n"));
        }
        if !self.options.is_empty() {
            let word = |(name, value): &(String, Option<String>)| match value {
                Some(value) => format!("{name}:{value}"),
                None => name.clone(),
            };
            let words: Vec<String> = self.options.iter().map(word).collect();
            text.push_str(&format!("options {}\n", words.join(" ")));
        }
        text
    }
}

/// Adds those that are not there yet, in order, and drops what stood twice before.
fn add(all: &mut Vec<String>, more: &[String]) {
    let mut whole: Vec<String> = Vec::new();
    for one in all.iter().chain(more) {
        if !whole.contains(one) {
            whole.push(one.clone());
        }
    }
    *all = whole;
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# by hand\ndomain lost\nsearch a.example b.example\nnameserver 10.0.0.1\n nameserver fd00::1\n\
                        options ndots:2 rotate\nsortlist 10.0.0.0\n";

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    fn option(name: &str, value: Option<&str>) -> (String, Option<String>) {
        (name.to_owned(), value.map(str::to_owned))
    }

    #[test]
    fn the_machines_stands_where_the_manifest_is_silent() {
        assert_eq!(Dns::default().resolv_conf(HOST), HOST);
        assert_eq!(Dns::default().resolv_conf(""), "");
    }

    #[test]
    fn what_the_manifest_gives_is_added_and_its_options_win() {
        let dns = Dns {
            nameservers: strings(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
            searches: strings(&["b.example", "c.example"]),
            options: vec![option("ndots", Some("5")), option("edns0", None)],
            ..Dns::default()
        };
        assert_eq!(
            dns.resolv_conf(HOST),
            "search a.example b.example c.example\nnameserver 10.0.0.1\nnameserver fd00::1\nnameserver 10.0.0.2\n\
             options ndots:5 rotate edns0\n"
        );
    }

    #[test]
    fn with_the_policy_none_only_the_manifests_count() {
        let dns = Dns {
            is_only_own: true,
            nameservers: strings(&["1.2.3.4"]),
            options: vec![option("timeout", Some("1"))],
            ..Dns::default()
        };
        assert_eq!(dns.resolv_conf(HOST), "nameserver 1.2.3.4\noptions timeout:1\n");
    }

    #[test]
    fn search_domains_stay_within_what_the_resolver_takes() {
        let many: Vec<String> = (0..31).map(|number| format!("d{number}.example")).collect();
        let mut dns = Dns {
            searches: many,
            ..Dns::default()
        };
        let text = dns.resolv_conf(HOST);
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(first.split(' ').count() - 1, SEARCHES_MOST);
        assert!(first.ends_with(" d29.example"));
        dns.searches = (0..20)
            .map(|number| format!("{number:02}{}", "x".repeat(118)))
            .collect();
        let text = dns.resolv_conf(HOST);
        let first = text.lines().next().unwrap_or_default();
        assert!(first.len() <= "search ".len() + SEARCHES_LONGEST);
        assert!(first.ends_with('x') && first.len() > 1900);
    }
}
