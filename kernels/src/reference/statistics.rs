//! Running maximum and running sum of exponentials, in the kernels' order of additions.

/// Lanes of a warp.
const LANES: usize = 32;
/// Keys of a tile.
const TILE: usize = 64;

/// Maximum and sum of `exp(score - maximum)` over the effective scores of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// -inf for a row without a score.
    pub maximum: f32,
    /// 0 for a row without a score.
    pub sum: f32,
}

const NONE: Statistics = Statistics { maximum: f32::NEG_INFINITY, sum: 0.0 };

/// exp(x) for x ≤ 0: 2^n · p(f) with n = rint(x·log₂e), f the rest and p the Taylor polynomial
/// of 2^f of degree 6 by fused multiply-adds; 0 below 2^-126.
pub fn exp_nonpositive(x: f32) -> f32 {
    #[allow(clippy::excessive_precision, clippy::approx_constant)]
    const LOG2_E: f32 = 1.442_695_04;
    // The kernels' literals, digit for digit.
    #[allow(clippy::excessive_precision, clippy::approx_constant)]
    const COEFFICIENTS: [f32; 7] =
        [1.540_353e-4, 1.333_355_8e-3, 9.618_129e-3, 5.550_411e-2, 2.402_265e-1, 6.931_472e-1, 1.0];
    let t = x * LOG2_E;
    if t < -126.0 {
        return 0.0;
    }
    let n = t.round_ties_even();
    let f = t - n;
    let p = COEFFICIENTS.iter().fold(0.0f32, |p, &c| p.mul_add(f, c));
    // n is a whole number in -126..=0: 2^n is normal.
    p * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

/// exp(a - b) for a ≤ b; 1 for equal infinities.
fn exp_difference(a: f32, b: f32) -> f32 {
    exp_nonpositive(if a == b { 0.0 } else { a - b })
}

fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// Adds two effective scores to a lane's running statistics.
fn add_pair(running: &mut Statistics, first: f32, second: f32) {
    let maximum = larger(running.maximum, larger(first, second));
    let term = |score: f32| if score > f32::NEG_INFINITY { exp_difference(score, maximum) } else { 0.0 };
    let terms = term(first) + term(second);
    running.sum = running.sum.mul_add(exp_difference(running.maximum, maximum), terms);
    running.maximum = maximum;
}

/// Adds a partial result.
fn add_partial(running: &mut Statistics, other: Statistics) {
    let maximum = larger(running.maximum, other.maximum);
    let theirs = other.sum * exp_difference(other.maximum, maximum);
    running.sum = running.sum.mul_add(exp_difference(running.maximum, maximum), theirs);
    running.maximum = maximum;
}

/// Joins a power of two of lanes: the maximum, then the rescaled sums by a butterfly from half their
/// number down to 1.
fn join<const N: usize>(lanes: &[Statistics; N]) -> Statistics {
    let maximum = lanes.iter().fold(f32::NEG_INFINITY, |most, lane| larger(most, lane.maximum));
    let mut sums = lanes.map(|lane| lane.sum * exp_difference(lane.maximum, maximum));
    for step in (0..N.ilog2()).rev().map(|bit| 1 << bit) {
        let before = sums;
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum = before[lane] + before[lane ^ step];
        }
    }
    Statistics { maximum, sum: sums[0] }
}

/// The two keys of a tile that a lane of the SIMT kernels owns.
pub(super) fn by_half_tile(lane: usize) -> [usize; 2] {
    [lane, lane + LANES]
}

/// The two keys of a tile that a lane of the tensor-core kernel owns.
pub(super) fn by_pair(lane: usize) -> [usize; 2] {
    [2 * lane, 2 * lane + 1]
}

/// Statistics of a row of effective scores: each lane goes through its keys tile by tile.
pub fn of_row(scores: &[f32], owned: impl Fn(usize) -> [usize; 2]) -> Statistics {
    let mut lanes = [NONE; LANES];
    for tile in scores.chunks(TILE) {
        for (lane, running) in lanes.iter_mut().enumerate() {
            let [first, second] = owned(lane).map(|key| tile.get(key).copied().unwrap_or(f32::NEG_INFINITY));
            add_pair(running, first, second);
        }
    }
    join(&lanes)
}

