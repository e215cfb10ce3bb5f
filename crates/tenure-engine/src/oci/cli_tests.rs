//! The command-line seam against a real runtime: runc, or what TENURE_RUNTIME names. Needs root; fails without it
//! unless TENURE_SKIP_ROOT=1.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::libc::SIGKILL;
use serde_json::json;
use tenure_supervise::ProcessExit;
use tenure_supervise::cgroup::Cgroup;
use tenure_supervise::pidfd::PidFd;
use tenure_supervise::process::start_time;
use tenure_supervise::subreaper::become_subreaper;

use super::*;

/// A bundle, a runtime with a root of its own, and files for the output.
struct Bed {
    directory: tempfile::TempDir,
    location: RuntimeLocation,
    runtime: CliRuntime,
    id: String,
}

/// Removes the container, whatever became of it.
impl Drop for Bed {
    fn drop(&mut self) {
        let _ = block_on(self.runtime.delete(&self.id));
        // What a runtime killed half-way has left there is known to nobody else.
        let cgroup = Cgroup::open(Path::new(&self.id)).unwrap();
        let _ = block_on(cgroup.kill());
        let _ = cgroup.remove();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

impl Bed {
    fn new(name: &str, script: &str) -> Option<Self> {
        Self::with(name, &["/bin/sh", "-c", script])
    }

    fn with(name: &str, arguments: &[&str]) -> Option<Self> {
        if std::env::var_os("TENURE_SKIP_ROOT").is_some() {
            return None;
        }
        become_subreaper().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let id = format!("seam-{}-{name}", std::process::id());
        write_bundle(&directory.path().join("bundle"), arguments, &id);
        let binary =
            std::env::var_os("TENURE_RUNTIME").map_or(PathBuf::from("/usr/sbin/runc"), PathBuf::from);
        let location = RuntimeLocation {
            binary,
            root: directory.path().join("root"),
        };
        let scratch = directory.path().join("scratch");
        fs::create_dir(&scratch).unwrap();
        Some(Self {
            runtime: CliRuntime::new(location.clone(), scratch),
            location,
            directory,
            id,
        })
    }

    fn output(&self) -> File {
        let path = self.directory.path().join("output");
        File::options()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .unwrap()
    }

    async fn create(&self) -> Result<CreatedContainer, OciError> {
        let request = CreateRequest {
            id: self.id.clone(),
            bundle: self.directory.path().join("bundle"),
            stdio: Stdio::Descriptors {
                stdin: None,
                stdout: self.output().into(),
                stderr: self.output().into(),
            },
        };
        self.runtime.create(request).await
    }

    /// Has the container run on a terminal, and hands the terminal's master out.
    async fn create_with_terminal(&self) -> Result<CreatedContainer, OciError> {
        let bundle = self.directory.path().join("bundle");
        let path = bundle.join("config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["process"]["terminal"] = true.into();
        config["process"]["consoleSize"] = json!({ "height": 24, "width": 80 });
        let devpts = json!({
            "destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["newinstance", "ptmxmode=0666", "mode=0620"],
        });
        config["mounts"].as_array_mut().unwrap().push(devpts);
        fs::write(path, config.to_string()).unwrap();
        let request = CreateRequest {
            id: self.id.clone(),
            bundle,
            stdio: Stdio::Terminal,
        };
        self.runtime.create(request).await
    }

    async fn exec(&self, command: &[&str], output: OwnedFd) -> Result<RuntimeExec, OciError> {
        let request = ExecRequest {
            id: self.id.clone(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            output,
        };
        self.runtime.exec(request).await
    }

    fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("output")).unwrap()
    }

    fn scratch_is_empty(&self) -> bool {
        fs::read_dir(self.directory.path().join("scratch"))
            .unwrap()
            .count()
            == 0
    }
}

fn write_bundle(bundle: &Path, arguments: &[&str], id: &str) {
    let bin = bundle.join("rootfs/bin");
    fs::create_dir_all(&bin).unwrap();
    for folder in ["proc", "dev", "sys", "tmp"] {
        fs::create_dir(bundle.join("rootfs").join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
    for name in ["sh", "sleep", "echo", "cat", "true", "stty", "-dash"] {
        symlink("busybox", bin.join(name)).unwrap();
    }
    fs::remove_file(bin.join("-dash")).unwrap();
    fs::write(bin.join("-dash"), "#!/bin/sh\necho dashed \"$@\"\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bin.join("-dash"), mode).unwrap();
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": arguments,
            "env": ["PATH=/bin", "GREETING=hello"],
            "cwd": "/tmp",
        },
        "root": { "path": "rootfs" },
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "linux": {
            "cgroupsPath": format!("/{id}/container"),
            "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "ipc" }],
        },
    });
    fs::write(bundle.join("config.json"), config.to_string()).unwrap();
}

#[test]
fn a_container_is_created_started_waited_for_and_deleted() {
    let Some(bed) = Bed::new("life", "echo out; echo err >&2; exit 3") else {
        return;
    };
    block_on(async {
        let created = bed.create().await.unwrap();
        assert_eq!(created.start_time, start_time(created.pid).unwrap());
        assert!(created.pidfd.is_alive());
        assert_eq!(bed.said(), "");
        bed.runtime.start(&bed.id).await.unwrap();
        assert_eq!(created.pidfd.wait().await.unwrap(), ProcessExit::Code(3));
        assert_eq!(bed.said(), "out\nerr\n");
        bed.runtime.delete(&bed.id).await.unwrap();
        bed.runtime.delete(&bed.id).await.unwrap();
        assert!(bed.scratch_is_empty());
    });
}

#[test]
fn a_terminals_master_comes_with_the_container_however_long_the_scratch_folders_name_is() {
    let script = "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo three; stty size";
    let Some(mut bed) = Bed::new("terminal", script) else {
        return;
    };
    let scratch = bed.directory.path().join("s".repeat(120));
    fs::create_dir(&scratch).unwrap();
    bed.runtime = CliRuntime::new(bed.location.clone(), scratch.clone());
    block_on(async {
        let created = bed.create_with_terminal().await.unwrap();
        assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
        let mut terminal = tenure_supervise::stdio::OutputPipe::terminal(created.terminal.unwrap()).unwrap();
        bed.runtime.start(&bed.id).await.unwrap();
        assert_eq!(created.pidfd.wait().await.unwrap(), ProcessExit::Code(0));
        let mut said = [0; 64];
        let count = terminal.read(&mut said).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&said[..count]), "three\r\n24 80\r\n");
    });
}

