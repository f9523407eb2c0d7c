//! Digests of buffers: 64 bits that two runs, or two machines, can be compared by.
//!
//! The digest of a buffer is defined over its bytes, row-major and dense. They are cut into 8-byte
//! little-endian words, the last one filled up with zeros; bytes of elements that are not valid
//! under the buffer's contract count as zero. The digest is the sum of [`mix`]`(j, word j)` modulo
//! 2^64, so that it does not depend on the order in which words are taken: the device computes the
//! same (`kernels/cu/compare.cu`). Under a contract without order each row is put in order first
//! (its valid elements by their bits, falling; each once for an index set), and what then is behind
//! its last element counts as zero.
//!
//! Digests are joined by the same sum: over buffers with the buffer's index in the step's
//! declaration as the position, over steps with the step's index. A digest finds accidents, not
//! forgeries.

use crate::compare::sorted;
use crate::step::{Agreement, BufferSpec, Valid};

/// Mixes a word with its position; the constants are those of SplitMix64.
pub fn mix(position: u64, word: u64) -> u64 {
    let salt = position.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let x = (word ^ salt).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (x ^ (x >> 32)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

/// The digest of bytes that are all valid.
pub fn of_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let whole = words.iter().enumerate().map(|(j, word)| mix(j as u64, u64::from_le_bytes(*word)));
    let sum = whole.fold(0u64, u64::wrapping_add);
    if rest.is_empty() { sum } else { sum.wrapping_add(mix(words.len() as u64, u64::from_le_bytes(last))) }
}

/// The digest of an image of a buffer under its contract. `lengths` holds the valid length of each
/// row, if the contract takes one.
pub fn of_image(spec: &BufferSpec, image: &[u8], lengths: Option<&[i32]>) -> u64 {
    let ordered = spec.contract.agreement == Agreement::Bits;
    let within = spec.lengths_within();
    let lengths = within.as_deref().or(lengths).filter(|_| !matches!(spec.contract.valid, Valid::All));
    if ordered && lengths.is_none() {
        return of_bytes(image);
    }
    let size = spec.dtype.size();
    let row = spec.shape.last().copied().unwrap_or(1).max(1);
    let mut valid = vec![0; image.len()];
    for (r, (from, to)) in image.chunks_exact(row * size).zip(valid.chunks_exact_mut(row * size)).enumerate() {
        let length = lengths.map_or(row, |lengths| usize::try_from(lengths[r]).unwrap_or(0).min(row));
        let kept = &from[..length * size];
        if ordered {
            to[..kept.len()].copy_from_slice(kept);
        } else {
            let kept = sorted(spec, kept);
            to[..kept.len()].copy_from_slice(&kept);
        }
    }
    of_bytes(&valid)
}

/// Joins digests, each with its position.
pub fn join(digests: impl IntoIterator<Item = (u64, u64)>) -> u64 {
    digests.into_iter().fold(0, |sum, (position, digest)| sum.wrapping_add(mix(position, digest)))
}

/// 16 hexadecimal digits.
pub fn hex(digest: u64) -> String {
    format!("{digest:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::DType;

    #[test]
    fn the_definition_is_kept() {
        // A receipt of an older version must stay comparable: these numbers may not change.
        assert_eq!(hex(of_bytes(b"")), "0000000000000000");
        assert_eq!(hex(of_bytes(&[0; 8])), hex(mix(0, 0)));
        assert_eq!(
            hex(of_bytes(b"graphproof")),
            hex(mix(0, u64::from_le_bytes(*b"graphpro")).wrapping_add(mix(1, 0x666f)))
        );
        assert_eq!(hex(mix(0, 0)), "c1b2082a81e105e3");
    }

    #[test]
    fn order_of_elements_counts_unless_the_contract_says_otherwise() {
        let image = |values: [i32; 4]| bytemuck::cast_slice::<i32, u8>(&values).to_vec();
        let (a, b) = (image([1, 2, 3, 4]), image([2, 1, 4, 3]));
        let spec = |agreement| BufferSpec::output("o", DType::I32, [2, 2]).contract(agreement, Valid::All);
        assert_ne!(of_image(&spec(Agreement::Bits), &a, None), of_image(&spec(Agreement::Bits), &b, None));
        for agreement in [Agreement::IndexSet, Agreement::SortedValues] {
            assert_eq!(of_image(&spec(agreement), &a, None), of_image(&spec(agreement), &b, None));
        }
        let twice = image([1, 1, 2, 2]);
        let once = image([1, 0, 2, 0]);
        assert_ne!(of_image(&spec(Agreement::IndexSet), &twice, None), of_image(&spec(Agreement::IndexSet), &a, None));
        assert_ne!(
            of_image(&spec(Agreement::SortedValues), &twice, None),
            of_image(&spec(Agreement::IndexSet), &once, None)
        );
    }

    #[test]
    fn elements_beyond_a_rows_length_do_not_count() {
        let spec = BufferSpec::output("o", DType::U8, [3, 5])
            .contract(Agreement::Bits, Valid::RowPrefix { lengths: "n".into() });
        let (mut a, b) = ([7u8; 15], [7u8; 15]);
        (a[4], a[5], a[14]) = (1, 1, 1);
        assert_eq!(of_image(&spec, &a, Some(&[4, -1, 4])), of_image(&spec, &b, Some(&[4, -1, 4])));
        assert_ne!(of_image(&spec, &a, Some(&[5, 0, 9])), of_image(&spec, &b, Some(&[5, 0, 9])));
    }

    #[test]
    fn the_step_counts() {
        assert_ne!(join([(0, 5), (1, 6)]), join([(0, 6), (1, 5)]));
        assert_eq!(join([(1, 6), (0, 5)]), join([(0, 5), (1, 6)]));
    }
}
