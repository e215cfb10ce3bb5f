//! One operation in this process.

use std::error::Error as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::process::{WaitId, WaitIdOptions, waitid};
use tenure_runtime::{
    ContainerId, CreateRequest, Error, ExecRequest, ProcessOverrides, Runtime, RuntimeOptions, exec_process,
    load_process, parse_resources,
};

/// Performs `ROOT COMMAND ...` and returns the exit status: the program's own, or that of a failure.
pub(crate) fn operate(args: &[String]) -> i32 {
    match perform(args) {
        Ok(code) => code,
        Err(error) => {
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            eprintln!("{text}");
            match error {
                Error::ProgramNotFound { .. } => 127,
                Error::ProgramNotExecutable { .. } => 126,
                _ => 125,
            }
        }
    }
}

fn perform(args: &[String]) -> Result<i32, Error> {
    let arg = |i: usize| args.get(i).map(String::as_str).unwrap_or_default();
    let options = RuntimeOptions {
        systemd_cgroup: args.iter().any(|a| a == "--systemd-cgroup"),
        ..RuntimeOptions::default()
    };
    let runtime = Runtime::new(Path::new(arg(0)), options);
    let id = || arg(2).parse::<ContainerId>();
    let option = |name: &str| {
        args.iter()
            .find_map(|a| a.strip_prefix(name)?.strip_prefix('='))
            .map(PathBuf::from)
    };
    let flag = |name: &str| args.iter().any(|a| a == name);
    match arg(1) {
        command @ ("create" | "run" | "run-blocked") => {
            if command == "run-blocked" {
                nix::sys::signal::SigSet::all().thread_block().unwrap();
            }
            let request = CreateRequest {
                bundle: arg(3).into(),
                pid_file: option("--pid-file"),
                console_socket: option("--console-socket"),
                preserve_fds: option("--preserve-fds").map_or(0, |n| n.to_str().unwrap().parse().unwrap()),
                ..CreateRequest::default()
            };
            if command == "create" {
                runtime.create(&id()?, &request)?;
                return Ok(0);
            }
            Ok(wait(&runtime.run(&id()?, &request)?.pidfd))
        }
        "start" => runtime.start(&id()?).map(|()| 0),
        "kill" => runtime.kill(&id()?, arg(3).parse()?, flag("--all")).map(|()| 0),
        "pause" => runtime.pause(&id()?).map(|()| 0),
        "resume" => runtime.resume(&id()?).map(|()| 0),
        "update" => runtime
            .update(&id()?, &parse_resources(arg(3).as_bytes())?)
            .map(|()| 0),
        "delete" => runtime.delete(&id()?, flag("--force")).map(|()| 0),
        "state" => {
            println!("{}", serde_json::to_string(&runtime.state(&id()?)?).unwrap());
            Ok(0)
        }
        "list" => {
            println!("{}", serde_json::to_string(&runtime.list()?).unwrap());
            Ok(0)
        }
        "ps" => {
            println!("{}", serde_json::to_string(&runtime.processes(&id()?)?).unwrap());
            Ok(0)
        }
        how @ ("protected" | "unprotected") => {
            if how == "protected" {
                tenure_runtime::protect_own_binary()?;
            }
            overwrite_own_program()
        }
        "exec" => exec(&runtime, &id()?, args, option("--pid-file")),
        other => panic!("no such operation: {other}"),
    }
}

/// What a container would do with the file this program runs from, once nothing keeps it busy.
fn overwrite_own_program() -> ! {
    use std::os::fd::AsRawFd;
    use std::os::unix::process::CommandExt;
    let path = rustix::fs::OFlags::PATH;
    let own = rustix::fs::open("/proc/self/exe", path, rustix::fs::Mode::empty()).unwrap();
    let script = format!("echo x >>/proc/self/fd/{}", own.as_raw_fd());
    panic!(
        "{}",
        std::process::Command::new("/bin/sh").args(["-c", &script]).exec()
    )
}

/// `exec ID [--env=A=b] [--cwd=D] [--user=U] [--process=FILE] -- COMMAND...`
fn exec(
    runtime: &Runtime,
    id: &ContainerId,
    args: &[String],
    pid_file: Option<PathBuf>,
) -> Result<i32, Error> {
    let split = args.iter().position(|a| a == "--").unwrap();
    let values = |name: &'static str| {
        args[..split]
            .iter()
            .filter_map(move |a| a.strip_prefix(name))
            .map(ToOwned::to_owned)
    };
    let overrides = ProcessOverrides {
        args: args[split + 1..].to_vec(),
        env: values("--env=").collect(),
        cwd: values("--cwd=").next().map(PathBuf::from),
        user: values("--user=").next().map(|u| (u.parse().unwrap(), None)),
        ..ProcessOverrides::default()
    };
    let process = match values("--process=").next() {
        Some(file) => load_process(Path::new(&file))?,
        None => exec_process(&runtime.config(id)?, &overrides)?,
    };
    let mut request = ExecRequest::new(process);
    request.pid_file = pid_file;
    request.ignore_paused = args[..split].iter().any(|a| a == "--ignore-paused");
    Ok(wait(&runtime.exec(id, &request)?.pidfd))
}

/// The exit status, as a shell tells it.
fn wait(pidfd: &OwnedFd) -> i32 {
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
        .unwrap()
        .unwrap();
    status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|s| 128 + s))
        .unwrap()
}
