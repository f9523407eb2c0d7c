//! The reference against cases worked out by hand.

use graphproof_harness::step::{HostBuffers, Role, Step};
use half::bf16;

use super::*;
use crate::ptx::PtxSource;
use crate::steps::IndexerStep;

/// One row, one head, d = 32: key j has `keys[j]` in its first place, q has 1 there.
fn one_row(lane: Lane, keys: &[f32], weight: f32, topk: u32, limits: (i32, i32)) -> (Shape, HostBuffers) {
    let shape = Shape { sq: 1, sk: keys.len() as u32, b: 1, h: 1, d: 32, topk, ..Shape::default() };
    let mut inputs = HostBuffers::zeroed(&lane.buffers(&shape), |role| role == Role::Input);
    inputs.slice_mut::<u16>("q").unwrap()[0] = bf16::ONE.to_bits();
    for (j, &key) in keys.iter().enumerate() {
        inputs.slice_mut::<u16>("k").unwrap()[j * 32] = bf16::from_f32(key).to_bits();
    }
    inputs.slice_mut::<f32>("w").unwrap()[0] = weight;
    inputs.slice_mut::<i32>("start").unwrap()[0] = limits.0;
    inputs.slice_mut::<i32>("end").unwrap()[0] = limits.1;
    (shape, inputs)
}

fn cells<T: bytemuck::Pod>(expected: &Expected, name: &str) -> Vec<T> {
    expected.buffers[name].chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}

fn fused(keys: &[f32], weight: f32, topk: u32, limits: (i32, i32)) -> (Vec<i32>, Vec<f32>, Expected) {
    let (shape, inputs) = one_row(Lane::Fused, keys, weight, topk, limits);
    let expected = expected(Lane::Fused, &shape, &inputs).unwrap();
    let scores = cells::<u16>(&expected, "score").into_iter().map(|bits| bf16::from_bits(bits).to_f32()).collect();
    (cells(&expected, "index"), scores, expected)
}

const INF: f32 = f32::INFINITY;

#[test]
fn descending_and_ties_by_lower_index() {
    let (index, score, expected) = fused(&[1.0, 3.0, 2.0, 3.0, 1.0, 3.0], 2.0, 4, (0, 6));
    assert_eq!(index, [1, 3, 5, 2]);
    assert_eq!(score, [6.0, 6.0, 6.0, 4.0]);
    assert_eq!(cells::<u32>(&expected, "bits"), [0b10_1110]);
    assert_eq!(cells::<f32>(&expected, "max"), [6.0]);
    let sum = 3.0 + (-2.0f32).exp() + 2.0 * (-4.0f32).exp();
    assert!((cells::<f32>(&expected, "sum_exp")[0] - sum).abs() < 1e-6);
}

#[test]
fn the_boundary_cuts_the_plateau_at_the_lower_indices() {
    let (index, score, _) = fused(&[-1.0, -2.0, 5.0, -3.0, -4.0], 1.0, 3, (0, 5));
    assert_eq!(index, [2, 0, 1]);
    assert_eq!(score, [5.0, 0.0, 0.0]);
}

#[test]
fn a_negative_weight_ranks_the_plateau_first_and_zero_has_no_sign() {
    let (index, score, _) = fused(&[2.0, -1.0, 1.0, -1.0], -1.0, 4, (0, 4));
    assert_eq!(index, [1, 3, 2, 0]);
    assert_eq!(score, [0.0, 0.0, -1.0, -2.0]);
    assert!(score[..2].iter().all(|score| score.is_sign_positive()));
}

#[test]
fn rows_shorter_than_topk_are_padded() {
    let (index, score, _) = fused(&[1.0, 2.0, 3.0, 4.0], 1.0, 4, (1, 3));
    assert_eq!(index, [2, 1, -1, -1]);
    assert_eq!(score, [3.0, 2.0, -INF, -INF]);
}

