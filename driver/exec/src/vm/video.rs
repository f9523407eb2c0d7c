//! The video instructions: parts of words, with saturation, and a second operation or a merge.
//!
//! Each is computed in wider integers and cut to 32 bits at the end, as PTX defines it.

use super::ctx::{Ctx, each_active};
use super::map::Exec;
use crate::code::Inst;

/// The first operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Difference,
    Least,
    Most,
    Average,
    ShiftLeft,
    ShiftRight,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

const OPERATIONS: [(Operation, &str); 14] = [
    (Operation::Add, "vadd"),
    (Operation::Subtract, "vsub"),
    (Operation::Difference, "vabsdiff"),
    (Operation::Least, "vmin"),
    (Operation::Most, "vmax"),
    (Operation::Average, "vavrg"),
    (Operation::ShiftLeft, "vshl"),
    (Operation::ShiftRight, "vshr"),
    (Operation::Equal, "eq"),
    (Operation::NotEqual, "ne"),
    (Operation::Less, "lt"),
    (Operation::LessEqual, "le"),
    (Operation::Greater, "gt"),
    (Operation::GreaterEqual, "ge"),
];

impl Operation {
    /// By opcode without its number of parts, or by the comparison of `vset`.
    pub fn from_name(name: &str) -> Option<Self> {
        OPERATIONS.iter().find(|(_, n)| *n == name).map(|o| o.0)
    }

    fn of(imm: u64) -> Self {
        OPERATIONS[(imm & 15) as usize % OPERATIONS.len()].0
    }

    /// `wrap`: shifts take the low five bits, else at most 32.
    fn apply(self, a: i64, b: i64, wrap: bool) -> i64 {
        let by = if wrap { b & 31 } else { b.min(32) };
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Difference => (a - b).abs(),
            Self::Least => a.min(b),
            Self::Most => a.max(b),
            // Rounded away from zero for sums that are not negative, down for others.
            Self::Average => (a + b + i64::from(a + b >= 0)) >> 1,
            Self::ShiftLeft => a << by,
            Self::ShiftRight => a >> by,
            Self::Equal => i64::from(a == b),
            Self::NotEqual => i64::from(a != b),
            Self::Less => i64::from(a < b),
            Self::LessEqual => i64::from(a <= b),
            Self::Greater => i64::from(a > b),
            Self::GreaterEqual => i64::from(a >= b),
        }
    }
}

/// A word's part: `.b0`..`.b3`, `.h0`, `.h1`, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    shift: u32,
    bits: u32,
}

impl Part {
    pub const WHOLE: Self = Self { shift: 0, bits: 32 };

    /// By its selector, without the dot.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "b0" => Self { shift: 0, bits: 8 },
            "b1" => Self { shift: 8, bits: 8 },
            "b2" => Self { shift: 16, bits: 8 },
            "b3" => Self { shift: 24, bits: 8 },
            "h0" => Self { shift: 0, bits: 16 },
            "h1" => Self { shift: 16, bits: 16 },
            _ => return None,
        })
    }

    fn pack(self) -> u64 {
        u64::from(self.shift / 8) | u64::from(self.bits.ilog2() - 3) << 2
    }

    fn unpack(imm: u64) -> Self {
        Self { shift: (imm & 3) as u32 * 8, bits: 8 << (imm >> 2 & 3).min(2) }
    }

    fn of(self, word: u32, signed: bool) -> i64 {
        cut(i64::from(word >> self.shift), self.bits, signed)
    }
}

/// The low `bits` bits of `x`.
fn cut(x: i64, bits: u32, signed: bool) -> i64 {
    let up = 64 - bits;
    if signed { x << up >> up } else { ((x as u64) << up >> up) as i64 }
}

fn clamp(x: i64, bits: u32, signed: bool) -> i64 {
    if signed { x.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { x.clamp(0, (1 << bits) - 1) }
}

/// What follows the first operation of a scalar instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Second {
    None,
    Add,
    Least,
    Most,
    /// The result becomes a part of the third operand.
    Merge(Part),
}

/// A scalar video instruction, as an immediate holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Video {
    pub operation: Operation,
    pub a: Part,
    pub b: Part,
    /// Whether D, A and B are signed.
    pub signed: [bool; 3],
    pub saturate: bool,
    pub wrap: bool,
    pub second: Second,
}

fn bools(bits: [bool; 3], at: u32) -> u64 {
    bits.iter().enumerate().fold(0, |r, (n, &bit)| r | u64::from(bit) << (at + n as u32))
}

fn three(imm: u64, at: u32) -> [bool; 3] {
    [0, 1, 2].map(|n| imm >> (at + n) & 1 != 0)
}

