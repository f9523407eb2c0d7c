//! Modules and kernels.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_void};

use cudarc::driver::sys::{
    CUfunction, CUfunction_attribute, CUjit_option, CUlaunchAttribute, CUlaunchAttributeID, CUlaunchConfig, CUmodule,
    CUstream,
};

use super::{CudaError, Stream, cu};

/// A loaded module with its kernels by name, unloaded with this value.
#[derive(Debug)]
pub struct LoadedModule {
    raw: CUmodule,
    functions: BTreeMap<String, Function>,
}

// SAFETY: module and function handles may be used from any thread.
unsafe impl Send for LoadedModule {}

/// A kernel of a loaded module.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    raw: CUfunction,
}

// SAFETY: a function handle may be used from any thread.
unsafe impl Send for Function {}

impl LoadedModule {
    /// Loads PTX text. Returns the driver's error with what its JIT compiler logged.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_PTX`, `CUDA_ERROR_UNSUPPORTED_PTX_VERSION`, … and the log.
    pub fn load(ptx: &str) -> Result<Self, (CudaError, String)> {
        let text = CString::new(ptx).map_err(|_| {
            let error = CudaError::new("cuModuleLoadDataEx", cudarc::driver::sys::CUresult::CUDA_ERROR_INVALID_PTX);
            (error, "the text holds a NUL character".to_owned())
        })?;
        Self::load_image(text.as_bytes_with_nul())
    }

    /// Loads an image: machine code (`.cubin`), several of them and PTX (`.fatbin`), or PTX text that ends
    /// with a NUL. Machine code says how long it is, so a whole file is what it takes.
    ///
    /// # Errors
    /// As for [`load`](Self::load), and `CUDA_ERROR_NO_BINARY_FOR_GPU`.
    pub fn load_image(image: &[u8]) -> Result<Self, (CudaError, String)> {
        let no_log = |error| (error, String::new());
        let mut raw = std::ptr::null_mut();
        // Without a log first: for one that is asked for, every kernel of the module is looked at.
        if cu!(cuModuleLoadData(&mut raw, image.as_ptr().cast())).is_err() {
            raw = Self::load_with_log(image)?;
        }
        let mut module = LoadedModule { raw, functions: BTreeMap::new() };
        module.enumerate().map_err(no_log)?;
        Ok(module)
    }

    fn load_with_log(image: &[u8]) -> Result<CUmodule, (CudaError, String)> {
        let mut log = vec![0u8; 8192];
        let mut options = [CUjit_option::CU_JIT_ERROR_LOG_BUFFER, CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
        let mut values = [log.as_mut_ptr().cast::<c_void>(), log.len() as *mut c_void];
        let mut raw = std::ptr::null_mut();
        cu!(cuModuleLoadDataEx(
            &mut raw,
            image.as_ptr().cast(),
            options.len() as u32,
            options.as_mut_ptr(),
            values.as_mut_ptr()
        ))
        .map_err(|error| {
            let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
            (error, String::from_utf8_lossy(&log[..end]).trim().to_owned())
        })?;
        Ok(raw)
    }

    fn enumerate(&mut self) -> Result<(), CudaError> {
        let mut count = 0;
        cu!(cuModuleGetFunctionCount(&mut count, self.raw))?;
        let mut handles = vec![std::ptr::null_mut(); count as usize];
        cu!(cuModuleEnumerateFunctions(handles.as_mut_ptr(), count, self.raw))?;
        for raw in handles {
            let function = Function { raw };
            // Loaded now, so that no launch loads lazily under capture (catalogue S11).
            cu!(cuFuncLoad(raw))?;
            self.functions.insert(function.name()?, function);
        }
        Ok(())
    }

    /// Kernels by name.
    pub fn functions(&self) -> &BTreeMap<String, Function> {
        &self.functions
    }
}

impl Drop for LoadedModule {
    fn drop(&mut self) {
        if let Err(error) = cu!(cuModuleUnload(self.raw)) {
            tracing::debug!(%error, "unloading a module");
        }
    }
}

impl Function {
    /// From a handle that a graph node holds.
    pub(super) fn from_raw(raw: CUfunction) -> Self {
        Function { raw }
    }

