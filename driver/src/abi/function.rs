//! Functions: attributes, parameters, occupancy.

use std::ffi::{c_char, c_int, c_uint};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::args::{not_null, write, write_if};
use super::types::{CUfunction, CUmodule};
use super::{CUresult, Cuda};
use crate::software::device::{
    BLOCKS_PER_MULTIPROCESSOR, MAX_THREADS_PER_BLOCK, MULTIPROCESSORS, REGISTERS, SHARED_RESERVED, WARP, capability,
};
use crate::software::driver;
use crate::software::launch::resident_blocks_of;
use crate::software::module::{Function, Settings};
use graphproof_exec::{Entry, Kernel};

const MAX_DYNAMIC_SHARED: u32 = 8;
const CARVEOUT: u32 = 9;
const NON_PORTABLE_CLUSTER: u32 = 14;

/// `size_t (*)(int blockSize)`.
type BlockToShared = Option<unsafe extern "C" fn(c_int) -> usize>;

/// An attribute of a function or kernel.
pub(crate) fn attribute(
    kernel: &Kernel,
    settings: &Settings,
    constant_bytes: u64,
    ptx_version: u32,
    attribute: u32,
) -> Cuda<c_int> {
    Ok(match attribute {
        0 => registers_allow(kernel).min(kernel.max_threads_per_block) as c_int,
        1 => kernel.static_shared_bytes as c_int,
        2 => c_int::try_from(constant_bytes).unwrap_or(c_int::MAX),
        3 => kernel.local_bytes as c_int,
        4 => kernel.registers as c_int,
        5 => ptx_version as c_int,
        6 => capability().number(),
        7 => 0,
        MAX_DYNAMIC_SHARED => settings.max_dynamic_shared(kernel) as c_int,
        CARVEOUT => settings.carveout.load(Ordering::Relaxed),
        10 => c_int::from(kernel.explicit_cluster && kernel.required_cluster.is_none()),
        11..=13 => kernel.required_cluster.map_or(0, |cluster| cluster[attribute as usize - 11] as c_int),
        NON_PORTABLE_CLUSTER => c_int::from(settings.non_portable_cluster.load(Ordering::Relaxed)),
        15..=17 => 0,
        _ => return Err(CUresult::INVALID_VALUE),
    })
}

