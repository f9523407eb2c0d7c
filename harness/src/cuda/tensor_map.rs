//! Tensor maps among the parameters of kernels: 128 bytes that describe a tensor, its address among them.
//!
//! How they are laid out is each driver's own affair. The software driver's are decoded whole. NVIDIA does not publish
//! its layout: there a map is known by its bytes as a whole, where the call that wrote it was heard. Of another one only
//! the address is found: NVIDIA's driver replaces it in a map (`cuTensorMapReplaceAddress`), and a word that is an
//! address of known memory and that this call puts there is where the map keeps it.

use cudarc::driver::sys::CUtensorMap;
use graphproof_driver::tensor_map::{BYTES, TensorMap, Window};

use super::{cu, encoded};
use crate::driver::{self, DriverKind};

/// D (CUDA driver API, cuTensorMapEncodeTiled): a map is aligned to 64 bytes.
const ALIGN: usize = 64;
/// D: the driver whose interface has `cuTensorMapReplaceAddress` first.
const SINCE: i32 = 12000;

/// A tensor map in a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its first byte in the parameter.
    pub start: usize,
    /// The byte of the parameter at which the address stands; none where no word of the map is it.
    pub word: Option<usize>,
    /// The address.
    pub address: u64,
    /// What it is, in words.
    pub told: String,
}

/// The tensor maps in a parameter of `bytes` that stands at `offset` among all; `known` says of a word whether it is an
/// address of memory that somebody knows.
pub fn find(offset: usize, bytes: &[u8], known: impl Fn(u64) -> bool) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for start in (0..bytes.len()).filter(|start| (offset + start).is_multiple_of(ALIGN)) {
        let within = found.last().is_some_and(|last| start < last.start + BYTES);
        let Some(map) = bytes.get(start..start + BYTES).filter(|_| !within) else { continue };
        let map: &[u8; BYTES] = map.try_into().expect("as many bytes");
        let of = |word: usize, told: String| {
            Some(Found { start, word: Some(start + word), address: word_at(map, word), told })
        };
        let decoded = match driver::in_use() {
            Some(DriverKind::Software) => ours(map).filter(|_| known(word_at(map, 8))).and_then(|told| of(8, told)),
            Some(DriverKind::System) => match encoded::find(map).filter(|(address, _)| known(*address)) {
                Some((address, told)) => {
                    let word = (0..BYTES).step_by(8).find(|&at| word_at(map, at) == address);
                    Some(Found { start, word: word.map(|word| start + word), address, told })
                }
                None => foreign(map, &known).and_then(|word| {
                    of(word, "128 bytes in which the driver keeps an address as in a tensor map".to_owned())
                }),
            },
            None => None,
        };
        found.extend(decoded);
    }
    found
}

fn word_at(bytes: &[u8; BYTES], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// A map of the software driver, in words.
fn ours(bytes: &[u8; BYTES]) -> Option<String> {
    let map = TensorMap::decode(bytes).ok()?;
    let sizes;
    let window = match &map.window {
        Window::Tiled(boxes) => {
            sizes = boxes.map(u64::from);
            encoded::Pieces::Boxes(&sizes)
        }
        Window::Im2col { channels, pixels, .. } => encoded::Pieces::Columns((*channels).into(), (*pixels).into()),
    };
    Some(encoded::told(map.data_type.into(), map.rank.into(), &map.dimensions, window))
}

/// Where NVIDIA's driver keeps the address in these bytes, if they are as a map.
fn foreign(bytes: &[u8; BYTES], known: &impl Fn(u64) -> bool) -> Option<usize> {
    let words: [u64; BYTES / 8] = std::array::from_fn(|n| word_at(bytes, n * 8));
    let candidates = || (0..words.len()).filter(|&at| words[at].is_multiple_of(16) && known(words[at]));
    if candidates().next().is_none() || !can_replace() {
        return None;
    }
    let with = |address: u64| {
        let mut map = CUtensorMap { opaque: words };
        cu!(cuTensorMapReplaceAddress(&mut map, address as *mut _)).ok().map(|()| map.opaque)
    };
    candidates()
        .find(|&at| {
            // The address that is there changes nothing, and another this word alone.
            let mut moved = words;
            moved[at] ^= 1 << 12;
            with(words[at]) == Some(words) && with(moved[at]) == Some(moved)
        })
        .map(|at| at * 8)
}

fn can_replace() -> bool {
    let mut version = 0;
    cu!(cuDriverGetVersion(&mut version)).is_ok() && version >= SINCE
}
