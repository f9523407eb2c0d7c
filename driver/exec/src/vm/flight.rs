//! Asynchronous copies under way: what the copy engine has been told and has not done yet.
//!
//! A copy is checked when it is issued. It then reads and writes at some moment that the seed chooses,
//! at the latest when something waits for it; until then its destination in shared memory holds a pattern
//! that no kernel means, and its source is whatever it is in the end. So a kernel that reads too early, or
//! writes too early what is still being read, does not agree with itself.

use std::collections::HashMap;

use super::memory::{peek, poke};
use crate::order::{BACKWARDS, FORWARDS, mix};

/// Where bytes come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    Memory(*const u8),
    /// This word, over and over: what lies out of the bounds of a tensor.
    Fill(u32),
}

/// Bytes to move.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub from: Source,
    pub to: *mut u8,
    pub len: u32,
}

/// Takes bytes at the second place into those at the first.
pub(crate) type Combine = fn(*mut u8, *const u8, u32);

/// The commit group that a copy belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    /// Warp of the cluster, and lane.
    pub thread: (u32, u8),
    /// `None`: not committed yet.
    pub number: Option<u32>,
}

/// An instruction, for faults that show later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Issuer {
    /// Warp of the cluster.
    pub warp: u32,
    pub lane: u32,
    pub pc: u32,
}

/// What the asynchronous proxy sees of the cluster's shared memory: what it has written itself, and what was there at the
/// last `fence.proxy.async`. Empty where a kernel lets it read none.
#[derive(Default)]
pub(crate) struct AsyncProxy {
    /// Where shared memory lies in the host's.
    base: usize,
    seen: Vec<u8>,
}

impl AsyncProxy {
    /// Looks at `len` bytes of shared memory at `base` from now on.
    pub fn begin(&mut self, base: *const u8, len: usize) {
        self.base = base as usize;
        self.seen.clear();
        self.seen.resize(len, 0);
        self.fence();
    }

    /// `fence.proxy.async`.
    pub fn fence(&mut self) {
        // SAFETY: shared memory is `seen.len()` bytes long, and one thread runs all of the cluster.
        let now = unsafe { std::slice::from_raw_parts(self.base as *const u8, self.seen.len()) };
        self.seen.copy_from_slice(now);
    }

    fn part(&mut self, place: *const u8, len: usize) -> Option<&mut [u8]> {
        let at = (place as usize).wrapping_sub(self.base);
        self.seen.get_mut(at..at.checked_add(len)?)
    }

    /// The asynchronous proxy has written there.
    fn wrote(&mut self, place: *const u8, len: usize) {
        if let Some(part) = self.part(place, len) {
            part.iter_mut().enumerate().for_each(|(n, byte)| *byte = peek(place.wrapping_add(n)));
        }
    }

    /// Whether it sees what is there.
    pub fn sees(&mut self, place: *const u8, len: usize) -> bool {
        self.part(place, len).is_none_or(|part| {
            // SAFETY: `part` has found that the place lies in shared memory, and one thread runs all of the cluster.
            let now = unsafe { std::slice::from_raw_parts(place, part.len()) };
            part == now
        })
    }
}

/// What is said where it does not.
pub(crate) const UNFENCED: &str = "it reads shared memory that was written since the last `fence.proxy.async`";

/// One copy.
pub(crate) struct Flight {
    pub pieces: Vec<Piece>,
    /// How it changes its destination; `None`: it replaces it.
    pub combine: Option<Combine>,
    /// The mbarrier to tell, and of how many bytes.
    pub signal: Option<(*mut u8, u32)>,
    pub group: Option<Group>,
    /// The block whose shared memory it reads.
    pub reads: Option<u32>,
    /// The block whose shared memory it writes.
    pub writes: Option<u32>,
    pub issuer: Issuer,
    /// Its source has been read: what there was.
    pub(super) staged: Option<Vec<u8>>,
    /// When it is done, if nobody waits for it before.
    pub(super) due: u64,
}

