//! The shim itself: forked by `start`, alone with its containers until the last one is deleted.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener as StdListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::Mode;
use tenure_supervise::signal::Signals;
use tenure_supervise::subreaper::{Reaper, become_subreaper};
use tokio::net::UnixListener;
use tokio::task::LocalSet;

use crate::launcher::Launcher;
use crate::log::Log;
use crate::publish::Publisher;
use crate::service::Service;
use crate::task::{Duty, Shim};
use crate::ttrpc::serve;

/// How long a shim waits for its first container. A containerd that did not understand its address does not come back.
const FIRST_CONTAINER: Duration = Duration::from_secs(20);
/// What must not end a shim while it has containers: SIGHUP, SIGINT, SIGTERM.
const IGNORED: [i32; 3] = [1, 2, 15];

/// What a shim is started with.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) namespace: String,
    /// containerd's socket for events.
    pub(crate) events: PathBuf,
    /// Its own.
    pub(crate) socket: PathBuf,
}

/// Lives the shim's life; gives its exit code. `kept` is the listening socket and the log.
pub(crate) fn run(setting: &Setting, kept: Vec<OwnedFd>) -> u8 {
    let Ok([listener, log]) = <[OwnedFd; 2]>::try_from(kept) else {
        return 1;
    };
    let log = Log::adopt(log);
    let lived = prepare(&log)
        .inspect_err(|_| drop(std::fs::remove_file(&setting.socket)))
        .and_then(|launcher| live(setting, listener, launcher));
    match lived {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!(%error, "the shim ends");
            1
        }
    }
}

/// Lets go of whoever started this process, and forks the launcher.
fn prepare(log: &Log) -> io::Result<Launcher> {
    rustix::process::setsid()?;
    rustix::process::chdir("/")?;
    // The read-only view that this program was executed from has another name.
    rustix::thread::set_name(c"containerd-shim")?;
    // What is made for containers has the modes that are asked for.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let null = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(null.as_fd())?;
    rustix::stdio::dup2_stdout(null.as_fd())?;
    rustix::stdio::dup2_stderr(null.as_fd())?;
    become_subreaper()?;
    Launcher::start(log)
}

fn live(setting: &Setting, listener: OwnedFd, launcher: Launcher) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut reaper = Reaper::new()?;
        let mut signals = Signals::new(&IGNORED)?;
        tokio::task::spawn_local(async move {
            if let Err(error) = reaper.run().await {
                tracing::error!(%error, "orphans are not reaped any more");
            }
        });
        tokio::task::spawn_local(async move {
            while let Ok(signal) = signals.next().await {
                tracing::warn!(signal, "ignored: the shim ends with its containers");
            }
        });
        let (publisher, delivery) = Publisher::new(&setting.namespace, setting.events.clone());
        tokio::task::spawn_local(delivery);
        let shim = Rc::new(Shim::new(setting, launcher, publisher));
        let listener = StdListener::from(listener);
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let service = Rc::new(Service(Rc::clone(&shim)));
        let served = tokio::select! {
            served = serve(listener, service) => served,
            () = over(&shim) => Ok(()),
        };
        shim.retire();
        shim.flush().await;
        served
    })
}

/// Waits until the shim has nothing to do any more.
async fn over(shim: &Shim) {
    let mut duty = shim.duty();
    let first = duty.wait_for(|duty| *duty != Duty::Fresh);
    if tokio::time::timeout(FIRST_CONTAINER, first).await.is_err() {
        return tracing::warn!("nobody asked for a container");
    }
    // The sender is the shim's.
    let _ = duty.wait_for(|duty| *duty == Duty::Over).await;
    // The answer to whoever asked is on its way.
    tokio::task::yield_now().await;
}
