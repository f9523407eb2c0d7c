//! `cudaDeviceProp`, in the layouts that CUDA 11, 12 and 13 gave it.

use crate::door::{Failure, Outcome};
use crate::driver;

/// Whose structure is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// What `cudaGetDeviceProperties` of libcudart.so.12 fills.
    V11,
    /// What its `cudaGetDeviceProperties_v2` fills.
    V12,
    /// That of libcudart.so.13.
    V13,
}

/// Which layouts have a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    All,
    /// Removed in 13.0.
    Old,
    From12,
    From13,
}

struct Field {
    #[allow(dead_code, reason = "what the attribute is called here")]
    name: &'static str,
    /// `CUdevice_attribute`.
    attribute: u32,
    /// A `size_t`, not an `int`.
    wide: bool,
    of: Of,
}

impl Layout {
    fn has(self, of: Of) -> bool {
        match of {
            Of::All => true,
            Of::Old => self != Self::V13,
            Of::From12 => self != Self::V11,
            Of::From13 => self == Self::V13,
        }
    }

    /// Bytes of the whole structure.
    fn size(self) -> usize {
        match self {
            Self::V11 => 728,
            Self::V12 => 1032,
            Self::V13 => SIZE_V13,
        }
    }
}

const SIZE_V13: usize = 1008;

/// The structure while it is filled, field after field.
struct Writer {
    bytes: Vec<u8>,
    most: usize,
}

impl Writer {
    fn put(&mut self, value: &[u8], align: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(align), 0);
        self.bytes.extend_from_slice(value);
        assert!(self.bytes.len() <= self.most, "a field lies outside its structure");
    }
}

/// Fills a structure.
///
/// # Safety
/// `target` is null or has room for the layout.
pub(crate) unsafe fn fill(target: *mut u8, device: i32, layout: Layout) -> Outcome {
    if target.is_null() {
        return Err(Failure::INVALID_VALUE);
    }
    let mut out = Writer { bytes: Vec::new(), most: layout.size() };
    let (mut name, mut uuid, mut luid, mut mask, mut total) = ([0u8; 256], [0u8; 16], [0u8; 8], 0u32, 0usize);
    // SAFETY: places for the results, of the documented sizes.
    unsafe {
        driver::cuDeviceGetName(name.as_mut_ptr().cast(), name.len() as i32, device)?;
        driver::cuDeviceGetUuid_v2(uuid.as_mut_ptr().cast(), device)?;
        // Only Windows has one.
        let _ = driver::cuDeviceGetLuid(luid.as_mut_ptr().cast(), (&raw mut mask).cast(), device);
        driver::cuDeviceTotalMem_v2((&raw mut total).cast(), device)?;
    }
    out.put(&name, 1);
    out.put(&uuid, 1);
    out.put(&luid, 1);
    out.put(&mask.to_ne_bytes(), 4);
    out.put(&total.to_ne_bytes(), 8);
    for field in FIELDS.iter().filter(|field| layout.has(field.of)) {
        let mut value = 0i32;
        // SAFETY: a place for the result.
        let found = unsafe { driver::cuDeviceGetAttribute((&raw mut value).cast(), field.attribute, device) };
        // An attribute that the driver does not know is one that the device does not have.
        let value = found.map_or(0, |()| value);
        match field.wide {
            true => out.put(&u64::from(value.unsigned_abs()).to_ne_bytes(), 8),
            false => out.put(&value.to_ne_bytes(), 4),
        }
    }
    out.bytes.resize(layout.size(), 0);
    // SAFETY: as the caller vouches.
    unsafe { target.copy_from_nonoverlapping(out.bytes.as_ptr(), out.bytes.len()) };
    Ok(())
}

