//! Clusters: addresses of other blocks' shared memory, and the barrier of the cluster.

use super::ctx::{Ctx, Event};
use super::map::{Exec, Step};
use super::memory::{RANK_SHIFT, SHARED_WINDOW, WINDOW};
use crate::code::Inst;
use crate::fault::FaultKind;

/// An address of this kind with its rank replaced, or taken.
fn split(address: u64, own: u32) -> (u64, u32) {
    let (window, at) = (address & WINDOW, address & !WINDOW);
    let rank = (at >> RANK_SHIFT) as u32;
    (window | at & ((1 << RANK_SHIFT) - 1), if rank == 0 { own } else { rank - 1 })
}

/// `mapa`. `a`: address, `b`: rank; `imm` bit 0: of 64 bits, bit 1: generic.
pub(crate) struct MapAddress;
impl Step for MapAddress {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let active = c.warp.active;
        for lane in (0..32).filter(|lane| active >> lane & 1 != 0) {
            let address: u64 = if i.imm & 1 != 0 { c.lane(i.a, lane) } else { u64::from(c.lane::<u32>(i.a, lane)) };
            let rank: u32 = c.lane(i.b, lane);
            if rank >= c.ranks {
                let why = format!("`mapa` to block {rank} of a cluster of {}", c.ranks);
                c.fault(i, lane as u32, FaultKind::Misuse(why));
                return std::ptr::null();
            }
            if i.imm & 2 != 0 && address & WINDOW != SHARED_WINDOW {
                let why = format!("`mapa` of {address:#x}, which is no generic address of shared memory");
                c.fault(i, lane as u32, FaultKind::Misuse(why));
                return std::ptr::null();
            }
            let mapped = split(address, 0).0 | u64::from(rank + 1) << RANK_SHIFT;
            if i.imm & 1 != 0 {
                c.set_lane(i.d, lane, mapped);
            } else {
                c.set_lane(i.d, lane, mapped as u32);
            }
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// `getctarank`. `a`: address; `imm` bit 0: of 64 bits.
pub(crate) struct AddressRank;
impl Exec for AddressRank {
    fn exec(c: &mut Ctx, i: &Inst) {
        let active = c.warp.active;
        for lane in (0..32).filter(|lane| active >> lane & 1 != 0) {
            let address: u64 = if i.imm & 1 != 0 { c.lane(i.a, lane) } else { u64::from(c.lane::<u32>(i.a, lane)) };
            let rank = split(address, c.rank).1;
            c.set_lane(i.d, lane, rank);
        }
    }
}

/// `barrier.cluster`. `imm`: 1 to wait.
pub(crate) struct ClusterBarrier;
impl Step for ClusterBarrier {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let pc = c.pc_of(i);
        c.stop(Event::Cluster { wait: i.imm == 1, pc })
    }
}
