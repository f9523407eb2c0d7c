//! Queries, keys and weights.

use half::bf16;

use super::{Buffer, Extents, stream};
use crate::shape::Shape;
use graphproof_harness::rng::Stream;

/// What q, k and w hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// Normal q, k and w; half of the weights are negative.
    Normal,
    /// All weights negative: the best scores are the zeros and the small ones.
    NegativeWeights,
    /// Few keys score above the ReLU's exact 0.0, which the top-k boundary cuts through.
    Plateau,
    /// All keys are equal, so that all scores of a row are.
    AllEqual,
    /// Whole numbers from -2 to 2: exact arithmetic and many ties.
    SmallIntegers,
    /// Some or all scores of every other row are -inf or, of each second of these, +inf (a finite weight that overflows).
    Infinities,
    /// Scores rise with the index, in steps of equal ones: every key passes the threshold.
    Rising,
}

/// The data of step `index`, in turn.
pub const DATA: [Data; 7] = [
    Data::Normal,
    Data::Plateau,
    Data::SmallIntegers,
    Data::Infinities,
    Data::AllEqual,
    Data::NegativeWeights,
    Data::Rising,
];

fn bits(value: f32) -> u16 {
    bf16::from_f32(value).to_bits()
}

fn fill(to: &mut [u16], value: impl Fn(u64) -> f32) {
    for (i, cell) in to.iter_mut().enumerate() {
        *cell = bits(value(i as u64));
    }
}

/// A whole number from -2 to 2.
fn small_integer(stream: Stream, i: u64) -> f32 {
    stream.below(i, 5) as f32 - 2.0
}

/// Writes q [sq, b, h, d] bf16.
pub fn fill_queries(data: Data, seed: u64, index: u64, q: &mut [u16]) {
    let stream = stream(seed, index, Buffer::Queries);
    match data {
        Data::Normal | Data::NegativeWeights | Data::AllEqual => fill(q, |i| stream.normal(i)),
        Data::Plateau | Data::Infinities => fill(q, |i| stream.normal(i).abs()),
        Data::SmallIntegers => fill(q, |i| small_integer(stream, i)),
        Data::Rising => fill(q, |i| 1.0 + stream.below(i, 3) as f32),
    }
}

/// Writes k [sk, b, d] bf16.
pub fn fill_keys(data: Data, seed: u64, index: u64, shape: &Shape, extents: Extents, k: &mut [u16]) {
    let stream = stream(seed, index, Buffer::Keys);
    // All values of one sign, which `positive` gives for each key.
    let signed = |k: &mut [u16], positive: &dyn Fn(u64) -> bool| {
        each_key(shape, extents, k, |key, first, row| {
            let sign = if positive(key) { 1.0f32 } else { -1.0 };
            fill(row, |i| stream.normal(first + i).abs().copysign(sign));
        });
    };
    let choice = super::stream(seed, index, Buffer::Choice);
    match data {
        Data::Normal | Data::NegativeWeights => fill(k, |i| stream.normal(i)),
        // About half of topk keys lie above the plateau, so that the boundary cuts it.
        Data::Plateau => signed(k, &|key| choice.below(key, extents.visible) < shape.topk.div_ceil(2)),
        Data::AllEqual => {
            // Not by index: in the decode lane the keys of earlier steps are to be equal too.
            let shared = Stream::new(seed, [0, Buffer::Shared as u64]);
            let width = shape.b as usize * shape.d as usize;
            let (first, rest) = k.split_at_mut(width.min(k.len()));
            fill(first, |i| shared.normal(i));
            rest.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(first));
        }
        Data::SmallIntegers => fill(k, |i| small_integer(stream, i)),
        Data::Infinities => {
            let whole_row = index.is_multiple_of(2);
            signed(k, &|key| whole_row || choice.bits(key) & 1 == 0);
        }
        Data::Rising => {
            k.fill(0);
            let d = shape.d as usize;
            each_key(shape, extents, k, |key, _, row| row.iter_mut().step_by(d).for_each(|c| *c = bits(key as f32)));
        }
    }
}

/// Calls `write` for each key with its index, the position of its first element in the buffer
/// and its [b, d] elements.
fn each_key(shape: &Shape, extents: Extents, k: &mut [u16], write: impl Fn(u64, u64, &mut [u16])) {
    let width = shape.b as usize * shape.d as usize;
    for (row, cells) in k.chunks_exact_mut(width).enumerate() {
        write(extents.first_key + row as u64, (row * width) as u64, cells);
    }
}

/// Writes w [sq, b, h] fp32.
pub fn fill_weights(data: Data, seed: u64, index: u64, shape: &Shape, w: &mut [f32]) {
    let stream = stream(seed, index, Buffer::Weights);
    let heads = u64::from(shape.h);
    for (i, weight) in w.iter_mut().enumerate() {
        let i = i as u64;
        let normal = stream.normal(i);
        *weight = match data {
            Data::Normal | Data::AllEqual => normal,
            Data::NegativeWeights => -normal.abs() - 1.0 / 64.0,
            Data::Plateau | Data::Rising => normal.abs() + 1.0 / 64.0,
            Data::SmallIntegers => small_integer(stream, i),
            // MAX times a dot above 1 overflows to infinity; a dot of 0 gives 0, not NaN.
            Data::Infinities if i.is_multiple_of(heads) && (i / heads).is_multiple_of(2) => {
                if (i / heads).is_multiple_of(4) { -f32::MAX } else { f32::MAX }
            }
            Data::Infinities => normal,
        };
    }
}

/// Fills the index cache of the decode lane before step 0: whole numbers from -2 to 2.
pub fn fill_cache(seed: u64, cache: &mut [u16]) {
    let stream = Stream::new(seed, [u64::MAX, Buffer::Keys as u64]);
    fill(cache, |i| small_integer(stream, i));
}
