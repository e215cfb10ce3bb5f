//! `status.json`: the published status.

use serde::{Deserialize, Serialize};
use tenure_lifecycle::{PodStatus, Timestamp};

/// `status.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The wall-clock time of `Timestamp::ZERO`, RFC 3339 with nanoseconds: `status.startTime`.
    pub origin: String,
    /// The supervisor's pid when this was published.
    pub supervisor_pid: i32,
    /// What the machine says.
    pub status: PodStatus,
}

impl Published {
    /// The wall-clock time of a point of the machine's time; `None` when `origin` is not a time.
    pub fn wall_clock(&self, at: Timestamp) -> Option<jiff::Timestamp> {
        let origin: jiff::Timestamp = self.origin.parse().ok()?;
        let since = jiff::SignedDuration::try_from(at.since_origin()).ok()?;
        origin.checked_add(since).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_lifecycle::Phase;

    #[test]
    fn machine_time_maps_to_the_wall_clock() {
        let published = Published {
            origin: "2026-01-02T03:04:05.000000006Z".into(),
            supervisor_pid: 1,
            status: PodStatus {
                phase: Phase::Pending,
                reason: String::new(),
                message: String::new(),
                conditions: vec![],
                stopping_since: None,
                finished_at: None,
                containers: vec![],
                exit_code: 0,
            },
        };
        let at = published.wall_clock(Timestamp::from_millis(1_500)).unwrap();
        assert_eq!(at.to_string(), "2026-01-02T03:04:06.500000006Z");
    }
}
