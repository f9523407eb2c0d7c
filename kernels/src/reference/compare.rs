//! Comparison by tolerance, for the lane whose order of additions is the hardware's.

use half::bf16;

use super::select::{NO_SCORE, pick};

/// Where a row of picks is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// Another number of picks than the row has scores for.
    #[error("row {row} has {found} picks, expected {expected}")]
    Count {
        /// Row of the outputs.
        row: usize,
        /// Picks found.
        found: usize,
        /// Picks expected.
        expected: usize,
    },
    /// A pick outside the keys, repeated, or of a key that may not be picked.
    #[error("row {row}, place {place}: key {index} cannot be picked there")]
    Index {
        /// Row of the outputs.
        row: usize,
        /// Place in the row.
        place: usize,
        /// The index found.
        index: i32,
    },
    /// A key that is picked although it is clearly below the boundary.
    #[error("row {row}, place {place}: key {index} scores {score}, clearly below the boundary {boundary}")]
    BelowBoundary {
        /// Row of the outputs.
        row: usize,
        /// Place in the row.
        place: usize,
        /// The index found.
        index: i32,
        /// Its score by the reference.
        score: f32,
        /// The lowest score that the reference picks.
        boundary: f32,
    },
    /// A score that is not that of its key.
    #[error("row {row}, place {place}: key {index} has score {found}, expected {expected}")]
    Score {
        /// Row of the outputs.
        row: usize,
        /// Place in the row.
        place: usize,
        /// The key.
        index: i32,
        /// The score found.
        found: f32,
        /// The score by the reference.
        expected: f32,
    },
}

/// Checks picks whose scores were added in another order than the reference's.
///
/// `scores` are the reference's effective scores [rows, keys], `index` and `score` the outputs
/// [rows, topk] (bf16 bits). `tolerance` bounds the difference of two orders of addition,
/// absolute, in units of the score. Keys within it of the boundary may be exchanged.
///
/// # Errors
/// The first row and place that no order of additions explains.
pub fn close_enough(
    scores: &[f32],
    keys: usize,
    index: &[i32],
    score: &[u16],
    topk: usize,
    tolerance: f32,
) -> Result<(), Mismatch> {
    for (row, scores) in scores.chunks_exact(keys).enumerate() {
        let best = pick(scores, topk);
        let index = &index[row * topk..][..topk];
        let score = &score[row * topk..][..topk];
        let found = index.iter().take_while(|&&index| index >= 0).count();
        if found != best.len() || score[found..].iter().any(|&bits| bits != NO_SCORE) {
            return Err(Mismatch::Count { row, found, expected: best.len() });
        }
        let boundary = best.last().map_or(f32::NEG_INFINITY, |pick| pick.score);
        let mut seen = vec![false; keys];
        for (place, (&index, &bits)) in index.iter().zip(score).take(found).enumerate() {
            let key = index as usize;
            let expected = scores.get(key).copied().unwrap_or(f32::NEG_INFINITY);
            if expected == f32::NEG_INFINITY || std::mem::replace(&mut seen[key], true) {
                return Err(Mismatch::Index { row, place, index });
            }
            if expected < boundary - tolerance {
                return Err(Mismatch::BelowBoundary { row, place, index, score: expected, boundary });
            }
            // bf16 keeps 8 bits: rounding alone moves a score by up to 2^-8 of itself.
            let found = bf16::from_bits(bits).to_f32();
            let close = found == expected || (found - expected).abs() <= tolerance + expected.abs() / 128.0;
            if !close {
                return Err(Mismatch::Score { row, place, index, found, expected });
            }
        }
    }
    Ok(())
}
