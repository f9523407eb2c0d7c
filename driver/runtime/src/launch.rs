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
    let function = registry::launched(func)?;
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
        let function = registry::launched(func)?;
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
