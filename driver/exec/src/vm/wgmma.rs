//! `wgmma`: products of a warpgroup, of which each warp computes its sixteen rows.
//!
//! A product is computed when it is issued, so that what its registers then hold is known only here:
//! until the wait for its group they count as under way, and an access to them is a fault ([`Touch`]). So is a change
//! of the shared memory that it was computed from, which the wait finds.

mod descriptor;
pub(crate) mod kind;
mod sums;

use self::kind::Kind;
use self::sums::{multiply_integers, multiply_singles};
use super::ctx::{Ctx, LANES};
use super::fragment::{Accumulator, tile_of_a};
use super::map::Step;
use super::matrix::whole;
use crate::code::Inst;
use crate::fault::FaultKind;

/// Bytes along `k` of every operand: whatever the type, a product goes 32 bytes deep.
const DEEP: usize = 32;
/// Rows of a warp.
const ROWS: usize = 16;

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

impl Ctx {
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
