//! Barriers of a block and of a cluster: who has come, and who may go on.

use super::{Cluster, WAKINGS};
use crate::fault::{Fault, FaultKind};
use crate::vm::ctx::Arrival;
use crate::vm::split::Wait;
use crate::worker::Worker;

/// A barrier of a block.
#[derive(Default, Clone)]
pub(super) struct Barrier {
    /// Threads it waits for; 0 for all.
    threads: u32,
    /// Threads that said yes.
    votes: u32,
}

/// The barrier of the cluster: lanes by warp.
#[derive(Default)]
pub(super) struct ClusterBarrier {
    /// That have arrived and are waited for.
    arrived: Vec<u32>,
    /// That have arrived at the phase before and have not waited for its end yet.
    behind: Vec<u32>,
}

impl Cluster<'_> {
    /// Notes the active lanes of the running warp at a barrier.
    pub(super) fn arrive(&mut self, index: u32, arrival: Arrival) -> Result<(), Fault> {
        if self.barriers.is_empty() {
            self.barriers = vec![Barrier::default(); 16 * self.blocks.len()];
            self.arrived = vec![0; self.barriers.len() * self.block_warps as usize];
            self.open = vec![0; self.blocks.len()];
        }
        let lanes = self.worker.ctx.warp.active;
        let (rank, own) = (index / self.block_warps, index % self.block_warps);
        let slot = (16 * rank + arrival.barrier) as usize;
        let barrier = &mut self.barriers[slot];
        if self.open[rank as usize] >> arrival.barrier & 1 != 0 && barrier.threads != arrival.threads {
            let count = |n: u32| if n == 0 { "all threads".to_owned() } else { format!("{n} threads") };
            let why = format!(
                "barrier {} is used for {} and for {} at once",
                arrival.barrier,
                count(barrier.threads),
                count(arrival.threads)
            );
            return Err(self.fault(FaultKind::Barrier(why), index, lanes.trailing_zeros(), arrival.pc));
        }
        barrier.threads = arrival.threads;
        self.open[rank as usize] |= 1 << arrival.barrier;
        self.arrived[slot * self.block_warps as usize + own as usize] |= lanes;
        barrier.votes += (arrival.votes & lanes).count_ones();
        if arrival.passing {
            self.worker.ctx.park(arrival.pc + 1, Wait::Ready);
        } else {
            self.worker.ctx.park_at_barrier(arrival.pc + 1, arrival.barrier, arrival.aligned);
        }
        Ok(())
    }

    /// The active lanes of the running warp arrive at the barrier of the cluster, or wait for it.
    pub(super) fn cluster_barrier(&mut self, index: u32, wait: bool, pc: u32) -> Result<(), Fault> {
        let ClusterBarrier { arrived, behind } = &mut self.cluster;
        arrived.resize(self.warps as usize, 0);
        behind.resize(self.warps as usize, 0);
        let (arrived, behind) = (&mut arrived[index as usize], &mut behind[index as usize]);
        let lanes = self.worker.ctx.warp.active;
        let wrong = if wait { lanes & !(*arrived | *behind) } else { lanes & (*arrived | *behind) };
        if wrong != 0 {
            let why = if wait {
                "`barrier.cluster.wait` of a thread that has not arrived"
            } else {
                "`barrier.cluster.arrive` of a thread that has arrived and not waited since"
            };
            return Err(self.fault(FaultKind::Misuse(why.to_owned()), index, wrong.trailing_zeros(), pc));
        }
        if !wait {
            *arrived |= lanes;
            self.worker.ctx.park(pc + 1, Wait::Ready);
            return Ok(());
        }
        let through = lanes & *behind;
        *behind &= !through;
        let ctx = &mut self.worker.ctx;
        ctx.warp.active = through;
        ctx.park(pc + 1, Wait::Ready);
        ctx.warp.active = lanes & !through;
        ctx.park(pc + 1, Wait::Cluster);
        Ok(())
    }

    /// Opens every barrier that all its threads have reached.
    pub(super) fn complete(&mut self) {
        self.complete_cluster();
        for rank in 0..self.open.len() {
            let mut left = self.open[rank];
            while left != 0 {
                let number = left.trailing_zeros();
                left &= left - 1;
                self.complete_barrier(rank as u32, number);
            }
        }
    }

    /// Opens a barrier of a block if all its threads have come.
    fn complete_barrier(&mut self, rank: u32, number: u32) {
        let (slot, first) = ((16 * rank + number) as usize, rank * self.block_warps);
        let arrived = slot * self.block_warps as usize..(slot + 1) * self.block_warps as usize;
        let wanted = self.barriers[slot].threads;
        let warps = (first..).zip(&self.arrived[arrived.clone()]);
        let mut lanes = warps.map(|(warp, &arrived)| (self.worker.warp(warp).live, arrived));
        let done = if wanted == 0 {
            lanes.all(|(live, arrived)| live & !arrived == 0)
        } else {
            // A warp counts whole once its last lane has come.
            let whole = |(live, arrived): (u32, u32)| arrived != 0 && live & !arrived == 0;
            lanes.map(|lanes| if whole(lanes) { 32 } else { lanes.1.count_ones() }).sum::<u32>() >= wanted
        };
        if !done {
            return;
        }
        let arrived = &mut self.arrived[arrived];
        let all = arrived.iter().map(|lanes| lanes.count_ones()).sum();
        arrived.fill(0);
        let votes = std::mem::take(&mut self.barriers[slot].votes);
        self.worker.ctx.barrier_votes[rank as usize][number as usize] = (votes, all);
        self.open[rank as usize] &= !(1 << number);
        self.wakings = WAKINGS;
        for w in first..first + self.block_warps {
            for split in &mut self.worker.warp(w).splits {
                if matches!(split.wait, Wait::Barrier { number: n, .. } if n == number) {
                    split.wait = Wait::Ready;
                }
            }
        }
    }

    /// Opens the barrier of the cluster once all threads that have not ended have arrived.
    fn complete_cluster(&mut self) {
        let ClusterBarrier { arrived, behind } = &mut self.cluster;
        if arrived.iter().all(|&lanes| lanes == 0) {
            return;
        }
        let worker = &mut *self.worker;
        let come = |w: u32, worker: &mut Worker| worker.warp(w).live & !arrived[w as usize] == 0;
        if !(0..self.warps).all(|w| come(w, worker)) {
            return;
        }
        self.wakings = WAKINGS;
        for w in 0..self.warps {
            let mut left = std::mem::take(&mut arrived[w as usize]);
            for split in &mut worker.warp(w).splits {
                if split.wait == Wait::Cluster {
                    left &= !split.mask;
                    split.wait = Wait::Ready;
                }
            }
            behind[w as usize] |= left;
        }
    }
}
