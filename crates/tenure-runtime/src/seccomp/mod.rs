//! Seccomp filters: compiled once per profile, kept as the kernel reads them, loaded with one system call.
//!
//! ```text
//! runtime process   Filter::prepare ── Cache: {root}/seccomp/HASH ──▶ a program for the kernel
//!                                        '── none, torn, foreign ───▶ compile (libseccomp), keep
//! the child         Filter::load ──────────────────────────────────▶ seccomp(2)
//! ```
//!
//! Compiling Docker's default profile takes longer than all the rest of a container's start. Nothing inside a
//! container can reach the cache, and what is read from it is used only if it was made for exactly this profile.

mod cache;
mod compile;

use std::os::fd::OwnedFd;

use libcontainer::oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag};

use crate::failure::Failure;
use crate::{Error, sys};

pub(crate) use cache::Cache;

/// One instruction of a filter as the kernel reads it (struct sock_filter).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    k: u32,
}

impl Instruction {
    const SIZE: usize = 8;

    /// Reads a program from the bytes libseccomp writes; `None` if they are not whole instructions.
    fn program(bytes: &[u8]) -> Option<Vec<Self>> {
        let (instructions, rest) = bytes.as_chunks::<{ Self::SIZE }>();
        let read = |&[a, b, jump_true, jump_false, c, d, e, f]: &[u8; Self::SIZE]| Self {
            code: u16::from_ne_bytes([a, b]),
            jump_true,
            jump_false,
            k: u32::from_ne_bytes([c, d, e, f]),
        };
        rest.is_empty().then(|| instructions.iter().map(read).collect())
    }
}

/// A filter that is ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    program: Vec<Instruction>,
    /// `SECCOMP_FILTER_FLAG_*`.
    flags: libc::c_ulong,
}

impl Filter {
    /// The filter of a profile, from the cache if it is there. `None` without a profile.
    ///
    /// To be called by the runtime process, with the host's rights and files.
    pub(crate) fn prepare(profile: Option<&LinuxSeccomp>, cache: &Cache) -> Result<Option<Self>, Error> {
        let Some(profile) = profile else { return Ok(None) };
        let bytes = cache.get_or_compile(profile, compile::compile)?;
        let program = Instruction::program(&bytes).ok_or_else(|| Error::Seccomp {
            step: "read the filter".to_owned(),
            source: std::io::ErrorKind::InvalidData.into(),
        })?;
        let flags = flags(profile);
        Ok(Some(Self { program, flags }))
    }

    /// Puts the calling process, and whatever it executes, under the filter.
    ///
    /// Returns the descriptor that tells of calls to be judged by an agent, where a rule says `SCMP_ACT_NOTIFY`.
    /// Without noNewPrivileges the caller needs CAP_SYS_ADMIN.
    pub(crate) fn load(&self) -> Result<Option<OwnedFd>, Failure> {
        sys::load_seccomp_filter(&self.program, self.flags).map_err(Failure::step("load the seccomp filter"))
    }
}

/// Whether a rule asks an agent.
fn notifies(profile: &LinuxSeccomp) -> bool {
    let mut rules = profile.syscalls().iter().flatten();
    rules.any(|rule| rule.action() == LinuxSeccompAction::ScmpActNotify)
}

/// The flags the kernel is to load the filter with. It refuses those it does not know.
fn flags(profile: &LinuxSeccomp) -> libc::c_ulong {
    let notifies = notifies(profile);
    let listener = if notifies {
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER
    } else {
        0
    };
    profile.flags().iter().flatten().fold(listener, |flags, flag| {
        flags
            | match flag {
                LinuxSeccompFilterFlag::SeccompFilterFlagLog => libc::SECCOMP_FILTER_FLAG_LOG,
                // With a listener's descriptor as the result, a thread that cannot follow is told as an error.
                LinuxSeccompFilterFlag::SeccompFilterFlagTsync if notifies => {
                    libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH
                }
                LinuxSeccompFilterFlag::SeccompFilterFlagTsync => libc::SECCOMP_FILTER_FLAG_TSYNC,
                LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                // Means nothing without a listener, and the kernel says so.
                LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv if notifies => {
                    libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
                }
                LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => 0,
            }
    })
}

/// A profile that can be compiled becomes a program of whole instructions; one that cannot is told in one line.
#[cfg(feature = "fuzz")]
#[allow(clippy::expect_used)] // To panic is how it speaks.
pub(crate) fn fuzz_compile(profile: &LinuxSeccomp) {
    match compile::compile(profile) {
        Ok(bytes) => {
            let program = Instruction::program(&bytes).expect("whole instructions");
            assert!(!program.is_empty());
        }
        Err(error) => assert!(!error.to_string().chars().any(char::is_control), "{error:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[allow(clippy::unwrap_used)]
    fn with_flags(action: &str) -> libc::c_ulong {
        let profile = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_LOG"],
            "syscalls": [{"names": ["mkdir"], "action": action}],
        });
        flags(&serde_json::from_value(profile).unwrap())
    }

    #[test]
    fn flags_that_need_a_listener_are_given_with_a_listener_only() {
        assert_eq!(with_flags("SCMP_ACT_ERRNO"), 0b00_0011);
        assert_eq!(with_flags("SCMP_ACT_NOTIFY"), 0b11_1011);
    }

    #[test]
    fn half_an_instruction_is_no_program() {
        assert_eq!(Instruction::program(&[0; 15]), None);
        assert_eq!(Instruction::program(&[0; 16]).unwrap().len(), 2);
    }
}
