//! What a memory pool says of itself.

use cudarc::driver::sys::{CUmemPool_attribute, CUmemoryPool};

use super::{CudaError, cu};

/// Bytes of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolBytes {
    /// In use.
    pub used: u64,
    /// Taken from the device, in use or not.
    pub reserved: u64,
}

/// The bytes of the pool with this handle.
///
/// # Errors
/// The driver's.
pub fn pool_bytes(pool: u64) -> Result<PoolBytes, CudaError> {
    let ask = |attribute| {
        let mut value = 0u64;
        cu!(cuMemPoolGetAttribute(pool as usize as CUmemoryPool, attribute, (&raw mut value).cast()))?;
        Ok(value)
    };
    Ok(PoolBytes {
        used: ask(CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?,
        reserved: ask(CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?,
    })
}

/// The handles of the current device's default pool, and of the pool that it allocates from.
///
/// # Errors
/// The driver's; a device without pools has none.
pub fn pools_of_device() -> Result<[u64; 2], CudaError> {
    let mut device = 0;
    cu!(cuCtxGetDevice(&mut device))?;
    let (mut default, mut current) = (std::ptr::null_mut(), std::ptr::null_mut());
    cu!(cuDeviceGetDefaultMemPool(&mut default, device))?;
    cu!(cuDeviceGetMemPool(&mut current, device))?;
    Ok([default.addr() as u64, current.addr() as u64])
}
