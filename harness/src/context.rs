//! What a step sees: while it records, and while the host prepares a step.

use std::cell::Cell;
use std::panic::Location;
use std::sync::Arc;

use cudarc::driver::sys::{CUresult, CUstream};

use crate::buffers::BufferSet;
use crate::cuda::{self, CudaError, GraphNode, PinnedMemory, Stream};
use crate::error::{StepError, StepResult};
use crate::finding::Site;
use crate::kernels::Kernels;
use crate::watchdog::Heartbeat;

/// Dynamic shared memory that a launch may have without opting in (CUDA Programming Guide,
/// "Compute capabilities").
const SHARED_WITHOUT_OPT_IN: u32 = 48 * 1024;

/// Handed to [`Step::record`](crate::step::Step::record).
///
/// Every method that enqueues work remembers the caller's line, so that a finding can name it.
pub struct StepContext<'a> {
    pub(crate) stream: &'a Stream,
    pub(crate) buffers: &'a BufferSet,
    pub(crate) kernels: &'a Kernels,
    pub(crate) heartbeat: &'a Arc<Heartbeat>,
    pub(crate) capturing: bool,
    pub(crate) enqueued: Vec<Enqueued>,
}

/// One piece of work that a step enqueued through its context.
#[derive(Debug, Clone)]
pub struct Enqueued {
    /// The line of the step.
    pub site: Site,
    /// The kernel, if it was a launch.
    pub kernel: Option<String>,
    /// Under capture: the graph nodes that the call made.
    pub nodes: Vec<GraphNode>,
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

    /// Dynamic shared memory in bytes. Above 48 KiB the kernel's limit is raised to it.
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
    /// An unknown kernel or buffer, arguments that do not fit the kernel's parameters, or the
    /// driver's error.
    #[track_caller]
    pub fn launch(&mut self, launch: Launch) -> StepResult<()> {
        let at = Location::caller();
        let (function, sizes) = self.kernels.get(&launch.kernel)?;
        let mut arguments = Vec::with_capacity(launch.arguments.len());
        for argument in &launch.arguments {
            arguments.push(match argument {
                Argument::Buffer(name) => self.address(name)?.to_ne_bytes().to_vec(),
                Argument::Bytes(bytes) => bytes.clone(),
            });
        }
        let given: Vec<usize> = arguments.iter().map(Vec::len).collect();
        // A wrong list would make the driver read past an argument.
        if given != sizes {
            return Err(StepError::Arguments { kernel: launch.kernel, given, expected: sizes.to_vec() });
        }
        self.beat(format!("launch of {}", launch.kernel), at);
        if launch.shared_bytes > SHARED_WITHOUT_OPT_IN {
            self.done(function.allow_shared(launch.shared_bytes), at)?;
        }
        let result = function.launch(launch.grid, launch.block, launch.shared_bytes, &mut arguments, self.stream);
        self.done(result, at)?;
        self.remember(Site::new(format!("launch of {}", launch.kernel), at), Some(launch.kernel))
    }

    /// Fills the whole of a declared buffer with one byte value (`cuMemsetD8Async`).
    ///
    /// # Errors
    /// An unknown buffer, or the driver's error.
    #[track_caller]
    pub fn memset(&mut self, buffer: &str, value: u8) -> StepResult<()> {
        let at = Location::caller();
        let index = self.buffers.index(buffer)?;
        let what = format!("memset of '{buffer}'");
        self.beat(what.clone(), at);
        let result = self.buffers.memory(index).fill(value, self.stream);
        self.done(result, at)?;
        self.remember(Site::new(what, at), None)
    }

    /// Copies the whole of one declared buffer to another of the same size (`cuMemcpyDtoDAsync`).
    ///
    /// # Errors
    /// An unknown buffer, sizes that differ, or the driver's error.
    #[track_caller]
    pub fn copy(&mut self, destination: &str, source: &str) -> StepResult<()> {
        let at = Location::caller();
        let (to, from) = (self.buffers.index(destination)?, self.buffers.index(source)?);
        let (to, from) = (self.buffers.memory(to), self.buffers.memory(from));
        if to.len() != from.len() {
            return Err(StepError::Other(format!(
                "copy of '{source}' ({} bytes) to '{destination}' ({} bytes): the sizes differ",
                from.len(),
                to.len()
            )));
        }
        let what = format!("copy of '{source}' to '{destination}'");
        self.beat(what.clone(), at);
        let result = to.copy_from(from, self.stream);
        self.done(result, at)?;
        self.remember(Site::new(what, at), None)
    }

