//! What a product multiplies, as it stands in an instruction.

use crate::vm::fragment::{Accumulator, Multiplicand};

/// What a product multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub a: Multiplicand,
    pub b: Multiplicand,
    pub d: Accumulator,
    /// Columns.
    pub n: usize,
    /// A is in registers.
    pub registers: bool,
    /// A, B: stored with the other dimension contiguous.
    pub transposed: [bool; 2],
    /// A, B: taken with the other sign.
    pub negated: [bool; 2],
    pub saturate: bool,
}

const ACCUMULATORS: [Accumulator; 3] = [Accumulator::F16, Accumulator::F32, Accumulator::S32];
const TYPES: [Multiplicand; 8] = [
    Multiplicand::F16,
    Multiplicand::BF16,
    Multiplicand::TF32,
    Multiplicand::E4M3,
    Multiplicand::E5M2,
    Multiplicand::S8,
    Multiplicand::U8,
    Multiplicand::B1,
];

impl Kind {
    pub fn pack(self) -> u64 {
        let ty = |t: Multiplicand| TYPES.iter().position(|x| *x == t).unwrap_or(0) as u64;
        let d = ACCUMULATORS.iter().position(|x| *x == self.d).unwrap_or(0) as u64;
        let flags =
            [self.registers, self.transposed[0], self.transposed[1], self.negated[0], self.negated[1], self.saturate];
        let flags = flags.iter().enumerate().fold(0, |all, (n, &set)| all | u64::from(set) << n);
        ty(self.a) | ty(self.b) << 4 | d << 8 | (self.n as u64) << 12 | flags << 24
    }

    pub fn unpack(imm: u64) -> Self {
        let flag = |n: u32| imm >> (24 + n) & 1 != 0;
        Self {
            a: TYPES[(imm & 7) as usize],
            b: TYPES[(imm >> 4 & 7) as usize],
            d: ACCUMULATORS[(imm >> 8 & 3) as usize % 3],
            n: (imm >> 12 & 0xfff) as usize,
            registers: flag(0),
            transposed: [flag(1), flag(2)],
            negated: [flag(3), flag(4)],
            saturate: flag(5),
        }
    }

    /// Registers of D.
    pub fn sums(self) -> usize {
        if self.d == Accumulator::F16 { self.n / 4 } else { self.n / 2 }
    }

    /// Operands of A in the list.
    pub fn operands_of_a(self) -> usize {
        if self.registers { 4 } else { 1 }
    }
}
