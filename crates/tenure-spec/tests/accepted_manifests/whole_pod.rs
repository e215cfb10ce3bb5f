//! What concerns the pod as a whole: its resources, its names and its name servers.

use super::*;

/// A pod with these fields of its spec, and these of its one container.
fn with(spec: &str, container: &str) -> Manifest {
    accept(&format!(
        "{{kind: Pod, apiVersion: v1, metadata: {{name: web.one, namespace: shop}}, spec: {{{spec}, \
         initContainers: [{{name: side, image: bundle:a, restartPolicy: Always, resources: {{requests: {{cpu: 100m}}}}}}, \
         {{name: init, image: bundle:a, resources: {{requests: {{memory: 3Mi}}}}}}], \
         containers: [{{name: app, image: bundle:a, {container}}}]}}}}"
    ))
}

#[test]
fn requests_of_a_pod_are_its_containers_sum_else_its_limits() {
    let own = "resources: {limits: {memory: 1Mi}, requests: {cpu: 250m}}";
    for (resources, container, cpu, memory, published) in [
        (
            "limits: {cpu: 2, memory: 1Gi}",
            own,
            350,
            3 << 20,
            r#"{"cpu":"350m","memory":"3145728"}"#,
        ),
        (
            "limits: {memory: 1Gi}",
            "command: [a]",
            100,
            3 << 20,
            r#"{"cpu":"100m","memory":"3145728"}"#,
        ),
        (
            "requests: {cpu: 1, memory: 4Mi}",
            own,
            1000,
            4 << 20,
            r#"{"cpu":"1","memory":"4Mi"}"#,
        ),
        ("", own, 350, 3 << 20, r#"{"cpu":"350m","memory":"3145728"}"#),
    ] {
        let manifest = with(&format!("resources: {{{resources}}}"), container);
        let checked = &manifest.pod.resources;
        let found = (checked.cpu_request_millis, checked.memory_request_bytes);
        assert_eq!(found, (Some(cpu), Some(memory)), "{resources}");
        let requests = manifest.object.spec.as_ref().unwrap().resources.as_ref().unwrap();
        assert_eq!(
            serde_json::to_string(&requests.requests).unwrap(),
            published,
            "{resources}"
        );
        let again = serde_json::to_string(&manifest.object).unwrap();
        assert_eq!(load(again.as_bytes(), &origin()).unwrap().pod, manifest.pod);
    }
    let alone = accept(
        "{kind: Pod, apiVersion: v1, metadata: {name: a}, spec: {resources: {limits: {cpu: 1500m, memory: 1Gi}}, containers: [{name: app, image: bundle:a}]}}",
    );
    assert_eq!(
        alone.pod.resources,
        Resources {
            cpu_limit_millis: Some(1500),
            cpu_request_millis: Some(1500),
            memory_limit_bytes: Some(1 << 30),
            memory_request_bytes: Some(1 << 30),
            ..Resources::default()
        }
    );
    assert_eq!(with("hostPID: false", own).pod.resources, Resources::default());
}

#[test]
fn huge_pages_have_the_kernels_names() {
    let limits = "{memory: 1Gi, hugepages-2Mi: 4Mi, hugepages-1Gi: 0, hugepages-64Ki: 128Ki}";
    let manifest = with(
        &format!("resources: {{limits: {limits}}}"),
        &format!("resources: {{limits: {limits}, requests: {{hugepages-2Mi: 4096Ki}}}}"),
    );
    let expected = [("1GB", 0), ("2MB", 4 << 20), ("64KB", 128 << 10)]
        .map(|(size, bytes): (&str, u64)| (size.to_owned(), bytes));
    assert_eq!(manifest.pod.resources.huge_pages, expected.clone().into());
    assert_eq!(manifest.pod.containers[0].resources.huge_pages, expected.into());
}

#[test]
fn a_pod_below_a_subdomain_has_a_whole_name_and_a_short_one() {
    for (spec, hostname, names) in [
        ("hostPID: false", "web.one", vec!["web.one"]),
        ("subdomain: \"\"", "web.one", vec!["web.one"]),
        ("setHostnameAsFQDN: true", "web.one", vec!["web.one"]),
        (
            "hostname: h, subdomain: s",
            "h",
            vec!["h.s.shop.svc.cluster.local", "h"],
        ),
        (
            "hostname: h, subdomain: s, setHostnameAsFQDN: true",
            "h.s.shop.svc.cluster.local",
            vec!["h.s.shop.svc.cluster.local", "h"],
        ),
        (
            "hostnameOverride: o.example, subdomain: s",
            "o.example",
            vec!["o.example"],
        ),
    ] {
        let pod = with(spec, "command: [a]").pod;
        assert_eq!(
            (pod.hostname.as_str(), pod.host_names),
            (hostname, names.iter().map(ToString::to_string).collect()),
            "{spec}"
        );
    }
}

#[test]
fn name_servers_searches_and_options_arrive() {
    let config = "dnsConfig: {nameservers: [10.0.0.1, \"fd00::1\"], searches: [a.example, _tcp.b_c.example., .], \
                  options: [{name: ndots, value: \"5\"}, {name: edns0}]}";
    let strings = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (policy, is_only_own) in [
        ("", false),
        ("dnsPolicy: Default, ", false),
        ("dnsPolicy: ClusterFirstWithHostNet, ", false),
        ("dnsPolicy: None, ", true),
    ] {
        let dns = with(&format!("{policy}{config}"), "command: [a]").pod.dns;
        let expected = Dns {
            is_only_own,
            is_given: true,
            nameservers: strings(&["10.0.0.1", "fd00::1"]),
            searches: strings(&["a.example", "_tcp.b_c.example.", "."]),
            options: vec![("ndots".into(), Some("5".into())), ("edns0".into(), None)],
        };
        assert_eq!(dns, expected, "{policy}");
    }
    assert_eq!(with("dnsPolicy: Default", "command: [a]").pod.dns, Dns::default());
    assert!(with("dnsPolicy: Default", "command: [a]").warnings.is_empty());
}
