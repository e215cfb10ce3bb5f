//! What a pod gives to its containers: standard input and terminal, resources, names and name servers
//! (lifecycle-semantics 8).
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tenure_integration::{
    AWAIT_READY, Container, Host, Leftovers, Manifest, Outcome, RunningPod, STAY, exec, host, run, shell,
};

fn one(app: Container) -> Manifest {
    Manifest::new().grace(1).app(app)
}

/// Runs a pod of one app to its end and gives what the app wrote.
#[track_caller]
fn output_of(host: &Host, manifest: &Manifest) -> Vec<String> {
    let pod = host.start(manifest);
    pod.finish().ok();
    pod.log("app")
}

#[test]
fn standard_input_is_empty_unless_it_is_asked_for_and_then_it_stays_open() {
    let Some(host) = host("stdin") else { return };
    let without = output_of(&host, &one(shell("app", "cat; readlink /proc/self/fd/0")));
    assert_eq!(without, ["/dev/null"]);
    // Nothing ever comes, not the end of it either: the time is up first.
    let script = "exec 2>/dev/null; timeout 0.5 cat; echo cat $?; echo ready; cat; echo ended";
    let pod = host.start(&one(shell("app", script)
        .set("stdin", true)
        .set("stdinOnce", true)));
    pod.until_wrote("app", "ready");
    pod.stop(&[]).outcome.ok();
    pod.finish();
    assert_eq!(pod.log("app"), ["cat 143", "ready"]);
}

#[test]
fn a_container_has_a_terminal_of_its_own_whose_lines_are_in_its_log() {
    let Some(host) = host("tty") else { return };
    let script = "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo terminal; stty size; echo $TERM; tty; echo err >&2; \
                  : >/dev/tty && echo controlling; seq 2000; printf 'last words'";
    let app = shell("app", script).set("tty", true);
    let pod = host.start(&one(app));
    let shown = pod.finish().ok();
    let log = pod.log_of("app", 0);
    assert!(log.iter().all(|line| line.stream == "stdout"), "{log:?}");
    let mut expected: Vec<String> = ["terminal", "24 80", "xterm", "/dev/pts/0", "err", "controlling"]
        .map(|line| format!("{line}\r"))
        .into();
    expected.extend((1..=2000).map(|number| format!("{number}\r")));
    expected.push("last words".into());
    assert_eq!(pod.log("app"), expected);
    assert_eq!(shown.stdout, expected.join("\n"));
    assert_eq!(shown.stderr, "");
}

#[test]
fn a_terminal_that_is_closed_and_opened_again_is_still_read() {
    let Some(host) = host("ttyagain") else { return };
    let script = "exec 0</dev/null 1>/dev/null 2>/dev/null; (: >/dev/null); sleep 0.2; echo again >/dev/console; \
                  exec 1>/dev/console; echo and again";
    let lines = output_of(&host, &one(shell("app", script).set("tty", true)));
    assert_eq!(lines, ["again\r", "and again\r"]);
}

#[test]
fn handlers_and_probes_of_a_container_with_a_terminal_have_none() {
    let Some(host) = host("ttyhooks") else { return };
    let mut probe = exec("[ -t 1 ] || [ -e /tmp/ready ]");
    probe["periodSeconds"] = 1.into();
    let say =
        format!("{AWAIT_READY}; [ -t 1 ] && echo on-terminal >/proc/1/fd/1 || echo plain >/proc/1/fd/1");
    let app = shell("app", STAY)
        .set("tty", true)
        .set("stdin", true)
        .set("readinessProbe", probe)
        .post_start(exec(&say))
        .pre_stop(exec(&say));
    let pod = host.start(&one(app));
    pod.until_status("readiness", |status| {
        let conditions = status.conditions.iter().flatten();
        conditions
            .into_iter()
            .any(|it| it.type_ == "Ready" && it.status == "True")
    });
    on_a_terminal(&pod);
    pod.stop(&[]).outcome.ok();
    pod.finish();
    let mut lines = pod.log("app");
    // The handler after the start waits for a file that is there a moment before the program says so.
    lines.sort();
    assert_eq!(lines, ["plain\r", "plain\r", "ready\r"]);
}

