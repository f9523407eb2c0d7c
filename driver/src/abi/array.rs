//! CUDA arrays. Their bytes are copied by `cuMemcpy2D` and `cuMemcpy3D`.

use super::Cuda;
use super::args::{not_null, read, write};
use super::types::CUarray;
use crate::software::driver;
use crate::software::memory::{Shape, memory};

/// `CUDA_ARRAY_DESCRIPTOR`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(non_camel_case_types, non_snake_case, missing_docs)]
pub struct CUDA_ARRAY_DESCRIPTOR {
    pub Width: usize,
    pub Height: usize,
    pub Format: u32,
    pub NumChannels: u32,
}

/// `CUDA_ARRAY3D_DESCRIPTOR`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(non_camel_case_types, non_snake_case, missing_docs)]
pub struct CUDA_ARRAY3D_DESCRIPTOR {
    pub Width: usize,
    pub Height: usize,
    pub Depth: usize,
    pub Format: u32,
    pub NumChannels: u32,
    pub Flags: u32,
}

fn create(target: *mut CUarray, shape: Shape) -> Cuda {
    let context = driver().current()?.id.0;
    let handle = memory().space.create_array(shape, context)?;
    // SAFETY: the caller's pointer, not null.
    unsafe { write(target, CUarray(handle)) }
}

fn shape(array: CUarray) -> Cuda<Shape> {
    driver().current()?;
    memory().space.array(array.0).map(|array| array.shape)
}

entry_points! {
    fn cuArrayCreate_v2(pHandle: *mut CUarray, pAllocateArray: *const CUDA_ARRAY_DESCRIPTOR) {
        not_null(pHandle)?;
        let d = unsafe { read(pAllocateArray) }?;
        let extents = [d.Width, d.Height, 0];
        create(pHandle, Shape { extents, format: d.Format, channels: d.NumChannels, flags: 0 })
    }

    fn cuArray3DCreate_v2(pHandle: *mut CUarray, pAllocateArray: *const CUDA_ARRAY3D_DESCRIPTOR) {
        not_null(pHandle)?;
        let d = unsafe { read(pAllocateArray) }?;
        let extents = [d.Width, d.Height, d.Depth];
        create(pHandle, Shape { extents, format: d.Format, channels: d.NumChannels, flags: d.Flags })
    }

    fn cuArrayGetDescriptor_v2(pArrayDescriptor: *mut CUDA_ARRAY_DESCRIPTOR, hArray: CUarray) {
        not_null(pArrayDescriptor)?;
        let Shape { extents: [Width, Height, _], format, channels, .. } = shape(hArray)?;
        unsafe { write(pArrayDescriptor, CUDA_ARRAY_DESCRIPTOR { Width, Height, Format: format, NumChannels: channels }) }
    }

    fn cuArray3DGetDescriptor_v2(pArrayDescriptor: *mut CUDA_ARRAY3D_DESCRIPTOR, hArray: CUarray) {
        not_null(pArrayDescriptor)?;
        let Shape { extents: [Width, Height, Depth], format, channels, flags } = shape(hArray)?;
        let found =
            CUDA_ARRAY3D_DESCRIPTOR { Width, Height, Depth, Format: format, NumChannels: channels, Flags: flags };
        unsafe { write(pArrayDescriptor, found) }
    }

    fn cuArrayDestroy(hArray: CUarray) {
        let driver = driver();
        driver.current()?;
        memory().space.array(hArray.0)?;
        driver.wait_for_device();
        memory().space.destroy_array(hArray.0)
    }
}
