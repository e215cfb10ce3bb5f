//! The OCI commands on real containers. With `TENURE_RUNTIME=runc` the same tests ask runc, which is what they promise
//! to behave like; what is Tenure's own is passed over then.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tenure_integration::{STAY, assert_about, host, shell_box, spawn, wait_until};

const LIVES: &str = "trap 'echo TERM; exit 7' TERM; echo ready; while :; do sleep 1000 & wait $!; done";

#[test]
fn run_hands_on_output_and_exit_code() {
    let Some(this) = shell_box("ocirun", "echo out; echo err >&2; exit 3") else {
        return;
    };
    let outcome = this.run().expect_code(3);
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("out\n", "err\n")
    );
    this.host.run_oci(&["state", &this.id]).expect_code(1);
    this.host.assert_nothing_is_left();
}

#[test]
fn run_hands_on_standard_input() {
    let Some(this) = shell_box("ocistdin", "cat; echo end") else {
        return;
    };
    let mut command = this.host.oci(&["run", "--bundle", this.bundle_path(), &this.id]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"line\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "line\nend\n");
}

#[test]
fn run_ends_with_128_and_the_number_of_the_signal() {
    let Some(this) = shell_box("ocisig", LIVES) else {
        return;
    };
    let spawned = spawn(&mut this.host.oci(&["run", "--bundle", this.bundle_path(), &this.id]));
    let running = || {
        this.host
            .run_oci(&["state", &this.id])
            .stdout
            .contains("running")
            .then_some(())
    };
    wait_until(Duration::from_secs(10), running).expect("the container runs");
    this.host.run_oci(&["kill", &this.id, "KILL"]).ok();
    tenure_integration::finish(spawned, Duration::from_secs(10)).expect_code(137);
}

#[test]
fn run_forwards_signals() {
    let Some(this) = shell_box("ocifwd", LIVES) else {
        return;
    };
    let spawned = spawn(&mut this.host.oci(&["run", "--bundle", this.bundle_path(), &this.id]));
    let running = || {
        this.host
            .run_oci(&["state", &this.id])
            .stdout
            .contains("running")
            .then_some(())
    };
    wait_until(Duration::from_secs(10), running).expect("the container runs");
    let has_trap = || {
        let pid = this.state()["pid"].as_i64().unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:\t").map(str::to_owned))?;
        (u64::from_str_radix(&caught, 16).unwrap() & (1 << 14) != 0).then_some(())
    };
    wait_until(Duration::from_secs(10), has_trap).expect("the container catches SIGTERM");
    kill(Pid::from_raw(spawned.id().cast_signed()), Signal::SIGTERM).unwrap();
    let outcome = tenure_integration::finish(spawned, Duration::from_secs(10)).expect_code(7);
    assert_eq!(outcome.stdout, "ready\nTERM\n");
}

#[test]
fn a_created_container_runs_nothing_until_it_is_started() {
    let Some(this) = shell_box("ocicreate", LIVES) else {
        return;
    };
    let pid_file = this.host.directory().join("pid");
    this.create(&["--pid-file", pid_file.to_str().unwrap()]);
    let state = this.state();
    assert_eq!(state["status"], "created");
    assert_eq!(state["id"], this.id.as_str());
    assert_eq!(
        state["bundle"],
        this.bundle.path.canonicalize().unwrap().to_str().unwrap()
    );
    assert!(state["ociVersion"].as_str().unwrap().starts_with("1."));
    assert_eq!(
        fs::read_to_string(&pid_file).unwrap().trim(),
        state["pid"].to_string()
    );
    assert_eq!(this.output(), "");

    this.host.run_oci(&["start", &this.id]).ok();
    wait_until(Duration::from_secs(10), || {
        this.output().contains("ready").then_some(())
    })
    .expect("ready");
    assert_eq!(this.status(), "running");
    this.host.run_oci(&["start", &this.id]).expect_code(1);

    this.host.run_oci(&["kill", &this.id, "TERM"]).ok();
    this.until_stopped();
    assert_eq!(this.output(), "ready\nTERM\n");
    this.delete(&[]);
    this.host.run_oci(&["state", &this.id]).expect_code(1);
    this.host.assert_nothing_is_left();
}

#[test]
fn a_created_container_can_be_killed_and_never_starts() {
    let Some(this) = shell_box("ocikillcr", LIVES) else {
        return;
    };
    this.create(&[]);
    this.host.run_oci(&["kill", &this.id, "KILL"]).ok();
    this.until_stopped();
    this.host.run_oci(&["start", &this.id]).expect_code(1);
    this.delete(&[]);
    assert_eq!(this.output(), "");
}

#[test]
fn kill_takes_names_and_numbers_and_refuses_a_stopped_container() {
    let Some(this) = shell_box(
        "ocikill",
        "trap 'echo got' USR1; trap 'exit 0' TERM; echo ready; while :; do sleep 1000 & wait $!; done",
    ) else {
        return;
    };
    this.start();
    for (count, signal) in ["USR1", "SIGUSR1", "10"].into_iter().enumerate() {
        this.host.run_oci(&["kill", &this.id, signal]).ok();
        let got = || (this.output().matches("got").count() == count + 1).then_some(());
        wait_until(Duration::from_secs(5), got).unwrap_or_else(|| panic!("{signal} did not arrive"));
        assert_eq!(this.status(), "running");
    }
    this.host.run_oci(&["kill", &this.id, "NOSUCH"]).expect_code(1);
    this.host.run_oci(&["kill", &this.id]).ok();
    this.until_stopped();
    let refused = this.host.run_oci(&["kill", &this.id, "TERM"]).expect_code(1);
    assert!(refused.stderr.contains("container not running"), "{refused}");
}

#[test]
fn a_running_container_is_deleted_only_by_force() {
    let Some(this) = shell_box("ocidelete", "trap '' TERM; sleep 1000 & echo ready; wait") else {
        return;
    };
    this.start();
    this.host.run_oci(&["delete", &this.id]).expect_code(1);
    assert_eq!(this.status(), "running");
    this.delete(&["--force"]);
    this.host.assert_nothing_is_left();
    this.delete(&["--force"]);
    this.host.run_oci(&["delete", &this.id]).expect_code(1);
}

#[test]
fn an_id_is_used_once() {
    let Some(this) = shell_box("ociid", LIVES) else {
        return;
    };
    this.start();
    let again = this.run();
    assert_ne!(again.code, 0);
    assert!(
        again.stderr.contains("already exists") || again.stderr.contains("exists"),
        "{again}"
    );
    assert_eq!(this.status(), "running");
}

#[test]
fn two_containers_share_a_bundle() {
    let Some(this) = shell_box("ocitwo", LIVES) else {
        return;
    };
    this.start();
    let other = this.host.container_id();
    let mut command = this
        .host
        .oci(&["run", "--detach", "--bundle", this.bundle_path(), &other]);
    let status = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let list = this.host.run_oci(&["list", "--quiet"]).ok();
    let ids: Vec<&str> = list.stdout.lines().collect();
    assert!(
        ids.contains(&this.id.as_str()) && ids.contains(&other.as_str()),
        "{list}"
    );
    let list = this.host.run_oci(&["list", "--format", "json"]).ok();
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert!(list[0]["pid"].is_number() && list[0]["status"] == "running");
    this.host.run_oci(&["delete", "--force", &other]).ok();
}

#[test]
fn exec_runs_in_the_container_and_hands_on_the_exit_code() {
    let Some(this) = shell_box("ociexec", LIVES) else {
        return;
    };
    this.start();
    let outcome = this
        .exec(&[&this.id, "/bin/sh", "-c", "hostname; echo err >&2; exit 9"])
        .expect_code(9);
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("box\n", "err\n")
    );
    let outcome = this.exec(&[
        "--cwd",
        "/tmp",
        "--env",
        "A=1",
        "--user",
        "1000:1000",
        &this.id,
        "/bin/sh",
        "-c",
        "pwd; echo $A; id -u; id -g",
    ]);
    assert_eq!(outcome.ok().stdout, "/tmp\n1\n1000\n1000\n");
    let outcome = this.exec(&[&this.id, "/bin/sh", "-c", "kill -9 $$"]);
    outcome.expect_code(137);
    let outcome = this.exec(&[&this.id, "ls", "/proc/self/fd"]).ok();
    assert_eq!(outcome.stdout, "0\n1\n2\n3\n");
}