impl Video {
    pub fn pack(self) -> u64 {
        let (second, into) = match self.second {
            Second::None => (0, Part::WHOLE),
            Second::Add => (1, Part::WHOLE),
            Second::Least => (2, Part::WHOLE),
            Second::Most => (3, Part::WHOLE),
            Second::Merge(part) => (4, part),
        };
        self.operation as u64
            | self.a.pack() << 4
            | self.b.pack() << 8
            | into.pack() << 12
            | bools(self.signed, 16)
            | u64::from(self.saturate) << 19
            | u64::from(self.wrap) << 20
            | second << 21
    }

    fn unpack(imm: u64) -> Self {
        Self {
            operation: Operation::of(imm),
            a: Part::unpack(imm >> 4),
            b: Part::unpack(imm >> 8),
            signed: three(imm, 16),
            saturate: imm >> 19 & 1 != 0,
            wrap: imm >> 20 & 1 != 0,
            second: match imm >> 21 & 7 {
                0 => Second::None,
                1 => Second::Add,
                2 => Second::Least,
                3 => Second::Most,
                _ => Second::Merge(Part::unpack(imm >> 12)),
            },
        }
    }

    fn apply(self, a: u32, b: u32, c: u32) -> u32 {
        let d_signed = self.signed[0];
        let t = self.first(a, b);
        if let Second::Merge(part) = self.second {
            let mask = cut(-1, part.bits, false) << part.shift;
            return ((t << part.shift & mask) | (i64::from(c) & !mask)) as u32;
        }
        let third = Part::WHOLE.of(c, d_signed);
        // The comparison is one of 64 bits, signed as D is.
        let less = if d_signed { t < third } else { (t as u64) < third as u64 };
        let result = match self.second {
            Second::Add => t.wrapping_add(third),
            Second::Least if !less => third,
            Second::Most if less => third,
            _ => t,
        };
        result as u32
    }

    /// The first operation's result, as the second one sees it.
    ///
    /// PTX's pseudocode leaves open how wide it is. GPUs have no such instructions any more: what NVIDIA's
    /// assembler makes of them, and an H200 answers, is written here. Sums and differences are cut to a
    /// word, whose highest bit is taken for its sign, whatever D is; what was shifted is saturated as a number
    /// of 34 bits; an unsigned D has only the lower end, but for shifts.
    fn first(self, a: u32, b: u32) -> i64 {
        let [d_signed, a_signed, b_signed] = self.signed;
        let t = self.operation.apply(self.a.of(a, a_signed), self.b.of(b, b_signed), self.wrap);
        let sum = matches!(self.operation, Operation::Add | Operation::Subtract);
        let shifted = matches!(self.operation, Operation::ShiftLeft | Operation::ShiftRight);
        match (self.second, self.saturate) {
            // A part is cut from a word.
            (Second::Merge(part), true) => clamp(cut(t, 32, d_signed), part.bits, d_signed),
            (Second::Merge(_), false) => cut(t, 32, d_signed),
            (_, true) if shifted => cut(clamp(cut(t, 34, true), 32, d_signed), 32, true),
            (_, true) if d_signed => clamp(t, 32, true),
            (_, true) if sum => cut(t.max(0), 32, true),
            (_, true) => t.max(0),
            (_, false) if sum => cut(t, 32, true),
            (_, false) => t,
        }
    }
}

/// `vadd` … `vset`: fields `d`, `a`, `b`, `c`; `imm`: a [`Video`].
pub(crate) struct VideoScalar;
impl Exec for VideoScalar {
    fn exec(c: &mut Ctx, i: &Inst) {
        let video = Video::unpack(i.imm);
        each_active(c, |c, l| {
            let value = video.apply(c.lane(i.a, l), c.lane(i.b, l), c.lane(i.c, l));
            c.set_lane(i.d, l, value);
        });
    }
}

/// `vmad`, as an immediate holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VideoMad {
    pub a: Part,
    pub b: Part,
    /// Whether A and B are signed.
    pub signed: [bool; 2],
    pub saturate: bool,
    /// `.po`: one more.
    pub plus_one: bool,
    /// The product is subtracted.
    pub negated: bool,
    /// C is subtracted.
    pub c_negated: bool,
    /// `.shr7`, `.shr15`, or 0.
    pub shift: u32,
}

impl VideoMad {
    pub fn pack(self) -> u64 {
        let [a, b] = self.signed;
        self.a.pack()
            | self.b.pack() << 4
            | bools([a, b, self.saturate], 8)
            | bools([self.plus_one, self.negated, self.c_negated], 11)
            | u64::from(self.shift) << 16
    }

