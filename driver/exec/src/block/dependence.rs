//! A cluster of a grid that runs in parts: up to where dependent grids may begin, or up to where it waits for the
//! grids that it depends on itself.

use super::{Cluster, WAKINGS};
use crate::vm::dependence::Dependence;
use crate::vm::split::Wait;

/// How far a cluster is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// To its end.
    Whole,
    /// Until each of its blocks has let dependent grids begin, or has ended.
    UntilTriggered,
    /// As far as it comes while the grids that it depends on are in flight.
    UntilWait,
}

impl Cluster<'_> {
    /// From here on it runs as far as `part` says.
    pub(super) fn enter_part(&mut self, part: Part) {
        if part == self.part {
            return;
        }
        self.part = part;
        let triggered = self.worker.ctx.dependence.triggered;
        let (waits, tells) = (part == Part::UntilWait, part != Part::Whole);
        self.worker.ctx.dependence = Dependence { waits, tells, triggered };
        if waits {
            return;
        }
        // The grids that it waited for have ended.
        for index in 0..self.warps {
            for split in self.worker.warp(index).splits.iter_mut().filter(|split| split.wait == Wait::Grids) {
                split.wait = Wait::Ready;
                self.wakings = WAKINGS;
            }
        }
    }

    /// Whether each of its blocks has let dependent grids begin, or has ended.
    pub fn has_triggered(&self) -> bool {
        let ctx = &self.worker.ctx;
        let all = u32::MAX >> (32 - self.blocks.len() as u32);
        (ctx.dependence.triggered | ctx.ended) & all == all
    }

    pub(super) fn is_to_stop_behind_trigger(&self) -> bool {
        self.part == Part::UntilTriggered && self.worker.ctx.dependence.triggered != 0 && self.has_triggered()
    }

    /// What a turn that it has used up counts where blocks may be waiting for one that is held: little where it computes
    /// and says that it may be waiting; a turn is long where it does not say so.
    pub fn weight(&self) -> u64 {
        match (self.code.polls, self.idles) {
            (true, false) => 1,
            (true, true) => 1 << 5,
            (false, _) => 1 << 10,
        }
    }

    /// Whether some of its threads wait for the grids that it depends on.
    pub(super) fn waits_for_grids(&self) -> bool {
        self.part == Part::UntilWait && self.any_waits(|wait| wait == Wait::Grids)
    }

    /// Whether some of its threads sleep for a phase of an mbarrier.
    pub(super) fn sleeps(&self) -> bool {
        self.any_waits(|wait| matches!(wait, Wait::Phase { .. }))
    }

    fn any_waits(&self, so: impl Fn(Wait) -> bool) -> bool {
        (0..self.warps).any(|index| self.worker.splits(index).iter().any(|split| so(split.wait)))
    }
}
