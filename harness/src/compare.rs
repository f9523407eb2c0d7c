//! Bitwise comparison of two images of a buffer under its contract.

pub mod device;

use crate::step::{Agreement, BufferSpec, DType, Valid};

/// The first difference between two images of a buffer, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Flat element index of the first difference; of the row's start for contracts without order.
    pub index: usize,
    /// The element in the first image, as bytes; in order of value for contracts without order.
    pub left: Vec<u8>,
    /// The element in the second image.
    pub right: Vec<u8>,
    /// Differing elements (rows, for contracts without order).
    pub count: usize,
    /// Elements (rows) compared.
    pub compared: usize,
}

/// Compares `left` with `right`. `lengths` holds the valid length of each row, if the contract
/// takes them from a buffer: both images are cut by the same lengths, those of the reference.
pub fn compare(spec: &BufferSpec, left: &[u8], right: &[u8], lengths: Option<&[i32]>) -> Option<Difference> {
    let within = spec.lengths_within();
    let lengths = within.as_deref().or(lengths);
    let all_valid = matches!(spec.contract.valid, Valid::All);
    if left == right && all_valid {
        return None;
    }
    let size = spec.dtype.size();
    let row = spec.shape.last().copied().unwrap_or(1).max(1);
    let valid = |r: usize| match lengths {
        Some(lengths) if !all_valid => usize::try_from(lengths[r]).unwrap_or(0).min(row),
        _ => row,
    };
    let ordered = spec.contract.agreement == Agreement::Bits;
    let mut first: Option<Difference> = None;
    let (mut count, mut compared) = (0, 0);
    for (r, (left, right)) in left.chunks_exact(row * size).zip(right.chunks_exact(row * size)).enumerate() {
        let bytes = valid(r) * size;
        let (left, right) = (&left[..bytes], &right[..bytes]);
        if ordered {
            compared += valid(r);
            if left == right {
                continue;
            }
            for (i, (a, b)) in left.chunks_exact(size).zip(right.chunks_exact(size)).enumerate() {
                if a != b {
                    count += 1;
                    first.get_or_insert_with(|| difference(r * row + i, a, b));
                }
            }
        } else {
            compared += 1;
            let (a, b) = (sorted(spec, left), sorted(spec, right));
            if let Some((x, y)) = first_unequal(&a, &b, size) {
                count += 1;
                first.get_or_insert_with(|| difference(r * row, x, y));
            }
        }
    }
    first.map(|first| Difference { count, compared, ..first })
}

fn difference(index: usize, left: &[u8], right: &[u8]) -> Difference {
    Difference { index, left: left.to_vec(), right: right.to_vec(), count: 0, compared: 0 }
}

/// The row's elements in order of their bits; each once for an index set.
pub(crate) fn sorted(spec: &BufferSpec, row: &[u8]) -> Vec<u8> {
    let size = spec.dtype.size();
    let mut elements: Vec<&[u8]> = row.chunks_exact(size).collect();
    elements.sort_unstable_by_key(|e| std::cmp::Reverse(number(e)));
    if spec.contract.agreement == Agreement::IndexSet {
        elements.dedup();
    }
    elements.concat()
}

fn first_unequal<'a>(a: &'a [u8], b: &'a [u8], size: usize) -> Option<(&'a [u8], &'a [u8])> {
    let ends = a.chunks_exact(size).zip(b.chunks_exact(size)).find(|(x, y)| x != y);
    ends.or_else(|| {
        let common = a.len().min(b.len());
        (a.len() != b.len())
            .then(|| (a.get(common..common + size).unwrap_or(&[]), b.get(common..common + size).unwrap_or(&[])))
    })
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte))
}

/// An element as people read it: value and bits.
pub fn element_text(dtype: DType, bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "(none)".to_owned();
    }
    dtype.text(number(bytes))
}

/// A flat element index as coordinates: `[2,0,17]`.
pub fn coordinates(shape: &[usize], mut index: usize) -> String {
    let mut parts: Vec<String> = Vec::with_capacity(shape.len());
    for &extent in shape.iter().rev() {
        parts.push((index % extent.max(1)).to_string());
        index /= extent.max(1);
    }
    parts.reverse();
    format!("[{}]", parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: &[i32]) -> Vec<u8> {
        bytemuck::cast_slice(values).to_vec()
    }

    fn spec(agreement: Agreement, valid: Valid) -> BufferSpec {
        BufferSpec::output("o", DType::I32, [2, 3]).contract(agreement, valid)
    }

    #[test]
    fn the_first_differing_element_is_named_with_both_bit_patterns() {
        let spec = spec(Agreement::Bits, Valid::All);
        let d = compare(&spec, &bytes(&[0, 1, 2, 3, 4, 5]), &bytes(&[0, 1, 2, 3, 9, 8]), None).unwrap();
        assert_eq!((d.index, d.count, d.compared), (4, 2, 6));
        assert_eq!(element_text(DType::I32, &d.right), "9 (0x00000009)");
        assert_eq!(coordinates(&spec.shape, d.index), "[1,1]");
    }

    #[test]
    fn equal_images_agree_under_every_contract() {
        let image = bytes(&[5, 1, 2, 3, 4, 5]);
        for agreement in [Agreement::Bits, Agreement::IndexSet, Agreement::SortedValues] {
            assert_eq!(compare(&spec(agreement, Valid::All), &image, &image, None), None);
        }
    }

    #[test]
    fn elements_beyond_the_declared_length_do_not_count() {
        let spec = spec(Agreement::Bits, Valid::RowPrefix { lengths: "n".into() });
        let (a, b) = (bytes(&[0, 1, 2, 3, 4, 5]), bytes(&[0, 1, 7, 7, 7, 7]));
        assert_eq!(compare(&spec, &a, &b, Some(&[2, -1])), None);
        assert_eq!(compare(&spec, &a, &b, Some(&[3, 0])).unwrap().index, 2);
    }

    #[test]
    fn an_index_set_ignores_order_and_a_sorted_multiset_counts_repeats() {
        let (a, b, c) = (bytes(&[1, 2, 2, 0, 0, 0]), bytes(&[2, 1, 1, 0, 0, 0]), bytes(&[2, 2, 1, 0, 0, 0]));
        assert_eq!(compare(&spec(Agreement::IndexSet, Valid::All), &a, &b, None), None);
        assert_eq!(compare(&spec(Agreement::SortedValues, Valid::All), &a, &b, None).unwrap().count, 1);
        assert_eq!(compare(&spec(Agreement::SortedValues, Valid::All), &a, &c, None), None);
    }

    #[test]
    fn negative_zero_and_nan_payloads_differ_in_bits() {
        let spec = BufferSpec::output("o", DType::F32, [1]);
        let image = |x: f32| x.to_ne_bytes().to_vec();
        assert!(compare(&spec, &image(0.0), &image(-0.0), None).is_some());
        assert_eq!(compare(&spec, &image(f32::NAN), &image(f32::NAN), None), None);
    }
}
