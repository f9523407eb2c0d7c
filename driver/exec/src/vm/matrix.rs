//! `ldmatrix`, `stmatrix`, `movmatrix` and `mma.sync`.
//!
//! Products are exact in single precision; sums are taken in order of `k` with a fused
//! multiply-add each. Hardware adds in wider groups and rounds differently, so that results
//! compare by tolerance, not by bits.

use std::marker::PhantomData;

use super::ctx::{Ctx, LANES};
use super::half::Half;
use super::lane::{BF16, F16};
use super::map::Step;
use super::memory::{SHARED, peek, poke};
use super::rounding::canonical;
use super::split::Meeting;
use crate::code::Inst;
use crate::slot::SCALAR;

/// All lanes must be there: the instructions are `.aligned`.
#[inline(always)]
pub(crate) fn whole(c: &mut Ctx, i: &Inst, members: u32) -> Result<(), *const Inst> {
    debug_assert!(members & SCALAR != 0, "the decoder passes a constant mask");
    c.rendezvous(i, members, Meeting::Matrix)
}

/// Row addresses of `count` matrices: lanes 8m..8m+8 hold those of matrix m.
#[inline(always)]
fn rows<const WIDE: bool>(c: &mut Ctx, i: &Inst, count: usize, write: bool) -> Option<[*mut u8; LANES]> {
    let active = c.warp.active;
    // Lanes past the last matrix need not hold addresses.
    c.warp.active &= if count == 4 { u32::MAX } else { (1 << (8 * count)) - 1 };
    let spread = c.reach::<SHARED, WIDE>(i, i.a, i.imm >> 8, i.b, 16, write);
    c.warp.active = active;
    let spread = spread?;
    let mut rows = [std::ptr::null_mut(); LANES];
    for l in 0..LANES {
        rows[l] = spread.at(l, 16);
    }
    Some(rows)
}

