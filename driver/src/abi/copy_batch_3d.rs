//! Batches of copies of up to three dimensions.

use std::ffi::c_ulonglong;

use super::args::{read, slice, write_if};
use super::copy_batch::{ANY_ORDER, enqueue};
use super::types::{
    CU_MEMORYTYPE_ARRAY, CU_MEMORYTYPE_UNIFIED, CUDA_MEMCPY3D, CUDA_MEMCPY3D_BATCH_OP, CUarray, CUmemcpy3DOperand,
    CUstream,
};
use super::{CUresult, Cuda};
use crate::software::memory::memory;

/// `CU_MEMCPY_OPERAND_TYPE_POINTER`.
const POINTER: u32 = 1;
/// `CU_MEMCPY_OPERAND_TYPE_ARRAY`.
const ARRAY: u32 = 2;

/// One side of a copy, in bytes where the other description counts elements.
struct Side {
    kind: u32,
    address: u64,
    array: CUarray,
    /// Bytes from one row to the next, rows from one slice to the next.
    layout: [usize; 2],
    /// Where it begins: in bytes, in rows, in slices.
    from: [usize; 3],
}

/// Bytes of an element of an array.
fn element_of(operand: &CUmemcpy3DOperand) -> Cuda<Option<usize>> {
    match operand.type_ {
        POINTER => Ok(None),
        ARRAY => memory().space.array(operand.op[0])?.shape.element().map(Some),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

fn side(operand: &CUmemcpy3DOperand, element: usize, [width, height]: [usize; 2]) -> Cuda<Side> {
    let invalid = CUresult::INVALID_VALUE;
    let [address, a, b, c] = operand.op;
    if operand.type_ == ARRAY {
        let x = (a as usize).checked_mul(element).ok_or(invalid)?;
        let (array, from) = (CUarray(address), [x, b as usize, c as usize]);
        return Ok(Side { kind: CU_MEMORYTYPE_ARRAY, address: 0, array, layout: [0; 2], from });
    }
    // D: zero means packed as the copy is; a shorter row or layer than the copy's is refused.
    let given = |value: u64, least: usize| match value as usize {
        0 => Ok(least),
        value if value >= least => Ok(value),
        _ => Err(invalid),
    };
    let row = given(a, width)?.checked_mul(element).ok_or(invalid)?;
    let layout = [row, given(b, height)?];
    Ok(Side { kind: CU_MEMORYTYPE_UNIFIED, address, array: CUarray::NULL, layout, from: [0; 3] })
}

/// A copy of a batch, with its order of access.
fn copy(op: &CUDA_MEMCPY3D_BATCH_OP) -> Cuda<(CUDA_MEMCPY3D, u32)> {
    let extent = op.extent;
    let empty = extent.width == 0 || extent.height == 0 || extent.depth == 0;
    if empty || !(1..=ANY_ORDER).contains(&op.srcAccessOrder) {
        return Err(CUresult::INVALID_VALUE);
    }
    // D: of two pointers the elements are bytes, of two arrays they must be of one size.
    let element = match (element_of(&op.src)?, element_of(&op.dst)?) {
        (Some(from), Some(to)) if from != to => return Err(CUresult::INVALID_VALUE),
        (from, to) => from.or(to).unwrap_or(1),
    };
    let plane = [extent.width, extent.height];
    let (src, dst) = (side(&op.src, element, plane)?, side(&op.dst, element, plane)?);
    let copy = CUDA_MEMCPY3D {
        srcXInBytes: src.from[0],
        srcY: src.from[1],
        srcZ: src.from[2],
        srcMemoryType: src.kind,
        srcDevice: src.address,
        srcArray: src.array,
        srcPitch: src.layout[0],
        srcHeight: src.layout[1],
        dstXInBytes: dst.from[0],
        dstY: dst.from[1],
        dstZ: dst.from[2],
        dstMemoryType: dst.kind,
        dstDevice: dst.address,
        dstArray: dst.array,
        dstPitch: dst.layout[0],
        dstHeight: dst.layout[1],
        WidthInBytes: extent.width.checked_mul(element).ok_or(CUresult::INVALID_VALUE)?,
        Height: extent.height,
        Depth: extent.depth,
        ..CUDA_MEMCPY3D::default()
    };
    Ok((copy, op.srcAccessOrder))
}

/// Puts a batch on a stream; the error has the copy that it is about.
fn batch(ops: &[CUDA_MEMCPY3D_BATCH_OP], flags: c_ulonglong, stream: CUstream) -> Result<(), (CUresult, usize)> {
    if flags != 0 || ops.is_empty() {
        return Err((CUresult::INVALID_VALUE, usize::MAX));
    }
    let copies = ops.iter().enumerate().map(|(place, op)| copy(op).map_err(|code| (code, place)));
    enqueue(stream, &copies.collect::<Result<Vec<_>, _>>()?)
}

entry_points! {
    fn cuMemcpy3DBatchAsync(
        numOps: usize, opList: *mut CUDA_MEMCPY3D_BATCH_OP, failIdx: *mut usize, flags: c_ulonglong, hStream: CUstream
    ) on hStream {
        // D: where the error is not about one copy.
        unsafe { write_if(failIdx, usize::MAX) };
        batch(unsafe { slice(opList, numOps) }?, flags, hStream).map_err(|(code, place)| {
            unsafe { write_if(failIdx, place) };
            code
        })
    }

    fn cuMemcpy3DBatchAsync_v2(
        numOps: usize, opList: *mut CUDA_MEMCPY3D_BATCH_OP, flags: c_ulonglong, hStream: CUstream
    ) on hStream {
        batch(unsafe { slice(opList, numOps) }?, flags, hStream).map_err(|(code, _)| code)
    }

    fn cuMemcpy3DWithAttributesAsync(
        op: *mut CUDA_MEMCPY3D_BATCH_OP, flags: c_ulonglong, hStream: CUstream
    ) on hStream {
        batch(&[unsafe { read(op) }?], flags, hStream).map_err(|(code, _)| code)
    }
}
