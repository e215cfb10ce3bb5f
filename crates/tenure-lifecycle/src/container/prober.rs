//! One probe of one start: when it is asked, and what its results come to (`lifecycle-semantics 6.2` to `6.6`).
//!
//! Pure: the container tells when it may ask, and what was answered.

use crate::probe::{ProbeKind, ProbeOutcome, ProbePlan, ProbePlans};
use crate::time::Timestamp;

/// How often an execution that could not be carried out is tried, the first time included (`lifecycle-semantics 6.5`).
const MOST_TRIES: u32 = 3;

/// The probers of one start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probers {
    startup: Option<Prober>,
    readiness: Option<Prober>,
    liveness: Option<Prober>,
}

impl Probers {
    /// Before anything has been asked.
    pub(crate) fn new(plans: &ProbePlans) -> Self {
        let prober = |kind: ProbeKind| plans.get(kind).map(|plan| Prober::new(plan, kind));
        Self {
            startup: prober(ProbeKind::Startup),
            readiness: prober(ProbeKind::Readiness),
            liveness: prober(ProbeKind::Liveness),
        }
    }

    pub(crate) fn get(&self, kind: ProbeKind) -> Option<&Prober> {
        match kind {
            ProbeKind::Startup => self.startup.as_ref(),
            ProbeKind::Readiness => self.readiness.as_ref(),
            ProbeKind::Liveness => self.liveness.as_ref(),
        }
    }

    pub(crate) fn get_mut(&mut self, kind: ProbeKind) -> Option<&mut Prober> {
        match kind {
            ProbeKind::Startup => self.startup.as_mut(),
            ProbeKind::Readiness => self.readiness.as_mut(),
            ProbeKind::Liveness => self.liveness.as_mut(),
        }
    }

    /// True when there is no such probe, or its verdict is good.
    pub(crate) fn is_good(&self, kind: ProbeKind) -> bool {
        self.get(kind).is_none_or(Prober::is_good)
    }
}

/// One probe of one start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prober {
    plan: ProbePlan,
    watch: Watch,
    /// The verdict in force (`lifecycle-semantics 6.3`: liveness begins good, the others bad).
    verdict: bool,
    /// Equal results in a row, the newest included.
    streak: Option<Streak>,
    /// What was told last, since the verdict was last good.
    told: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Streak {
    success: bool,
    length: u32,
}

/// Whether and when it is to be asked next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// Its time has not come: no tick is fixed.
    Ahead,
    /// At the tick `next`.
    Ticking { next: Timestamp },
    /// At once: so many tries could not be carried out. Then at the tick `next`.
    Retrying { next: Timestamp, tries: u32 },
    /// Not in this start any more (`lifecycle-semantics 6.4, 6.6`).
    Over,
}

/// What a result has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing, so far.
    None,
    /// The verdict has become, or is once more confirmed as, good.
    Good,
    /// The threshold of failures is reached, the verdict is bad.
    Bad,
    /// The execution is given up without a result.
    GivenUp,
}

impl Prober {
    fn new(plan: &ProbePlan, kind: ProbeKind) -> Self {
        Self {
            plan: plan.clone(),
            watch: Watch::Ahead,
            verdict: kind == ProbeKind::Liveness,
            streak: None,
            told: None,
        }
    }

    pub(crate) fn is_good(&self) -> bool {
        self.verdict
    }

    /// True when `text` is to be told: always until the threshold is passed, then whenever it has changed.
    pub(crate) fn is_news(&mut self, text: &str) -> bool {
        let is_old = self.told.as_deref() == Some(text);
        let length = self.streak.map_or(0, |streak| streak.length);
        let success = self.streak.is_some_and(|streak| streak.success);
        if is_old && length > self.plan.threshold(success) {
            return false;
        }
        self.told = Some(text.to_owned());
        true
    }

    /// What is told from now on is told anew.
    pub(crate) fn forget_told(&mut self) {
        self.told = None;
    }

    /// It may be asked at `now`, while no execution is under way: true if it is to be.
    ///
    /// Ticks are counted from the first call; the delay is looked at on ticks only, so that it rounds up to one
    /// (`lifecycle-semantics 6.2`). A tick that was missed because an execution took so long is made up for at once.
    pub(crate) fn ask(&mut self, now: Timestamp, started_at: Timestamp) -> bool {
        let period = self.plan.period();
        if self.watch == Watch::Ahead {
            let due = started_at + self.plan.initial_delay;
            let mut next = now;
            if next < due {
                let ticks = (due - next).as_nanos().div_ceil(period.as_nanos());
                next = next + period.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
            }
            self.watch = Watch::Ticking { next };
        }
        match self.watch {
            Watch::Ticking { next } if next <= now => {
                let missed = (now - next).as_nanos() / period.as_nanos();
                let ticks = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
                self.watch = Watch::Ticking {
                    next: next + period.saturating_mul(ticks),
                };
                true
            }
            Watch::Retrying { .. } => true,
            Watch::Ahead | Watch::Ticking { .. } | Watch::Over => false,
        }
    }