/// Statistics of a row as two warpgroups take it, tile by tile in turn: of the 16 keys of a tile that a
/// warp has, quad l owns l and l + 8; quads are joined by a butterfly of xor 4, 2, 1, and warps in order.
pub fn of_warpgroups(scores: &[f32]) -> Statistics {
    const WARPS: usize = 4;
    const QUADS: usize = 8;
    let mut all = [[NONE; QUADS]; 2 * WARPS];
    for (number, tile) in scores.chunks(TILE).enumerate() {
        for (warp, quads) in all[number % 2 * WARPS..][..WARPS].iter_mut().enumerate() {
            for (quad, running) in quads.iter_mut().enumerate() {
                let key = |half: usize| tile.get(warp * 16 + half * 8 + quad).copied().unwrap_or(f32::NEG_INFINITY);
                add_pair(running, key(0), key(1));
            }
        }
    }
    let mut warps = all.map(|quads| join(&quads)).into_iter();
    let mut joined = warps.next().unwrap_or(NONE);
    warps.for_each(|warp| add_partial(&mut joined, warp));
    joined
}

/// Statistics of a row that is scored in splits of `split` keys by four warps: the 16 keys of a tile that a warp
/// has belong to the lanes without bit 2; warps are joined in order, then lane l of a warp joins the splits
/// l, l + 32, … and the lanes are joined.
pub fn of_splits(scores: &[f32], split: usize) -> Statistics {
    const WARPS: usize = 2;
    let mut all = [NONE; LANES];
    for (number, part) in scores.chunks(split).enumerate() {
        let mut warps = [[NONE; LANES]; WARPS];
        for tile in part.chunks(TILE) {
            for (place, &score) in tile.iter().enumerate() {
                // Place 8a + 2b + c of a warp's keys is that of lane 8a + 4c + b.
                let (warp, key) = (place / LANES, place % LANES);
                let lane = key / 8 * 8 + key % 2 * 4 + key % 8 / 2;
                add_pair(&mut warps[warp][lane], score, f32::NEG_INFINITY);
            }
        }
        let mut joined = join(&warps[0]);
        warps[1..].iter().for_each(|warp| add_partial(&mut joined, join(warp)));
        add_partial(&mut all[number % LANES], joined);
    }
    join(&all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_close_and_exact_at_zero() {
        assert_eq!(exp_nonpositive(0.0), 1.0);
        assert_eq!(exp_nonpositive(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp_nonpositive(-1e30), 0.0);
        for i in 0..20_000 {
            let x = -(i as f32) * 0.004;
            let exact = f64::from(x).exp();
            // Half an ulp of x·log₂e grows with |x|; the term's weight in a sum shrinks faster.
            let bound = 3e-7 + f64::from(-x) * 1.3e-7;
            assert!((f64::from(exp_nonpositive(x)) / exact - 1.0).abs() < bound, "{x}");
        }
    }

    #[test]
    fn statistics_agree_with_double_precision() {
        let scores: Vec<f32> = (0..1000).map(|i| ((i * 37) % 101) as f32 * 0.1 - 5.0).collect();
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exact: f64 = scores.iter().map(|&s| (f64::from(s) - f64::from(most)).exp()).sum();
        for found in
            [of_row(&scores, by_half_tile), of_row(&scores, by_pair), of_warpgroups(&scores), of_splits(&scores, 256)]
        {
            assert_eq!(found.maximum, most);
            assert!((f64::from(found.sum) / exact - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn rows_without_a_score_and_infinite_scores() {
        assert_eq!(of_row(&[f32::NEG_INFINITY; 70], by_half_tile), NONE);
        assert_eq!(of_splits(&[], 256), NONE);
        let mut scores = [1.0; 70];
        scores[3] = f32::INFINITY;
        scores[69] = f32::INFINITY;
        assert_eq!(of_row(&scores, by_half_tile), Statistics { maximum: f32::INFINITY, sum: 2.0 });
    }
}
