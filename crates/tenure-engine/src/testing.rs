//! A runtime for tests: "containers" are plain processes of the host, kept by id below its root as the real ones are.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use tenure_lifecycle::PodPlan;
use tenure_spec::PodSpec;
use tenure_spec::manifest::{Origin, load};
use tenure_supervise::pidfd::PidFd;
use tenure_supervise::process::{Spawn, start_time};

use crate::launch::PodOptions;
use crate::oci::{
    CreateRequest, CreatedContainer, ExecRequest, Execute, OciError, OciRuntime, RuntimeExec,
    RuntimeLocation, Stdio,
};
use crate::store::{ContainerStage, Launched, PodDir, write_json};

/// True when the tests that need root cannot run and need not.
pub(crate) fn skip_without_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    let skip = std::env::var_os("TENURE_SKIP_ROOT").is_some();
    assert!(
        root || skip,
        "needs root; TENURE_SKIP_ROOT=1 leaves such tests out"
    );
    !root
}

/// A bundle whose program is `args`, in place.
pub(crate) fn bundle(folder: &Path, name: &str, args: &[&str]) -> PathBuf {
    let bundle = folder.join(name);
    fs::create_dir_all(bundle.join("rootfs")).unwrap();
    let config = serde_json::json!({
        "ociVersion": "1.0.2",
        "process": {"args": args, "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]},
    });
    fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    bundle
}

pub(crate) fn pod(yaml: &str, folder: &Path) -> PodSpec {
    let origin = Origin {
        file: "test".into(),
        dir: folder.into(),
    };
    load(yaml.as_bytes(), &origin).unwrap().pod
}

pub(crate) fn launched(spec: &PodSpec, location: &RuntimeLocation) -> Launched {
    Launched {
        object: serde_json::json!({"kind": "Pod"}),
        spec: spec.clone(),
        options: PodOptions::default(),
        runtime: location.binary.clone(),
        runtime_root: location.root.clone(),
    }
}

pub(crate) fn write_launched(dir: &PodDir, launched: &Launched) -> PodPlan {
    write_json(&dir.launched(), launched).unwrap();
    PodPlan::from(&launched.spec)
}

/// See the module.
pub(crate) struct FakeRuntime {
    root: PathBuf,
    dir: PodDir,
    waiting: RefCell<BTreeMap<String, std::io::PipeWriter>>,
    pub(crate) log: RefCell<Vec<String>>,
}

impl FakeRuntime {
    pub(crate) fn new(root: &Path, dir: &PodDir) -> Self {
        Self {
            root: root.into(),
            dir: dir.clone(),
            waiting: RefCell::default(),
            log: RefCell::default(),
        }
    }

    fn home(&self, id: &str) -> PathBuf {
        self.root.join("containers").join(id)
    }

    /// What is on disk about a container at this moment.
    fn recorded(&self, id: &str) -> Option<ContainerStage> {
        let record = self.dir.read_record().unwrap()?;
        let mut containers = record.containers.values();
        containers
            .find(|container| container.id == id)
            .map(|container| container.stage)
    }

    fn note(&self, what: &str, id: &str) {
        self.log.borrow_mut().push(format!("{what} {id}"));
    }
}

/// A terminal's two ends: master and slave.
pub(crate) fn terminal() -> (OwnedFd, OwnedFd) {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    unlockpt(&master).unwrap();
    let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
    (master, slave)
}

impl OciRuntime for FakeRuntime {
    async fn create(&self, request: CreateRequest) -> Result<CreatedContainer, OciError> {
        let id = request.id;
        self.note("create", &id);
        assert_eq!(
            self.recorded(&id),
            Some(ContainerStage::Creating),
            "create before its record"
        );
        tokio::task::yield_now().await;
        let home = self.home(&id);
        fs::create_dir_all(&home).unwrap();
        let text = fs::read(request.bundle.join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let args = config["process"]["args"].as_array().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let (terminal, stdout, stderr) = match request.stdio {
            Stdio::Descriptors { stdout, stderr, .. } => (None, stdout, stderr),
            Stdio::Terminal => {
                let (master, slave) = terminal();
                (Some(master), slave.try_clone().unwrap(), slave)
            }
        };
        let child = Spawn::new(Path::new("/bin/sh"))
            .args(["-c", "read go || exec sleep 1000; exec \"$@\"", "init"])
            .args(args.iter().map(|arg| arg.as_str().unwrap()))
            .stdin(reader.into())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        fs::write(home.join("pid"), child.pid.to_string()).unwrap();
        self.waiting.borrow_mut().insert(id, writer);
        tokio::task::yield_now().await;
        Ok(CreatedContainer {
            pid: child.pid,
            start_time: start_time(child.pid).unwrap(),
            pidfd: child.pidfd,
            terminal,
        })
    }

    async fn start(&self, id: &str) -> Result<(), OciError> {
        self.note("start", id);
        assert_eq!(
            self.recorded(id),
            Some(ContainerStage::Started),
            "start before its record"
        );
        tokio::task::yield_now().await;
        if let Some(mut writer) = self.waiting.borrow_mut().remove(id) {
            writer.write_all(b"go\n").unwrap();
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn kill(&self, _: &str, _: &str, _: bool) -> Result<(), OciError> {
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<(), OciError> {
        self.note("delete", id);
        let home = self.home(id);
        if let Ok(pid) = fs::read_to_string(home.join("pid")) {
            if let Ok(init) = PidFd::open(pid.parse().unwrap()) {
                let _ = init.signal(9);
                init.ended().await.unwrap();
            }
            tokio::task::yield_now().await;
        }
        match fs::remove_dir_all(&home) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
        Ok(())
    }
}

impl Execute for FakeRuntime {
    async fn exec(&self, request: ExecRequest) -> Result<RuntimeExec, OciError> {
        Err(OciError::Refused {
            operation: "exec",
            id: request.id,
            message: "not in this fake".into(),
            code: 255,
        })
    }
}