#[test]
fn exec_by_a_process_file() {
    let Some(this) = shell_box("ociprocess", LIVES) else {
        return;
    };
    this.start();
    let mut process = this.bundle.config["process"].clone();
    process["args"] = json!(["/bin/sh", "-c", "echo $B"]);
    process["env"] = json!(["PATH=/bin", "B=2"]);
    let file = this.host.directory().join("process.json");
    fs::write(&file, process.to_string()).unwrap();
    let pid_file = this.host.directory().join("exec.pid");
    let outcome = this.exec(&[
        "--process",
        file.to_str().unwrap(),
        "--pid-file",
        pid_file.to_str().unwrap(),
        &this.id,
    ]);
    assert_eq!(outcome.ok().stdout, "2\n");
    assert!(
        fs::read_to_string(pid_file)
            .unwrap()
            .trim()
            .parse::<u32>()
            .unwrap()
            > 1
    );
}

#[test]
fn exec_in_a_created_container_runs_and_in_a_stopped_one_does_not() {
    let Some(this) = shell_box("ociexecst", LIVES) else {
        return;
    };
    this.create(&[]);
    assert_eq!(this.exec(&[&this.id, "echo", "early"]).ok().stdout, "early\n");
    this.host.run_oci(&["kill", &this.id, "KILL"]).ok();
    this.until_stopped();
    let refused = this.exec(&[&this.id, "echo", "late"]);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("cannot exec in a stopped container"),
        "{refused}"
    );
}

