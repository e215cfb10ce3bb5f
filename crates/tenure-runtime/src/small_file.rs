//! Small files, those of the kernel's own file systems above all, read with as few system calls as can be.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// More than nearly all such files hold, so that one read takes all of it.
const USUAL: usize = 4096;

/// Reads a file of `/proc` or of a cgroup.
///
/// These tell no size, so the standard library would ask for it in vain and then read in ever larger pieces: eight
/// calls for a process's `stat` where four do.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    read_open(OpenOptions::new().read(true).open(path)?)
}

/// Reads the rest of an open file.
pub(crate) fn read_open(file: impl AsFd) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(USUAL);
    loop {
        match rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => return Ok(bytes),
            Ok(_) => bytes.reserve(USUAL),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads such a file as text.
pub(crate) fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_to_their_end_whatever_their_length() {
        let dir = tempfile::tempdir().unwrap();
        for length in [0, 1, USUAL - 1, USUAL, USUAL + 1, 5 * USUAL + 7] {
            let (path, bytes) = (dir.path().join("file"), vec![b'x'; length]);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(read(&path).unwrap(), bytes);
        }
        assert_eq!(
            read(dir.path().join("none")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert!(read_text("/proc/self/mountinfo").unwrap().contains(" / "));
    }
}
