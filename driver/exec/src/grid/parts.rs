//! A launch in parts, where a kernel begins before the one ahead of it has ended (programmatic dependent launch).
//!
//! The launch ahead runs until its blocks have let dependent grids begin, or have ended; the one behind runs as far as
//! it comes without the other's end; then the first runs to its end, and the second does. How many blocks take part,
//! the order's seed decides. Blocks that do nothing but wait end a part: who knows for whom.

use std::sync::atomic::Ordering;

use super::{BACKWARDS, Grid, Part, lock, mix};

/// Of [`Grid::stalled`]: the part is over.
const FOREVER: u64 = u64::MAX / 2;

/// For so long a part goes on for each block that has not come to its end, by turns that blocks have used up since the
/// last came to it; see [`Cluster::weight`].
const STALL: u64 = 1 << 12;

impl Grid<'_> {
    /// As far as the blocks come while the grids that they depend on are in flight.
    pub fn until_wait(&mut self) {
        // Of more blocks than the device holds at once, the others would begin when these have ended.
        self.limit = self.some(self.count.min(self.resident));
        self.part = (Part::UntilWait, 0);
    }

    /// Until all blocks have let dependent grids begin, or have ended.
    pub fn until_triggered(&mut self) {
        let held = self.some(self.count.min(self.resident));
        self.go_on((Part::UntilTriggered, self.count - held));
    }

    /// To the end.
    pub fn until_end(&mut self) {
        self.go_on((Part::Whole, 0));
    }

    /// Whether all blocks have let dependent grids begin, or have ended, and some have not ended.
    pub fn has_triggered(&self) -> bool {
        let (held, aside) = (lock(&self.held), lock(&self.aside));
        let under_way = held.iter().chain(aside.iter());
        let triggered = under_way.filter(|(_, cluster)| cluster.has_triggered()).count() as u64;
        let ended = self.ended.load(Ordering::Relaxed);
        !self.stop.load(Ordering::Relaxed) && triggered > 0 && ended + triggered == self.count
    }

    /// Blocks that are left to be started, or to go on.
    pub fn left(&self) -> u64 {
        let fresh = self.limit.saturating_sub(self.next.load(Ordering::Relaxed));
        if self.resumes { fresh + lock(&self.aside).len() as u64 } else { fresh }
    }

    fn go_on(&mut self, part: (Part, u64)) {
        let (next, held) = (self.next.get_mut(), std::mem::take(&mut *lock(&self.held)));
        // Threads that found none to start have counted too.
        *next = (*next).min(self.limit);
        let mut aside = lock(&self.aside);
        aside.extend(held);
        self.resumes = !aside.is_empty();
        drop(aside);
        (self.limit, self.part) = (self.count, part);
        *self.stalled.get_mut() = 0;
    }

    /// One to `most`, by the seed; all of them where what could run last does.
    fn some(&self, most: u64) -> u64 {
        match self.launch.order_seed {
            BACKWARDS => most,
            seed => 1 + mix(seed ^ most) % most.max(1),
        }
    }

    /// How far the block at this place in the order runs now.
    pub(super) fn part_of(&self, n: u64) -> Part {
        let (part, from) = self.part;
        if n < from { Part::Whole } else { part }
    }

    /// A block has used its turn up; `others`: how many are set aside.
    pub(super) fn waited(&self, weight: u64, others: usize) {
        if self.part.0 != Part::Whole
            && self.stalled.fetch_add(weight, Ordering::Relaxed) + weight > STALL * others as u64
        {
            self.stalled.store(FOREVER, Ordering::Relaxed);
        }
    }

    /// Whether the part ends although not all blocks have come to its end.
    pub(super) fn has_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed) >= FOREVER
    }

    /// A block has come to its end, or to that of the part: the others may have waited for it.
    pub(super) fn moved(&self) {
        if self.part.0 == Part::Whole {
            return;
        }
        // A part that is over stays so.
        let go_on = |stalled: u64| (stalled < FOREVER).then_some(0);
        let _ = self.stalled.fetch_update(Ordering::Relaxed, Ordering::Relaxed, go_on);
    }
}
