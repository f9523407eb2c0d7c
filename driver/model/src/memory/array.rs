//! CUDA arrays: memory that is reached by its handle and an element's place, never by an address.
//!
//! Copies see them, and kernels through texture and surface objects. An observer of accesses knows an array's bytes by
//! the addresses behind it, to which no pointer leads.

use super::allocation::Origin;
use super::space::AddressSpace;
use crate::device;
use graphproof_api::{CUresult, Cuda};

/// An array.
#[derive(Debug, Clone, Copy)]
pub struct Array {
    /// Where its bytes lie: rows behind each other, slices behind each other.
    pub base: u64,
    /// What it was made with.
    pub shape: Shape,
}

/// `CUDA_ARRAY3D_DESCRIPTOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Width, height and depth in elements; a dimension that the array lacks is 0.
    pub extents: [usize; 3],
    /// `CUarray_format`.
    pub format: u32,
    /// Components of an element.
    pub channels: u32,
    /// `CUDA_ARRAY3D_LAYERED`, `CUDA_ARRAY3D_SURFACE_LDST`.
    pub flags: u32,
}

/// `CUDA_ARRAY3D_LAYERED`.
const LAYERED: u32 = 1;
/// `CUDA_ARRAY3D_SURFACE_LDST`.
const SURFACE: u32 = 2;
/// `CUDA_ARRAY3D_TEXTURE_GATHER`: of two dimensions.
const GATHER: u32 = 8;

impl Shape {
    /// Its depth counts layers.
    pub(super) fn is_layered(&self) -> bool {
        self.flags & LAYERED != 0
    }

    /// Kernels may write it through a surface object.
    pub fn is_surface(&self) -> bool {
        self.flags & SURFACE != 0
    }

    /// Bytes of an element.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for a count of components, `CUDA_ERROR_NOT_SUPPORTED` for packed,
    /// normalised and compressed formats.
    pub fn element(&self) -> Cuda<usize> {
        let component = match self.format {
            0x01 | 0x08 => 1,
            0x02 | 0x09 | 0x10 => 2,
            0x03 | 0x0a | 0x20 => 4,
            0 => return Err(CUresult::INVALID_VALUE),
            _ => return Err(CUresult::NOT_SUPPORTED),
        };
        if matches!(self.channels, 1 | 2 | 4) {
            Ok(component * self.channels as usize)
        } else {
            Err(CUresult::INVALID_VALUE)
        }
    }

    /// The largest extents of the device, which it tells by these attributes; 0: the dimension must be absent.
    fn limits(&self) -> [usize; 3] {
        let [_, height, depth] = self.extents;
        let attributes = match (self.is_layered(), self.is_surface(), height, depth) {
            _ if self.flags & GATHER != 0 => [45, 46, if self.is_layered() { 29 } else { 0 }],
            (true, false, 0, _) => [42, 0, 43],
            (true, true, 0, _) => [61, 0, 62],
            (true, false, ..) => [27, 28, 29],
            (true, true, ..) => [63, 64, 65],
            (false, false, 0, 0) => [21, 0, 0],
            (false, true, 0, 0) => [55, 0, 0],
            (false, false, _, 0) => [22, 23, 0],
            (false, true, _, 0) => [56, 57, 0],
            (false, _, 0, _) => [0; 3],
            (false, false, ..) => [24, 25, 26],
            (false, true, ..) => [58, 59, 60],
        };
        attributes.map(|attribute| device::extent(attribute) as usize)
    }

    /// Bytes of a row, rows of a slice, slices.
    pub(super) fn layout(&self) -> Cuda<[usize; 3]> {
        let element = self.element()?;
        if self.flags & !(LAYERED | SURFACE | GATHER) != 0 {
            return Err(CUresult::NOT_SUPPORTED);
        }
        let [width, height, depth] = self.extents;
        let fits = self.extents.iter().zip(self.limits()).all(|(&extent, limit)| extent <= limit);
        let flat = self.flags & LAYERED != 0 && depth == 0 || self.flags & GATHER != 0 && height == 0;
        if width == 0 || !fits || flat {
            return Err(CUresult::INVALID_VALUE);
        }
        Ok([width * element, height.max(1), depth.max(1)])
    }
}

impl AddressSpace {
    /// `cuArrayCreate`, `cuArray3DCreate`, in the context with that handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for a shape that no array has, `CUDA_ERROR_NOT_SUPPORTED` for one
    /// without a model, `CUDA_ERROR_OUT_OF_MEMORY`.
    pub fn create_array(&mut self, shape: Shape, context: u64) -> Cuda<u64> {
        let [row, rows, slices] = shape.layout()?;
        let base = self.allocate((row * rows * slices) as u64, Origin::Array(context))?;
        Ok(self.arrays.insert(Array { base, shape }))
    }

