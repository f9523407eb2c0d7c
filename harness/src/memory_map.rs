//! The memory of the process as it is, to be compared with what it is later: where no driver tells what kernels touch,
//! what they changed shows all the same.

use crate::compare::device::{Comparer, Images};
use crate::cuda::{self, CudaError, Guard, Stream, live};
use crate::error::RunError;
use crate::spans::Spans;

/// Mebibytes that are copied of one moment, unless `GRAPHPROOF_MAP_LIMIT` says it. The smallest allocations come first:
/// what is shared and forgotten is small.
const MOST_COPIED: u64 = 256;
/// Of what is larger the device makes digests, one for each of these bytes.
const PIECE: u64 = 4 << 20;
/// Digests that are made at once.
const BATCH: usize = 64;
/// Pieces that are copied at the next moment, because their digest changed.
pub const MOST_PIECES: usize = 64;
/// Bytes of changes that are kept.
const MOST_CHANGED: usize = 16 << 20;
/// Bytes between two that differ up to which both are one change.
const GAP: usize = 64;

/// Makes digests of device memory where it lies.
#[derive(Debug)]
pub struct Digester(Comparer);

/// A stretch of memory: its address and bytes.
type Stretch = (u64, u64);

/// The bytes of all known device memory at one moment.
#[derive(Debug, Default)]
pub struct Image {
    pieces: Vec<(u64, Vec<u8>)>,
    /// Of what is larger than is copied.
    digests: Vec<(Stretch, u64)>,
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
    /// Pieces whose digests changed: something in each did.
    pub pieces: Vec<Stretch>,
}

impl Digester {
    /// Room for a batch.
    ///
    /// # Errors
    /// As for [`Comparer::new`].
    pub fn new(session: &cuda::Session, stream: &Stream) -> Result<Self, RunError> {
        Comparer::new(session, stream, &[PIECE; BATCH]).map(Digester)
    }

    /// The digest of each stretch.
    fn of(&mut self, all: &[Stretch], stream: &Stream) -> Result<Vec<(Stretch, u64)>, CudaError> {
        let mut digests = Vec::with_capacity(all.len());
        for batch in all.chunks(BATCH) {
            let image = |&(reference, bytes): &Stretch| Images {
                reference,
                other: None,
                lengths: None,
                bytes,
                row_bytes: bytes,
                element: 1,
            };
            let images: Vec<Images> = batch.iter().map(image).collect();
            let (found, _) = self.0.run(&images, &[], Guard::NONE, stream)?;
            digests.extend(batch.iter().copied().zip(found.iter().map(|found| found.digest)));
        }
        Ok(digests)
    }
}

/// Bytes that are copied of one moment.
fn most_copied() -> u64 {
    let set = std::env::var("GRAPHPROOF_MAP_LIMIT").ok().and_then(|text| text.parse::<u64>().ok());
    set.unwrap_or(MOST_COPIED).saturating_mul(1 << 20)
}

/// How an image is taken.
#[derive(Debug, Default)]
pub struct Look<'a> {
    /// Allocations in which something of this lies are left out.
    pub beside: Spans,
    /// Of larger allocations these pieces are copied.
    pub pieces: &'a [Stretch],
    /// Makes digests of larger allocations; none are made without.
    pub digester: Option<(&'a mut Digester, &'a Stream)>,
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
    /// Copies all memory that is known, and makes digests of what is larger than is copied. Nothing may be in flight.
    ///
    /// # Errors
    /// The driver's, by the work that makes digests.
    pub fn take(look: Look<'_>) -> Result<Self, CudaError> {
        let mut known = live::all();
        known.retain(|live| Spans::of([(live.base, live.bytes)]).common(&look.beside).is_empty());
        known.sort_by_key(|live| (live.bytes, live.base));
        let mut image = Image::default();
        let mut room = most_copied();
        let mut larger = Vec::new();
        for live in known {
            let copied = (live.bytes <= room).then(|| copy(live.base, live.bytes)).flatten();
            if let Some(bytes) = copied {
                room -= live.bytes;
                image.pieces.push((live.base, bytes));
            } else if look.digester.is_some() && is_readable(&live) {
                let starts = (0..live.bytes).step_by(PIECE as usize);
                larger.extend(starts.map(|at| (live.base + at, PIECE.min(live.bytes - at))));
            } else {
                image.left = (image.left.0 + 1, image.left.1 + live.bytes);
            }
        }
        for &(address, bytes) in look.pieces {
            let known = larger.iter().position(|&piece| piece == (address, bytes));
            if let Some((at, copied)) = known.zip(copy(address, bytes)) {
                larger.swap_remove(at);
                image.pieces.push((address, copied));
            }
        }
        image.pieces.sort_unstable_by_key(|(base, _)| *base);
        if let Some((digester, stream)) = look.digester {
            image.digests = digester.of(&larger, stream)?;
        }
        Ok(image)
    }

    /// What is in this image and is other now; memory that ended since is left out.
    ///
    /// # Errors
    /// The driver's, by the work that makes digests.
    pub fn changed(&self, digester: Option<(&mut Digester, &Stream)>) -> Result<Changes, CudaError> {
        let live = live::all();
        let still =
            |base: u64, len: u64| live.iter().any(|live| live.base <= base && base - live.base + len <= live.bytes);
        let mut changes = Changes::default();
        let mut kept = 0;
        let mut spans = Vec::new();
        for (base, before) in self.pieces.iter().filter(|(base, bytes)| still(*base, bytes.len() as u64)) {
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
        if let Some((digester, stream)) = digester {
            let before = self.digests.iter().filter(|((base, len), _)| still(*base, *len));
            let before: Vec<(Stretch, u64)> = before.copied().collect();
            let pieces: Vec<Stretch> = before.iter().map(|(piece, _)| *piece).collect();
            let now = digester.of(&pieces, stream)?;
            let differing = before.iter().zip(now).filter(|(before, now)| before.1 != now.1);
            changes.pieces = differing.map(|(before, _)| before.0).collect();
        }
        Ok(changes)
    }

    /// Writes back what is in this image and is other now; whether that is all of it.
    ///
    /// # Errors
    /// The driver's.
    pub fn restore(&self) -> Result<bool, CudaError> {
        let changes = self.changed(None)?;
        changes.all.iter().try_for_each(Change::undo).map(|()| !changes.truncated)
    }
}

impl Change {
    /// Writes what was there.
    ///
    /// # Errors
    /// The driver's.
    pub fn undo(&self) -> Result<(), CudaError> {
        cuda::write(self.address, &self.before)
    }

    /// Writes what came there.
    ///
    /// # Errors
    /// The driver's.
    pub fn redo(&self) -> Result<(), CudaError> {
        cuda::write(self.address, &self.after)
    }

    /// Its addresses.
    pub fn span(&self) -> (u64, u64) {
        (self.address, self.before.len() as u64)
    }
}

/// Whether a kernel may read an allocation: where a copy is refused, a kernel would be lost with the context.
fn is_readable(live: &live::Live) -> bool {
    let mut byte = [0];
    live.bytes > 0 && [live.base, live.base + live.bytes - 1].into_iter().all(|at| cuda::read(at, &mut byte).is_ok())
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
