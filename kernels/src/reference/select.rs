//! Top-k: descending by score, equal scores by lower index; -inf is never picked.

use std::cmp::Ordering;

use half::bf16;

/// bf16 bits of -inf: the score of a cell without a pick.
pub(super) const NO_SCORE: u16 = 0xff80;

/// One kept key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pick {
    /// The key.
    pub index: usize,
    /// Its effective score.
    pub score: f32,
}

impl Pick {
    /// The score as the bf16 bits of the output, rounded to nearest even.
    pub fn score_bits(&self) -> u16 {
        bf16::from_f32(self.score).to_bits()
    }
}

/// The best `topk` of a row of effective scores, best first; fewer if fewer are above -inf.
pub fn pick(scores: &[f32], topk: usize) -> Vec<Pick> {
    let mut picks: Vec<Pick> = scores
        .iter()
        .enumerate()
        .filter(|(_, score)| **score > f32::NEG_INFINITY)
        .map(|(index, &score)| Pick { index, score })
        .collect();
    picks.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal).then(a.index.cmp(&b.index)));
    picks.truncate(topk);
    picks
}
