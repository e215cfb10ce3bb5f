//! What every OCI command says when it cannot do what is asked: the exit code, one line on standard error, and the same
//! line in the log as JSON. No error changes a container.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tenure_integration::{Host, Outcome, host, wait_until};

/// Rows of arguments, exit code and a part of the line, separated by ` | `. RUN, CREATED, STOPPED and PAUSED are containers.
const ROWS: &str = r#"
create | 2 | <ID>
create --bundle box a/b | 1 | invalid container id
create --bundle nowhere new | 1 | nowhere
create --bundle malformed new | 1 | malformed/config.json
create --bundle box RUN | 1 | container with given ID already exists
create --bundle box STOPPED | 1 | container with given ID already exists
create --bundle box --preserve-fds x new | 2 | --preserve-fds
create --bundle box --preserve-fds 5 new | 1 | preserved
create --bundle box --console-socket nosock new | 1 | console socket
create --bundle box --pidfd-socket nosock new | 1 | nosock
create --bundle box --pid-file no/such/pid new | 1 | no/such/pid
create --bundle terminal new | 1 | terminal
create --bundle noprogram new | 1 | executable file not found in $PATH
create --bundle box --no-such-flag new | 2 | --no-such-flag
start | 2 | <ID>
start unknown | 1 | container does not exist: unknown
start RUN | 1 | cannot start an already running container
start STOPPED | 1 | cannot start a container that has stopped
start PAUSED | 1 | cannot start a container that is not created
state | 2 | <ID>
state unknown | 1 | container does not exist: unknown
state .. | 1 | invalid container id
kill unknown | 1 | container does not exist: unknown
kill STOPPED | 1 | container not running
kill STOPPED KILL | 1 | container not running
kill RUN NOPE | 1 | invalid signal "NOPE"
kill RUN 65 | 1 | invalid signal "65"
kill RUN TERM extra | 2 | extra
delete unknown | 1 | container does not exist: unknown
delete RUN | 1 | that is not stopped: running
delete CREATED | 1 | that is not stopped: created
delete PAUSED | 1 | that is not stopped: paused
run --bundle nowhere new | 125 | nowhere
run --bundle malformed new | 125 | malformed/config.json
run --bundle box RUN | 125 | container with given ID already exists
run --bundle noprogram new | 127 | executable file not found in $PATH
run --bundle directory new | 126 | exec: "/tmp"
run --bundle terminal --detach new | 125 | console socket
run --bundle box --detach=maybe new | 2 | --detach
exec unknown true | 255 | container does not exist: unknown
exec STOPPED true | 255 | cannot exec in a stopped container
exec PAUSED true | 255 | cannot exec in a paused container
exec RUN | 2 | no COMMAND
exec --process list.json RUN true | 2 | exclude each other
exec --process nowhere.json RUN | 255 | nowhere.json
exec --process broken.json RUN | 255 | broken.json
exec --process list.json RUN | 255 | list.json
exec --user nobody RUN true | 2 | --user
exec --env novalue RUN true | 255 | env
exec --cap CAP_NOPE RUN true | 255 | CAP_NOPE
exec --cwd relative RUN true | 255 | cwd
exec --cgroup nowhere RUN true | 255 | nowhere
exec --cgroup memory: RUN true | 2 | --cgroup
exec --pidfd-socket nosock RUN true | 255 | nosock
exec --tty --detach RUN true | 255 | cannot allocate tty
exec --console-socket nosock RUN true | 255 | console socket
exec RUN no-such-program | 127 | executable file not found in $PATH
exec RUN /tmp | 126 | exec: "/tmp"
list --format xml | 2 | --format
list extra | 2 | extra
ps unknown | 1 | container does not exist: unknown
ps --format xml RUN | 2 | --format
ps RUN -eo comm | 1 | PID column
pause | 2 | <ID>
pause unknown | 1 | container does not exist: unknown
pause STOPPED | 1 | container not running
pause PAUSED | 1 | container not running
resume unknown | 1 | container does not exist: unknown
resume RUN | 1 | container not paused
resume CREATED | 1 | container not paused
resume STOPPED | 1 | container not paused
update --pids-limit 9 unknown | 1 | container does not exist: unknown
update --pids-limit 9 STOPPED | 1 | container not running
update --memory 1x RUN | 2 | --memory
update --cpu-period x RUN | 2 | --cpu-period
update --pids-limit many RUN | 2 | --pids-limit
update --memory 1G --memory-swap 1M RUN | 1 | memory.swap
update --cpuset-cpus 4095 RUN | 1 | cpuset.cpus
update --resources nowhere.json RUN | 1 | nowhere.json
update --resources broken.json RUN | 1 | resources
update --resources list.json RUN | 1 | resources
update --resources wrong.json RUN | 1 | resources: memory.limit
update --l3-cache-schema L3:0=f RUN | 1 | Intel RDT
events unknown | 1 | container does not exist: unknown
events STOPPED | 1 | container not running
events --stats STOPPED | 1 | container not running
events --interval 5 RUN | 2 | --interval
events --interval 0s RUN | 1 | --interval
features extra | 2 | extra
spec --bundle box | 1 | config.json exists
spec --bundle nowhere | 1 | nowhere/config.json
checkpoint unknown | 1 | container does not exist: unknown
checkpoint --image-path img --leave-running RUN | 1 | checkpoint is not supported
checkpoint --no-such-flag RUN | 2 | --no-such-flag
restore --image-path img --bundle box --detach new | 1 | restore is not supported
restore --bundle box a/b | 1 | invalid container id
no-such-command | 2 | no-such-command
--rootless=maybe list | 2 | --rootless
--cgroup-manager=other list | 2 | --cgroup-manager
--log-format=xml list | 2 | --log-format
"#;

