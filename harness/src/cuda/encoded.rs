//! Tensor maps that were encoded in this process, as far as the calls were heard: what each looks like and where its
//! tensor is, by the bytes that the driver made of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a `CUtensorMap`.
const BYTES: usize = 128;
/// Maps that are remembered; of what is encoded beyond them only the address can be found.
const MOST: usize = 1 << 16;
/// D (CUDA driver API, cuTensorMapEncodeTiled): dimensions at most.
const MOST_RANK: usize = 5;

/// Element types by `CUtensorMapDataType`.
const TYPES: [&str; 13] =
    ["u8", "u16", "u32", "i32", "u64", "i64", "f16", "f32", "f64", "bf16", "f32 (ftz)", "tf32", "tf32 (ftz)"];

/// Address and description, by the map's bytes.
type Maps = HashMap<[u8; BYTES], (u64, String)>;

static MAPS: Mutex<Option<Maps>> = Mutex::new(None);

fn maps() -> MutexGuard<'static, Option<Maps>> {
    MAPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the tensor of a map of those bytes is, and what it looks like.
pub fn find(bytes: &[u8; BYTES]) -> Option<(u64, String)> {
    maps().as_ref()?.get(bytes).cloned()
}

/// What is copied of a tensor at once.
pub enum Pieces<'a> {
    /// A box of these sizes.
    Boxes(&'a [u64]),
    /// So many channels of so many pixels.
    Columns(u64, u64),
    /// It is not known.
    Unknown,
}

/// A map in words, with the sizes of its tensor, the innermost first.
pub fn told(data_type: usize, rank: usize, sizes: &[u64], pieces: Pieces<'_>) -> String {
    let rank = rank.min(MOST_RANK);
    let extents = |sizes: &[u64]| sizes.iter().take(rank).map(|size| size.to_string()).collect::<Vec<_>>().join("x");
    let element = TYPES.get(data_type).copied().unwrap_or("unknown");
    let pieces = match pieces {
        Pieces::Boxes(sizes) => format!(" in boxes of {}", extents(sizes)),
        Pieces::Columns(channels, pixels) => format!(" in columns of {channels} channels of {pixels} pixels"),
        Pieces::Unknown => String::new(),
    };
    format!("the tensor map of {} {element}{pieces}", extents(sizes))
}

/// Notes what a call made, if it writes a tensor map.
///
/// # Safety
/// A call of that name has just succeeded with these arguments, and what they point to can be read.
pub unsafe fn hear(function: &str, words: &[u64]) {
    let word = |at: usize| words.get(at).copied().unwrap_or(0);
    // SAFETY: as above; a list of a map has as many entries as its rank.
    let list = |at: usize, rank: usize| unsafe { std::slice::from_raw_parts(word(at) as *const u64, rank) };
    let rank = (word(2) as usize).min(MOST_RANK);
    let (address, told) = match function {
        "cuTensorMapEncodeTiled" if words.len() >= 12 => {
            // SAFETY: as above.
            let sizes = unsafe { std::slice::from_raw_parts(word(6) as *const u32, rank) };
            let sizes: Vec<u64> = sizes.iter().map(|size| u64::from(*size)).collect();
            (word(3), told(word(1) as usize, rank, list(4, rank), Pieces::Boxes(&sizes)))
        }
        "cuTensorMapEncodeIm2col" if words.len() >= 15 => {
            (word(3), told(word(1) as usize, rank, list(4, rank), Pieces::Columns(word(8), word(9))))
        }
        "cuTensorMapEncodeIm2colWide" if words.len() >= 16 => {
            (word(3), told(word(1) as usize, rank, list(4, rank), Pieces::Unknown))
        }
        "cuTensorMapReplaceAddress" if words.len() >= 2 => {
            (word(1), "the tensor map that was given another address".to_owned())
        }
        _ => return,
    };
    // SAFETY: the call has filled the map in.
    let bytes = unsafe { (word(0) as *const [u8; BYTES]).read_unaligned() };
    let mut maps = maps();
    let maps = maps.get_or_insert_default();
    if maps.len() < MOST || maps.contains_key(&bytes) {
        maps.insert(bytes, (address, told));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_known_by_its_bytes_and_described_by_the_call_that_made_it() {
        // No address of a tensor can be read in these bytes.
        let map: [u8; BYTES] = std::array::from_fn(|at| (at as u8).wrapping_mul(91) ^ 7);
        let (extents, sizes) = ([64u64, 32], [16u32, 8]);
        let mut words = [0u64; 12];
        words[0] = map.as_ptr().addr() as u64;
        (words[1], words[2], words[3]) = (9, 2, 0x7f00_0000_1000);
        (words[4], words[6]) = (extents.as_ptr().addr() as u64, sizes.as_ptr().addr() as u64);
        // SAFETY: the arguments of such a call.
        unsafe { hear("cuTensorMapEncodeTiled", &words) };
        let known = find(&map).expect("it was heard");
        assert_eq!(known, (0x7f00_0000_1000, "the tensor map of 64x32 bf16 in boxes of 16x8".to_owned()));
        // SAFETY: nothing is read for another function.
        unsafe { hear("cuMemAlloc_v2", &words) };
        let other: [u8; BYTES] = std::array::from_fn(|at| map[at].wrapping_add(u8::from(at == 127)));
        assert_eq!(find(&other), None, "bytes that differ in one are another map");
    }

    #[test]
    fn the_places_of_arguments_are_those_of_the_table() {
        for (function, names) in [
            ("cuTensorMapEncodeTiled", &[(4, "globalDim"), (6, "boxDim")][..]),
            ("cuTensorMapEncodeIm2col", &[(4, "globalDim"), (8, "channelsPerPixel"), (9, "pixelsPerColumn")]),
            ("cuTensorMapEncodeIm2colWide", &[(4, "globalDim")]),
        ] {
            let row = graphproof_api::find(function).expect("in the table");
            let arguments = row.arguments.as_deref().expect("arguments");
            let common = [(0, "tensorMap"), (1, "tensorDataType"), (2, "tensorRank"), (3, "globalAddress")];
            for (at, name) in common.iter().chain(names) {
                assert_eq!(arguments[*at].name, *name, "{function}");
            }
        }
    }
}
