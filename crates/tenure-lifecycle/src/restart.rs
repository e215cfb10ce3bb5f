//! Whether a container is started again, and when (`lifecycle-semantics 5.2` to `5.6`).

use std::time::Duration;

use tenure_spec::{RestartAction, RestartPolicy, RestartRule};

use crate::container::state::Outcome;

/// The first wait that is not nothing.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// A start that ran for longer than this clears the record of earlier ones; independent of the longest wait
/// (`lifecycle-semantics 5.5`).
const RESET_AFTER: Duration = Duration::from_secs(600);

/// True when a start that came out so is to be followed by another one.
///
/// A start error and a config error count as failures (S83). A start that was given up before its program ran is
/// never followed by another: only the end of the pod does that. The first rule about the exit code comes before the
/// policy, and always restarts (`lifecycle-semantics 5.3`, S81).
pub(crate) fn wanted(policy: RestartPolicy, rules: &[RestartRule], outcome: &Outcome) -> bool {
    if action(rules, outcome).is_some() {
        return true;
    }
    match (policy, outcome) {
        (RestartPolicy::Never, _) | (_, Outcome::Never | Outcome::Discarded) => false,
        (RestartPolicy::Always, Outcome::Ended(_) | Outcome::ConfigError { .. }) => true,
        (RestartPolicy::OnFailure, Outcome::Ended(terminated)) => terminated.exit_code != 0,
        (RestartPolicy::OnFailure, Outcome::ConfigError { .. }) => true,
    }
}

/// What the rules want after a start that came out so: the first one about its exit code is the one that counts.
pub(crate) fn action(rules: &[RestartRule], outcome: &Outcome) -> Option<RestartAction> {
    match outcome {
        Outcome::Ended(terminated) => rules
            .iter()
            .find(|rule| rule.applies_to(terminated.exit_code))
            .map(|rule| rule.action),
        Outcome::Never | Outcome::Discarded | Outcome::ConfigError { .. } => None,
    }
}

/// The waits between restarts of one container: 0, 10, 20, 40 ... seconds, up to the longest
/// (`lifecycle-semantics 5.4`, S74, S78).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backoff {
    longest: Duration,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The next restart is immediate.
    Fresh,
    /// The last wait was this long.
    Waited(Duration),
}

impl Backoff {
    pub(crate) fn new(longest: Duration) -> Self {
        Self {
            longest,
            step: Step::Fresh,
        }
    }

    /// The wait before the next start, counted from the end of the last one, which ran for `ran` if it ran at all.
    pub(crate) fn next(&mut self, ran: Option<Duration>) -> Duration {
        if ran.is_some_and(|ran| ran > RESET_AFTER) {
            self.step = Step::Fresh;
        }
        let wait = match self.step {
            Step::Fresh => Duration::ZERO,
            Step::Waited(Duration::ZERO) => FIRST_WAIT.min(self.longest),
            Step::Waited(last) => last.saturating_mul(2).min(self.longest),
        };
        self.step = Step::Waited(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(backoff: &mut Backoff, n: usize) -> Vec<u64> {
        (0..n)
            .map(|_| backoff.next(Some(Duration::from_secs(1))).as_secs())
            .collect()
    }

    #[test]
    fn waits_double_from_ten_seconds_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_secs(300));
        assert_eq!(waits(&mut backoff, 9), [0, 10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn a_longest_wait_of_nothing_restarts_at_once_for_ever() {
        let mut backoff = Backoff::new(Duration::ZERO);
        assert_eq!(waits(&mut backoff, 3), [0, 0, 0]);
    }

    #[test]
    fn exactly_six_hundred_seconds_do_not_reset() {
        let mut backoff = Backoff::new(Duration::from_secs(300));
        waits(&mut backoff, 3);
        assert_eq!(backoff.next(Some(Duration::from_secs(600))).as_secs(), 40);
        assert_eq!(backoff.next(Some(Duration::from_millis(600_001))).as_secs(), 0);
        assert_eq!(backoff.next(None).as_secs(), 10);
    }
}
