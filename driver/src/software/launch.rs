//! Kernel launches: the limits that a call checks.

use super::device::{self, MAX_BLOCK, MAX_GRID, MAX_THREADS_PER_BLOCK, MULTIPROCESSORS, REGISTERS, resident_blocks};
use super::work::KernelWork;
use crate::abi::{CUresult, Cuda};
use crate::record;
use graphproof_exec::{Kernel, LaunchConfig};

/// Checks a launch against the limits of the device and of the function.
pub fn check(work: &KernelWork) -> Cuda {
    let LaunchConfig { grid, block, dynamic_shared_bytes } = work.config;
    let function = &work.function;
    let fits = |extent: [u32; 3], limit: [u32; 3]| extent.iter().zip(limit).all(|(&n, limit)| (1..=limit).contains(&n));
    if !fits(grid, MAX_GRID) || !fits(block, MAX_BLOCK) {
        record::note(|| format!("grid {grid:?} block {block:?}: an extent is 0 or beyond the device's limit"));
        return Err(CUresult::INVALID_VALUE);
    }
    let threads = block.iter().map(|&extent| u64::from(extent)).product::<u64>();
    let kernel = function.kernel()?;
    let most = kernel.max_threads_per_block.min(MAX_THREADS_PER_BLOCK);
    if threads > u64::from(most) {
        record::note(|| format!("{threads} threads per block; {} allows {most}", kernel.name));
        return Err(CUresult::INVALID_VALUE);
    }
    let threads = threads as u32;
    if threads.div_ceil(device::WARP) * device::WARP * kernel.registers > REGISTERS {
        return Err(CUresult::LAUNCH_OUT_OF_RESOURCES);
    }
    let allowed = function.settings.max_dynamic_shared(kernel);
    if dynamic_shared_bytes > allowed {
        record::note(|| {
            let name = &kernel.name;
            format!("{dynamic_shared_bytes} bytes of dynamic shared memory; {name} is set to at most {allowed}")
        });
        return Err(CUresult::INVALID_VALUE);
    }
    if work.cooperative {
        let resident = resident_blocks_of(kernel, threads, u64::from(dynamic_shared_bytes));
        let blocks = grid.iter().map(|&extent| u64::from(extent)).product::<u64>();
        if blocks > u64::from(resident) * MULTIPROCESSORS as u64 {
            return Err(CUresult::COOPERATIVE_LAUNCH_TOO_LARGE);
        }
    }
    Ok(())
}

/// Resident blocks of a kernel on one multiprocessor.
pub fn resident_blocks_of(kernel: &Kernel, block: u32, dynamic_shared: u64) -> u32 {
    if block > kernel.max_threads_per_block {
        return 0;
    }
    resident_blocks(kernel.registers, kernel.static_shared_bytes, block, dynamic_shared)
}
