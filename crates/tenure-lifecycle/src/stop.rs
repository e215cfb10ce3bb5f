//! The arithmetic of a stop, in one place (`lifecycle-semantics 3`, 3d).
//!
//! ```text
//! request          end of preStop                        request + grace
//!    ├── preStop ───────┤ stop signal ──────────────────────────┤ SIGKILL     preStop well within the grace
//!    ├── preStop ───────────────────────────────────────────────┤ stop signal ── 2 s ──┤ SIGKILL   it used all up
//! ```
//!
//! In the kubelet's terms: `g` = grace − time used by preStop (and by waiting for a sidecar's turn), at least 2 s;
//! SIGKILL comes `g` after the signal. Exact times, never floored to seconds.

use std::time::Duration;

use crate::time::Timestamp;

/// What is left for the program after its stop signal, whatever the grace (`lifecycle-semantics 3.1, 3.2`).
pub const LEAST_TERMINATION_WINDOW: Duration = Duration::from_secs(2);

/// The least grace of a stop that somebody asks for (`lifecycle-semantics 3.3`, S32, S33).
pub const LEAST_REQUESTED_GRACE: Duration = Duration::from_secs(1);

/// A grace period under way: when it ends. It began at the request and includes preStop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grace {
    end: Timestamp,
}

impl Grace {
    /// The grace of a stop that was asked for at `now`: at least 1 s, so that preStop always gets its chance
    /// (`lifecycle-semantics 3.3`).
    pub fn requested(now: Timestamp, length: Duration) -> Self {
        Self {
            end: now + length.max(LEAST_REQUESTED_GRACE),
        }
    }

    /// The grace of a stop that the pod decides on by itself at `now`: postStart failed, or the apps have ended. It
    /// may be nothing, then preStop is skipped and nobody waits for a turn (`lifecycle-semantics 3.3, 3.24`).
    pub fn internal(now: Timestamp, length: Duration) -> Self {
        Self { end: now + length }
    }

    /// When preStop, or the wait for a turn, is over at the latest.
    pub fn end(self) -> Timestamp {
        self.end
    }

    /// True while there is time for preStop, or for waiting.
    pub fn lasts(self, now: Timestamp) -> bool {
        now < self.end
    }

    /// When SIGKILL is due if the stop signal is sent at `signalled`.
    pub fn kill_at(self, signalled: Timestamp) -> Timestamp {
        self.end.max(signalled + LEAST_TERMINATION_WINDOW)
    }

    /// This grace after another request: it can only get shorter (`lifecycle-semantics 3d`, S47, S48).
    #[must_use]
    pub fn shortened_by(self, other: Self) -> Self {
        self.min(other)
    }
}
