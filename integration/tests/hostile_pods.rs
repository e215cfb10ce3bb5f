//! Pods whose containers do what they can to hold up whoever supervises them.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use tenure_integration::{Manifest, assert_between, ends_on_term, exec, host, shell};

#[test]
fn a_container_that_writes_without_pause_holds_nothing_up() {
    let Some(host) = host("flood") else { return };
    let flood = shell("flood", "exec tr '\\0' '\\n' </dev/zero");
    let beside = ends_on_term("beside", 0).pre_stop(exec("true"));
    let (pod, outcome) = host.detach(&Manifest::new().grace(1).app(flood).app(beside));
    outcome.ok();
    pod.until_wrote("beside", "ready");
    let stopped = pod.stop(&[]);
    assert_between("end", stopped.seconds(), 0.0, 5.0);
    assert_eq!(pod.log("beside"), ["ready", "TERM", "bye"]);
    host.assert_nothing_runs();
}

#[test]
fn a_handler_that_writes_without_pause_ends_with_the_grace() {
    let Some(host) = host("floodhook") else { return };
    let app = ends_on_term("app", 0).pre_stop(exec("exec tr '\\0' '\\n' </dev/zero"));
    let (pod, outcome) = host.detach(&Manifest::new().grace(1).app(app));
    outcome.ok();
    pod.until_wrote("app", "ready");
    let stopped = pod.stop(&[]);
    assert_between("end", stopped.seconds(), 1.0, 5.0);
    host.assert_nothing_runs();
}

#[test]
fn folders_deeper_than_a_path_is_long_go_with_their_pod() {
    let Some(host) = host("deep") else { return };
    // As deep as a path can be, and in the deepest as deep again.
    let nest =
        "p=$(printf 'd/%.0s' $(seq 1900)); mkdir -p $p && mv d e && mkdir -p $p && mv e $p && echo nested";
    let pod = host.start(&Manifest::new().restart_policy("Never").app(shell("app", nest)));
    pod.finish().ok();
    assert_eq!(pod.log("app"), ["nested"]);
    host.run(&["pod", "delete", &pod.name]).ok();
    host.assert_nothing_is_left();
}
