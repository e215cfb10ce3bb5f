//! Where a container's cgroups go, and what systemd is told of them.

use libcontainer::oci_spec::runtime::Spec;

use crate::cgroup::{Cgroups, Hierarchies, Property, Scope};
use crate::{ContainerId, CreateRequest, Error, RuntimeOptions};

/// The cgroups of a container that is about to be made.
#[derive(Debug)]
pub(crate) struct Placement {
    /// Named, not made.
    pub(crate) cgroups: Cgroups,
    /// Properties of the scope, if systemd makes it.
    pub(crate) unit: Vec<Property>,
}

impl Placement {
    /// Reads `linux.cgroupsPath` as the cgroup driver in use does.
    pub(crate) fn of(
        id: &ContainerId,
        spec: &Spec,
        request: &CreateRequest,
        options: &RuntimeOptions,
    ) -> Result<Self, Error> {
        let invalid = |(at, reason): (String, String)| Error::InvalidConfig {
            path: request.bundle.join("config.json"),
            at,
            reason,
        };
        let linux = spec.linux().as_ref();
        let path = linux.and_then(|l| l.cgroups_path().as_deref());
        if options.no_cgroups {
            return Ok(Self {
                cgroups: Cgroups::default(),
                unit: Vec::new(),
            });
        }
        let hierarchies = Hierarchies::discover()?;
        if !options.systemd_cgroup {
            return Ok(Self {
                cgroups: hierarchies.place(path, id.as_str())?,
                unit: Vec::new(),
            });
        }
        let root = rustix::process::geteuid().is_root();
        let scope = Scope::of(path, id.as_str(), root)
            .map_err(|reason| invalid(("linux.cgroupsPath".to_owned(), reason)))?;
        let cgroups = hierarchies.place_scope(scope)?;
        let resources = linux.and_then(|l| l.resources().as_ref());
        let unit = cgroups
            .unit_properties(resources, spec.annotations().as_ref())
            .map_err(invalid)?;
        Ok(Self { cgroups, unit })
    }
}
