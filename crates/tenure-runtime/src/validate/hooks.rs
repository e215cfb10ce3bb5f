//! `hooks`.

use libcontainer::oci_spec::runtime::{Hook, Spec};

use super::{Fault, fault};

/// Checks the hooks of all kinds.
pub(super) fn hooks(spec: &Spec) -> Result<(), Fault> {
    let Some(hooks) = spec.hooks() else { return Ok(()) };
    #[allow(deprecated)]
    let kinds: [(&str, &Option<Vec<Hook>>); 6] = [
        ("prestart", hooks.prestart()),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ];
    for (kind, list) in kinds {
        for (i, hook) in list.iter().flatten().enumerate() {
            if !hook.path().is_absolute() {
                return fault(format!("hooks.{kind}[{i}].path"), "must be an absolute path");
            }
            if hook.timeout().is_some_and(|t| t <= 0) {
                return fault(format!("hooks.{kind}[{i}].timeout"), "must be greater than 0");
            }
        }
    }
    Ok(())
}
