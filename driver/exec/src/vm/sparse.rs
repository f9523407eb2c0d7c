//! A with half of its elements left out: `mma.sp`.
//!
//! Of four neighbours (of two for tf32; of four pairs for s4 and u4) two (one; two pairs) are
//! kept, in order. Metadata holds a place of two bits for each that is kept; tf32 has two such
//! places, of its halves.

use super::ctx::LANES;
use super::fragment::Multiplicand;

/// Puts the kept elements of `half`, `depth / 2` a row, to their places in `full`.
///
/// `metadata`: of each lane; `selector`: which lanes of a quad hold it, where not all do.
pub(crate) fn spread<X: Copy + Default>(
    metadata: [u32; LANES],
    selector: u32,
    ty: Multiplicand,
    half: &[X],
    rows: usize,
    depth: usize,
    full: &mut [X],
) {
    // Elements that one place of two bits moves, and whether it is one half of an element.
    let (together, twice) = match ty {
        Multiplicand::S4 | Multiplicand::U4 => (2, false),
        Multiplicand::TF32 => (1, true),
        _ => (1, false),
    };
    // Places of two bits in a row.
    let places = if twice { depth } else { depth / 2 / together };
    // Of 16-bit and larger elements a lane holds eight places of a row and eight of the row eight
    // below; of smaller ones sixteen of one row. As an H200 takes them.
    let small = ty.bits() <= 8;
    let holders = places / 8;
    let first = if holders < 4 { selector as usize * holders } else { 0 };
    for row in 0..rows {
        for place in 0..places {
            if twice && place % 2 == 1 {
                continue;
            }
            let (lane, shift) = if small {
                (first + row / 8 + place / 16 * 2, place % 16 * 2)
            } else {
                (first + place / 8, row / 8 * 16 + place % 8 * 2)
            };
            let word = metadata[(row % 8 * 4 + lane) % LANES];
            let found = (word >> shift & 3) as usize;
            if twice {
                // A half of two bits names a half of an element: two of them make one.
                let (kept, to) = (place / 2, place / 2 * 2 + found / 2);
                full[row * depth + to] = half[row * depth / 2 + kept];
            } else {
                let to = (place / 2 * 4 + found) * together;
                for e in 0..together {
                    full[row * depth + to + e] = half[row * depth / 2 + place * together + e];
                }
            }
        }
    }
}
