//! What is said of a kernel that cannot go on.

use super::Cluster;
use crate::fault::{Fault, FaultKind};
use crate::vm::split::Wait;

/// Warps that are named, with what they wait for.
const NAMED: usize = 16;

impl Cluster<'_> {
    /// `%tid` of a lane of warp `index`.
    pub(super) fn thread(&self, index: u32, lane: u32) -> [u32; 3] {
        let [x, y, _] = self.launch.config.block;
        let t = index % self.block_warps * 32 + (lane & 31);
        [t % x, t / x % y, t / x / y]
    }

    pub(super) fn deadlock(&mut self) -> Fault {
        let mut reasons = Vec::new();
        let mut first = None;
        for w in 0..self.warps {
            for split in self.worker.splits(w) {
                let behind = matches!(split.wait, Wait::Barrier { .. } | Wait::Cluster | Wait::Grids);
                let pc = split.pc.saturating_sub(u32::from(behind));
                let (line, ..) = self.code.place(pc as usize);
                let what = match split.wait {
                    Wait::Barrier { number, .. } => format!("at barrier {number}"),
                    Wait::Lanes { members, .. } => format!("for the lanes of mask {members:#010x}"),
                    Wait::All => "for the rest of the warp".to_owned(),
                    Wait::Ready => "ready".to_owned(),
                    Wait::Phase { place, .. } => {
                        let ctx = &self.worker.ctx;
                        let offset = place - ctx.cluster_shared as usize;
                        let at = offset % ctx.shared_stride.max(1) as usize;
                        format!("for the mbarrier at shared address {at:#x}: {}", ctx.mbarriers.describe(place))
                    }
                    Wait::Cluster => "at the barrier of the cluster".to_owned(),
                    Wait::Grids => "for the grids that this one depends on".to_owned(),
                };
                first.get_or_insert((w, split.mask.trailing_zeros(), pc));
                if reasons.len() < NAMED {
                    reasons.push(format!("{} lanes {:#010x} wait {what} (line {line})", self.warp_name(w), split.mask));
                } else if reasons.len() == NAMED {
                    reasons.push("and others".to_owned());
                }
            }
        }
        let gone: u32 = (0..self.warps).filter(|&w| self.worker.warp(w).live == 0).count() as u32;
        if gone > 0 {
            reasons.push(format!("{gone} of {} warps have ended", self.warps));
        }
        let (warp, lane, pc) = first.unwrap_or((0, 0, 0));
        self.fault(FaultKind::Barrier(reasons.join("; ")), warp, lane, pc)
    }

    fn warp_name(&self, index: u32) -> String {
        let warp = index % self.block_warps;
        if self.blocks.len() == 1 {
            format!("warp {warp}")
        } else {
            format!("block {} warp {warp}", index / self.block_warps)
        }
    }

    pub(super) fn fault(&self, kind: FaultKind, warp: u32, lane: u32, pc: u32) -> Fault {
        let (ptx_line, ptx_text, source) = self.code.place(pc as usize);
        Fault {
            kind,
            kernel: self.launch.kernel.name.clone(),
            ptx_line,
            ptx_text,
            source,
            block: self.blocks[(warp / self.block_warps) as usize],
            thread: self.thread(warp, lane),
        }
    }
}
