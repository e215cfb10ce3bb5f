//! Probes as the machine sees them: what is planned, what is told (`lifecycle-semantics 6`).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure_spec::probe::{Probe, Probes};

/// The least time between two executions of one probe; a manifest knows whole seconds only.
const LEAST_PERIOD: Duration = Duration::from_secs(1);

/// The three probes of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProbeKind {
    /// Holds the others back until it has succeeded; its failure ends the container (`lifecycle-semantics 6.4, 6.9`).
    Startup,
    /// Tells whether the container is `ready`; never ends it (`lifecycle-semantics 6.10`).
    Readiness,
    /// Its failure ends the container (`lifecycle-semantics 6.9`).
    Liveness,
}

impl ProbeKind {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];

    /// As in a sentence: `startup`, `readiness`, `liveness`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        }
    }

    /// As at the beginning of the kubelet's events.
    pub(crate) const fn capitalised(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }
}

/// When a probe is executed and what its results lead to. What it asks, and for how long, is the engine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePlan {
    /// `initialDelaySeconds`, counted from the start of the program (`lifecycle-semantics 2.3`).
    pub initial_delay: Duration,
    /// `periodSeconds`; less than a second counts as one.
    pub period: Duration,
    /// `successThreshold`; 0 counts as 1.
    pub success_threshold: u32,
    /// `failureThreshold`; 0 counts as 1.
    pub failure_threshold: u32,
    /// `terminationGracePeriodSeconds`: instead of the pod's when this probe ends the container
    /// (`lifecycle-semantics 3d`).
    pub grace: Option<Duration>,
}

impl ProbePlan {
    pub(crate) fn period(&self) -> Duration {
        self.period.max(LEAST_PERIOD)
    }

    pub(crate) fn threshold(&self, success: bool) -> u32 {
        if success {
            self.success_threshold.max(1)
        } else {
            self.failure_threshold.max(1)
        }
    }
}

impl From<&Probe> for ProbePlan {
    fn from(probe: &Probe) -> Self {
        Self {
            initial_delay: Duration::from_secs(probe.initial_delay_seconds),
            period: Duration::from_secs(probe.period_seconds),
            success_threshold: probe.success_threshold,
            failure_threshold: probe.failure_threshold,
            grace: probe.termination_grace_period_seconds.map(Duration::from_secs),
        }
    }
}

/// The probes that a container has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbePlans {
    /// `startupProbe`.
    pub startup: Option<ProbePlan>,
    /// `readinessProbe`.
    pub readiness: Option<ProbePlan>,
    /// `livenessProbe`.
    pub liveness: Option<ProbePlan>,
}

impl ProbePlans {
    /// The plan of one kind, if there is such a probe.
    pub fn get(&self, kind: ProbeKind) -> Option<&ProbePlan> {
        match kind {
            ProbeKind::Startup => self.startup.as_ref(),
            ProbeKind::Readiness => self.readiness.as_ref(),
            ProbeKind::Liveness => self.liveness.as_ref(),
        }
    }
}

impl From<&Probes> for ProbePlans {
    fn from(probes: &Probes) -> Self {
        let plan = |probe: &Option<Probe>| probe.as_ref().map(ProbePlan::from);
        Self {
            startup: plan(&probes.startup),
            readiness: plan(&probes.readiness),
            liveness: plan(&probes.liveness),
        }
    }
}

/// How one execution of a probe went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// Exit 0, status 200 to 399, connected, SERVING.
    Succeeded,
    /// A success that somebody should look at: a redirect to another host (`lifecycle-semantics 6.8`).
    Warned {
        /// One line for people.
        message: String,
    },
    /// The container said no, or did not answer in time.
    Failed {
        /// For people; of an exec probe what it wrote, cut to some KiB.
        message: String,
    },
    /// Nobody could ask: tried again at once, twice, and then let go (`lifecycle-semantics 6.5`).
    Errored {
        /// One line for people.
        message: String,
    },
    /// It was cancelled, or ended because its container did.
    Cancelled,
}
