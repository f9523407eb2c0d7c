//! Branches, guards, exits and barriers of the block.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use super::ctx::{Arrival, Ctx, Event};
use super::map::{Exec, Step, onward};
use super::split::Wait;
use crate::code::Inst;
use crate::fault::FaultKind;

impl Ctx {
    /// Counts the PTX instructions of the basic block that ends here.
    #[inline(always)]
    fn count(&mut self, instructions: u32) {
        self.warp_instructions += u64::from(instructions);
        self.lane_instructions += u64::from(instructions) * u64::from(self.warp.active.count_ones());
    }

    /// All active lanes go to `target`.
    #[inline(always)]
    fn go(&mut self, inst: &Inst, target: u32) -> *const Inst {
        let to = self.at(target);
        if to <= std::ptr::from_ref(inst) {
            self.fuel -= 1;
            if self.fuel == 0 {
                return self.tired(target);
            }
        }
        if target >= self.warp.join { self.reschedule(target) } else { to }
    }

    /// The active lanes go on to `next`, at `pc`.
    #[inline(always)]
    fn fall(&mut self, next: *const Inst, pc: u32) -> *const Inst {
        if pc >= self.warp.join {
            return self.reschedule(pc);
        }
        // SAFETY: no code ends with an instruction that goes on behind itself. What comes next is called here and not by
        // `Step::ONWARD`, for which the other ways would have to come back.
        unsafe { onward(self, next) }
    }

    #[cold]
    #[inline(never)]
    fn tired(&mut self, target: u32) -> *const Inst {
        self.rotate();
        self.park(target, Wait::Ready);
        self.stop(Event::Yield)
    }

    /// Some of the active lanes go where `inst` leads, the rest to `here`.
    #[inline(never)]
    fn part(&mut self, inst: &Inst, going: u32, here: u32) -> *const Inst {
        let there = inst.imm as u32;
        if self.at(there) <= std::ptr::from_ref(inst) {
            self.fuel -= 1;
            if self.fuel == 0 {
                self.warp.active &= !going;
                self.park(here, Wait::Ready);
                self.warp.active = going;
                return self.tired(there);
            }
        }
        self.diverge(going, there, here)
    }
}

/// `bra` to `imm`. `c`: instructions of the block.
pub(crate) struct Jump;
impl Step for Jump {
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        c.count(i.c);
        c.go(i, i.imm as u32)
    }
}

/// `@a bra` to `imm`; bit 32 of `imm`: negated.
pub(crate) struct Branch;
impl Step for Branch {
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        c.count(i.c);
        let flip = ((i.imm >> 32) as u32 & 1).wrapping_neg();
        let active = c.warp.active;
        let going = (c.predicate(i.a) ^ flip) & active;
        if going == active {
            return c.go(i, i.imm as u32);
        }
        let next = std::ptr::from_ref(i).wrapping_add(1);
        let here = c.pc_of(next);
        if going == 0 {
            return c.fall(next, here);
        }
        c.part(i, going, here)
    }
}

/// Falls into the next block, where other lanes may stand.
pub(crate) struct Fall;
impl Step for Fall {
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        c.count(i.c);
        let next = std::ptr::from_ref(i).wrapping_add(1);
        let pc = c.pc_of(next);
        c.fall(next, pc)
    }
}

/// Where diverged lanes wait until all live ones have come.
pub(crate) struct Meet;
impl Step for Meet {
    const ONWARD: bool = true;
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let next = std::ptr::from_ref(i).wrapping_add(1);
        if c.warp.splits.is_empty() {
            return next;
        }
        let pc = c.pc_of(next);
        c.park(pc, Wait::All);
        c.pick()
    }
}

/// `brx.idx`: register `a` is an index into the list at `b`, which has `d` targets.
pub(crate) struct Table;
impl Step for Table {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        c.count(i.c);
        let active = c.warp.active;
        for lane in (0..32).filter(|l| active >> l & 1 != 0) {
            let index: u32 = c.lane(i.a, lane);
            if index >= i.d {
                let why = format!("branch index {index} is outside the table of {} targets", i.d);
                c.fault(i, lane as u32, FaultKind::Barrier(why));
                return std::ptr::null();
            }
            c.warp.active = 1 << lane;
            let target = c.extra(i.b, index as usize);
            c.park(target, Wait::Ready);
        }
        // Any target may lie behind.
        c.fuel -= 1;
        if c.fuel == 0 {
            c.rotate();
            return c.stop(Event::Yield);
        }
        c.pick()
    }
}

/// `exit`, and `ret` of a kernel.
pub(crate) struct Exit;
impl Step for Exit {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        c.count(i.c);
        c.exit()
    }
}

/// `trap`.
pub(crate) struct Trap;
impl Step for Trap {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let lane = c.warp.active.trailing_zeros();
        c.fault(i, lane, FaultKind::Trap);
        std::ptr::null()
    }
}

