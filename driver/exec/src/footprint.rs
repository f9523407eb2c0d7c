//! Which bytes of device memory a launch touches, and how: exact, byte by byte.
//!
//! A launch that carries a [`Footprint`] sets a bit for each byte of global memory that it touches; a launch
//! without one does nothing for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::code::Code;
use super::launch::{MemoryMap, MemoryRange};

/// How memory is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Read.
    Read,
    /// Written.
    Write,
    /// Read or written by an atomic operation, or by a strong one (PTX ISA, "Memory Consistency Model"):
    /// `atom`, `red`, `sured`, and loads and stores that are `.volatile`, `.relaxed`, `.acquire`, `.release` or
    /// `.mmio`.
    Atomic,
}

impl Access {
    const COUNT: usize = 3;

    /// Whether two accesses to one byte need an order between them.
    pub fn conflicts(self, other: Access) -> bool {
        !matches!((self, other), (Access::Read, Access::Read) | (Access::Atomic, Access::Atomic))
    }
}

/// Bytes that were touched in one way: device addresses, or the host's own for mapped memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First address.
    pub address: u64,
    /// Length in bytes.
    pub len: u64,
    /// How.
    pub access: Access,
}

/// Bytes that one chunk of bits stands for.
const CHUNK: u64 = 1 << 16;
const WORDS: usize = (CHUNK / 64) as usize;

/// A bit for each byte of a range; chunks appear when they are first touched.
struct Bits(Box<[OnceLock<Box<[AtomicU64; WORDS]>>]>);

impl Bits {
    fn new(len: u64) -> Self {
        Bits((0..len.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect())
    }

    fn set(&self, from: u64, len: u64) {
        let (mut at, end) = (from, from + len);
        while at < end {
            let Some(chunk) = self.0.get((at / CHUNK) as usize) else { return };
            let words = chunk.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU64::new(0))));
            let word = &words[(at % CHUNK / 64) as usize];
            let (bit, count) = (at % 64, (64 - at % 64).min(end - at));
            let mask = (u64::MAX >> (64 - count)) << bit;
            // Most bytes are touched again and again: a load leaves the line with everybody.
            if word.load(Ordering::Relaxed) & mask != mask {
                word.fetch_or(mask, Ordering::Relaxed);
            }
            at += count;
        }
    }

    /// Calls `found` with start and length of each run of bits.
    fn runs(&self, mut found: impl FnMut(u64, u64)) {
        let mut run: Option<(u64, u64)> = None;
        let mut add = |start: u64, len: u64, found: &mut dyn FnMut(u64, u64)| match &mut run {
            Some((from, have)) if *from + *have == start => *have += len,
            other => {
                if let Some((from, have)) = other.replace((start, len)) {
                    found(from, have);
                }
            }
        };
        for (number, chunk) in self.0.iter().enumerate() {
            let Some(words) = chunk.get() else { continue };
            for (n, word) in words.iter().enumerate() {
                let base = number as u64 * CHUNK + n as u64 * 64;
                let mut left = word.load(Ordering::Relaxed);
                while left != 0 {
                    let start = left.trailing_zeros();
                    let len = (left >> start).trailing_ones();
                    add(base + u64::from(start), u64::from(len), &mut found);
                    left = left.checked_shr(start + len).map_or(0, |rest| rest << (start + len));
                }
            }
        }
        if let Some((from, have)) = run {
            found(from, have);
        }
    }
}

/// What a launch touches, filled while it runs.
pub struct Footprint {
    ranges: Arc<[MemoryRange]>,
    touched: Box<[OnceLock<[Bits; Access::COUNT]>]>,
    /// Which instructions of a code are strong, by the code's place.
    strong: Mutex<Vec<(usize, Arc<[bool]>)>>,
}

impl std::fmt::Debug for Footprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Footprint").field("ranges", &self.ranges.len()).finish_non_exhaustive()
    }
}

impl Footprint {
    /// Nothing touched yet, of the memory of `map`.
    pub fn of(map: &MemoryMap) -> Self {
        let touched = map.ranges.iter().map(|_| OnceLock::new()).collect();
        Footprint { ranges: map.ranges.clone(), touched, strong: Mutex::default() }
    }

    /// Adds bytes of one memory of the map, each by its distance from `address` and its length. Memory that is not in
    /// the map is not the device's.
    pub fn touch(&self, address: u64, bytes: impl IntoIterator<Item = (u64, u64)>, access: Access) {
        let Some(index) = self.ranges.partition_point(|r| r.base <= address).checked_sub(1) else { return };
        let range = &self.ranges[index];
        let first = address - range.base;
        if first >= range.len {
            return;
        }
        let bits = self.touched[index].get_or_init(|| std::array::from_fn(|_| Bits::new(range.len)));
        for (at, len) in bytes {
            let at = first + at;
            bits[access as usize].set(at, len.min(range.len.saturating_sub(at)));
        }
    }

    /// What was touched so far, by access and address.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for access in [Access::Read, Access::Write, Access::Atomic] {
            for (range, touched) in self.ranges.iter().zip(&self.touched) {
                let Some(bits) = touched.get() else { continue };
                bits[access as usize].runs(|start, len| spans.push(Span { address: range.base + start, len, access }));
            }
        }
        spans
    }

    /// Which instructions of `code` are atomic or strong.
    pub(crate) fn strong_of(&self, code: &Code) -> Arc<[bool]> {
        let place = std::ptr::from_ref(code).addr();
        let mut known = self.strong.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = known.iter().find(|(of, _)| *of == place) {
            return found.clone();
        }
        let found = code.strong();
        known.push((place, found.clone()));
        found
    }
}