#[test]
fn a_runtime_that_sends_no_terminal_is_told_of() {
    let Some(mut bed) = Bed::new("unsent", "true") else {
        return;
    };
    bed.location.binary = "/bin/true".into();
    let scratch = bed.directory.path().join("scratch");
    bed.runtime = CliRuntime::new(bed.location.clone(), scratch);
    block_on(async {
        let missing = bed.create_with_terminal().await.unwrap_err();
        assert!(matches!(missing, OciError::Terminal { .. }), "{missing}");
        assert!(bed.scratch_is_empty());
    });
}

#[test]
fn the_status_of_an_init_that_ends_before_anybody_waits_is_kept() {
    let Some(bed) = Bed::new("early", "exit 4") else {
        return;
    };
    block_on(async {
        let mut reaper = tenure_supervise::subreaper::Reaper::new().unwrap();
        let created = bed.create().await.unwrap();
        bed.runtime.start(&bed.id).await.unwrap();
        created.pidfd.ended().await.unwrap();
        let pass = std::time::Duration::from_millis(5);
        assert!(tokio::time::timeout(pass, reaper.run()).await.is_err());
        assert_eq!(created.pidfd.wait().await.unwrap(), ProcessExit::Code(4));
    });
}

#[test]
fn a_missing_program_is_refused_in_the_runtimes_own_words() {
    let Some(bed) = Bed::with("missing", &["/no/such/program"]) else {
        return;
    };
    block_on(async {
        let refused = match bed.create().await {
            Err(refused) => refused,
            // A runtime may leave it to start.
            Ok(_) => bed.runtime.start(&bed.id).await.unwrap_err(),
        };
        let OciError::Refused { message, .. } = refused else {
            panic!("{refused:?}")
        };
        assert!(
            message.contains("/no/such/program") && message.contains("no such file"),
            "{message}"
        );
        assert!(
            !message.contains('\n') && !message.contains("level="),
            "{message}"
        );
        bed.runtime.delete(&bed.id).await.unwrap();
        assert!(bed.scratch_is_empty());
    });
}

