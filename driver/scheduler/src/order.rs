//! Which of several things that may run now runs: what CUDA leaves open.

/// The seed of no choice: what could run first runs first.
pub const FORWARDS: u64 = u64::MAX - 1;

/// The other extreme: what could run last runs first.
pub const BACKWARDS: u64 = u64::MAX;

/// Scrambles a number (the finaliser of SplitMix64).
pub fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// The seed of a part `of` what `seed` orders. The extremes are those of all parts.
pub fn part(seed: u64, of: u64) -> u64 {
    if seed >= FORWARDS { seed } else { mix(seed ^ of).min(FORWARDS - 1) }
}

/// Takes one of `ready`, which under the extremes are in the order in which they became so: `draw` gives the next
/// number of the seed's sequence. `None` if there is none.
pub fn take<T>(ready: &mut Vec<T>, seed: u64, draw: impl FnOnce() -> u64) -> Option<T> {
    match (ready.len(), seed) {
        (0, _) => None,
        (_, FORWARDS) => Some(ready.remove(0)),
        (1, _) | (_, BACKWARDS) => ready.pop(),
        (count, _) => Some(ready.swap_remove((draw() % count as u64) as usize)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order in which eight things run that are ready at once, and of which the third makes another ready.
    fn order(seed: u64) -> Vec<u64> {
        let (mut ready, mut ran, mut draws) = ((0..8).collect(), Vec::new(), 0);
        while let Some(next) = take(&mut ready, seed, || {
            draws += 1;
            mix(seed.wrapping_add(draws))
        }) {
            ran.push(next);
            if next == 2 {
                ready.push(8);
            }
        }
        ran
    }

    #[test]
    fn the_extremes_are_those_of_all_parts() {
        assert_eq!(order(FORWARDS), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(order(BACKWARDS), [7, 6, 5, 4, 3, 2, 8, 1, 0]);
        for of in 0..100 {
            assert_eq!((part(FORWARDS, of), part(BACKWARDS, of)), (FORWARDS, BACKWARDS));
            assert!(part(7, of) < FORWARDS);
        }
    }

    #[test]
    fn every_seed_runs_everything_once() {
        let orders: std::collections::HashSet<Vec<u64>> = (0..50).map(order).collect();
        assert!(orders.len() > 40);
        for mut order in orders {
            order.sort_unstable();
            assert!(order.into_iter().eq(0..9));
        }
    }
}
