//! From a profile to the program for the kernel, through libseccomp.

use std::fs::File;
use std::io::{self, Read, Seek};

use libcontainer::oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall,
};
use libseccomp::error::SeccompError;
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use rustix::fs::MemfdFlags;

use crate::Error;

/// The order of comparisons in the program: a tree, so that a call passes 9 of them and not 300. The kernel itself
/// runs the program once for every call it knows when it is loaded.
const BINARY_TREE: u32 = 2;

/// A constructor for `map_err`.
fn fail(step: impl Into<String>) -> impl FnOnce(SeccompError) -> Error {
    let step = step.into();
    move |error| Error::Seccomp {
        step,
        source: io::Error::other(error),
    }
}

/// Compiles a profile. The result is an array of struct sock_filter.
///
/// System calls that libseccomp does not know are left out, as in runc: profiles name those of many kernels and
/// architectures.
pub(super) fn compile(profile: &LinuxSeccomp) -> Result<Vec<u8>, Error> {
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    let mut context = ScmpFilterContext::new(default).map_err(fail("begin a filter"))?;
    for &name in profile.architectures().iter().flatten() {
        let added = context.add_arch(arch(name)).map(drop);
        added.map_err(fail(format!("add architecture {name}")))?;
    }
    for rule in profile.syscalls().iter().flatten() {
        let wanted = action(rule.action(), rule.errno_ret())?;
        // What happens anyway needs no rule, and libseccomp takes none.
        if wanted != default {
            add(&mut context, wanted, rule)?;
        }
    }
    let optimized = context.set_ctl_optimize(BINARY_TREE).map(drop);
    optimized.map_err(fail("choose the order of the filter"))?;
    export(&context)
}

/// Adds a rule for every system call it names.
fn add(context: &mut ScmpFilterContext, action: ScmpAction, rule: &LinuxSyscall) -> Result<(), Error> {
    let arguments = rule.args().as_deref().unwrap_or_default();
    let comparisons: Vec<ScmpArgCompare> = arguments.iter().map(comparison).collect();
    let twice = |(i, a): (usize, &LinuxSeccompArg)| arguments.iter().take(i).any(|b| a.index() == b.index());
    let any_twice = arguments.iter().enumerate().any(twice);
    for name in rule.names() {
        let Ok(call) = ScmpSyscall::from_name(name) else {
            tracing::debug!(name, "the seccomp profile names an unknown system call");
            continue;
        };
        let added = if any_twice {
            // One rule cannot look at an argument twice. As in runc, each comparison becomes a rule of its own.
            let mut each = comparisons.iter();
            each.try_for_each(|c| context.add_rule_conditional(action, call, &[*c]).map(drop))
        } else {
            context.add_rule_conditional(action, call, &comparisons).map(drop)
        };
        added.map_err(fail(format!("add a rule for {name}")))?;
    }
    Ok(())
}

/// The program as bytes. libseccomp writes to descriptors only.
fn export(context: &ScmpFilterContext) -> Result<Vec<u8>, Error> {
    let fail_io = |source: io::Error| Error::Seccomp {
        step: "write the filter".to_owned(),
        source,
    };
    let memory = rustix::fs::memfd_create("seccomp", MemfdFlags::CLOEXEC);
    let mut memory = File::from(memory.map_err(|error| fail_io(error.into()))?);
    context.export_bpf(&memory).map_err(fail("write the filter"))?;
    let mut bytes = Vec::new();
    memory
        .rewind()
        .and_then(|()| memory.read_to_end(&mut bytes))
        .map_err(fail_io)?;
    Ok(bytes)
}