/// `ldmatrix`. `a`: address, `b`: site, `c`: list: members, destinations; `imm`: count,
/// bit 3: transposed, offset from bit 8.
pub(crate) struct LoadMatrix<const WIDE: bool>;
impl<const WIDE: bool> Step for LoadMatrix<WIDE> {
    const ONWARD: bool = true;
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        if let Err(stop) = whole(c, i, c.extra(i.c, 0)) {
            return stop;
        }
        let (count, transposed) = ((i.imm & 7) as usize, i.imm & 8 != 0);
        let Some(rows) = rows::<WIDE>(c, i, count, false) else { return std::ptr::null() };
        for m in 0..count {
            let mut d = [0u32; LANES];
            if transposed {
                let mut matrix = [[0u16; 8]; 8];
                for r in 0..8 {
                    matrix[r] = peek(rows[8 * m + r]);
                }
                for (l, d) in d.iter_mut().enumerate() {
                    let (x, y) = (l / 4, l % 4 * 2);
                    *d = u32::from(matrix[y][x]) | u32::from(matrix[y + 1][x]) << 16;
                }
            } else {
                // A row is four lanes' words.
                for r in 0..8 {
                    let words: [u32; 4] = peek(rows[8 * m + r]);
                    for k in 0..4 {
                        d[4 * r + k] = words[k];
                    }
                }
            }
            c.set_vector(c.extra(i.c, 1 + m), d);
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `stmatrix`: operands as [`LoadMatrix`], with sources for destinations.
pub(crate) struct StoreMatrix<const WIDE: bool>;
impl<const WIDE: bool> Step for StoreMatrix<WIDE> {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        if let Err(stop) = whole(c, i, c.extra(i.c, 0)) {
            return stop;
        }
        let (count, transposed) = ((i.imm & 7) as usize, i.imm & 8 != 0);
        let Some(rows) = rows::<WIDE>(c, i, count, true) else { return std::ptr::null() };
        for m in 0..count {
            let s: [u32; LANES] = c.lanes(c.extra(i.c, 1 + m));
            for r in 0..8 {
                let row: [u16; 8] = std::array::from_fn(|k| {
                    let (x, y) = if transposed { (k, r) } else { (r, k) };
                    (s[x * 4 + y / 2] >> (16 * (y % 2))) as u16
                });
                poke(rows[8 * m + r], row);
            }
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `movmatrix.trans`. `d`, `a`; `c`: list: members.
pub(crate) struct MoveMatrix;
impl Step for MoveMatrix {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        if let Err(stop) = whole(c, i, c.extra(i.c, 0)) {
            return stop;
        }
        let s: [u32; LANES] = c.lanes(i.a);
        let at = |x: usize, y: usize| s[x * 4 + y / 2] >> (16 * (y % 2)) & 0xffff;
        let d = std::array::from_fn(|l| {
            let (x, y) = (l / 4, l % 4 * 2);
            at(y, x) | at(y + 1, x) << 16
        });
        c.set_vector(i.d, d);
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// Element type of A and B.
pub(crate) trait Factor {
    fn single(bits: u16) -> f32;
}
impl Factor for BF16 {
    #[inline(always)]
    fn single(bits: u16) -> f32 {
        f32::from_bits(u32::from(bits) << 16)
    }
}
impl Factor for F16 {
    #[inline(always)]
    fn single(bits: u16) -> f32 {
        let (e, m) = (u32::from(bits) >> 10 & 31, u32::from(bits) & 1023);
        let sign = u32::from(bits >> 15) << 31;
        // Scaling by 2^112 also turns a subnormal half into the right single.
        let magnitude = f32::from_bits((e << 10 | m) << 13) * f32::from_bits(0x7780_0000);
        let bits = if e == 31 { 0x7f80_0000 | m << 13 } else { magnitude.to_bits() };
        f32::from_bits(sign | bits)
    }
}

/// The 16-bit halves of all lanes' words in order: an 8 x 8 tile, row by row.
#[inline(always)]
fn tile_of(s: [u32; LANES]) -> [u16; 2 * LANES] {
    let mut r = [0u16; 2 * LANES];
    for l in 0..LANES {
        r[2 * l] = s[l] as u16;
        r[2 * l + 1] = (s[l] >> 16) as u16;
    }
    r
}

/// `mma.sync` of shape m16n8k(K). `c`: list: destinations, members, A, B, C; mode bit 0:
/// accumulators are halves.
pub(crate) struct Mma<T, const K: usize>(PhantomData<T>);
impl<T: Factor, const K: usize> Step for Mma<T, K> {
    const ONWARD: bool = true;
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let halves = i.imm & 1 != 0;
        let ends = if halves { 2 } else { 4 };
        if let Err(stop) = whole(c, i, c.extra(i.c, ends)) {
            return stop;
        }
        let (first_a, first_b) = (1 + ends, 1 + ends + K / 4);
        let first_c = first_b + K / 8;
        let mut a = [[0f32; K]; 16];
        for r in 0..K / 4 {
            let s: [u32; LANES] = c.lanes(c.extra(i.c, first_a + r));
            let (row, col) = (r % 2 * 8, r / 2 * 8);
            let s = tile_of(s);
            for x in 0..8 {
                for y in 0..8 {
                    a[row + x][col + y] = T::single(s[8 * x + y]);
                }
            }
        }
        let mut b = [[0f32; 8]; K];
        for r in 0..K / 8 {
            let s: [u32; LANES] = c.lanes(c.extra(i.c, first_b + r));
            let s = tile_of(s);
            for y in 0..8 {
                for n in 0..8 {
                    b[r * 8 + y][n] = T::single(s[8 * n + y]);
                }
            }
        }
        let mut sum = [[0f32; 8]; 16];
        if halves {
            for r in 0..2 {
                let s = tile_of(c.lanes(c.extra(i.c, first_c + r)));
                for x in 0..8 {
                    for y in 0..8 {
                        sum[8 * r + x][y] = F16::single(s[8 * x + y]);
                    }
                }
            }
        } else {
            for r in 0..2 {
                let even: [u32; LANES] = c.lanes(c.extra(i.c, first_c + 2 * r));
                let odd: [u32; LANES] = c.lanes(c.extra(i.c, first_c + 2 * r + 1));
                for x in 0..8 {
                    for y in 0..4 {
                        sum[8 * r + x][2 * y] = f32::from_bits(even[4 * x + y]);
                        sum[8 * r + x][2 * y + 1] = f32::from_bits(odd[4 * x + y]);
                    }
                }
            }
        }
        // Four rows at once: their sums are independent of each other.
        for rows in 0..4 {
            let mut lines = [[0f32; 8]; 4];
            for r in 0..4 {
                lines[r] = sum[4 * rows + r];
            }
            for k in 0..K {
                for r in 0..4 {
                    let x = a[4 * rows + r][k];
                    for n in 0..8 {
                        lines[r][n] = x.mul_add(b[k][n], lines[r][n]);
                    }
                }
            }
            for r in 0..4 {
                sum[4 * rows + r] = lines[r];
            }
        }
        if halves {
            for r in 0..2 {
                let half = |x: f32| u32::from(F16::round(f64::from(x), 0).0);
                let mut d = [0u32; LANES];
                for l in 0..LANES {
                    let row = &sum[8 * r + l / 4];
                    d[l] = half(row[l % 4 * 2]) | half(row[l % 4 * 2 + 1]) << 16;
                }
                c.set_vector(c.extra(i.c, r), d);
            }
        } else {
            for r in 0..2 {
                let (mut even, mut odd) = ([0u32; LANES], [0u32; LANES]);
                for x in 0..8 {
                    for y in 0..4 {
                        even[4 * x + y] = canonical(sum[8 * r + x][2 * y]).to_bits();
                        odd[4 * x + y] = canonical(sum[8 * r + x][2 * y + 1]).to_bits();
                    }
                }
                c.set_vector(c.extra(i.c, 2 * r), even);
                c.set_vector(c.extra(i.c, 2 * r + 1), odd);
            }
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}
