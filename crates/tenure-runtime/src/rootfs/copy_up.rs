//! `tmpcopyup`: a new tmpfs begins with what the image has in its place.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};

/// Copies the contents of one directory into another, links as links, special files left out.
///
/// By descriptor: another container may share the directory, and exchange what is in it for links to the host's files.
pub(super) fn copy_tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let listed = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listed = rustix::fs::openat(from, c".", listed, Mode::empty())?;
    for entry in rustix::fs::Dir::new(listed)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, Mode::RWXU)?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let source = rustix::fs::openat(from, name, flags, Mode::empty())?;
                let target = rustix::fs::openat(to, name, flags, Mode::empty())?;
                copy_tree(source.as_fd(), target.as_fd())?;
                copy_owner_and_mode(&source, &target)?;
            }
            FileType::Symlink => {
                let aim = rustix::fs::readlinkat(from, name, Vec::new())?;
                rustix::fs::symlinkat(&aim, to, name)?;
                let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
                rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            FileType::RegularFile => copy_file(from, to, name)?,
            _ => {}
        }
    }
    Ok(())
}

/// Copies one file, unless it is no regular one any more.
fn copy_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let source = rustix::fs::openat(from, name, flags | OFlags::RDONLY, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&source)?.st_mode) != FileType::RegularFile {
        return Ok(());
    }
    let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let target = rustix::fs::openat(to, name, flags | new, Mode::RUSR | Mode::WUSR)?;
    let (mut source, mut target) = (File::from(source), File::from(target));
    io::copy(&mut source, &mut target)?;
    copy_owner_and_mode(&source, &target)
}

fn copy_owner_and_mode(source: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let stat = rustix::fs::fstat(source)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(&target, Some(uid), Some(gid))?;
    rustix::fs::fchmod(&target, Mode::from_raw_mode(stat.st_mode & 0o7777)).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn files_folders_and_links_are_copied_with_their_modes() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| from.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("folder/file"), "text").unwrap();
        fs::set_permissions(at("folder/file"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::set_permissions(at("folder"), fs::Permissions::from_mode(0o1775)).unwrap();
        symlink("/nowhere", at("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let open = |path: &std::path::Path| File::open(path).unwrap();
        copy_tree(open(from.path()).as_fd(), open(to.path()).as_fd()).unwrap();

        let mode = |name: &str| to.path().join(name).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("folder"), mode("folder/file")), (0o1775, 0o4751));
        assert_eq!(fs::read_to_string(to.path().join("folder/file")).unwrap(), "text");
        let link = fs::read_link(to.path().join("link")).unwrap();
        assert_eq!(link, std::path::Path::new("/nowhere"));
        assert!(!to.path().join("socket").exists());
    }

    /// Somebody who shares the folder exchanges what is in it for links all the time.
    #[test]
    fn what_is_exchanged_for_a_link_is_never_followed() {
        use std::sync::atomic::{AtomicBool, Ordering};

        use rustix::fs::{CWD, RenameFlags, renameat_with};

        let outside = tempfile::tempdir().unwrap();
        let canary = outside.path().join("canary");
        fs::write(&canary, "secret").unwrap();
        fs::set_permissions(&canary, fs::Permissions::from_mode(0o600)).unwrap();
        let from = tempfile::tempdir().unwrap();
        let at = |name: &str| from.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/own"), "own").unwrap();
        symlink(outside.path(), at("exchanged")).unwrap();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, at("sub"), CWD, at("exchanged"), RenameFlags::EXCHANGE);
                }
            });
            let leaked = (0..500).any(|_| {
                let to = tempfile::tempdir().unwrap();
                // It may fail, for what it has seen is not what it finds.
                let _ = copy_tree(
                    File::open(from.path()).unwrap().as_fd(),
                    File::open(to.path()).unwrap().as_fd(),
                );
                let copied = ["sub", "exchanged"].map(|name| to.path().join(name));
                copied
                    .iter()
                    .any(|copied| !copied.is_symlink() && copied.join("canary").exists())
            });
            // First, or a failure would wait for the other thread for ever.
            ended.store(true, Ordering::Relaxed);
            assert!(!leaked, "the host's file was copied");
        });
    }
}