    /// An array; null, foreign and destroyed handles are `CUDA_ERROR_INVALID_HANDLE`.
    pub fn array(&self, handle: u64) -> Cuda<&Array> {
        self.arrays.get(handle).ok_or(CUresult::INVALID_HANDLE)
    }

    /// `cuArrayDestroy`. The device must be idle.
    pub fn destroy_array(&mut self, handle: u64) -> Cuda {
        let array = self.arrays.remove(handle).ok_or(CUresult::INVALID_HANDLE)?;
        self.free(array.base).map(|_| ())
    }

    /// The arrays of a context that is gone.
    pub(super) fn free_arrays(&mut self, context: u64) {
        let in_context =
            |array: &Array| self.device.get(&array.base).is_some_and(|found| found.origin == Origin::Array(context));
        let own = self.arrays.iter().filter(|(_, array)| in_context(array)).map(|(handle, _)| handle);
        for handle in own.collect::<Vec<_>>() {
            let _ = self.destroy_array(handle);
        }
    }

    /// The address of the first byte of a part of an array, and the distances of its rows and slices; `None`
    /// where the part does not lie in the array, or cuts through an element.
    pub(crate) fn part_of_array(
        &self,
        handle: u64,
        [x, y, z]: [usize; 3],
        [width, height, depth]: [usize; 3],
    ) -> Option<(u64, usize, usize)> {
        let array = self.arrays.get(handle)?;
        let element = array.shape.element().ok()?;
        let [row, rows, slices] = array.shape.layout().ok()?;
        let inside = |at: usize, size: usize, all: usize| at.checked_add(size).is_some_and(|end| end <= all);
        let fits = inside(x, width, row) && inside(y, height, rows) && inside(z, depth, slices);
        if !fits || !x.is_multiple_of(element) || !width.is_multiple_of(element) {
            return None;
        }
        Some((array.base + ((z * rows + y) * row + x) as u64, row, row * rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOAT: u32 = 0x20;

    fn shape(extents: [usize; 3], flags: u32) -> Shape {
        Shape { extents, format: FLOAT, channels: 2, flags }
    }

    #[test]
    fn shapes_are_checked() {
        let layout = |extents, flags| shape(extents, flags).layout();
        assert_eq!(layout([10, 0, 0], 0), Ok([80, 1, 1]));
        assert_eq!(layout([10, 3, 0], SURFACE), Ok([80, 3, 1]));
        assert_eq!(layout([10, 3, 5], 0), Ok([80, 3, 5]));
        assert_eq!(layout([10, 0, 5], LAYERED), Ok([80, 1, 5]));
        for (extents, flags) in
            [([0, 1, 1], 0), ([10, 0, 5], 0), ([10, 5, 0], LAYERED), ([131_073, 1, 0], 0), ([10, 1, 2049], LAYERED)]
                .into_iter()
                .chain([
                    ([10, 0, 0], GATHER),
                    ([10, 4, 2], GATHER),
                    ([32_769, 1, 0], GATHER),
                    ([32_769, 0, 0], SURFACE),
                ])
        {
            assert_eq!(layout(extents, flags), Err(CUresult::INVALID_VALUE), "{extents:?} {flags}");
        }
        assert_eq!(layout([10, 3, 0], GATHER), Ok([80, 3, 1]));
        assert_eq!(layout([6, 6, 6], 4), Err(CUresult::NOT_SUPPORTED), "a cubemap");
        assert_eq!(Shape { channels: 3, ..shape([1, 0, 0], 0) }.layout(), Err(CUresult::INVALID_VALUE));
        assert_eq!(Shape { format: 0x91, ..shape([4, 4, 0], 0) }.layout(), Err(CUresult::NOT_SUPPORTED));
    }

    #[test]
    fn arrays_have_no_address_and_go_with_their_context() {
        let mut space = AddressSpace::new(1 << 20, 1).unwrap();
        let array = space.create_array(shape([4, 4, 0], 0), 7).unwrap();
        let base = space.array(array).unwrap().base;
        assert_eq!(space.live(), 4 * 4 * 8);
        assert!(space.place(base).is_none() && space.locate(base, 1).is_none());
        assert!(space.map(7).ranges.is_empty());
        assert!(space.part_of_array(array, [8, 3, 0], [24, 1, 1]).is_some());
        for (at, size) in
            [([8, 3, 0], [32, 1, 1]), ([0, 4, 0], [8, 1, 1]), ([4, 0, 0], [8, 1, 1]), ([0, 0, 0], [4, 1, 1])]
        {
            assert!(space.part_of_array(array, at, size).is_none(), "{at:?} {size:?}");
        }
        space.free_context(7);
        assert_eq!((space.live(), space.array(array).err()), (0, Some(CUresult::INVALID_HANDLE)));
    }
}
