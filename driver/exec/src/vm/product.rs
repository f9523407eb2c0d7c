//! Matrix products of a warp: `mma.sync` of all types, and `wmma.mma`.
//!
//! Integer and single-bit sums are exact. Floating-point products are exact in the type of the
//! sum; sums are taken in order of `k` with a fused multiply-add each, those in half precision
//! in single precision and rounded once. Hardware adds single-precision sums in wider groups and
//! rounds differently, so that those compare by tolerance, not by bits.

use super::ctx::{Ctx, LANES};
use super::fp8::{E4M3, E5M2, Small};
use super::fragment::{Accumulator, Multiplicand, Product, filled_by_sums, per_register, sum_at, tile_of_a, tile_of_b};
use super::half::Half;
use super::lane::{BF16, F16, Slot};
use super::map::Step;
use super::matrix::{Factor, whole};
use super::rounding::{NEAREST, canonical, canonical64, fma64};
use super::sparse::spread;
use crate::code::Inst;

/// How products are added up.
trait Multiply {
    /// An element of A or B.
    type X: Copy + Default;
    /// A sum.
    type Y: Copy + Default;
    fn add(&self, a: Self::X, b: Self::X, sum: Self::Y) -> Self::Y;
}

struct Single;
impl Multiply for Single {
    type X = f32;
    type Y = f32;
    #[inline(always)]
    fn add(&self, a: f32, b: f32, sum: f32) -> f32 {
        a.mul_add(b, sum)
    }
}

/// Double precision, with a rounding mode.
struct Double(u32);
impl Multiply for Double {
    type X = f64;
    type Y = f64;
    #[inline(always)]
    fn add(&self, a: f64, b: f64, sum: f64) -> f64 {
        canonical64(if self.0 == NEAREST { a.mul_add(b, sum) } else { fma64(a, b, sum, self.0) })
    }
}

struct Integer;
impl Multiply for Integer {
    type X = i32;
    type Y = i32;
    #[inline(always)]
    fn add(&self, a: i32, b: i32, sum: i32) -> i32 {
        sum.wrapping_add(a.wrapping_mul(b))
    }
}

/// 32 single bits at once; by `and`, else by `xor`.
struct Bits(bool);
impl Multiply for Bits {
    type X = u32;
    type Y = i32;
    #[inline(always)]
    fn add(&self, a: u32, b: u32, sum: i32) -> i32 {
        let both = if self.0 { a & b } else { a ^ b };
        sum.wrapping_add(both.count_ones() as i32)
    }
}

/// The largest matrices: 16 x 128 (sparse s4) or 32 x 16 for A, 8 x 128 or 16 x 32 for B.
const MOST_A: usize = 2048;
const MOST_B: usize = 1024;
const MOST_SUMS: usize = 256;

/// A, row by row; B, eight columns at a time, row by row; sums, eight columns at a time.
struct Operands<X, Y> {
    rows: usize,
    columns: usize,
    depth: usize,
    a: [X; MOST_A],
    b: [X; MOST_B],
    sums: [Y; MOST_SUMS],
}

impl<X: Copy + Default, Y: Copy + Default> Operands<X, Y> {
    #[inline(always)]
    fn new(rows: usize, columns: usize, depth: usize) -> Self {
        let (a, b, sums) = ([X::default(); MOST_A], [X::default(); MOST_B], [Y::default(); MOST_SUMS]);
        Self { rows, columns, depth, a, b, sums }
    }

    #[inline(always)]
    fn set_b(&mut self, column: usize, k: usize, x: X) {
        self.b[(column / 8 * self.depth + k) * 8 + column % 8] = x;
    }

    #[inline(always)]
    fn place(&self, (row, column): (usize, usize)) -> usize {
        (column / 8 * self.rows + row) * 8 + column % 8
    }