    /// When it is to be asked, while it may be and no execution is under way.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        match self.watch {
            Watch::Ticking { next } => Some(next),
            // Asked as soon as the answer is in; the tick is the latest.
            Watch::Retrying { next, tries: _ } => Some(next),
            Watch::Ahead | Watch::Over => None,
        }
    }

    /// Takes a result in.
    pub(crate) fn take(&mut self, outcome: &ProbeOutcome) -> Change {
        match outcome {
            ProbeOutcome::Succeeded | ProbeOutcome::Warned { .. } => self.count(true),
            ProbeOutcome::Failed { .. } => self.count(false),
            ProbeOutcome::Errored { .. } => self.retry(),
            ProbeOutcome::Cancelled => Change::None,
        }
    }

    /// Never asked again in this start.
    pub(crate) fn end(&mut self) {
        self.watch = Watch::Over;
    }

    fn retry(&mut self) -> Change {
        let (next, tries) = match self.watch {
            Watch::Ticking { next } => (next, 1),
            Watch::Retrying { next, tries } => (next, tries.saturating_add(1)),
            Watch::Ahead | Watch::Over => return Change::GivenUp,
        };
        if tries < MOST_TRIES {
            self.watch = Watch::Retrying { next, tries };
            Change::None
        } else {
            self.watch = Watch::Ticking { next };
            Change::GivenUp
        }
    }

    fn count(&mut self, success: bool) -> Change {
        if let Watch::Retrying { next, tries: _ } = self.watch {
            self.watch = Watch::Ticking { next };
        }
        let before = match self.streak {
            Some(streak) if streak.success == success => streak.length,
            Some(_) | None => 0,
        };
        let length = before.saturating_add(1);
        self.streak = Some(Streak { success, length });
        if length < self.plan.threshold(success) {
            return Change::None;
        }
        self.verdict = success;
        if success { Change::Good } else { Change::Bad }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn prober(delay: u64, period: u64, success: u32, failure: u32) -> Prober {
        let plan = ProbePlan {
            initial_delay: Duration::from_secs(delay),
            period: Duration::from_secs(period),
            success_threshold: success,
            failure_threshold: failure,
            grace: None,
        };
        Prober::new(&plan, ProbeKind::Readiness)
    }

    fn failed() -> ProbeOutcome {
        ProbeOutcome::Failed {
            message: String::new(),
        }
    }

    fn errored() -> ProbeOutcome {
        ProbeOutcome::Errored {
            message: String::new(),
        }
    }

    #[test]
    fn it_is_asked_at_once_and_then_each_period() {
        let mut prober = prober(0, 3, 1, 1);
        let start = Timestamp::from_secs(100);
        let asked: Vec<u64> = (105..120)
            .filter(|at| prober.ask(Timestamp::from_secs(*at), start))
            .collect();
        assert_eq!(asked, [105, 108, 111, 114, 117]);
    }

    #[test]
    fn the_delay_counts_from_the_start_and_rounds_up_to_a_tick() {
        let start = Timestamp::from_secs(100);
        let first = |delay, begins: u64| {
            let mut prober = prober(delay, 3, 1, 1);
            prober.ask(Timestamp::from_secs(begins), start);
            let next = prober.next().unwrap_or_default().since_origin().as_secs();
            (next, begins)
        };
        assert_eq!(first(6, 100).0, 106);
        assert_eq!(first(5, 100).0, 106);
        assert_eq!(first(4, 102).0, 105);
        let mut at_once = prober(4, 3, 1, 1);
        assert!(at_once.ask(Timestamp::from_secs(104), start));
    }

    #[test]
    fn a_missed_tick_is_made_up_for_once_and_the_ticks_stay_where_they_were() {
        let mut prober = prober(0, 2, 1, 1);
        let start = Timestamp::ZERO;
        assert!(prober.ask(start, start));
        assert!(prober.ask(Timestamp::from_secs(7), start));
        assert!(!prober.ask(Timestamp::from_secs(7), start));
        assert_eq!(prober.next(), Some(Timestamp::from_secs(8)));
    }

    #[test]
    fn only_equal_results_in_a_row_change_the_verdict() {
        let mut prober = prober(0, 1, 2, 3);
        let start = Timestamp::ZERO;
        prober.ask(start, start);
        let mut take = |outcomes: &[ProbeOutcome]| -> Vec<Change> {
            outcomes.iter().map(|outcome| prober.take(outcome)).collect()
        };
        use Change::{Bad, Good, None};
        assert_eq!(
            take(&[ProbeOutcome::Succeeded, failed(), ProbeOutcome::Succeeded]),
            [None, None, None]
        );
        let warned = ProbeOutcome::Warned {
            message: String::new(),
        };
        assert_eq!(take(&[warned]), [Good]);
        assert_eq!(take(&[failed(), failed(), ProbeOutcome::Succeeded]), [None; 3]);
        assert_eq!(
            take(&[failed(), failed(), failed(), failed()]),
            [None, None, Bad, Bad]
        );
    }

    #[test]
    fn an_error_is_tried_three_times_at_once_and_then_let_go() {
        let mut prober = prober(0, 10, 1, 1);
        let start = Timestamp::ZERO;
        assert!(prober.ask(start, start));
        for expected in [Change::None, Change::None, Change::GivenUp] {
            assert_eq!(prober.take(&errored()), expected);
            assert_eq!(prober.ask(start, start), expected == Change::None);
        }
        assert_eq!(prober.next(), Some(Timestamp::from_secs(10)));
        assert!(prober.ask(Timestamp::from_secs(10), start));
        assert_eq!(prober.take(&errored()), Change::None);
        assert_eq!(prober.take(&failed()), Change::Bad);
        assert!(!prober.ask(Timestamp::from_secs(10), start));
    }

    #[test]
    fn once_over_it_is_never_asked_again() {
        let mut prober = prober(0, 1, 1, 1);
        prober.end();
        assert!(!prober.ask(Timestamp::from_secs(50), Timestamp::ZERO));
        assert_eq!(prober.next(), None);
    }
}
