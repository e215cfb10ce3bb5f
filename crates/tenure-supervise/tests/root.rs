//! What only root may do: mounts, namespaces, cgroups.
//!
//! Fails without root unless TENURE_SKIP_ROOT=1.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use tenure_supervise::ProcessExit;
use tenure_supervise::cgroup::{Cgroup, oom_kills};
use tenure_supervise::mount::{
    BindOptions, bind, detach_all_below, mounts_below, overlay, tmpfs, tmpfs_without_swap,
};
use tenure_supervise::namespaces::{Kinds, create, remove};
use tenure_supervise::netns::connect;
use tenure_supervise::process::Spawn;

#[allow(clippy::unwrap_used)]
fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn skip() -> bool {
    std::env::var_os("TENURE_SKIP_ROOT").is_some()
}

/// A folder whose mounts go with it.
struct Scratch(tempfile::TempDir);

impl Scratch {
    #[allow(clippy::unwrap_used)]
    fn new() -> Self {
        let scratch = Self(tempfile::tempdir().unwrap());
        tmpfs(scratch.0.path(), None, 0o755).unwrap();
        scratch
    }
    #[allow(clippy::unwrap_used)]
    fn folder(&self, name: &str) -> std::path::PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = detach_all_below(self.0.path());
    }
}

#[test]
fn an_overlay_takes_paths_with_any_characters() {
    if skip() {
        return;
    }
    let scratch = Scratch::new();
    let lower = scratch.folder("lo:wer,upperdir=\\x y");
    let [upper, work, target] = ["u:p,per", "wo,rk:", "tar,get:"].map(|name| scratch.folder(name));
    fs::write(lower.join("file"), "below").unwrap();
    overlay(&lower, &upper, &work, &target).unwrap();
    assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "below");
    fs::write(target.join("file"), "above").unwrap();
    assert_eq!(fs::read_to_string(lower.join("file")).unwrap(), "below");
    assert_eq!(fs::read_to_string(upper.join("file")).unwrap(), "above");
    let [upper, work, target] = ["target2/u", "target2/w", "t"].map(|name| {
        let path = target.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    });
    let error = overlay(&lower, &upper, &work, &target).unwrap_err().to_string();
    assert!(error.contains("on an overlay itself"), "{error}");
    let error = overlay(Path::new("/no/such"), &upper, &work, &target)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "cannot open the folder /no/such");
}

#[test]
fn a_bind_mount_may_be_read_only_and_come_from_a_descriptor() {
    if skip() {
        return;
    }
    let scratch = Scratch::new();
    let [source, target] = ["source", "target"].map(|name| scratch.folder(name));
    fs::write(source.join("file"), "text").unwrap();
    let held = fs::File::open(&source).unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held));
    let options = BindOptions {
        recursive: true,
        read_only: true,
    };
    bind(Path::new(&path), &target, options).unwrap();
    assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "text");
    let error = fs::write(target.join("file"), "x").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EROFS));
    fs::write(source.join("file"), "new").unwrap();
    let file = scratch.0.path().join("one");
    fs::write(&file, "").unwrap();
    bind(&source.join("file"), &file, BindOptions::default()).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    // A link in the target's place is not followed.
    let link = scratch.0.path().join("link");
    std::os::unix::fs::symlink(&source, &link).unwrap();
    assert!(bind(&target, &link, BindOptions::default()).is_err());
}

