//! `resources` of containers and of the pod: limits and requests of processors, memory and huge pages.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::check::Check;
use super::report::{Path, quote};
use crate::container::{ContainerSpec, Resources, RestartPolicy};
use crate::quantity::Quantity;

type Amounts = BTreeMap<String, Written>;

/// What the names of huge pages begin with; their size follows.
const HUGE_PAGES: &str = "hugepages-";
const NOT_KNOWN: &str = "not supported: only cpu, memory and hugepages-SIZE are";

impl Check<'_> {
    /// Checks the `resources` of a container; a limit of 0 is none, and a request defaults to its limit.
    pub(crate) fn resources(&mut self, resources: &k8s::ResourceRequirements, path: &Path) -> Resources {
        for (amounts, field) in [(&resources.limits, "limits"), (&resources.requests, "requests")] {
            for name in amounts.iter().flat_map(BTreeMap::keys) {
                let path = path.field(field).field(name);
                if name == "ephemeral-storage" && field == "requests" {
                    let message = "ignored: nothing is scheduled here, the pod runs on this machine";
                    self.report.warn(&path, message);
                } else if !is_known(name) {
                    self.error(&path, NOT_KNOWN);
                }
            }
        }
        let mut checked = self.amounts(resources, path);
        let requests = path.field("requests");
        let storage = self.amount(resources.requests.as_ref(), "ephemeral-storage", &requests);
        checked.ephemeral_storage_request_bytes = storage.and_then(|(storage, _)| storage.units());
        checked
    }

    /// Checks `spec.resources` against those of the containers, which have been checked. A request that is not given is
    /// the containers' sum, else the pod's limit.
    pub(crate) fn pod_resources(
        &mut self,
        spec: &k8s::PodSpec,
        init_containers: &[ContainerSpec],
        containers: &[ContainerSpec],
        path: &Path,
    ) -> Resources {
        let Some(resources) = &spec.resources else {
            return Resources::default();
        };
        let containers = Containers {
            init: init_containers,
            app: containers,
        };
        let at = path.field("resources");
        for (amounts, field) in [(&resources.limits, "limits"), (&resources.requests, "requests")] {
            for name in amounts
                .iter()
                .flat_map(BTreeMap::keys)
                .filter(|name| !is_known(name))
            {
                self.error(&at.field(field).field(name), NOT_KNOWN);
            }
        }
        let mut pod = self.amounts(resources, &at);
        for kind in KINDS {
            let requests = resources.requests.as_ref();
            let is_given = requests.is_some_and(|all| all.contains_key(kind.name));
            let (limit, request) = (kind.of)(&mut pod);
            if let Some(sum) = containers.together(kind.of) {
                let (field, bound) = if is_given {
                    ("requests", *request)
                } else {
                    *request = Some(sum);
                    ("limits", *limit)
                };
                if bound.is_some_and(|bound| sum > bound) {
                    let sum = (kind.write)(sum);
                    let message =
                        format!("must be greater than or equal to aggregate container requests of {sum}");
                    self.error(&at.field(field).field(kind.name), message);
                }
            }
            if let Some(limit) = *limit {
                self.within(limit, kind, &containers, path);
            }
        }
        pod
    }

    /// No container's limit is above the pod's.
    fn within(&mut self, limit: u64, kind: Kind, containers: &Containers<'_>, path: &Path) {
        let lists = [
            ("initContainers", containers.init),
            ("containers", containers.app),
        ];
        for (list, all) in lists {
            for (index, container) in all.iter().enumerate() {
                let own = *(kind.of)(&mut container.resources.clone()).0;
                if own.is_some_and(|own| own > limit) {
                    let limits = path.field(list).index(index).field("resources").field("limits");
                    let limit = (kind.write)(limit);
                    let message = format!("must be less than or equal to pod limits of {limit}");
                    self.error(&limits.field(kind.name), message);
                }
            }
        }
    }

    /// Limits and requests, as far as they are amounts.
    fn amounts(&mut self, resources: &k8s::ResourceRequirements, path: &Path) -> Resources {
        let (limits, requests) = (path.field("limits"), path.field("requests"));
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
        let some = |amount: Option<u64>| amount.filter(|amount| *amount > 0);
        Resources {
            cpu_limit_millis: some(cpu_limit.and_then(Quantity::millis)),
            cpu_request_millis: cpu_request.and_then(Quantity::millis),
            memory_limit_bytes: some(memory_limit.and_then(Quantity::units)),
            memory_request_bytes: memory_request.and_then(Quantity::units),
            ephemeral_storage_request_bytes: None,
            huge_pages: self.huge_pages(resources, path),
        }
    }

    /// Huge pages cannot be overcommitted: what is requested is the limit, and whole pages.
    fn huge_pages(&mut self, resources: &k8s::ResourceRequirements, path: &Path) -> BTreeMap<String, u64> {
        let (limits, requests) = (path.field("limits"), path.field("requests"));
        let given = |amounts: &Option<Amounts>, name: &str| {
            amounts.as_ref().is_some_and(|amounts| amounts.contains_key(name))
        };
        let has = |name: &str| given(&resources.limits, name) || given(&resources.requests, name);
        let mut sizes = BTreeMap::new();
        for name in resources.requests.iter().flat_map(BTreeMap::keys) {
            if name.starts_with(HUGE_PAGES) && !given(&resources.limits, name) {
                self.error(
                    &limits.field(name),
                    "required: huge pages cannot be overcommitted",
                );
            }
        }
        for name in resources.limits.iter().flat_map(BTreeMap::keys) {
            let Some(size) = name.strip_prefix(HUGE_PAGES) else {
                continue;
            };
            let at = limits.field(name);
            let Some((page, kernels)) = page_size(size) else {
                self.error(&at, "must name a size of pages such as hugepages-2Mi");
                continue;
            };
            let limit = self.amount(resources.limits.as_ref(), name, &limits);
            let request = self.amount(resources.requests.as_ref(), name, &requests);
            let Some((limit, written)) = limit else { continue };
            if request.is_some_and(|(request, _)| request != limit) {
                let message = format!("must be equal to {name} limit of {written}");
                self.error(&requests.field(name), message);
            }
            match limit.units() {
                Some(bytes) if bytes % page == 0 => {
                    sizes.insert(kernels, bytes);
                }
                _ => self.error(
                    &at,
                    format!("must be a whole number of pages, not {}", quote(written)),
                ),
            }
            if !has("cpu") && !has("memory") {
                self.error(path, "HugePages require cpu or memory");
            }
        }
        sizes
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

fn is_known(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with(HUGE_PAGES)
}

/// A page size in bytes and the kernel's name for it.
fn page_size(written: &str) -> Option<(u64, String)> {
    const NAMES: [(&str, u32); 3] = [("GB", 30), ("MB", 20), ("KB", 10)];
    let bytes = written
        .parse::<Quantity>()
        .ok()?
        .units()
        .filter(|bytes| *bytes > 0)?;
    let (unit, shift) = NAMES.iter().find(|(_, shift)| bytes % (1 << shift) == 0)?;
    Some((bytes, format!("{}{unit}", bytes >> shift)))
}

/// What a pod and its containers have alike.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    of: Of,
    write: fn(u64) -> String,
}

