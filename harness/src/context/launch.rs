//! Launches of kernels.

use std::panic::Location;

use cudarc::driver::sys::CUstream;

use super::StepContext;
use crate::cuda::{CudaError, Function, How, Tiled};
use crate::error::{StepError, StepResult};
use crate::finding::{Place, Site};

/// Dynamic shared memory that a launch may have without opting in (CUDA Programming Guide,
/// "Compute capabilities").
const SHARED_WITHOUT_OPT_IN: u32 = 48 * 1024;

/// Threads of a block, and extents of grids and blocks, that no device exceeds (CUDA Programming
/// Guide, "Compute capabilities").
const MOST_THREADS: u32 = 1024;
const MOST_BLOCK: [u32; 3] = [1024, 1024, 64];
const MOST_GRID: [u32; 3] = [i32::MAX as u32, 65_535, 65_535];

/// A kernel launch in the making.
#[derive(Debug, Clone)]
pub struct Launch {
    kernel: String,
    grid: [u32; 3],
    block: [u32; 3],
    shared_bytes: u32,
    how: How,
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone)]
enum Argument {
    /// The address of a byte of a buffer.
    Buffer(String, u64),
    Bytes(Vec<u8>),
    /// A tensor map of a buffer.
    Map(String, Tiled),
}

impl Launch {
    /// A launch of `kernel` with one block of one thread.
    pub fn new(kernel: impl Into<String>) -> Self {
        Launch {
            kernel: kernel.into(),
            grid: [1; 3],
            block: [1; 3],
            shared_bytes: 0,
            how: How::default(),
            arguments: Vec::new(),
        }
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

    /// A cooperative launch (`cuLaunchCooperativeKernel`): all blocks run at once, and may wait for each
    /// other.
    pub fn cooperative(mut self) -> Self {
        self.how.cooperative = true;
        self
    }

    /// A programmatic launch (`CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION`): the kernel may begin once all
    /// blocks of the one ahead have let it (`griddepcontrol.launch_dependents`) or have ended, and waits for the end of
    /// that one itself (`griddepcontrol.wait`). It needs a device of sm_90.
    pub fn programmatic(mut self) -> Self {
        self.how.programmatic = true;
        self
    }

    /// Appends the address of a declared buffer.
    pub fn buffer(self, name: impl Into<String>) -> Self {
        self.buffer_at(name, 0)
    }

    /// Appends the address of byte `offset` of a declared buffer.
    pub fn buffer_at(mut self, name: impl Into<String>, offset: u64) -> Self {
        self.arguments.push(Argument::Buffer(name.into(), offset));
        self
    }

    /// Appends a tensor map of a declared buffer, for a `__grid_constant__ const CUtensorMap`.
    pub fn tensor_map(mut self, name: impl Into<String>, tiled: Tiled) -> Self {
        self.arguments.push(Argument::Map(name.into(), tiled));
        self
    }

    /// Appends a value by its bytes, as they lie in memory.
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.arguments.push(Argument::Bytes(bytes.into()));
        self
    }

    /// Appends a value, such as `4u32` or `1.0f32`, by its bytes.
    pub fn value<T: bytemuck::Pod>(mut self, value: T) -> Self {
        self.arguments.push(Argument::Bytes(bytemuck::bytes_of(&value).to_vec()));
        self
    }
}

