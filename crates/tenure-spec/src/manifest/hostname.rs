//! The pod's names and how it resolves others: `hostname`, `subdomain`, `setHostnameAsFQDN`, `dnsPolicy`, `dnsConfig`.

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::check::Check;
use super::names;
use super::report::{Path, quote};
use crate::dns::{Dns, NAMESERVERS_MOST, SEARCHES_LONGEST, SEARCHES_MOST};

/// The kernel's longest host name.
const HOSTNAME_LONGEST: usize = 64;
/// What a cluster's domain is called unless somebody chose another.
const CLUSTER_DOMAIN: &str = "svc.cluster.local";

/// The names of a pod.
pub(crate) struct HostNames {
    /// What the kernel tells.
    pub(crate) hostname: String,
    /// All of them, the longest first.
    pub(crate) all: Vec<String>,
}

impl Check<'_> {
    /// The pod's names: given, or its own name cut to what a host name may be; below a subdomain of its namespace.
    pub(crate) fn host_names(&mut self, spec: &k8s::PodSpec, meta: &ObjectMeta, path: &Path) -> HostNames {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(hostname) = given(&spec.hostname) {
            self.rule(&path.field("hostname"), &hostname, names::dns_label);
        }
        let subdomain = given(&spec.subdomain);
        if let Some(subdomain) = &subdomain {
            self.rule(&path.field("subdomain"), subdomain, names::dns_label);
        }
        if let Some(hostname) = given(&spec.hostname_override) {
            self.hostname_override(&hostname, spec, path);
            return HostNames {
                all: vec![hostname.clone()],
                hostname,
            };
        }
        let short = given(&spec.hostname).unwrap_or_else(|| {
            let name = meta.name.as_deref().unwrap_or_default();
            let head: String = name.chars().take(63).collect();
            head.trim_end_matches(['-', '.']).to_owned()
        });
        let at = path.field("setHostnameAsFQDN");
        let is_whole = spec.set_hostname_as_fqdn.unwrap_or(false);
        if is_whole && spec.host_network == Some(true) {
            let message = "ignored: with the machine's network the pod has the machine's host name";
            self.report.warn(&at, message);
        }
        let Some(subdomain) = subdomain else {
            return HostNames {
                all: vec![short.clone()],
                hostname: short,
            };
        };
        let namespace = given(&meta.namespace).unwrap_or_else(|| "default".into());
        let whole = format!("{short}.{subdomain}.{namespace}.{CLUSTER_DOMAIN}");
        if is_whole && whole.len() > HOSTNAME_LONGEST {
            let message = format!(
                "the FQDN {} is too long: {HOSTNAME_LONGEST} characters is the max, it has {}",
                quote(&whole),
                whole.len()
            );
            self.error(&at, message);
        }
        HostNames {
            hostname: if is_whole { whole.clone() } else { short.clone() },
            all: vec![whole, short],
        }
    }

    fn hostname_override(&mut self, hostname: &str, spec: &k8s::PodSpec, path: &Path) {
        let at = path.field("hostnameOverride");
        self.rule(&at, hostname, names::dns_subdomain);
        if hostname.len() > HOSTNAME_LONGEST {
            self.error(&at, format!("must be at most {HOSTNAME_LONGEST} characters"));
        }
        for (present, field) in [
            (spec.host_network, "hostNetwork"),
            (spec.set_hostname_as_fqdn, "setHostnameAsFQDN"),
        ] {
            if present == Some(true) {
                self.error(&at, format!("may not be set when {field} is true"));
            }
        }
    }

    /// Checks `dnsPolicy` and `dnsConfig`. There is no cluster, so that its policies are the machine's, as in a cluster
    /// that has no name server.
    pub(crate) fn dns(&mut self, spec: &k8s::PodSpec, path: &Path) -> Dns {
        let policies = [
            ("ClusterFirst", (false, true)),
            ("ClusterFirstWithHostNet", (false, true)),
            ("Default", (false, false)),
            ("None", (true, false)),
        ];
        let at = path.field("dnsPolicy");
        let policy = spec.dns_policy.as_deref().filter(|policy| !policy.is_empty());
        let (is_only_own, is_clusters) = self.word(&at, policy, &policies).unwrap_or_default();
        if is_clusters && policy.is_some() {
            let message = "there is no name server of a cluster here: taken as Default";
            self.report.warn(&at, message);
        }
        let at = path.field("dnsConfig");
        let config = spec.dns_config.clone();
        if is_only_own && config.is_none() {
            self.error(&at, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        let mut dns = config
            .as_ref()
            .map(|config| self.dns_config(config, &at))
            .unwrap_or_default();
        if is_only_own && config.is_some() && dns.nameservers.is_empty() {
            let message = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            self.error(&at.field("nameservers"), message);
        }
        dns.is_only_own = is_only_own;
        dns.is_given = config.is_some();
        dns
    }

    fn dns_config(&mut self, config: &k8s::PodDNSConfig, path: &Path) -> Dns {
        let at = path.field("nameservers");
        let nameservers = config.nameservers.clone().unwrap_or_default();
        if nameservers.len() > NAMESERVERS_MOST {
            self.error(
                &at,
                format!("must not have more than {NAMESERVERS_MOST} nameservers"),
            );
        }
        for (index, address) in nameservers.iter().enumerate() {
            self.required(&at.index(index), address, names::ip_address);
        }
        let at = path.field("searches");
        let searches = config.searches.clone().unwrap_or_default();
        if searches.len() > SEARCHES_MOST {
            self.error(
                &at,
                format!("must not have more than {SEARCHES_MOST} search paths"),
            );
        }
        if searches.join(" ").len() > SEARCHES_LONGEST {
            let message = format!(
                "must not have more than {SEARCHES_LONGEST} characters (including spaces) in the search list"
            );
            self.error(&at, message);
        }
        for (index, domain) in searches.iter().enumerate() {
            self.required(&at.index(index), domain, names::search_domain);
        }
        let mut options = Vec::new();
        for (index, option) in config.options.iter().flatten().enumerate() {
            let at = path.field("options").index(index);
            let name = option.name.clone().unwrap_or_default();
            self.required(&at.field("name"), &name, names::resolver_word);
            if let Some(value) = &option.value {
                self.rule(&at.field("value"), value, names::resolver_word);
            }
            options.push((name, option.value.clone()));
        }
        Dns {
            nameservers,
            searches,
            options,
            ..Dns::default()
        }
    }
}
