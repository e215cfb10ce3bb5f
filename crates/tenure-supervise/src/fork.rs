//! A copy of this process that does one thing and ends, without executing a program.
//!
//! Only a process with a single thread may do this: a lock that another thread holds would be held in the copy for
//! ever. It is refused otherwise, rather than trusted to the caller.

use std::io;
use std::os::fd::OwnedFd;

use crate::process::Child;
use crate::{subreaper, sys};

/// Forks, and has the new process end with the code that `life` returns.
///
/// Of what is open, it keeps stdin, stdout, stderr and `kept`, which is numbered from 3 on in its order; here `kept` is
/// closed. `life` must own no other descriptor. Nothing is dropped or flushed behind it.
///
/// # Errors
/// When this process has more than one thread, or the kernel refuses.
pub fn fork(kept: Vec<OwnedFd>, life: impl FnOnce(Vec<OwnedFd>) -> u8) -> io::Result<Child> {
    if !is_single_threaded()? {
        return Err(io::Error::other(
            "a process with several threads cannot be forked",
        ));
    }
    // Nobody may reap it before its descriptor is open.
    let hold = subreaper::hold();
    let pid = sys::fork_and_run(|| sys::renumber(&kept).map_or(125, life))?;
    let pidfd = crate::pidfd::PidFd::open(pid)?;
    drop(hold);
    Ok(Child { pid, pidfd })
}

/// A folder's links are its subfolders and two more: here, one for each thread.
fn is_single_threaded() -> io::Result<bool> {
    Ok(rustix::fs::stat("/proc/self/task")?.st_nlink == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_several_threads_is_not_forked() {
        // The harness runs each test beside its own thread.
        assert!(fork(Vec::new(), |_| 0).is_err());
    }
}
