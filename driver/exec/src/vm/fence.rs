//! Uses of registers that a `wgmma.fence` has to order before a product, where the decoder found that one may be missing.

use super::ctx::Ctx;
use super::map::{Exec, Step};
use crate::code::Inst;
use crate::fault::FaultKind;

/// What a warp did with registers since its last fence: register, kinds of use.
#[derive(Default)]
pub(crate) struct Uses(Vec<(u32, u8)>);

impl Uses {
    /// Forgets everything: all is in order now.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn of(&self, register: u32) -> u8 {
        self.0.iter().find(|(r, _)| *r == register).map_or(0, |(_, kinds)| *kinds)
    }

    fn set(&mut self, register: u32, kinds: u8) {
        match self.0.iter_mut().find(|(r, _)| *r == register) {
            Some((_, old)) => *old = kinds,
            None => self.0.push((register, kinds)),
        }
    }
}

/// A register and what stands beside it.
fn parts(imm: u64) -> (u32, u32) {
    (imm as u32, (imm >> 32) as u32)
}

/// Behind an instruction that uses a register. `imm`: the register, the kind of use.
pub(crate) struct Used;
impl Exec for Used {
    fn exec(c: &mut Ctx, i: &Inst) {
        let (register, kind) = parts(i.imm);
        let uses = &mut c.warp.begun.uses;
        uses.set(register, uses.of(register) | kind as u8);
    }
}

/// Behind a `mov` between registers. `imm`: destination, source.
pub(crate) struct Copied;
impl Exec for Copied {
    fn exec(c: &mut Ctx, i: &Inst) {
        let (to, from) = parts(i.imm);
        let uses = &mut c.warp.begun.uses;
        uses.set(to, uses.of(from));
    }
}

/// Before a product. `imm`: a register of it, and the uses that have to be in order.
pub(crate) struct Unfenced;
impl Step for Unfenced {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let (register, kinds) = parts(i.imm);
        if u32::from(c.warp.begun.uses.of(register)) & kinds != 0 {
            let why = "a register of this product is used before it, and no `wgmma.fence` stands between";
            let lane = c.warp.active.trailing_zeros();
            c.fault(i, lane, FaultKind::Misuse(why.to_owned()));
            return std::ptr::null();
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}
