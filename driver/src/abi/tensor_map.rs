//! Tensor maps.

use std::ffi::{c_int, c_uint, c_void};

use super::args::{not_null, read, slice, write};
use super::types::CUtensorMap;
use super::{CUresult, Cuda};
use crate::record;
use graphproof_exec::tensor_map::{MapRefusal, TensorMap, Window};

/// What both kinds of maps are given.
struct Tensor {
    data_type: c_uint,
    rank: u32,
    address: *mut c_void,
    dimensions: *const u64,
    strides: *const u64,
    element_strides: *const u32,
    interleave: c_uint,
    swizzle: c_uint,
    l2_promotion: c_uint,
    fill: c_uint,
}

/// What a call answers that was given a wrong map; the reason goes to the record.
fn refused(refusal: MapRefusal) -> CUresult {
    record::note(|| format!("the tensor map is refused: {}", refusal.why));
    if refusal.unsupported { CUresult::NOT_SUPPORTED } else { CUresult::INVALID_VALUE }
}

/// The caller's `count` numbers, and `filler` behind them.
///
/// # Safety
/// `source` is null or valid for `count` reads.
unsafe fn numbers<T: Copy, U: TryFrom<T> + Copy, const N: usize>(
    source: *const T,
    count: usize,
    filler: U,
) -> Cuda<[U; N]> {
    let mut found = [filler; N];
    // SAFETY: as above.
    let given = unsafe { slice(source, count) }?;
    for (place, &number) in found.iter_mut().zip(given) {
        *place = U::try_from(number).map_err(|_| CUresult::INVALID_VALUE)?;
    }
    Ok(found)
}

/// # Safety
/// The arrays are null or have as many entries as cuda.h says; `target` is null or valid for a write.
unsafe fn encode(target: *mut CUtensorMap, tensor: Tensor, window: impl FnOnce(usize) -> Cuda<Window>) -> Cuda {
    not_null(target)?;
    // D: the map has its own alignment.
    if !target.is_aligned() || !(1..=5).contains(&tensor.rank) {
        return Err(CUresult::INVALID_VALUE);
    }
    let rank = tensor.rank as usize;
    let small = |value: c_uint| u8::try_from(value).map_err(|_| CUresult::INVALID_VALUE);
    let map = TensorMap {
        data_type: small(tensor.data_type)?,
        rank: tensor.rank as u8,
        interleave: small(tensor.interleave)?,
        swizzle: small(tensor.swizzle)?,
        l2_promotion: small(tensor.l2_promotion)?,
        fill: small(tensor.fill)?,
        address: tensor.address as u64,
        // SAFETY: as above, here and below.
        dimensions: unsafe { numbers(tensor.dimensions, rank, 1) }?,
        // SAFETY: as above.
        strides: unsafe { numbers(tensor.strides, rank - 1, 0) }?,
        // SAFETY: as above.
        element_strides: unsafe { numbers(tensor.element_strides, rank, 1) }?,
        window: window(rank)?,
    };
    map.check().map_err(refused)?;
    // SAFETY: the caller's pointer.
    unsafe { write(target, CUtensorMap(map.encode())) }
}

entry_points! {
    fn cuTensorMapEncodeTiled(
        tensorMap: *mut CUtensorMap, tensorDataType: c_uint, tensorRank: u32, globalAddress: *mut c_void,
        globalDim: *const u64, globalStrides: *const u64, boxDim: *const u32, elementStrides: *const u32,
        interleave: c_uint, swizzle: c_uint, l2Promotion: c_uint, oobFill: c_uint
    ) {
        let tensor = Tensor {
            data_type: tensorDataType,
            rank: tensorRank,
            address: globalAddress,
            dimensions: globalDim,
            strides: globalStrides,
            element_strides: elementStrides,
            interleave,
            swizzle,
            l2_promotion: l2Promotion,
            fill: oobFill,
        };
        let window = |rank| Ok(Window::Tiled(unsafe { numbers(boxDim, rank, 1) }?));
        unsafe { encode(tensorMap, tensor, window) }
    }

    fn cuTensorMapEncodeIm2col(
        tensorMap: *mut CUtensorMap, tensorDataType: c_uint, tensorRank: u32, globalAddress: *mut c_void,
        globalDim: *const u64, globalStrides: *const u64, pixelBoxLowerCorner: *const c_int,
        pixelBoxUpperCorner: *const c_int, channelsPerPixel: u32, pixelsPerColumn: u32, elementStrides: *const u32,
        interleave: c_uint, swizzle: c_uint, l2Promotion: c_uint, oobFill: c_uint
    ) {
        let tensor = Tensor {
            data_type: tensorDataType,
            rank: tensorRank,
            address: globalAddress,
            dimensions: globalDim,
            strides: globalStrides,
            element_strides: elementStrides,
            interleave,
            swizzle,
            l2_promotion: l2Promotion,
            fill: oobFill,
        };
        let window = |rank: usize| {
            let small = |number: u32| u16::try_from(number).map_err(|_| CUresult::INVALID_VALUE);
            let corners = rank.checked_sub(2).ok_or(CUresult::INVALID_VALUE)?;
            Ok(Window::Im2col {
                channels: small(channelsPerPixel)?,
                pixels: small(pixelsPerColumn)?,
                lower: unsafe { numbers(pixelBoxLowerCorner, corners, 0) }?,
                upper: unsafe { numbers(pixelBoxUpperCorner, corners, 0) }?,
            })
        };
        unsafe { encode(tensorMap, tensor, window) }
    }

    fn cuTensorMapReplaceAddress(tensorMap: *mut CUtensorMap, globalAddress: *mut c_void) {
        let old = TensorMap::decode(&unsafe { read(tensorMap.cast_const()) }?.0).map_err(refused)?;
        let new = TensorMap { address: globalAddress as u64, ..old };
        new.check().map_err(refused)?;
        unsafe { write(tensorMap, CUtensorMap(new.encode())) }
    }
}
