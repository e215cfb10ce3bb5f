//! `start`: finds the shim of a container's pod, or begins one, and tells containerd its address.
//!
//! containerd 2.3 and newer write `BootstrapParams` on stdin and read a `BootstrapResult`; older ones write something
//! else, or nothing, and read the address as text.

use std::fs::DirBuilder;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use prost::Message;
use rustix::fs::Mode;

use crate::arguments::Arguments;
use crate::bundle::Bundle;
use crate::daemon::{self, Setting};
use crate::info;
use crate::log::Log;
use crate::proto::bootstrap::{BootstrapParams, BootstrapResult};

/// Where all shims have their sockets.
const SOCKETS: &str = "/run/containerd/s";
/// What containerd reads an older shim's address from when it comes back.
const ADDRESS: &str = "address";

/// Starts, or finds, the shim.
pub(crate) fn start(arguments: &Arguments) -> Result<(), String> {
    // Before stdin is read: this process may be executed again.
    tenure_runtime::protect_own_binary().map_err(|error| error.to_string())?;
    let params = read_params(&arguments.id);
    let bundle = std::env::current_dir().map_err(|error| format!("the working directory: {error}"))?;
    let socket = socket(arguments, params.as_ref(), &bundle)?;
    if UnixStream::connect(&socket).is_err() {
        begin(arguments, params.as_ref(), &bundle, &socket)?;
    }
    let address = format!("unix://{}", socket.display());
    tenure_supervise::atomic::write_atomic(&bundle.join(ADDRESS), address.as_bytes(), 0o600)
        .map_err(|error| format!("{}: {error}", bundle.join(ADDRESS).display()))?;
    match params {
        None => info::print(address.as_bytes()),
        Some(_) => {
            let result = BootstrapResult {
                version: 3,
                address,
                protocol: "ttrpc".to_owned(),
            };
            info::print(&result.encode_to_vec())
        }
    }
}

/// What a newer containerd has written on stdin. Older ones write a runtime's options there, which no parser could tell
/// apart but by the id.
fn read_params(id: &str) -> Option<BootstrapParams> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).ok()?;
    let params = BootstrapParams::decode(bytes.as_slice()).ok()?;
    (params.instance_id == id && !params.grpc_address.is_empty()).then_some(params)
}

/// The socket of a container's shim: the same for all of one pod.
fn socket(arguments: &Arguments, params: Option<&BootstrapParams>, bundle: &Path) -> Result<PathBuf, String> {
    let config = Bundle::read(bundle).map_err(|status| status.message().to_owned())?;
    let group = config.sandbox().unwrap_or(&arguments.id);
    let containerd = params.map_or(&arguments.address, |params| &params.grpc_address);
    let name = format!("{containerd}\0{}\0{group}", arguments.namespace);
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Path::new(SOCKETS).join(hex))
}

/// Begins a shim that listens on a socket.
fn begin(
    arguments: &Arguments,
    params: Option<&BootstrapParams>,
    bundle: &Path,
    socket: &Path,
) -> Result<(), String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| format!("{what}: {error}")
    };
    let log = Log::open(bundle, arguments.debug).map_err(failed("the log"))?;
    let listener = listen(socket).map_err(failed(&socket.display().to_string()))?;
    let events = match params {
        Some(params) => params.ttrpc_address.clone(),
        None => std::env::var("TTRPC_ADDRESS").unwrap_or_else(|_| format!("{}.ttrpc", arguments.address)),
    };
    let setting = Setting {
        namespace: arguments.namespace.clone(),
        events: PathBuf::from(events.strip_prefix("unix://").unwrap_or(&events)),
        socket: socket.to_owned(),
    };
    let kept: Vec<OwnedFd> = vec![listener.into(), log.descriptor().map_err(failed("the log"))?];
    let daemon = tenure_supervise::fork::fork(kept, move |kept| daemon::run(&setting, kept))
        .map_err(failed("cannot fork"))?;
    adjust_oom_score(daemon.pid);
    Ok(())
}

fn listen(socket: &Path) -> io::Result<UnixListener> {
    DirBuilder::new().recursive(true).mode(0o711).create(SOCKETS)?;
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Whoever may connect can do everything with the pod.
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(socket);
    rustix::process::umask(before);
    listener
}

/// A shim goes after containerd and before its containers when memory runs out. Best effort, as with containerd's own.
fn adjust_oom_score(pid: i32) {
    let score = |pid: i32| -> Option<i32> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).ok()?;
        text.trim().parse().ok()
    };
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if let Some(score) = score(parent).filter(|score| *score < 1000) {
        let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), (score + 1).to_string());
    }
}

/// Removes the socket of a shim that has died, once the last container of its pod is deleted. One that answers stays.
pub(crate) fn remove_dead_socket(arguments: &Arguments, bundle: &Path) {
    let recorded = std::fs::read_to_string(bundle.join(ADDRESS)).ok();
    let recorded = recorded
        .as_deref()
        .and_then(|address| address.strip_prefix("unix://"));
    let Some(socket) = recorded
        .map(PathBuf::from)
        .or_else(|| socket(arguments, None, bundle).ok())
    else {
        return;
    };
    if socket.starts_with(SOCKETS) && UnixStream::connect(&socket).is_err() {
        let _ = std::fs::remove_file(&socket);
    }
}
