//! Launches.

use std::cell::RefCell;
use std::ffi::c_void;

use crate::door::{Failure, Outcome, entry_points, plain_entry_points};
use crate::types::{Dim3, DriverLaunchConfig, LaunchConfig, read, write};
use crate::{driver, registry};

thread_local! {
    /// What `<<<…>>>` has said and no launch has taken yet.
    static CONFIGURATIONS: RefCell<Vec<(Dim3, Dim3, usize, usize)>> = const { RefCell::new(Vec::new()) };
}

const MAX_BLOCK: [u32; 3] = [1024, 1024, 64];
const MAX_GRID: [u32; 3] = [i32::MAX as u32, 65_535, 65_535];
/// `CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK`.
const MAX_THREADS: u32 = 0;

/// The runtime tells a shape that no launch can have from other wrong arguments.
fn check(function: usize, grid: Dim3, block: Dim3) -> Outcome {
    let fits = |of: Dim3, most: [u32; 3]| [of.x, of.y, of.z].iter().zip(most).all(|(&n, most)| (1..=most).contains(&n));
    let mut most = 0i32;
    // SAFETY: a place for the result.
    unsafe { driver::cuFuncGetAttribute((&raw mut most).cast(), MAX_THREADS, function) }?;
    let threads = u64::from(block.x) * u64::from(block.y) * u64::from(block.z);
    if !fits(grid, MAX_GRID) || !fits(block, MAX_BLOCK) || threads > u64::from(most.unsigned_abs()) {
        return Err(Failure::INVALID_CONFIGURATION);
    }
    Ok(())
}

/// # Safety
/// `args` has a valid pointer for each parameter of the kernel.
unsafe fn launch(
    func: usize,
    (grid, block): (Dim3, Dim3),
    args: *const c_void,
    shared: usize,
    stream: usize,
    cooperative: bool,
) -> Outcome {
    let function = registry::function(func)?;
    check(function, grid, block)?;
    let shared = u32::try_from(shared).map_err(|_| Failure::INVALID_VALUE)?;
    let (g, b) = (grid, block);
    // SAFETY: as the caller vouches.
    unsafe {
        match cooperative {
            true => driver::cuLaunchCooperativeKernel(function, g.x, g.y, g.z, b.x, b.y, b.z, shared, stream, args),
            false => {
                driver::cuLaunchKernel(function, g.x, g.y, g.z, b.x, b.y, b.z, shared, stream, args, std::ptr::null())
            }
        }
    }
}

entry_points! {
    fn cudaLaunchKernel(
        func: usize, gridDim: Dim3, blockDim: Dim3, args: *const c_void, sharedMem: usize, stream: usize
    ) {
        unsafe { launch(func, (gridDim, blockDim), args, sharedMem, stream, false) }
    }

    fn __cudaLaunchKernel(
        kernel: usize, gridDim: Dim3, blockDim: Dim3, args: *const c_void, sharedMem: usize, stream: usize
    ) {
        unsafe { launch(kernel, (gridDim, blockDim), args, sharedMem, stream, false) }
    }

    fn cudaLaunchCooperativeKernel(
        func: usize, gridDim: Dim3, blockDim: Dim3, args: *const c_void, sharedMem: usize, stream: usize
    ) {
        unsafe { launch(func, (gridDim, blockDim), args, sharedMem, stream, true) }
    }

    fn cudaLaunchKernelExC(config: *const LaunchConfig, func: usize, args: *const c_void) {
        let config = unsafe { read(config) }?;
        let function = registry::function(func)?;
        check(function, config.gridDim, config.blockDim)?;
        // The attributes are the driver's, field for field.
        let config = DriverLaunchConfig {
            gridDim: config.gridDim,
            blockDim: config.blockDim,
            sharedMemBytes: u32::try_from(config.dynamicSmemBytes).map_err(|_| Failure::INVALID_VALUE)?,
            hStream: config.stream,
            attrs: config.attrs,
            numAttrs: config.numAttrs,
        };
        unsafe { driver::cuLaunchKernelEx((&raw const config).cast(), function, args, std::ptr::null()) }
    }

    fn __cudaGetKernel(kernel: *mut usize, entry: usize) {
        unsafe { write(kernel, registry::kernel(entry)?) }
    }

    fn cudaGetKernel(kernelPtr: *mut usize, entryFuncAddr: usize) {
        unsafe { write(kernelPtr, registry::kernel(entryFuncAddr)?) }
    }

    fn cudaGetFuncBySymbol(functionPtr: *mut usize, symbolPtr: usize) {
        unsafe { write(functionPtr, registry::function(symbolPtr)?) }
    }
}

plain_entry_points! {
    fn __cudaPopCallConfiguration(gridDim: *mut Dim3, blockDim: *mut Dim3, sharedMem: *mut usize, stream: *mut usize) {
        let said = CONFIGURATIONS.with_borrow_mut(Vec::pop).ok_or(Failure::MISSING_CONFIGURATION)?;
        unsafe {
            write(gridDim, said.0)?;
            write(blockDim, said.1)?;
            write(sharedMem, said.2)?;
            write(stream, said.3)
        }
    }

    fn __cudaPushCallConfiguration(gridDim: Dim3, blockDim: Dim3, sharedMem: usize, stream: usize) {
        CONFIGURATIONS.with_borrow_mut(|said| said.push((gridDim, blockDim, sharedMem, stream)));
        Ok(())
    }
}