    /// Its name, as the module has it.
    ///
    /// # Errors
    /// The driver's.
    pub fn name(self) -> Result<String, CudaError> {
        let mut name = std::ptr::null();
        cu!(cuFuncGetName(&mut name, self.raw))?;
        // SAFETY: a NUL-terminated string that lives as long as the module.
        Ok(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
    }

    /// Most threads of a block of this kernel, if the driver says.
    pub fn most_threads(self) -> Option<u32> {
        let mut most = 0;
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK;
        cu!(cuFuncGetAttribute(&mut most, attribute, self.raw)).ok()?;
        u32::try_from(most).ok()
    }

    /// Offset and size in bytes of each parameter.
    pub fn parameters(self) -> Vec<(usize, usize)> {
        let mut parameters = Vec::new();
        loop {
            let (mut offset, mut size) = (0, 0);
            // The documented end of the list is an error, CUDA_ERROR_INVALID_VALUE.
            if cu!(cuFuncGetParamInfo(self.raw, parameters.len(), &mut offset, &mut size)).is_err() {
                return parameters;
            }
            parameters.push((offset, size));
        }
    }

    /// Raises the kernel's limit of dynamic shared memory.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` if the device has less.
    pub fn allow_shared(self, bytes: u32) -> Result<(), CudaError> {
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        cu!(cuFuncSetAttribute(self.raw, attribute, bytes as i32))
    }

    /// Enqueues a launch. `arguments` are the parameters' bytes, in order.
    ///
    /// # Errors
    /// The driver's. Nothing is enqueued then.
    pub fn launch(
        self,
        grid: [u32; 3],
        block: [u32; 3],
        shared_bytes: u32,
        arguments: &mut [Vec<u8>],
        stream: &Stream,
    ) -> Result<(), CudaError> {
        self.launch_on(grid, block, shared_bytes, arguments, stream.raw(), How::default())
    }

    /// As [`launch`](Self::launch), on a stream of the step's own.
    ///
    /// # Errors
    /// The driver's; `CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE` where not all blocks fit the device at once.
    pub(crate) fn launch_on(
        self,
        grid: [u32; 3],
        block: [u32; 3],
        shared_bytes: u32,
        arguments: &mut [Vec<u8>],
        stream: CUstream,
        how: How,
    ) -> Result<(), CudaError> {
        let mut pointers: Vec<*mut c_void> = arguments.iter_mut().map(|bytes| bytes.as_mut_ptr().cast()).collect();
        let ([x, y, z], [bx, by, bz]) = (grid, block);
        let (parameters, extra) = (pointers.as_mut_ptr(), std::ptr::null_mut());
        if how.programmatic {
            return self.launch_with(&how.attributes(), (grid, block, shared_bytes), stream, parameters);
        }
        if how.cooperative {
            cu!(cuLaunchCooperativeKernel(self.raw, x, y, z, bx, by, bz, shared_bytes, stream, parameters))
        } else {
            cu!(cuLaunchKernel(self.raw, x, y, z, bx, by, bz, shared_bytes, stream, parameters, extra))
        }
    }

    /// Launches with attributes. `parameters`: as the driver takes them.
    fn launch_with(
        self,
        attributes: &[CUlaunchAttribute],
        (grid, block, shared_bytes): ([u32; 3], [u32; 3], u32),
        stream: CUstream,
        parameters: *mut *mut c_void,
    ) -> Result<(), CudaError> {
        let config = CUlaunchConfig {
            gridDimX: grid[0],
            gridDimY: grid[1],
            gridDimZ: grid[2],
            blockDimX: block[0],
            blockDimY: block[1],
            blockDimZ: block[2],
            sharedMemBytes: shared_bytes,
            hStream: stream,
            // The driver only reads them.
            attrs: attributes.as_ptr().cast_mut(),
            numAttrs: attributes.len() as u32,
        };
        cu!(cuLaunchKernelEx(&config, self.raw, parameters, std::ptr::null_mut()))
    }
}

/// How a kernel is launched, beside its geometry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct How {
    /// All its blocks run at once, and may wait for each other.
    pub cooperative: bool,
    /// It may begin before the kernel ahead of it has ended.
    pub programmatic: bool,
}

impl How {
    fn attributes(self) -> Vec<CUlaunchAttribute> {
        use CUlaunchAttributeID::{
            CU_LAUNCH_ATTRIBUTE_COOPERATIVE as COOPERATIVE,
            CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION as PROGRAMMATIC,
        };
        // SAFETY: the struct is plain data for which all zeroes is a valid value.
        let nothing: CUlaunchAttribute = unsafe { std::mem::zeroed() };
        let mut attributes = Vec::new();
        if self.programmatic {
            attributes.push(CUlaunchAttribute { id: PROGRAMMATIC, ..nothing });
            attributes[0].value.programmaticStreamSerializationAllowed = 1;
        }
        if self.cooperative {
            let mut cooperative = CUlaunchAttribute { id: COOPERATIVE, ..nothing };
            cooperative.value.cooperative = 1;
            attributes.push(cooperative);
        }
        attributes
    }
}
