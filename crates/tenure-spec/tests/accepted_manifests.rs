//! Manifests that are accepted, and what becomes of them.

use std::fs;
use std::path::{Path, PathBuf};

use tenure_spec::container::{Resources, RestartPolicy, Seccomp};
use tenure_spec::dns::Dns;
use tenure_spec::manifest::{Manifest, Origin, check_bundles, load, load_file};
use tenure_spec::volume::{HostPathKind, Medium, MountPropagation, Volume, VolumeMount, VolumeSource};
use tenure_spec::{EnvValue, EnvVar, Handler, Image, PodSpec, RestartAction};

#[path = "accepted_manifests/whole_pod.rs"]
mod whole_pod;

fn origin() -> Origin {
    Origin {
        file: "pod.yaml".into(),
        dir: PathBuf::from("/pods"),
    }
}

#[allow(clippy::panic)]
fn accept(text: &str) -> Manifest {
    load(text.as_bytes(), &origin()).unwrap_or_else(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", told.join("\n"))
    })
}

const SMALL: &str = "
apiVersion: v1
kind: Pod
metadata: {name: small}
spec:
  containers:
  - {name: app, image: bundle:app}
";

const LARGE: &str = r#"
# A comment, an anchor, a merge and a document mark are all YAML.
---
apiVersion: v1
kind: Pod
metadata:
  name: large.pod-1
  namespace: prod
  uid: 0b7e4f9e-0000-4000-8000-000000000000
  labels: {app: web, "example.com/tier": front}
  annotations: {note: "any text\nat all"}
spec:
  restartPolicy: OnFailure
  terminationGracePeriodSeconds: 12
  activeDeadlineSeconds: 600
  hostname: front
  shareProcessNamespace: true
  os: {name: linux}
  hostAliases:
  - {ip: 10.0.0.1, hostnames: [db, db.local]}
  - {ip: "::1"}
  securityContext:
    runAsUser: 1000
    runAsNonRoot: true
    fsGroup: 2000
    supplementalGroups: [3000, 4000]
    seccompProfile: {type: RuntimeDefault}
    sysctls: [{name: net.core.somaxconn, value: "1024"}]
  initContainers:
  - name: prepare
    image: bundle-rw:/bundles/./prepare/
    command: [sh, -c, "echo $(WHO)"]
    env: [{name: WHO, value: me}, {name: EMPTY}]
    volumeMounts: [{name: work, mountPath: /work/, subPath: in/side}]
  containers:
  - &app
    name: web
    image: bundle:../web
    args: ["-p", "80"]
    workingDir: /srv
    ports: [{name: http, containerPort: 8080}, {containerPort: 53, protocol: UDP}]
    resources:
      limits: {cpu: 1.5, memory: 64Mi}
      requests: {cpu: 500m}
    securityContext:
      runAsUser: 0
      runAsNonRoot: false
      capabilities: {add: [net_admin], drop: [ALL]}
      readOnlyRootFilesystem: yes
      allowPrivilegeEscalation: false
      seccompProfile: {type: Localhost, localhostProfile: profiles/a.json}
    lifecycle:
      postStart: {httpGet: {port: http, path: shutdown}}
      preStop: {sleep: {seconds: 12}}
      stopSignal: SIGRTMIN+3
    terminationMessagePath: /tmp/message
    terminationMessagePolicy: FallbackToLogsOnError
    stdin: true
    tty: true
    volumeMounts:
    - {name: work, mountPath: /data, readOnly: true}
    - {name: host, mountPath: /host, mountPropagation: HostToContainer}
  - <<: *app
    name: other
    ports: [{name: http, containerPort: 9090}]
    restartPolicy: Never
  volumes:
  - name: work
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - {name: host, hostPath: {path: /srv/data, type: DirectoryOrCreate}}
"#;

