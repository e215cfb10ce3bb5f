//! `tenure features`: what this runtime really does, in the runtime-spec's features format.

use serde_json::{Value, json};

use crate::exit::{Code, CommandError};
use crate::output;

/// Mount options that the mount code knows.
const MOUNT_OPTIONS: &str = "async atime bind defaults dev diratime dirsync exec idmap mand noatime nodev nodiratime noexec nomand \
    norelatime nostrictatime nosuid private ratime rbind rdev rdiratime relatime remount rexec ridmap \
    rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate \
    rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared slave \
    strictatime suid sync unbindable";

/// Capabilities by number, as the kernel counts them.
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO \
    SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME \
    SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG \
    WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

/// Architectures that a filter can be made for.
const ARCHITECTURES: &str = "AARCH64 ARM MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE RISCV64 S390 \
    S390X X32 X86 X86_64";

/// Prints the features.
///
/// # Errors
/// When stdout cannot be written.
pub(crate) fn execute() -> Result<Code, CommandError> {
    output::print(&format!("{:#}\n", features()))
}

/// The features object.
fn features() -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": crate::version::SPEC,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": words("", MOUNT_OPTIONS),
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": words("CAP_", CAPABILITIES),
            "cgroup": {"v1": true, "v2": true, "systemd": true, "systemdUser": false, "rdma": true},
            "seccomp": seccomp(),
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "intelRdt": {"enabled": false},
            "mountExtensions": {"idmap": {"enabled": true}},
            "netDevices": {"enabled": true},
        },
        "annotations": {"org.tenure.version": env!("CARGO_PKG_VERSION")},
        "potentiallyUnsafeConfigAnnotations": ["org.tenure.lifecycle."],
    })
}

/// `linux.seccomp`.
fn seccomp() -> Value {
    json!({
        "enabled": true,
        "actions": words("SCMP_ACT_", "ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD LOG NOTIFY TRACE TRAP"),
        "operators": words("SCMP_CMP_", "EQ GE GT LE LT MASKED_EQ NE"),
        "archs": words("SCMP_ARCH_", ARCHITECTURES),
    })
}

/// The words of a list, each with `prefix` before it.
fn words(prefix: &str, list: &str) -> Vec<String> {
    list.split_whitespace()
        .map(|word| format!("{prefix}{word}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_the_specifications() {
        let parsed: tenure_runtime::oci_spec::runtime::Features = serde_json::from_value(features()).unwrap();
        assert_eq!(parsed.oci_version_min(), "1.0.0");
        assert!(parsed.linux().is_some());
    }

    #[test]
    fn lists_are_sorted_and_have_no_doubles() {
        for list in [MOUNT_OPTIONS, ARCHITECTURES] {
            assert!(words("", list).is_sorted_by(|a, b| a < b), "{list}");
        }
        assert_eq!(words("CAP_", CAPABILITIES).len(), 41);
    }
}
