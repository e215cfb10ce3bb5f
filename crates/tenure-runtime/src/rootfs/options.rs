//! Mount options, from the words of a configuration to the bits of the kernel.

use libcontainer::oci_spec::runtime::Mount;

use crate::sys::MountAttr;

/// The bits of `MOUNT_ATTR__ATIME`, of which one value is chosen.
const ATIME: u64 = 0x70;
const ATTR_RDONLY: u64 = 0x1;
const ATTR_NOSUID: u64 = 0x2;
const ATTR_NODEV: u64 = 0x4;
const ATTR_NOEXEC: u64 = 0x8;
const ATTR_NOATIME: u64 = 0x10;
const ATTR_STRICTATIME: u64 = 0x20;
const ATTR_NODIRATIME: u64 = 0x80;
const ATTR_NOSYMFOLLOW: u64 = 0x0020_0000;

const NOSYMFOLLOW: u64 = 256;

/// What a word does to the flags of mount(2): set or clear.
const FLAGS: [(&str, bool, u64); 32] = [
    ("async", false, libc::MS_SYNCHRONOUS),
    ("atime", false, libc::MS_NOATIME),
    ("bind", true, libc::MS_BIND),
    ("defaults", true, 0),
    ("dev", false, libc::MS_NODEV),
    ("diratime", false, libc::MS_NODIRATIME),
    ("dirsync", true, libc::MS_DIRSYNC),
    ("exec", false, libc::MS_NOEXEC),
    ("iversion", true, libc::MS_I_VERSION),
    ("lazytime", true, 1 << 25),
    ("loud", false, libc::MS_SILENT),
    ("mand", true, libc::MS_MANDLOCK),
    ("noatime", true, libc::MS_NOATIME),
    ("nodev", true, libc::MS_NODEV),
    ("nodiratime", true, libc::MS_NODIRATIME),
    ("noexec", true, libc::MS_NOEXEC),
    ("noiversion", false, libc::MS_I_VERSION),
    ("nolazytime", false, 1 << 25),
    ("nomand", false, libc::MS_MANDLOCK),
    ("norelatime", false, libc::MS_RELATIME),
    ("nostrictatime", false, libc::MS_STRICTATIME),
    ("nosuid", true, libc::MS_NOSUID),
    ("nosymfollow", true, NOSYMFOLLOW),
    ("rbind", true, libc::MS_BIND | libc::MS_REC),
    ("relatime", true, libc::MS_RELATIME),
    ("remount", true, libc::MS_REMOUNT),
    ("ro", true, libc::MS_RDONLY),
    ("rw", false, libc::MS_RDONLY),
    ("silent", true, libc::MS_SILENT),
    ("strictatime", true, libc::MS_STRICTATIME),
    ("suid", false, libc::MS_NOSUID),
    ("sync", true, libc::MS_SYNCHRONOUS),
];

/// Words that are no flags.
const OTHERS: [&str; 11] = [
    "idmap",
    "private",
    "ridmap",
    "rprivate",
    "rshared",
    "rslave",
    "runbindable",
    "shared",
    "slave",
    "tmpcopyup",
    "unbindable",
];

/// Words that hold for a mount and all below it.
const RECURSIVE: [(&str, bool, u64); 18] = [
    ("rro", true, ATTR_RDONLY),
    ("rrw", false, ATTR_RDONLY),
    ("rnosuid", true, ATTR_NOSUID),
    ("rsuid", false, ATTR_NOSUID),
    ("rnodev", true, ATTR_NODEV),
    ("rdev", false, ATTR_NODEV),
    ("rnoexec", true, ATTR_NOEXEC),
    ("rexec", false, ATTR_NOEXEC),
    ("rnodiratime", true, ATTR_NODIRATIME),
    ("rdiratime", false, ATTR_NODIRATIME),
    ("rnoatime", true, ATTR_NOATIME),
    ("ratime", false, ATTR_NOATIME),
    ("rstrictatime", true, ATTR_STRICTATIME),
    ("rnostrictatime", false, ATTR_STRICTATIME),
    ("rrelatime", true, 0),
    ("rnorelatime", false, 0),
    ("rnosymfollow", true, ATTR_NOSYMFOLLOW),
    ("rsymfollow", false, ATTR_NOSYMFOLLOW),
];

/// Every mount option that is not left to the file system, sorted.
pub fn mount_options() -> Vec<&'static str> {
    let flags = FLAGS.iter().chain(&RECURSIVE).map(|(word, _, _)| *word);
    let mut words: Vec<&str> = flags.chain(OTHERS).collect();
    words.sort_unstable();
    words
}

