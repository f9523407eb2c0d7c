//! Modules and kernels that a step loads itself.

use std::ffi::{CString, c_void};

use cudarc::driver::sys::{self, CUfunction, CUmodule, CUresult, CUstream};

/// A module loaded by the step itself.
#[derive(Debug)]
pub struct LoadedModule(CUmodule);

// SAFETY: module handles may be used from any thread.
unsafe impl Send for LoadedModule {}
// SAFETY: as above.
unsafe impl Sync for LoadedModule {}

impl LoadedModule {
    /// `cuModuleLoadData`.
    pub fn load(ptx: &str) -> Result<Self, CUresult> {
        let Ok(text) = CString::new(ptx) else { return Err(CUresult::CUDA_ERROR_INVALID_PTX) };
        let mut module = std::ptr::null_mut();
        match call!(cuModuleLoadData(&mut module, text.as_ptr().cast())) {
            CUresult::CUDA_SUCCESS => Ok(LoadedModule(module)),
            error => Err(error),
        }
    }

    /// `cuModuleUnload`.
    pub fn unload(self) -> CUresult {
        call!(cuModuleUnload(self.0))
    }
}

/// A kernel of the current context, by its handle.
#[derive(Debug, Clone, Copy)]
pub struct Kernel(CUfunction);

impl LoadedModule {
    /// `cuModuleGetFunction`.
    pub fn kernel(&self, name: &str) -> Result<Kernel, CUresult> {
        let Ok(name) = CString::new(name) else { return Err(CUresult::CUDA_ERROR_NOT_FOUND) };
        let mut function = std::ptr::null_mut();
        match call!(cuModuleGetFunction(&mut function, self.0, name.as_ptr())) {
            CUresult::CUDA_SUCCESS => Ok(Kernel(function)),
            error => Err(error),
        }
    }
}

impl Kernel {
    /// `cuLaunchKernel` of one block; `arguments` are the parameters' bytes.
    pub fn launch(self, threads: u32, arguments: &mut [Vec<u8>], stream: CUstream) -> CUresult {
        let mut pointers: Vec<*mut c_void> = arguments.iter_mut().map(|bytes| bytes.as_mut_ptr().cast()).collect();
        let none = std::ptr::null_mut();
        call!(cuLaunchKernel(self.0, 1, 1, 1, threads, 1, 1, 0, stream, pointers.as_mut_ptr(), none))
    }
}