#[test]
fn the_smallest_pod_gets_kubernetes_defaults() {
    let manifest = accept(SMALL);
    let pod = &manifest.pod;
    assert_eq!(
        (pod.name.as_str(), pod.namespace.as_str(), pod.hostname.as_str()),
        ("small", "default", "small")
    );
    assert_eq!(pod.restart_policy, RestartPolicy::Always);
    assert_eq!(pod.termination_grace_period_seconds, 30);
    assert_eq!(
        pod.containers[0].image,
        Image::Layered(PathBuf::from("/pods/app"))
    );
    assert_eq!(
        pod.containers[0].termination_message_path,
        Path::new("/dev/termination-log")
    );
    assert!(manifest.warnings.is_empty());
    let object = serde_json::to_value(&manifest.object).unwrap();
    assert_eq!(object["metadata"]["uid"], pod.uid.as_str());
    assert_eq!(object["spec"]["terminationGracePeriodSeconds"], 30);
    assert_eq!(
        object["spec"]["containers"][0]["terminationMessagePolicy"],
        "File"
    );
    let uid: Vec<&str> = pod.uid.split('-').collect();
    assert_eq!(
        uid.iter().map(|part| part.len()).collect::<Vec<_>>(),
        [8, 4, 4, 4, 12]
    );
    assert!(uid[2].starts_with('4'));
    assert_ne!(accept(SMALL).pod.uid, pod.uid);
}

#[test]
fn every_supported_field_arrives() {
    let manifest = accept(LARGE);
    let pod = &manifest.pod;
    assert!(manifest.warnings.is_empty(), "{:?}", manifest.warnings);
    assert_eq!(pod.namespace, "prod");
    assert_eq!(pod.active_deadline_seconds, Some(600));
    assert_eq!(pod.hostname, "front");
    assert!(pod.share_process_namespace);
    assert_eq!(
        pod.host_aliases[0],
        ("10.0.0.1".into(), vec!["db".into(), "db.local".into()])
    );
    assert_eq!(pod.sysctls["net.core.somaxconn"], "1024");
    assert_eq!(
        pod.volumes[1],
        Volume {
            name: "memory".into(),
            source: VolumeSource::EmptyDir {
                medium: Medium::Memory,
                size_limit_bytes: Some(1 << 20)
            }
        }
    );
    assert_eq!(
        pod.volumes[0].source,
        VolumeSource::EmptyDir {
            medium: Medium::Disk,
            size_limit_bytes: None
        }
    );
    let host = VolumeSource::HostPath {
        path: "/srv/data".into(),
        kind: HostPathKind::DirectoryOrCreate,
    };
    assert_eq!(pod.volumes[2].source, host);
    let init = &pod.init_containers[0];
    assert_eq!(init.image, Image::InPlace(PathBuf::from("/bundles/prepare")));
    assert_eq!(
        init.env[1],
        EnvVar {
            name: "EMPTY".into(),
            value: EnvValue::Literal(String::new())
        }
    );
    assert_eq!(init.security.run_as_user, Some(1000));
    assert!(init.security.run_as_non_root);
    assert_eq!(init.security.supplemental_groups, [3000, 4000]);
    assert_eq!(init.security.seccomp, Some(Seccomp::RuntimeDefault));
    assert_eq!(
        init.volume_mounts[0],
        VolumeMount {
            name: "work".into(),
            mount_path: "/work".into(),
            sub_path: Some("in/side".into()),
            read_only: false,
            propagation: MountPropagation::Private,
        }
    );
}

#[test]
fn a_containers_fields_arrive() {
    let manifest = accept(LARGE);
    let web = &manifest.pod.containers[0];
    assert_eq!(web.image, Image::Layered(PathBuf::from("/pods/../web")));
    assert_eq!(
        web.resources,
        Resources {
            cpu_limit_millis: Some(1500),
            cpu_request_millis: Some(500),
            memory_limit_bytes: Some(64 << 20),
            memory_request_bytes: Some(64 << 20),
            ..Resources::default()
        }
    );
    assert_eq!(web.security.run_as_user, Some(0));
    assert!(!web.security.run_as_non_root);
    assert_eq!(web.security.add_capabilities, ["CAP_NET_ADMIN"]);
    assert_eq!(web.security.drop_capabilities, ["ALL"]);
    assert_eq!(web.security.read_only_root_filesystem, Some(true));
    assert_eq!(
        web.security.seccomp,
        Some(Seccomp::Localhost("/pods/profiles/a.json".into()))
    );
    assert_eq!(web.lifecycle.stop_signal.as_deref(), Some("SIGRTMIN+3"));
    assert_eq!(web.lifecycle.pre_stop, Some(Handler::Sleep { seconds: 12 }));
    assert!(web.termination_message_falls_back_to_logs && web.stdin && web.tty);
    let ports: Vec<u16> = manifest
        .pod
        .containers
        .iter()
        .filter_map(|container| match &container.lifecycle.post_start {
            Some(Handler::HttpGet(get)) if get.path == "/shutdown" => Some(get.port.0),
            _ => None,
        })
        .collect();
    assert_eq!(
        ports,
        [8080, 9090],
        "s13, s14: a name is looked up in that container's own ports"
    );
    assert_eq!(
        manifest.pod.containers[1].restart_policy,
        Some(RestartPolicy::Never)
    );
}

