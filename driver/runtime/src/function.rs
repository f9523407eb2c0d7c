//! Functions: attributes, parameters, occupancy.

use std::ffi::c_char;

use crate::door::{Failure, Outcome, entry_points};
use crate::types::write;
use crate::{driver, registry};

/// `cudaFuncAttributes`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct FuncAttributes {
    shared_bytes: usize,
    const_bytes: usize,
    local_bytes: usize,
    max_threads: i32,
    registers: i32,
    ptx_version: i32,
    binary_version: i32,
    /// `cacheModeCA` and what follows, in the driver's order of its attributes from 7 on: the largest dynamic
    /// shared memory, the carve-out, then the cluster's.
    others: [i32; 3],
    cluster: [i32; 6],
    reserved: [i32; 16],
}

fn attribute(function: usize, of: u32) -> Outcome<i32> {
    let mut value = 0i32;
    // SAFETY: a place for the result.
    unsafe { driver::cuFuncGetAttribute((&raw mut value).cast(), of, function) }?;
    Ok(value)
}

fn attributes(function: usize) -> Outcome<FuncAttributes> {
    let of = |id| attribute(function, id);
    let bytes = |id| of(id).map(|value| value.unsigned_abs() as usize);
    Ok(FuncAttributes {
        max_threads: of(0)?,
        shared_bytes: bytes(1)?,
        const_bytes: bytes(2)?,
        local_bytes: bytes(3)?,
        registers: of(4)?,
        ptx_version: of(5)?,
        binary_version: of(6)?,
        others: [of(7)?, of(8)?, of(9)?],
        // Must be set, width, height, depth, policy, non-portable size.
        cluster: [of(10)?, of(11)?, of(12)?, of(13)?, of(15)?, of(14)?],
        reserved: [0; 16],
    })
}

entry_points! {
    fn cudaFuncGetAttributes(attr: *mut FuncAttributes, func: usize) {
        unsafe { write(attr, attributes(registry::function(func)?)?) }
    }

    fn cudaFuncSetAttribute(func: usize, attr: u32, value: i32) {
        // The runtime's values are the driver's.
        unsafe { driver::cuFuncSetAttribute(registry::function(func)?, attr, value) }
    }

    fn cudaKernelSetAttributeForDevice(kernel: usize, attr: u32, value: i32, device: i32) {
        unsafe { driver::cuKernelSetAttribute(attr, value as u32 as _, kernel, device) }
    }

    fn cudaFuncSetCacheConfig(func: usize, cacheConfig: u32) {
        unsafe { driver::cuFuncSetCacheConfig(registry::function(func)?, cacheConfig) }
    }

    fn cudaFuncSetSharedMemConfig(func: usize, config: u32) {
        unsafe { driver::cuFuncSetSharedMemConfig(registry::function(func)?, config) }
    }

    fn cudaFuncGetName(name: *mut *const c_char, func: usize) {
        unsafe { driver::cuFuncGetName(name.cast(), registry::function(func)?) }
    }

    fn cudaFuncGetParamInfo(func: usize, paramIndex: usize, paramOffset: *mut usize, paramSize: *mut usize) {
        let function = registry::function(func)?;
        unsafe { driver::cuFuncGetParamInfo(function, paramIndex, paramOffset.cast(), paramSize.cast()) }
    }

    fn cudaOccupancyMaxActiveBlocksPerMultiprocessor(
        numBlocks: *mut i32, func: usize, blockSize: i32, dynamicSMemSize: usize
    ) {
        let function = registry::function(func)?;
        unsafe {
            driver::cuOccupancyMaxActiveBlocksPerMultiprocessor(numBlocks.cast(), function, blockSize, dynamicSMemSize)
        }
    }

    fn cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        numBlocks: *mut i32, func: usize, blockSize: i32, dynamicSMemSize: usize, flags: u32
    ) {
        let (place, function) = (numBlocks.cast(), registry::function(func)?);
        unsafe {
            driver::cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
                place, function, blockSize, dynamicSMemSize, flags,
            )
        }
    }

    fn cudaOccupancyAvailableDynamicSMemPerBlock(
        dynamicSmemSize: *mut usize, func: usize, numBlocks: i32, blockSize: i32
    ) {
        let function = registry::function(func)?;
        unsafe {
            driver::cuOccupancyAvailableDynamicSMemPerBlock(dynamicSmemSize.cast(), function, numBlocks, blockSize)
        }
    }

    fn cudaOccupancyMaxPotentialClusterSize(clusterSize: *mut i32, func: usize, launchConfig: usize) {
        let _ = (clusterSize, registry::function(func)?, launchConfig);
        // The software device has no clusters.
        Err(Failure::NOT_SUPPORTED)
    }
}
