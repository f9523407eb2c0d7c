//! Inputs that hurt: what a step is fed, by step index and seed alone.
//!
//! Two cycles of coprime lengths run side by side, one over the data and one over the limits, so
//! that 56 steps meet every combination. Lengths and limits change from step to step: a value
//! baked in at capture shows at the second replay.

use graphproof_harness::error::StepResult;
use graphproof_harness::step::HostBuffers;
use half::bf16;

use crate::rng::Stream;
use crate::shape::Shape;

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
    /// Some or all scores of every other row are -inf (a finite weight that overflows).
    NegativeInfinity,
    /// Scores rise with the index, in steps of equal ones: every key passes the threshold.
    Rising,
}

/// The data of step `index`, in turn.
pub const DATA: [Data; 7] = [
    Data::Normal,
    Data::Plateau,
    Data::SmallIntegers,
    Data::NegativeInfinity,
    Data::AllEqual,
    Data::NegativeWeights,
    Data::Rising,
];

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

/// What step `index` is fed.
pub fn families(index: u64) -> (Data, Limits) {
    (DATA[(index % DATA.len() as u64) as usize], LIMITS[(index % LIMITS.len() as u64) as usize])
}

/// Numbers the random streams of a step.
#[derive(Clone, Copy)]
enum Buffer {
    Queries,
    Keys,
    Weights,
    Limits,
    Choice,
    Shared,
}

fn stream(seed: u64, index: u64, buffer: Buffer) -> Stream {
    Stream::new(seed, [index, buffer as u64])
}

/// The extents that data is written for: a row of keys may be a single new token.
#[derive(Debug, Clone, Copy)]
pub struct Extents {
    /// Query rows of a batch.
    pub sq: usize,
    /// Keys of a batch present in the buffer.
    pub sk: usize,
    /// Index of the first of these keys.
    pub first_key: u64,
    /// Keys that a row may see in the end.
    pub visible: u32,
}

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
        Data::Plateau | Data::NegativeInfinity => fill(q, |i| stream.normal(i).abs()),
        Data::SmallIntegers => fill(q, |i| small_integer(stream, i)),
        Data::Rising => fill(q, |i| 1.0 + stream.below(i, 3) as f32),
    }
}

/// Writes k [sk, b, d] bf16.
pub fn fill_keys(data: Data, seed: u64, index: u64, shape: &Shape, extents: Extents, k: &mut [u16]) {
    let stream = stream(seed, index, Buffer::Keys);
    let width = u64::from(shape.b) * u64::from(shape.d);
    match data {
        Data::Normal | Data::NegativeWeights => fill(k, |i| stream.normal(i)),
        Data::Plateau => {
            // About half of topk keys lie above the plateau, so that the boundary cuts it.
            let choice = self::stream(seed, index, Buffer::Choice);
            fill(k, |i| {
                let key = extents.first_key + i / width;
                let above = choice.below(key, extents.visible) < shape.topk.div_ceil(2);
                if above { stream.normal(i).abs() } else { -stream.normal(i).abs() }
            });
        }
        Data::AllEqual => {
            // Not by index: in the decode lane the keys of earlier steps are to be equal too.
            let shared = Stream::new(seed, [0, Buffer::Shared as u64]);
            fill(k, |i| shared.normal(i % width));
        }
        Data::SmallIntegers => fill(k, |i| small_integer(stream, i)),
        Data::NegativeInfinity if index.is_multiple_of(2) => fill(k, |i| stream.normal(i).abs()),
        Data::NegativeInfinity => {
            let choice = self::stream(seed, index, Buffer::Choice);
            fill(k, |i| if choice.bits(i / width) & 1 == 0 { stream.normal(i).abs() } else { -stream.normal(i).abs() });
        }
        Data::Rising => {
            let d = u64::from(shape.d);
            fill(k, |i| if i % d == 0 { (extents.first_key + i / width) as f32 } else { 0.0 });
        }
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
            // -MAX times a dot above 1 overflows to -inf; a dot of 0 gives 0, not NaN.
            Data::NegativeInfinity if i.is_multiple_of(heads) && (i / heads).is_multiple_of(2) => -f32::MAX,
            Data::NegativeInfinity => normal,
        };
    }
}

