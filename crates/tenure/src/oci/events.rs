//! `tenure events`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use rustix::event::{PollFd, PollFlags};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use serde_json::{Value, json};
use tenure_runtime::{ContainerId, OomWatch, Runtime};

use crate::context::Context;
use crate::exit::{Code, CommandError};
use crate::output;

/// Tells a container's figures and out-of-memory kills, as JSON lines
///
/// A line of figures comes at every interval, a line of type oom when the container ran out of memory. The stream ends
/// with the container.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tenure events --stats hello\n  tenure events --interval 1s hello")]
pub(crate) struct EventsArgs {
    /// Print the figures once and return
    #[arg(long)]
    stats: bool,
    /// Time between two lines of figures, as in 500ms, 5s, 1m30s
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5s",
        value_parser = duration,
        allow_hyphen_values = true
    )]
    interval: Duration,
    /// The container
    #[arg(value_name = "ID")]
    id: String,
}

/// Prints figures once, or figures and out-of-memory kills until the container ends or nobody reads any more.
///
/// # Errors
/// When there is no such container, it is not running, or its figures cannot be read.
pub(crate) fn execute(context: &Context, args: &EventsArgs) -> Result<Code, CommandError> {
    let id = super::container_id(&args.id)?;
    if args.interval.is_zero() {
        return Err(CommandError::message("--interval must be greater than 0"));
    }
    let runtime = context.runtime()?;
    // Held before the first reading, so that no end can be missed.
    let init = runtime.init(&id)?;
    if args.stats {
        return figures(&runtime, &id);
    }
    let watch = runtime.watch_oom(&id)?;
    let timer = timer(args.interval).context("cannot make a timer")?;
    follow(&runtime, &id, &init, (watch, timer))
}

/// Prints one line of figures.
fn figures(runtime: &Runtime, id: &ContainerId) -> Result<Code, CommandError> {
    let mut data = serde_json::to_value(runtime.stats(id)?).context("cannot write the figures as JSON")?;
    data["intel_rdt"] = json!({});
    // The runtime makes no network interfaces.
    data["network_interfaces"] = Value::Null;
    output::print(&format!(
        "{}\n",
        json!({"type": "stats", "id": id.as_str(), "data": data})
    ))
}

/// Prints what happens until the container ends.
fn follow(
    runtime: &Runtime,
    id: &ContainerId,
    init: &OwnedFd,
    (mut watch, timer): (OomWatch, OwnedFd),
) -> Result<Code, CommandError> {
    let stdout = io::stdout();
    loop {
        let mut fds = [
            PollFd::new(init, PollFlags::IN),
            PollFd::from_borrowed_fd(watch.as_fd(), watch.interest()),
            PollFd::new(&timer, PollFlags::IN),
            // Only whether its reader went away.
            PollFd::new(&stdout, PollFlags::empty()),
        ];
        match rustix::event::poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.context("cannot wait for events")?,
        };
        let [ended, memory, due, unread] = fds.map(|fd| !fd.revents().is_empty());
        // Last of all, init itself may have been killed for want of memory.
        if (memory || ended) && watch.news()? {
            output::print(&format!("{}\n", json!({"type": "oom", "id": id.as_str()})))?;
        }
        if ended || unread {
            return Ok(Code::SUCCESS);
        }
        if due {
            let _ = rustix::io::read(&timer, &mut [0; 8]);
            match figures(runtime, id) {
                // It has ended just now.
                Err(_) if has_ended(init) => return Ok(Code::SUCCESS),
                other => other?,
            };
        }
    }
}

/// Whether a process has ended.
fn has_ended(process: &OwnedFd) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

/// A timer that becomes readable at every interval.
fn timer(interval: Duration) -> io::Result<OwnedFd> {
    let fd = rustix::time::timerfd_create(
        TimerfdClockId::Monotonic,
        TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
    )?;
    let interval = Timespec {
        tv_sec: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(interval.subsec_nanos()),
    };
    let times = Itimerspec {
        it_interval: interval,
        it_value: interval,
    };
    rustix::time::timerfd_settime(&fd, TimerfdTimerFlags::empty(), &times)?;
    Ok(fd)
}

/// Reads a duration as Go writes them: numbers with units, one after the other (`1m30s`, `1.5h`, `500ms`).
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || anyhow!("{text:?} is no duration (as in 5s, 500ms, 1m30s)").to_string();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let (number, tail) = rest.split_at_checked(end).ok_or_else(wrong)?;
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end).ok_or_else(wrong)?;
        seconds += number
            * match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return Err(wrong()),
            };
        rest = tail;
    }
    if text.is_empty() {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, expected) in [
            ("5s", 5000),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "5 s",
            "1x",
            "5s5",
            "1..2s",
            "99999999999999999999h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_timer_comes_again_and_again() {
        let timer = timer(Duration::from_millis(1)).unwrap();
        for _ in 0..2 {
            rustix::event::poll(&mut [PollFd::new(&timer, PollFlags::IN)], None).unwrap();
            assert_eq!(rustix::io::read(&timer, &mut [0; 8]).unwrap(), 8);
        }
    }
}
