//! The probes of a pod's containers.

use std::cell::RefCell;
use std::rc::Rc;

use tenure_lifecycle::{ContainerIndex, ProbeKind, ProbeOutcome};
use tokio::sync::oneshot;

use super::{Host, Slot};
use crate::hooks::HookContext;
use crate::oci::OciRuntime;
use crate::probes;

impl<R: OciRuntime> Host<R> {
    /// Executes a probe once.
    pub(super) async fn probe(
        &self,
        index: ContainerIndex,
        kind: ProbeKind,
        cancel: oneshot::Receiver<()>,
    ) -> ProbeOutcome {
        let Some((spec, slot)) = self.container(index) else {
            return no_probe();
        };
        let probe = match kind {
            ProbeKind::Startup => &spec.probes.startup,
            ProbeKind::Readiness => &spec.probes.readiness,
            ProbeKind::Liveness => &spec.probes.liveness,
        };
        let Some(probe) = probe.clone() else {
            return no_probe();
        };
        let init = slot.borrow().init.clone();
        let outcome = probes::run(probe, self.hook_context(slot), cancel).await;
        // What a container that has ended did not answer is no verdict on it.
        match outcome {
            ProbeOutcome::Failed { .. } | ProbeOutcome::Errored { .. }
                if init.as_ref().is_none_or(|init| !init.is_alive()) =>
            {
                ProbeOutcome::Cancelled
            }
            outcome => outcome,
        }
    }

    /// What handlers and probes need to know of the container.
    pub(super) fn hook_context(&self, slot: &RefCell<Slot>) -> HookContext<R> {
        HookContext {
            runtime: Rc::clone(&self.runtime),
            container_id: slot.borrow().id.clone(),
            network: (!self.spec.host_network).then(|| self.dir.namespaces().join("net")),
        }
    }
}

pub(crate) fn no_probe() -> ProbeOutcome {
    ProbeOutcome::Errored {
        message: "there is no such probe".into(),
    }
}
