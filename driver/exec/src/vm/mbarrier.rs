//! `mbarrier`: a phase, arrivals to come in it and in later ones, and bytes to come.

use super::ctx::{Ctx, each_active};
use super::map::Step;
use super::memory::{peek, poke};
use crate::code::Inst;
use crate::fault::FaultKind;

pub(crate) const INIT: u8 = 0;
pub(crate) const INVALIDATE: u8 = 1;
/// Arrives `b` times.
pub(crate) const ARRIVE: u8 = 2;
/// Arrives `b` times, and is not awaited in later phases.
pub(crate) const DROP: u8 = 3;
/// Awaits `b` more bytes.
pub(crate) const EXPECT: u8 = 4;
/// Awaits `b` more bytes and arrives once.
pub(crate) const ARRIVE_EXPECT: u8 = 5;
/// `b` bytes have come.
pub(crate) const COMPLETE: u8 = 6;
/// Whether the phase of state `b` has ended.
pub(crate) const TEST: u8 = 7;
/// Whether a phase of parity `b` has ended.
pub(crate) const TEST_PARITY: u8 = 8;

/// Most arrivals, D (PTX ISA, "mbarrier object contents").
pub(crate) const MOST: u32 = (1 << 20) - 1;

/// An `mbarrier` object: 20 bits of arrivals to come, 20 of those in the next phase, 21 of bytes to
/// come, and the parity of the phase.
#[derive(Clone, Copy)]
struct Object(u64);

impl Object {
    fn new(pending: u32, expected: u32, bytes: i32, phase: bool) -> Self {
        let bytes = u64::from(bytes as u32 & 0x1f_ffff);
        Self(u64::from(pending) | u64::from(expected) << 20 | bytes << 40 | u64::from(phase) << 62)
    }
    fn pending(self) -> u32 {
        pending(self.0)
    }
    fn expected(self) -> u32 {
        (self.0 >> 20) as u32 & MOST
    }
    fn bytes(self) -> i32 {
        ((self.0 >> 40) as i32) << 11 >> 11
    }
    fn phase(self) -> bool {
        self.0 >> 62 & 1 != 0
    }

    /// Ends the phase if nothing more is to come.
    fn settled(pending: u32, expected: u32, bytes: i32, phase: bool) -> Self {
        if pending == 0 && bytes == 0 {
            Self::new(expected, expected, 0, !phase)
        } else {
            Self::new(pending, expected, bytes, phase)
        }
    }
}

/// `mbarrier.pending_count` of a state.
pub(crate) fn pending(state: u64) -> u32 {
    state as u32 & MOST
}

/// One operation on the object at address `a`, offset `imm`, site `b`. List at `c`: destination (a state,
/// or 1 and 0 of a test), operand `b`. `d`: 1 when there is no destination.
pub(crate) struct Mbarrier<const OP: u8, const SPACE: u8, const WIDE: bool>;

impl<const OP: u8, const SPACE: u8, const WIDE: bool> Step for Mbarrier<OP, SPACE, WIDE> {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let Some(spread) = c.reach_apart::<SPACE, WIDE>(i, i.a, i.imm, i.b, 8, true) else {
            return std::ptr::null();
        };
        let (d, b) = (c.extra(i.c, 0), c.extra(i.c, 1));
        let mut wrong = None;
        // One thread runs all of a block: its shared memory needs no lock.
        each_active(c, |c, l| {
            let place = spread.at(l, 8);
            let old = Object(peek(place));
            let (pending, expected, bytes, phase) = (old.pending(), old.expected(), old.bytes(), old.phase());
            if OP == TEST {
                let state: u64 = c.lane(b, l);
                return c.set_lane(d, l, u32::from(Object(state).phase() != phase));
            }
            let operand: u32 = if OP == INVALIDATE { 0 } else { c.lane(b, l) };
            let most = if matches!(OP, INIT | ARRIVE | DROP) { 1..=MOST } else { 0..=MOST };
            let arrivals = match OP {
                ARRIVE | DROP => operand,
                ARRIVE_EXPECT => 1,
                _ => 0,
            };
            if OP != TEST_PARITY && OP != INVALIDATE && !most.contains(&operand) {
                wrong.get_or_insert((l, format!("a count of {operand} is not from {} to {MOST}", most.start())));
                return;
            }
            if arrivals > pending {
                wrong.get_or_insert((l, format!("{arrivals} arrivals where {pending} are to come")));
                return;
            }
            let new = match OP {
                INIT => Object::new(operand, operand, 0, false),
                INVALIDATE => Object(0),
                DROP => Object::settled(pending - arrivals, expected.saturating_sub(arrivals), bytes, phase),
                EXPECT => Object::new(pending, expected, bytes + operand as i32, phase),
                ARRIVE_EXPECT => Object::settled(pending - 1, expected, bytes + operand as i32, phase),
                COMPLETE => Object::settled(pending, expected, bytes - operand as i32, phase),
                ARRIVE => Object::settled(pending - arrivals, expected, bytes, phase),
                _ => old,
            };
            poke(place, new.0);
            if OP == TEST_PARITY {
                c.set_lane(d, l, u32::from(u32::from(phase) != operand & 1));
            } else if i.d == 0 {
                c.set_lane(d, l, old.0);
            }
        });
        if let Some((lane, why)) = wrong {
            c.fault(i, lane as u32, FaultKind::Barrier(format!("mbarrier: {why}")));
            return std::ptr::null();
        }
        std::ptr::from_ref(i).wrapping_add(1)
    }
}
