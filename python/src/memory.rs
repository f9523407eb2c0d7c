//! Device memory for the runs before a step is judged.

use graphproof::cudarc::driver::sys;
use graphproof::harness::cuda::check;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::driver::session;
use crate::error;

/// An allocation of device memory, freed with this object.
#[pyclass(frozen)]
pub struct Memory {
    address: u64,
    len: usize,
}

#[pymethods]
impl Memory {
    /// Memory that holds `content`.
    #[new]
    fn new(py: Python<'_>, content: &[u8]) -> PyResult<Self> {
        py.detach(|| {
            session()?;
            let mut address = 0;
            // SAFETY: the pointer is to a local.
            let made = unsafe { sys::cuMemAlloc_v2(&mut address, content.len().max(1)) };
            check("cuMemAlloc", made).map_err(|error| error::cuda(&error))?;
            let memory = Memory { address, len: content.len() };
            memory.upload_bytes(content)?;
            Ok(memory)
        })
    }

    /// Its device address.
    #[getter]
    fn ptr(&self) -> u64 {
        self.address
    }

    /// Replaces the content.
    fn upload(&self, py: Python<'_>, content: &[u8]) -> PyResult<()> {
        py.detach(|| self.upload_bytes(content))
    }
}

impl Memory {
    fn upload_bytes(&self, content: &[u8]) -> PyResult<()> {
        session()?;
        let len = content.len().min(self.len);
        // SAFETY: as many bytes as both have.
        let copied = unsafe { sys::cuMemcpyHtoD_v2(self.address, content.as_ptr().cast(), len) };
        check("cuMemcpyHtoD", copied).map_err(|error| error::cuda(&error))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if session().is_ok() {
            // SAFETY: allocated by `new`, and nobody else frees it.
            let _ = unsafe { sys::cuMemFree_v2(self.address) };
        }
    }
}

/// The bytes of device memory, once all work before is done.
#[pyfunction]
pub fn download<'py>(py: Python<'py>, address: u64, len: usize) -> PyResult<Bound<'py, PyBytes>> {
    let bytes = py.detach(|| {
        session()?.synchronize().map_err(|error| error::cuda(&error))?;
        let mut bytes = vec![0u8; len];
        // SAFETY: as many bytes as the vector has; the driver knows whether the memory has them.
        let copied = unsafe { sys::cuMemcpyDtoH_v2(bytes.as_mut_ptr().cast(), address, len) };
        check("cuMemcpyDtoH", copied).map_err(|error| error::cuda(&error))?;
        Ok::<_, PyErr>(bytes)
    })?;
    Ok(PyBytes::new(py, &bytes))
}

/// Whether device memory belongs to a context that is not the judge's. Memory of pools and of mappings belongs to
/// none, and what the driver does not know is not said to be anybody's.
#[pyfunction]
pub fn is_of_another_context(address: u64) -> PyResult<bool> {
    let session = session()?;
    let mut context: sys::CUcontext = std::ptr::null_mut();
    let attribute = sys::CUpointer_attribute::CU_POINTER_ATTRIBUTE_CONTEXT;
    // SAFETY: the attribute is a context, and the place for it a local.
    let asked = unsafe { sys::cuPointerGetAttribute((&raw mut context).cast(), attribute, address) };
    Ok(check("cuPointerGetAttribute", asked).is_ok() && !context.is_null() && context != session.context())
}