#[test]
fn a_missing_program_is_told_by_the_exit_code() {
    let Some(mut this) = shell_box("ocimissing", "true") else {
        return;
    };
    this.bundle.set("/process/args", json!(["/no/such/program"]));
    let outcome = this.run();
    assert!(outcome.stderr.contains("no such file or directory"), "{outcome}");
    this.bundle.set("/process/args", json!(["no-such-program"]));
    let in_path = this.run();
    assert!(
        in_path.stderr.contains("executable file not found in $PATH"),
        "{in_path}"
    );
    this.bundle.set("/process/args", json!(["/etc/passwd"]));
    let no_program = this.run();
    assert!(
        no_program.stderr.to_lowercase().contains("permission denied"),
        "{no_program}"
    );
    if this.host.runtime().is_none() {
        assert_eq!([outcome.code, in_path.code, no_program.code], [127, 127, 126]);
        this.bundle.set("/process/args", json!(["/bin/sh", "-c", LIVES]));
        this.start();
        this.exec(&[&this.id, "/no/such/program"])
            .expect_code(127)
            .one_line_of_error();
        this.exec(&[&this.id, "/etc/passwd"])
            .expect_code(126)
            .one_line_of_error();
    }
    this.host.run_oci(&["delete", "--force", &this.id]).ok();
    this.host.assert_nothing_is_left();
}

#[test]
fn the_container_has_its_own_environment_and_no_descriptor_of_the_runtimes() {
    let Some(this) = shell_box(
        "ocienv",
        "env | sort; ls /proc/self/fd; ls -l /proc/self/exe | grep -c busybox",
    ) else {
        return;
    };
    let outcome = this.run().ok();
    let names: Vec<&str> = outcome
        .stdout
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    assert!(
        names
            .iter()
            .all(|name| ["HOME", "PATH", "PWD", "SHLVL", "TEST_TOKEN"].contains(name)),
        "{names:?}"
    );
    assert!(outcome.stdout.ends_with("0\n1\n2\n3\n1\n"), "{outcome}");
}

