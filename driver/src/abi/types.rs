//! The C types of the driver API that our entry points read and write.
//!
//! Enumerations are plain integers (`u32`, or `i32` where C compilers choose `int`): a caller may
//! pass any value, and a Rust enum with an unknown value is undefined behaviour. Handles are
//! opaque numbers, never addresses of our memory, so a wrong one is looked up and refused.

use std::ffi::{c_char, c_int, c_uint, c_ushort, c_void};

macro_rules! handles {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[repr(transparent)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
        pub struct $name(pub u64);

        impl $name {
            /// The null handle.
            pub const NULL: Self = Self(0);

            /// Whether this is the null handle.
            pub fn is_null(self) -> bool {
                self.0 == 0
            }
        }
    )*};
}

handles! {
    /// A context.
    CUcontext;
    /// A module.
    CUmodule;
    /// A function: a kernel as one context sees it.
    CUfunction;
    /// A library: a module that belongs to no context.
    CUlibrary;
    /// A kernel of a library.
    CUkernel;
    /// A stream. 0 and 1 stand for the legacy default stream, 2 for the per-thread one.
    CUstream;
    /// An event.
    CUevent;
    /// A memory pool.
    CUmemoryPool;
    /// A graph.
    CUgraph;
    /// A node of a graph.
    CUgraphNode;
    /// An instantiated graph.
    CUgraphExec;
    /// A user object, kept alive by graphs.
    CUuserObject;
    /// A CUDA array.
    CUarray;
    /// A texture reference.
    CUtexref;
    /// A surface reference.
    CUsurfref;
}

impl CUstream {
    /// `CU_STREAM_LEGACY`.
    pub const LEGACY: Self = Self(1);
    /// `CU_STREAM_PER_THREAD`.
    pub const PER_THREAD: Self = Self(2);
}

/// A device address.
pub type CUdeviceptr = u64;
/// A texture object, as kernels are given it.
pub type CUtexObject = u64;
/// A surface object, as kernels are given it.
pub type CUsurfObject = u64;
/// A device ordinal.
pub type CUdevice = c_int;
/// A conditional handle of a graph.
pub type CUgraphConditionalHandle = u64;
/// `void (*)(void *userData)`.
pub type CUhostFn = Option<unsafe extern "C" fn(*mut c_void)>;
/// `CUgraphRecaptureCallback`; the parameters are `CUgraphNodeParams`.
pub type CUgraphRecaptureCallback =
    unsafe extern "C" fn(*mut c_void, u64, *const c_void, *const c_void, c_uint) -> super::CUresult;
/// `void (*)(CUstream, CUresult, void *userData)`.
pub type CUstreamCallback = Option<unsafe extern "C" fn(CUstream, super::CUresult, *mut c_void)>;

/// `CU_MEMORYTYPE_HOST`.
pub const CU_MEMORYTYPE_HOST: c_uint = 1;
/// `CU_MEMORYTYPE_DEVICE`.
pub const CU_MEMORYTYPE_DEVICE: c_uint = 2;
/// `CU_MEMORYTYPE_ARRAY`.
pub const CU_MEMORYTYPE_ARRAY: c_uint = 3;
/// `CU_MEMORYTYPE_UNIFIED`.
pub const CU_MEMORYTYPE_UNIFIED: c_uint = 4;

/// `CUDA_MEMCPY2D_v2`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[allow(non_snake_case, missing_docs)]
pub struct CUDA_MEMCPY2D {
    pub srcXInBytes: usize,
    pub srcY: usize,
    pub srcMemoryType: c_uint,
    pub srcHost: u64,
    pub srcDevice: CUdeviceptr,
    pub srcArray: CUarray,
    pub srcPitch: usize,
    pub dstXInBytes: usize,
    pub dstY: usize,
    pub dstMemoryType: c_uint,
    pub dstHost: u64,
    pub dstDevice: CUdeviceptr,
    pub dstArray: CUarray,
    pub dstPitch: usize,
    pub WidthInBytes: usize,
    pub Height: usize,
}

/// `CUDA_MEMCPY3D_v2`. The host pointers are numbers: they are checked before use.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(non_snake_case, missing_docs)]
pub struct CUDA_MEMCPY3D {
    pub srcXInBytes: usize,
    pub srcY: usize,
    pub srcZ: usize,
    pub srcLOD: usize,
    pub srcMemoryType: c_uint,
    pub srcHost: u64,
    pub srcDevice: CUdeviceptr,
    pub srcArray: CUarray,
    pub reserved0: u64,
    pub srcPitch: usize,
    pub srcHeight: usize,
    pub dstXInBytes: usize,
    pub dstY: usize,
    pub dstZ: usize,
    pub dstLOD: usize,
    pub dstMemoryType: c_uint,
    pub dstHost: u64,
    pub dstDevice: CUdeviceptr,
    pub dstArray: CUarray,
    pub reserved1: u64,
    pub dstPitch: usize,
    pub dstHeight: usize,
    pub WidthInBytes: usize,
    pub Height: usize,
    pub Depth: usize,
}

/// `CUDA_MEMCPY3D_PEER`: as `CUDA_MEMCPY3D`, with contexts in the reserved fields.
pub type CUDA_MEMCPY3D_PEER = CUDA_MEMCPY3D;

