//! Counter-based random numbers: value `i` of a stream needs no value before it.
//!
//! SplitMix64's finaliser over a Weyl sequence. Not for secrets.

/// Odd constant of the Weyl sequence: 2^64 / golden ratio.
const WEYL: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An endless sequence of random numbers, read by position.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    key: u64,
}

impl Stream {
    /// The stream named by `seed` and `name`, such as a step index and a buffer's number.
    pub fn new(seed: u64, name: [u64; 2]) -> Self {
        let key = name.iter().fold(mix(seed.wrapping_add(WEYL)), |key, &part| mix(key ^ part.wrapping_mul(WEYL)));
        Stream { key }
    }

    /// 64 random bits.
    pub fn bits(self, i: u64) -> u64 {
        mix(self.key.wrapping_add(i.wrapping_mul(WEYL)))
    }

    /// A whole number in `0..bound`; 0 for a bound of 0. The bias is below `bound / 2^32`.
    pub fn below(self, i: u64, bound: u32) -> u32 {
        (((self.bits(i) >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// About normal with mean 0 and variance 1: the sum of four uniforms of 16 bits, scaled. The
    /// bits are the same on each machine, which a logarithm's would not be.
    pub fn normal(self, i: u64) -> f32 {
        let bits = self.bits(i);
        let sum = (bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48);
        // The sum has mean 2 * 65535 and standard deviation 65536 / sqrt(3).
        (sum as i32 - 131_070) as f32 * (1.0 / 37_837.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_has_mean_zero_and_variance_one() {
        let stream = Stream::new(7, [1, 2]);
        let n = 100_000u64;
        let (mut sum, mut squares) = (0.0f64, 0.0f64);
        for i in 0..n {
            let x = f64::from(stream.normal(i));
            sum += x;
            squares += x * x;
        }
        assert!((sum / n as f64).abs() < 0.02);
        assert!((squares / n as f64 - 1.0).abs() < 0.02);
    }

    #[test]
    fn streams_with_different_names_differ() {
        let streams = [[0, 0], [0, 1], [1, 0], [1, 1]].map(|name| Stream::new(3, name).bits(0));
        for (i, a) in streams.iter().enumerate() {
            assert!(streams[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn below_stays_below() {
        let stream = Stream::new(1, [0, 0]);
        assert!((0..1000).all(|i| stream.below(i, 7) < 7));
        assert_eq!(stream.below(0, 0), 0);
    }
}
