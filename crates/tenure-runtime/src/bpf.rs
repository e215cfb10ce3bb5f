//! The few instructions of the kernel's own machine that device rules need.

/// One instruction, as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BpfInstruction {
    code: u8,
    /// Destination in the low half, source in the high half.
    registers: u8,
    offset: i16,
    immediate: u32,
}

/// `dst = *(u32 *)(src + offset)`
const LOAD: u8 = 0x61;
/// `dst = src`
const COPY: u8 = 0xbf;
/// `dst = immediate`
const SET: u8 = 0xb7;
/// `dst &= immediate`
const AND: u8 = 0x57;
/// `dst >>= immediate`
const SHIFT_RIGHT: u8 = 0x77;
/// Jumps if the low 32 bits of `dst` are not `immediate`.
const JUMP_UNLESS_EQUAL: u8 = 0x56;
/// Jumps if the low 32 bits of `dst` are `immediate`.
const JUMP_IF_EQUAL: u8 = 0x16;
/// Returns r0.
const EXIT: u8 = 0x95;
/// A jump whose target is not known yet.
const TO_END: i16 = i16::MAX;

impl BpfInstruction {
    const fn new(code: u8, destination: u8, source: u8, offset: i16, immediate: u32) -> Self {
        Self {
            code,
            registers: destination | source << 4,
            offset,
            immediate,
        }
    }

    /// Loads a word from memory.
    pub(crate) const fn load(destination: u8, source: u8, offset: i16) -> Self {
        Self::new(LOAD, destination, source, offset, 0)
    }

    /// Copies a register.
    pub(crate) const fn copy(destination: u8, source: u8) -> Self {
        Self::new(COPY, destination, source, 0, 0)
    }

    /// Sets a register.
    pub(crate) const fn set(destination: u8, value: u32) -> Self {
        Self::new(SET, destination, 0, 0, value)
    }

    /// Keeps the bits of a mask.
    pub(crate) const fn and(destination: u8, mask: u32) -> Self {
        Self::new(AND, destination, 0, 0, mask)
    }

    /// Shifts right, filling with zeros.
    pub(crate) const fn shift_right(destination: u8, bits: u32) -> Self {
        Self::new(SHIFT_RIGHT, destination, 0, 0, bits)
    }

    /// Leaves the block unless a register holds a value.
    pub(crate) const fn skip_unless_equal(register: u8, value: u32) -> Self {
        Self::new(JUMP_UNLESS_EQUAL, register, 0, TO_END, value)
    }

    /// Leaves the block if a register is 0.
    pub(crate) const fn skip_if_zero(register: u8) -> Self {
        Self::new(JUMP_IF_EQUAL, register, 0, TO_END, 0)
    }

    /// Ends the program with r0 as its answer.
    pub(crate) const fn exit() -> Self {
        Self::new(EXIT, 0, 0, 0, 0)
    }

    /// Points every jump out of a block to the instruction after it.
    pub(crate) fn resolve_skips(block: &mut [Self]) {
        for (left, instruction) in block.iter_mut().rev().enumerate() {
            if instruction.offset == TO_END {
                // A jump counts from the next instruction. Blocks are a few instructions long.
                instruction.offset = i16::try_from(left).unwrap_or(0);
            }
        }
    }

    /// Runs a program on a question of three words and returns its answer, as the kernel would.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn run(program: &[Self], question: [u32; 3]) -> u64 {
        let mut registers = [0u64; 16];
        let mut at = 0;
        loop {
            let i = program[at];
            let (destination, source) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            let value = u64::from(i.immediate);
            at += 1;
            let low = registers[destination] & 0xffff_ffff;
            match i.code {
                LOAD => {
                    registers[destination] = u64::from(question[usize::try_from(i.offset).unwrap_or(9) / 4])
                }
                COPY => registers[destination] = registers[source],
                SET => registers[destination] = value,
                AND => registers[destination] &= value,
                SHIFT_RIGHT => registers[destination] >>= value,
                JUMP_UNLESS_EQUAL if low != value => at += usize::try_from(i.offset).unwrap_or(9999),
                JUMP_IF_EQUAL if low == value => at += usize::try_from(i.offset).unwrap_or(9999),
                EXIT => return registers[0],
                _ => {}
            }
        }
    }
}