    #[inline(always)]
    fn multiply<M: Multiply<X = X, Y = Y>>(&mut self, how: &M) {
        let depth = self.depth;
        for panel in 0..self.columns / 8 {
            let b = &self.b[panel * depth * 8..(panel + 1) * depth * 8];
            // Four rows at once: their sums are independent of each other.
            for rows in 0..self.rows / 4 {
                let first = (panel * self.rows + 4 * rows) * 8;
                let sums = &mut self.sums[first..first + 32];
                let mut lines = [[Y::default(); 8]; 4];
                for r in 0..4 {
                    for n in 0..8 {
                        lines[r][n] = sums[8 * r + n];
                    }
                }
                let a = &self.a[4 * rows * depth..4 * (rows + 1) * depth];
                for k in 0..depth {
                    for r in 0..4 {
                        let x = a[r * depth + k];
                        for n in 0..8 {
                            lines[r][n] = how.add(x, b[8 * k + n], lines[r][n]);
                        }
                    }
                }
                for r in 0..4 {
                    for n in 0..8 {
                        sums[8 * r + n] = lines[r][n];
                    }
                }
            }
        }
    }
}

/// Element `e` of a register as a single.
#[inline(always)]
fn single(ty: Multiplicand, word: u32, e: usize) -> f32 {
    match ty {
        Multiplicand::F16 => F16::single((word >> (16 * e)) as u16),
        Multiplicand::BF16 => BF16::single((word >> (16 * e)) as u16),
        Multiplicand::E4M3 => E4M3::value((word >> (8 * e)) as u8),
        Multiplicand::E5M2 => E5M2::value((word >> (8 * e)) as u8),
        // Tensor cores read the upper 19 bits.
        _ => f32::from_bits(word & !0x1fff),
    }
}

/// Element `e` of a register as an integer.
#[inline(always)]
fn integer(ty: Multiplicand, word: u32, e: usize) -> i32 {
    match ty {
        Multiplicand::S8 => i32::from((word >> (8 * e)) as i8),
        Multiplicand::U8 => i32::from((word >> (8 * e)) as u8),
        Multiplicand::S4 => (word << (28 - 4 * e)) as i32 >> 28,
        _ => (word >> (4 * e) & 15) as i32,
    }
}

/// Reads A and B. `depth`: elements of B along `k`; `read`: an element of a register.
#[inline(always)]
fn gather<S: Slot, X: Copy + Default, Y: Copy + Default>(
    c: &Ctx,
    i: &Inst,
    p: &Product,
    bits: u32,
    o: &mut Operands<X, Y>,
    read: impl Fn(Multiplicand, S, usize) -> X,
) {
    let first = filled_by_sums(p.shape, p.d) + 1;
    let per = per_register(bits);
    let depth = if p.sparse.is_some() { o.depth / 2 } else { o.depth };
    for r in 0..p.registers.0 {
        let words: [S; LANES] = c.lanes(c.extra(i.c, first + r));
        let (row, k) = tile_of_a(r, o.rows, depth, bits);
        for l in 0..LANES {
            for e in 0..per {
                o.a[(row + l / 4) * depth + k + l % 4 * per + e] = read(p.a, words[l], e);
            }
        }
    }
    let first = first + p.registers.0;
    for r in 0..p.registers.1 {
        let words: [S; LANES] = c.lanes(c.extra(i.c, first + r));
        let (column, k) = tile_of_b(r, o.columns, o.depth, bits);
        for l in 0..LANES {
            for e in 0..per {
                o.set_b(column + l / 4, k + l % 4 * per + e, read(p.b, words[l], e));
            }
        }
    }
    if let Some(selector) = p.sparse {
        let at = first + p.registers.1 + filled_by_sums(p.shape, p.c);
        let half = std::mem::replace(&mut o.a, [X::default(); MOST_A]);
        spread(c.lanes(c.extra(i.c, at)), selector, p.a, &half, o.rows, o.depth, &mut o.a);
    }
}

/// Where C's registers begin in the operand list.
fn first_of_c(p: &Product) -> usize {
    filled_by_sums(p.shape, p.d) + 1 + p.registers.0 + p.registers.1
}

