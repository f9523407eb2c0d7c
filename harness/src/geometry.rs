//! Device memory of a step at a shape that is not run: allocated, measured, freed.

use std::sync::Arc;

use crate::buffers::BufferSet;
use crate::cuda::{CudaError, Session, Stream};
use crate::error::RunError;
use crate::step::BufferSpec;

/// `CUDA_ERROR_OUT_OF_MEMORY`.
const OUT_OF_MEMORY: u32 = 2;

/// What came of allocating a step's buffers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measured {
    /// Most bytes in use at once, as the driver's memory pool counted them, less the guards.
    HighWater(u64),
    /// The device has too little memory; the text says how much is needed and how much is free.
    TooLittle(String),
}

/// Allocates every buffer of `specs` from a pool of its own, reads the pool's high-water mark and
/// frees everything again. Nothing is executed and, but for guards, nothing is written.
///
/// # Errors
/// The driver failed otherwise than by having too little memory.
pub fn measure(session: &Session, specs: &[BufferSpec]) -> Result<Measured, RunError> {
    let failed = |what| move |error: CudaError| RunError::Driver { what, error };
    session.bind().map_err(failed("binding the context"))?;
    let (free, _) = session.memory_info().map_err(failed("asking for free memory"))?;
    let needed = specs.iter().try_fold(0u64, |sum, spec| sum.checked_add(spec.bytes()? as u64));
    let Some(needed) = needed.filter(|&bytes| bytes <= free) else {
        let gib = |bytes: f64| bytes / f64::from(1 << 30);
        let needed: f64 = specs.iter().map(bytes_as_float).sum();
        return Ok(Measured::TooLittle(format!(
            "it needs {:.1} GiB and the device has {:.1} GiB free",
            gib(needed),
            gib(free as f64)
        )));
    };
    let stream = Stream::blocking().map_err(failed("creating a stream"))?;
    let specs: Arc<[BufferSpec]> = specs.into();
    match BufferSet::allocate(session, &specs, 0, &stream) {
        Ok(set) => set.used_high().map(Measured::HighWater).map_err(failed("reading the pool's high-water mark")),
        Err((index, error)) if error.code == OUT_OF_MEMORY => {
            let buffer = index.map_or("the pool", |index| specs[index].name.as_ref());
            Ok(Measured::TooLittle(format!(
                "the driver had no memory for '{buffer}', though {free} bytes were free and {needed} are needed"
            )))
        }
        Err((_, error)) => Err(failed("allocating buffers to measure them")(error)),
    }
}

fn bytes_as_float(spec: &BufferSpec) -> f64 {
    spec.shape.iter().map(|&extent| extent as f64).product::<f64>() * spec.dtype.size() as f64
}
