//! `mbarrier`: a phase, arrivals to come in it and in later ones, and bytes to come.

use super::ctx::{Ctx, each_active};
use super::map::Step;
use super::memory::{peek, poke};
use super::split::Wait;
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
/// As [`TEST`]; the lanes sleep while it has not.
pub(crate) const TRY: u8 = 9;
/// As [`TEST_PARITY`]; the lanes sleep while it has not.
pub(crate) const TRY_PARITY: u8 = 10;
/// As [`ARRIVE`] and [`DROP`], which must not end the phase (`.noComplete`).
pub(crate) const ARRIVE_ONLY: u8 = 11;
pub(crate) const DROP_ONLY: u8 = 12;
/// Awaits `b` more bytes, arrives once, and is not awaited in later phases.
pub(crate) const DROP_EXPECT: u8 = 13;

/// Most arrivals, and most bytes, D (PTX ISA, "mbarrier object contents").
pub(crate) const MOST: u32 = (1 << 20) - 1;

/// Tests that find nothing before a lane sleeps as in `try_wait`.
const TESTS: u32 = 256;

/// What an `mbarrier` object holds: 20 bits of arrivals to come, 20 of those in the next phase, 21 of bytes
/// to come, and the parity of the phase.
#[derive(Debug, Clone, Copy)]
struct Object {
    pending: u32,
    expected: u32,
    bytes: i32,
    phase: u64,
}

impl Object {
    fn word(self) -> u64 {
        let bytes = u64::from(self.bytes as u32 & 0x1f_ffff);
        u64::from(self.pending) | u64::from(self.expected) << 20 | bytes << 40 | (self.phase & 1) << 62
    }

    /// The state that an arrival gives: the arrivals to come, as `mbarrier.pending_count` finds them, and the phase.
    fn state(self) -> u64 {
        u64::from(self.pending) | self.phase << 20
    }

    /// Ends the phase if nothing more is to come.
    fn settle(&mut self) -> bool {
        let ends = self.pending == 0 && self.bytes == 0;
        if ends {
            self.pending = self.expected;
            self.phase += 1;
        }
        ends
    }

    fn change_bytes(&mut self, by: i64) -> Result<(), String> {
        let bytes = i64::from(self.bytes) + by;
        if bytes.unsigned_abs() > u64::from(MOST) {
            return Err(format!("{bytes} bytes to come are more than {MOST} either way"));
        }
        self.bytes = bytes as i32;
        Ok(())
    }
}

/// The mbarrier objects of a cluster: those that `mbarrier.init` has made, in order of their places.
#[derive(Default)]
pub(crate) struct Mbarriers(Vec<(usize, Object)>);

impl Mbarriers {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn find(&self, place: *const u8) -> Result<usize, usize> {
        self.0.binary_search_by_key(&(place as usize), |&(at, _)| at)
    }

    fn get(&self, place: *const u8) -> Result<Object, String> {
        let Ok(n) = self.find(place) else { return Err("no `mbarrier.init` has made one there".to_owned()) };
        let object = self.0[n].1;
        if peek::<u64>(place) != object.word() {
            return Err("its memory has been written by something else since".to_owned());
        }
        Ok(object)
    }

    fn put(&mut self, place: *mut u8, object: Object) {
        poke(place, object.word());
        match self.find(place) {
            Ok(n) => self.0[n].1 = object,
            Err(n) => self.0.insert(n, (place as usize, object)),
        }
    }

    fn remove(&mut self, place: *const u8) {
        if let Ok(n) = self.find(place) {
            self.0.remove(n);
        }
    }

    /// Whether the phase that lanes sleep for has ended; also if the object has gone.
    pub fn ended(&self, place: usize, phase: u64) -> bool {
        self.0.binary_search_by_key(&place, |&(at, _)| at).map_or(true, |n| self.0[n].1.phase != phase)
    }

    /// What the phase waits for.
    pub fn describe(&self, place: usize) -> String {
        match self.0.binary_search_by_key(&place, |&(at, _)| at) {
            Ok(n) => {
                let Object { pending, expected, bytes, phase } = self.0[n].1;
                format!("phase {phase} awaits {pending} of {expected} arrivals and {bytes} bytes")
            }
            Err(_) => "it has been invalidated".to_owned(),
        }
    }

    /// `bytes` bytes have come.
    pub fn complete(&mut self, place: *mut u8, bytes: u32) -> Result<(), String> {
        let mut object = self.get(place)?;
        object.change_bytes(-i64::from(bytes))?;
        object.settle();
        self.put(place, object);
        Ok(())
    }
}

/// What one lane's operation comes to.
enum Outcome {
    /// The state before it, for an arrival.
    Done(u64),
    Found(bool),
    /// The lane sleeps until this phase ends.
    Sleep(u64),
}

/// One operation on the object at address `a`, offset `imm`, site `b`. List at `c`: destination (a state,
/// or 1 and 0 of a test), operand `b`. `d`: 1 when there is no destination.
pub(crate) struct Mbarrier<const OP: u8, const SPACE: u8, const WIDE: bool>;

