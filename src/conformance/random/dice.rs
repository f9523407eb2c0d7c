//! The choices of one sequence: a stream of random numbers that a seed and a place name.

use graphproof_harness::rng::Stream;

/// Draws in order; the same seed and place give the same draws on every machine.
#[derive(Debug)]
pub struct Dice {
    stream: Stream,
    next: u64,
}

impl Dice {
    /// The draws of the sequence at `index` of `seed`.
    pub fn new(seed: u64, index: u64) -> Self {
        Self { stream: Stream::new(seed, [index, super::GENERATOR]), next: 0 }
    }

    /// A number in `0..bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.next += 1;
        self.stream.below(self.next - 1, bound as u32) as usize
    }

    /// True in `percent` of a hundred draws.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the items; `None` of none.
    pub fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        items.get(self.below(items.len())).cloned()
    }
}