#[test]
fn the_accepted_object_is_a_pod_that_is_accepted_again() {
    let manifest = accept(LARGE);
    let object = serde_json::to_string(&manifest.object).unwrap();
    let again = load(object.as_bytes(), &origin()).unwrap();
    assert_eq!(again.pod, manifest.pod);
    assert_eq!(again.object, manifest.object);
}

#[test]
fn a_pod_survives_its_way_to_the_supervisor() {
    for text in [SMALL, LARGE] {
        let pod = accept(text).pod;
        let json = serde_json::to_string(&pod).unwrap();
        assert_eq!(serde_json::from_str::<PodSpec>(&json).unwrap(), pod);
    }
}

#[test]
fn what_cannot_change_behaviour_is_ignored_with_a_warning() {
    let manifest = accept(
        "apiVersion: v1
kind: Pod
metadata: {name: a, creationTimestamp: null, resourceVersion: \"5\", finalizers: []}
spec:
  nodeSelector: {disk: ssd}
  tolerations: []
  enableServiceLinks: false
  automountServiceAccountToken: true
  dnsPolicy: ClusterFirst
  ephemeralContainers: []
  containers:
  - name: app
    image: bundle:app
    imagePullPolicy: Always
    envFrom: []
    resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]
    resources: {requests: {ephemeral-storage: 1Gi}}
status: {phase: Running}
",
    );
    let told: Vec<String> = manifest.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "pod.yaml:3: metadata.resourceVersion: ignored: there is no API server here",
            "pod.yaml:5: spec.nodeSelector: ignored: nothing is scheduled here, the pod runs on this machine",
            "pod.yaml:8: spec.automountServiceAccountToken: ignored: there is no API server here",
            "pod.yaml:9: spec.dnsPolicy: there is no name server of a cluster here: taken as Default",
            "pod.yaml:14: spec.containers[0].imagePullPolicy: ignored: bundles are folders, nothing is pulled",
            "pod.yaml:16: spec.containers[0].resizePolicy: ignored: containers are not resized in place",
            "pod.yaml:17: spec.containers[0].resources.requests[ephemeral-storage]: ignored: nothing is scheduled here, the pod runs on this machine",
            "pod.yaml:18: status: ignored: Tenure publishes the status itself",
        ]
    );
    assert_eq!(manifest.object.status, None);
}

#[test]
fn a_generated_name_ends_in_five_letters() {
    let manifest = accept(&SMALL.replace("name: small", "generateName: job-"));
    let tail = manifest.pod.name.strip_prefix("job-").unwrap();
    assert_eq!(tail.len(), 5);
    assert!(
        tail.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b)),
        "{tail}"
    );
    assert_eq!(manifest.object.metadata.name.as_ref(), Some(&manifest.pod.name));
}

#[test]
fn a_long_name_is_cut_to_a_host_name() {
    let name = format!("{}.{}", "a".repeat(62), "b".repeat(20));
    assert_eq!(
        accept(&SMALL.replace("small", &name)).pod.hostname,
        "a".repeat(62)
    );
    let chosen = SMALL.replace("spec:\n", "spec:\n  hostnameOverride: a.b\n  hostname: c\n");
    assert_eq!(accept(&chosen).pod.hostname, "a.b");
}

