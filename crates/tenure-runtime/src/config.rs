//! Reading a bundle's configuration.

use std::path::Path;

use libcontainer::oci_spec::runtime::{Process, Spec};

use crate::{Error, ProcessOverrides};

/// Reads and validates `config.json` of a bundle.
///
/// Unknown properties are ignored, as the OCI specification asks. An error names the file, the JSON path and the
/// reason in one line.
pub fn load_config(bundle: &Path) -> Result<Spec, Error> {
    let _ = bundle;
    Err(Error::Unsupported {
        what: "load_config".into(),
    })
}

/// The process for `exec`: the container's own with `overrides` on top.
pub fn exec_process(config: &Spec, overrides: &ProcessOverrides) -> Result<Process, Error> {
    let _ = (config, overrides);
    Err(Error::Unsupported {
        what: "exec_process".into(),
    })
}
