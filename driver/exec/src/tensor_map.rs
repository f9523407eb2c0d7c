//! Tensor maps: what `cuTensorMapEncode…` and `tensormap.replace` put into the 128 bytes of a `CUtensorMap`.
//!
//! NVIDIA does not publish its layout; this is our own, and a map is good for the driver that encoded it
//! only. All numbers are little-endian.
//!
//! | byte | what |
//! |---|---|
//! | 0 | 1 for a tiled map, 2 for an im2col one; 0 in what is no map |
//! | 1 | data type |
//! | 2 | rank |
//! | 3, 4, 5, 6 | interleave, swizzle, L2 promotion, out-of-bounds fill |
//! | 7 | version of this layout, 1 |
//! | 8–15 | global address |
//! | 16–35 | sizes of the dimensions less one, 5 × u32 |
//! | 36–55 | strides of the dimensions from the second on in bytes, 4 × 40 bits |
//! | 56–65 | tiled: sizes of the box, 5 × u16; im2col: channels per pixel and pixels per column, 2 × u16 |
//! | 66–70 | element strides, 5 × u8 |
//! | 72–83 | im2col: lower and upper corner of the pixel box, 2 × 3 × i16 |

/// Why something is no tensor map that this device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapRefusal {
    /// It is one of a later architecture, not a wrong one.
    pub unsupported: bool,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A tensor map, or why it is none.
type Checked<T = ()> = Result<T, MapRefusal>;

fn wrong<T>(why: &'static str) -> Checked<T> {
    Err(MapRefusal { unsupported: false, why })
}

/// Bytes of a `CUtensorMap`.
pub const BYTES: usize = 128;

/// A field of a map, as `tensormap.replace` names it; some are of one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of PTX")]
pub enum Field {
    GlobalAddress,
    Rank,
    BoxDim(u8),
    GlobalDim(u8),
    GlobalStride(u8),
    ElementStride(u8),
    ElementType,
    Interleave,
    Swizzle,
    Fill,
}

/// Replaces a field of a tiled map. What comes out is checked when it is used: it may take several steps.
///
/// # Errors
/// The value is none of the field.
pub fn replace(bytes: &mut [u8; BYTES], field: Field, value: u64) -> Checked {
    /// `CUtensorMapDataType` of each element type of PTX.
    const TYPES: [u8; 13] = [0, 1, 2, 3, 4, 5, 6, 7, 10, 8, 9, 11, 12];
    let (at, len, value) = match field {
        Field::GlobalAddress => (8, 8, value),
        // D (PTX ISA, tensormap.replace): the rank less one.
        Field::Rank => (2, 1, value + 1),
        Field::BoxDim(n) => (56 + 2 * usize::from(n), 2, value),
        Field::GlobalDim(n) => (16 + 4 * usize::from(n), 4, value.wrapping_sub(1) & 0xffff_ffff),
        Field::GlobalStride(n) => (36 + 5 * usize::from(n), 5, value),
        Field::ElementStride(n) => (66 + usize::from(n), 1, value),
        Field::ElementType => match TYPES.get(value as usize) {
            Some(&ty) => (1, 1, u64::from(ty)),
            None => return wrong("the element type needs sm_100 or is none"),
        },
        Field::Interleave => (3, 1, value),
        Field::Swizzle => (4, 1, value),
        Field::Fill => (6, 1, value),
    };
    if len < 8 && value >> (8 * len) != 0 {
        return wrong("the value does not fit the field");
    }
    (bytes[0], bytes[7]) = (1, VERSION);
    bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
    Ok(())
}
const VERSION: u8 = 1;
/// `CU_TENSOR_MAP_INTERLEAVE_NONE`.
const NO_INTERLEAVE: u8 = 0;
/// `CU_TENSOR_MAP_INTERLEAVE_32B`.
const INTERLEAVE_32: u8 = 2;
/// `CU_TENSOR_MAP_SWIZZLE_32B`.
const SWIZZLE_32: u8 = 1;
/// `CU_TENSOR_MAP_SWIZZLE_128B`, the last one that is modelled.
const SWIZZLE_128: u8 = 3;

