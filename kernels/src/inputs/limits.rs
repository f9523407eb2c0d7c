//! Limits of the query rows.

use super::{Buffer, Extents, stream};
use crate::shape::Shape;

/// What start and end hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    /// All keys.
    Full,
    /// `[0, i + 1)`.
    Causal,
    /// `[0, sk - sq + i + 1)`: the queries are the last rows.
    CausalTail,
    /// Anything within the keys.
    Random,
    /// Fewer keys than topk.
    Short,
    /// Lengths on both sides of topk, of a tile, of a split and of the end.
    Boundaries,
    /// No keys at all, in every row or in two of three.
    Empty,
    /// Negative starts, ends past the keys, ends before starts: the device must clamp them.
    OutOfRange,
}

/// The limits of step `index`, in turn.
pub const LIMITS: [Limits; 8] = [
    Limits::Full,
    Limits::Boundaries,
    Limits::Causal,
    Limits::Random,
    Limits::Empty,
    Limits::CausalTail,
    Limits::Short,
    Limits::OutOfRange,
];

/// Writes start and end [b, sq] i32. A step of one row, as in the decode lane, takes the rows'
/// numbers in turn from step to step.
pub fn fill_limits(
    limits: Limits,
    seed: u64,
    index: u64,
    shape: &Shape,
    extents: Extents,
    start: &mut [i32],
    end: &mut [i32],
) {
    let stream = stream(seed, index, Buffer::Limits);
    let sk = extents.visible;
    let rows = extents.sq as u64;
    let first_row = if rows == 1 { index } else { 0 };
    for (cell, (start, end)) in start.iter_mut().zip(end).enumerate() {
        let cell = cell as u64;
        let row = first_row + cell % rows;
        let within = |value: u64| value.min(u64::from(sk)) as i32;
        (*start, *end) = match limits {
            Limits::Full => (0, sk as i32),
            Limits::Causal => (0, within(row % u64::from(sk) + 1)),
            Limits::CausalTail => (0, within(u64::from(sk).saturating_sub(rows) + cell % rows + 1)),
            Limits::Random => {
                let (a, b) = (stream.below(2 * cell, sk + 1) as i32, stream.below(2 * cell + 1, sk + 1) as i32);
                (a.min(b), a.max(b))
            }
            Limits::Short => {
                let length = stream.below(2 * cell, shape.topk.min(sk));
                let first = stream.below(2 * cell + 1, sk - length + 1);
                (first as i32, (first + length) as i32)
            }
            Limits::Boundaries => {
                let topk = u64::from(shape.topk);
                let near =
                    [0, 1, topk - 1, topk, topk + 1, 63, 64, 65, 255, 256, 257, u64::from(sk) - 1, u64::from(sk)];
                // Where there are as many keys: 16,384 candidates fill the shared memory of other
                // engines' top-k (sgl-kernel's fast_topk_v2, vllm-project/vllm#51782).
                let far: &[u64] = if sk > 16_385 { &[16_383, 16_384, 16_385] } else { &[] };
                let choice = (row + index) % (near.len() + far.len()) as u64;
                let length = within(*near.iter().chain(far).nth(choice as usize).expect("one of both"));
                let slack = sk as i32 - length;
                let first = if row.is_multiple_of(2) { 0 } else { slack.min(7) };
                (first, first + length)
            }
            Limits::Empty if index.is_multiple_of(2) || !row.is_multiple_of(3) => {
                let first = stream.below(cell, sk + 1) as i32;
                (first, first)
            }
            Limits::Empty => (0, sk as i32),
            Limits::OutOfRange => match row % 4 {
                0 => (-5, sk as i32 + 5),
                1 => (i32::MIN, i32::MAX),
                2 => (sk as i32, 0),
                _ => (sk as i32 / 2, i32::MAX),
            },
        };
    }
}
