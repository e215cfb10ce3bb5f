//! `tenure features`: what this runtime really does, in the runtime-spec's features format.

use serde_json::{Value, json};

use crate::exit::{Code, CommandError};
use crate::output;

/// Filter flags of the kernel that a profile may name.
const SECCOMP_FLAGS: &str = "LOG SPEC_ALLOW TSYNC WAIT_KILLABLE_RECV";

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

/// The features as one line of JSON.
pub(crate) fn text() -> String {
    features().to_string()
}

/// The features object.
fn features() -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": crate::version::SPEC,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": tenure_runtime::mount_options(),
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": words("CAP_", CAPABILITIES),
            "cgroup": {"v1": true, "v2": true, "systemd": true, "systemdUser": false, "rdma": true},
            "seccomp": seccomp(),
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "intelRdt": {"enabled": false, "schemata": false, "monitoring": false},
            "memoryPolicy": {
                "modes": words("MPOL_", "BIND DEFAULT INTERLEAVE LOCAL PREFERRED PREFERRED_MANY WEIGHTED_INTERLEAVE"),
                "flags": words("MPOL_F_", "NUMA_BALANCING RELATIVE_NODES STATIC_NODES"),
            },
            "mountExtensions": {"idmap": {"enabled": true}},
            "netDevices": {"enabled": true},
        },
        // The second name is the one that callers of runc and crun look for.
        "annotations": {
            "org.tenure.checkpoint.enabled": "false",
            "org.opencontainers.runc.checkpoint.enabled": "false",
            "org.tenure.version": env!("CARGO_PKG_VERSION"),
        },
        "potentiallyUnsafeConfigAnnotations": ["org.systemd.property.", "org.tenure.lifecycle."],
    })
}

/// `linux.seccomp`.
fn seccomp() -> Value {
    json!({
        "enabled": true,
        "actions": words("SCMP_ACT_", "ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD LOG NOTIFY TRACE TRAP"),
        "operators": words("SCMP_CMP_", "EQ GE GT LE LT MASKED_EQ NE"),
        "archs": words("SCMP_ARCH_", ARCHITECTURES),
        "knownFlags": words("SECCOMP_FILTER_FLAG_", SECCOMP_FLAGS),
        "supportedFlags": words("SECCOMP_FILTER_FLAG_", SECCOMP_FLAGS),
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
    use tenure_runtime::oci_spec::runtime::{
        Features, LinuxSeccompFilterFlag, MemoryPolicyFlagType, MemoryPolicyModeType,
    };

    use super::*;

    #[test]
    fn the_object_is_the_specifications() {
        let parsed: Features = serde_json::from_value(features()).unwrap();
        assert_eq!(parsed.oci_version_min(), "1.0.0");
        assert_eq!(parsed.hooks().as_ref().unwrap().len(), 6);
        let linux = parsed.linux().as_ref().unwrap();
        assert_eq!(linux.namespaces().as_ref().unwrap().len(), 8);
        let seccomp = linux.seccomp().as_ref().unwrap();
        assert_eq!(seccomp.actions().as_ref().unwrap().len(), 9);
        assert_eq!(seccomp.supported_flags().as_ref().unwrap().len(), 4);
        assert_eq!(*linux.cgroup().as_ref().unwrap().rdma(), Some(true));
        let idmap = linux.mount_extensions().as_ref().unwrap().idmap().as_ref();
        assert_eq!(*idmap.unwrap().enabled(), Some(true));
        let annotations = parsed.annotations().as_ref().unwrap();
        assert_eq!(annotations["org.tenure.checkpoint.enabled"], "false");
    }

    /// The words that the configuration's own types know must be the ones we tell.
    #[test]
    fn memory_policies_and_filter_flags_are_the_configurations() {
        let features = features();
        for mode in features["linux"]["memoryPolicy"]["modes"].as_array().unwrap() {
            serde_json::from_value::<MemoryPolicyModeType>(mode.clone()).unwrap();
        }
        for flag in features["linux"]["memoryPolicy"]["flags"].as_array().unwrap() {
            serde_json::from_value::<MemoryPolicyFlagType>(flag.clone()).unwrap();
        }
        for flag in features["linux"]["seccomp"]["supportedFlags"].as_array().unwrap() {
            serde_json::from_value::<LinuxSeccompFilterFlag>(flag.clone()).unwrap();
        }
    }

    #[test]
    fn lists_are_sorted_and_have_no_doubles() {
        assert!(words("", ARCHITECTURES).is_sorted_by(|a, b| a < b));
        assert!(tenure_runtime::mount_options().is_sorted_by(|a, b| a < b));
        assert_eq!(words("CAP_", CAPABILITIES).len(), 41);
    }
}
