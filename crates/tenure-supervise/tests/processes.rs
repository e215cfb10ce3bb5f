//! Processes by descriptor, as they are started, watched, signalled and waited for.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use tenure_supervise::ProcessExit;
use tenure_supervise::pidfd::PidFd;
use tenure_supervise::process::{Child, Spawn, parent, start_time};

#[allow(clippy::unwrap_used)]
fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn shell(script: &str) -> Spawn {
    Spawn::new(Path::new("/bin/sh")).args(["-c", script])
}

/// Starts a shell and gives what it writes to its stdout until it and its heirs end.
#[allow(clippy::unwrap_used)]
fn output_of(spawn: Spawn) -> String {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let child = spawn.stdout(writer.into()).spawn().unwrap();
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert_eq!(child.pidfd.wait_blocking().unwrap(), ProcessExit::Code(0));
    said
}

#[test]
fn an_exit_code_and_a_signal_are_told_apart() {
    let wait = |script| run(async { shell(script).spawn().unwrap().pidfd.wait().await.unwrap() });
    assert_eq!(wait("exit 0"), ProcessExit::Code(0));
    assert_eq!(wait("exit 137"), ProcessExit::Code(137));
    assert_eq!(wait("kill -KILL $$"), ProcessExit::Signal(9));
    assert_eq!(wait("kill -35 $$"), ProcessExit::Signal(35));
}

#[test]
fn a_dropped_wait_loses_nothing() {
    run(async {
        let child = shell("read line; exit 5");
        let (reader, writer) = std::io::pipe().unwrap();
        let child = child.stdin(reader.into()).spawn().unwrap();
        assert!(
            tokio::time::timeout(Duration::from_millis(1), child.pidfd.wait())
                .await
                .is_err()
        );
        assert!(child.pidfd.is_alive());
        drop(writer);
        assert_eq!(child.pidfd.wait().await.unwrap(), ProcessExit::Code(5));
        assert_eq!(child.pidfd.wait().await.unwrap(), ProcessExit::Code(5));
        assert!(!child.pidfd.is_alive());
    });
}

#[test]
fn two_waits_on_one_process_both_end() {
    run(async {
        let Child { pidfd, .. } = shell("exit 6").spawn().unwrap();
        let second = pidfd.try_clone().unwrap();
        let (first, second) = tokio::join!(pidfd.wait(), second.wait());
        let statuses = [first.unwrap(), second.unwrap()];
        assert!(statuses.contains(&ProcessExit::Code(6)), "{statuses:?}");
        let kept = [ProcessExit::Code(6), ProcessExit::Unknown];
        assert!(
            statuses.iter().all(|status| kept.contains(status)),
            "{statuses:?}"
        );
    });
}

#[test]
fn the_status_of_a_process_that_is_not_our_child_is_learnt_after_it_was_reaped() {
    // The shell's child, reaped by the shell.
    let (mut reader, writer) = std::io::pipe().unwrap();
    let script = "sh -c 'read line; exit 7' <&3 & echo $!; wait $!; read line";
    let (gate, open_gate) = std::io::pipe().unwrap();
    let (end, end_it) = std::io::pipe().unwrap();
    let spawn = shell(script)
        .stdin(end.into())
        .stdout(writer.into())
        .inherit(gate.into(), 3);
    let parent = spawn.spawn().unwrap();
    let mut line = [0; 32];
    let count = reader.read(&mut line).unwrap();
    let pid = std::str::from_utf8(&line[..count])
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let stranger = PidFd::open(pid).unwrap();
    drop(open_gate);
    let status = run(stranger.wait()).unwrap();
    assert!(
        [ProcessExit::Code(7), ProcessExit::Unknown].contains(&status),
        "{status:?}"
    );
    drop(end_it);
    parent.pidfd.wait_blocking().unwrap();
}

#[test]
fn the_status_of_a_zombie_of_somebody_else_is_learnt_without_waiting_for_its_reaping() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (gate, open_gate) = std::io::pipe().unwrap();
    // The parent becomes a program that never waits.
    let script = "sh -c 'read line; exit 8' <&3 & echo $!; exec sleep 1000";
    let parent = shell(script)
        .stdout(writer.into())
        .inherit(gate.into(), 3)
        .spawn()
        .unwrap();
    let mut line = [0; 32];
    let count = reader.read(&mut line).unwrap();
    let pid = std::str::from_utf8(&line[..count])
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let zombie = PidFd::open(pid).unwrap();
    drop(open_gate);
    assert_eq!(zombie.wait_blocking().unwrap(), ProcessExit::Code(8));
    parent.pidfd.signal(libc::SIGKILL).unwrap();
    assert_eq!(parent.pidfd.wait_blocking().unwrap(), ProcessExit::Signal(9));
}

#[test]
fn a_process_is_found_again_by_pid_and_start_time_only() {
    let own = i32::try_from(std::process::id()).unwrap();
    let started = start_time(own).unwrap();
    assert_eq!(PidFd::open_verified(own, started).unwrap().unwrap().pid(), own);
    assert!(PidFd::open_verified(own, started + 1).unwrap().is_none());
    assert!(PidFd::open_verified(i32::MAX, started).unwrap().is_none());
    assert!(PidFd::open_verified(-1, started).unwrap().is_none());
}