/// `exec -it` from a terminal into the app: what is typed comes, and both sides are terminals.
#[track_caller]
fn on_a_terminal(pod: &RunningPod<'_>) {
    let host = pod.host;
    let inner = host.tenure(&["pod", "exec", &pod.name, "-i", "-t", "--", "/bin/sh", "-c"]);
    let words = inner.get_args().map(|word| word.to_str().unwrap());
    let line: Vec<&str> = std::iter::once(inner.get_program().to_str().unwrap())
        .chain(words)
        .collect();
    let program = "read word; [ -t 0 ] && [ -t 1 ] && echo got-$word; exit 7";
    let mut command = Command::new("script");
    command
        .args([
            "-q",
            "-e",
            "-c",
            &format!("{} '{program}'", line.join(" ")),
            "/dev/null",
        ])
        .env("TENURE_ROOT", host.root())
        .stdin(typed("hello\n"));
    let outcome: Outcome = run(&mut command, Duration::from_secs(30)).expect_code(7);
    assert!(outcome.stdout.contains("got-hello"), "{outcome}");
}

/// A pipe that holds this text.
fn typed(text: &str) -> Stdio {
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, text.as_bytes()).unwrap();
    reader.into()
}

#[test]
fn a_terminal_works_at_every_start_and_beside_containers_without_one() {
    let Some(host) = host("ttyagain2") else { return };
    let count = "n=$(cat /v/n 2>/dev/null || echo 0); echo $((n+1)) >/v/n; echo start $n; [ $n -ge 1 ]";
    let manifest = one(shell("app", count).set("tty", true).mount("v", "/v"))
        .app(shell("plain", "[ -t 1 ] || echo no terminal"))
        .init(shell("init", "[ -t 1 ] && echo init").set("tty", true))
        .restart_policy("OnFailure")
        .volume(json!({ "name": "v", "emptyDir": {} }));
    let pod = host.start(&manifest);
    let shown = pod.finish().ok();
    for number in 0..2 {
        let lines: Vec<_> = pod
            .log_of("app", number)
            .into_iter()
            .map(|line| line.text)
            .collect();
        assert_eq!(lines, [format!("start {number}\r")]);
        assert!(
            shown.stdout.contains(&format!("app | start {number}\r\n")),
            "{shown}"
        );
    }
    assert_eq!(pod.log("plain"), ["no terminal"]);
    assert_eq!(pod.log("init"), ["init\r"]);
}

/// What a file holds in the cgroups of a pod and its containers.
fn cgroup_values(host: &Host, file: &str) -> Vec<String> {
    let cgroups = Leftovers::running(host.token()).cgroups;
    let read = |cgroup: &std::path::PathBuf| fs::read_to_string(cgroup.join(file)).ok();
    let values = cgroups.iter().filter_map(read);
    values.map(|value| value.trim().to_owned()).collect()
}

#[test]
fn what_a_pod_may_use_reaches_the_kernel_once_and_its_containers_are_told() {
    let Some(host) = host("podlimits") else { return };
    let amount = |name: &str, resource: &str, divisor: &str| {
        let source = json!({ "resource": resource, "divisor": divisor });
        json!({ "name": name, "valueFrom": { "resourceFieldRef": source } })
    };
    let told = json!([
        amount("CPU", "limits.cpu", "1m"),
        amount("MEMORY", "limits.memory", "1Mi")
    ]);
    let a = shell("app", &format!("echo $CPU $MEMORY; {STAY}")).set("env", told);
    let b = shell("other", STAY).set("resources", json!({ "limits": { "memory": "32Mi" } }));
    let limits = json!({ "limits": { "cpu": "500m", "memory": "64Mi" } });
    let pod = host.start(&one(a).app(b).set("resources", limits));
    pod.until_wrote("app", "ready");
    pod.until_wrote("other", "ready");
    assert_eq!(pod.log("app")[0], "500 64");
    let of = |v1: &str, v2: &str| [cgroup_values(&host, v1), cgroup_values(&host, v2)].concat();
    let times =
        |values: &[String], wanted: &str| values.iter().filter(|value| value.starts_with(wanted)).count();
    let memory = of("memory.limit_in_bytes", "memory.max");
    assert_eq!(
        (times(&memory, "67108864"), times(&memory, "33554432")),
        (1, 1),
        "{memory:?}"
    );
    let quota = of("cpu.cfs_quota_us", "cpu.max");
    assert_eq!(times(&quota, "50000"), 1, "{quota:?}");
    let shares = of("cpu.shares", "cpu.weight");
    // On v2 as weights: 512 shares are 20.
    assert!(
        times(&shares, "512") == 1 || times(&shares, "20") == 1,
        "{shares:?}"
    );
    assert_eq!(pod.status().qos_class.as_deref(), Some("Burstable"));
    pod.stop(&[]).outcome.ok();
    pod.finish();
}

