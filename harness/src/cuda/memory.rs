//! Device memory from a pool of its own, and pinned host memory.

use std::ffi::c_void;

use cudarc::driver::sys::{
    self, CUdevice, CUdeviceptr, CUmemAllocationHandleType, CUmemAllocationType, CUmemLocation, CUmemLocationType,
    CUmemPool_attribute, CUmemPoolProps, CUmemoryPool, CUpointer_attribute,
};

use super::{CudaError, Stream, cu, live};

/// A memory pool of its own: its high-water mark counts exactly what was allocated from it,
/// where `cuMemGetInfo` moves in steps of 2 MiB on NVIDIA's driver.
#[derive(Debug)]
pub struct MemoryPool {
    raw: CUmemoryPool,
}

// SAFETY: a pool handle may be used from any thread; the driver API is thread-safe.
unsafe impl Send for MemoryPool {}

impl MemoryPool {
    /// A pool of pinned device memory on `device`.
    ///
    /// # Errors
    /// The driver's.
    pub fn new(device: CUdevice) -> Result<Self, CudaError> {
        // SAFETY: the struct is plain data for which all zeroes is a valid value.
        let mut properties: CUmemPoolProps = unsafe { std::mem::zeroed() };
        properties.allocType = CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
        properties.handleTypes = CUmemAllocationHandleType::CU_MEM_HANDLE_TYPE_NONE;
        properties.location = CUmemLocation { type_: CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE, id: device };
        let mut raw = std::ptr::null_mut();
        cu!(cuMemPoolCreate(&mut raw, &properties))?;
        Ok(MemoryPool { raw })
    }

    /// A pool on the device of the current context.
    ///
    /// # Errors
    /// The driver's.
    pub fn of_current() -> Result<Self, CudaError> {
        let mut device = 0;
        cu!(cuCtxGetDevice(&mut device))?;
        Self::new(device)
    }

    /// Most bytes ever in use at once, as the driver counted them.
    ///
    /// # Errors
    /// The driver's.
    pub fn used_high(&self) -> Result<u64, CudaError> {
        let mut value = 0u64;
        cu!(cuMemPoolGetAttribute(
            self.raw,
            CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH,
            (&raw mut value).cast()
        ))?;
        Ok(value)
    }

    /// Allocates `len` bytes for the harness itself, with `guard` before and behind them, ready to use when this
    /// returns.
    ///
    /// # Errors
    /// `CUDA_ERROR_OUT_OF_MEMORY`, or what an earlier fault left.
    pub fn allocate(&self, len: usize, guard: Guard, stream: &Stream) -> Result<DeviceMemory, CudaError> {
        let memory = self.allocate_aligned(len, guard, None, stream)?;
        live::note_own(memory.base);
        Ok(memory)
    }

    /// Allocates a buffer of a step, as [`allocate`](Self::allocate) does, at an address that is a multiple of the power of two `align` and of no greater
    /// one.
    ///
    /// # Errors
    /// As for [`allocate`](Self::allocate).
    pub fn allocate_aligned(
        &self,
        len: usize,
        guard: Guard,
        align: Option<usize>,
        stream: &Stream,
    ) -> Result<DeviceMemory, CudaError> {
        let mut base = 0;
        let whole = len.saturating_add(2 * guard.bytes).saturating_add(slack(align));
        cu!(cuMemAllocFromPoolAsync(&mut base, whole, self.raw, stream.raw()))?;
        let shift = align.map_or(0, |align| shift(base + guard.bytes as u64, align as u64));
        let memory = DeviceMemory { base, shift, guard: guard.bytes, len };
        if guard.bytes > 0 {
            cu!(cuMemsetD8Async(memory.guard_address(), guard.value, guard.bytes, stream.raw()))?;
            cu!(cuMemsetD8Async(memory.address() + len as u64, guard.value, guard.bytes, stream.raw()))?;
        }
        stream.synchronize()?;
        Ok(memory)
    }
}

impl Drop for MemoryPool {
    fn drop(&mut self) {
        if let Err(error) = cu!(cuMemPoolDestroy(self.raw)) {
            tracing::debug!(%error, "destroying a memory pool");
        }
    }
}

/// Every allocation begins at a multiple of this: cuMemAlloc's promise, "suitably aligned for any kind of variable".
const EVERY: usize = 256;

