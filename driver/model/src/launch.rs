//! Kernel launches: the limits that a call checks.

use std::sync::atomic::Ordering;

use super::device::{
    self, MAX_BLOCK, MAX_GRID, MAX_THREADS_PER_BLOCK, MULTIPROCESSORS, PORTABLE_CLUSTER, REGISTERS, capability,
    resident_blocks,
};
use super::work::KernelWork;
use crate::record;
use graphproof_api::{CUresult, Cuda};
use graphproof_exec::{Kernel, LaunchConfig};

/// `CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION`.
pub const CLUSTER_DIMENSION: u32 = 4;

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
    if (threads as u32).div_ceil(device::WARP) * device::WARP * kernel.registers > REGISTERS {
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
    check_cluster(work, kernel)?;
    if work.cooperative {
        let blocks = grid.iter().map(|&extent| u64::from(extent)).product::<u64>();
        if blocks > resident(work, kernel) {
            return Err(CUresult::COOPERATIVE_LAUNCH_TOO_LARGE);
        }
    }
    Ok(())
}

/// Blocks of a cluster in x, y, z: from the launch, else from the kernel.
pub fn cluster(work: &KernelWork, kernel: &Kernel) -> [u32; 3] {
    let given = work.attributes.iter().find(|attribute| attribute.id == CLUSTER_DIMENSION);
    let given = given.map(|attribute| [0, 1, 2].map(|word| attribute.value.word(word).max(1)));
    given.or(kernel.required_cluster).unwrap_or([1; 3])
}

/// Checks the cluster of a launch.
fn check_cluster(work: &KernelWork, kernel: &Kernel) -> Cuda {
    let cluster = cluster(work, kernel);
    let refuse = |why: String| {
        record::note(|| format!("a cluster of {cluster:?} blocks: {why}"));
        Err(CUresult::INVALID_CLUSTER_SIZE)
    };
    if let Some(required) = kernel.required_cluster.filter(|required| *required != cluster) {
        return refuse(format!("{} has `.reqnctapercluster` {required:?}", kernel.name));
    }
    let named = work.attributes.iter().any(|attribute| attribute.id == CLUSTER_DIMENSION);
    if kernel.explicit_cluster && kernel.required_cluster.is_none() && !named {
        return refuse(format!("{} has `.explicitcluster`: a launch must name its cluster", kernel.name));
    }
    if cluster == [1; 3] {
        return Ok(());
    }
    let blocks = cluster.iter().map(|&n| u64::from(n)).product::<u64>();
    let free = work.function.settings.non_portable_cluster.load(Ordering::Relaxed);
    let most = if free { capability().cluster } else { capability().cluster.min(PORTABLE_CLUSTER) };
    let most = kernel.max_cluster.map_or(most, |own| own.min(most));
    if blocks > u64::from(most) {
        return refuse(format!("{most} are allowed"));
    }
    if !work.config.grid.iter().zip(cluster).all(|(grid, cluster)| grid.is_multiple_of(cluster)) {
        return refuse(format!("it does not divide the grid {:?}", work.config.grid));
    }
    Ok(())
}

/// Blocks of a launch that the device holds at once.
pub fn resident(work: &KernelWork, kernel: &Kernel) -> u64 {
    let LaunchConfig { block, dynamic_shared_bytes, .. } = work.config;
    let on_one = resident_blocks_of(kernel, block.iter().product(), u64::from(dynamic_shared_bytes));
    u64::from(on_one) * MULTIPROCESSORS as u64
}

/// Resident blocks of a kernel on one multiprocessor.
pub fn resident_blocks_of(kernel: &Kernel, block: u32, dynamic_shared: u64) -> u32 {
    if block > kernel.max_threads_per_block {
        return 0;
    }
    resident_blocks(kernel.registers, kernel.static_shared_bytes, block, dynamic_shared)
}
