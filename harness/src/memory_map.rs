//! The memory of the process as it is, to be compared with what it is later: where no driver tells what kernels touch,
//! what they changed shows all the same.

use crate::cuda::{self, live};
use crate::spans::Spans;

/// Bytes that are copied of one moment. The smallest allocations come first: what is shared and forgotten is small.
const MOST_COPIED: u64 = 256 << 20;
/// Bytes of changes that are kept.
const MOST_CHANGED: usize = 16 << 20;
/// Bytes between two that differ up to which both are one change.
const GAP: usize = 64;

/// The bytes of all known device memory at one moment.
#[derive(Debug, Default)]
pub struct Image {
    pieces: Vec<(u64, Vec<u8>)>,
    /// Memory that is not in it: allocations, and their bytes.
    pub left: (usize, u64),
}

/// Bytes that are others at two moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The first that differs.
    pub address: u64,
    /// What they were.
    pub before: Vec<u8>,
    /// What they are.
    pub after: Vec<u8>,
}

/// What changed between two moments.
#[derive(Debug, Default)]
pub struct Changes {
    /// Each address that differs.
    pub spans: Spans,
    /// The bytes, neighbours together, as many as are kept.
    pub all: Vec<Change>,
    /// Whether more changed than is kept.
    pub truncated: bool,
}

impl Changes {
    /// The changes within `spans`, cut to them; those that are kept.
    pub fn within(&self, spans: &Spans) -> Vec<Change> {
        let mut cut = Vec::new();
        for change in &self.all {
            let of = Spans::of([change.span()]).common(spans);
            cut.extend(of.iter().map(|(address, len)| {
                let from = (address - change.address) as usize;
                let to = from + len as usize;
                Change { address, before: change.before[from..to].to_vec(), after: change.after[from..to].to_vec() }
            }));
        }
        cut
    }
}

impl Image {
    /// Copies all memory that is known, but for allocations in which something of `beside` lies, and for what is larger
    /// than is copied. Nothing may be in flight.
    pub fn take(beside: &Spans) -> Self {
        let mut known = live::all();
        known.retain(|live| Spans::of([(live.base, live.bytes)]).common(beside).is_empty());
        known.sort_by_key(|live| (live.bytes, live.base));
        let mut image = Image::default();
        let mut room = MOST_COPIED;
        for live in known {
            let copied = (live.bytes <= room).then(|| copy(live.base, live.bytes)).flatten();
            match copied {
                Some(bytes) => {
                    room -= live.bytes;
                    image.pieces.push((live.base, bytes));
                }
                None => image.left = (image.left.0 + 1, image.left.1 + live.bytes),
            }
        }
        image.pieces.sort_unstable_by_key(|(base, _)| *base);
        image
    }

    /// What is in this image and is other now; memory that ended since is left out.
    pub fn changed(&self) -> Changes {
        let live = live::all();
        let still = |base: u64, len: usize| live.iter().any(|live| live.base == base && live.bytes == len as u64);
        let mut changes = Changes::default();
        let mut kept = 0;
        let mut spans = Vec::new();
        for (base, before) in self.pieces.iter().filter(|(base, bytes)| still(*base, bytes.len())) {
            let Some(now) = copy(*base, before.len() as u64) else { continue };
            for (from, to) in runs(before, &now) {
                let differing = (from..to).filter(|&at| before[at] != now[at]);
                spans.extend(ranges(differing).map(|(at, len)| (base + at as u64, len as u64)));
                kept += to - from;
                if kept > MOST_CHANGED {
                    changes.truncated = true;
                    continue;
                }
                let (before, after) = (before[from..to].to_vec(), now[from..to].to_vec());
                changes.all.push(Change { address: base + from as u64, before, after });
            }
        }
        changes.spans = Spans::of(spans);
        changes
    }

    /// Writes back what is in this image and is other now; whether that is all of it.
    ///
    /// # Errors
    /// The driver's.
    pub fn restore(&self) -> Result<bool, cuda::CudaError> {
        let changes = self.changed();
        changes.all.iter().try_for_each(Change::undo).map(|()| !changes.truncated)
    }
}

impl Change {
    /// Writes what was there.
    ///
    /// # Errors
    /// The driver's.
    pub fn undo(&self) -> Result<(), cuda::CudaError> {
        cuda::write(self.address, &self.before)
    }

    /// Writes what came there.
    ///
    /// # Errors
    /// The driver's.
    pub fn redo(&self) -> Result<(), cuda::CudaError> {
        cuda::write(self.address, &self.after)
    }

    /// Its addresses.
    pub fn span(&self) -> (u64, u64) {
        (self.address, self.before.len() as u64)
    }
}

fn copy(base: u64, bytes: u64) -> Option<Vec<u8>> {
    let mut copied = vec![0; usize::try_from(bytes).ok()?];
    // What is reserved and not mapped, or another device's, cannot be read.
    cuda::read(base, &mut copied).ok()?;
    Some(copied)
}

/// Where two images differ, as stretches whose neighbours are further apart than [`GAP`].
fn runs(before: &[u8], now: &[u8]) -> Vec<(usize, usize)> {
    const BLOCK: usize = 4096;
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (number, (left, right)) in before.chunks(BLOCK).zip(now.chunks(BLOCK)).enumerate() {
        // Most blocks are equal.
        if left == right {
            continue;
        }
        for (at, _) in left.iter().zip(right).enumerate().filter(|(_, (left, right))| left != right) {
            let at = number * BLOCK + at;
            match found.last_mut() {
                Some((_, to)) if at - *to <= GAP => *to = at + 1,
                _ => found.push((at, at + 1)),
            }
        }
    }
    found
}

/// Rising numbers as ranges: the first of each, and how many follow on it.
fn ranges(numbers: impl Iterator<Item = usize>) -> impl Iterator<Item = (usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for at in numbers {
        match found.last_mut() {
            Some((from, len)) if *from + *len == at => *len += 1,
            _ => found.push((at, 1)),
        }
    }
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_that_differ_are_joined_over_small_gaps_and_told_exactly() {
        let before = vec![0u8; 3 * 4096];
        let mut now = before.clone();
        for at in [0, 1, 40, 4095, 4096, 9000] {
            now[at] = 1;
        }
        assert_eq!(runs(&before, &now), [(0, 41), (4095, 4097), (9000, 9001)]);
        let differing = (0..41).filter(|&at| before[at] != now[at]);
        assert_eq!(ranges(differing).collect::<Vec<_>>(), [(0, 2), (40, 1)]);
        assert_eq!(runs(&before, &before), []);
    }
}
