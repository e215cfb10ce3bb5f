//! `resources`: limits and requests of processor and memory.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::check::Check;
use super::report::{Path, quote};
use crate::container::Resources;
use crate::quantity::Quantity;

type Amounts = BTreeMap<String, Written>;

impl Check<'_> {
    /// Checks `resources`; a limit of 0 is none, and a request defaults to its limit.
    pub(crate) fn resources(&mut self, resources: &k8s::ResourceRequirements, path: &Path) -> Resources {
        let (limits, requests) = (path.field("limits"), path.field("requests"));
        self.known_resources(resources.limits.as_ref(), &limits, true);
        self.known_resources(resources.requests.as_ref(), &requests, false);
        let mut pair = |name: &str| {
            let limit = self.amount(resources.limits.as_ref(), name, &limits);
            let request = self.amount(resources.requests.as_ref(), name, &requests);
            if let (Some((limit, written)), Some((request, _))) = (limit, request)
                && request > limit
            {
                let message = format!("must be less than or equal to the {name} limit of {written}");
                self.error(&requests.field(name), message);
            }
            (
                limit.map(|(limit, _)| limit),
                request.or(limit).map(|(request, _)| request),
            )
        };
        let (cpu_limit, cpu_request) = pair("cpu");
        let (memory_limit, memory_request) = pair("memory");
        let storage = self.amount(resources.requests.as_ref(), "ephemeral-storage", &requests);
        let some = |amount: Option<u64>| amount.filter(|amount| *amount > 0);
        Resources {
            cpu_limit_millis: some(cpu_limit.and_then(Quantity::millis)),
            cpu_request_millis: cpu_request.and_then(Quantity::millis),
            memory_limit_bytes: some(memory_limit.and_then(Quantity::units)),
            memory_request_bytes: memory_request.and_then(Quantity::units),
            ephemeral_storage_request_bytes: storage.and_then(|(storage, _)| storage.units()),
        }
    }

    fn known_resources(&mut self, amounts: Option<&Amounts>, path: &Path, limits: bool) {
        for name in amounts.into_iter().flat_map(BTreeMap::keys) {
            let path = path.field(name);
            match name.as_str() {
                "cpu" | "memory" => {}
                "ephemeral-storage" if !limits => {
                    self.report.warn(
                        &path,
                        "ignored: nothing is scheduled here, the pod runs on this machine",
                    );
                }
                _ => self.error(&path, "not supported: only cpu and memory are"),
            }
        }
    }

    fn amount<'w>(
        &mut self,
        amounts: Option<&'w Amounts>,
        name: &str,
        path: &Path,
    ) -> Option<(Quantity, &'w str)> {
        let written = &amounts?.get(name)?.0;
        match written.parse::<Quantity>() {
            Ok(quantity) => Some((quantity, written)),
            Err(fault) => {
                self.error(
                    &path.field(name),
                    format!("{}, not {}", fault.message(), quote(written)),
                );
                None
            }
        }
    }
}