#[test]
fn everything_mounted_below_a_folder_is_detached() {
    if skip() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let odd = directory.path().join("with space\\and\ttab\nnewline");
    fs::create_dir(&odd).unwrap();
    tmpfs(&odd, Some(1 << 20), 0o700).unwrap();
    tmpfs(&odd, Some(1 << 20), 0o711).unwrap();
    assert_eq!(fs::metadata(&odd).unwrap().permissions().mode() & 0o7777, 0o711);
    fs::create_dir(odd.join("below")).unwrap();
    tmpfs_without_swap(&odd.join("below"), 0o755).unwrap();
    let mode = fs::metadata(odd.join("below")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    assert_eq!(
        mounts_below(directory.path()).unwrap(),
        [odd.join("below"), odd.clone(), odd.clone()]
    );
    detach_all_below(directory.path()).unwrap();
    assert!(mounts_below(directory.path()).unwrap().is_empty());
    detach_all_below(directory.path()).unwrap();
    detach_all_below(Path::new("/no/such/folder")).unwrap();
}

/// Runs `work` inside the namespace bound at `file`.
#[allow(clippy::unwrap_used)]
fn inside<T: Send>(file: &Path, work: impl FnOnce() -> T + Send) -> T {
    let namespace = fs::File::open(file).unwrap();
    std::thread::scope(|scope| {
        let enter = move || {
            setns(&namespace, CloneFlags::empty()).unwrap();
            work()
        };
        scope.spawn(enter).join().unwrap()
    })
}

#[test]
fn namespaces_live_without_a_process_until_they_are_removed() {
    if skip() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let kinds = Kinds {
        network: true,
        ipc: true,
        uts: true,
    };
    let sysctls = [
        ("net.ipv4.ip_unprivileged_port_start", "0"),
        ("kernel.shm_rmid_forced", "1"),
        ("net/ipv4/conf/lo/forwarding", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let before = std::time::Instant::now();
    create(kinds, "some-pod", &sysctls, dir).unwrap();
    println!("namespaces::create: {:?}", before.elapsed());
    for name in ["net", "ipc", "uts"] {
        let own = fs::metadata(format!("/proc/thread-self/ns/{name}"))
            .unwrap()
            .ino();
        assert_ne!(fs::metadata(dir.join(name)).unwrap().ino(), own);
    }
    let name = inside(&dir.join("uts"), || {
        fs::read_to_string("/proc/sys/kernel/hostname").unwrap()
    });
    assert_eq!(name, "some-pod\n");
    assert_ne!(
        fs::read_to_string("/proc/sys/kernel/hostname").unwrap(),
        "some-pod\n"
    );
    let start =
        || fs::read_to_string("/proc/thread-self/root/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    assert_eq!(inside(&dir.join("net"), start), "0\n");

    // A server inside is reached from outside, by both loopback addresses, and only through the namespace.
    for address in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        let server = inside(&dir.join("net"), || {
            TcpListener::bind(SocketAddr::new(address, 0)).unwrap()
        });
        let target = server.local_addr().unwrap();
        let answer = std::thread::spawn(move || server.accept().unwrap().0.write_all(b"hello").unwrap());
        let stream = run(async {
            connect(Some(&dir.join("net")), target)
                .await
                .unwrap()
                .into_std()
                .unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        let mut said = String::new();
        (&stream).read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello");
        answer.join().unwrap();
        let refused = run(connect(Some(&dir.join("net")), target)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    remove(dir).unwrap();
    assert_eq!(fs::read_dir(dir).unwrap().count(), 0);
    remove(dir).unwrap();
}

#[test]
fn a_setting_of_the_host_is_refused_and_nothing_is_left() {
    if skip() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let kinds = Kinds {
        network: true,
        ..Kinds::default()
    };
    for name in [
        "vm.overcommit_memory",
        "kernel.shmmax",
        "net.../../vm/swappiness",
        "net.no.such.setting",
    ] {
        let sysctls = [(name.to_owned(), "1".to_owned())];
        let error = create(kinds, "pod", &sysctls, directory.path()).unwrap_err();
        assert!(error.to_string().starts_with("cannot set"), "{error}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

/// A cgroup that goes with the test.
struct TestCgroup(Cgroup);

impl Drop for TestCgroup {
    fn drop(&mut self) {
        let _ = run(self.0.kill());
        let _ = self.0.remove();
    }
}

#[allow(clippy::unwrap_used)]
fn new_cgroup(name: &str) -> TestCgroup {
    let name = format!("tenure-test-{}/{name}", std::process::id());
    let before = std::time::Instant::now();
    let cgroup = TestCgroup(Cgroup::create(Path::new(&name)).unwrap());
    println!("Cgroup::create: {:?}", before.elapsed());
    cgroup
}

#[test]
fn a_cgroup_is_made_killed_and_removed_with_all_below() {
    if skip() {
        return;
    }
    let pod = new_cgroup("pod");
    assert!(pod.0.exists());
    assert!(pod.0.child_path("app").starts_with("/tenure-test-"));
    let name = pod.0.child_path("app");
    let app = pod.0.create_child("app").unwrap();
    let shell = |script: &str| {
        Spawn::new(Path::new("/bin/sh"))
            .args(["-c", script])
            .spawn()
            .unwrap()
    };
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (gate, open) = std::io::pipe().unwrap();
    let script = "read x; trap '' TERM; sleep 1000 >/dev/null & sleep 1000 >/dev/null & echo ready; wait";
    let tree = Spawn::new(Path::new("/bin/sh"))
        .args(["-c", script])
        .stdin(gate.into())
        .stdout(writer.into());
    let tree = tree.spawn().unwrap();
    app.add(tree.pid).unwrap();
    drop(open);
    let mut line = [0; 6];
    reader.read_exact(&mut line).unwrap();
    let listed = pod.0.processes().unwrap();
    assert!(listed.len() == 3 && listed.contains(&tree.pid), "{listed:?}");
    assert_eq!(
        pod.0.remove().unwrap_err().kind(),
        std::io::ErrorKind::ResourceBusy
    );
    assert_eq!(oom_kills(&name).unwrap(), Some(0));
    assert_eq!(oom_kills("/tenure/no/such").unwrap(), None);
    let before = std::time::Instant::now();
    run(pod.0.kill()).unwrap();
    println!("Cgroup::kill: {:?}", before.elapsed());
    assert!(pod.0.processes().unwrap().is_empty());
    let before = std::time::Instant::now();
    pod.0.remove().unwrap();
    println!("Cgroup::remove: {:?}", before.elapsed());
    assert_eq!(tree.pidfd.wait_blocking().unwrap(), ProcessExit::Signal(9));
    assert!(!pod.0.exists());
    run(pod.0.kill()).unwrap();
    pod.0.remove().unwrap();
    drop(shell("true").pidfd.wait_blocking());
}

#[test]
fn a_fork_bomb_is_killed() {
    if skip() {
        return;
    }
    let pod = new_cgroup("bomb");
    let (gate, open) = std::io::pipe().unwrap();
    let script = "read x; bomb() { bomb & sleep 0.001; bomb; }; bomb";
    let bomb = Spawn::new(Path::new("/bin/sh"))
        .args(["-c", script])
        .stdin(gate.into())
        .spawn()
        .unwrap();
    let app = pod.0.create_child("app").unwrap();
    app.add(bomb.pid).unwrap();
    if Path::new("/sys/fs/cgroup/pids").exists() {
        fs::write(
            format!("/sys/fs/cgroup/pids{}/pids.max", pod.0.child_path("app")),
            "500",
        )
        .unwrap();
    }
    drop(open);
    while pod.0.processes().unwrap().len() < 50 {
        std::thread::yield_now();
    }
    run(async { tokio::time::timeout(std::time::Duration::from_secs(20), pod.0.kill()).await })
        .unwrap()
        .unwrap();
    assert!(pod.0.processes().unwrap().is_empty());
    bomb.pidfd.wait_blocking().unwrap();
}

#[test]
fn a_frozen_process_is_killed() {
    let state = "/sys/fs/cgroup/freezer";
    if skip() || !Path::new(state).exists() {
        return;
    }
    let pod = new_cgroup("frozen");
    let sleep = Spawn::new(Path::new("/bin/sleep")).arg("1000").spawn().unwrap();
    let app = pod.0.create_child("app").unwrap();
    app.add(sleep.pid).unwrap();
    fs::write(
        format!("{state}{}/freezer.state", pod.0.child_path("app")),
        "FROZEN",
    )
    .unwrap();
    run(async { tokio::time::timeout(std::time::Duration::from_secs(20), pod.0.kill()).await })
        .unwrap()
        .unwrap();
    assert_eq!(sleep.pidfd.wait_blocking().unwrap(), ProcessExit::Signal(9));
}

#[test]
fn a_kill_for_want_of_memory_is_counted() {
    if skip() {
        return;
    }
    let pod = new_cgroup("memory");
    let app = pod.0.create_child("app").unwrap();
    let path = pod.0.child_path("app");
    let limits = [
        format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"),
        format!("/sys/fs/cgroup{path}/memory.max"),
    ];
    let limit = limits.iter().find(|file| Path::new(file).exists()).unwrap();
    fs::write(limit, (16 << 20).to_string()).unwrap();
    let (gate, open) = std::io::pipe().unwrap();
    let script = "read x; exec tail /dev/zero";
    let hungry = Spawn::new(Path::new("/bin/sh"))
        .args(["-c", script])
        .stdin(gate.into())
        .spawn()
        .unwrap();
    app.add(hungry.pid).unwrap();
    assert_eq!(oom_kills(&path).unwrap(), Some(0));
    drop(open);
    assert_eq!(hungry.pidfd.wait_blocking().unwrap(), ProcessExit::Signal(9));
    assert_eq!(oom_kills(&path).unwrap(), Some(1));
}

#[test]
fn a_cgroup_path_that_could_leave_its_place_is_refused() {
    for path in ["", "/tenure", "../x", "a/../../b", "."] {
        assert!(Cgroup::open(Path::new(path)).is_err(), "{path}");
    }
}