#[test]
fn topk_above_the_keys_is_padded() {
    let (index, ..) = fused(&[1.0, 2.0], 1.0, 5, (0, 2));
    assert_eq!(index, [1, 0, -1, -1, -1]);
}

#[test]
fn an_empty_row_has_no_picks_no_maximum_and_no_sum() {
    for limits in [(0, 0), (2, 2), (3, 1), (-9, -1), (7, 9)] {
        let (index, score, expected) = fused(&[1.0, 2.0, 3.0], 1.0, 2, limits);
        assert_eq!(index, [-1, -1], "{limits:?}");
        assert_eq!(score, [-INF, -INF]);
        assert_eq!(cells::<f32>(&expected, "max"), [-INF]);
        assert_eq!(cells::<f32>(&expected, "sum_exp"), [0.0]);
        assert_eq!(cells::<u32>(&expected, "bits"), [0]);
    }
}

#[test]
fn limits_are_clamped() {
    assert_eq!(clamp(-3, 99, 10), (0, 10));
    assert_eq!(clamp(i32::MIN, i32::MAX, 10), (0, 10));
    assert_eq!(clamp(8, 3, 10), (8, 8));
    assert_eq!(clamp(12, 15, 10), (10, 10));
}

#[test]
fn minus_infinity_and_nan_are_never_picked() {
    // -MAX * 2 overflows; a key that does not match scores 0.
    let (index, score, _) = fused(&[2.0, -1.0, 2.0], -f32::MAX, 3, (0, 3));
    assert_eq!((index, score), (vec![1, -1, -1], vec![0.0, -INF, -INF]));
    // inf * 0 is NaN.
    let (index, ..) = fused(&[2.0, -1.0, 3.0], INF, 3, (0, 3));
    assert_eq!(index, [0, 2, -1]);
    // A NaN dot counts as 0.
    let (index, score, _) = fused(&[f32::NAN, 1.0], 1.0, 2, (0, 2));
    assert_eq!((index, score), (vec![1, 0], vec![1.0, 0.0]));
}

#[test]
fn the_additive_mask_is_zero_at_the_picks_only() {
    let (shape, inputs) = one_row(Lane::Streamed, &[1.0, 3.0, 2.0], 1.0, 2, (0, 3));
    let expected = expected(Lane::Streamed, &shape, &inputs).unwrap();
    assert_eq!(cells::<f32>(&expected, "mask"), [-INF, 0.0, 0.0]);
}

#[test]
fn decode_appends_wraps_round_and_advances() {
    let shape = Shape { sq: 1, sk: 4, b: 1, h: 1, d: 32, topk: 4, ..Shape::default() };
    let buffers = Lane::Decode.buffers(&shape);
    let mut images = HostBuffers::zeroed(&buffers, |role| matches!(role, Role::Input | Role::State));
    images.slice_mut::<u16>("q").unwrap()[0] = bf16::ONE.to_bits();
    images.slice_mut::<f32>("w").unwrap()[0] = 1.0;
    images.slice_mut::<i32>("end").unwrap()[0] = 4;
    let mut slots = Vec::new();
    for token in 0..6u32 {
        images.slice_mut::<u16>("new_key").unwrap()[0] = bf16::from_f32(token as f32 + 1.0).to_bits();
        let after = expected(Lane::Decode, &shape, &images).unwrap();
        for name in ["cache", "position"] {
            images.bytes_mut(name).unwrap().copy_from_slice(&after.buffers[name]);
        }
        assert_eq!(images.slice::<u32>("position").unwrap(), [token + 1]);
        slots.push(cells::<i32>(&after, "index"));
    }
    assert_eq!(slots[0], [0, -1, -1, -1]);
    assert_eq!(slots[3], [3, 2, 1, 0]);
    assert_eq!(slots[5], [1, 0, 3, 2]);
}