/// The lines that are told about a pod's bundles.
#[allow(clippy::unwrap_used)]
fn bundle_faults(dir: &Path) -> Vec<String> {
    fs::write(dir.join("pod.yaml"), SMALL).unwrap();
    let manifest = load_file(&dir.join("pod.yaml")).unwrap();
    let problems = manifest.check_bundles();
    assert_eq!(check_bundles(&manifest.pod).len(), problems.len());
    problems
        .iter()
        .map(|problem| problem.to_string().replace(&dir.display().to_string(), "DIR"))
        .collect()
}

#[test]
fn bundles_that_cannot_be_used_are_told_by_path() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let app = dir.join("app");
    let is = |expected: &str| {
        let whole = format!("DIR/pod.yaml:7: spec.containers[0].image: bundle DIR/app: {expected}");
        assert_eq!(bundle_faults(dir), [whole]);
    };
    is("does not exist");
    fs::write(&app, "a file").unwrap();
    is("is not a folder");
    fs::remove_file(&app).unwrap();
    fs::create_dir(&app).unwrap();
    is("config.json does not exist");
    fs::create_dir(app.join("config.json")).unwrap();
    is("config.json is not a file");
    fs::remove_dir(app.join("config.json")).unwrap();
    for (config, expected) in [
        (
            "{",
            "config.json is not valid JSON: EOF while parsing an object at line 1 column 1",
        ),
        ("[]", "config.json must be an object"),
        ("{}", "config.json: root.path: required"),
        (r#"{"root":{"path":5}}"#, "config.json: root.path: required"),
        (
            r#"{"root":{"path":"rootfs"}}"#,
            "root file system rootfs does not exist",
        ),
        (
            r#"{"root":{"path":"config.json"}}"#,
            "root file system config.json is not a folder",
        ),
    ] {
        fs::write(app.join("config.json"), config).unwrap();
        is(expected);
    }
    fs::write(app.join("config.json"), vec![b' '; 4 * 1024 * 1024 + 1]).unwrap();
    is("config.json is larger than 4 MiB");
    fs::write(app.join("config.json"), r#"{"root":{"path":"rootfs"}}"#).unwrap();
    fs::create_dir(app.join("rootfs")).unwrap();
    assert_eq!(bundle_faults(dir), Vec::<String>::new());
}

#[test]
fn a_manifest_that_cannot_be_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let told = |path: &Path| {
        let problems = load_file(path).unwrap_err();
        assert_eq!(problems.len(), 1);
        problems[0]
            .to_string()
            .replace(&dir.path().display().to_string(), "DIR")
    };
    assert_eq!(
        told(&dir.path().join("none.yaml")),
        "DIR/none.yaml: does not exist"
    );
    assert_eq!(told(dir.path()), "DIR: is a folder, a manifest is wanted");
    let large = dir.path().join("large.yaml");
    fs::write(&large, vec![b'#'; 2 * 1024 * 1024]).unwrap();
    assert_eq!(told(&large), "DIR/large.yaml: larger than 1 MiB");
}

#[test]
fn any_container_may_have_rules_that_restart_all() {
    let with = |name: &str, policy: &str| {
        format!(
            "{{name: {name}, image: 'bundle:app', restartPolicy: {policy}, restartPolicyRules: [{{action: \
             RestartAllContainers, exitCodes: {{operator: In, values: [88]}}}}, {{action: Restart, exitCodes: {{operator: \
             NotIn, values: [0]}}}}]}}"
        )
    };
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: all}}, spec: {{initContainers: [{}, {}], containers: [{}]}}}}",
        with("init", "Never"),
        with("sidecar", "Always"),
        with("app", "OnFailure")
    );
    let manifest = accept(&text);
    assert!(manifest.warnings.is_empty());
    for container in manifest.pod.all_containers() {
        let rules = container.restart_rules.iter();
        let rules: Vec<_> = rules.map(|rule| (rule.action, rule.excludes)).collect();
        let wanted = [
            (RestartAction::RestartAllContainers, false),
            (RestartAction::Restart, true),
        ];
        assert_eq!(rules, wanted, "{}", container.name);
    }
}
