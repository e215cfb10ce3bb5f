//! Each field of `securityContext` on a real container (lifecycle-semantics 8), or the reason why it is refused.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;

use serde_json::{Value, json};
use tenure_integration::{Manifest, host, shell};

/// What an app with this script writes, with a security context of its own and one of the pod.
#[track_caller]
fn written(test: &str, script: &str, own: Value, pods: Value) -> Option<Vec<String>> {
    let host = host(test)?;
    let manifest = Manifest::new()
        .set("securityContext", pods)
        .app(shell("app", script).set("securityContext", own));
    let pod = host.start(&manifest);
    pod.finish().ok();
    Some(pod.log("app"))
}

#[test]
fn user_and_groups_are_the_containers_else_the_pods() {
    let pods =
        json!({ "runAsUser": 1000, "runAsGroup": 2000, "supplementalGroups": [3000], "fsGroup": 4000 });
    let own = json!({ "runAsGroup": 2001, "runAsNonRoot": true });
    let Some(lines) = written("user", "id -u; id -g; id -G", own, pods) else {
        return;
    };
    assert_eq!(lines[..2], ["1000", "2001"]);
    let mut groups: Vec<&str> = lines[2].split(' ').collect();
    groups.sort_unstable();
    assert_eq!(groups, ["2001", "3000", "4000"]);
}

#[test]
fn root_is_refused_where_it_may_not_be_and_the_reason_is_told() {
    let Some(host) = host("nonroot") else { return };
    let image = "container has runAsNonRoot and image will run as root";
    for (pods, own, message) in [
        (json!({ "runAsNonRoot": true }), json!({}), image),
        (json!({}), json!({ "runAsNonRoot": true }), image),
        (
            json!({ "runAsUser": 0 }),
            json!({ "runAsNonRoot": true }),
            "container's runAsUser breaks non-root policy",
        ),
    ] {
        let app = shell("app", "echo ran").set("securityContext", own);
        let pod = host.start(&Manifest::new().set("securityContext", pods).app(app));
        let outcome = pod.finish().expect_code(125);
        assert!(outcome.stderr.contains(message), "{outcome}");
        let waiting = pod.container("app").state.unwrap().waiting.unwrap();
        assert_eq!(waiting.reason.as_deref(), Some("CreateContainerConfigError"));
        let told = waiting.message.unwrap_or_default();
        assert!(told.contains(message), "{told}");
        assert_eq!(pod.log("app"), [""; 0]);
    }
    host.bundle()
        .set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    let app = shell("app", "id -u").set("securityContext", json!({ "runAsNonRoot": true }));
    let pod = host.start(&Manifest::new().app(app));
    pod.finish().ok();
    assert_eq!(pod.log("app"), ["1000"]);
}

