//! Compiled filters on disk, so that each profile is compiled once per boot and not once per container.
//!
//! ```text
//! {root}/seccomp/HASH    MAGIC  checksum  length of key  key  program
//! ```
//!
//! The key is everything the program follows from, in full: the name is only where to look, and two profiles that
//! share a name push each other out but are never taken for one another. Files come into being by rename and are
//! read without a lock. One that is not ours, or not whole, counts as missing.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use libcontainer::oci_spec::runtime::LinuxSeccomp;
use rustix::fs::{FileType, Mode, OFlags, Stat};

use crate::Error;

/// The first bytes of a file; the number changes with its form and with the way profiles are compiled.
const MAGIC: &[u8; 16] = b"tenure seccomp 1";
/// Magic, checksum, length of the key.
const HEADER: usize = MAGIC.len() + 8 + 4;
/// A longer file is not read. The longest program of the kernel has 32 KiB, profiles of 100 KiB are unheard of.
const MAX_SIZE: u64 = 1 << 20;
/// More profiles are not kept. Hosts have one or two.
const MAX_FILES: usize = 32;

/// The directory of compiled filters below a runtime root.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// The cache below a runtime root. Does no I/O.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            directory: root.join("seccomp"),
        }
    }

    /// The compiled form of a profile: the one kept, or else what `compile` makes of it, which is then kept.
    ///
    /// A cache that cannot be used costs time and is no error.
    pub(super) fn get_or_compile(
        &self,
        profile: &LinuxSeccomp,
        compile: impl FnOnce(&LinuxSeccomp) -> Result<Vec<u8>, Error>,
    ) -> Result<Vec<u8>, Error> {
        let key = key(profile);
        let name = format!("{:016x}", hash(&[&key]));
        if let Some(program) = self.read(&name, &key) {
            return Ok(program);
        }
        let program = compile(profile)?;
        if let Err(error) = self.add(&name, &key, &program) {
            tracing::debug!(%error, directory = %self.directory.display(), "cannot keep a compiled seccomp filter");
        }
        Ok(program)
    }

    /// The directory, if it is this user's alone.
    fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&self.directory, flags, Mode::empty())?;
        if is_ours(&rustix::fs::fstat(&directory)?, FileType::Directory, 0o700) {
            Ok(directory)
        } else {
            Err(ErrorKind::PermissionDenied.into())
        }
    }

    fn read(&self, name: &str, key: &[u8]) -> Option<Vec<u8>> {
        let directory = self.open().ok()?;
        // Not blocking: whatever is there, it is judged before it is read.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, name, flags, Mode::empty()).ok()?;
        let stat = rustix::fs::fstat(&file).ok()?;
        let size = u64::try_from(stat.st_size)
            .ok()
            .filter(|size| *size <= MAX_SIZE)?;
        if !is_ours(&stat, FileType::RegularFile, 0o600) {
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).ok()?.saturating_add(1));
        File::from(file).take(MAX_SIZE).read_to_end(&mut bytes).ok()?;
        decode(&bytes, key).map(<[u8]>::to_vec)
    }

    fn add(&self, name: &str, key: &[u8], program: &[u8]) -> io::Result<()> {
        let directory = match self.open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                match DirBuilder::new()
                    .mode(0o700)
                    .recursive(true)
                    .create(&self.directory)
                {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                    _ => self.open()?,
                }
            }
            other => other?,
        };
        self.prune(directory.as_fd(), name)?;
        // Of this process alone: others who compile the same profile at the same time write files of their own, and
        // whichever rename comes last replaces a file by its equal.
        let temporary = format!(".{name}.{}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, &*temporary, flags, Mode::from_raw_mode(0o600))?;
        let written = rustix::fs::fchmod(&file, Mode::from_raw_mode(0o600))
            .map_err(io::Error::from)
            .and_then(|()| File::from(file).write_all(&encode(key, program)))
            .and_then(|()| Ok(rustix::fs::renameat(&directory, &*temporary, &directory, name)?));
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&directory, &*temporary, rustix::fs::AtFlags::empty());
        }
        written
    }

    /// Makes room for one more file: the oldest go, and what is in the way of the new one.
    fn prune(&self, directory: BorrowedFd<'_>, name: &str) -> io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.directory)?.flatten() {
            let meta = entry.metadata()?;
            if meta.is_dir() && entry.file_name() == name {
                fs::remove_dir_all(entry.path())?;
            } else if !meta.is_dir() {
                files.push((meta.modified()?, entry.file_name().into()));
            }
        }
        files.sort();
        let surplus = (files.len() + 1).saturating_sub(MAX_FILES);
        for (_, file) in files.iter().take(surplus) {
            match rustix::fs::unlinkat(directory, file, rustix::fs::AtFlags::empty()) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Whether a file is of this kind, this user's, and closed to everybody else.
fn is_ours(stat: &Stat, kind: FileType, mode: u32) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
        && stat.st_mode & 0o7777 == mode
        && stat.st_uid == rustix::process::geteuid().as_raw()
}

/// All that a compiled program depends on.
///
/// The kernel's name and build stand for the actions it offers: libseccomp refuses others when it compiles.
fn key(profile: &LinuxSeccomp) -> Vec<u8> {
    let kernel = rustix::system::uname();
    let library = libseccomp::ScmpVersion::current().map(|v| (v.major, v.minor, v.micro));
    serde_json::to_vec(&(
        (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH),
        library.ok(),
        (kernel.release().to_bytes(), kernel.version().to_bytes()),
        (profile.default_action(), profile.default_errno_ret()),
        profile.architectures(),
        profile.syscalls(),
    ))
    .unwrap_or_default()
}

/// Good against accidents. Nothing hangs on it that an attacker would like: names are checked by the key.
fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

fn encode(key: &[u8], program: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(hash(&[key, program]).to_ne_bytes());
    bytes.extend(u32::try_from(key.len()).unwrap_or(u32::MAX).to_ne_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(program);
    bytes
}

/// The program in a file, if it is whole and was made of this key.
fn decode<'a>(bytes: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let (program, length) = (rest.get(key.len()..)?, u32::try_from(key.len()).ok()?);
    let expected = [
        &MAGIC[..],
        &hash(&[key, program]).to_ne_bytes(),
        &length.to_ne_bytes(),
    ]
    .concat();
    (header == expected && rest.starts_with(key)).then_some(program)
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
