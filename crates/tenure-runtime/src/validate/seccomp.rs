//! `linux.seccomp`.

use libcontainer::oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction};

use super::{Fault, fault};

/// The largest error number of the kernel.
const MAX_ERRNO: u32 = 4095;
/// The arguments of a system call.
const ARGUMENTS: usize = 6;

/// Checks a profile. Names of system calls are not: profiles name those of all kernels.
pub(super) fn seccomp(profile: &LinuxSeccomp) -> Result<(), Fault> {
    if profile.default_action() == LinuxSeccompAction::ScmpActNotify {
        return fault(
            "defaultAction",
            "cannot be SCMP_ACT_NOTIFY: not even an agent could be told",
        );
    }
    let errno = |at: String, number: Option<u32>| match number {
        Some(number) if number > MAX_ERRNO => fault(at, format!("{number} is no error number")),
        _ => Ok(()),
    };
    errno("defaultErrnoRet".to_owned(), profile.default_errno_ret())?;
    for (i, rule) in profile.syscalls().iter().flatten().enumerate() {
        let at = |field: &str| format!("syscalls[{i}].{field}");
        errno(at("errnoRet"), rule.errno_ret())?;
        for (j, argument) in rule.args().iter().flatten().enumerate() {
            if argument.index() >= ARGUMENTS {
                return fault(at(&format!("args[{j}].index")), "must be 0 to 5");
            }
        }
        if rule.action() != LinuxSeccompAction::ScmpActNotify {
            continue;
        }
        if profile
            .listener_path()
            .as_ref()
            .is_none_or(|p| p.as_os_str().is_empty())
        {
            return fault("listenerPath", "is missing, and a rule says SCMP_ACT_NOTIFY");
        }
        if let Some(j) = rule.names().iter().position(|n| n == "write") {
            // Init tells of the descriptor by it, before anybody could answer.
            return fault(at(&format!("names[{j}]")), "write cannot be SCMP_ACT_NOTIFY");
        }
    }
    if profile
        .listener_path()
        .as_ref()
        .is_some_and(|p| !p.as_os_str().is_empty() && p.is_relative())
    {
        return fault("listenerPath", "must be an absolute path");
    }
    Ok(())
}
