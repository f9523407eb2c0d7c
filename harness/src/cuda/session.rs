//! The driver, the device and its primary context.

use std::ffi::CStr;

use cudarc::driver::sys::{self, CUdevice, CUdevice_attribute};

use super::{CudaError, cu};

/// The device's primary context, retained, and what is worth telling about the device.
#[derive(Debug)]
pub struct Session {
    device: CUdevice,
    context: sys::CUcontext,
    facts: DeviceFacts,
    exact_bounds: bool,
}

// SAFETY: a context handle may be used from any thread that makes it current (`bind`).
unsafe impl Send for Session {}
// SAFETY: as above; the driver API is thread-safe for context handles.
unsafe impl Sync for Session {}

/// What a receipt says about the device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct DeviceFacts {
    /// As `cuDeviceGetName` says.
    pub name: String,
    /// Compute capability, major and minor.
    pub compute_capability: (i32, i32),
    /// As `cuDriverGetVersion` says: 13000 is CUDA 13.0.
    pub driver_version: i32,
    /// Device memory in bytes.
    pub total_memory: u64,
    /// Streaming multiprocessors.
    pub multiprocessors: i32,
    /// Largest dynamic shared memory of a block in bytes, after opting in.
    pub shared_memory_optin: i32,
}

impl Session {
    /// The primary context.
    pub fn context(&self) -> sys::CUcontext {
        self.context
    }

    /// Initialises the driver that is loaded and retains the primary context of device `ordinal`.
    /// The context becomes current on the calling thread. `exact_bounds` says that the driver
    /// reports an access one byte past an allocation by itself.
    ///
    /// # Errors
    /// The first driver call that failed; `cuDeviceGet` fails where there is no such device.
    pub fn open(ordinal: i32, exact_bounds: bool) -> Result<Self, CudaError> {
        cu!(cuInit(0))?;
        let mut driver_version = 0;
        cu!(cuDriverGetVersion(&mut driver_version))?;
        let mut device = 0;
        cu!(cuDeviceGet(&mut device, ordinal))?;
        let mut context = std::ptr::null_mut();
        cu!(cuDevicePrimaryCtxRetain(&mut context, device))?;
        let mut session = Session {
            device,
            context,
            exact_bounds,
            facts: DeviceFacts {
                name: String::new(),
                compute_capability: (0, 0),
                driver_version,
                total_memory: 0,
                multiprocessors: 0,
                shared_memory_optin: 0,
            },
        };
        session.bind()?;
        session.read_facts()?;
        Ok(session)
    }

    fn read_facts(&mut self) -> Result<(), CudaError> {
        let mut name = [0; 256];
        cu!(cuDeviceGetName(name.as_mut_ptr(), name.len() as i32, self.device))?;
        // SAFETY: the driver wrote a NUL-terminated string no longer than the buffer.
        self.facts.name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
        let mut total = 0;
        cu!(cuDeviceTotalMem_v2(&mut total, self.device))?;
        self.facts.total_memory = total as u64;
        use CUdevice_attribute::*;
        self.facts.compute_capability = (
            self.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            self.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        );
        self.facts.multiprocessors = self.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        self.facts.shared_memory_optin = self.attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        Ok(())
    }

    fn attribute(&self, attribute: CUdevice_attribute) -> Result<i32, CudaError> {
        let mut value = 0;
        cu!(cuDeviceGetAttribute(&mut value, attribute, self.device))?;
        Ok(value)
    }

    /// Makes the context current on the calling thread.
    ///
    /// # Errors
    /// The driver's.
    pub fn bind(&self) -> Result<(), CudaError> {
        cu!(cuCtxSetCurrent(self.context))
    }

    /// Facts about the device.
    pub fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    /// Whether an access one byte past an allocation is an error by itself. Where it is not, as
    /// on a GPU, buffers need guards.
    pub fn exact_bounds(&self) -> bool {
        self.exact_bounds
    }

    /// The device handle.
    pub fn device(&self) -> CUdevice {
        self.device
    }

    /// Free and total device memory in bytes, as `cuMemGetInfo` says.
    ///
    /// # Errors
    /// The driver's.
    pub fn memory_info(&self) -> Result<(u64, u64), CudaError> {
        let (mut free, mut total) = (0, 0);
        cu!(cuMemGetInfo_v2(&mut free, &mut total))?;
        Ok((free as u64, total as u64))
    }

    /// Waits for all work of the context.
    ///
    /// # Errors
    /// The driver's; a fault of an earlier kernel among them.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        cu!(cuCtxSynchronize())
    }
}

/// The context that is current on the calling thread, for another thread.
#[derive(Debug, Clone, Copy)]
pub struct CurrentContext(sys::CUcontext);

// SAFETY: a context handle may be used from any thread that makes it current.
unsafe impl Send for CurrentContext {}

impl CurrentContext {
    /// The calling thread's.
    ///
    /// # Errors
    /// The driver's.
    pub fn get() -> Result<Self, CudaError> {
        let mut context = std::ptr::null_mut();
        cu!(cuCtxGetCurrent(&mut context))?;
        Ok(CurrentContext(context))
    }

    /// Makes it current on the calling thread.
    ///
    /// # Errors
    /// The driver's.
    pub fn bind(&self) -> Result<(), CudaError> {
        cu!(cuCtxSetCurrent(self.0))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(error) = cu!(cuDevicePrimaryCtxRelease_v2(self.device)) {
            tracing::debug!(%error, "releasing the primary context");
        }
    }
}