impl Launch {
    /// Why the launch can run on no device, or not with this kernel, if that is so: what a bare
    /// `CUDA_ERROR_INVALID_VALUE` leaves to the reader.
    fn impossible(&self, most_threads: Option<u32>) -> Option<String> {
        let Launch { grid, block, .. } = self;
        let shape = |[x, y, z]: &[u32; 3]| format!("{x}x{y}x{z}");
        if grid.contains(&0) || block.contains(&0) {
            return Some(format!("grid {} block {}: no extent may be 0", shape(grid), shape(block)));
        }
        let threads: u64 = block.iter().map(|&extent| u64::from(extent)).product();
        let most = most_threads.unwrap_or(MOST_THREADS);
        if threads > u64::from(most) {
            let of = format!("block {} has {threads} threads", shape(block));
            return Some(format!("{of}; a block of {} has {most} at most", self.kernel));
        }
        let beyond = |extents: &[u32; 3], limits: [u32; 3]| extents.iter().zip(limits).any(|(&n, limit)| n > limit);
        if beyond(block, MOST_BLOCK) || beyond(grid, MOST_GRID) {
            let limits = format!("{} and {}", shape(&MOST_GRID), shape(&MOST_BLOCK));
            return Some(format!("grid {} block {}: the limits are {limits}", shape(grid), shape(block)));
        }
        None
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
        let at = self.here(Location::caller());
        self.launch_at(launch, &at)
    }

    /// As [`launch`](Self::launch), on a stream of the step's own, such as one that it has forked from
    /// its stream by an event.
    ///
    /// # Errors
    /// As [`launch`](Self::launch).
    #[track_caller]
    pub fn launch_on(&mut self, stream: CUstream, launch: Launch) -> StepResult<()> {
        let at = self.here(Location::caller());
        self.enqueue(stream, launch, &at)
    }

    pub(super) fn launch_at(&mut self, launch: Launch, at: &Place) -> StepResult<()> {
        self.enqueue(self.current().raw(), launch, at)
    }

    fn enqueue(&mut self, stream: CUstream, launch: Launch, at: &Place) -> StepResult<()> {
        let what = format!("launch of {}", launch.kernel);
        let (function, mut arguments) = self.resolve(&launch, at).map_err(|error| error.at(&what, at))?;
        self.beat(what, at);
        if launch.shared_bytes > SHARED_WITHOUT_OPT_IN {
            self.done(function.allow_shared(launch.shared_bytes), at)?;
        }
        let Launch { grid, block, shared_bytes, how, .. } = launch;
        let result = function.launch_on(grid, block, shared_bytes, &mut arguments, stream, how);
        let result = result.map_err(|error| match launch.impossible(function.most_threads()) {
            Some(why) => CudaError { why: Some(why), ..error },
            None => error,
        });
        self.done(result, at)?;
        self.remember_on(stream, Site::new(format!("launch of {}", launch.kernel), at), Some(launch.kernel))
    }

    /// The kernel of a launch, and the bytes of its arguments.
    fn resolve(&self, launch: &Launch, at: &Place) -> StepResult<(Function, Vec<Vec<u8>>)> {
        let (function, sizes) = self.kernels.get(&launch.kernel)?;
        let mut arguments = Vec::with_capacity(launch.arguments.len());
        for argument in &launch.arguments {
            arguments.push(match argument {
                Argument::Buffer(name, offset) => {
                    let memory = self.memory(name)?;
                    if *offset >= memory.len() as u64 {
                        let text = format!("byte {offset} of buffer '{name}', which has {}", memory.len());
                        return Err(StepError::Other(text));
                    }
                    (memory.address() + offset).to_ne_bytes().to_vec()
                }
                Argument::Bytes(bytes) => bytes.clone(),
                Argument::Map(name, tiled) => {
                    let memory = self.memory(name)?;
                    if tiled.bytes().is_none_or(|bytes| bytes > memory.len() as u64) {
                        let text = format!("a tensor map of buffer '{name}' beyond its {} bytes", memory.len());
                        return Err(StepError::Other(text));
                    }
                    let map = tiled.encode(memory.address());
                    map.map_err(|error| StepError::Cuda { error, place: at.clone() })?
                }
            });
        }
        let given: Vec<usize> = arguments.iter().map(Vec::len).collect();
        // A wrong list would make the driver read past an argument.
        if given != sizes {
            return Err(StepError::Arguments { kernel: launch.kernel.clone(), given, expected: sizes.to_vec() });
        }
        Ok((function, arguments))
    }
}
