//! Alone in its program and on its main thread, as the reaper takes every child that nobody claims.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use tenure_supervise::ProcessExit;
use tenure_supervise::process::Spawn;
use tenure_supervise::subreaper::{Reaper, become_subreaper, hold};

fn shell(script: &str) -> Spawn {
    Spawn::new(Path::new("/bin/sh")).args(["-c", script])
}

fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Lets the reaper run until `condition` holds; it is woken by the processes' ends only.
#[allow(clippy::unwrap_used)]
async fn reap_until(reaper: &mut Reaper, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        result = reaper.run() => result.unwrap(),
        result = tokio::time::timeout(Duration::from_secs(10), wait) => result.unwrap(),
    }
}

/// Starts a shell that leaves an orphan, which ends when its stdin does; gives the orphan's pid.
#[allow(clippy::unwrap_used)]
fn leave_orphan(code: i32) -> (i32, std::io::PipeWriter) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (gate, open) = std::io::pipe().unwrap();
    let script = format!("sh -c 'read x; exit {code}' <&3 >/dev/null & echo $!");
    let parent = shell(&script)
        .stdout(writer.into())
        .inherit(gate.into(), 3)
        .spawn()
        .unwrap();
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    parent.pidfd.wait_blocking().unwrap();
    (said.trim().parse().unwrap(), open)
}

#[allow(clippy::unwrap_used)]
fn orphans_are_reaped_and_claimed_processes_keep_their_status() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        become_subreaper().unwrap();
        let mut reaper = Reaper::new().unwrap();

        // A claimed zombie in front of an orphan: the orphan goes, the status stays.
        let claimed = shell("exit 3").spawn().unwrap();
        claimed.pidfd.ended().await.unwrap();
        let (orphan, open) = leave_orphan(4);
        drop(open);
        reap_until(&mut reaper, || !exists(orphan)).await;
        assert!(exists(claimed.pid));
        assert_eq!(claimed.pidfd.wait().await.unwrap(), ProcessExit::Code(3));

        // An orphan that ends while somebody expects a child is there until it is claimed.
        let held = hold();
        let (orphan, open) = leave_orphan(5);
        drop(open);
        let unclaimed = tenure_supervise::pidfd::PidFd::open(orphan).unwrap();
        unclaimed.ended().await.unwrap();
        let pass = tokio::time::timeout(Duration::from_millis(20), reaper.run()).await;
        assert!(pass.is_err());
        drop(held);
        let pass = tokio::time::timeout(Duration::from_millis(20), reaper.run()).await;
        assert!(pass.is_err() && exists(orphan));

        // Given up without a wait, it is reaped.
        drop(unclaimed);
        reap_until(&mut reaper, || !exists(orphan)).await;
    });
}

fn main() {
    // The test runner may ask what there is.
    if std::env::args().any(|argument| argument == "--list") {
        println!("reaper: test");
        return;
    }
    orphans_are_reaped_and_claimed_processes_keep_their_status();
    println!("test reaper ... ok");
}
