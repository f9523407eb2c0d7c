//! Limits of a context: `CUlimit`.

use graphproof_api::{CUresult, Cuda};

/// `CU_LIMIT_STACK_SIZE`.
pub const STACK_SIZE: u32 = 0;
const PRINTF_FIFO_SIZE: u32 = 1;
const MALLOC_HEAP_SIZE: u32 = 2;
const DEV_RUNTIME_SYNC_DEPTH: u32 = 3;
const DEV_RUNTIME_PENDING_LAUNCH_COUNT: u32 = 4;
const MAX_L2_FETCH_GRANULARITY: u32 = 5;
const PERSISTING_L2_CACHE_SIZE: u32 = 6;

/// The default of a limit; `CUDA_ERROR_UNSUPPORTED_LIMIT` for one that this device lacks.
pub fn check(limit: u32) -> Cuda<usize> {
    Ok(match limit {
        STACK_SIZE => 1024,
        PRINTF_FIFO_SIZE => 1 << 20,
        MALLOC_HEAP_SIZE => 8 << 20,
        DEV_RUNTIME_SYNC_DEPTH => 2,
        DEV_RUNTIME_PENDING_LAUNCH_COUNT => 2048,
        MAX_L2_FETCH_GRANULARITY => 64,
        PERSISTING_L2_CACHE_SIZE => 0,
        7..=10 => return Err(CUresult::UNSUPPORTED_LIMIT),
        _ => return Err(CUresult::INVALID_VALUE),
    })
}

/// Whether changing a limit waits for pending work, since kernels use the memory that it resizes.
/// Measured for the stack (H200, driver 580.159.04); the printf buffer and the heap by the same
/// reason.
pub fn is_memory(limit: u32) -> bool {
    matches!(limit, STACK_SIZE | PRINTF_FIFO_SIZE | MALLOC_HEAP_SIZE)
}

/// What a limit becomes when `value` is asked for.
pub fn clamp(limit: u32, value: usize) -> Cuda<usize> {
    Ok(match limit {
        STACK_SIZE => value.clamp(1024, 512 << 10),
        MAX_L2_FETCH_GRANULARITY if value > 128 => return Err(CUresult::INVALID_VALUE),
        // This device has no such cache.
        PERSISTING_L2_CACHE_SIZE => 0,
        _ => value,
    })
}