/// Sets an attribute of a function or kernel.
pub(crate) fn set_attribute(kernel: &Kernel, settings: &Settings, attribute: u32, value: c_int) -> Cuda {
    match attribute {
        MAX_DYNAMIC_SHARED => {
            let most = capability().shared_per_block_optin.saturating_sub(kernel.static_shared_bytes);
            let value = u32::try_from(value).ok().filter(|&value| value <= most).ok_or(CUresult::INVALID_VALUE)?;
            settings.set_max_dynamic_shared(value);
            Ok(())
        }
        CARVEOUT if (-1..=100).contains(&value) => {
            settings.carveout.store(value, Ordering::Relaxed);
            Ok(())
        }
        NON_PORTABLE_CLUSTER if capability().cluster > 0 => {
            settings.non_portable_cluster.store(value != 0, Ordering::Relaxed);
            Ok(())
        }
        // The cluster attributes of a device without clusters; a size at run time has no model.
        11..=15 => Err(CUresult::NOT_SUPPORTED),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// Offset and size of a parameter.
pub(crate) fn parameter(kernel: &Entry, index: usize) -> Cuda<(usize, usize)> {
    let parameter = kernel.parameters.get(index).ok_or(CUresult::INVALID_VALUE)?;
    Ok((parameter.offset, parameter.size))
}

fn registers_allow(kernel: &Kernel) -> u32 {
    (REGISTERS / (kernel.registers.max(1) * WARP) * WARP).min(MAX_THREADS_PER_BLOCK)
}

fn function(handle: CUfunction) -> Cuda<Arc<Function>> {
    driver().world().function(handle)
}

/// The block size that fills a multiprocessor best, and the blocks that fill the device.
fn best_block(function: &Arc<Function>, to_shared: BlockToShared, shared: usize, limit: c_int) -> Cuda<(c_int, c_int)> {
    let kernel = function.kernel()?;
    let limit = match limit {
        ..0 => return Err(CUresult::INVALID_VALUE),
        0 => MAX_THREADS_PER_BLOCK,
        limit => limit as u32,
    };
    let most = limit.min(kernel.max_threads_per_block).min(registers_allow(kernel));
    let (mut best, mut best_threads) = ((0, 0), 0);
    for block in (1..=most.div_ceil(WARP)).rev().map(|warps| (warps * WARP).min(most)) {
        // SAFETY: the caller's function, called as documented.
        let shared = to_shared.map_or(shared, |to_shared| unsafe { to_shared(block as c_int) });
        let resident = resident_blocks_of(kernel, block, shared as u64);
        if resident * block > best_threads {
            best_threads = resident * block;
            best = (resident as c_int * MULTIPROCESSORS, block as c_int);
        }
    }
    Ok(best)
}

entry_points! {
    fn cuFuncGetAttribute(pi: *mut c_int, attrib: c_uint, hfunc: CUfunction) {
        not_null(pi)?;
        let found = function(hfunc)?;
        unsafe { write(pi, attribute(found.kernel()?, &found.settings, found.constant_bytes, found.ptx_version, attrib)?) }
    }

    fn cuFuncSetAttribute(hfunc: CUfunction, attrib: c_uint, value: c_int) {
        let found = function(hfunc)?;
        set_attribute(found.kernel()?, &found.settings, attrib, value)
    }

    fn cuFuncSetCacheConfig(hfunc: CUfunction, config: c_uint) {
        if config > 3 {
            return Err(CUresult::INVALID_VALUE);
        }
        function(hfunc)?.settings.cache.store(config, Ordering::Relaxed);
        Ok(())
    }

    fn cuFuncSetSharedMemConfig(hfunc: CUfunction, config: c_uint) {
        if config > 2 {
            return Err(CUresult::INVALID_VALUE);
        }
        function(hfunc).map(|_| ())
    }

    fn cuFuncGetName(name: *mut *const c_char, hfunc: CUfunction) {
        not_null(name)?;
        // Lives as long as the module.
        unsafe { write(name, function(hfunc)?.name().as_ptr()) }
    }

    fn cuFuncGetModule(hmod: *mut CUmodule, hfunc: CUfunction) {
        not_null(hmod)?;
        unsafe { write(hmod, CUmodule(function(hfunc)?.module)) }
    }

    fn cuFuncGetParamInfo(func: CUfunction, paramIndex: usize, paramOffset: *mut usize, paramSize: *mut usize) {
        not_null(paramOffset)?;
        let (offset, size) = parameter(&function(func)?.entry, paramIndex)?;
        unsafe { write_if(paramSize, size) };
        unsafe { write(paramOffset, offset) }
    }

    fn cuFuncGetParamCount(func: CUfunction, paramCount: *mut usize) {
        not_null(paramCount)?;
        unsafe { write(paramCount, function(func)?.entry.parameters.len()) }
    }

    fn cuFuncIsLoaded(state: *mut c_uint, function: CUfunction) {
        not_null(state)?;
        // Everything is loaded with its module: `CU_FUNCTION_LOADING_STATE_LOADED`.
        driver().world().function(function)?;
        unsafe { write(state, 1) }
    }

    fn cuFuncLoad(function: CUfunction) {
        driver().world().function(function).map(|_| ())
    }

    fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
        numBlocks: *mut c_int, func: CUfunction, blockSize: c_int, dynamicSMemSize: usize
    ) {
        not_null(numBlocks)?;
        let block = u32::try_from(blockSize).ok().filter(|&block| block > 0).ok_or(CUresult::INVALID_VALUE)?;
        unsafe { write(numBlocks, resident_blocks_of(function(func)?.kernel()?, block, dynamicSMemSize as u64) as c_int) }
    }

    fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        numBlocks: *mut c_int, func: CUfunction, blockSize: c_int, dynamicSMemSize: usize, flags: c_uint
    ) {
        not_null(numBlocks)?;
        if flags > 1 {
            return Err(CUresult::INVALID_VALUE);
        }
        let block = u32::try_from(blockSize).ok().filter(|&block| block > 0).ok_or(CUresult::INVALID_VALUE)?;
        unsafe { write(numBlocks, resident_blocks_of(function(func)?.kernel()?, block, dynamicSMemSize as u64) as c_int) }
    }

    fn cuOccupancyMaxPotentialBlockSize(
        minGridSize: *mut c_int, blockSize: *mut c_int, func: CUfunction, blockSizeToDynamicSMemSize: BlockToShared,
        dynamicSMemSize: usize, blockSizeLimit: c_int
    ) {
        not_null(minGridSize)?;
        not_null(blockSize)?;
        let best = best_block(&function(func)?, blockSizeToDynamicSMemSize, dynamicSMemSize, blockSizeLimit)?;
        unsafe { write(minGridSize, best.0) }?;
        unsafe { write(blockSize, best.1) }
    }

    fn cuOccupancyMaxPotentialBlockSizeWithFlags(
        minGridSize: *mut c_int, blockSize: *mut c_int, func: CUfunction, blockSizeToDynamicSMemSize: BlockToShared,
        dynamicSMemSize: usize, blockSizeLimit: c_int, flags: c_uint
    ) {
        not_null(minGridSize)?;
        not_null(blockSize)?;
        if flags > 1 {
            return Err(CUresult::INVALID_VALUE);
        }
        let best = best_block(&function(func)?, blockSizeToDynamicSMemSize, dynamicSMemSize, blockSizeLimit)?;
        unsafe { write(minGridSize, best.0) }?;
        unsafe { write(blockSize, best.1) }
    }

    fn cuOccupancyAvailableDynamicSMemPerBlock(
        dynamicSmemSize: *mut usize, func: CUfunction, numBlocks: c_int, blockSize: c_int
    ) {
        not_null(dynamicSmemSize)?;
        let found = function(func)?;
        let kernel = found.kernel()?;
        let valid = (1..=BLOCKS_PER_MULTIPROCESSOR as c_int).contains(&numBlocks) && blockSize > 0;
        if !valid || resident_blocks_of(kernel, blockSize as u32, 0) < numBlocks as u32 {
            return Err(CUresult::INVALID_VALUE);
        }
        let share = capability().shared_per_multiprocessor / numBlocks as u32 / 128 * 128;
        let most = share.saturating_sub(SHARED_RESERVED).saturating_sub(kernel.static_shared_bytes);
        // M (H200, driver 580.159.04): no more than a launch may have, 48 KiB in all unless opted in.
        let allowed = found.settings.max_dynamic_shared(kernel);
        unsafe { write(dynamicSmemSize, most.min(allowed) as usize) }
    }
}