impl Flight {
    pub fn new(pieces: Vec<Piece>, issuer: Issuer) -> Self {
        Self {
            pieces,
            combine: None,
            signal: None,
            group: None,
            reads: None,
            writes: None,
            issuer,
            staged: None,
            due: 0,
        }
    }

    /// One of bytes that are known already.
    pub fn of_bytes(bytes: Vec<u8>, to: *mut u8, issuer: Issuer) -> Self {
        let piece = Piece { from: Source::Fill(0), to, len: bytes.len() as u32 };
        Self { staged: Some(bytes), ..Self::new(vec![piece], issuer) }
    }

    /// Reads the source.
    fn stage(&mut self) {
        if self.staged.is_some() {
            return;
        }
        let mut bytes = Vec::with_capacity(self.pieces.iter().map(|piece| piece.len as usize).sum());
        for piece in &self.pieces {
            match piece.from {
                Source::Memory(from) => (0..piece.len as usize).for_each(|n| bytes.push(peek(from.wrapping_add(n)))),
                Source::Fill(word) => bytes.extend(word.to_le_bytes().into_iter().cycle().take(piece.len as usize)),
            }
        }
        self.staged = Some(bytes);
        self.reads = None;
    }

    /// Reads what it has not read, and writes.
    fn land(&self) {
        let mut staged = self.staged.as_deref();
        for piece in &self.pieces {
            let len = piece.len as usize;
            let word;
            let from = match (&mut staged, piece.from) {
                (Some(bytes), _) => {
                    let (first, rest) = bytes.split_at(len);
                    *bytes = rest;
                    first.as_ptr()
                }
                (None, Source::Memory(from)) => from,
                (None, Source::Fill(fill)) => {
                    word = fill.to_le_bytes();
                    (0..len).for_each(|n| poke(piece.to.wrapping_add(n), word[n % 4]));
                    continue;
                }
            };
            match self.combine {
                Some(combine) => combine(piece.to, from, piece.len),
                // SAFETY: issuing has found both places in memory that is mapped for the launch, `len` bytes long;
                // they may overlap where a kernel copies shared memory onto itself.
                None => unsafe { std::ptr::copy(from, piece.to, len) },
            }
        }
    }

    /// Fills the destination with what no kernel means.
    fn spoil(&self, seed: u64) {
        let word = (seed as u32 & 0x00ff_ffff | 0x7b00_0000).to_le_bytes();
        for piece in &self.pieces {
            (0..piece.len as usize).for_each(|n| poke(piece.to.wrapping_add(n), word[n % 4]));
        }
    }
}

/// The copies of a cluster.
#[derive(Default)]
pub(crate) struct Flights {
    flights: Vec<Flight>,
    pub proxy: AsyncProxy,
    /// Copies of shared memory that are over, and whose group nobody has waited for: group, block, instruction.
    unwaited: Vec<(Group, u32, Issuer)>,
    /// Groups committed, by thread.
    groups: HashMap<(u32, u8), u32>,
    now: u64,
    state: u64,
    /// The seed of the launch's orders, for the two that choose nothing.
    order: u64,
    issued: u64,
}

impl Flights {
    /// Forgets everything. `order`: the seed of the launch's orders; `seed`: the cluster's part of it.
    pub fn begin(&mut self, order: u64, seed: u64) {
        self.flights.clear();
        self.unwaited.clear();
        self.groups.clear();
        (self.now, self.state, self.order, self.issued) = (0, seed, order, 0);
    }

