//! A bundle to load from, and a root with traps in it.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// What a hostile image holds: links that lead out, in circles and nowhere. `OUTSIDE` stands for a directory of the
/// host that must stay empty.
const LINKS: [(&str, &str); 6] = [
    ("absolute", "OUTSIDE"),
    ("relative", "../../../../../../../../../OUTSIDE"),
    ("circle", "circle"),
    ("dangling", "/made/by/nobody"),
    ("etc/up", "../../.."),
    ("tmp", "absolute/x"),
];

/// Directories of one process, removed at its end.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    root: Option<OwnedFd>,
}

#[allow(
    clippy::expect_used,
    reason = "without its directories there is nothing to judge"
)]
impl Place {
    pub(crate) fn new() -> Self {
        // In memory, where there is such a place: files are made by the million.
        let shm = Path::new("/dev/shm");
        let parent = if shm.is_dir() {
            shm.to_owned()
        } else {
            std::env::temp_dir()
        };
        let directory = tempfile::tempdir_in(parent).expect("a directory");
        for name in ["bundle/rootfs", "outside"] {
            fs::create_dir_all(directory.path().join(name)).expect("a directory");
        }
        Self {
            directory,
            root: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.path("bundle")
    }

    pub(crate) fn write_config(&self, bytes: &[u8]) {
        fs::write(self.path("bundle/config.json"), bytes).expect("config.json");
    }

    /// Makes the root anew.
    pub(crate) fn prepare(&mut self) {
        self.root = None;
        let root = self.path("root");
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("etc")).expect("a root");
        let outside = self.path("outside");
        let outside = outside.to_str().expect("a name in UTF-8");
        for (name, target) in LINKS {
            symlink(target.replace("OUTSIDE", outside), root.join(name)).expect("a link");
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.root = Some(rustix::fs::open(&root, flags, Mode::empty()).expect("the root"));
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_ref().expect("prepare comes first").as_fd()
    }

    /// Fails if anything was made outside the root.
    pub(crate) fn check(&self) {
        let outside = fs::read_dir(self.path("outside"))
            .expect("the directory outside")
            .count();
        assert_eq!(outside, 0, "made outside the root");
        let names = fs::read_dir(self.directory.path())
            .expect("the directory")
            .count();
        assert_eq!(names, 3, "bundle, outside and root, and nothing else");
    }
}