/// Reads C where an element fills a register.
#[inline(always)]
fn sums_of<S: Slot, X: Copy + Default, Y: Copy + Default>(
    c: &Ctx,
    i: &Inst,
    p: &Product,
    o: &mut Operands<X, Y>,
    read: impl Fn(S) -> Y,
) {
    for r in 0..filled_by_sums(p.shape, p.c) {
        let words: [S; LANES] = c.lanes(c.extra(i.c, first_of_c(p) + r));
        for l in 0..LANES {
            let at = o.place(sum_at(r / 2, l, r % 2, p.shape));
            o.sums[at] = read(words[l]);
        }
    }
}

/// Writes D where an element fills a register.
#[inline(always)]
fn put_sums<S: Slot, X: Copy + Default, Y: Copy + Default>(
    c: &mut Ctx,
    i: &Inst,
    p: &Product,
    o: &Operands<X, Y>,
    write: impl Fn(Y) -> S,
) {
    for r in 0..filled_by_sums(p.shape, p.d) {
        let mut words = [S::default(); LANES];
        for l in 0..LANES {
            words[l] = write(o.sums[o.place(sum_at(r / 2, l, r % 2, p.shape))]);
        }
        c.set_vector(c.extra(i.c, r), words);
    }
}

/// Products in single precision, sums in single or half precision.
#[inline(always)]
fn singles(c: &mut Ctx, i: &Inst, p: &Product) {
    let mut o = Operands::<f32, f32>::new(p.shape.m, p.shape.n, p.shape.k);
    gather(c, i, p, p.a.bits(), &mut o, single);
    if p.c == Accumulator::F16 {
        for r in 0..filled_by_sums(p.shape, p.c) {
            let words: [u32; LANES] = c.lanes(c.extra(i.c, first_of_c(p) + r));
            for l in 0..LANES {
                let at = [0, 1].map(|e| o.place(sum_at(r, l, e, p.shape)));
                o.sums[at[0]] = F16::single(words[l] as u16);
                o.sums[at[1]] = F16::single((words[l] >> 16) as u16);
            }
        }
    } else {
        sums_of(c, i, p, &mut o, f32::from_bits);
    }
    o.multiply(&Single);
    if p.d == Accumulator::F16 {
        let half = |x: f32| u32::from(F16::round(f64::from(x), 0).0);
        for r in 0..filled_by_sums(p.shape, p.d) {
            let mut words = [0u32; LANES];
            for l in 0..LANES {
                let at = [0, 1].map(|e| o.place(sum_at(r, l, e, p.shape)));
                words[l] = half(o.sums[at[0]]) | half(o.sums[at[1]]) << 16;
            }
            c.set_vector(c.extra(i.c, r), words);
        }
    } else {
        put_sums(c, i, p, &o, |x| canonical(x).to_bits());
    }
}

#[inline(always)]
fn doubles(c: &mut Ctx, i: &Inst, p: &Product) {
    let mut o = Operands::<f64, f64>::new(p.shape.m, p.shape.n, p.shape.k);
    gather(c, i, p, 64, &mut o, |_, word: u64, _| f64::from_bits(word));
    sums_of(c, i, p, &mut o, f64::from_bits);
    o.multiply(&Double(p.rounding));
    put_sums(c, i, p, &o, |x| canonical64(x).to_bits());
}

/// Sums of products, to which C is added at last: those alone never overflow.
#[inline(always)]
fn integers(c: &mut Ctx, i: &Inst, p: &Product) {
    let Product { shape, and, saturate, .. } = *p;
    let sums = if p.a == Multiplicand::B1 {
        // 32 bits are one element.
        let mut o = Operands::<u32, i32>::new(shape.m, shape.n, shape.k / 32);
        gather(c, i, p, 32, &mut o, |_, word: u32, _| word);
        o.multiply(&Bits(and));
        o.sums
    } else {
        let mut o = Operands::<i32, i32>::new(shape.m, shape.n, shape.k);
        gather(c, i, p, p.a.bits(), &mut o, integer);
        o.multiply(&Integer);
        o.sums
    };
    let mut o = Operands::<(), i32>::new(shape.m, shape.n, 0);
    sums_of(c, i, p, &mut o, |word: u32| word as i32);
    for (sum, more) in o.sums.iter_mut().zip(sums) {
        *sum = if saturate { sum.saturating_add(more) } else { sum.wrapping_add(more) };
    }
    put_sums(c, i, p, &o, |x| x as u32);
}