/// Bytes that an alignment may need beside the memory. Up to half of what every allocation has, the shift is the
/// alignment itself: the memory ends where the allocation does, and what is behind is seen.
pub fn slack(align: Option<usize>) -> usize {
    align.map_or(0, |align| if 2 * align <= EVERY { align } else { 2 * align })
}

/// How far from `address` the next multiple of `align` is that is one of no greater power of two.
fn shift(address: u64, align: u64) -> u64 {
    (align + 2 * align - address % (2 * align)) % (2 * align)
}

/// What stands before and behind an allocation, to see writes and reads beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Its length on either side.
    pub bytes: usize,
    /// What each byte holds.
    pub value: u8,
}

impl Guard {
    /// None.
    pub const NONE: Guard = Guard { bytes: 0, value: 0 };
}

/// An allocation of device memory, freed with this value.
#[derive(Debug)]
pub struct DeviceMemory {
    base: CUdeviceptr,
    /// Bytes before the guard, for the alignment.
    shift: u64,
    guard: usize,
    len: usize,
}

impl DeviceMemory {
    /// Its first device address, behind the guard.
    pub fn address(&self) -> u64 {
        self.guard_address() + self.guard as u64
    }

    /// The address of the guard before it.
    pub fn guard_address(&self) -> u64 {
        self.base + self.shift
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty; it never is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Enqueues a fill with one byte value.
    ///
    /// # Errors
    /// The driver's.
    pub fn fill(&self, value: u8, stream: &Stream) -> Result<(), CudaError> {
        cu!(cuMemsetD8Async(self.address(), value, self.len, stream.raw()))
    }

    /// Enqueues a copy of all of `source` into the start of this allocation.
    ///
    /// # Errors
    /// The driver's.
    pub fn upload(&self, source: &PinnedMemory, stream: &Stream) -> Result<(), CudaError> {
        cu!(cuMemcpyHtoDAsync_v2(self.address(), source.pointer, source.len.min(self.len), stream.raw()))
    }

    /// Enqueues a copy of this allocation into `destination`.
    ///
    /// # Errors
    /// The driver's.
    pub fn download(&self, destination: &mut PinnedMemory, stream: &Stream) -> Result<(), CudaError> {
        cu!(cuMemcpyDtoHAsync_v2(destination.pointer, self.address(), destination.len.min(self.len), stream.raw()))
    }

    /// Enqueues a copy of all of `source`, of the same length, into this allocation.
    ///
    /// # Errors
    /// The driver's.
    pub fn copy_from(&self, source: &DeviceMemory, stream: &Stream) -> Result<(), CudaError> {
        cu!(cuMemcpyDtoDAsync_v2(self.address(), source.address(), source.len.min(self.len), stream.raw()))
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        if let Err(error) = cu!(cuMemFree_v2(self.base)) {
            tracing::debug!(%error, "freeing device memory");
        }
    }
}

/// Page-locked host memory, freed with this value. Copies from and to it are truly asynchronous.
#[derive(Debug)]
pub struct PinnedMemory {
    pointer: *mut c_void,
    len: usize,
}

// SAFETY: the memory is owned by this value and may be used from any thread.
unsafe impl Send for PinnedMemory {}

impl PinnedMemory {
    /// Allocates `len` bytes, zeroed.
    ///
    /// # Errors
    /// The driver's.
    pub fn new(len: usize) -> Result<Self, CudaError> {
        let mut pointer = std::ptr::null_mut();
        cu!(cuMemHostAlloc(&mut pointer, len.max(1), 0))?;
        // SAFETY: the driver gave `len.max(1)` writable bytes.
        unsafe { pointer.cast::<u8>().write_bytes(0, len.max(1)) };
        Ok(PinnedMemory { pointer, len })
    }

    /// The bytes. No copy that writes them may be in flight.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes, owned by this value.
        unsafe { std::slice::from_raw_parts(self.pointer.cast(), self.len) }
    }

    /// The bytes, to write. No copy that reads or writes them may be in flight.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` initialised bytes, owned by this value and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.cast(), self.len) }
    }
}

impl Drop for PinnedMemory {
    fn drop(&mut self) {
        if let Err(error) = cu!(cuMemFreeHost(self.pointer)) {
            tracing::debug!(%error, "freeing pinned memory");
        }
    }
}