/// How boxes are cut out of the tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A box of these sizes in elements; interleaved: in pixels, and one slice of channels.
    Tiled([u16; 5]),
    /// Pixels of a convolution.
    Im2col {
        /// Channels of a pixel that are read at once.
        channels: u16,
        /// Pixels of a column.
        pixels: u16,
        /// The corners of the pixel box; as many as the rank less two.
        lower: [i16; 3],
        /// See `lower`.
        upper: [i16; 3],
    },
}

/// A tensor map. Arrays have as many valid entries as the rank, strides one less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of cuTensorMapEncodeTiled's arguments")]
pub struct TensorMap {
    pub data_type: u8,
    pub rank: u8,
    pub interleave: u8,
    pub swizzle: u8,
    pub l2_promotion: u8,
    pub fill: u8,
    pub address: u64,
    /// In elements, the innermost first; interleaved: in pixels, the last but one in slices of channels.
    pub dimensions: [u64; 5],
    /// In bytes, of the second dimension first.
    pub strides: [u64; 4],
    pub element_strides: [u8; 5],
    pub window: Window,
}

impl TensorMap {
    /// Bytes of an element.
    pub fn element_bytes(&self) -> u64 {
        match self.data_type {
            0 => 1,
            1 | 6 | 9 => 2,
            4 | 5 | 8 => 8,
            _ => 4,
        }
    }

    fn is_float(&self) -> bool {
        (6..=12).contains(&self.data_type)
    }

    /// What cuda.h says of the arguments (D, cuTensorMapEncodeTiled, cuTensorMapEncodeIm2col), and of interleaved tiled
    /// maps what an H200 takes (M, driver 580.159.04): every swizzle, and rows of whole 16 bytes, however long.
    ///
    /// # Errors
    /// What is wrong, or came with sm_100: a packed data type or another swizzle.
    pub fn check(&self) -> Checked {
        if (13..=15).contains(&self.data_type) || (SWIZZLE_128 + 1..=6).contains(&self.swizzle) {
            return Err(MapRefusal { unsupported: true, why: "its data type or swizzle needs sm_100" });
        }
        if self.data_type > 12 {
            return wrong("its data type is none");
        }
        if self.interleave > INTERLEAVE_32 || self.swizzle > SWIZZLE_128 || self.l2_promotion > 3 || self.fill > 1 {
            return wrong("its interleave, swizzle, L2 promotion or fill is none");
        }
        let least =
            if self.interleave != NO_INTERLEAVE || matches!(self.window, Window::Im2col { .. }) { 3 } else { 1 };
        if !(least..=5).contains(&self.rank) {
            return wrong("its rank is not from 1 (interleaved, im2col: 3) to 5");
        }
        if self.fill == 1 && !self.is_float() {
            return wrong("it fills integers with NaN");
        }
        let rank = usize::from(self.rank);
        let unit = if self.interleave == INTERLEAVE_32 { 32 } else { 16 };
        if !self.address.is_multiple_of(unit) {
            return wrong("its global address is not a multiple of 16 (interleaved by 32 bytes: of 32)");
        }
        if !self.dimensions[..rank].iter().all(|&size| (1..=1 << 32).contains(&size)) {
            return wrong("a dimension is not from 1 to 2^32");
        }
        if !self.strides[..rank - 1].iter().all(|&stride| stride.is_multiple_of(unit) && stride < 1 << 40) {
            return wrong("a stride is not a multiple of 16 (interleaved by 32 bytes: of 32) below 2^40");
        }
        if !self.element_strides[..rank].iter().all(|&stride| (1..=8).contains(&stride)) {
            return wrong("an element stride is not from 1 to 8");
        }
        let row = match self.window {
            Window::Tiled(sizes) => {
                if !sizes[..rank].iter().all(|&size| (1..=256).contains(&size)) {
                    return wrong("a size of the box is not from 1 to 256");
                }
                u64::from(sizes[0])
            }
            Window::Im2col { channels, pixels, lower, upper } => {
                let corner = match rank {
                    3 => i16::MIN..=i16::MAX,
                    4 => -128..=127,
                    _ => -16..=15,
                };
                let corners = lower[..rank - 2].iter().chain(&upper[..rank - 2]).all(|edge| corner.contains(edge));
                if !corners || !(1..=256).contains(&channels) || !(1..=1024).contains(&pixels) {
                    return wrong("its pixel box is out of range");
                }
                u64::from(channels)
            }
        };
        let whole = (row * self.element_bytes()).is_multiple_of(16);
        // The span that is swizzled: 32, 64 or 128 bytes.
        let within = self.swizzle == 0 || row * self.element_bytes() <= 16 << self.swizzle;
        let fits = match (self.interleave, self.window) {
            (NO_INTERLEAVE, _) => whole && within,
            (_, Window::Tiled(_)) => whole,
            (INTERLEAVE_32, _) => self.swizzle == SWIZZLE_32,
            _ => true,
        };
        if fits { Ok(()) } else { wrong("a row of its box is no multiple of 16 bytes, or longer than its swizzle") }
    }