#[test]
fn the_lanes_agree_on_picks() {
    let shape: Shape = "sq=5,sk=130,b=2,h=3,d=32,topk=20".parse().unwrap();
    for index in 0..56 {
        let results = [Lane::Materialized, Lane::Streamed, Lane::Fused].map(|lane| {
            let step = IndexerStep::new(lane, &shape, PtxSource::Committed).unwrap();
            let mut inputs = HostBuffers::zeroed(&step.buffers(), |role| role == Role::Input);
            step.fill_inputs(index, 11, &mut inputs).unwrap();
            let expected = expected(lane, &shape, &inputs).unwrap();
            (expected.buffers["index"].clone(), expected.buffers["score"].clone())
        });
        assert_eq!(results[0], results[1]);
        assert_eq!(results[0], results[2]);
    }
}

#[test]
fn a_tolerant_comparison_accepts_an_exchange_at_the_boundary_and_nothing_else() {
    let scores = [1.0, 3.0, 2.0, 2.000_001];
    let bits = |values: [f32; 2]| values.map(|value| bf16::from_f32(value).to_bits());
    let check = |index: [i32; 2], values| close_enough(&scores, 4, &index, &bits(values), 2, 1e-5);
    check([1, 3], [3.0, 2.0]).unwrap();
    check([1, 2], [3.0, 2.0]).unwrap();
    assert!(matches!(check([1, 0], [3.0, 1.0]), Err(Mismatch::BelowBoundary { index: 0, .. })));
    assert!(matches!(check([1, 1], [3.0, 3.0]), Err(Mismatch::Index { place: 1, .. })));
    assert!(matches!(check([1, 9], [3.0, 3.0]), Err(Mismatch::Index { index: 9, .. })));
    assert!(matches!(check([1, -1], [3.0, -INF]), Err(Mismatch::Count { found: 1, .. })));
    assert!(matches!(check([1, 3], [3.0, 2.5]), Err(Mismatch::Score { place: 1, .. })));
}

/// Scores [rows][keys] of the default shape under the given data and unlimited rows.
fn unlimited(data: crate::inputs::Data) -> Vec<Vec<f32>> {
    use crate::inputs::{Limits, families};
    let index = (0..56).find(|&index| families(index, 0) == (data, Limits::Full)).unwrap();
    let step = IndexerStep::new(Lane::Fused, &Shape::default(), PtxSource::Committed).unwrap();
    let mut inputs = HostBuffers::zeroed(&step.buffers(), |role| role == Role::Input);
    step.fill_inputs(index, 0, &mut inputs).unwrap();
    let scores = scores(Lane::Fused, step.shape(), &inputs).unwrap();
    scores.chunks(step.shape().sk as usize).map(<[f32]>::to_vec).collect()
}

#[test]
fn the_inputs_hurt_where_they_are_meant_to() {
    use crate::inputs::Data;
    let sorted = |row: &Vec<f32>| {
        let mut row = row.clone();
        row.sort_by(|a, b| b.total_cmp(a));
        row
    };
    for row in unlimited(Data::Plateau).iter().map(sorted) {
        assert!(row[0] > 0.0 && row[63] == 0.0 && row[64] == 0.0, "the boundary does not cut the plateau");
    }
    assert!(unlimited(Data::AllEqual).iter().all(|row| row.iter().all(|score| *score == row[0])));
    assert!(unlimited(Data::NegativeWeights).iter().flatten().all(|&score| score <= 0.0));
    let cut_ties = unlimited(Data::SmallIntegers).iter().map(sorted).filter(|row| row[63] == row[64]).count();
    assert!(cut_ties > 16, "{cut_ties} rows have a tie across the boundary");
    assert!(unlimited(Data::Rising).iter().all(|row| row.windows(2).all(|pair| pair[0] <= pair[1])));
    let rows = unlimited(Data::Infinities);
    for infinity in [f32::NEG_INFINITY, f32::INFINITY] {
        assert_eq!(rows.iter().filter(|row| row.contains(&infinity)).count(), 16, "{infinity}");
    }
}
