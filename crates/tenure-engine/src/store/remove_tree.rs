//! Removing what containers have made: folders in folders, as many and as deep as they like.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// Removes a file or a folder with all below it; never follows a link. Absence is success.
///
/// A container's folders may be deeper than a stack is long, and than there are descriptors. So folders of folders are
/// moved up into the top one first, where their own are moved up in turn: two levels are open at a time.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let removed = match rustix::fs::unlink(path) {
        Err(Errno::ISDIR) => remove_folder(path),
        other => other,
    };
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => other.map_err(Into::into),
    }
}

fn remove_folder(path: &Path) -> Result<(), Errno> {
    let top = Top {
        folder: open(CWD, path)?,
        moved: Cell::new(0),
    };
    // What is moved up while the folder is read may be met by this reading, or by the next.
    while clear(&top.folder, |name| top.raise_and_remove(name))? {}
    rustix::fs::rmdir(path)
}

/// Removes what is in a folder but folders with something in them, which are `left` to somebody; false once nothing was
/// there.
fn clear(folder: &OwnedFd, left: impl Fn(&CStr) -> Result<(), Errno>) -> Result<bool, Errno> {
    let mut any = false;
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        any = true;
        if !remove_one(folder, name, entry.file_type())? {
            left(name)?;
        }
    }
    Ok(any)
}

fn open(at: impl std::os::fd::AsFd, path: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

/// The folder that is removed, and how many folders have been moved up into it.
struct Top {
    folder: OwnedFd,
    moved: Cell<u64>,
}

impl Top {
    /// Moves the folders of a folder in the top one up, and removes it.
    fn raise_and_remove(&self, name: &CStr) -> Result<(), Errno> {
        let folder = open(&self.folder, name)?;
        while clear(&folder, |inner| self.raise(&folder, inner))? {}
        absent(rustix::fs::unlinkat(&self.folder, name, AtFlags::REMOVEDIR))
    }

    /// Moves a folder up, under a name that is free.
    fn raise(&self, folder: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        loop {
            self.moved.set(self.moved.get() + 1);
            let free = CString::new(format!(".removed.{}", self.moved.get())).unwrap_or_default();
            match rustix::fs::renameat_with(folder, name, &self.folder, &free, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                other => return absent(other),
            }
        }
    }
}

/// Removes what is not a folder, or an empty one; false where it is a folder with something in it.
fn remove_one(at: &OwnedFd, name: &CStr, kind: FileType) -> Result<bool, Errno> {
    let flags = match kind {
        FileType::Directory => AtFlags::REMOVEDIR,
        _ => AtFlags::empty(),
    };
    match rustix::fs::unlinkat(at, name, flags) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        // A file system that does not tell kinds.
        Err(Errno::ISDIR) if kind == FileType::Unknown => remove_one(at, name, FileType::Directory),
        other => absent(other).map(|()| true),
    }
}

/// What is gone already need not be removed.
fn absent(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_tree_goes_with_all_its_kinds_of_files_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("kept")).unwrap();
        fs::write(at("kept/file"), "").unwrap();
        fs::create_dir_all(at("tree/a/b/c")).unwrap();
        fs::create_dir_all(at("tree/.removed.1/x/y")).unwrap();
        fs::create_dir_all(at("tree/a/.removed.2/z")).unwrap();
        for name in ["tree/file", "tree/a/file", "tree/a/b/file", "tree/a/b/c/file"] {
            fs::write(at(name), "").unwrap();
        }
        symlink(at("kept"), at("tree/link")).unwrap();
        symlink(at("kept"), at("tree/a/b/link")).unwrap();
        rustix::fs::mknodat(CWD, at("tree/a/fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        remove_tree(&at("tree")).unwrap();
        assert!(!at("tree").exists());
        assert!(at("kept/file").exists());
    }

    #[test]
    fn a_file_a_link_and_nothing_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("kept")).unwrap();
        fs::write(at("file"), "").unwrap();
        symlink(at("kept"), at("link")).unwrap();
        for name in ["file", "link", "absent", "absent/below"] {
            remove_tree(&at(name)).unwrap();
            assert!(!at(name).is_symlink() && !at(name).exists(), "{name}");
        }
        assert!(at("kept").exists());
    }

    #[test]
    fn folders_deeper_than_a_stack_is_long_are_removed() {
        const DEPTH: usize = 20_000;
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir(&top).unwrap();
        let mut at = open(CWD, &top).unwrap();
        for _ in 0..DEPTH {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = open(&at, "d").unwrap();
        }
        drop(at);
        // As much stack as the thread has that does it.
        let thread = std::thread::Builder::new().stack_size(64 * 1024);
        thread
            .spawn(move || remove_tree(&top))
            .unwrap()
            .join()
            .unwrap()
            .unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