/// A limit and a request among resources.
type Of = fn(&mut Resources) -> (&mut Option<u64>, &mut Option<u64>);

const KINDS: [Kind; 2] = [
    Kind {
        name: "cpu",
        of: |all| (&mut all.cpu_limit_millis, &mut all.cpu_request_millis),
        write: write_cpu,
    },
    Kind {
        name: "memory",
        of: |all| (&mut all.memory_limit_bytes, &mut all.memory_request_bytes),
        write: |bytes| bytes.to_string(),
    },
];

/// A pod's containers.
struct Containers<'a> {
    init: &'a [ContainerSpec],
    app: &'a [ContainerSpec],
}

impl Containers<'_> {
    /// What they request together: init containers run one after the other, sidecars beside all that follow. `None` when
    /// no container requests any.
    fn together(&self, of: Of) -> Option<u64> {
        let request = |container: &ContainerSpec| *of(&mut container.resources.clone()).1;
        let (mut sidecars, mut most, mut any) = (0_u64, 0_u64, false);
        for container in self.init {
            let own = request(container);
            any |= own.is_some();
            let with_own = sidecars.saturating_add(own.unwrap_or(0));
            most = most.max(with_own);
            if container.restart_policy == Some(RestartPolicy::Always) {
                sidecars = with_own;
            }
        }
        let apps: Vec<u64> = self.app.iter().filter_map(request).collect();
        any |= !apps.is_empty();
        let apps = apps.into_iter().fold(sidecars, u64::saturating_add);
        any.then(|| most.max(apps))
    }
}

/// Thousandths of a processor as Kubernetes writes them.
pub(crate) fn write_cpu(millis: u64) -> String {
    if millis.is_multiple_of(1000) {
        (millis / 1000).to_string()
    } else {
        format!("{millis}m")
    }
}