/// Names in the rows, and the ids that they stand for.
struct Containers {
    ids: [(&'static str, String); 4],
}

impl Containers {
    /// Makes one container in each status.
    #[track_caller]
    fn make(host: &Host) -> Self {
        let ids = ["RUN", "CREATED", "STOPPED", "PAUSED"].map(|name| (name, host.container_id()));
        let all = Self { ids };
        for (name, id) in &all.ids {
            let bundle = if *name == "STOPPED" { "ends" } else { "stays" };
            let command = if *name == "CREATED" {
                &["create", "--bundle", bundle, id][..]
            } else {
                &["run", "--detach", "--bundle", bundle, id]
            };
            let mut command = host.oci(command);
            let status = command.stdout(Stdio::null()).status().unwrap();
            assert!(status.success(), "{name}: {status}");
        }
        host.run_oci(&["pause", &all.ids[3].1]).ok();
        let stopped = || (all.status(host, "STOPPED") == "stopped").then_some(());
        wait_until(Duration::from_secs(10), stopped).expect("the container has stopped");
        all
    }

    fn status(&self, host: &Host, name: &str) -> String {
        let (_, id) = self.ids.iter().find(|(n, _)| *n == name).unwrap();
        let outcome = host.run_oci(&["state", id]).ok();
        let state: Value = serde_json::from_str(&outcome.stdout).unwrap();
        state["status"].as_str().unwrap().to_owned()
    }

    /// The word itself, or the id it stands for.
    fn id<'a>(&'a self, word: &'a str) -> &'a str {
        self.ids
            .iter()
            .find(|(name, _)| *name == word)
            .map_or(word, |(_, id)| id)
    }
}

fn prepare(host: &Host) {
    let directory = host.directory();
    host.new_bundle("stays", &["sleep", "1000"]);
    host.new_bundle("ends", &["true"]);
    host.new_bundle("noprogram", &["no-such-program"]);
    host.new_bundle("directory", &["/tmp"]);
    host.new_bundle("terminal", &["true"])
        .set("/process/terminal", json!(true));
    for (file, text) in [
        ("malformed/config.json", "{"),
        ("broken.json", "{"),
        ("list.json", "[]"),
        ("wrong.json", r#"{"memory":{"limit":"much"}}"#),
    ] {
        fs::create_dir_all(directory.join("malformed")).unwrap();
        fs::write(directory.join(file), text).unwrap();
    }
}

/// What is wrong with the answer to one row.
fn complaint(outcome: &Outcome, code: i32, words: &str, log: &Path) -> Option<String> {
    let mut wrong = Vec::new();
    if outcome.code != code {
        wrong.push(format!("code {} and not {code}", outcome.code));
    }
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    let line = lines.first().copied().unwrap_or_default();
    if lines.len() != 1 || !line.contains(words) {
        wrong.push(format!("not one line with {words:?}"));
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    let logged: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    match logged.as_slice() {
        [entry] => {
            let time = entry["time"].as_str().unwrap_or_default();
            if entry["level"] != "error"
                || line.strip_prefix("tenure: error: ") != entry["msg"].as_str()
                || time.parse::<jiff::Timestamp>().is_err()
            {
                wrong.push(format!("the log has {entry}"));
            }
        }
        _ => wrong.push(format!("the log has {text:?}")),
    }
    (!wrong.is_empty()).then(|| format!("{}: {outcome}", wrong.join(", ")))
}

#[test]
fn every_command_tells_in_one_line_and_in_the_log_why_it_failed() {
    let Some(host) = host("ocierr").filter(|host| host.runtime().is_none()) else {
        return;
    };
    prepare(&host);
    let containers = Containers::make(&host);
    let log = host.directory().join("log.json");
    let mut complaints = Vec::new();
    let rows: Vec<&str> = ROWS.lines().filter(|row| !row.is_empty()).collect();
    for row in &rows {
        let fields: Vec<&str> = row.split(" | ").collect();
        let mut arguments = vec!["--log", log.to_str().unwrap(), "--log-format", "json"];
        arguments.extend(fields[0].split(' ').map(|word| containers.id(word)));
        let _ = fs::remove_file(&log);
        let outcome = host.run_oci(&arguments);
        complaints.extend(complaint(&outcome, fields[1].parse().unwrap(), fields[2], &log));
    }
    for (name, status) in [
        ("RUN", "running"),
        ("CREATED", "created"),
        ("STOPPED", "stopped"),
        ("PAUSED", "paused"),
    ] {
        assert_eq!(containers.status(&host, name), status, "{name}");
    }
    for (_, id) in &containers.ids {
        host.run_oci(&["delete", "--force", id]).ok();
    }
    assert!(
        complaints.is_empty(),
        "{} of {} rows:\n\n{}",
        complaints.len(),
        rows.len(),
        complaints.join("\n\n")
    );
    assert!(rows.len() >= 90, "{} rows only", rows.len());
    host.assert_nothing_is_left();
}