/// Free device memory in bytes, as `cuMemGetInfo` says.
///
/// # Errors
/// The driver's.
pub fn free_memory() -> Result<u64, CudaError> {
    let (mut free, mut total) = (0, 0);
    cu!(cuMemGetInfo_v2(&mut free, &mut total))?;
    Ok(free as u64)
}

/// Bytes that graphs' allocation nodes hold on the current context's device, as
/// `cuDeviceGetGraphMemAttribute` says.
///
/// # Errors
/// The driver's; `CUDA_ERROR_NOT_SUPPORTED` where it does not count them.
pub fn graph_memory() -> Result<u64, CudaError> {
    let mut device = 0;
    cu!(cuCtxGetDevice(&mut device))?;
    let mut used = 0u64;
    let attribute = sys::CUgraphMem_attribute::CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT;
    cu!(cuDeviceGetGraphMemAttribute(device, attribute, (&raw mut used).cast()))?;
    Ok(used)
}

/// An allocation as the driver knows it: device memory, or pinned host memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// Unique for the life of the process: another allocation at the same address has another.
    pub id: u64,
    /// Whether it is host memory.
    pub host: bool,
}

impl Allocation {
    /// The allocation that holds `address`, if it is one that the driver knows now.
    pub fn of(address: u64) -> Option<Self> {
        // The first page is never memory; small numbers are the commonest parameters.
        if address < 4096 {
            return None;
        }
        let (mut id, mut kind) = (0u64, 0u32);
        use CUpointer_attribute::{CU_POINTER_ATTRIBUTE_BUFFER_ID, CU_POINTER_ATTRIBUTE_MEMORY_TYPE};
        cu!(cuPointerGetAttribute((&raw mut kind).cast(), CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address)).ok()?;
        cu!(cuPointerGetAttribute((&raw mut id).cast(), CU_POINTER_ATTRIBUTE_BUFFER_ID, address)).ok()?;
        Some(Allocation { id, host: kind == sys::CUmemorytype::CU_MEMORYTYPE_HOST as u32 })
    }
}

/// Where the allocation that holds `address` begins, and its bytes; none for what is no device memory.
pub fn extent(address: u64) -> Option<(u64, u64)> {
    let (mut base, mut len) = (0, 0);
    cu!(cuMemGetAddressRange_v2(&mut base, &mut len, address)).ok()?;
    Some((base, len as u64))
}

/// The bytes of device memory from `address` to the end of its allocation, `most` at most; none if it
/// cannot be read. Waits for work of the legacy stream and of streams that it waits for.
pub fn peek(address: u64, most: usize) -> Option<Vec<u8>> {
    let (base, len) = extent(address)?;
    let behind = (base + len).checked_sub(address)?;
    let mut bytes = vec![0u8; most.min(usize::try_from(behind).unwrap_or(usize::MAX))];
    cu!(cuMemcpyDtoH_v2(bytes.as_mut_ptr().cast(), address, bytes.len())).ok()?;
    Some(bytes)
}

/// Reads device memory into `bytes`. Waits as [`peek`] does.
///
/// # Errors
/// The driver's: it is not mapped any more, or not readable.
pub fn read(address: u64, bytes: &mut [u8]) -> Result<(), CudaError> {
    cu!(cuMemcpyDtoH_v2(bytes.as_mut_ptr().cast(), address, bytes.len()))
}

/// Writes `bytes` to device memory. Waits as [`peek`] does.
///
/// # Errors
/// The driver's.
pub fn write(address: u64, bytes: &[u8]) -> Result<(), CudaError> {
    cu!(cuMemcpyHtoD_v2(address, bytes.as_ptr().cast(), bytes.len()))
}

/// Waits for all work of the current context, of whatever stream.
///
/// # Errors
/// The driver's; a fault of an earlier kernel among them.
pub fn wait_for_all() -> Result<(), CudaError> {
    cu!(cuCtxSynchronize())
}

/// Whether CUDA knows a host address: pinned, registered or managed memory.
pub fn is_pinned(address: u64) -> bool {
    let mut kind = 0u32;
    cu!(cuPointerGetAttribute((&raw mut kind).cast(), CUpointer_attribute::CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address))
        .is_ok()
}
