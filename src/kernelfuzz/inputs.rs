//! What a kernel reads: the same words on every machine, with the values that hurt among them.

use super::draw::Draw;
use super::forms::Kind;

/// Cells of 8 bytes in a region; a power of two.
pub const CELLS: u32 = 512;
/// Regions, each of one flavour.
pub const REGIONS: u32 = 10;
/// Words of the constant and of the initialised global array.
pub const CONSTANT_WORDS: usize = 32;
/// Cells on which all threads work, each with an operation of its own.
pub const COMMON_CELLS: u32 = 32;
/// Sets of cells of which each thread has one, each of one flavour.
pub const PRIVATE_SETS: u32 = 4;

/// The region that holds values of this kind and width.
pub fn region(kind: Kind, bits: u32) -> u32 {
    match (kind, bits) {
        (Kind::F32, _) => 4,
        (Kind::F64, _) => 5,
        (Kind::F16 | Kind::F16x2, _) => 6,
        (Kind::Bf16 | Kind::Bf16x2, _) => 7,
        (_, 64) => 1,
        (_, 32) => 2,
        _ => 3,
    }
}

/// The region of f16 pairs that are small integers, and that of bf16 pairs.
pub const SMALL_F16: u32 = 8;
#[allow(missing_docs, reason = "see above")]
pub const SMALL_BF16: u32 = 9;

/// The input buffer.
pub fn input(seed: u64) -> Vec<u64> {
    let mut draw = Draw::new(seed, 1);
    (0..REGIONS).flat_map(|region| (0..CELLS).map(move |_| region)).map(|region| cell(region, &mut draw)).collect()
}

/// The cells for atomics: common ones, then each set's, one a thread.
pub fn cells(seed: u64, threads: u32) -> Vec<u64> {
    let mut draw = Draw::new(seed, 2);
    let common = (0..COMMON_CELLS).map(|_| 1);
    let private = [1, 4, 5, 6].into_iter().flat_map(|region| (0..threads).map(move |_| region));
    common.chain(private).map(|region| cell(region, &mut draw)).collect()
}

/// The words of the constant array.
pub fn constants(seed: u64) -> Vec<u32> {
    let mut draw = Draw::new(seed, 3);
    (0..CONSTANT_WORDS).map(|_| cell(2, &mut draw) as u32).collect()
}

/// The scalar parameters `p3` to `p7`, as bytes.
pub fn scalars(seed: u64) -> Vec<Vec<u8>> {
    let mut draw = Draw::new(seed, 4);
    let mut next = |region, bytes: usize| cell(region, &mut draw).to_le_bytes()[..bytes].to_vec();
    let (word, double, half, real) = (next(2, 4), next(1, 8), next(3, 2), next(4, 4));
    vec![word, double, half, real, [next(0, 8), next(0, 8)].concat()]
}

/// A cell of the flavour of `region`.
fn cell(region: u32, draw: &mut Draw) -> u64 {
    let mut parts = |bits: u32, part: fn(&mut Draw) -> u64| {
        (0..64 / bits).fold(0, |cell, n| cell | (part(draw) & (u64::MAX >> (64 - bits))) << (bits * n))
    };
    match region {
        0 => draw.bits(),
        1 => parts(64, |d| integer(d, 64)),
        2 => parts(32, |d| integer(d, 32)),
        3 => parts(16, |d| integer(d, 16)),
        4 => parts(32, |d| float(d, 8, 23)),
        5 => parts(64, |d| float(d, 11, 52)),
        6 => parts(16, |d| float(d, 5, 10)),
        7 => parts(16, |d| float(d, 8, 7)),
        // Small integers: products of these add up exactly in any order.
        SMALL_F16 => parts(16, |d| [0, 0x3c00, 0x4000, 0x4200, 0x4400, 0xbc00, 0xc000, 0x4500][d.below(8)]),
        _ => parts(16, |d| [0, 0x3f80, 0x4000, 0x4040, 0x4080, 0xbf80, 0xc000, 0x40a0][d.below(8)]),
    }
}

/// An integer of so many bits: one near an edge, a small one, or any.
pub fn integer(draw: &mut Draw, bits: u32) -> u64 {
    match draw.below(6) {
        0 => draw.bits(),
        1 => draw.bits() & 0xff,
        2 => (1u64 << draw.below(bits as usize)).wrapping_add(draw.below(3) as u64).wrapping_sub(1),
        3 => u64::MAX.wrapping_sub(draw.below(4) as u64),
        4 => (1u64 << (bits - 1)).wrapping_add(draw.below(4) as u64).wrapping_sub(2),
        _ => draw.bits() >> draw.below(64),
    }
}

/// A float of so many exponent and fraction bits: a special one, one near 1, near an integer, or any.
pub fn float(draw: &mut Draw, exponent: u32, fraction: u32) -> u64 {
    let (top, ones) = ((1u64 << exponent) - 1, (1u64 << fraction) - 1);
    let (bias, sign) = (top >> 1, (draw.bits() & 1) << (exponent + fraction));
    let magnitude = match draw.below(12) {
        // Zero, subnormals, the least and the greatest normal, infinity, a NaN of either kind.
        0 => [0, 1, ones, 1 << fraction, (top << fraction) - 1, top << fraction][draw.below(6)],
        1 => [0, top << fraction, top << fraction | 1, top << fraction | 1 << (fraction - 1)][draw.below(4)],
        2 => draw.bits() & ones,
        3 => draw.bits() & (ones | top << fraction),
        // Whole numbers and halves, about which conversions round.
        4 | 5 => {
            let power = draw.below(fraction as usize + 3) as u64;
            let keep = (power + 1).min(u64::from(fraction));
            let cut = ones & !(ones >> keep);
            (bias + power).min(top - 1) << fraction | draw.bits() & cut
        }
        // Near the bounds of integer types.
        6 => (bias + draw.pick(&[7u64, 8, 15, 16, 31, 32, 63, 64])).min(top - 1) << fraction | draw.bits() & ones & 3,
        7 => (bias + draw.below(3) as u64 - 1) << fraction | draw.pick(&[0, 1, 2, ones, ones - 1]),
        _ => (bias + draw.below(13) as u64 - 6) << fraction | draw.bits() & ones,
    };
    sign | magnitude
}
