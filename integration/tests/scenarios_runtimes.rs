//! The same pods on every OCI runtime of the host: what is seen of them does not differ (lifecycle-semantics 9;
//! scenario S102).
//!
//! Where the environment names a runtime, only that one is tried: the others have had their turn without it.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};

use serde_json::json;
use tenure_integration::{
    Host, Manifest, RunningPod, assert_between, ends_on_term, exec, host, seconds_between, shell, tolerance,
};

/// The options of `tenure pod run` that choose each runtime; none for Tenure's own, or the environment's.
fn runtimes(host: &Host) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    if host.runtime().is_none() {
        let others = ["runc", "crun", "youki"].into_iter().filter_map(installed);
        found.extend(others.map(|path| vec!["--runtime".to_owned(), path.to_str().unwrap().to_owned()]));
    }
    found
}

fn installed(name: &str) -> Option<PathBuf> {
    // It says of itself that it does not support cgroup v1 and v2 side by side.
    if name == "crun" && Path::new("/sys/fs/cgroup/unified/cgroup.procs").exists() {
        eprintln!("crun is passed over: cgroups of both versions");
        return None;
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// Runs a pod on each runtime, one after the other.
fn on_each(host: &Host, manifest: &Manifest, judge: impl Fn(&RunningPod<'_>)) {
    for options in runtimes(host) {
        eprintln!("runtime: {options:?}");
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let pod = host.start_with(&options, manifest);
        judge(&pod);
        host.assert_nothing_runs();
    }
}

#[test]
fn s102_on_every_runtime_the_pod_is_running_once_post_start_has_returned() {
    let Some(host) = host("s102a") else { return };
    let app = ends_on_term("app", 0).post_start(exec("sleep 3"));
    on_each(&host, &Manifest::new().app(app), |pod| {
        let ready = pod.until_wrote("app", "ready");
        assert_eq!(pod.status().phase.as_deref(), Some("Pending"));
        pod.until_phase("Running");
        let took = seconds_between(ready, jiff::Timestamp::now());
        assert_between("time until Running", took, 1.5, 3.0 + 4.0 * tolerance());
        pod.stop(&[]).outcome.ok();
        pod.finish().ok();
    });
}

#[test]
fn s102_on_every_runtime_pre_stop_comes_before_term() {
    let Some(host) = host("s102b") else { return };
    let app = ends_on_term("app", 1).pre_stop(exec("sleep 3"));
    on_each(&host, &Manifest::new().grace(20).app(app), |pod| {
        pod.until_wrote("app", "ready");
        pod.until_phase("Running");
        let stopped = pod.stop(&[]);
        pod.finish().ok();
        let term = stopped.until(pod.wrote("app", "TERM"));
        assert_between("TERM", term, 2.5, 3.0 + 4.0 * tolerance());
        assert_between(
            "end",
            stopped.seconds(),
            term + 0.9,
            term + 1.0 + 2.0 * tolerance(),
        );
    });
}

#[test]
fn s102_on_every_runtime_kill_leaves_no_process() {
    let Some(host) = host("s102c") else { return };
    let script = "trap '' TERM; sleep 1000 & (trap '' TERM; sleep 1001) & echo ready; sleep 1002";
    for shared in [false, true] {
        let manifest = Manifest::new()
            .grace(1)
            .set("shareProcessNamespace", shared)
            .app(shell("app", script));
        on_each(&host, &manifest, |pod| {
            pod.until_wrote("app", "ready");
            pod.until_phase("Running");
            pod.stop(&[]).outcome.ok();
            pod.finish().expect_code(137);
        });
    }
}

#[test]
fn s102_on_every_runtime_sidecars_end_from_the_last_after_the_app() {
    let Some(host) = host("s102d") else { return };
    let sidecar = |name| ends_on_term(name, 1).set("restartPolicy", json!("Always"));
    let manifest = Manifest::new()
        .grace(60)
        .init(sidecar("s1"))
        .init(sidecar("s2"))
        .app(ends_on_term("app", 1));
    on_each(&host, &manifest, |pod| {
        for name in ["s1", "s2", "app"] {
            pod.until_wrote(name, "ready");
        }
        pod.until_phase("Running");
        pod.stop(&[]).outcome.ok();
        pod.finish().ok();
        for (first, then) in [("app", "s2"), ("s2", "s1")] {
            assert!(
                pod.wrote(first, "bye") < pod.wrote(then, "TERM"),
                "{then} before {first}"
            );
        }
    });
}
