//! Copies and fills.

use std::ffi::{c_uchar, c_uint, c_ushort};

use super::args::read;
use super::types::{
    CU_MEMORYTYPE_ARRAY, CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_UNIFIED, CUDA_MEMCPY2D, CUDA_MEMCPY3D,
    CUDA_MEMCPY3D_PEER, CUcontext, CUdeviceptr, CUstream,
};
use super::{CUresult, Cuda};
use crate::software::driver;
use crate::software::work::MemsetWork;

/// Synchronous calls are ordered as work of the legacy stream.
const LEGACY: CUstream = CUstream::LEGACY;
const HOST: u32 = CU_MEMORYTYPE_HOST;
const DEVICE: u32 = CU_MEMORYTYPE_DEVICE;
const UNIFIED: u32 = CU_MEMORYTYPE_UNIFIED;

/// A copy of `bytes` bytes. The address goes where its memory type is read from.
fn linear((dst_type, dst): (u32, u64), (src_type, src): (u32, u64), bytes: usize) -> CUDA_MEMCPY3D {
    let (host, device) = (
        |kind, address| if kind == HOST { address } else { 0 },
        |kind, address| {
            if kind == HOST { 0 } else { address }
        },
    );
    CUDA_MEMCPY3D {
        srcMemoryType: src_type,
        srcHost: host(src_type, src),
        srcDevice: device(src_type, src),
        dstMemoryType: dst_type,
        dstHost: host(dst_type, dst),
        dstDevice: device(dst_type, dst),
        WidthInBytes: bytes,
        Height: 1,
        Depth: 1,
        ..CUDA_MEMCPY3D::default()
    }
}

/// A copy between any two addresses.
pub(super) fn linear_unified(dst: CUdeviceptr, src: CUdeviceptr, bytes: usize) -> CUDA_MEMCPY3D {
    linear((UNIFIED, dst), (UNIFIED, src), bytes)
}

/// # Safety
/// `copy` is null or valid for a read.
unsafe fn planar(copy: *const CUDA_MEMCPY2D) -> Cuda<CUDA_MEMCPY3D> {
    // SAFETY: as the caller vouches.
    let p = unsafe { read(copy) }?;
    // A pitch of zero is good for one row only; that of an array is its own.
    let narrow = |kind: u32, pitch: usize, x: usize| {
        kind != CU_MEMORYTYPE_ARRAY && pitch != 0 && pitch < p.WidthInBytes.saturating_add(x)
    };
    if narrow(p.srcMemoryType, p.srcPitch, p.srcXInBytes) || narrow(p.dstMemoryType, p.dstPitch, p.dstXInBytes) {
        return Err(CUresult::INVALID_VALUE);
    }
    Ok(CUDA_MEMCPY3D {
        srcXInBytes: p.srcXInBytes,
        srcY: p.srcY,
        srcMemoryType: p.srcMemoryType,
        srcHost: p.srcHost,
        srcDevice: p.srcDevice,
        srcArray: p.srcArray,
        srcPitch: p.srcPitch,
        dstXInBytes: p.dstXInBytes,
        dstY: p.dstY,
        dstMemoryType: p.dstMemoryType,
        dstHost: p.dstHost,
        dstDevice: p.dstDevice,
        dstArray: p.dstArray,
        dstPitch: p.dstPitch,
        WidthInBytes: p.WidthInBytes,
        Height: p.Height,
        Depth: 1,
        ..CUDA_MEMCPY3D::default()
    })
}

/// # Safety
/// `copy` is null or valid for a read.
unsafe fn spatial(copy: *const CUDA_MEMCPY3D) -> Cuda<CUDA_MEMCPY3D> {
    // SAFETY: as the caller vouches.
    let p = unsafe { read(copy) }?;
    if p.reserved0 != 0 || p.reserved1 != 0 || p.srcLOD != 0 || p.dstLOD != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    Ok(p)
}

/// # Safety
/// `copy` is null or valid for a read.
unsafe fn spatial_peer(copy: *const CUDA_MEMCPY3D_PEER) -> Cuda<CUDA_MEMCPY3D> {
    // SAFETY: as the caller vouches.
    let p = unsafe { read(copy) }?;
    // The peer form has the contexts in the reserved places.
    check_contexts(CUcontext(p.reserved1), CUcontext(p.reserved0))?;
    Ok(CUDA_MEMCPY3D { reserved0: 0, reserved1: 0, ..p })
}

