//! The gate: what the manifest reader understands and the engine cannot perform yet.
//!
//! Everything here is parsed and validated in full; supporting it means deleting its row. Whole fields that are not
//! even read yet are marked `Later` in the table of fields instead.

use k8s_openapi::api::core::v1::{Container, Pod, Probe};

use crate::manifest::report::{Path, Report};

/// What is said of a feature that is not performed yet.
pub(crate) const NOT_YET: &str = "not supported yet";

/// A feature of one container.
struct Feature {
    /// The field that asks for it.
    field: &'static str,
    /// Whether a container uses it; the flag tells an init container.
    used: fn(&Container, bool) -> bool,
    /// What to say.
    message: &'static str,
}

const GRPC: &str = "not supported yet: grpc";

fn asks_by_grpc(probe: Option<&Probe>) -> bool {
    probe.is_some_and(|probe| probe.grpc.is_some())
}

/// The features that are refused.
const NOT_YET_PERFORMED: &[Feature] = &[
    Feature {
        field: "startupProbe",
        used: |c, _| asks_by_grpc(c.startup_probe.as_ref()),
        message: GRPC,
    },
    Feature {
        field: "readinessProbe",
        used: |c, _| asks_by_grpc(c.readiness_probe.as_ref()),
        message: GRPC,
    },
    Feature {
        field: "livenessProbe",
        used: |c, _| asks_by_grpc(c.liveness_probe.as_ref()),
        message: GRPC,
    },
];

/// Tells every use of a feature that is not performed yet, where nothing else is wrong.
pub(crate) fn refuse_unsupported(pod: &Pod, report: &mut Report) {
    let Some(spec) = &pod.spec else { return };
    let path = Path::root().field("spec");
    let inits = spec.init_containers.iter().flatten().enumerate();
    let apps = spec.containers.iter().enumerate();
    let all = inits
        .map(|(index, container)| (path.field("initContainers").index(index), container, true))
        .chain(apps.map(|(index, container)| (path.field("containers").index(index), container, false)));
    for (path, container, init) in all {
        for feature in NOT_YET_PERFORMED {
            let path = path.field(feature.field);
            if (feature.used)(container, init) && !report.has_error_at(&path) {
                report.error(&path, feature.message);
            }
        }
    }
}
