//! The sums of a product: D from the bytes of A and B.

use super::kind::Kind;
use super::{DEEP, ROWS};
use crate::code::Inst;
use crate::vm::ctx::{Ctx, LANES};
use crate::vm::fragment::{Accumulator, Multiplicand};
use crate::vm::half::Half;
use crate::vm::lane::F16;
use crate::vm::matrix::Factor;
use crate::vm::rounding::canonical;
use crate::vm::tensor_sum::{Elements, add, cut};

/// Columns at most.
const MOST: usize = 256;

/// The bits of element `n` of a line.
#[inline(always)]
fn element(ty: Multiplicand, bytes: &[u8], n: usize) -> u32 {
    match ty {
        Multiplicand::F16 | Multiplicand::BF16 => u32::from(u16::from_le_bytes([bytes[2 * n], bytes[2 * n + 1]])),
        Multiplicand::TF32 => {
            let word = [bytes[4 * n], bytes[4 * n + 1], bytes[4 * n + 2], bytes[4 * n + 3]];
            u32::from_le_bytes(word) >> 13
        }
        _ => u32::from(bytes[n]),
    }
}

/// Elements of A or B as integers; single bits by words.
#[inline(always)]
fn integers(ty: Multiplicand, bytes: &[u8], to: &mut [i32]) {
    for k in 0..to.len() {
        to[k] = match ty {
            Multiplicand::S8 => i32::from(bytes[k] as i8),
            Multiplicand::U8 => i32::from(bytes[k]),
            _ => i32::from_le_bytes([bytes[4 * k], bytes[4 * k + 1], bytes[4 * k + 2], bytes[4 * k + 3]]),
        };
    }
}

#[inline(always)]
pub(super) fn multiply_singles(c: &mut Ctx, i: &Inst, kind: Kind, a: &[u8], b: &[u8], adds: bool) {
    let depth = DEEP * 8 / kind.a.bits() as usize;
    let mut x = Elements::<{ ROWS * DEEP }>::new();
    for n in 0..ROWS * depth {
        x.set(n, kind.a, element(kind.a, a, n));
    }
    if kind.negated[0] != kind.negated[1] {
        x.mantissa.iter_mut().for_each(|m| *m = -*m);
    }
    let halves = kind.d == Accumulator::F16;
    for panel in 0..kind.n / 8 {
        let mut y = Elements::<{ 8 * DEEP }>::new();
        for n in 0..8 {
            let line = &b[(8 * panel + n) * DEEP..(8 * panel + n + 1) * DEEP];
            for k in 0..depth {
                y.set(8 * k + n, kind.b, element(kind.b, line, k));
            }
        }
        let mut sums = [[0f32; 8]; ROWS];
        if adds {
            for half in 0..2 {
                if halves {
                    let words: [u32; LANES] = c.lanes(c.extra(i.c, 2 * panel + half));
                    for l in 0..LANES {
                        sums[8 * half + l / 4][l % 4 * 2] = <F16 as Factor>::single(words[l] as u16);
                        sums[8 * half + l / 4][l % 4 * 2 + 1] = <F16 as Factor>::single((words[l] >> 16) as u16);
                    }
                } else {
                    for e in 0..2 {
                        let words: [u32; LANES] = c.lanes(c.extra(i.c, 4 * panel + 2 * half + e));
                        for l in 0..LANES {
                            sums[8 * half + l / 4][l % 4 * 2 + e] = f32::from_bits(words[l]);
                        }
                    }
                }
            }
        }
        let small = kind.a.bits() == 8;
        let sums = add((kind.a, kind.b), depth, &x, &y, &sums);
        for half in 0..2 {
            if halves {
                let mut words = [0u32; LANES];
                let round = |x: f64| u32::from(F16::round(x, 0).0);
                for l in 0..LANES {
                    let row = &sums[8 * half + l / 4];
                    words[l] = round(row[l % 4 * 2]) | round(row[l % 4 * 2 + 1]) << 16;
                }
                c.set_vector(c.extra(i.c, 2 * panel + half), words);
            } else {
                for e in 0..2 {
                    let mut words = [0u32; LANES];
                    for l in 0..LANES {
                        words[l] = canonical(cut(sums[8 * half + l / 4][l % 4 * 2 + e], small)).to_bits();
                    }
                    c.set_vector(c.extra(i.c, 4 * panel + 2 * half + e), words);
                }
            }
        }
    }
}

#[inline(always)]
pub(super) fn multiply_integers(c: &mut Ctx, i: &Inst, kind: Kind, a: &[u8], b: &[u8], adds: bool) {
    let bits = kind.a == Multiplicand::B1;
    let depth = if bits { DEEP / 4 } else { DEEP };
    let mut x = [0i32; ROWS * DEEP];
    integers(kind.a, a, &mut x[..ROWS * depth]);
    let mut y = [0i32; DEEP];
    let mut sums = vec![[0i32; ROWS]; MOST];
    for n in 0..kind.n {
        integers(kind.b, &b[n * DEEP..(n + 1) * DEEP], &mut y[..depth]);
        for row in 0..ROWS {
            let mut sum = 0i32;
            for k in 0..depth {
                let (p, q) = (x[row * depth + k], y[k]);
                sum += if bits { (p & q).count_ones() as i32 } else { p * q };
            }
            sums[n][row] = sum;
        }
    }
    for r in 0..kind.sums() {
        let old: [u32; LANES] = if adds { c.lanes(c.extra(i.c, r)) } else { [0; LANES] };
        let mut words = [0u32; LANES];
        for l in 0..LANES {
            let sum = sums[r / 4 * 8 + l % 4 * 2 + r % 2][l / 4 + r / 2 % 2 * 8];
            let old = old[l] as i32;
            words[l] = if kind.saturate { old.saturating_add(sum) } else { old.wrapping_add(sum) } as u32;
        }
        c.set_vector(c.extra(i.c, r), words);
    }
}
