//! Orders that CUDA leaves open, from a seed.

/// The seed of no choice: blocks and warps in their order, asynchronous copies at once.
pub const FORWARDS: u64 = u64::MAX - 1;

/// The other extreme: the last block and the last warp first, asynchronous copies when they are waited for.
pub const BACKWARDS: u64 = u64::MAX;

/// Scrambles a number (the finaliser of SplitMix64).
pub(super) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A permutation of `0..count`; seed 0 is the natural order, as [`FORWARDS`] is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permutation {
    count: u64,
    step: u64,
    start: u64,
}

impl Permutation {
    pub fn new(count: u64, seed: u64) -> Self {
        if matches!(seed, 0 | FORWARDS) || count < 2 {
            return Self { count: count.max(1), step: 1, start: 0 };
        }
        if seed == BACKWARDS {
            return Self { count, step: count - 1, start: count - 1 };
        }
        let mut step = mix(seed) % count;
        while gcd(step, count) != 1 {
            step = (step + 1) % count;
        }
        Self { count, step, start: mix(seed ^ 1) % count }
    }

    /// The `n`-th element.
    pub fn get(&self, n: u64) -> u64 {
        ((u128::from(n) * u128::from(self.step) + u128::from(self.start)) % u128::from(self.count)) as u64
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_comes_once() {
        for count in [1, 2, 3, 64, 97, 100] {
            for seed in [0, 1, 7, u64::MAX - 2, FORWARDS, BACKWARDS] {
                let p = Permutation::new(count, seed);
                let mut seen: Vec<u64> = (0..count).map(|n| p.get(n)).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..count).collect::<Vec<_>>(), "count {count} seed {seed}");
            }
        }
    }

    #[test]
    fn the_extremes_are_each_others_reverse() {
        for count in [1, 2, 3, 64, 97, 100] {
            let order = |seed| (0..count).map(move |n| Permutation::new(count, seed).get(n));
            assert!(order(FORWARDS).eq(0..count));
            assert!(order(BACKWARDS).eq((0..count).rev()));
        }
    }
}
