//! How a block leaves the code in which diverged lanes wait for each other.
//!
//! Code that keeps one value for a warp needs its lanes to meet again where their ways do. A GPU
//! promises less: a lane may wait, at a barrier, for lanes that stand at such a meeting. When a
//! block can go on in no other way, it changes over to [`Kernel::plain`](super::program::Kernel),
//! the same operations without meetings, in the middle of its run: each lane's registers move to
//! where the other code keeps them.

use super::slot::{RegisterFile, RegisterSlot};
use super::vm::ctx::Warp;
use super::vm::split::Wait;

/// The change from one code of a kernel to the other.
#[derive(Debug)]
pub(crate) struct Parting {
    /// Instructions of the first code at which an operation begins, or what it does itself, ascending, and those of
    /// the other. The codes are of the same operations, which need not take as many instructions.
    pub places: Vec<(u32, u32)>,
    pub moves: Vec<Move>,
}

/// A register's places in both codes.
#[derive(Debug)]
pub(crate) struct Move {
    pub from: RegisterSlot,
    pub to: RegisterSlot,
    /// Instructions of the other code, first and last, before which it is there.
    pub live: (u32, u32),
}

impl Parting {
    /// Where lanes that stand at `pc` of the first code stand in the other.
    fn place(&self, pc: u32) -> u32 {
        let behind = self.places.partition_point(|&(from, _)| from <= pc);
        // Between the two lanes stand that have met: they are about to begin.
        self.places[..behind].last().map_or(pc, |&(_, to)| to)
    }

    /// Moves a warp that is not running to `to`, the registers of the other code.
    pub fn part(&self, warp: &mut Warp, from: &RegisterFile, to: &mut RegisterFile) {
        for split in &mut warp.splits {
            split.pc = self.place(split.pc);
            if split.wait == Wait::All {
                split.wait = Wait::Ready;
            }
            for m in self.moves.iter().filter(|m| m.live.0 <= split.pc && split.pc <= m.live.1) {
                to.take(m.to, from, m.from, split.mask);
            }
        }
        warp.join = u32::MAX;
    }
}
