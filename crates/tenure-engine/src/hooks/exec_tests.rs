//! The exec and sleep handlers: exec through a runtime that runs the program here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tenure_lifecycle::{HookOutcome, HookReport};
use tenure_spec::Handler;
use tenure_supervise::pidfd::PidFd;
use tenure_supervise::process::Spawn;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{HookContext, run};
use crate::oci::{ExecRequest, Execute, OciError, RuntimeExec};

/// Runs what is to be exec'd as a process of its own; never comes to it when it is stuck.
#[derive(Debug, Default)]
pub(crate) struct Here {
    pub(crate) stuck: bool,
    pub(crate) started: Cell<Option<i32>>,
}

impl Execute for Here {
    async fn exec(&self, request: ExecRequest) -> Result<RuntimeExec, OciError> {
        if self.stuck {
            std::future::pending::<()>().await;
        }
        let stderr = request.output.try_clone().unwrap();
        let spawn = Spawn::new(Path::new(&request.command[0])).args(&request.command[1..]);
        let spawned = spawn.stdout(request.output).stderr(stderr).spawn();
        let child = spawned.map_err(|_| OciError::Refused {
            operation: "exec",
            id: request.id,
            message: format!("{}: no such file or directory", request.command[0]),
            code: 255,
        })?;
        self.started.set(Some(child.pid));
        Ok(RuntimeExec {
            pidfd: child.pidfd,
            program: None,
        })
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn context(runtime: &Rc<Here>) -> HookContext<Here> {
    HookContext {
        runtime: Rc::clone(runtime),
        container_id: "pod_app_0".to_owned(),
        network: None,
    }
}

fn exec(command: &[&str]) -> Handler {
    Handler::Exec {
        command: command.iter().map(|&word| word.to_owned()).collect(),
    }
}

fn shell(script: &str) -> Handler {
    exec(&["/bin/sh", "-c", script])
}

/// Runs a handler that nobody cancels.
fn report(handler: Handler) -> HookReport {
    let (_keep, cancel) = oneshot::channel();
    block_on(run(handler, context(&Rc::default()), cancel))
}

fn failure(message: &str) -> HookOutcome {
    HookOutcome::Failed {
        message: message.to_owned(),
    }
}

#[test]
fn a_program_that_ends_with_0_succeeds_and_its_output_is_kept() {
    let report = report(shell("echo out; echo err >&2"));
    assert_eq!(report.outcome, HookOutcome::Succeeded);
    assert_eq!(report.output, "out\nerr\n");
}

#[test]
fn another_code_or_a_signal_is_a_failure_without_the_output_in_its_text() {
    let failed = report(shell("echo secret; exit 7"));
    assert_eq!(failed.outcome, failure("exited with code 7"));
    assert_eq!(failed.output, "secret\n");
    // S23: the container takes the program with it.
    assert_eq!(
        report(shell("kill -KILL $$")).outcome,
        failure("was ended by signal 9")
    );
}

#[test]
fn s9_a_missing_program_is_a_failure_in_the_runtimes_words() {
    let report = report(exec(&["/no/such/program"]));
    let expected = "exec of pod_app_0: /no/such/program: no such file or directory";
    assert_eq!(report.outcome, failure(expected));
    assert_eq!(report.output, "");
}

#[test]
fn a_long_output_is_cut_and_holds_nothing_up() {
    let report = report(shell(
        "dd if=/dev/zero bs=1024 count=1000 2>/dev/null | tr '\\0' x",
    ));
    assert_eq!(report.outcome, HookOutcome::Succeeded);
    let (kept, note) = report.output.split_once('\n').unwrap();
    assert_eq!((kept.len(), note), (64 * 1024, "[958464 more bytes]"));
}

#[test]
fn a_grandchild_that_keeps_the_output_open_holds_nothing_up() {
    let (gate, open) = std::io::pipe().unwrap();
    // It ends when this test does.
    let number = std::os::fd::AsRawFd::as_raw_fd(&gate);
    let script = format!(
        "echo done; cat </proc/{}/fd/{number} & exit 0",
        std::process::id()
    );
    let report = report(shell(&script));
    assert_eq!(
        (report.outcome, report.output.as_str()),
        (HookOutcome::Succeeded, "done\n")
    );
    drop(open);
}

#[test]
fn s25_a_cancelled_program_is_killed() {
    for script in [
        "exec sleep 1000",
        "exec >/dev/null 2>&1; exec sleep 1000",
        "trap '' TERM; exec sleep 1000",
    ] {
        let runtime = Rc::new(Here::default());
        let report = block_on(async {
            let (cancel, cancelled) = oneshot::channel();
            let running = run(shell(script), context(&runtime), cancelled);
            let mut running = std::pin::pin!(running);
            // Long enough for the output to be closed, where it is.
            assert!(
                tokio::time::timeout(Duration::from_millis(50), &mut running)
                    .await
                    .is_err()
            );
            cancel.send(()).unwrap();
            tokio::time::timeout(Duration::from_secs(10), running)
                .await
                .unwrap()
        });
        assert_eq!(report.outcome, HookOutcome::Cancelled, "{script}");
        // Reaped.
        assert!(PidFd::open(runtime.started.get().unwrap()).is_err());
    }
}

#[test]
fn a_cancel_ends_an_exec_that_has_not_begun() {
    let runtime = Rc::new(Here {
        stuck: true,
        ..Here::default()
    });
    let (cancel, cancelled) = oneshot::channel();
    drop(cancel);
    let report = block_on(run(shell("true"), context(&runtime), cancelled));
    assert_eq!(report.outcome, HookOutcome::Cancelled);
}

#[test]
fn s10_an_exec_has_no_time_limit() {
    let paused = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    paused.block_on(async {
        let runtime = Rc::new(Here {
            stuck: true,
            ..Here::default()
        });
        let (_keep, cancel) = oneshot::channel();
        let running = run(shell("true"), context(&runtime), cancel);
        assert!(
            tokio::time::timeout(Duration::from_secs(1_000_000), running)
                .await
                .is_err()
        );
    });
}

#[test]
fn s22_a_sleep_takes_its_seconds_and_s24_s39_ends_when_it_is_cancelled() {
    let paused = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    paused.block_on(async {
        let runtime = Rc::default();
        let (_keep, cancel) = oneshot::channel();
        let before = Instant::now();
        let report = run(Handler::Sleep { seconds: 2 }, context(&runtime), cancel).await;
        assert_eq!(
            (report.outcome, before.elapsed().as_secs()),
            (HookOutcome::Succeeded, 2)
        );

        let (cancel, cancelled) = oneshot::channel();
        let sleeping = run(Handler::Sleep { seconds: 5 }, context(&runtime), cancelled);
        let at_one = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            cancel.send(()).unwrap();
        };
        let before = Instant::now();
        let (report, ()) = tokio::join!(sleeping, at_one);
        assert_eq!(
            (report.outcome, before.elapsed().as_secs()),
            (HookOutcome::Cancelled, 1)
        );

        let (_keep, cancel) = oneshot::channel();
        let report = run(Handler::Sleep { seconds: 0 }, context(&runtime), cancel).await;
        assert_eq!(report.outcome, HookOutcome::Succeeded);
    });
}

#[test]
fn a_request_in_flight_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let get = tenure_spec::HttpGet {
        host: None,
        port: tenure_spec::PortRef(silent.local_addr().unwrap().port()),
        scheme: tenure_spec::Scheme::Http,
        path: "/".to_owned(),
        headers: Vec::new(),
    };
    let report = block_on(async {
        let (cancel, cancelled) = oneshot::channel();
        let running = run(Handler::HttpGet(get), context(&Rc::default()), cancelled);
        let mut running = std::pin::pin!(running);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), &mut running)
                .await
                .is_err()
        );
        cancel.send(()).unwrap();
        running.await
    });
    assert_eq!(report.outcome, HookOutcome::Cancelled);
}
