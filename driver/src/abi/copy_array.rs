//! Copies of bytes from and to a one-dimensional array.

use super::types::{
    CU_MEMORYTYPE_ARRAY, CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_HOST, CUDA_MEMCPY3D, CUarray, CUdeviceptr, CUstream,
};
use crate::software::driver;

/// Synchronous calls are ordered as work of the legacy stream.
const LEGACY: CUstream = CUstream::LEGACY;

/// One side of a copy.
enum Side {
    Array(CUarray, usize),
    Device(CUdeviceptr),
    Host(u64),
}

fn copy(dst: Side, src: Side, bytes: usize) -> CUDA_MEMCPY3D {
    let mut copy = CUDA_MEMCPY3D { WidthInBytes: bytes, Height: 1, Depth: 1, ..CUDA_MEMCPY3D::default() };
    match src {
        Side::Array(array, at) => {
            (copy.srcMemoryType, copy.srcArray, copy.srcXInBytes) = (CU_MEMORYTYPE_ARRAY, array, at);
        }
        Side::Device(address) => (copy.srcMemoryType, copy.srcDevice) = (CU_MEMORYTYPE_DEVICE, address),
        Side::Host(address) => (copy.srcMemoryType, copy.srcHost) = (CU_MEMORYTYPE_HOST, address),
    }
    match dst {
        Side::Array(array, at) => {
            (copy.dstMemoryType, copy.dstArray, copy.dstXInBytes) = (CU_MEMORYTYPE_ARRAY, array, at);
        }
        Side::Device(address) => (copy.dstMemoryType, copy.dstDevice) = (CU_MEMORYTYPE_DEVICE, address),
        Side::Host(address) => (copy.dstMemoryType, copy.dstHost) = (CU_MEMORYTYPE_HOST, address),
    }
    copy
}

entry_points! {
    fn cuMemcpyAtoA_v2(dstArray: CUarray, dstOffset: usize, srcArray: CUarray, srcOffset: usize, ByteCount: usize) on LEGACY {
        driver().copy_now(CUstream::NULL, &copy(Side::Array(dstArray, dstOffset), Side::Array(srcArray, srcOffset), ByteCount))
    }

    fn cuMemcpyAtoD_v2(dstDevice: CUdeviceptr, srcArray: CUarray, srcOffset: usize, ByteCount: usize) on LEGACY {
        driver().copy_now(CUstream::NULL, &copy(Side::Device(dstDevice), Side::Array(srcArray, srcOffset), ByteCount))
    }

    fn cuMemcpyDtoA_v2(dstArray: CUarray, dstOffset: usize, srcDevice: CUdeviceptr, ByteCount: usize) on LEGACY {
        driver().copy_now(CUstream::NULL, &copy(Side::Array(dstArray, dstOffset), Side::Device(srcDevice), ByteCount))
    }

    fn cuMemcpyAtoH_v2(dstHost: u64, srcArray: CUarray, srcOffset: usize, ByteCount: usize) on LEGACY {
        driver().copy_now(CUstream::NULL, &copy(Side::Host(dstHost), Side::Array(srcArray, srcOffset), ByteCount))
    }

    fn cuMemcpyHtoA_v2(dstArray: CUarray, dstOffset: usize, srcHost: u64, ByteCount: usize) on LEGACY {
        driver().copy_now(CUstream::NULL, &copy(Side::Array(dstArray, dstOffset), Side::Host(srcHost), ByteCount))
    }

    fn cuMemcpyAtoHAsync_v2(
        dstHost: u64, srcArray: CUarray, srcOffset: usize, ByteCount: usize, hStream: CUstream
    ) on hStream {
        driver().copy_on(hStream, &copy(Side::Host(dstHost), Side::Array(srcArray, srcOffset), ByteCount))
    }

    fn cuMemcpyHtoAAsync_v2(
        dstArray: CUarray, dstOffset: usize, srcHost: u64, ByteCount: usize, hStream: CUstream
    ) on hStream {
        driver().copy_on(hStream, &copy(Side::Array(dstArray, dstOffset), Side::Host(srcHost), ByteCount))
    }
}