#[test]
fn a_broken_bundle_is_refused() {
    let Some(bed) = Bed::new("broken", "true") else {
        return;
    };
    fs::write(bed.directory.path().join("bundle/config.json"), "{").unwrap();
    let refused = block_on(bed.create()).unwrap_err();
    assert!(
        matches!(
            refused,
            OciError::Refused {
                operation: "create",
                ..
            }
        ),
        "{refused:?}"
    );
}

#[test]
fn a_missing_runtime_is_named() {
    let location = RuntimeLocation {
        binary: PathBuf::from("/no/such/runtime"),
        root: PathBuf::from("/tmp"),
    };
    let runtime = CliRuntime::new(location, PathBuf::from("/tmp"));
    let error = block_on(runtime.start("x")).unwrap_err();
    assert_eq!(error.to_string(), "cannot run /no/such/runtime");
}

#[test]
fn a_runtime_that_is_killed_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let location = RuntimeLocation {
        binary: directory.path().join("runtime"),
        root: PathBuf::from("/tmp"),
    };
    fs::write(&location.binary, "#!/bin/sh\nkill -KILL $$\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&location.binary, mode).unwrap();
    let runtime = CliRuntime::new(location, directory.path().to_owned());
    let error = block_on(runtime.start("x")).unwrap_err();
    assert_eq!(error.to_string(), "start of x: the runtime was ended by signal 9");
}

#[test]
fn signals_reach_init_and_a_dead_container_needs_none() {
    let script = "trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.01; done";
    let Some(bed) = Bed::new("kill", script) else {
        return;
    };
    block_on(async {
        let created = bed.create().await.unwrap();
        bed.runtime.start(&bed.id).await.unwrap();
        while !bed.said().contains("ready") {
            tokio::task::yield_now().await;
        }
        bed.runtime.kill(&bed.id, "SIGUSR1", false).await.unwrap();
        assert_eq!(created.pidfd.wait().await.unwrap(), ProcessExit::Code(5));
        bed.runtime.kill(&bed.id, "SIGKILL", false).await.unwrap();
        bed.runtime.kill(&bed.id, "SIGKILL", true).await.unwrap();
        bed.runtime
            .kill("no-such-container", "SIGTERM", false)
            .await
            .unwrap();
        bed.runtime.delete(&bed.id).await.unwrap();
    });
}

#[test]
fn an_exec_gives_the_programs_output_and_status() {
    let Some(bed) = Bed::new("exec", "sleep 1000") else {
        return;
    };
    block_on(async {
        let created = bed.create().await.unwrap();
        bed.runtime.start(&bed.id).await.unwrap();
        let script = "echo $GREETING from $(pwd); echo err >&2; exit 7";
        let exec = bed
            .exec(&["sh", "-c", script], bed.output().into())
            .await
            .unwrap();
        assert_eq!(exec.pidfd.wait().await.unwrap(), ProcessExit::Code(7));
        // runc relays the two streams one by one.
        let mut said: Vec<_> = bed.said().lines().map(str::to_owned).collect();
        said.sort();
        assert_eq!(said, ["err", "hello from /tmp"]);
        let exec = bed
            .exec(&["-dash", "--pid-file", "-x", "--"], bed.output().into())
            .await
            .unwrap();
        assert_eq!(exec.pidfd.wait().await.unwrap(), ProcessExit::Code(0));
        assert!(
            bed.said().ends_with("dashed --pid-file -x --\n"),
            "{}",
            bed.said()
        );
        assert!(bed.scratch_is_empty());
        created.pidfd.signal(SIGKILL).unwrap();
        assert_eq!(created.pidfd.wait().await.unwrap(), ProcessExit::Signal(9));
    });
}

