//! What every supervisor has, whatever it supervises: one thread, its signals, its orphans, its requests.

use std::io;
use std::rc::Rc;

use nix::libc;
use nix::sys::stat::{Mode, umask};
use tenure_lifecycle::{Event, PodStatus, Request};
use tenure_supervise::signal::Signals;
use tenure_supervise::subreaper::{Reaper, become_subreaper};
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;

use crate::control;
use crate::effects::Effects;
use crate::engine::{Engine, Input, Inputs};
use crate::error::{EngineError, process_error};
use crate::store::{PodDir, file_error};

/// What asks a foreground run to stop. A terminal that hangs up must not leave a pod without a supervisor.
const INTERRUPTS: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// A process made ready to supervise.
#[derive(Debug)]
pub(crate) struct Supervision {
    runtime: Runtime,
    signals: Signals,
    reaper: Reaper,
}

impl Supervision {
    /// Makes this process a subreaper that takes its signals. Before any other thread exists.
    pub(crate) fn begin() -> Result<Self, EngineError> {
        let ignored = ignored_signals();
        let mut signals = INTERRUPTS.to_vec();
        signals.retain(|signal| *signal == libc::SIGTERM || !ignored.contains(signal));
        Self::begin_with(&signals)
    }

    /// As [`Supervision::begin`], with these signals.
    pub(crate) fn begin_with(signals: &[i32]) -> Result<Self, EngineError> {
        // What is made for containers has the modes that are asked for.
        umask(Mode::from_bits_truncate(0o022));
        become_subreaper().map_err(|source| process_error("become a subreaper", source))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|source| process_error("start the event loop", source))?;
        let (signals, reaper) = {
            let _guard = runtime.enter();
            let signals = Signals::new(signals).map_err(|source| process_error("take signals", source))?;
            let reaper = Reaper::new().map_err(|source| process_error("watch children", source))?;
            (signals, reaper)
        };
        Ok(Self {
            runtime,
            signals,
            reaper,
        })
    }

    /// Runs a life on this thread.
    pub(crate) fn block_on<T>(self, life: impl AsyncFnOnce(Watch) -> T) -> T {
        let watch = Watch {
            signals: Some(self.signals),
            listener: None,
        };
        let mut reaper = self.reaper;
        LocalSet::new().block_on(&self.runtime, async move {
            let reaping = tokio::task::spawn_local(async move {
                if let Err(error) = reaper.run().await {
                    tracing::error!(%error, "orphans are not reaped any more");
                }
            });
            let result = life(watch).await;
            reaping.abort();
            result
        })
    }
}

/// What whoever started us had ignored, as `nohup` and a shell's `&` do: a blocked signal would come all the same.
fn ignored_signals() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default();
    (1..=64).filter(|signal| mask >> (signal - 1) & 1 == 1).collect()
}

/// What goes on beside a loop.
#[derive(Debug)]
pub(crate) struct Watch {
    signals: Option<Signals>,
    listener: Option<Rc<UnixListener>>,
}

impl Watch {
    /// For loops in tests, whose process has other things to do with its signals.
    #[cfg(test)]
    pub(crate) fn without_signals() -> Self {
        Self {
            signals: None,
            listener: None,
        }
    }

    /// Listens on a pod's socket from now until this is dropped.
    pub(crate) fn listen(&mut self, dir: &PodDir) -> Result<(), EngineError> {
        let listener =
            control::listen(dir).map_err(|source| file_error("listen on", &dir.control(), source))?;
        self.listener = Some(Rc::new(listener));
        Ok(())
    }

    /// Runs a loop to its end, with signals and requests going into it.
    pub(crate) async fn live<E: Effects>(&mut self, engine: Engine<E>, first: Event) -> PodStatus {
        let (ended, told) = watch::channel(None);
        let requests = self
            .listener
            .clone()
            .map(|listener| tokio::task::spawn_local(control::serve(listener, engine.inputs(), told)));
        let status = self
            .with_signals(engine, first, |_| {
                Input::Event(Event::Request(Request::Interrupt))
            })
            .await;
        ended.send_replace(Some(status.exit_code));
        if let Some(requests) = requests
            && let Err(error) = requests.await
        {
            tracing::error!(%error, "requests were not answered");
        }
        status
    }

    /// Runs a loop to its end; `translate` says what a signal is to it.
    pub(crate) async fn with_signals<E: Effects>(
        &mut self,
        engine: Engine<E>,
        first: Event,
        translate: impl Fn(i32) -> Input + 'static,
    ) -> PodStatus {
        let (stop, stopped) = oneshot::channel();
        let forwarding = self
            .signals
            .take()
            .map(|signals| tokio::task::spawn_local(forward(signals, engine.inputs(), stopped, translate)));
        let status = engine.run(first).await;
        drop(stop);
        if let Some(forwarding) = forwarding {
            self.signals = forwarding.await.ok();
        }
        status
    }

    /// Waits for something that an impatient user may cut short by a signal.
    pub(crate) async fn until_interrupted<T>(&mut self, done: oneshot::Receiver<T>) {
        let interrupted = async {
            match &mut self.signals {
                Some(signals) => signals.next().await,
                None => std::future::pending::<io::Result<i32>>().await,
            }
        };
        tokio::select! {
            _ = done => {}
            _ = interrupted => {}
        }
    }
}

async fn forward(
    mut signals: Signals,
    inputs: Inputs,
    mut stopped: oneshot::Receiver<()>,
    translate: impl Fn(i32) -> Input,
) -> Signals {
    loop {
        tokio::select! {
            _ = &mut stopped => return signals,
            signal = signals.next() => match signal {
                Ok(signal) => {
                    tracing::info!(signal, "signal");
                    // The loop outlives us.
                    let _ = inputs.send(translate(signal));
                }
                Err(error) => {
                    tracing::error!(%error, "signals are not seen any more");
                    let _ = stopped.await;
                    return signals;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rust_ignores_from_the_start_is_seen_as_ignored() {
        // The standard library ignores SIGPIPE.
        let ignored = ignored_signals();
        assert!(ignored.contains(&libc::SIGPIPE));
        assert!(!ignored.contains(&libc::SIGTERM));
    }
}
