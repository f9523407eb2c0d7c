//! Where the bytes of a box of a tensor lie, in the tensor and in shared memory.

use super::bulk::Checked;
use crate::tensor_map::TensorMap;

/// A box: the map, where it is, and its extent.
pub(crate) struct Boxed {
    pub map: TensorMap,
    /// Elements of the box in shared memory, by dimension.
    extent: [u64; 5],
    corner: [i64; 5],
}

impl Boxed {
    /// The box of these sizes at `corner`, of a map that is not interleaved.
    pub fn tiled(mut map: TensorMap, sizes: [u16; 5], corner: [i64; 5]) -> Self {
        // D (CUDA driver API, cuTensorMapEncodeTiled): the first one counts in interleaved layouts only.
        map.element_strides[0] = 1;
        let rank = usize::from(map.rank);
        let mut extent = [1; 5];
        for n in 0..rank {
            extent[n] = u64::from(sizes[n].div_ceil(map.element_strides[n].into()));
        }
        map.dimensions[rank..].fill(1);
        map.element_strides[rank..].fill(1);
        map.strides[rank - 1..].fill(0);
        Self { map, extent, corner }
    }

    /// The box of an interleaved map, as one whose rows are pixels.
    ///
    /// M (H200, driver 580.159.04): in the layouts NC/8HWC8 and NC/16HWC16 a pixel has 16 or 32 bytes of channels, and
    /// dimension 0 counts pixels, whatever the type of its elements is. The last but one counts slices of channels; a box
    /// has one of them, whatever the map says of its size and element stride there.
    pub fn interleaved(mut map: TensorMap, mut sizes: [u16; 5], mut corner: [i64; 5]) -> Self {
        let slices = usize::from(map.rank) - 2;
        let pixel = 16 * u64::from(map.interleave);
        let elements = pixel / map.element_bytes();
        let [a, b, c, d] = map.strides;
        let mut strides = [pixel, a, b, c, d];
        // The slices come first, where the channels of a pixel take their place.
        strides[..=slices].rotate_right(1);
        sizes[..=slices].rotate_right(1);
        corner[..=slices].rotate_right(1);
        map.dimensions[..=slices].rotate_right(1);
        map.element_strides[..=slices].rotate_right(1);
        let inside = (0..map.dimensions[0] as i64).contains(&corner[0]);
        map.address = map.address.wrapping_add_signed(corner[0].wrapping_mul(strides[0] as i64));
        map.dimensions[0] = if inside { elements } else { 0 };
        map.strides.copy_from_slice(&strides[1..]);
        (sizes[0], corner[0]) = (elements as u16, 0);
        Self::tiled(map, sizes, corner)
    }

    /// Bytes that are moved, and told to an mbarrier. M (H200, driver 580.159.04): those outside the tensor count.
    pub fn bytes(&self) -> u64 {
        self.extent.iter().product::<u64>() * self.map.element_bytes()
    }

    /// Bytes of a row.
    pub fn row(&self) -> u64 {
        self.extent[0] * self.map.element_bytes()
    }

    /// Distance of rows in shared memory. M (H200, driver 580.159.04): a swizzled row takes the whole span, but pixels of
    /// an interleaved tensor lie side by side.
    fn pitch(&self) -> u64 {
        if self.map.swizzle == 0 || self.map.interleave != 0 { self.row() } else { 16 << self.map.swizzle }
    }

    /// Bytes of shared memory among which those of the box lie.
    pub fn room(&self) -> u64 {
        let bytes = self.extent[1..].iter().product::<u64>() * self.pitch();
        if self.map.swizzle == 0 { bytes } else { bytes.next_multiple_of(128) }
    }

    /// Where a byte of the box lies in shared memory, for a box at `base`. Swizzling exchanges the places of 16 bytes
    /// by the address itself, in spans of 32, 64 or 128 bytes.
    pub fn place(&self, base: u64, offset: u64) -> u64 {
        let address = base + offset;
        match self.map.swizzle {
            0 => address,
            mode => {
                let bits = (1u64 << mode) - 1;
                address ^ (address >> 7 & bits) << 4
            }
        }
    }

    /// Calls `f` with the offset of each row in the box, the global address of its first element, and the part of
    /// it (in elements) that lies in the tensor.
    pub fn rows(&self, mut f: impl FnMut(u64, u64, std::ops::Range<u64>) -> Checked<()>) -> Checked<()> {
        let TensorMap { dimensions, strides, element_strides, .. } = self.map;
        let (size, pitch) = (self.map.element_bytes(), self.pitch());
        let mut offset = 0;
        let mut at = [0u64; 5];
        loop {
            let mut address = self.map.address.wrapping_add_signed(self.corner[0].wrapping_mul(size as i64));
            let mut inside = true;
            for n in 1..5 {
                let place = self.corner[n] + (at[n] * u64::from(element_strides[n])) as i64;
                inside &= (0..dimensions[n] as i64).contains(&place);
                address = address.wrapping_add_signed(place.wrapping_mul(strides[n - 1] as i64));
            }
            let clamp = |place: i64| place.clamp(0, self.extent[0] as i64) as u64;
            let range = clamp(-self.corner[0])..clamp(dimensions[0] as i64 - self.corner[0]);
            f(offset, address, if inside && !range.is_empty() { range } else { 0..0 })?;
            offset += pitch;
            let mut n = 1;
            loop {
                at[n] += 1;
                if at[n] < self.extent[n] {
                    break;
                }
                (at[n], n) = (0, n + 1);
                if n == 5 {
                    return Ok(());
                }
            }
        }
    }

    /// What fills the elements outside the tensor: zeros, or the NaN of an H200 (M, driver 580.159.04), in every type.
    pub fn fill(&self) -> u32 {
        if self.map.fill == 0 { 0 } else { 0x7ff7_7ff7 }
    }
}
