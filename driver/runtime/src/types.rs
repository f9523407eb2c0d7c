//! Structures of the runtime's headers, and of cuda.h where the two differ.
#![allow(non_snake_case, reason = "fields have the headers' names")]

use std::ffi::c_void;

/// A pointer of the program, to device or host memory.
pub type Pointer = *mut c_void;

/// `cudaIpcMemHandle_t`, `cudaIpcEventHandle_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpcHandle {
    pub reserved: [u8; 64],
}

/// `dim3`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dim3 {
    pub x: u32,
    pub y: u32,
    pub z: u32,
}

/// `cudaLaunchConfig_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct LaunchConfig {
    pub gridDim: Dim3,
    pub blockDim: Dim3,
    pub dynamicSmemBytes: usize,
    pub stream: usize,
    pub attrs: *const c_void,
    pub numAttrs: u32,
}

/// `CUlaunchConfig`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct DriverLaunchConfig {
    pub gridDim: Dim3,
    pub blockDim: Dim3,
    pub sharedMemBytes: u32,
    pub hStream: usize,
    pub attrs: *const c_void,
    pub numAttrs: u32,
}

/// `cudaExtent`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub width: usize,
    pub height: usize,
    pub depth: usize,
}

/// `cudaPos`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pos {
    pub x: usize,
    pub y: usize,
    pub z: usize,
}

/// `cudaPitchedPtr`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct PitchedPtr {
    pub ptr: Pointer,
    pub pitch: usize,
    pub xsize: usize,
    pub ysize: usize,
}

/// `cudaMemcpy3DParms`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Memcpy3DParms {
    pub srcArray: usize,
    pub srcPos: Pos,
    pub srcPtr: PitchedPtr,
    pub dstArray: usize,
    pub dstPos: Pos,
    pub dstPtr: PitchedPtr,
    pub extent: Extent,
    pub kind: u32,
}

/// One side of `CUDA_MEMCPY3D`, and of `CUDA_MEMCPY2D` without what has a `z`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Side3D {
    pub XInBytes: usize,
    pub Y: usize,
    pub Z: usize,
    pub LOD: usize,
    pub MemoryType: u32,
    pub Host: Pointer,
    pub Device: u64,
    pub Array: usize,
    pub reserved: usize,
    pub Pitch: usize,
    pub Height: usize,
}

/// `CUDA_MEMCPY3D`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Memcpy3D {
    pub src: Side3D,
    pub dst: Side3D,
    pub WidthInBytes: usize,
    pub Height: usize,
    pub Depth: usize,
}

/// One side of `CUDA_MEMCPY2D`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Side2D {
    pub XInBytes: usize,
    pub Y: usize,
    pub MemoryType: u32,
    pub Host: Pointer,
    pub Device: u64,
    pub Array: usize,
    pub Pitch: usize,
}

/// `CUDA_MEMCPY2D`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Memcpy2D {
    pub src: Side2D,
    pub dst: Side2D,
    pub WidthInBytes: usize,
    pub Height: usize,
}

/// `cudaKernelNodeParams`, and the part of `CUDA_KERNEL_NODE_PARAMS` that has the same form.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct KernelNodeParams {
    pub func: usize,
    pub gridDim: Dim3,
    pub blockDim: Dim3,
    pub sharedMemBytes: u32,
    pub kernelParams: *const c_void,
    pub extra: *const c_void,
}

/// `CUDA_KERNEL_NODE_PARAMS`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct DriverKernelNodeParams {
    pub params: KernelNodeParams,
    pub kern: usize,
    pub ctx: usize,
}

/// `cudaMemsetParams`: the same as `CUDA_MEMSET_NODE_PARAMS`, to which newer calls add a context.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct MemsetParams {
    pub dst: Pointer,
    pub pitch: usize,
    pub value: u32,
    pub elementSize: u32,
    pub width: usize,
    pub height: usize,
}

/// `cudaChannelFormatDesc`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelFormatDesc {
    pub x: i32,
    pub y: i32,
    pub z: i32,
    pub w: i32,
    pub f: u32,
}

/// `CUDA_ARRAY3D_DESCRIPTOR`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrayDescriptor {
    pub Width: usize,
    pub Height: usize,
    pub Depth: usize,
    pub Format: u32,
    pub NumChannels: u32,
    pub Flags: u32,
}

/// Writes a result through a caller's pointer.
///
/// # Safety
/// `target` is null or valid for a write.
pub(crate) unsafe fn write<T>(target: *mut T, value: T) -> Result<(), crate::door::Failure> {
    if target.is_null() {
        return Err(crate::door::Failure::INVALID_VALUE);
    }
    // SAFETY: not null; the caller vouches for the rest.
    unsafe { target.write_unaligned(value) };
    Ok(())
}

/// Reads a caller's structure.
///
/// # Safety
/// `source` is null or valid for a read.
pub(crate) unsafe fn read<T: Copy>(source: *const T) -> Result<T, crate::door::Failure> {
    if source.is_null() {
        return Err(crate::door::Failure::INVALID_VALUE);
    }
    // SAFETY: not null; the caller vouches for the rest.
    Ok(unsafe { source.read_unaligned() })
}
