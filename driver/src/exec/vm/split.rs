//! Divergence: lanes of a warp at different places.
//!
//! The lanes that stand at the lowest place run first, so that lanes which branched ahead are
//! caught up with at the place where the ways meet. A warp-synchronous instruction waits for
//! the lanes that its mask names by letting the others run.

use super::ctx::{Ctx, Event};
use crate::exec::code::Inst;
use crate::exec::fault::FaultKind;

/// What some lanes wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Nothing.
    Ready,
    /// Other lanes of a warp-synchronous instruction. `plain`: it only synchronises, so that the
    /// others may wait at another such instruction.
    Lanes { members: u32, plain: bool },
    /// A barrier of the block.
    Barrier(u32),
    /// All live lanes of the warp.
    All,
}

/// Lanes that stand at one place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Split {
    pub pc: u32,
    pub mask: u32,
    pub wait: Wait,
}

impl Ctx {
    /// Parks the active lanes at `pc`; none is active then.
    pub fn park(&mut self, pc: u32, wait: Wait) {
        let mask = std::mem::take(&mut self.warp.active);
        if mask == 0 {
            return;
        }
        for split in &mut self.warp.splits {
            if split.pc == pc && split.wait == wait {
                split.mask |= mask;
                return;
            }
        }
        self.warp.splits.push(Split { pc, mask, wait });
    }

    /// Lets the ready lanes with the lowest place not below `from` run, else the lowest of all.
    pub fn pick(&mut self, from: u32) -> *const Inst {
        let (mut lowest, mut chosen) = (u32::MAX, u32::MAX);
        for split in &self.warp.splits {
            if split.wait == Wait::Ready {
                lowest = lowest.min(split.pc);
                chosen = chosen.min(if split.pc >= from { split.pc } else { u32::MAX });
            }
        }
        let pc = if chosen == u32::MAX { lowest } else { chosen };
        if pc == u32::MAX {
            self.warp.join = u32::MAX;
            if let [Split { pc, mask, wait: Wait::All }] = self.warp.splits[..] {
                self.warp.splits.clear();
                self.warp.active = mask;
                return self.at(pc);
            }
            return self.stop(if self.warp.live == 0 { Event::Done } else { Event::Waiting });
        }
        let (mut mask, mut join, mut n) = (0, u32::MAX, 0);
        while let Some(&split) = self.warp.splits.get(n) {
            if split.wait == Wait::Ready && split.pc == pc {
                mask |= split.mask;
                self.warp.splits.swap_remove(n);
                continue;
            }
            if split.wait == Wait::Ready && split.pc > pc {
                join = join.min(split.pc);
            }
            n += 1;
        }
        self.warp.active = mask;
        self.warp.join = join;
        self.at(pc)
    }

    /// The active lanes have reached `pc`, where other lanes may stand.
    #[cold]
    pub fn reschedule(&mut self, pc: u32) -> *const Inst {
        self.park(pc, Wait::Ready);
        self.pick(0)
    }

    /// The active lanes part: some go to `there`, the rest to `here`.
    #[cold]
    pub fn diverge(&mut self, going: u32, there: u32, here: u32) -> *const Inst {
        let staying = self.warp.active & !going;
        self.warp.active = going;
        self.park(there, Wait::Ready);
        self.warp.active = staying;
        self.park(here, Wait::Ready);
        self.pick(0)
    }

    /// The active lanes end. Lanes that waited for them look again.
    #[cold]
    pub fn exit(&mut self) -> *const Inst {
        self.warp.live &= !self.warp.active;
        self.warp.active = 0;
        for split in &mut self.warp.splits {
            if matches!(split.wait, Wait::Lanes { .. }) {
                split.wait = Wait::Ready;
            }
        }
        self.pick(0)
    }

    /// Whether all lanes that `members` (an operand) names have come to `inst`, the running one;
    /// if not, the active lanes wait and the place to go on at is returned.
    #[inline(always)]
    pub fn rendezvous(&mut self, inst: &Inst, members: u32, plain: bool) -> Result<(), *const Inst> {
        let first = self.warp.active.trailing_zeros() as usize;
        let mask: u32 = self.lane(members, first);
        let everyone = mask & self.warp.live == self.warp.active && self.warp.splits.is_empty();
        if everyone && (members & crate::exec::slot::SCALAR != 0 || self.same_everywhere(members, mask)) {
            return Ok(());
        }
        self.gather(inst, members, plain)
    }

    fn same_everywhere(&self, operand: u32, value: u32) -> bool {
        let all: [u32; 32] = self.vector(operand);
        let active = self.warp.active;
        let mut different = 0;
        for (l, v) in all.iter().enumerate() {
            different |= if active >> l & 1 != 0 { v ^ value } else { 0 };
        }
        different == 0
    }

    #[cold]
    fn gather(&mut self, inst: &Inst, members: u32, plain: bool) -> Result<(), *const Inst> {
        let pc = self.pc_of(inst);
        let mut arrived = self.warp.active;
        self.warp.splits.retain(|s| {
            let here = s.pc == pc && matches!(s.wait, Wait::Ready | Wait::Lanes { .. });
            if here {
                arrived |= s.mask;
            }
            !here
        });
        self.warp.active = arrived;
        let mut missing = 0;
        for lane in (0..32).filter(|l| arrived >> l & 1 != 0) {
            let mask: u32 = self.lane(members, lane);
            if mask >> lane & 1 == 0 {
                let why = format!("lane {lane} executes it but its member mask {mask:#010x} does not name that lane");
                self.fault(inst, lane as u32, FaultKind::Barrier(why));
                return Err(std::ptr::null());
            }
            missing |= mask & self.warp.live & !arrived;
        }
        if missing == 0 {
            // Absorbing may have taken the lanes that stood lowest.
            self.warp.join = self
                .warp
                .splits
                .iter()
                .filter(|s| s.wait == Wait::Ready && s.pc > pc)
                .map(|s| s.pc)
                .min()
                .unwrap_or(u32::MAX);
            return Ok(());
        }
        let mask: u32 = self.lane(members, arrived.trailing_zeros() as usize);
        self.park(pc, Wait::Lanes { members: mask, plain });
        Err(self.pick(0))
    }

    /// Lets lanes that wait at different `bar.warp.sync` for each other go on. True if any could.
    pub fn release_warp_barriers(&mut self) -> bool {
        let plain: Vec<Split> =
            self.warp.splits.iter().filter(|s| matches!(s.wait, Wait::Lanes { plain: true, .. })).copied().collect();
        let mut released = false;
        for split in &plain {
            let Wait::Lanes { members, .. } = split.wait else { continue };
            let together = plain.iter().filter(|s| s.wait == split.wait).fold(0, |all, s| all | s.mask);
            if members & self.warp.live & !together == 0 {
                for s in &mut self.warp.splits {
                    if s.wait == split.wait {
                        s.wait = Wait::Ready;
                        s.pc += 1;
                        released = true;
                    }
                }
            }
        }
        released
    }
}