    /// The stream to enqueue on, for calls that this type does not wrap.
    pub fn stream(&self) -> CUstream {
        self.stream.raw()
    }

    /// The device address of a declared buffer.
    ///
    /// # Errors
    /// An unknown buffer.
    pub fn address(&self, buffer: &str) -> StepResult<u64> {
        Ok(self.buffers.memory(self.buffers.index(buffer)?).address())
    }

    /// Checks the result of a driver call that the step made itself, and remembers the line.
    ///
    /// # Errors
    /// Anything but `CUDA_SUCCESS`.
    #[track_caller]
    pub fn check(&mut self, function: &'static str, result: CUresult) -> StepResult<()> {
        let at = Location::caller();
        self.done(cuda::check(function, result), at)?;
        self.remember(Site::new(function, at), None)
    }

    fn beat(&self, what: String, at: &'static Location<'static>) {
        self.heartbeat.at(Site::new(what, at));
    }

    fn done(&self, result: Result<(), CudaError>, at: &'static Location<'static>) -> StepResult<()> {
        result.map_err(|error| StepError::Cuda { error, location: at })
    }

    fn remember(&mut self, site: Site, kernel: Option<String>) -> StepResult<()> {
        // After a call that invalidated the capture there is no tail to ask for, and the step's
        // own next call reports it.
        let nodes = if self.capturing { self.stream.capture_tail().unwrap_or_default() } else { Vec::new() };
        self.enqueued.push(Enqueued { site, kernel, nodes });
        Ok(())
    }
}

/// Which run the host prepares for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The eager reference.
    Eager,
    /// A replay of the captured graph.
    Replay,
}

/// Handed to [`Step::prepare`](crate::step::Step::prepare): host work between steps, outside
/// the captured region, as an engine does it.
pub struct HostContext<'a> {
    pub(crate) phase: Phase,
    pub(crate) stream: &'a Stream,
    pub(crate) buffers: &'a mut BufferSet,
    /// The line that last called one of these methods.
    pub(crate) last: Cell<Option<&'static Location<'static>>>,
}

impl HostContext<'_> {
    /// Which run this is for.
    #[track_caller]
    pub fn phase(&self) -> Phase {
        self.last.set(Some(Location::caller()));
        self.phase
    }

    /// The step's stream, for calls that this type does not wrap.
    pub fn stream(&self) -> CUstream {
        self.stream.raw()
    }

    /// Checks the result of a driver call that the step made itself.
    ///
    /// # Errors
    /// Anything but `CUDA_SUCCESS`.
    #[track_caller]
    pub fn check(&mut self, function: &'static str, result: CUresult) -> StepResult<()> {
        let location = Location::caller();
        self.last.set(Some(location));
        cuda::check(function, result).map_err(|error| StepError::Cuda { error, location })
    }

    /// Gives a buffer a fresh allocation of the same size, as an engine does when a workspace
    /// grows. Its contents are lost.
    ///
    /// # Errors
    /// An unknown buffer, or the driver's error.
    #[track_caller]
    pub fn reallocate(&mut self, buffer: &str) -> StepResult<()> {
        let at = Location::caller();
        self.last.set(Some(at));
        let index = self.buffers.index(buffer)?;
        self.buffers.reallocate(index, self.stream, at).map_err(|error| StepError::Cuda { error, location: at })
    }

    /// Overwrites the whole of a buffer from the host and waits for it.
    ///
    /// # Errors
    /// An unknown buffer, another length than the buffer's, or the driver's error.
    #[track_caller]
    pub fn write(&mut self, buffer: &str, bytes: &[u8]) -> StepResult<()> {
        let at = Location::caller();
        self.last.set(Some(at));
        let memory = self.buffers.memory(self.buffers.index(buffer)?);
        if memory.len() != bytes.len() {
            return Err(StepError::Other(format!(
                "write of {} bytes to '{buffer}', which has {}",
                bytes.len(),
                memory.len()
            )));
        }
        let copy = || {
            let mut staging = PinnedMemory::new(bytes.len())?;
            staging.bytes_mut().copy_from_slice(bytes);
            memory.upload(&staging, self.stream)?;
            self.stream.synchronize()
        };
        copy().map_err(|error| StepError::Cuda { error, location: at })
    }
}