/// The fields behind name, UUID, LUID and memory, in order.
const FIELDS: &[Field] = &[
    Field { name: "sharedMemPerBlock", attribute: 8, wide: true, of: Of::All },
    Field { name: "regsPerBlock", attribute: 12, wide: false, of: Of::All },
    Field { name: "warpSize", attribute: 10, wide: false, of: Of::All },
    Field { name: "memPitch", attribute: 11, wide: true, of: Of::All },
    Field { name: "maxThreadsPerBlock", attribute: 1, wide: false, of: Of::All },
    Field { name: "maxThreadsDim", attribute: 2, wide: false, of: Of::All },
    Field { name: "maxThreadsDim", attribute: 3, wide: false, of: Of::All },
    Field { name: "maxThreadsDim", attribute: 4, wide: false, of: Of::All },
    Field { name: "maxGridSize", attribute: 5, wide: false, of: Of::All },
    Field { name: "maxGridSize", attribute: 6, wide: false, of: Of::All },
    Field { name: "maxGridSize", attribute: 7, wide: false, of: Of::All },
    Field { name: "clockRate", attribute: 13, wide: false, of: Of::Old },
    Field { name: "totalConstMem", attribute: 9, wide: true, of: Of::All },
    Field { name: "major", attribute: 75, wide: false, of: Of::All },
    Field { name: "minor", attribute: 76, wide: false, of: Of::All },
    Field { name: "textureAlignment", attribute: 14, wide: true, of: Of::All },
    Field { name: "texturePitchAlignment", attribute: 51, wide: true, of: Of::All },
    Field { name: "deviceOverlap", attribute: 15, wide: false, of: Of::Old },
    Field { name: "multiProcessorCount", attribute: 16, wide: false, of: Of::All },
    Field { name: "kernelExecTimeoutEnabled", attribute: 17, wide: false, of: Of::Old },
    Field { name: "integrated", attribute: 18, wide: false, of: Of::All },
    Field { name: "canMapHostMemory", attribute: 19, wide: false, of: Of::All },
    Field { name: "computeMode", attribute: 20, wide: false, of: Of::Old },
    Field { name: "maxTexture1D", attribute: 21, wide: false, of: Of::All },
    Field { name: "maxTexture1DMipmap", attribute: 77, wide: false, of: Of::All },
    Field { name: "maxTexture1DLinear", attribute: 69, wide: false, of: Of::Old },
    Field { name: "maxTexture2D", attribute: 22, wide: false, of: Of::All },
    Field { name: "maxTexture2D", attribute: 23, wide: false, of: Of::All },
    Field { name: "maxTexture2DMipmap", attribute: 73, wide: false, of: Of::All },
    Field { name: "maxTexture2DMipmap", attribute: 74, wide: false, of: Of::All },
    Field { name: "maxTexture2DLinear", attribute: 70, wide: false, of: Of::All },
    Field { name: "maxTexture2DLinear", attribute: 71, wide: false, of: Of::All },
    Field { name: "maxTexture2DLinear", attribute: 72, wide: false, of: Of::All },
    Field { name: "maxTexture2DGather", attribute: 45, wide: false, of: Of::All },
    Field { name: "maxTexture2DGather", attribute: 46, wide: false, of: Of::All },
    Field { name: "maxTexture3D", attribute: 24, wide: false, of: Of::All },
    Field { name: "maxTexture3D", attribute: 25, wide: false, of: Of::All },
    Field { name: "maxTexture3D", attribute: 26, wide: false, of: Of::All },
    Field { name: "maxTexture3DAlt", attribute: 47, wide: false, of: Of::All },
    Field { name: "maxTexture3DAlt", attribute: 48, wide: false, of: Of::All },
    Field { name: "maxTexture3DAlt", attribute: 49, wide: false, of: Of::All },
    Field { name: "maxTextureCubemap", attribute: 52, wide: false, of: Of::All },
    Field { name: "maxTexture1DLayered", attribute: 42, wide: false, of: Of::All },
    Field { name: "maxTexture1DLayered", attribute: 43, wide: false, of: Of::All },
    Field { name: "maxTexture2DLayered", attribute: 27, wide: false, of: Of::All },
    Field { name: "maxTexture2DLayered", attribute: 28, wide: false, of: Of::All },
    Field { name: "maxTexture2DLayered", attribute: 29, wide: false, of: Of::All },
    Field { name: "maxTextureCubemapLayered", attribute: 53, wide: false, of: Of::All },
    Field { name: "maxTextureCubemapLayered", attribute: 54, wide: false, of: Of::All },
    Field { name: "maxSurface1D", attribute: 55, wide: false, of: Of::All },
    Field { name: "maxSurface2D", attribute: 56, wide: false, of: Of::All },
    Field { name: "maxSurface2D", attribute: 57, wide: false, of: Of::All },
    Field { name: "maxSurface3D", attribute: 58, wide: false, of: Of::All },
    Field { name: "maxSurface3D", attribute: 59, wide: false, of: Of::All },
    Field { name: "maxSurface3D", attribute: 60, wide: false, of: Of::All },
    Field { name: "maxSurface1DLayered", attribute: 61, wide: false, of: Of::All },
    Field { name: "maxSurface1DLayered", attribute: 62, wide: false, of: Of::All },
    Field { name: "maxSurface2DLayered", attribute: 63, wide: false, of: Of::All },
    Field { name: "maxSurface2DLayered", attribute: 64, wide: false, of: Of::All },
    Field { name: "maxSurface2DLayered", attribute: 65, wide: false, of: Of::All },
    Field { name: "maxSurfaceCubemap", attribute: 66, wide: false, of: Of::All },
    Field { name: "maxSurfaceCubemapLayered", attribute: 67, wide: false, of: Of::All },
    Field { name: "maxSurfaceCubemapLayered", attribute: 68, wide: false, of: Of::All },
    Field { name: "surfaceAlignment", attribute: 30, wide: true, of: Of::All },
    Field { name: "concurrentKernels", attribute: 31, wide: false, of: Of::All },
    Field { name: "ECCEnabled", attribute: 32, wide: false, of: Of::All },
    Field { name: "pciBusID", attribute: 33, wide: false, of: Of::All },
    Field { name: "pciDeviceID", attribute: 34, wide: false, of: Of::All },
    Field { name: "pciDomainID", attribute: 50, wide: false, of: Of::All },
    Field { name: "tccDriver", attribute: 35, wide: false, of: Of::All },
    Field { name: "asyncEngineCount", attribute: 40, wide: false, of: Of::All },
    Field { name: "unifiedAddressing", attribute: 41, wide: false, of: Of::All },
    Field { name: "memoryClockRate", attribute: 36, wide: false, of: Of::Old },
    Field { name: "memoryBusWidth", attribute: 37, wide: false, of: Of::All },
    Field { name: "l2CacheSize", attribute: 38, wide: false, of: Of::All },
    Field { name: "persistingL2CacheMaxSize", attribute: 108, wide: false, of: Of::All },
    Field { name: "maxThreadsPerMultiProcessor", attribute: 39, wide: false, of: Of::All },
    Field { name: "streamPrioritiesSupported", attribute: 78, wide: false, of: Of::All },
    Field { name: "globalL1CacheSupported", attribute: 79, wide: false, of: Of::All },
    Field { name: "localL1CacheSupported", attribute: 80, wide: false, of: Of::All },
    Field { name: "sharedMemPerMultiprocessor", attribute: 81, wide: true, of: Of::All },
    Field { name: "regsPerMultiprocessor", attribute: 82, wide: false, of: Of::All },
    Field { name: "managedMemory", attribute: 83, wide: false, of: Of::All },
    Field { name: "isMultiGpuBoard", attribute: 84, wide: false, of: Of::All },
    Field { name: "multiGpuBoardGroupID", attribute: 85, wide: false, of: Of::All },
    Field { name: "hostNativeAtomicSupported", attribute: 86, wide: false, of: Of::All },
    Field { name: "singleToDoublePrecisionPerfRatio", attribute: 87, wide: false, of: Of::Old },
    Field { name: "pageableMemoryAccess", attribute: 88, wide: false, of: Of::All },
    Field { name: "concurrentManagedAccess", attribute: 89, wide: false, of: Of::All },
    Field { name: "computePreemptionSupported", attribute: 90, wide: false, of: Of::All },
    Field { name: "canUseHostPointerForRegisteredMem", attribute: 91, wide: false, of: Of::All },
    Field { name: "cooperativeLaunch", attribute: 95, wide: false, of: Of::All },
    Field { name: "cooperativeMultiDeviceLaunch", attribute: 96, wide: false, of: Of::Old },
    Field { name: "sharedMemPerBlockOptin", attribute: 97, wide: true, of: Of::All },
    Field { name: "pageableMemoryAccessUsesHostPageTables", attribute: 100, wide: false, of: Of::All },
    Field { name: "directManagedMemAccessFromHost", attribute: 101, wide: false, of: Of::All },
    Field { name: "maxBlocksPerMultiProcessor", attribute: 106, wide: false, of: Of::All },
    Field { name: "accessPolicyMaxWindowSize", attribute: 109, wide: false, of: Of::All },
    Field { name: "reservedSharedMemPerBlock", attribute: 111, wide: true, of: Of::All },
    Field { name: "hostRegisterSupported", attribute: 99, wide: false, of: Of::From12 },
    Field { name: "sparseCudaArraySupported", attribute: 112, wide: false, of: Of::From12 },
    Field { name: "hostRegisterReadOnlySupported", attribute: 113, wide: false, of: Of::From12 },
    Field { name: "timelineSemaphoreInteropSupported", attribute: 114, wide: false, of: Of::From12 },
    Field { name: "memoryPoolsSupported", attribute: 115, wide: false, of: Of::From12 },
    Field { name: "gpuDirectRDMASupported", attribute: 116, wide: false, of: Of::From12 },
    Field { name: "gpuDirectRDMAFlushWritesOptions", attribute: 117, wide: false, of: Of::From12 },
    Field { name: "gpuDirectRDMAWritesOrdering", attribute: 118, wide: false, of: Of::From12 },
    Field { name: "memoryPoolSupportedHandleTypes", attribute: 119, wide: false, of: Of::From12 },
    Field { name: "deferredMappingCudaArraySupported", attribute: 121, wide: false, of: Of::From12 },
    Field { name: "ipcEventSupported", attribute: 125, wide: false, of: Of::From12 },
    Field { name: "clusterLaunch", attribute: 120, wide: false, of: Of::From12 },
    Field { name: "unifiedFunctionPointers", attribute: 129, wide: false, of: Of::From12 },
    Field { name: "deviceNumaConfig", attribute: 130, wide: false, of: Of::From13 },
    Field { name: "deviceNumaId", attribute: 131, wide: false, of: Of::From13 },
    Field { name: "mpsEnabled", attribute: 133, wide: false, of: Of::From13 },
    Field { name: "hostNumaId", attribute: 134, wide: false, of: Of::From13 },
    Field { name: "gpuPciDeviceID", attribute: 139, wide: false, of: Of::From13 },
    Field { name: "gpuPciSubsystemID", attribute: 140, wide: false, of: Of::From13 },
    Field { name: "hostNumaMultinodeIpcSupported", attribute: 143, wide: false, of: Of::From13 },
];