#[test]
fn the_process_is_what_config_json_says() {
    let script = "id -u; id -g; id -G; pwd; umask; ulimit -n; grep -E 'NoNewPrivs|CapEff' /proc/self/status; cat /proc/self/oom_score_adj; (: >/x) 2>/dev/null || echo read-only";
    let Some(mut this) = shell_box("ociprocfg", script) else {
        return;
    };
    this.bundle.set(
        "/process/user",
        json!({ "uid": 1000, "gid": 1000, "additionalGids": [5], "umask": 23 }),
    );
    this.bundle.set("/process/cwd", json!("/var"));
    this.bundle.set(
        "/process/rlimits",
        json!([{ "type": "RLIMIT_NOFILE", "soft": 99, "hard": 100 }]),
    );
    this.bundle.set("/process/oomScoreAdj", json!(77));
    this.bundle.set("/root/readonly", json!(true));
    let outcome = this.run().ok();
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(
        lines[..6],
        ["1000", "1000", "1000 5", "/var", "0027", "99"],
        "{outcome}"
    );
    assert!(
        lines.contains(&"CapEff:\t0000000000000000") && lines.contains(&"NoNewPrivs:\t1"),
        "{outcome}"
    );
    assert_eq!(lines[lines.len() - 2..], ["77", "read-only"]);
}

#[test]
fn limits_are_the_kernels() {
    let Some(mut this) = shell_box(
        "ocilimit",
        "for i in 1 2 3 4 5 6 7 8 9; do sleep 3 & done; echo all",
    ) else {
        return;
    };
    this.bundle.set("/linux/resources/pids", json!({ "limit": 4 }));
    let outcome = this.run();
    assert!(outcome.stderr.contains("can't fork"), "{outcome}");
    let eats = "x=0123456789abcdef; while :; do x=$x$x; done";
    this.bundle.set("/process/args", json!(["/bin/sh", "-c", eats]));
    this.bundle
        .set("/linux/resources", json!({ "memory": { "limit": 16_777_216 } }));
    this.run().expect_code(137);
}

#[test]
fn hooks_run_in_their_order_with_the_state_on_standard_input() {
    let Some(mut this) = shell_box("ocihooks", "echo ready") else {
        return;
    };
    let trace = this.host.directory().join("trace");
    let hook = |name: &str| {
        let script = format!(
            "echo {name} $(cat | sed 's/.*\"status\" *: *\"\\([a-z]*\\)\".*/\\1/') >>{}",
            trace.display()
        );
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"] }])
    };
    let mut hooks = json!({});
    for name in ["prestart", "createRuntime", "poststart", "poststop"] {
        hooks[name] = hook(name);
    }
    this.bundle.set("/hooks", hooks);
    this.run().ok();
    let trace = fs::read_to_string(trace).unwrap();
    let lines: Vec<&str> = trace.lines().collect();
    assert_eq!(lines.len(), 4, "{trace}");
    for (line, name) in lines
        .iter()
        .zip(["prestart", "createRuntime", "poststart", "poststop"])
    {
        assert!(line.starts_with(name), "{trace}");
    }
    assert_eq!(lines[3], "poststop stopped");
}

#[test]
fn s103_a_failing_poststart_hook_is_an_error_and_leaves_no_container() {
    let Some(mut this) = shell_box("ocis103", LIVES) else {
        return;
    };
    this.bundle
        .set("/hooks", json!({ "poststart": [{ "path": "/bin/false" }] }));
    let outcome = this.run();
    assert_ne!(outcome.code, 0, "{outcome}");
    this.host.run_oci(&["state", &this.id]).expect_code(1);
    this.host.assert_nothing_is_left();
}

#[test]
fn a_container_joins_namespaces_by_path() {
    let Some(this) = shell_box("ocijoin", LIVES) else {
        return;
    };
    this.start();
    let pid = this.state()["pid"].as_i64().unwrap();
    let mut other = this.host.new_bundle(
        "other",
        &["/bin/sh", "-c", "hostname; readlink /proc/self/ns/net"],
    );
    let path = |namespace: &str| json!({ "type": if namespace == "net" { "network" } else { namespace }, "path": format!("/proc/{pid}/ns/{namespace}") });
    other.set(
        "/linux/namespaces",
        json!([path("net"), path("ipc"), path("uts"), { "type": "pid" }, { "type": "mount" }]),
    );
    other.config.as_object_mut().unwrap().remove("hostname");
    other.write();
    let id = this.host.container_id();
    let outcome = this
        .host
        .run_oci(&["run", "--bundle", other.path.to_str().unwrap(), &id])
        .ok();
    let network = fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_eq!(outcome.stdout, format!("box\n{}\n", network.display()));
}