    fn unpack(imm: u64) -> Self {
        let [a, b, saturate] = three(imm, 8);
        let [plus_one, negated, c_negated] = three(imm, 11);
        Self {
            a: Part::unpack(imm),
            b: Part::unpack(imm >> 4),
            signed: [a, b],
            saturate,
            plus_one,
            negated,
            c_negated,
            shift: (imm >> 16 & 31) as u32,
        }
    }

    fn apply(self, a: u32, b: u32, c: u32) -> u32 {
        let [a_signed, b_signed] = self.signed;
        let signed = a_signed || b_signed || self.negated || self.c_negated;
        // A whole word is a signed number, whatever its type, and so is C; only what follows the sum
        // goes by the types. So an H200 does it.
        let factor = |part: Part, word, signed| part.of(word, signed || part == Part::WHOLE);
        let product = factor(self.a, a, a_signed) * factor(self.b, b, b_signed);
        let third = Part::WHOLE.of(c, true);
        let sum = if self.negated { -product } else { product } + if self.c_negated { -third } else { third };
        let sum = sum + i64::from(self.plus_one);
        let result = if signed { sum >> self.shift } else { (sum as u64 >> self.shift) as i64 };
        (if self.saturate { clamp(result, 32, signed) } else { result }) as u32
    }
}

/// `vmad`: fields `d`, `a`, `b`, `c`; `imm`: a [`VideoMad`].
pub(crate) struct VideoMultiply;
impl Exec for VideoMultiply {
    fn exec(c: &mut Ctx, i: &Inst) {
        let video = VideoMad::unpack(i.imm);
        each_active(c, |c, l| {
            let value = video.apply(c.lane(i.a, l), c.lane(i.b, l), c.lane(i.c, l));
            c.set_lane(i.d, l, value);
        });
    }
}

/// A video instruction on two halves or four bytes, as an immediate holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VideoSimd {
    pub operation: Operation,
    /// Parts of a word: 2 or 4.
    pub parts: usize,
    /// For each part, which of the parts of A, then B, it takes; lowest part first.
    pub a: [u8; 4],
    pub b: [u8; 4],
    /// Whether D, A and B are signed.
    pub signed: [bool; 3],
    pub saturate: bool,
    /// `.add`: the parts are added to C; else they take the place of C's.
    pub accumulate: bool,
    /// Which parts count, by bit.
    pub mask: u32,
}

impl VideoSimd {
    pub fn pack(self) -> u64 {
        let picks = |p: [u8; 4]| p.iter().enumerate().fold(0, |r, (n, &x)| r | u64::from(x & 7) << (3 * n));
        self.operation as u64
            | u64::from(self.parts == 4) << 4
            | bools(self.signed, 5)
            | u64::from(self.saturate) << 8
            | u64::from(self.accumulate) << 9
            | u64::from(self.mask & 15) << 10
            | picks(self.a) << 16
            | picks(self.b) << 28
    }

    fn unpack(imm: u64) -> Self {
        let picks = |at: u32| [0, 1, 2, 3].map(|n| (imm >> (at + 3 * n) & 7) as u8);
        Self {
            operation: Operation::of(imm),
            parts: if imm >> 4 & 1 != 0 { 4 } else { 2 },
            a: picks(16),
            b: picks(28),
            signed: three(imm, 5),
            saturate: imm >> 8 & 1 != 0,
            accumulate: imm >> 9 & 1 != 0,
            mask: (imm >> 10 & 15) as u32,
        }
    }

    fn apply(self, a: u32, b: u32, c: u32) -> u32 {
        let [d_signed, a_signed, b_signed] = self.signed;
        let bits = 32 / self.parts as u32;
        let both = u64::from(a) | u64::from(b) << 32;
        let pick = |n: u8, signed: bool| cut((both >> (u32::from(n) * bits % 64)) as i64, bits, signed);
        let mut result = c;
        for n in (0..self.parts).filter(|n| self.mask >> n & 1 != 0) {
            let mut t = self.operation.apply(pick(self.a[n], a_signed), pick(self.b[n], b_signed), false);
            if self.saturate {
                t = clamp(t, bits, d_signed);
            }
            if self.accumulate {
                result = result.wrapping_add(t as u32);
            } else {
                let shift = n as u32 * bits;
                let mask = cut(-1, bits, false) as u32;
                result = (result & !(mask << shift)) | (t as u32 & mask) << shift;
            }
        }
        result
    }
}

/// `vadd2` … `vset4`: fields `d`, `a`, `b`, `c`; `imm`: a [`VideoSimd`].
pub(crate) struct VideoParts;
impl Exec for VideoParts {
    fn exec(c: &mut Ctx, i: &Inst) {
        let video = VideoSimd::unpack(i.imm);
        each_active(c, |c, l| {
            let value = video.apply(c.lane(i.a, l), c.lane(i.b, l), c.lane(i.c, l));
            c.set_lane(i.d, l, value);
        });
    }
}
