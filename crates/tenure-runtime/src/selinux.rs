//! SELinux: the label of a container's processes, and that of its mounts.

use std::io::{self, Write};
use std::path::Path;

use pathrs::flags::OpenFlags;
use pathrs::procfs::{ProcfsBase, ProcfsHandle};

/// What is wrong with a label where there is no SELinux.
pub(crate) const DISABLED: &str = "is given, but SELinux is disabled or not supported on this host";

/// Whether the kernel has a policy to judge labels by.
pub(crate) fn is_enabled() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// Has the next program of this thread run under a label.
///
/// By a /proc of its own making where it can: the container's may be forged, and a file that takes any text in place of
/// the right one would leave the program without its label.
pub(crate) fn label_next_program(label: &str) -> io::Result<()> {
    let proc = ProcfsHandle::new().map_err(io::Error::other)?;
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_CLOEXEC;
    let file = proc.open(ProcfsBase::ProcThreadSelf, "attr/exec", flags);
    file.map_err(io::Error::other)?.write_all(label.as_bytes())
}

/// The options of a file system with the label of its files; what is labelled by its options already stays so.
pub(crate) fn with_context(data: &str, label: Option<&str>) -> String {
    let Some(label) = label.filter(|l| !l.is_empty() && !data.contains("context=")) else {
        return data.to_owned();
    };
    let comma = if data.is_empty() { "" } else { "," };
    format!("{data}{comma}context=\"{label}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_becomes_an_option_of_the_file_system() {
        let label = Some("system_u:object_r:container_file_t:s0:c1,c2");
        let context = "context=\"system_u:object_r:container_file_t:s0:c1,c2\"";
        assert_eq!(with_context("", label), context);
        assert_eq!(with_context("mode=755", label), format!("mode=755,{context}"));
        assert_eq!(with_context("mode=755", None), "mode=755");
        assert_eq!(with_context("mode=755", Some("")), "mode=755");
        assert_eq!(with_context("rootcontext=x", label), "rootcontext=x");
    }

    #[test]
    fn without_selinux_a_label_cannot_be_set() {
        if !is_enabled() {
            assert!(label_next_program("system_u:system_r:container_t:s0").is_err());
        }
    }
}
