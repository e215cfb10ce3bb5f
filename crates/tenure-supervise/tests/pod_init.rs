//! Process 1 of a shared PID namespace: this program starts itself as such.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tenure_supervise::namespaces::{PodInit, create_pid, pod_init, remove};
use tenure_supervise::pidfd::PidFd;
use tenure_supervise::process::Spawn;
use tenure_supervise::{ProcessExit, mount};

#[allow(clippy::unwrap_used, clippy::exit)]
fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("pod-init") => {
            pod_init();
            std::process::exit(1);
        }
        // The test runner asks what there is.
        Some("--list") => println!("pod_init: test"),
        _ if std::env::var_os("TENURE_SKIP_ROOT").is_some() => println!("skipped: TENURE_SKIP_ROOT"),
        _ => {
            process_one_of_a_pod_is_isolated_reaps_and_ends_all();
            pod_init_outside_of_a_pid_namespace_says_why_it_refuses();
            println!("test pod_init ... ok");
        }
    }
}

#[allow(clippy::unwrap_used)]
fn process_one_of_a_pod_is_isolated_reaps_and_ends_all() {
    let directory = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap();
    let before = std::time::Instant::now();
    let init = create_pid(directory.path(), &own, "pod-init").unwrap();
    let _cleared = Cleared(directory.path(), &init);
    println!("create_pid: {:?}", before.elapsed());
    assert_isolated(init.pid);
    let orphan = assert_reaps(init.pid, &directory.path().join("pid"));

    // It cannot be asked to end, only made to; then all end.
    for signal in [
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGHUP,
        libc::SIGUSR1,
        libc::SIGSEGV,
    ] {
        init.pidfd.signal(signal).unwrap();
    }
    assert!(init.pidfd.is_alive());
    init.pidfd.signal(libc::SIGKILL).unwrap();
    assert_eq!(init.pidfd.wait_blocking().unwrap(), ProcessExit::Signal(9));
    assert!(!orphan.is_alive());
    remove(directory.path()).unwrap();
    remove(directory.path()).unwrap();
    assert!(mount::mounts_below(directory.path()).unwrap().is_empty());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// Leaves nothing of a test that fails.
struct Cleared<'a>(&'a Path, &'a PodInit);

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        let _ = self.1.pidfd.signal(libc::SIGKILL);
        let _ = self.1.pidfd.wait_blocking();
        let _ = remove(self.0);
    }
}

/// Nothing of the host is to be found through it.
#[allow(clippy::unwrap_used)]
fn assert_isolated(pid: i32) {
    let proc = format!("/proc/{}", pid);
    let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
    println!(
        "{}",
        status
            .lines()
            .filter(|line| line.starts_with("VmRSS") || line.starts_with("Rss"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    assert!(status.contains("\nCapEff:\t0000000000000000\n"), "{status}");
    assert!(status.contains("\nCapPrm:\t0000000000000000\n"), "{status}");
    assert!(status.contains("\nNoNewPrivs:\t1\n"), "{status}");
    assert_eq!(std::fs::read_dir(format!("{proc}/root")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(format!("{proc}/cwd/..")).unwrap().count(), 0);
    assert!(std::fs::write(format!("{proc}/root/x"), "").is_err());
    let mut files: Vec<_> = std::fs::read_dir(format!("{proc}/fd"))
        .unwrap()
        .map(|file| std::fs::read_link(file.unwrap().path()).unwrap())
        .collect();
    files.dedup();
    assert_eq!(files, [Path::new("/dev/null")]);
    assert!(std::fs::read(format!("{proc}/environ")).unwrap().is_empty());
    // Its program cannot be opened for writing through it, running or not.
    let error = std::fs::OpenOptions::new()
        .write(true)
        .open(format!("{proc}/exe"))
        .unwrap_err();
    assert!(
        [libc::EROFS, libc::ETXTBSY].contains(&error.raw_os_error().unwrap()),
        "{error}"
    );
}

/// A process enters by the bound namespace, and leaves orphans: one alive, which is given, and one that is reaped.
#[allow(clippy::unwrap_used)]
fn assert_reaps(pid: i32, bound: &Path) -> PidFd {
    let proc = format!("/proc/{pid}");
    let inode = std::fs::metadata(bound).unwrap().ino();
    assert_eq!(inode, std::fs::metadata(format!("{proc}/ns/pid")).unwrap().ino());
    let (mut reader, writer) = std::io::pipe().unwrap();
    let script = "(sleep 0 & exec sleep 0) ; (sleep 1000 >/dev/null & echo $!)";
    let enter = Spawn::new(Path::new("/usr/bin/nsenter"))
        .arg(format!("--pid={}", bound.display()))
        .args(["/bin/sh", "-c", script])
        .stdout(writer.into());
    let entered = enter.spawn().unwrap();
    assert_eq!(entered.pidfd.wait_blocking().unwrap(), ProcessExit::Code(0));
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert!(said.trim().parse::<i32>().unwrap() > 1, "{said}");
    // The orphan is process 1's child and alive; the others have been reaped, in the time that this takes.
    let children = || std::fs::read_to_string(format!("{proc}/task/{}/children", pid)).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while children().split_whitespace().count() != 1 {
        assert!(std::time::Instant::now() < deadline, "{}", children());
        std::thread::yield_now();
    }
    let orphan: i32 = children().trim().parse().unwrap();
    PidFd::open(orphan).unwrap()
}

#[allow(clippy::unwrap_used)]
fn pod_init_outside_of_a_pid_namespace_says_why_it_refuses() {
    let own = std::env::current_exe().unwrap();
    let output = std::process::Command::new(own).arg("pod-init").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "pod-init is only of use as process 1 of a PID namespace");
}