fn comparison(argument: &LinuxSeccompArg) -> ScmpArgCompare {
    let operator = match argument.op() {
        LinuxSeccompOperator::ScmpCmpNe => ScmpCompareOp::NotEqual,
        LinuxSeccompOperator::ScmpCmpLt => ScmpCompareOp::Less,
        LinuxSeccompOperator::ScmpCmpLe => ScmpCompareOp::LessOrEqual,
        LinuxSeccompOperator::ScmpCmpEq => ScmpCompareOp::Equal,
        LinuxSeccompOperator::ScmpCmpGe => ScmpCompareOp::GreaterEqual,
        LinuxSeccompOperator::ScmpCmpGt => ScmpCompareOp::Greater,
        // `value` is the mask, `valueTwo` what must remain under it.
        LinuxSeccompOperator::ScmpCmpMaskedEq => ScmpCompareOp::MaskedEqual(argument.value()),
    };
    let datum = match argument.op() {
        LinuxSeccompOperator::ScmpCmpMaskedEq => argument.value_two().unwrap_or(0),
        _ => argument.value(),
    };
    // A larger index names no argument, and libseccomp says so.
    ScmpArgCompare::new(
        u32::try_from(argument.index()).unwrap_or(u32::MAX),
        operator,
        datum,
    )
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<ScmpAction, Error> {
    let unusable = |number: u32| Error::Seccomp {
        step: format!("use {number} as errnoRet"),
        source: io::ErrorKind::InvalidInput.into(),
    };
    let eperm = libc::EPERM.cast_unsigned();
    let number = errno.unwrap_or(eperm);
    let number = u16::try_from(number).map_err(|_| unusable(number))?;
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => ScmpAction::KillThread,
        LinuxSeccompAction::ScmpActKillProcess => ScmpAction::KillProcess,
        LinuxSeccompAction::ScmpActTrap => ScmpAction::Trap,
        LinuxSeccompAction::ScmpActErrno => ScmpAction::Errno(number.into()),
        LinuxSeccompAction::ScmpActTrace => ScmpAction::Trace(number),
        LinuxSeccompAction::ScmpActAllow => ScmpAction::Allow,
        LinuxSeccompAction::ScmpActNotify => ScmpAction::Notify,
        LinuxSeccompAction::ScmpActLog => ScmpAction::Log,
    })
}

fn arch(arch: Arch) -> ScmpArch {
    match arch {
        Arch::ScmpArchNative => ScmpArch::Native,
        Arch::ScmpArchX86 => ScmpArch::X86,
        Arch::ScmpArchX86_64 => ScmpArch::X8664,
        Arch::ScmpArchX32 => ScmpArch::X32,
        Arch::ScmpArchArm => ScmpArch::Arm,
        Arch::ScmpArchAarch64 => ScmpArch::Aarch64,
        Arch::ScmpArchMips => ScmpArch::Mips,
        Arch::ScmpArchMips64 => ScmpArch::Mips64,
        Arch::ScmpArchMips64n32 => ScmpArch::Mips64N32,
        Arch::ScmpArchMipsel => ScmpArch::Mipsel,
        Arch::ScmpArchMipsel64 => ScmpArch::Mipsel64,
        Arch::ScmpArchMipsel64n32 => ScmpArch::Mipsel64N32,
        Arch::ScmpArchPpc => ScmpArch::Ppc,
        Arch::ScmpArchPpc64 => ScmpArch::Ppc64,
        Arch::ScmpArchPpc64le => ScmpArch::Ppc64Le,
        Arch::ScmpArchS390 => ScmpArch::S390,
        Arch::ScmpArchS390x => ScmpArch::S390X,
        Arch::ScmpArchRiscv64 => ScmpArch::Riscv64,
        Arch::ScmpArchParisc => ScmpArch::Parisc,
        Arch::ScmpArchParisc64 => ScmpArch::Parisc64,
        Arch::ScmpArchLoongarch64 => ScmpArch::Loongarch64,
        Arch::ScmpArchM68k => ScmpArch::M68k,
        Arch::ScmpArchSh => ScmpArch::Sh,
        Arch::ScmpArchSheb => ScmpArch::Sheb,
    }
}