#[test]
fn a_pidfd_from_elsewhere_knows_its_pid() {
    let child = shell("read line")
        .stdin(std::io::pipe().unwrap().0.into())
        .spawn()
        .unwrap();
    let raw: OwnedFd = std::os::fd::AsFd::as_fd(&child.pidfd)
        .try_clone_to_owned()
        .unwrap();
    assert_eq!(PidFd::from_fd(raw).unwrap().pid(), child.pid);
    assert!(PidFd::from_fd(File::open("/dev/null").unwrap().into()).is_err());
    child.pidfd.wait_blocking().unwrap();
}

#[test]
fn a_start_time_is_read_behind_any_program_name() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("a) S 1 (b");
    // A link, as a copy could still be open for writing in a process that another test has just forked.
    std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
    let (stdin, held_open) = std::io::pipe().unwrap();
    let (mut reader, stdout) = std::io::pipe().unwrap();
    let child = Spawn::new(&program)
        .args(["-c", "echo up; read line"])
        .stdin(stdin.into())
        .stdout(stdout.into())
        .spawn()
        .unwrap();
    // The kernel names a process a little later than it lets its starter go on.
    reader.read_exact(&mut [0; 3]).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid)).unwrap();
    assert!(stat.contains("(a) S 1 (b)"), "{stat}");
    let expected = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(19)
        .unwrap();
    assert_eq!(start_time(child.pid).unwrap().to_string(), expected);
    assert_eq!(parent(child.pid).unwrap().cast_unsigned(), std::process::id());
    drop(held_open);
    child.pidfd.wait_blocking().unwrap();
}

#[test]
fn a_missing_program_is_an_error_that_names_it() {
    let error = Spawn::new(Path::new("/no/such/program")).spawn().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(error.to_string(), "cannot execute /no/such/program");
}

#[test]
fn a_child_inherits_no_descriptor_but_those_given() {
    let leaky = File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leaky, rustix::io::FdFlags::CLOEXEC).unwrap();
    let (given, other) = std::io::pipe().unwrap();
    let spawn = shell("echo /proc/self/fd/*")
        .inherit(given.into(), 5)
        .inherit(other.into(), 4);
    // The shell's own glob holds the folder open.
    let said = output_of(spawn);
    for wanted in ["/fd/0", "/fd/1", "/fd/2", "/fd/4", "/fd/5"] {
        assert!(said.contains(wanted), "{said}");
    }
    assert!(said.split_whitespace().count() <= 6, "{said}");
    assert!(leaky.as_raw_fd() > 2);
}

#[test]
fn descriptors_may_trade_their_numbers() {
    let (first, mut to_first) = std::io::pipe().unwrap();
    let (second, mut to_second) = std::io::pipe().unwrap();
    let (a, b) = (first.as_raw_fd(), second.as_raw_fd());
    std::io::Write::write_all(&mut to_first, b"first\n").unwrap();
    std::io::Write::write_all(&mut to_second, b"second\n").unwrap();
    let script = format!("read x </proc/self/fd/{a}; read y </proc/self/fd/{b}; echo $x $y");
    let spawn = shell(&script).inherit(first.into(), b).inherit(second.into(), a);
    assert_eq!(output_of(spawn), "second first\n");
}

#[test]
fn a_child_starts_with_an_empty_mask_and_ignores_nothing() {
    // No shell: it may unblock what it finds blocked.
    let grep = || Spawn::new(Path::new("/bin/grep")).args(["-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
    // This test's thread only.
    let mut set = nix::sys::signal::SigSet::empty();
    set.add(nix::sys::signal::Signal::SIGTERM);
    set.thread_block().unwrap();
    for said in [output_of(grep()), output_of(grep().new_session())] {
        let masks: Vec<u64> = said
            .lines()
            .map(|line| u64::from_str_radix(&line[8..], 16).unwrap())
            .collect();
        // 32 and 33 are the C library's own, out of everybody's reach.
        assert_eq!([masks[0], masks[1] & !0x1_8000_0000], [0, 0], "{said}");
    }
}

#[test]
fn the_environment_is_kept_cleared_and_changed_as_told() {
    let said = output_of(
        shell("env")
            .env_clear()
            .env("ONE", "1")
            .env_remove("TWO")
            .env("TWO", "2"),
    );
    assert!(said.contains("ONE=1") && said.contains("TWO=2"), "{said}");
    assert!(!said.contains("CARGO"), "{said}");
}

#[test]
fn signals_are_read_in_place_of_their_effect() {
    run(async {
        let mut signals =
            tenure_supervise::signal::Signals::new(&[libc::SIGUSR1, libc::SIGRTMIN() + 3]).unwrap();
        // To this thread: the test harness has others, which do not block it.
        let script = format!(
            "import ctypes; kill = lambda signal: ctypes.CDLL(None).syscall(234, {}, {}, signal); kill({}); kill({})",
            std::process::id(),
            nix::unistd::gettid(),
            libc::SIGRTMIN() + 3,
            libc::SIGUSR1
        );
        let python = Spawn::new(Path::new("/usr/bin/python3"))
            .args(["-c", &script])
            .spawn()
            .unwrap();
        assert_eq!(python.pidfd.wait().await.unwrap(), ProcessExit::Code(0));
        let mut got = [signals.next().await.unwrap(), signals.next().await.unwrap()];
        got.sort_unstable();
        assert_eq!(got, [libc::SIGUSR1, libc::SIGRTMIN() + 3]);
    });
}
