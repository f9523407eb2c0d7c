//! Random draws, the same on every machine for ever: a record names kernels by their seeds.

use graphproof_harness::rng::Stream;

/// A sequence of draws.
#[derive(Debug, Clone)]
pub struct Draw {
    stream: Stream,
    next: u64,
}

impl Draw {
    /// The sequence of `seed` for one purpose.
    pub fn new(seed: u64, purpose: u64) -> Self {
        Draw { stream: Stream::new(seed, [purpose, 0x6b66]), next: 0 }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.next += 1;
        self.stream.bits(self.next - 1)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.next += 1;
        self.stream.below(self.next - 1, bound as u32) as usize
    }

    /// True `percent` times of a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Puts them in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for n in (1..items.len()).rev() {
            let other = self.below(n + 1);
            items.swap(n, other);
        }
    }
}