    /// The bytes of the map.
    pub fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&[
            1 + u8::from(matches!(self.window, Window::Im2col { .. })),
            self.data_type,
            self.rank,
            self.interleave,
            self.swizzle,
            self.l2_promotion,
            self.fill,
            VERSION,
        ]);
        let mut at = 8;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(&self.address.to_le_bytes());
        self.dimensions.iter().for_each(|size| put(&(size.wrapping_sub(1) as u32).to_le_bytes()));
        self.strides.iter().for_each(|stride| put(&stride.to_le_bytes()[..5]));
        match self.window {
            Window::Tiled(sizes) => sizes.iter().for_each(|size| put(&size.to_le_bytes())),
            Window::Im2col { channels, pixels, .. } => {
                [channels, pixels, 0, 0, 0].iter().for_each(|number| put(&number.to_le_bytes()));
            }
        }
        put(&self.element_strides);
        put(&[0]);
        if let Window::Im2col { lower, upper, .. } = self.window {
            lower.iter().chain(&upper).for_each(|edge| put(&edge.to_le_bytes()));
        }
        bytes
    }

    /// The map in those bytes.
    ///
    /// # Errors
    /// They are no map of this driver, or one that [`TensorMap::check`] refuses.
    pub fn decode(bytes: &[u8; BYTES]) -> Checked<Self> {
        let number = |at: usize, len: usize| {
            bytes[at..at + len].iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte))
        };
        let short = |at: usize| number(at, 2) as u16;
        let corner = |at: usize| [0, 2, 4].map(|offset| short(at + offset) as i16);
        let window = match bytes[0] {
            1 => Window::Tiled([0, 2, 4, 6, 8].map(|offset| short(56 + offset))),
            2 => Window::Im2col { channels: short(56), pixels: short(58), lower: corner(72), upper: corner(78) },
            _ => return wrong("the bytes are no tensor map of this driver"),
        };
        if bytes[7] != VERSION {
            return wrong("the bytes are no tensor map of this driver");
        }
        let map = Self {
            data_type: bytes[1],
            rank: bytes[2],
            interleave: bytes[3],
            swizzle: bytes[4],
            l2_promotion: bytes[5],
            fill: bytes[6],
            address: number(8, 8),
            dimensions: [0, 1, 2, 3, 4].map(|place| number(16 + 4 * place, 4) + 1),
            strides: [0, 1, 2, 3].map(|place| number(36 + 5 * place, 5)),
            element_strides: [66, 67, 68, 69, 70].map(|at| bytes[at]),
            window,
        };
        map.check().map(|()| map)
    }
}