/// `CUlaunchConfig`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_snake_case, missing_docs)]
pub struct CUlaunchConfig {
    pub gridDimX: c_uint,
    pub gridDimY: c_uint,
    pub gridDimZ: c_uint,
    pub blockDimX: c_uint,
    pub blockDimY: c_uint,
    pub blockDimZ: c_uint,
    pub sharedMemBytes: c_uint,
    pub hStream: CUstream,
    pub attrs: *const CUlaunchAttribute,
    pub numAttrs: c_uint,
}

/// `CUlaunchAttributeValue`: 64 bytes, read by the attribute's id.
#[repr(C, align(8))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CUlaunchAttributeValue(pub [u8; 64]);

impl Default for CUlaunchAttributeValue {
    fn default() -> Self {
        Self([0; 64])
    }
}

/// `CUlaunchAttribute`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CUlaunchAttribute {
    pub id: c_uint,
    pub pad: [u8; 4],
    pub value: CUlaunchAttributeValue,
}

/// `CUmemLocation`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CUmemLocation {
    pub type_: c_uint,
    pub id: c_int,
}

/// `CUmemAccessDesc`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CUmemAccessDesc {
    pub location: CUmemLocation,
    pub flags: c_uint,
}

/// `CUmemcpyAttributes`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_snake_case, missing_docs)]
pub struct CUmemcpyAttributes {
    pub srcAccessOrder: c_uint,
    pub srcLocHint: CUmemLocation,
    pub dstLocHint: CUmemLocation,
    pub flags: c_uint,
}

/// `CUtensorMap`, opaque to its users.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub struct CUtensorMap(pub [u8; 128]);

/// `CUmemAllocationProp`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_snake_case, missing_docs)]
pub struct CUmemAllocationProp {
    pub type_: c_uint,
    pub requestedHandleTypes: c_uint,
    pub location: CUmemLocation,
    pub win32HandleMetaData: *mut c_void,
    pub compressionType: u8,
    pub gpuDirectRDMACapable: u8,
    pub usage: u16,
    pub reserved: [u8; 4],
}

impl CUmemAllocationProp {
    /// Pinned memory of a device.
    pub fn of_device(device: c_int, handle_types: c_uint) -> Self {
        Self {
            type_: 1,
            requestedHandleTypes: handle_types,
            location: CUmemLocation { type_: 1, id: device },
            win32HandleMetaData: std::ptr::null_mut(),
            compressionType: 0,
            gpuDirectRDMACapable: 0,
            usage: 0,
            reserved: [0; 4],
        }
    }
}

/// An operand of a copy in a batch: `CUmemcpy3DOperand`, whose second member is a union.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_snake_case, missing_docs)]
pub struct CUmemcpy3DOperand {
    pub type_: c_uint,
    /// Of a pointer: itself, `rowLength`, `layerHeight`, `locHint`. Of an array: itself, and x, y, z of the
    /// offset.
    pub op: [u64; 4],
}

/// `CUextent3D`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CUextent3D {
    pub width: usize,
    pub height: usize,
    pub depth: usize,
}

/// `CUDA_MEMCPY3D_BATCH_OP`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_snake_case, missing_docs)]
pub struct CUDA_MEMCPY3D_BATCH_OP {
    pub src: CUmemcpy3DOperand,
    pub dst: CUmemcpy3DOperand,
    pub extent: CUextent3D,
    pub srcAccessOrder: c_uint,
    pub flags: c_uint,
}

/// `CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR`.
pub const POSIX_FILE_DESCRIPTOR: c_uint = 1;

macro_rules! process_handles {
    ($($name:ident)*) => {$(
        #[doc = concat!("`", stringify!($name), "`: 64 bytes that another process can open.")]
        #[repr(C)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub struct $name {
            pub reserved: [u8; 64],
        }

        impl $name {
            pub(crate) fn words(&self) -> [u64; 8] {
                std::array::from_fn(|word| u64::from_le_bytes(std::array::from_fn(|at| self.reserved[8 * word + at])))
            }

            pub(crate) fn from_words(words: [u64; 8]) -> Self {
                Self { reserved: std::array::from_fn(|at| words[at / 8].to_le_bytes()[at % 8]) }
            }
        }
    )*};
}

process_handles! { CUipcMemHandle CUipcEventHandle CUmemPoolPtrExportData }

/// `CUmemPoolProps`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_snake_case, missing_docs)]
pub struct CUmemPoolProps {
    pub allocType: c_uint,
    pub handleTypes: c_uint,
    pub location: CUmemLocation,
    pub win32SecurityAttributes: *mut c_void,
    pub maxSize: usize,
    pub usage: c_ushort,
    pub reserved: [u8; 54],
}

/// `CUuuid`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CUuuid {
    pub bytes: [c_char; 16],
}

/// `CUdevprop`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[allow(non_snake_case, missing_docs)]
pub struct CUdevprop {
    pub maxThreadsPerBlock: c_int,
    pub maxThreadsDim: [c_int; 3],
    pub maxGridSize: [c_int; 3],
    pub sharedMemPerBlock: c_int,
    pub totalConstantMemory: c_int,
    pub SIMDWidth: c_int,
    pub memPitch: c_int,
    pub regsPerBlock: c_int,
    pub clockRate: c_int,
    pub textureAlign: c_int,
}

/// `CUctxCreateParams`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_snake_case, missing_docs)]
pub struct CUctxCreateParams {
    pub execAffinityParams: *const c_void,
    pub numExecAffinityParams: c_int,
    pub cigParams: *const c_void,
}

/// `CUstreamBatchMemOpParams`: 48 bytes, read by its first word.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CUstreamBatchMemOpParams(pub [u64; 6]);