#[test]
fn groups_of_the_image_are_merged_unless_the_policy_is_strict() {
    let Some(host) = host("groups") else { return };
    let accounts = "root:x:0:\napp:x:1000:\nextra:x:5000:app,other\nothers:x:5001:other\n";
    fs::write(host.bundle().rootfs().join("etc/group"), accounts).unwrap();
    let user = json!({ "uid": 0, "gid": 0, "additionalGids": [6000] });
    host.bundle().set("/process/user", user);
    for (policy, wanted) in [
        (json!("Merge"), vec![1000, 3000, 5000, 6000]),
        (json!(null), vec![1000, 3000, 5000, 6000]),
        (json!("Strict"), vec![1000, 3000]),
    ] {
        let pods = json!({
            "runAsUser": 1000, "supplementalGroups": [3000], "supplementalGroupsPolicy": policy,
        });
        let app = shell("app", "id -G; grep Groups: /proc/self/status | cut -f2");
        let pod = host.start(&Manifest::new().set("securityContext", pods).app(app));
        pod.finish().ok();
        let lines = pod.log("app");
        let numbers = |line: &str| {
            let mut all: Vec<u32> = line
                .split_whitespace()
                .map(|word| word.parse().unwrap())
                .collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        assert_eq!(numbers(&lines[0]), wanted, "{policy}");
        // The kernel's list need not have the primary group.
        let mut kernels = numbers(&lines[1]);
        kernels.retain(|group| *group != 1000);
        assert_eq!(kernels, wanted[1..], "{policy}");
    }
}

#[test]
fn capabilities_are_added_and_dropped() {
    let script = "grep CapEff /proc/self/status | cut -f2";
    let add = json!({ "capabilities": { "drop": ["ALL"], "add": ["NET_ADMIN", "CAP_CHOWN"] } });
    let Some(lines) = written("caps", script, add, json!({})) else {
        return;
    };
    assert_eq!(lines, ["0000000000001001"]);
}

#[test]
fn a_root_file_system_is_read_only_where_asked_for() {
    let script = "(: >/x) 2>/dev/null && echo written || echo read-only";
    let own = json!({ "readOnlyRootFilesystem": true });
    let Some(lines) = written("readonly", script, own, json!({})) else {
        return;
    };
    assert_eq!(lines, ["read-only"]);
}

#[test]
fn escalation_is_forbidden_or_allowed() {
    for (allowed, bit) in [(false, "1"), (true, "0")] {
        let script = "grep NoNewPrivs /proc/self/status | cut -f2";
        let own = json!({ "allowPrivilegeEscalation": allowed });
        let Some(lines) = written("escalation", script, own, json!({})) else {
            return;
        };
        assert_eq!(lines, [bit], "allowPrivilegeEscalation: {allowed}");
    }
}

#[test]
fn a_privileged_container_is_spared_the_confinement() {
    let script = "grep NoNewPrivs /proc/self/status | cut -f2; grep -c ' /proc/sys ' /proc/mounts; true";
    let own = json!({ "privileged": true });
    let Some(lines) = written("privileged", script, own, json!({})) else {
        return;
    };
    assert_eq!(lines, ["0", "0"]);
}

#[test]
fn kernel_parameters_of_the_pods_namespaces_are_set() {
    let sysctls = json!({ "sysctls": [
        { "name": "net.ipv4.ip_unprivileged_port_start", "value": "80" },
        { "name": "kernel.shm_rmid_forced", "value": "1" },
    ] });
    let script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced";
    let Some(lines) = written("sysctls", script, json!({}), sysctls) else {
        return;
    };
    assert_eq!(lines, ["80", "1"]);
}

#[test]
fn a_seccomp_profile_of_a_file_filters_and_unconfined_does_not() {
    let Some(host) = host("seccomp") else { return };
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 }],
    });
    fs::write(host.directory().join("no-mkdir.json"), profile.to_string()).unwrap();
    let script =
        "grep -w Seccomp: /proc/self/status | cut -f2; mkdir /tmp/x 2>/dev/null && echo made || echo refused";
    for (profile, wanted) in [
        (
            json!({ "type": "Localhost", "localhostProfile": "no-mkdir.json" }),
            ["2", "refused"],
        ),
        (json!({ "type": "Unconfined" }), ["0", "made"]),
        (json!({ "type": "RuntimeDefault" }), ["0", "made"]),
    ] {
        let app = shell("app", script).set("securityContext", json!({ "seccompProfile": profile }));
        let pod = host.start(&Manifest::new().app(app));
        pod.finish().ok();
        // The bundle has no filter of its own, which is what RuntimeDefault stands for.
        assert_eq!(pod.log("app"), wanted, "{profile}");
    }
    // Compiled filters are kept by the root for the next container, not by a pod.
    let _ = fs::remove_dir_all(host.root().join("seccomp"));
}

#[test]
fn what_cannot_be_had_is_refused_with_its_reason() {
    let Some(host) = host("refused") else { return };
    for (pods, own, words) in [
        (
            json!({}),
            json!({ "procMount": "Unmasked" }),
            "procMount: not supported: Unmasked needs a user namespace",
        ),
        (
            json!({}),
            json!({ "seLinuxOptions": { "level": "s0" } }),
            "seLinuxOptions: not supported: ",
        ),
        (
            json!({}),
            json!({ "appArmorProfile": { "type": "Unconfined" } }),
            "appArmorProfile: not supported: ",
        ),
        (
            json!({ "windowsOptions": { "hostProcess": true } }),
            json!({}),
            "windowsOptions: not supported: this is Linux",
        ),
        (
            json!({ "sysctls": [{ "name": "vm.swappiness", "value": "1" }] }),
            json!({}),
            "belongs to the whole machine",
        ),
    ] {
        let app = shell("app", "true").set("securityContext", own);
        let (_, path) = host.write(&Manifest::new().set("securityContext", pods).app(app));
        let outcome = host
            .run(&["pod", "validate", path.to_str().unwrap()])
            .expect_code(2);
        assert!(outcome.stderr.contains(words), "no {words:?}: {outcome}");
    }
}
