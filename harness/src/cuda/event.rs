//! Events, for waiting without blocking.

use cudarc::driver::sys::{self, CUevent, CUresult};

use super::{CudaError, Stream, check, cu};

/// An event of its own, destroyed with this value.
#[derive(Debug)]
pub struct Event {
    raw: CUevent,
}

// SAFETY: an event handle may be used from any thread; the driver API is thread-safe.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// An event that measures time.
    ///
    /// # Errors
    /// The driver's.
    pub fn new() -> Result<Self, CudaError> {
        let mut raw = std::ptr::null_mut();
        cu!(cuEventCreate(&mut raw, 0))?;
        Ok(Event { raw })
    }

    /// Records the event behind all work enqueued on `stream` so far.
    ///
    /// # Errors
    /// The driver's.
    pub fn record(&self, stream: &Stream) -> Result<(), CudaError> {
        cu!(cuEventRecord(self.raw, stream.raw()))
    }

    /// Makes what `stream` gets from now on wait for the event. Under capture a stream that did not take
    /// part joins it so.
    ///
    /// # Errors
    /// The driver's.
    pub fn wait(&self, stream: &Stream) -> Result<(), CudaError> {
        cu!(cuStreamWaitEvent(stream.raw(), self.raw, 0))
    }

    /// Nanoseconds from an earlier event to this one, once both are done.
    ///
    /// # Errors
    /// The driver's.
    pub fn since(&self, earlier: &Event) -> Result<u64, CudaError> {
        let mut milliseconds = 0.0f32;
        cu!(cuEventElapsedTime_v2(&mut milliseconds, earlier.raw, self.raw))?;
        Ok((f64::from(milliseconds) * 1e6) as u64)
    }

    /// Whether the work before the event is done.
    ///
    /// # Errors
    /// The driver's; a fault of an earlier kernel among them.
    pub fn is_done(&self) -> Result<bool, CudaError> {
        // SAFETY: the handle is ours and alive.
        match unsafe { sys::cuEventQuery(self.raw) } {
            CUresult::CUDA_ERROR_NOT_READY => Ok(false),
            code => check("cuEventQuery", code).map(|()| true),
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Err(error) = cu!(cuEventDestroy_v2(self.raw)) {
            tracing::debug!(%error, "destroying an event");
        }
    }
}