#[test]
fn run_without_lifecycle_annotations_is_not_managed() {
    let Some(this) = shell_box("ociplain", &format!("trap 'echo TERM' TERM; {STAY}")) else {
        return;
    };
    let spawned = spawn(&mut this.host.oci(&["run", "--bundle", this.bundle_path(), &this.id]));
    let running = || {
        this.host
            .run_oci(&["state", &this.id])
            .stdout
            .contains("running")
            .then_some(())
    };
    wait_until(Duration::from_secs(10), running).expect("the container runs");
    kill(Pid::from_raw(spawned.id().cast_signed()), Signal::SIGTERM).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(this.status(), "running", "nothing follows the signal");
    this.host.run_oci(&["kill", &this.id, "KILL"]).ok();
    tenure_integration::finish(spawned, Duration::from_secs(10)).expect_code(137);
}

#[test]
fn run_with_lifecycle_annotations_stops_as_a_pod_does() {
    let script = "trap 'echo TERM' TERM; : >/tmp/ready; echo ready; while :; do sleep 1000 & wait $!; done";
    let Some(mut this) = shell_box("ocimanaged", script) else {
        return;
    };
    if this.host.runtime().is_some() {
        return;
    }
    let handler = |script: &str| json!({ "exec": { "command": ["/bin/sh", "-c", script] } }).to_string();
    this.bundle.set(
        "/annotations",
        json!({
            "org.tenure.lifecycle.postStart": handler("until [ -e /tmp/ready ]; do sleep 0.05; done; echo begun >>/proc/1/fd/1"),
            "org.tenure.lifecycle.preStop": handler("sleep 1; echo pre-stop >>/proc/1/fd/1"),
            "org.tenure.lifecycle.terminationGracePeriodSeconds": "3",
        }),
    );
    let seen = this.host.directory().join("seen");
    let mut command = this.host.oci(&["run", "--bundle", this.bundle_path(), &this.id]);
    let output = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&seen)
        .unwrap();
    let mut child = command.stdout(output).spawn().unwrap();
    let written = || fs::read_to_string(&seen).unwrap().contains("begun").then_some(());
    wait_until(Duration::from_secs(10), written).expect("postStart has run");
    let asked = Instant::now();
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(137));
    assert_about("KILL", asked.elapsed().as_secs_f64(), 3.0);
    assert_eq!(
        fs::read_to_string(&seen).unwrap(),
        "ready\nbegun\npre-stop\nTERM\n"
    );
    this.host.assert_nothing_is_left();
}

#[test]
fn the_version_is_told_in_the_form_that_callers_parse() {
    let Some(host) = host("ociversion") else { return };
    let outcome = host.run_oci(&["--version"]).ok();
    let mut words = outcome.stdout.lines().next().unwrap().split(' ');
    assert!(words.next().is_some());
    assert_eq!(words.next(), Some("version"), "{outcome}");
    assert!(
        outcome.stdout.lines().any(|line| line.starts_with("spec: 1.")),
        "{outcome}"
    );
}

#[test]
fn the_log_file_tells_an_error_as_json() {
    let Some(host) = host("ocilog") else { return };
    let log = host.directory().join("log");
    host.run_oci(&[
        "--log",
        log.to_str().unwrap(),
        "--log-format",
        "json",
        "state",
        "no-such-container",
    ])
    .expect_code(1);
    let text = fs::read_to_string(log).unwrap();
    let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(line["level"], "error");
    assert!(line["msg"].as_str().unwrap().contains("does not exist"), "{text}");
    assert!(line["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
}
