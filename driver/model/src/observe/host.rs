//! What host functions change. What they read and write is the process's own business and passes nobody: of the
//! memory that device work can reach too, what is other when they return than when they were called is taken to be
//! theirs.

use graphproof_exec::{Access, Span};

use crate::memory::memory;

/// More memory than this is not looked at.
const MOST_BYTES: u64 = 64 << 20;

/// Host memory that device work can reach, as it was.
#[derive(Debug)]
pub(crate) struct HostImage(Vec<(u64, Vec<u8>)>);

impl HostImage {
    /// As it is now; none if it is too much to keep.
    pub fn take() -> Option<Self> {
        let ranges = memory().space.host_ranges();
        if ranges.iter().map(|(_, len)| len).sum::<u64>() > MOST_BYTES {
            return None;
        }
        Some(HostImage(ranges.into_iter().map(|(base, len)| (base, bytes(base, len as usize).to_vec())).collect()))
    }

    /// The bytes that are other now.
    pub fn changed(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for (base, then) in &self.0 {
            runs(then, bytes(*base, then.len()), |at, len| {
                spans.push(Span { address: base + at as u64, len: len as u64, access: Access::Write });
            });
        }
        spans
    }
}

/// Host memory that device work can reach.
fn bytes<'a>(base: u64, len: usize) -> &'a [u8] {
    // SAFETY: the range is host memory that the driver allocated, or that its owner registered and vouches for until it is
    // given back, which waits until no work is under way; whoever looks does so between the parts of a work. Others may
    // write there meanwhile, as they may while a copy of the device reads there.
    unsafe { std::slice::from_raw_parts(base as *const u8, len) }
}

/// Calls `found` with start and length of each run of bytes that differ.
fn runs(then: &[u8], now: &[u8], mut found: impl FnMut(usize, usize)) {
    /// Bytes that are compared at once.
    const PART: usize = 4096;
    let mut open: Option<usize> = None;
    for (part, (old, new)) in then.chunks(PART).zip(now.chunks(PART)).enumerate() {
        let first = part * PART;
        if old == new {
            if let Some(start) = open.take() {
                found(start, first - start);
            }
            continue;
        }
        for (at, (old, new)) in old.iter().zip(new).enumerate() {
            match (old == new, open) {
                (false, None) => open = Some(first + at),
                (true, Some(start)) => {
                    found(start, first + at - start);
                    open = None;
                }
                _ => {}
            }
        }
    }
    if let Some(start) = open {
        found(start, then.len() - start);
    }
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn runs_of_bytes_that_differ_are_found_across_parts() {
        let then = vec![0u8; 9000];
        let mut now = then.clone();
        for changed in [0..3, 4090..4100, 8192..8193, 8999..9000] {
            now[changed].fill(1);
        }
        let mut found = Vec::new();
        runs(&then, &now, |at, len| found.push((at, len)));
        assert_eq!(found, [(0, 3), (4090, 10), (8192, 1), (8999, 1)]);
        runs(&then, &then, |at, _| panic!("byte {at} is the same"));
    }
}
