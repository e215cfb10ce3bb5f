//! The one reader of the clock.
//!
//! Machine time is CLOCK_MONOTONIC counted from the pod's start, as the kubelet's is: it never goes back and stands
//! still while the machine is suspended. Wall-clock times are for people; they are machine time laid onto the wall
//! clock's reading at the pod's start.

use std::time::Duration;

use tenure_lifecycle::Timestamp;
use tokio::time::Instant;

/// Machine time and its two translations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    offset: Duration,
    origin: jiff::Timestamp,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            offset: Duration::ZERO,
            origin: jiff::Timestamp::now(),
        }
    }

    /// The clock of a pod whose life began at `origin`, by the wall clock; for its recovery.
    pub(crate) fn resume(origin: jiff::Timestamp) -> Self {
        let age = jiff::Timestamp::now().duration_since(origin);
        Self {
            started: Instant::now(),
            offset: Duration::try_from(age).unwrap_or(Duration::ZERO),
            origin,
        }
    }

    /// The machine's time now.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_origin(self.offset + self.started.elapsed())
    }

    /// When a point of the machine's time is, for a timer; at once when it is past.
    pub(crate) fn instant(&self, at: Timestamp) -> Instant {
        let ahead = at.since_origin().saturating_sub(self.offset);
        // A point too far ahead for the clock is as good as never.
        self.started
            .checked_add(ahead)
            .unwrap_or_else(|| self.started + Duration::from_secs(100 * 365 * 86_400))
    }

    /// The wall-clock time of the machine's origin.
    pub(crate) fn origin(&self) -> jiff::Timestamp {
        self.origin
    }

    /// The wall-clock time of a point of the machine's time.
    pub(crate) fn wall(&self, at: Timestamp) -> jiff::Timestamp {
        jiff::SignedDuration::try_from(at.since_origin())
            .ok()
            .and_then(|since| self.origin.checked_add(since).ok())
            .unwrap_or(jiff::Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn machine_time_moves_with_the_timers_clock() {
        let clock = Clock::start();
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(clock.now(), Timestamp::from_millis(1_500));
        let deadline = clock.instant(Timestamp::from_secs(2));
        tokio::time::sleep_until(deadline).await;
        assert_eq!(clock.now(), Timestamp::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_resumed_clock_goes_on_where_the_pod_began() {
        let origin = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(100);
        let clock = Clock::resume(origin);
        let now = clock.now().since_origin();
        assert!(now >= Duration::from_secs(100) && now < Duration::from_secs(101));
        assert_eq!(clock.wall(Timestamp::ZERO), origin);
        assert!(clock.instant(Timestamp::from_secs(3)) <= Instant::now());
        let ahead = clock.instant(Timestamp::from_secs(200)) - Instant::now();
        assert!(ahead > Duration::from_secs(98) && ahead <= Duration::from_secs(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_point_beyond_all_time_does_not_overflow() {
        let clock = Clock::start();
        let never = Timestamp::from_origin(Duration::MAX);
        assert!(clock.instant(never) > Instant::now());
        assert_eq!(clock.wall(never), jiff::Timestamp::MAX);
    }
}
