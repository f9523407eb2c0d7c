//! Inputs that hurt: what a step is fed, by step index and seed alone.
//!
//! Two cycles of coprime lengths run side by side, one over the data and one over the limits, so
//! that 56 steps meet every combination. Lengths and limits change from step to step: a value
//! baked in at capture shows at the second replay. The seed turns both cycles: the step that is
//! captured meets rows without keys under one seed, short ones under another, and full ones under
//! seed 0, and is replayed on all the others.

mod data;
mod limits;

use graphproof_harness::error::StepResult;
use graphproof_harness::step::HostBuffers;

pub use data::{DATA, Data, fill_cache, fill_keys, fill_queries, fill_weights};
pub use limits::{LIMITS, Limits, fill_limits};

use crate::shape::Shape;
use graphproof_harness::rng::Stream;

/// What step `index` is fed under `seed`.
pub fn families(index: u64, seed: u64) -> (Data, Limits) {
    let turn = |cycle: usize| (index % cycle as u64 + seed % cycle as u64) as usize % cycle;
    (DATA[turn(DATA.len())], LIMITS[turn(LIMITS.len())])
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
    let (data, limits) = families(index, seed);
    fill_queries(data, seed, index, inputs.slice_mut("q")?);
    fill_keys(data, seed, index, shape, extents, inputs.slice_mut(keys)?);
    fill_weights(data, seed, index, shape, inputs.slice_mut("w")?);
    let mut start = inputs.slice::<i32>("start")?.to_vec();
    fill_limits(limits, seed, index, shape, extents, &mut start, inputs.slice_mut("end")?);
    inputs.slice_mut("start")?.copy_from_slice(&start);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENTS: Extents = Extents { sq: 64, sk: 512, first_key: 0, visible: 512 };

    #[test]
    fn fifty_six_steps_meet_every_combination() {
        let seen: Vec<_> = (0..56).map(|index| families(index, 3)).collect();
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
    fn what_is_captured_on_short_rows_is_replayed_across_every_boundary() {
        // A row as long as the largest boundary, and topk between the others.
        let shape = Shape { sq: 64, sk: 20_000, b: 1, h: 1, d: 32, topk: 100, ..Shape::default() };
        let extents = Extents { sq: 64, sk: 20_000, first_key: 0, visible: 20_000 };
        let lengths = |index, seed| {
            let (mut start, mut end) = (vec![0; 64], vec![0; 64]);
            fill_limits(families(index, seed).1, seed, index, &shape, extents, &mut start, &mut end);
            let lengths = start.iter().zip(&end).map(|(&start, &end)| i64::from(end) - i64::from(start));
            lengths.collect::<Vec<_>>()
        };
        let captured = |limits| (0..16).find(|&seed| families(0, seed).1 == limits).unwrap();
        for (seed, most) in [(captured(Limits::Empty), 0), (captured(Limits::Short), 99)] {
            assert!(lengths(0, seed).iter().all(|&length| length <= most), "seed {seed}");
            let replayed: Vec<i64> = (1..9).flat_map(|index| lengths(index, seed)).collect();
            for boundary in [64, 100, 256, 16_384] {
                for length in boundary - 1..=boundary + 1 {
                    assert!(replayed.contains(&length), "seed {seed}, length {length}");
                }
            }
        }
    }

    #[test]
    fn the_smallest_shapes_are_filled_without_a_panic() {
        let shape = Shape { sq: 1, sk: 1, b: 1, h: 1, d: 32, topk: 1, ..Shape::default() };
        let extents = Extents { sq: 1, sk: 1, first_key: 0, visible: 1 };
        for index in 0..56 {
            let (data, limits) = families(index, 0);
            let (mut start, mut end) = ([0; 1], [0; 1]);
            fill_limits(limits, 0, index, &shape, extents, &mut start, &mut end);
            fill_keys(data, 0, index, &shape, extents, &mut [0; 32]);
            fill_weights(data, 0, index, &shape, &mut [0.0; 1]);
        }
    }
}
