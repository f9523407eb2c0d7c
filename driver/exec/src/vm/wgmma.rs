//! `wgmma`: products of a warpgroup, of which each warp computes its sixteen rows.
//!
//! A product is computed when it is issued, so that what its registers then hold is known only to this file:
//! until the wait for its group they count as under way, and an access to them is a fault ([`Touch`]). So is a change
//! of the shared memory that it was computed from, which the wait finds.

use super::bulk::Checked;
use super::ctx::{Ctx, LANES};
use super::flight::UNFENCED;
use super::fragment::{Accumulator, Multiplicand, tile_of_a};
use super::half::Half;
use super::lane::F16;
use super::map::Step;
use super::matrix::{Factor, whole};
use super::memory::peek;
use super::rounding::canonical;
use super::tensor_sum::{Elements, add, cut};
use crate::code::Inst;
use crate::fault::FaultKind;

/// Bytes along `k` of every operand: whatever the type, a product goes 32 bytes deep.
const DEEP: usize = 32;
/// Rows of a warp.
const ROWS: usize = 16;
/// Columns at most.
const MOST: usize = 256;

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

    fn unpack(imm: u64) -> Self {
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

/// A matrix descriptor: where in shared memory a matrix lies.
#[derive(Debug, Clone, Copy)]
struct Matrix {
    start: u32,
    lead: u32,
    stride: u32,
    /// Row of the swizzle's pattern at which the matrix begins.
    base: u32,
    /// Bytes that are swizzled: 16 (not at all), 32, 64 or 128.
    span: u32,
    /// The other dimension is contiguous, not `k`.
    transposed: bool,
}

impl Matrix {
    /// D (PTX ISA, "Matrix descriptor format").
    fn new(descriptor: u64, transposed: bool) -> Self {
        let field = |at: u32| (descriptor >> at & 0x3fff) as u32 * 16;
        Self {
            start: field(0),
            lead: field(16),
            stride: field(32),
            base: (descriptor >> 49 & 7) as u32,
            span: [16, 128, 64, 32][(descriptor >> 62) as usize & 3],
            transposed,
        }
    }

    /// Shared address of 16 bytes: `place` and `piece` count lines and pieces along `k`, or where the matrix is transposed
    /// pieces of eight lines and single places along `k`.
    fn piece(self, line: u32, along: u32) -> u32 {
        let Self { start, lead, stride, base, span, transposed } = self;
        let at = match (transposed, span) {
            (false, 16) => line / 8 * stride + line % 8 * 16 + along * lead,
            (false, _) => line / 8 * stride + line % 8 * span + along * 16,
            (true, 16) => line * stride + along % 8 * 16 + along / 8 * lead,
            (true, _) => line * 16 / span * lead + along / 8 * stride + along % 8 * span + line * 16 % span,
        };
        let address = start.wrapping_add(at);
        let pattern = (address >> 7).wrapping_sub(base) & (span / 16 - 1);
        address ^ pattern << 4
    }
}

impl Ctx {
    /// The bytes of `lines` lines of a matrix from line `first` on, line by line, `k` fastest.
    /// `check`: the asynchronous proxy has to see them.
    fn matrix_bytes(
        &mut self,
        matrix: Matrix,
        (first, lines): (usize, usize),
        check: bool,
        to: &mut Vec<u8>,
    ) -> Checked<()> {
        let begin = to.len();
        to.resize(begin + lines * DEEP, 0);
        let to = &mut to[begin..];
        let mut read = |address: u32| -> Checked<[u8; 16]> {
            if self.shared_len < 16 || address > self.shared_len - 16 {
                let address = address.into();
                return Err(FaultKind::IllegalAddress { space: "shared", address, size: 16, write: false });
            }
            let place = self.shared.wrapping_add(address as usize);
            if check && !self.flights.proxy.sees(place, 16) {
                return Err(FaultKind::Misuse(UNFENCED.to_owned()));
            }
            Ok(peek(place))
        };
        if matrix.transposed {
            // Two bytes an element: eight lines in a piece, sixteen places along `k`.
            for group in 0..lines / 8 {
                for k in 0..DEEP / 2 {
                    let piece = read(matrix.piece((first / 8 + group) as u32, k as u32))?;
                    for line in 0..8 {
                        let at = (8 * group + line) * DEEP + 2 * k;
                        (to[at], to[at + 1]) = (piece[2 * line], piece[2 * line + 1]);
                    }
                }
            }
            return Ok(());
        }
        for line in 0..lines {
            for piece in 0..DEEP / 16 {
                let bytes = read(matrix.piece((first + line) as u32, piece as u32))?;
                let at = line * DEEP + 16 * piece;
                to[at..at + 16].copy_from_slice(&bytes);
            }
        }
        Ok(())
    }

    /// What a product reads from shared memory: A's sixteen rows of this warp, if they lie there, and B.
    fn product_bytes(&mut self, kind: Kind, a: u64, b: u64, check: bool) -> Checked<Vec<u8>> {
        let mut bytes = Vec::with_capacity((ROWS + kind.n) * DEEP);
        if !kind.registers {
            let first = self.warp.index as usize % 4 * ROWS;
            self.matrix_bytes(Matrix::new(a, kind.transposed[0]), (first, ROWS), check, &mut bytes)?;
        }
        self.matrix_bytes(Matrix::new(b, kind.transposed[1]), (0, kind.n), check, &mut bytes)?;
        Ok(bytes)
    }

    /// Why a product must not begin without another fence. D (PTX ISA, wgmma.fence): one stands before the first, and
    /// between products of different shapes with the same sums.
    fn out_of_order(&self, kind: Kind, i: &Inst) -> Option<&'static str> {
        let Products { list, fenced, .. } = &self.warp.begun.products;
        if !fenced {
            return Some("no `wgmma.fence` stands before the first product of this warp");
        }
        let mut others = list.iter().filter(|other| !other.fenced && other.kind.n != kind.n).peekable();
        others.peek()?;
        let mine: Vec<u32> = (0..kind.sums()).map(|n| self.extra(i.c, n)).collect();
        others
            .any(|other| other.slots[..other.kind.sums()].iter().any(|slot| mine.contains(slot)))
            .then_some("a product of another shape has the same sums, and no `wgmma.fence` stands between")
    }

    /// Says that products need the four warps of a warpgroup.
    fn warpgroup(&mut self, i: &Inst) -> Option<()> {
        if self.block_warps > self.warp.index | 3 {
            return Some(());
        }
        let why = format!("`wgmma` in warp {}, which is in no warpgroup of four", self.warp.index);
        self.fault(i, 0, FaultKind::Misuse(why));
        None
    }
}