/// One change of propagation: a type, and whether it holds for all mounts below too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Propagation {
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` or `MS_UNBINDABLE`.
    pub(super) kind: u64,
    pub(super) recursive: bool,
}

impl Propagation {
    /// Reads `shared`, `rshared`, `slave`, ...
    pub(super) fn parse(word: &str) -> Option<Self> {
        let kind = |w: &str| match w {
            "shared" => Some(libc::MS_SHARED),
            "slave" => Some(libc::MS_SLAVE),
            "private" => Some(libc::MS_PRIVATE),
            "unbindable" => Some(libc::MS_UNBINDABLE),
            _ => None,
        };
        if let Some(kind) = kind(word) {
            return Some(Self {
                kind,
                recursive: false,
            });
        }
        kind(word.strip_prefix('r')?).map(|kind| Self {
            kind,
            recursive: true,
        })
    }
}

/// The options of one mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// `MS_*` of the words that set something.
    pub(super) flags: u64,
    /// `MS_*` of the words that clear something, unless set again later.
    pub(super) cleared: u64,
    /// Attributes for a mount and all below it.
    pub(super) recursive: MountAttr,
    pub(super) propagation: Vec<Propagation>,
    /// What the file system itself understands, separated by commas.
    pub(super) data: String,
    /// Fill a new tmpfs with what the directory under it holds.
    pub(super) copy_up: bool,
    /// Map ids: `Some(true)` those of all mounts below too.
    pub(super) id_mapped: Option<bool>,
}

impl Options {
    /// Reads the options of a mount. Unknown words go to the file system.
    pub(super) fn parse(mount: &Mount) -> Self {
        let mut options = Self::default();
        for word in mount.options().iter().flatten() {
            options.add(word);
        }
        if mount.typ().as_deref() == Some("bind") {
            options.flags |= libc::MS_BIND;
        }
        // Mappings alone say what the word would.
        let mapped = |list: &Option<Vec<_>>| list.as_ref().is_some_and(|l| !l.is_empty());
        if options.id_mapped.is_none() && (mapped(mount.uid_mappings()) || mapped(mount.gid_mappings())) {
            options.id_mapped = Some(false);
        }
        options
    }

    fn add(&mut self, word: &str) {
        if let Some((_, set, flag)) = FLAGS.iter().find(|(w, ..)| *w == word) {
            if *set {
                self.flags |= flag;
                self.cleared &= !flag;
            } else {
                self.flags &= !flag;
                self.cleared |= flag;
            }
        } else if let Some((_, set, attr)) = RECURSIVE.iter().find(|(w, ..)| *w == word) {
            if word.ends_with("atime") && !word.ends_with("diratime") {
                self.recursive.clear |= ATIME;
            }
            if *set {
                self.recursive.set |= attr;
            } else {
                self.recursive.clear |= attr;
                self.recursive.set &= !attr;
            }
        } else if let Some(propagation) = Propagation::parse(word) {
            self.propagation.push(propagation);
        } else if word == "tmpcopyup" {
            self.copy_up = true;
        } else if word == "idmap" || word == "ridmap" {
            self.id_mapped = Some(word == "ridmap");
        } else if !word.is_empty() {
            if !self.data.is_empty() {
                self.data.push(',');
            }
            self.data.push_str(word);
        }
    }

    pub(super) fn is_bind(&self) -> bool {
        self.flags & libc::MS_BIND != 0
    }

    pub(super) fn is_recursive_bind(&self) -> bool {
        self.is_bind() && self.flags & libc::MS_REC != 0
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.flags & libc::MS_RDONLY != 0
    }

    /// The attributes of a bind mount. What the source forbids stays forbidden unless a word lifts it; `rw` lifts
    /// nothing, as in runc.
    pub(super) fn attributes(&self) -> MountAttr {
        const MAP: [(u64, u64); 6] = [
            (libc::MS_RDONLY, ATTR_RDONLY),
            (libc::MS_NOSUID, ATTR_NOSUID),
            (libc::MS_NODEV, ATTR_NODEV),
            (libc::MS_NOEXEC, ATTR_NOEXEC),
            (libc::MS_NODIRATIME, ATTR_NODIRATIME),
            (NOSYMFOLLOW, ATTR_NOSYMFOLLOW),
        ];
        let mut attr = MountAttr::default();
        for (flag, bit) in MAP {
            if self.flags & flag != 0 {
                attr.set |= bit;
            }
            if self.cleared & flag != 0 && flag != libc::MS_RDONLY {
                attr.clear |= bit;
            }
        }
        let atime = [
            (libc::MS_STRICTATIME, ATTR_STRICTATIME),
            (libc::MS_NOATIME, ATTR_NOATIME),
            (libc::MS_RELATIME, 0),
        ];
        if let Some((_, value)) = atime.iter().find(|(flag, _)| self.flags & flag != 0) {
            attr.clear |= ATIME;
            attr.set |= value;
        }
        attr
    }

    /// The flags for mount(2) of a file system.
    pub(super) fn mount_flags(&self) -> u64 {
        self.flags & !libc::MS_REC
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libcontainer::oci_spec::runtime::MountBuilder;

    #[allow(clippy::unwrap_used)]
    fn parse(words: &[&str]) -> Options {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        Options::parse(
            &MountBuilder::default()
                .destination("/x")
                .options(words)
                .build()
                .unwrap(),
        )
    }

    #[test]
    fn the_last_word_wins() {
        assert!(parse(&["ro"]).is_read_only());
        assert!(!parse(&["ro", "rw"]).is_read_only());
        assert_eq!(parse(&["noexec", "exec"]).cleared, libc::MS_NOEXEC);
    }

    #[test]
    fn unknown_words_go_to_the_file_system() {
        let options = parse(&["nosuid", "mode=755", "size=65536k"]);
        assert_eq!(options.data, "mode=755,size=65536k");
        assert_eq!(options.flags, libc::MS_NOSUID);
    }

    #[test]
    fn propagation_and_recursive_words_are_told_apart() {
        let options = parse(&["rbind", "rprivate", "rro"]);
        assert_eq!(
            options.propagation,
            [Propagation {
                kind: libc::MS_PRIVATE,
                recursive: true
            }]
        );
        assert_eq!(options.recursive.set, ATTR_RDONLY);
        assert!(options.is_recursive_bind());
        assert!(Propagation::parse("ro").is_none() && Propagation::parse("r").is_none());
    }

    #[test]
    fn a_bind_mount_keeps_what_its_source_forbids() {
        let attr = parse(&["bind", "rw", "dev", "noatime"]).attributes();
        assert_eq!(
            attr,
            MountAttr {
                set: ATTR_NOATIME,
                clear: ATTR_NODEV | ATIME,
                ..MountAttr::default()
            }
        );
    }
}