/// Writes start and end [b, sq] i32. `first_row` is the row number that the first row counts
/// as: the decode lane has one row a step, which walks on with the step index.
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
                let lengths =
                    [0, 1, topk - 1, topk, topk + 1, 63, 64, 65, 255, 256, 257, u64::from(sk) - 1, u64::from(sk)];
                let length = within(lengths[((row + index) % lengths.len() as u64) as usize]);
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

/// Fills q, w, start and end of step `index`, and k or a single new key under `keys`.
///
/// # Errors
/// A buffer that is not declared or has another element type.
pub fn fill_step(
    index: u64,
    seed: u64,
    shape: &Shape,
    extents: Extents,
    keys: &str,
    inputs: &mut HostBuffers,
) -> StepResult<()> {
    let (data, limits) = families(index);
    fill_queries(data, seed, index, inputs.slice_mut("q")?);
    fill_keys(data, seed, index, shape, extents, inputs.slice_mut(keys)?);
    fill_weights(data, seed, index, shape, inputs.slice_mut("w")?);
    let mut start = inputs.slice::<i32>("start")?.to_vec();
    fill_limits(limits, seed, index, shape, extents, &mut start, inputs.slice_mut("end")?);
    inputs.slice_mut("start")?.copy_from_slice(&start);
    Ok(())
}

/// Fills the index cache of the decode lane before step 0: whole numbers from -2 to 2.
pub fn fill_cache(seed: u64, cache: &mut [u16]) {
    let stream = Stream::new(seed, [u64::MAX, Buffer::Keys as u64]);
    fill(cache, |i| small_integer(stream, i));
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENTS: Extents = Extents { sq: 64, sk: 512, first_key: 0, visible: 512 };

    #[test]
    fn fifty_six_steps_meet_every_combination() {
        let mut seen: Vec<_> = (0..56).map(families).collect();
        seen.dedup_by(|a, b| a == b);
        for data in DATA {
            for limits in LIMITS {
                assert!(seen.contains(&(data, limits)), "{data:?} {limits:?}");
            }
        }
    }

    #[test]
    fn limits_cover_empty_short_and_boundary_rows_and_stay_inside_when_they_should() {
        let shape = Shape::default();
        for limits in LIMITS {
            let (mut start, mut end) = (vec![0; 64], vec![0; 64]);
            let mut lengths = Vec::new();
            for index in 0..16 {
                fill_limits(limits, 5, index, &shape, EXTENTS, &mut start, &mut end);
                for (&start, &end) in start.iter().zip(&end) {
                    if limits != Limits::OutOfRange {
                        assert!(0 <= start && start <= end && end <= 512, "{limits:?} [{start}, {end})");
                    }
                    lengths.push(i64::from(end) - i64::from(start));
                }
            }
            match limits {
                Limits::Boundaries => {
                    for length in [0, 1, 63, 64, 65, 255, 256, 257, 511, 512] {
                        assert!(lengths.contains(&length), "{length}");
                    }
                }
                Limits::Empty => assert!(lengths.iter().filter(|&&length| length == 0).count() > 512),
                Limits::Short => assert!(lengths.iter().all(|&length| length < 64)),
                _ => {}
            }
        }
    }

    #[test]
    fn the_smallest_shapes_are_filled_without_a_panic() {
        let shape = Shape { sq: 1, sk: 1, b: 1, h: 1, d: 32, topk: 1 };
        let extents = Extents { sq: 1, sk: 1, first_key: 0, visible: 1 };
        for index in 0..56 {
            let (data, limits) = families(index);
            let (mut start, mut end) = ([0; 1], [0; 1]);
            fill_limits(limits, 0, index, &shape, extents, &mut start, &mut end);
            fill_keys(data, 0, index, &shape, extents, &mut [0; 32]);
            fill_weights(data, 0, index, &shape, &mut [0.0; 1]);
        }
    }
}