#[test]
fn an_exec_that_cannot_begin_is_refused_with_the_reason() {
    let Some(bed) = Bed::new("noexec", "sleep 1000") else {
        return;
    };
    block_on(async {
        let created = bed.create().await.unwrap();
        bed.runtime.start(&bed.id).await.unwrap();
        let result = bed.exec(&["no-such-program"], bed.output().into()).await;
        let Err(OciError::Refused { message, .. }) = result else {
            panic!("{result:?}")
        };
        assert!(message.contains("no-such-program"), "{message}");
        created.pidfd.signal(SIGKILL).unwrap();
        created.pidfd.wait().await.unwrap();
        let result = bed.exec(&["true"], bed.output().into()).await;
        assert!(matches!(result, Err(OciError::Refused { .. })), "{result:?}");
        assert!(bed.scratch_is_empty());
    });
}

#[test]
fn an_execd_program_is_ended_through_its_own_descriptor() {
    let Some(bed) = Bed::new("cancel", "sleep 1000") else {
        return;
    };
    block_on(async {
        let created = bed.create().await.unwrap();
        bed.runtime.start(&bed.id).await.unwrap();
        let exec = bed.exec(&["sleep", "1000"], bed.output().into()).await.unwrap();
        let program = exec.program.unwrap();
        program.signal(SIGKILL).unwrap();
        program.ended().await.unwrap();
        let status = exec.pidfd.wait().await.unwrap();
        assert!(
            [ProcessExit::Code(137), ProcessExit::Signal(9)].contains(&status),
            "{status:?}"
        );
        assert!(created.pidfd.is_alive());
    });
}

#[test]
fn an_exec_given_up_while_it_starts_leaves_no_process() {
    let Some(bed) = Bed::new("giveup", "sleep 1000") else {
        return;
    };
    block_on(async {
        let created = bed.create().await.unwrap();
        bed.runtime.start(&bed.id).await.unwrap();
        let mut output = bed.output();
        let starting = bed.exec(&["sleep", "1000"], output.try_clone().unwrap().into());
        let gave_up = tokio::time::timeout(std::time::Duration::from_millis(1), starting).await;
        assert!(gave_up.is_err());
        let mut text = String::new();
        output.rewind().unwrap();
        output.read_to_string(&mut text).unwrap();
        assert!(created.pidfd.is_alive(), "{text}");
        created.pidfd.signal(SIGKILL).unwrap();
        created.pidfd.wait().await.unwrap();
        bed.runtime.delete(&bed.id).await.unwrap();
    });
}

#[test]
fn a_create_whose_runtime_is_killed_is_cleared_by_delete() {
    let Some(bed) = Bed::new("halfway", "sleep 1000") else {
        return;
    };
    block_on(async {
        let creating = bed.create();
        // Somewhere in the middle.
        let gave_up = tokio::time::timeout(std::time::Duration::from_millis(15), creating).await;
        let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
        for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if command.contains(&bed.id)
                && let Ok(process) = PidFd::open(pid)
            {
                let _ = process.signal(SIGKILL);
                process.wait().await.unwrap();
            }
        }
        drop(gave_up);
        bed.runtime.delete(&bed.id).await.unwrap();
        let root = bed.directory.path().join("root").join(&bed.id);
        assert!(!root.exists());
    });
}
