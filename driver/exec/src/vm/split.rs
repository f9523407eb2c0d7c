//! Divergence: lanes of a warp at different places.
//!
//! The lanes that stand at the lowest place run first, so that lanes which branched ahead are
//! caught up with at the place where the ways meet. No lane keeps another from running for good: a
//! warp that has run for a while gives the next turn to another lane ([`Ctx::rotate`]), and a
//! warp-synchronous instruction waits for the lanes that its mask names by letting the others run.

use super::ctx::{Ctx, Event, FULL, LANES};
use super::warp_ops::Exchange;
use crate::code::Inst;
use crate::fault::FaultKind;
use crate::slot::SCALAR;

/// A warp-synchronous instruction. Lanes meet at the same one, or at another with the same
/// qualifiers and members (PTX; an H200 exchanges their values too).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// `bar.warp.sync`.
    Barrier,
    /// One that exchanges values, with its qualifiers.
    Exchange(Exchange, u8),
    /// A matrix instruction, which all lanes execute at one place (`.aligned`).
    Matrix,
}

/// What some lanes wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Nothing.
    Ready,
    /// Other lanes of a warp-synchronous instruction.
    Lanes { members: u32, meeting: Meeting },
    /// A barrier of the block. `aligned`: it stands for one of the warp, too.
    Barrier { number: u32, aligned: bool },
    /// All live lanes of the warp.
    All,
    /// The end of a phase of the mbarrier at a place in the host's memory.
    Phase { place: usize, phase: u64 },
    /// The barrier of the cluster.
    Cluster,
    /// The end of the grids that this one depends on.
    Grids,
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

    /// Lets the ready lanes run that stand where the lane whose turn it is stands, else those at
    /// the lowest place.
    pub fn pick(&mut self) -> *const Inst {
        let (mut lowest, mut chosen) = (u32::MAX, u32::MAX);
        for split in self.warp.splits.iter().filter(|split| split.wait == Wait::Ready) {
            lowest = lowest.min(split.pc);
            if split.mask & self.warp.turn != 0 {
                chosen = split.pc;
            }
        }
        let pc = if chosen == u32::MAX { lowest } else { chosen };
        if pc == u32::MAX {
            self.warp.join = u32::MAX;
            if let [Split { pc, mask, wait: Wait::All }] = self.warp.splits[..] {
                self.warp.splits.clear();
                self.warp.active = mask;
                self.warp.turn = 0;
                return self.at(pc);
            }
            return self.stop(if self.warp.live == 0 { Event::Done } else { Event::Waiting });
        }
        let mut mask = 0;
        self.warp.splits.retain(|split| {
            let here = split.wait == Wait::Ready && split.pc == pc;
            mask |= if here { split.mask } else { 0 };
            !here
        });
        self.warp.active = mask;
        self.look_out(pc);
        self.at(pc)
    }

    /// Notes the lowest place above `pc` at which other lanes stand ready.
    fn look_out(&mut self, pc: u32) {
        let ready = self.warp.splits.iter().filter(|s| s.wait == Wait::Ready && s.pc > pc);
        self.warp.join = ready.map(|s| s.pc).min().unwrap_or(u32::MAX);
    }

    /// The lanes that are active have had their turn: the next one is another lane's, if one is
    /// ready, in the order of their numbers. So each ready lane gets a turn after at most 32.
    pub fn rotate(&mut self) {
        let ready = self.warp.splits.iter().filter(|s| s.wait == Wait::Ready).fold(0, |all, s| all | s.mask);
        let others = ready & !self.warp.active;
        // The lanes behind the one whose turn it was.
        let behind = others & !(self.warp.turn | self.warp.turn.wrapping_sub(1));
        let next = if self.warp.turn != 0 && behind != 0 { behind } else { others };
        self.warp.turn = next & next.wrapping_neg();
    }

    /// The active lanes have reached `pc`, where other lanes may stand.
    #[inline(never)]
    pub fn reschedule(&mut self, pc: u32) -> *const Inst {
        if let [Split { pc: at, mask, wait: Wait::Ready }] = self.warp.splits[..]
            && at == pc
            && self.warp.turn == 0
        {
            // As below, in the shape that most ways meet in.
            self.warp.splits.clear();
            self.warp.active |= mask;
            self.warp.join = u32::MAX;
            return self.at(pc);
        }
        self.park(pc, Wait::Ready);
        self.pick()
    }

    /// The active lanes part: some go to `there`, the rest to `here`.
    pub fn diverge(&mut self, going: u32, there: u32, here: u32) -> *const Inst {
        let staying = self.warp.active & !going;
        if self.warp.splits.is_empty() && self.warp.turn == 0 && there != here {
            // As below, in the shape that most ways part in.
            let [first, last] =
                if there < here { [(there, going), (here, staying)] } else { [(here, staying), (there, going)] };
            self.warp.splits.push(Split { pc: last.0, mask: last.1, wait: Wait::Ready });
            self.warp.active = first.1;
            self.warp.join = last.0;
            return self.at(first.0);
        }
        self.warp.active = going;
        self.park(there, Wait::Ready);
        self.warp.active = staying;
        self.park(here, Wait::Ready);
        self.pick()
    }

    /// The active lanes end. Lanes that waited for them look again.
    #[cold]
    pub fn exit(&mut self) -> *const Inst {
        self.warp.live &= !self.warp.active;
        self.warp.active = 0;
        self.look_again();
        self.pick()
    }

    /// Lets lanes that wait at a warp-synchronous instruction look once more who has come.
    fn look_again(&mut self) {
        for split in &mut self.warp.splits {
            if matches!(split.wait, Wait::Lanes { .. }) {
                split.wait = Wait::Ready;
            }
        }
    }

    /// Parks the active lanes at a barrier of the block, to go on at `pc`.
    pub fn park_at_barrier(&mut self, pc: u32, number: u32, aligned: bool) {
        self.park(pc, Wait::Barrier { number, aligned });
        // An aligned one counts where the whole warp is waited for: see `gather`.
        self.look_again();
    }

    /// Whether all lanes that `members` (an operand) names have come to `inst`, the running one;
    /// if not, the active lanes wait and the place to go on at is returned.
    #[inline(always)]
    pub fn rendezvous(&mut self, inst: &Inst, members: u32, meeting: Meeting) -> Result<(), *const Inst> {
        let first = self.warp.active.trailing_zeros() as usize;
        let mask: u32 = self.lane(members, first);
        let everyone = mask & self.warp.live == self.warp.active && self.warp.splits.is_empty();
        if everyone && (members & SCALAR != 0 || self.same_everywhere(members, mask)) {
            return Ok(());
        }
        self.gather(inst, members, meeting)
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

    /// The slow way of [`Ctx::rendezvous`]: the active lanes whose members have all come go on, the
    /// others wait, each for its own members.
    ///
    /// Where the whole warp is named, lanes at an aligned barrier of the block have come too: an
    /// H200 synchronises their warp first (PTX leaves it open).
    #[cold]
    fn gather(&mut self, inst: &Inst, members: u32, meeting: Meeting) -> Result<(), *const Inst> {
        let pc = self.pc_of(inst);
        let mut here = self.warp.active;
        self.warp.splits.retain(|s| {
            let stands = s.pc == pc && matches!(s.wait, Wait::Ready | Wait::Lanes { .. });
            here |= if stands { s.mask } else { 0 };
            !stands
        });
        let masks: [u32; LANES] = std::array::from_fn(|lane| self.lane(members, lane));
        let lanes = |set: u32| (0..LANES).filter(move |l| set >> l & 1 != 0);
        if let Some(lane) = lanes(here).find(|&lane| masks[lane] >> lane & 1 == 0) {
            let mask = masks[lane];
            let why = format!("lane {lane} executes it but its member mask {mask:#010x} does not name that lane");
            self.fault(inst, lane as u32, FaultKind::Barrier(why));
            return Err(std::ptr::null());
        }
        let (mut left, mut going) = (here, 0);
        while left != 0 {
            let mask = masks[left.trailing_zeros() as usize & (LANES - 1)];
            let group = lanes(left).filter(|&lane| masks[lane] == mask).fold(0, |all, lane| all | 1 << lane);
            left &= !group;
            let comes = |wait: Wait| match wait {
                Wait::Lanes { members, meeting: other } => members == mask && other == meeting,
                Wait::Barrier { aligned, .. } => aligned && mask == FULL,
                Wait::Ready | Wait::All | Wait::Phase { .. } | Wait::Cluster | Wait::Grids => false,
            };
            let elsewhere = self.warp.splits.iter().filter(|s| meeting != Meeting::Matrix && comes(s.wait));
            let come = elsewhere.fold(here, |all, s| all | s.mask);
            self.warp.active = group;
            if mask & self.warp.live & !come != 0 {
                self.park(pc, Wait::Lanes { members: mask, meeting });
            } else if !self.meet_elsewhere(inst, mask, meeting) {
                going |= group;
            }
        }
        self.warp.active = going;
        if going == 0 {
            return Err(self.pick());
        }
        // What has been absorbed or released may have been, or be, the lowest.
        self.look_out(pc);
        Ok(())
    }

    /// Carries the meeting out for the active lanes, at `inst`, together with those that wait for them
    /// at other instructions, and lets all go on behind it. False if there are none of these.
    fn meet_elsewhere(&mut self, inst: &Inst, mask: u32, meeting: Meeting) -> bool {
        let wait = Wait::Lanes { members: mask, meeting };
        let mut parts = vec![(self.pc_of(inst), self.warp.active)];
        if meeting != Meeting::Matrix {
            parts.extend(self.warp.splits.iter().filter(|s| s.wait == wait).map(|s| (s.pc, s.mask)));
        }
        if parts.len() == 1 {
            return false;
        }
        self.warp.splits.retain(|s| s.wait != wait);
        if let Meeting::Exchange(exchange, _) = meeting {
            exchange.jointly(self, &parts);
        }
        for (pc, lanes) in parts {
            self.warp.active = lanes;
            self.park(pc + 1, Wait::Ready);
        }
        true
    }
}