impl<const OP: u8, const SPACE: u8, const WIDE: bool> Mbarrier<OP, SPACE, WIDE> {
    fn lane(c: &mut Ctx, place: *mut u8, operand: u64, woken: bool) -> Result<Outcome, String> {
        let count = operand as u32;
        let counts = matches!(OP, INIT | ARRIVE | DROP | ARRIVE_ONLY | DROP_ONLY);
        let tests = matches!(OP, TEST | TEST_PARITY | TRY | TRY_PARITY);
        if !tests && OP != INVALIDATE && !(u32::from(counts)..=MOST).contains(&count) {
            return Err(format!("a count of {count} is not from {} to {MOST}", u32::from(counts)));
        }
        if OP == INIT {
            if let Ok(old) = c.mbarriers.get(place)
                && old.bytes != 0
            {
                return Err(format!("it is made anew while {} bytes are to come", old.bytes));
            }
            c.mbarriers.put(place, Object { pending: count, expected: count, bytes: 0, phase: 0 });
            return Ok(Outcome::Done(0));
        }
        let mut object = c.mbarriers.get(place)?;
        let before = object;
        if OP == INVALIDATE {
            c.mbarriers.remove(place);
            return Ok(Outcome::Done(0));
        }
        if tests {
            let behind = match OP {
                TEST | TRY => {
                    let phase = operand >> 20;
                    if phase != object.phase && phase + 1 != object.phase {
                        return Err(format!("a state of phase {phase} is tested in phase {}", object.phase));
                    }
                    phase != object.phase
                }
                _ => object.phase & 1 != operand & 1,
            };
            let patient = matches!(OP, TRY | TRY_PARITY);
            if !behind && !patient {
                c.warp.tests += 1;
                // Others get a turn soon.
                c.fuel = 1;
            } else {
                c.warp.tests = 0;
            }
            if behind || woken || (!patient && c.warp.tests < TESTS) {
                return Ok(Outcome::Found(behind));
            }
            return Ok(Outcome::Sleep(object.phase));
        }
        let arrivals = match OP {
            ARRIVE | DROP | ARRIVE_ONLY | DROP_ONLY => count,
            ARRIVE_EXPECT | DROP_EXPECT => 1,
            _ => 0,
        };
        match OP {
            EXPECT | ARRIVE_EXPECT | DROP_EXPECT => object.change_bytes(i64::from(count))?,
            COMPLETE => object.change_bytes(-i64::from(count))?,
            _ => {}
        }
        if arrivals > object.pending {
            return Err(format!("{arrivals} arrivals where {} are to come", object.pending));
        }
        object.pending -= arrivals;
        if matches!(OP, DROP | DROP_ONLY | DROP_EXPECT) {
            object.expected = object.expected.saturating_sub(arrivals);
        }
        if OP != EXPECT && object.settle() && matches!(OP, ARRIVE_ONLY | DROP_ONLY) {
            return Err("an arrival with `.noComplete` ends the phase".to_owned());
        }
        c.mbarriers.put(place, object);
        Ok(Outcome::Done(before.state()))
    }
}

impl<const OP: u8, const SPACE: u8, const WIDE: bool> Step for Mbarrier<OP, SPACE, WIDE> {
    fn step(c: &mut Ctx, i: &Inst) -> *const Inst {
        let Some(spread) = c.reach_apart::<SPACE, WIDE>(i, i.a, i.imm, i.b, 8, true) else {
            return std::ptr::null();
        };
        let (d, b) = (c.extra(i.c, 0), c.extra(i.c, 1));
        let mut wrong = None;
        let mut asleep: Vec<(u32, usize, u64)> = Vec::new();
        let woken = std::mem::take(&mut c.warp.woken);
        // One thread runs all of a cluster: its shared memory needs no lock.
        each_active(c, |c, l| {
            if wrong.is_some() {
                return;
            }
            let place = spread.at(l, 8);
            let operand: u64 = match OP {
                INVALIDATE => 0,
                TEST | TRY => c.lane(b, l),
                _ => u64::from(c.lane::<u32>(b, l)),
            };
            match Self::lane(c, place, operand, woken >> l & 1 != 0) {
                Ok(Outcome::Done(state)) if i.d == 0 => c.set_lane(d, l, state),
                Ok(Outcome::Done(_)) => {}
                Ok(Outcome::Found(behind)) => c.set_lane(d, l, u32::from(behind)),
                Ok(Outcome::Sleep(phase)) => asleep.push((1 << l, place as usize, phase)),
                Err(why) => wrong = Some((l, why)),
            }
        });
        if let Some((lane, why)) = wrong {
            let address = c.addresses::<WIDE>(i.a, i.imm)[lane];
            c.fault(i, lane as u32, FaultKind::Misuse(format!("mbarrier at shared address {address:#x}: {why}")));
            return std::ptr::null();
        }
        if asleep.is_empty() {
            return std::ptr::from_ref(i).wrapping_add(1);
        }
        // The lanes that sleep come here again; the others go on.
        let (pc, active) = (c.pc_of(i), c.warp.active);
        let resting = asleep.iter().fold(0, |all, (lane, ..)| all | lane);
        for (lane, place, phase) in asleep {
            c.warp.active = lane;
            c.park(pc, Wait::Phase { place, phase });
        }
        c.warp.active = active & !resting;
        c.park(pc + 1, Wait::Ready);
        c.pick()
    }
}