/// Both contexts exist, or are null: memory tells by its address whose it is (M: two H200).
fn check_contexts(dst: CUcontext, src: CUcontext) -> Cuda {
    let world = driver().world();
    let known = |context: CUcontext| context.is_null() || world.contexts.get(context.0).is_some();
    if known(dst) && known(src) { Ok(()) } else { Err(CUresult::INVALID_CONTEXT) }
}

fn fill(dst: u64, element_size: u32, value: u32, width: usize) -> MemsetWork {
    MemsetWork { dst, pitch: 0, value, element_size, width, height: 1 }
}

fn fill_rows(dst: u64, pitch: usize, element_size: u32, value: u32, (width, height): (usize, usize)) -> MemsetWork {
    MemsetWork { dst, pitch, value, element_size, width, height }
}

entry_points! {
    fn cuMemcpy(dst: CUdeviceptr, src: CUdeviceptr, ByteCount: usize) on LEGACY {
        driver().copy_now(CUstream::NULL, &linear((UNIFIED, dst), (UNIFIED, src), ByteCount))
    }

    fn cuMemcpyAsync(dst: CUdeviceptr, src: CUdeviceptr, ByteCount: usize, hStream: CUstream) on hStream {
        driver().copy_on(hStream, &linear((UNIFIED, dst), (UNIFIED, src), ByteCount))
    }

    fn cuMemcpyHtoD_v2(dstDevice: CUdeviceptr, srcHost: u64, ByteCount: usize) on LEGACY {
        driver().copy_now(CUstream::NULL, &linear((DEVICE, dstDevice), (HOST, srcHost), ByteCount))
    }

    fn cuMemcpyDtoH_v2(dstHost: u64, srcDevice: CUdeviceptr, ByteCount: usize) on LEGACY {
        driver().copy_now(CUstream::NULL, &linear((HOST, dstHost), (DEVICE, srcDevice), ByteCount))
    }

    fn cuMemcpyDtoD_v2(dstDevice: CUdeviceptr, srcDevice: CUdeviceptr, ByteCount: usize) on LEGACY {
        driver().copy_now(CUstream::NULL, &linear((DEVICE, dstDevice), (DEVICE, srcDevice), ByteCount))
    }

    fn cuMemcpyHtoDAsync_v2(
        dstDevice: CUdeviceptr, srcHost: u64, ByteCount: usize, hStream: CUstream
    ) on hStream {
        driver().copy_on(hStream, &linear((DEVICE, dstDevice), (HOST, srcHost), ByteCount))
    }

    fn cuMemcpyDtoHAsync_v2(
        dstHost: u64, srcDevice: CUdeviceptr, ByteCount: usize, hStream: CUstream
    ) on hStream {
        driver().copy_on(hStream, &linear((HOST, dstHost), (DEVICE, srcDevice), ByteCount))
    }

    fn cuMemcpyDtoDAsync_v2(
        dstDevice: CUdeviceptr, srcDevice: CUdeviceptr, ByteCount: usize, hStream: CUstream
    ) on hStream {
        driver().copy_on(hStream, &linear((DEVICE, dstDevice), (DEVICE, srcDevice), ByteCount))
    }

    fn cuMemcpyPeer(
        dstDevice: CUdeviceptr, dstContext: CUcontext, srcDevice: CUdeviceptr, srcContext: CUcontext, ByteCount: usize
    ) on LEGACY {
        check_contexts(dstContext, srcContext)?;
        driver().copy_now(CUstream::NULL, &linear((DEVICE, dstDevice), (DEVICE, srcDevice), ByteCount))
    }

    fn cuMemcpyPeerAsync(
        dstDevice: CUdeviceptr, dstContext: CUcontext, srcDevice: CUdeviceptr, srcContext: CUcontext, ByteCount: usize,
        hStream: CUstream
    ) on hStream {
        check_contexts(dstContext, srcContext)?;
        driver().copy_between_contexts(hStream, &linear((DEVICE, dstDevice), (DEVICE, srcDevice), ByteCount))
    }

    fn cuMemcpy2D_v2(pCopy: *const CUDA_MEMCPY2D) on LEGACY {
        driver().copy_now(CUstream::NULL, &unsafe { planar(pCopy) }?)
    }

    fn cuMemcpy2DUnaligned_v2(pCopy: *const CUDA_MEMCPY2D) on LEGACY {
        driver().copy_now(CUstream::NULL, &unsafe { planar(pCopy) }?)
    }

    fn cuMemcpy2DAsync_v2(pCopy: *const CUDA_MEMCPY2D, hStream: CUstream) on hStream {
        driver().copy_on(hStream, &unsafe { planar(pCopy) }?)
    }

    fn cuMemcpy3D_v2(pCopy: *const CUDA_MEMCPY3D) on LEGACY {
        driver().copy_now(CUstream::NULL, &unsafe { spatial(pCopy) }?)
    }

    fn cuMemcpy3DAsync_v2(pCopy: *const CUDA_MEMCPY3D, hStream: CUstream) on hStream {
        driver().copy_on(hStream, &unsafe { spatial(pCopy) }?)
    }

    fn cuMemcpy3DPeer(pCopy: *const CUDA_MEMCPY3D_PEER) on LEGACY {
        driver().copy_now(CUstream::NULL, &unsafe { spatial_peer(pCopy) }?)
    }

    fn cuMemcpy3DPeerAsync(pCopy: *const CUDA_MEMCPY3D_PEER, hStream: CUstream) on hStream {
        driver().copy_on(hStream, &unsafe { spatial_peer(pCopy) }?)
    }

    fn cuMemsetD8_v2(dstDevice: CUdeviceptr, uc: c_uchar, N: usize) on LEGACY {
        driver().fill_now(CUstream::NULL, fill(dstDevice, 1, u32::from(uc), N))
    }

    fn cuMemsetD16_v2(dstDevice: CUdeviceptr, us: c_ushort, N: usize) on LEGACY {
        driver().fill_now(CUstream::NULL, fill(dstDevice, 2, u32::from(us), N))
    }

    fn cuMemsetD32_v2(dstDevice: CUdeviceptr, ui: c_uint, N: usize) on LEGACY {
        driver().fill_now(CUstream::NULL, fill(dstDevice, 4, ui, N))
    }

    fn cuMemsetD2D8_v2(
        dstDevice: CUdeviceptr, dstPitch: usize, uc: c_uchar, Width: usize, Height: usize
    ) on LEGACY {
        driver().fill_now(CUstream::NULL, fill_rows(dstDevice, dstPitch, 1, u32::from(uc), (Width, Height)))
    }

    fn cuMemsetD2D16_v2(
        dstDevice: CUdeviceptr, dstPitch: usize, us: c_ushort, Width: usize, Height: usize
    ) on LEGACY {
        driver().fill_now(CUstream::NULL, fill_rows(dstDevice, dstPitch, 2, u32::from(us), (Width, Height)))
    }

    fn cuMemsetD2D32_v2(
        dstDevice: CUdeviceptr, dstPitch: usize, ui: c_uint, Width: usize, Height: usize
    ) on LEGACY {
        driver().fill_now(CUstream::NULL, fill_rows(dstDevice, dstPitch, 4, ui, (Width, Height)))
    }

    fn cuMemsetD8Async(dstDevice: CUdeviceptr, uc: c_uchar, N: usize, hStream: CUstream) on hStream {
        driver().fill_on(hStream, fill(dstDevice, 1, u32::from(uc), N))
    }

    fn cuMemsetD16Async(dstDevice: CUdeviceptr, us: c_ushort, N: usize, hStream: CUstream) on hStream {
        driver().fill_on(hStream, fill(dstDevice, 2, u32::from(us), N))
    }

    fn cuMemsetD32Async(dstDevice: CUdeviceptr, ui: c_uint, N: usize, hStream: CUstream) on hStream {
        driver().fill_on(hStream, fill(dstDevice, 4, ui, N))
    }

    fn cuMemsetD2D8Async(
        dstDevice: CUdeviceptr, dstPitch: usize, uc: c_uchar, Width: usize, Height: usize, hStream: CUstream
    ) on hStream {
        driver().fill_on(hStream, fill_rows(dstDevice, dstPitch, 1, u32::from(uc), (Width, Height)))
    }

    fn cuMemsetD2D16Async(
        dstDevice: CUdeviceptr, dstPitch: usize, us: c_ushort, Width: usize, Height: usize, hStream: CUstream
    ) on hStream {
        driver().fill_on(hStream, fill_rows(dstDevice, dstPitch, 2, u32::from(us), (Width, Height)))
    }

    fn cuMemsetD2D32Async(
        dstDevice: CUdeviceptr, dstPitch: usize, ui: c_uint, Width: usize, Height: usize, hStream: CUstream
    ) on hStream {
        driver().fill_on(hStream, fill_rows(dstDevice, dstPitch, 4, ui, (Width, Height)))
    }
}