/// Before a guarded instruction: only lanes with predicate `a` (bit 0 of `imm`: without) stay
/// active; if none is, the instruction and its [`Unguard`] are skipped (`imm >> 32` places).
pub(crate) struct Guard;
impl Step for Guard {
    const ONWARD: bool = true;
    #[inline(always)]
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let flip = (i.imm as u32 & 1).wrapping_neg();
        let kept = (c.predicate(i.a) ^ flip) & c.warp.active;
        if kept == 0 {
            return std::ptr::from_ref(i).wrapping_add((i.imm >> 32) as usize);
        }
        c.warp.unguarded = c.warp.active;
        c.warp.active = kept;
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// After a guarded instruction.
pub(crate) struct Unguard;
impl Exec for Unguard {
    #[inline(always)]
    fn exec(c: &mut Ctx, _: &Inst) {
        c.warp.active = c.warp.unguarded;
    }
}

/// `bar`/`barrier`. `a`: barrier; `b`: threads; mode bit 0: there is a thread count, bit 1: arrive
/// only, bit 2: `red` with predicate `d`, bit 3: the predicate is negated, bit 4: aligned.
pub(crate) struct Barrier;
impl Step for Barrier {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let lane = c.warp.active.trailing_zeros() as usize;
        let barrier: u32 = c.lane(i.a, lane);
        let threads: u32 = if i.imm & 1 != 0 { c.lane(i.b, lane) } else { 0 };
        if barrier > 15 || (i.imm & 1 != 0 && (threads == 0 || !threads.is_multiple_of(32))) {
            let why = if barrier > 15 {
                format!("there is no barrier {barrier}")
            } else {
                format!("{threads} threads is not a multiple of the warp size")
            };
            c.fault(i, lane as u32, FaultKind::Barrier(why));
            return std::ptr::null();
        }
        let votes = if i.imm & 4 != 0 { c.predicate(i.d) ^ (i.imm as u32 >> 3 & 1).wrapping_neg() } else { 0 };
        let pc = c.pc_of(i);
        c.stop(Event::Barrier(Arrival {
            barrier,
            threads,
            passing: i.imm & 2 != 0,
            aligned: i.imm & 16 != 0,
            votes,
            pc,
        }))
    }
}

/// `cudaGraphSetConditional`: the handle at local offset `imm`, the value at `imm >> 32`. Where
/// lanes set one value at once, which CUDA leaves undefined, the highest lane is last.
pub(crate) struct SetConditional;
impl Step for SetConditional {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let active = c.warp.active;
        for lane in (0..32).filter(|lane| active >> lane & 1 != 0) {
            let local = c.local_of(lane);
            // SAFETY: the decoder has placed both in the lane's local memory, and aligned them.
            let (handle, value) = unsafe {
                let argument = |at: u64| local.add(at as u32 as usize);
                (argument(i.imm).cast::<u64>().read_unaligned(), argument(i.imm >> 32).cast::<u32>().read_unaligned())
            };
            // SAFETY: they are valid for as long as the launch runs.
            let conditionals = unsafe { &*c.conditionals };
            let Some(found) = conditionals.iter().find(|conditional| conditional.handle == handle) else {
                let outside = conditionals.is_empty();
                c.fault(i, lane as u32, FaultKind::Conditional { handle, outside });
                return std::ptr::null();
            };
            found.value.store(value, Ordering::Release);
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}

/// A call of address `a`, which is none of the functions that may be called so.
pub(crate) struct LostCall;
impl Step for LostCall {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let lane = c.warp.active.trailing_zeros();
        let address: u64 = c.lane(i.a, lane as usize);
        c.fault(i, lane, FaultKind::Call { address });
        std::ptr::null()
    }
}

/// Nothing: hints, and the instruction that stands for a call.
pub(crate) struct Nothing;
impl Exec for Nothing {
    fn exec(_: &mut Ctx, _: &Inst) {}
}

/// `membar` and `fence` of every kind.
pub(crate) struct Fence;
impl Exec for Fence {
    fn exec(_: &mut Ctx, _: &Inst) {
        std::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// `fence.proxy.async`, which also lets asynchronous instructions see shared memory as it is.
pub(crate) struct FenceProxy;
impl Exec for FenceProxy {
    fn exec(c: &mut Ctx, _: &Inst) {
        c.flights.proxy.fence();
        std::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// Clocks of a multiprocessor in a millisecond, which is the clock rate of the device in kHz.
pub(crate) const CLOCK_KHZ: u32 = 1_000_000;

/// Host time since some start: clocks of the multiprocessor, and nanoseconds since 1970.
fn time() -> (u64, u64) {
    static START: LazyLock<(Instant, u128)> = LazyLock::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        (Instant::now(), since.map_or(0, |since| since.as_nanos()))
    });
    let (start, epoch) = *START;
    let elapsed = start.elapsed().as_nanos();
    ((elapsed * u128::from(CLOCK_KHZ) / 1_000_000) as u64, (epoch + elapsed) as u64)
}

/// `%clock`, `%clock64`, `%globaltimer` and their halves, by mode (0 clock, 1 its high half,
/// 2 clock64, 3 globaltimer, 4 and 5 its halves). All tell the host's time, as events do.
pub(crate) struct Clock;
impl Exec for Clock {
    fn exec(c: &mut Ctx, i: &Inst) {
        let (clock, nanoseconds) = time();
        let now = if i.imm <= 2 { clock } else { nanoseconds };
        match i.imm {
            2 | 3 => c.set_lanes(i.d, [now; 32]),
            1 | 5 => c.set_lanes(i.d, [(now >> 32) as u32; 32]),
            _ => c.set_lanes(i.d, [now as u32; 32]),
        }
    }
}

/// After `bar.red`: the result of barrier `a`. Mode: 0 count, 1 all, 2 any.
pub(crate) struct BarrierResult;
impl Exec for BarrierResult {
    fn exec(c: &mut Ctx, i: &Inst) {
        let lane = c.warp.active.trailing_zeros() as usize;
        let barrier: u32 = c.lane(i.a, lane);
        let (yes, all) = c.barrier_votes[c.rank as usize][barrier as usize & 15];
        match i.imm {
            0 => c.set_lanes(i.d, [yes; 32]),
            1 => c.set_predicate(i.d, if yes == all { u32::MAX } else { 0 }),
            _ => c.set_predicate(i.d, if yes != 0 { u32::MAX } else { 0 }),
        }
    }
}