/// `mma.sync` and `wmma.mma`. `imm`: a [`Product`]; `c`: list: destinations, members, A, B, C,
/// metadata if A is sparse.
pub(crate) struct MultiplyMatrices;
impl Step for MultiplyMatrices {
    const ONWARD: bool = true;
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let p = Product::unpack(i.imm);
        if let Err(stop) = whole(c, i, c.extra(i.c, filled_by_sums(p.shape, p.d))) {
            return stop;
        }
        match p.d {
            Accumulator::F16 | Accumulator::F32 => singles(c, i, &p),
            Accumulator::F64 => doubles(c, i, &p),
            Accumulator::S32 => integers(c, i, &p),
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `mma.sync.m8n8k4` of halves: four products of 8 x 4 by 4 x 8, each by lanes `4q..4q + 4` and
/// `16 + 4q..`. Operands as [`MultiplyMatrices`]; mode bit 0: A in row order, 1: B in row order,
/// 2: C in single precision, 3: D in single precision.
pub(crate) struct MultiplyInQuads;
impl Step for MultiplyInQuads {
    const ONWARD: bool = true;
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let [a_rows, b_rows, c_single, d_single] = [0, 1, 2, 3].map(|n| i.imm >> n & 1 != 0);
        let ends = |single: bool| if single { 8 } else { 4 };
        let members = ends(d_single);
        if let Err(stop) = whole(c, i, c.extra(i.c, members)) {
            return stop;
        }
        let halves = |c: &Ctx, first: usize, l: usize, e: usize| {
            let word: u32 = c.lane(c.extra(i.c, first + e / 2), l);
            F16::single((word >> (16 * (e % 2))) as u16)
        };
        // Row and column of a lane's accumulator `e`, a single or a half.
        let at = |single: bool, l: usize, e: usize| {
            let (r, upper) = (l % 4, l / 16 * 4);
            if single { ((r & 1) + (e & 2) + upper, (e & 4) + (r & 2) + (e & 1)) } else { (r + upper, e) }
        };
        let mut sums = [[[0f32; 8]; 8]; 4];
        for q in 0..4 {
            let (mut a, mut b) = ([[0f32; 4]; 8], [[0f32; 8]; 4]);
            let lanes = (0..4).chain(16..20).map(|l| l + 4 * q);
            for l in lanes {
                let (r, upper) = (l % 4, l / 16 * 4);
                for e in 0..4 {
                    let (row, k) = if a_rows { (r + upper, e) } else { (e + upper, r) };
                    a[row][k] = halves(c, members + 1, l, e);
                    let (k, column) = if b_rows { (r, e + upper) } else { (e, r + upper) };
                    b[k][column] = halves(c, members + 3, l, e);
                }
                for e in 0..8 {
                    let (row, column) = at(c_single, l, e);
                    sums[q][row][column] = if c_single {
                        f32::from_bits(c.lane(c.extra(i.c, members + 5 + e), l))
                    } else {
                        halves(c, members + 5, l, e)
                    };
                }
            }
            for row in 0..8 {
                for k in 0..4 {
                    for column in 0..8 {
                        sums[q][row][column] = a[row][k].mul_add(b[k][column], sums[q][row][column]);
                    }
                }
            }
        }
        for r in 0..ends(d_single) {
            let mut words = [0u32; LANES];
            for l in 0..LANES {
                let sum = |e| {
                    let (row, column) = at(d_single, l, e);
                    sums[l % 16 / 4][row][column]
                };
                let half = |x: f32| u32::from(F16::round(f64::from(x), 0).0);
                words[l] =
                    if d_single { canonical(sum(r)).to_bits() } else { half(sum(2 * r)) | half(sum(2 * r + 1)) << 16 };
            }
            c.set_vector(c.extra(i.c, r), words);
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}