    pub fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// Takes a copy on its way.
    pub fn issue(&mut self, mut flight: Flight) {
        /// Turns that a copy takes: most are quick, some outlast many others.
        const TURNS: [u64; 8] = [0, 0, 1, 2, 4, 12, 60, 300];
        /// Later than any turn comes: when it is waited for, or nothing else can run.
        const NEVER: u64 = u64::MAX / 2;
        self.state = mix(self.state);
        self.issued += 1;
        flight.due = match self.order {
            FORWARDS => self.now + 1,
            BACKWARDS => NEVER - self.issued,
            _ => self.now + 1 + TURNS[(self.state >> 32) as usize & 7],
        };
        // Where it changes what is there, that must stay.
        if flight.writes.is_some() && flight.combine.is_none() {
            flight.spoil(self.state);
            self.note(&flight);
        }
        self.flights.push(flight);
    }

    /// Lets the asynchronous proxy see what a copy has written.
    fn note(&mut self, flight: &Flight) {
        if flight.writes.is_some() && !self.proxy.seen.is_empty() {
            flight.pieces.iter().for_each(|piece| self.proxy.wrote(piece.to, piece.len as usize));
        }
    }

    /// Whether a copy sees what is in its source.
    pub fn sees(&mut self, flight: &Flight) -> bool {
        if flight.reads.is_none() || self.proxy.seen.is_empty() {
            return true;
        }
        flight.pieces.iter().all(|piece| match piece.from {
            Source::Memory(from) => self.proxy.sees(from, piece.len as usize),
            Source::Fill(_) => true,
        })
    }

    /// Closes the group of a thread.
    pub fn commit(&mut self, thread: (u32, u8)) {
        let number = self.groups.entry(thread).or_insert(0);
        let over = self.unwaited.iter_mut().map(|(group, ..)| group);
        for group in self.flights.iter_mut().filter_map(|flight| flight.group.as_mut()).chain(over) {
            if group.thread == thread && group.number.is_none() {
                group.number = Some(*number);
            }
        }
        *number += 1;
    }

    /// Lets a thread's groups but the last `open` ones be done; `reading`: lets them have read.
    pub fn wait(&mut self, thread: (u32, u8), open: u32, reading: bool) {
        let committed = self.groups.get(&thread).copied().unwrap_or(0);
        let older =
            |group: Group| group.thread == thread && group.number.is_some_and(|number| committed - number > open);
        let old = |flight: &Flight| flight.group.is_some_and(older);
        self.unwaited.retain(|(group, ..)| !older(*group));
        if reading {
            self.flights.iter_mut().filter(|flight| old(flight)).for_each(Flight::stage);
            return;
        }
        self.flights.retain(|flight| {
            let done = old(flight);
            if done {
                flight.land();
            }
            !done
        });
    }

    /// A turn has passed: carries out the next copy that is due, and gives it.
    pub fn next_due(&mut self) -> Option<Flight> {
        let first = self.earliest()?;
        (self.flights[first].due <= self.now).then(|| self.carry_out(first))
    }

    /// Carries out the copy that is due first, and gives it.
    pub fn next(&mut self) -> Option<Flight> {
        let first = self.earliest()?;
        Some(self.carry_out(first))
    }

    pub fn tick(&mut self) {
        self.now += 1;
    }

    fn earliest(&self) -> Option<usize> {
        (0..self.flights.len()).min_by_key(|&n| self.flights[n].due)
    }

    fn carry_out(&mut self, n: usize) -> Flight {
        let flight = self.flights.remove(n);
        if let (Some(group), Some(rank)) = (flight.group, flight.reads) {
            self.unwaited.push((group, rank, flight.issuer));
        }
        flight.land();
        self.note(&flight);
        flight
    }

    /// A copy that uses the shared memory of block `rank` as far as the kernel knows, and whether it reads it.
    pub fn using(&self, rank: u32) -> Option<(Issuer, bool)> {
        let flights = self.flights.iter().find_map(|flight| {
            let reads = flight.reads == Some(rank);
            (reads || flight.writes == Some(rank)).then_some((flight.issuer, reads))
        });
        let unwaited = self.unwaited.iter().find(|(_, of, _)| *of == rank);
        flights.or(unwaited.map(|&(.., issuer)| (issuer, true)))
    }
}
