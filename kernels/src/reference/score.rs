//! Scores: dot products, ReLU, weighted sum over heads.

use std::ops::Range;

use half::bf16;

/// Widens bf16 bits to fp32, exactly.
pub(super) fn widen(bits: &[u16]) -> Vec<f32> {
    bits.iter().map(|&bits| bf16::from_bits(bits).to_f32()).collect()
}

/// Scores of one query row with the keys `range`.
///
/// `q` is the row's `[h, d]`, `w` its `[h]`; key j starts at `keys[j * stride]`. Each product is a
/// fused multiply-add, d ascending, then heads ascending. A NaN dot counts as 0.
pub fn row_scores(q: &[f32], w: &[f32], keys: &[f32], stride: usize, range: Range<usize>) -> Vec<f32> {
    let d = q.len() / w.len();
    range
        .map(|j| {
            let key = &keys[j * stride..][..d];
            q.chunks_exact(d).zip(w).fold(0.0f32, |score, (head, &weight)| {
                let dot = head.iter().zip(key).fold(0.0f32, |dot, (&q, &k)| q.mul_add(k, dot));
                let relu = if dot > 0.0 { dot } else { 0.0 };
                weight.mul_add(relu, score)
            })
        })
        .collect()
}

/// The score that selection and statistics see: +0 for -0 and -inf for NaN.
pub fn effective(score: f32) -> f32 {
    if score.is_nan() { f32::NEG_INFINITY } else { score + 0.0 }
}