/// A product under way.
struct Product {
    /// Slots of D and of A.
    slots: Vec<u32>,
    group: Option<u32>,
    kind: Kind,
    a: u64,
    b: u64,
    /// What it has read.
    bytes: Vec<u8>,
    pc: u32,
    /// A fence stands behind it.
    fenced: bool,
}

/// Products of a warp under way.
#[derive(Default)]
pub(crate) struct Products {
    list: Vec<Product>,
    /// Groups committed.
    groups: u32,
    /// The warp has met a fence.
    fenced: bool,
}

impl Products {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.list.clear();
        (self.groups, self.fenced) = (0, false);
    }
}

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

/// `wgmma.mma_async`. `imm`: a [`Kind`]; `c`: list: destinations, members, A, B, predicate `scale-d`.
pub(crate) struct Multiply;
impl Step for Multiply {
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let kind = Kind::unpack(i.imm);
        let sums = kind.sums();
        if let Err(stop) = whole(c, i, c.extra(i.c, sums)) {
            return stop;
        }
        if c.warpgroup(i).is_none() {
            return std::ptr::null();
        }
        if let Some(why) = c.out_of_order(kind, i) {
            c.fault(i, 0, FaultKind::Misuse(why.to_owned()));
            return std::ptr::null();
        }
        let first_a = sums + 1;
        let first_b = first_a + kind.operands_of_a();
        let lane = c.warp.active.trailing_zeros() as usize;
        let a: u64 = if kind.registers { 0 } else { c.lane(c.extra(i.c, first_a), lane) };
        let b: u64 = c.lane(c.extra(i.c, first_b), lane);
        let adds = c.predicate(c.extra(i.c, first_b + 1)) >> lane & 1 != 0;
        let bytes = match c.product_bytes(kind, a, b, true) {
            Ok(bytes) => bytes,
            Err(fault) => {
                c.fault(i, lane as u32, fault);
                return std::ptr::null();
            }
        };
        let (mut of_a, mut of_b) = ([0u8; ROWS * DEEP], &bytes[..]);
        if kind.registers {
            let bits = kind.a.bits().max(8);
            for r in 0..4 {
                let words: [u32; LANES] = c.lanes(c.extra(i.c, first_a + r));
                let (row, k) = tile_of_a(r, ROWS, DEEP * 8 / bits as usize, bits);
                for l in 0..LANES {
                    let at = (row + l / 4) * DEEP + k * bits as usize / 8 + l % 4 * 4;
                    of_a[at..at + 4].copy_from_slice(&words[l].to_le_bytes());
                }
            }
        } else {
            of_a.copy_from_slice(&bytes[..ROWS * DEEP]);
            of_b = &bytes[ROWS * DEEP..];
        }
        match kind.d {
            Accumulator::S32 => multiply_integers(c, i, kind, &of_a, of_b, adds),
            _ => multiply_singles(c, i, kind, &of_a, of_b, adds),
        }
        let slots = (0..sums).chain(first_a..first_a + if kind.registers { 4 } else { 0 });
        let slots = slots.map(|n| c.extra(i.c, n)).collect();
        let pc = c.pc_of(i);
        c.warp.begun.products.list.push(Product { slots, group: None, kind, a, b, bytes, pc, fenced: false });
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

#[inline(always)]
fn multiply_singles(c: &mut Ctx, i: &Inst, kind: Kind, a: &[u8], b: &[u8], adds: bool) {
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
fn multiply_integers(c: &mut Ctx, i: &Inst, kind: Kind, a: &[u8], b: &[u8], adds: bool) {
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

/// `wgmma.fence`. `a`: members.
pub(crate) struct FenceProducts;
impl Step for FenceProducts {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        if let Err(stop) = whole(c, i, i.a) {
            return stop;
        }
        if c.warpgroup(i).is_none() {
            return std::ptr::null();
        }
        let Products { list, fenced, .. } = &mut c.warp.begun.products;
        list.iter_mut().for_each(|product| product.fenced = true);
        *fenced = true;
        c.warp.begun.uses.clear();
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `wgmma.commit_group`. `a`: members.
pub(crate) struct CommitProducts;
impl Step for CommitProducts {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        if let Err(stop) = whole(c, i, i.a) {
            return stop;
        }
        let Products { list, groups, .. } = &mut c.warp.begun.products;
        for product in list.iter_mut().filter(|product| product.group.is_none()) {
            product.group = Some(*groups);
        }
        *groups += 1;
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `wgmma.wait_group`. `a`: members; `imm`: groups that may stay open.
pub(crate) struct WaitProducts;
impl Step for WaitProducts {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        if let Err(stop) = whole(c, i, i.a) {
            return stop;
        }
        let Products { list, groups, fenced } = std::mem::take(&mut c.warp.begun.products);
        let old = |product: &Product| product.group.is_some_and(|group| u64::from(groups - group) > i.imm);
        let (done, left): (Vec<Product>, Vec<Product>) = list.into_iter().partition(old);
        for Product { kind, a, b, bytes, pc, .. } in done {
            if c.product_bytes(kind, a, b, false).as_ref() != Ok(&bytes) {
                let why = "the shared memory that this product reads was written before `wgmma.wait_group`";
                c.event = super::ctx::Event::Fault { kind: FaultKind::Misuse(why.to_owned()), lane: 0, pc };
                return std::ptr::null();
            }
        }
        c.warp.begun.products = Products { list: left, groups, fenced };
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// Before an instruction that uses register `a`, which a product may hold; the instruction is the next one's.
pub(crate) struct Touch;
impl Step for Touch {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        if c.warp.begun.products.list.iter().any(|product| product.slots.contains(&i.a)) {
            let why = "a register of a `wgmma.mma_async` under way is used before `wgmma.wait_group`";
            let lane = c.warp.active.trailing_zeros();
            c.fault(i, lane, FaultKind::Misuse(why.to_owned()));
            return std::ptr::null();
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// Behind a `mov` of register `b` to `a`: what a product holds of the one it holds of the other, as compilers copy
/// accumulators between products.
pub(crate) struct Follow;
impl super::map::Exec for Follow {
    fn exec(c: &mut Ctx, i: &Inst) {
        for product in &mut c.warp.begun.products.list {
            if product.slots.contains(&i.b) && !product.slots.contains(&i.a) {
                product.slots.push(i.a);
            }
        }
    }
}