#[test]
fn a_container_that_takes_the_pod_over_its_limit_ends_as_oom_killed() {
    let Some(host) = host("podoom") else { return };
    let app = Container::new(
        "app",
        &["dd", "if=/dev/zero", "of=/dev/null", "bs=128M", "count=1"],
    );
    let pod = host.start(&one(app).set("resources", json!({ "limits": { "memory": "32Mi" } })));
    pod.finish().expect_code(137);
    let ended = pod.container("app").state.unwrap().terminated.unwrap();
    assert_eq!(
        (ended.exit_code, ended.reason.as_deref()),
        (137, Some("OOMKilled"))
    );
}

#[test]
fn a_pod_below_a_subdomain_knows_itself_by_its_whole_name() {
    let Some(host) = host("subdomain") else { return };
    let whole = "h.sub.default.svc.cluster.local";
    let script = "hostname; cat /etc/hostname; echo $HOSTNAME; grep sub /etc/hosts";
    for (is_whole, name) in [(false, "h"), (true, whole)] {
        let manifest = one(shell("app", script))
            .set("hostname", "h")
            .set("subdomain", "sub")
            .set("setHostnameAsFQDN", is_whole);
        let line = format!("127.0.0.1\t{whole}\th");
        assert_eq!(output_of(&host, &manifest), [name, name, name, &line]);
    }
}

/// What a pod of an init container and an app finds in its /etc/resolv.conf: the app also what the other wrote there.
#[track_caller]
fn resolv_conf(host: &Host, image: &str, fields: &[(&str, serde_json::Value)]) -> String {
    let show = "cat /etc/resolv.conf";
    let init = shell("init", &format!("{show}; echo '# written' >>/etc/resolv.conf"));
    let app = shell("app", show);
    let mut manifest = one(app.set("image", image)).init(init.set("image", image));
    for (field, value) in fields {
        manifest = manifest.set(field, value.clone());
    }
    let pod = host.start(&manifest);
    pod.finish().ok();
    let text = |name| {
        pod.log(name)
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let (first, second): (String, String) = (text("init"), text("app"));
    assert_eq!(second, format!("{first}# written\n"));
    first
}

#[test]
fn names_are_resolved_as_the_manifest_says_else_the_bundle_else_the_machine() {
    let Some(host) = host("dns") else { return };
    let none = ("dnsPolicy", json!("None"));
    let config = json!({
        "nameservers": ["192.0.2.1"],
        "searches": ["a.example", "b.example"],
        "options": [{ "name": "ndots", "value": "7" }, { "name": "edns0" }],
    });
    let own = "search a.example b.example\nnameserver 192.0.2.1\noptions ndots:7 edns0\n";
    let given = ("dnsConfig", config);
    assert_eq!(
        resolv_conf(&host, "bundle:box", &[none.clone(), given.clone()]),
        own
    );
    // The place in a bundle's own root file system is made.
    let rw = resolv_conf(&host, "bundle-rw:box", &[none.clone(), given.clone()]);
    assert_eq!(rw, own);
    let machines = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let text = resolv_conf(&host, "bundle:box", &[("dnsPolicy", json!("Default"))]);
    assert_eq!(text.trim_end(), machines.trim_end());
    let added = resolv_conf(&host, "bundle:box", std::slice::from_ref(&given));
    assert!(
        added.contains("b.example") && added.contains("ndots:7"),
        "{added}"
    );
    // A bundle's own mount stands unless the manifest gives a configuration.
    let bundles = host.directory().join("resolv.conf");
    fs::write(&bundles, "nameserver 192.0.2.9\n").unwrap();
    let mut mounts = host.bundle().config["mounts"].clone();
    mounts.as_array_mut().unwrap().push(json!({
        "destination": "/etc/resolv.conf", "type": "bind", "source": bundles, "options": ["bind", "rw"],
    }));
    host.bundle().set("/mounts", mounts);
    assert_eq!(resolv_conf(&host, "bundle:box", &[]), "nameserver 192.0.2.9\n");
    assert_eq!(resolv_conf(&host, "bundle:box", &[none, given]), own);
}
