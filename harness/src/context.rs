//! What a step sees while it records: its stream, its buffers and its kernels.

use std::panic::Location;

use crate::error::StepResult;

/// Handed to [`Step::record`](crate::step::Step::record).
///
/// Every method that enqueues work remembers the caller's line, so that a finding can name it.
pub struct StepContext<'a> {
    _harness: std::marker::PhantomData<&'a ()>,
}

/// A kernel launch in the making.
#[derive(Debug, Clone)]
pub struct Launch {
    kernel: String,
    grid: [u32; 3],
    block: [u32; 3],
    shared_bytes: u32,
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone)]
enum Argument {
    Buffer(String),
    Bytes(Vec<u8>),
}

impl Launch {
    /// A launch of `kernel` with one block of one thread.
    pub fn new(kernel: impl Into<String>) -> Self {
        Launch { kernel: kernel.into(), grid: [1; 3], block: [1; 3], shared_bytes: 0, arguments: Vec::new() }
    }

    /// Blocks in x, y, z.
    pub fn grid(mut self, grid: [u32; 3]) -> Self {
        self.grid = grid;
        self
    }

    /// Threads of a block in x, y, z.
    pub fn block(mut self, block: [u32; 3]) -> Self {
        self.block = block;
        self
    }

    /// Dynamic shared memory in bytes. Above 48 KiB the harness raises the kernel's limit.
    pub fn shared(mut self, bytes: u32) -> Self {
        self.shared_bytes = bytes;
        self
    }

    /// Appends the address of a declared buffer.
    pub fn buffer(mut self, name: impl Into<String>) -> Self {
        self.arguments.push(Argument::Buffer(name.into()));
        self
    }

    /// Appends a value, such as `4u32` or `1.0f32`, by its bytes.
    pub fn value<T: bytemuck::Pod>(mut self, value: T) -> Self {
        self.arguments.push(Argument::Bytes(bytemuck::bytes_of(&value).to_vec()));
        self
    }
}

impl StepContext<'_> {
    /// Enqueues a kernel launch on the step's stream.
    ///
    /// # Errors
    /// An unknown kernel or buffer, or the driver's error.
    #[track_caller]
    pub fn launch(&mut self, launch: Launch) -> StepResult<()> {
        let _ = (Location::caller(), launch);
        unreachable!("filled in with the harness")
    }

    /// Fills the whole of a declared buffer with one byte value (`cuMemsetD8Async`).
    ///
    /// # Errors
    /// An unknown buffer, or the driver's error.
    #[track_caller]
    pub fn memset(&mut self, buffer: &str, value: u8) -> StepResult<()> {
        let _ = (Location::caller(), buffer, value);
        unreachable!("filled in with the harness")
    }

    /// Copies the whole of one declared buffer to another of the same size (`cuMemcpyDtoDAsync`).
    ///
    /// # Errors
    /// An unknown buffer, sizes that differ, or the driver's error.
    #[track_caller]
    pub fn copy(&mut self, destination: &str, source: &str) -> StepResult<()> {
        let _ = (Location::caller(), destination, source);
        unreachable!("filled in with the harness")
    }
}
