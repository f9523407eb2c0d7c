//! What runs left, kept on the device where the step cannot reach it.

use crate::buffers::BufferSet;
use crate::cuda::{CudaError, DeviceMemory, Guard, MemoryPool, PinnedMemory, Session, Stream};
use crate::step::{BufferSpec, Role};

/// Copies of some of a step's buffers, in memory of their own.
#[derive(Debug)]
pub(super) struct DeviceImages {
    // Declared before `_pool`: memory must go back before its pool does.
    memory: Vec<(usize, DeviceMemory)>,
    _pool: MemoryPool,
}

/// An image on the host, with the buffer's index.
pub(super) type HostImages = Vec<(usize, PinnedMemory)>;

impl DeviceImages {
    /// Room for the buffers with a role that `keep` selects.
    pub(super) fn new(
        session: &Session,
        specs: &[BufferSpec],
        keep: fn(Role) -> bool,
        stream: &Stream,
    ) -> Result<Self, CudaError> {
        let pool = MemoryPool::new(session.device())?;
        let kept = specs.iter().enumerate().filter(|(_, spec)| keep(spec.role));
        let memory = kept
            .map(|(index, spec)| Ok((index, pool.allocate(spec.bytes().unwrap_or(usize::MAX), Guard::NONE, stream)?)))
            .collect::<Result<_, CudaError>>()?;
        Ok(DeviceImages { memory, _pool: pool })
    }

    /// Indices of the buffers, in the order of their declaration.
    pub(super) fn indices(&self) -> impl Iterator<Item = usize> {
        self.memory.iter().map(|(index, _)| *index)
    }

    /// The image of a buffer, if it is one of these.
    pub(super) fn of(&self, buffer: usize) -> Option<&DeviceMemory> {
        self.memory.iter().find(|(index, _)| *index == buffer).map(|(_, memory)| memory)
    }

    /// Enqueues copies of the buffers of `set`.
    pub(super) fn save(&self, set: &BufferSet, stream: &Stream) -> Result<(), CudaError> {
        self.memory.iter().try_for_each(|(index, image)| image.copy_from(set.memory(*index), stream))
    }

    /// Copies the images back into the buffers of `set`, and waits.
    pub(super) fn restore(&self, set: &BufferSet, stream: &Stream) -> Result<(), CudaError> {
        self.memory.iter().try_for_each(|(index, image)| set.memory(*index).copy_from(image, stream))?;
        stream.synchronize()
    }

    /// Enqueues copies of images from the host.
    pub(super) fn upload(&self, images: &HostImages, stream: &Stream) -> Result<(), CudaError> {
        let known = images.iter().filter_map(|(index, image)| Some((self.of(*index)?, image)));
        known.into_iter().try_for_each(|(memory, image)| memory.upload(image, stream))
    }
}

/// How many elements of each row count, of buffers whose declaration alone says it.
#[derive(Debug)]
pub(super) struct RowLengths {
    // Declared before `_pool`: memory must go back before its pool does.
    memory: Vec<(usize, DeviceMemory)>,
    _pool: MemoryPool,
}

impl RowLengths {
    pub(super) fn new(session: &Session, specs: &[BufferSpec], stream: &Stream) -> Result<Self, CudaError> {
        let pool = MemoryPool::new(session.device())?;
        let mut memory = Vec::new();
        for (index, spec) in specs.iter().enumerate() {
            if let Some(lengths) = spec.lengths_within() {
                let mut staging = PinnedMemory::new(4 * lengths.len())?;
                staging.bytes_mut().copy_from_slice(bytemuck::cast_slice(&lengths));
                let lengths = pool.allocate(4 * lengths.len(), Guard::NONE, stream)?;
                lengths.upload(&staging, stream)?;
                stream.synchronize()?;
                memory.push((index, lengths));
            }
        }
        Ok(RowLengths { memory, _pool: pool })
    }

    /// Those of a buffer.
    pub(super) fn of(&self, buffer: usize) -> Option<&DeviceMemory> {
        self.memory.iter().find(|(index, _)| *index == buffer).map(|(_, memory)| memory)
    }
}

/// Words of 8 bytes are compared: room for buffers that lie at another address, of each of the two sets.
#[derive(Debug)]
pub(super) struct Levelled {
    // Declared before `_pool`: memory must go back before its pool does.
    memory: Vec<(usize, [DeviceMemory; 2])>,
    _pool: MemoryPool,
}

/// What the comparison on the device asks of an address.
const LEVEL: usize = 8;

impl Levelled {
    pub(super) fn new(session: &Session, specs: &[BufferSpec], stream: &Stream) -> Result<Self, CudaError> {
        let pool = MemoryPool::new(session.device())?;
        let uneven = specs.iter().enumerate().filter(|(_, spec)| spec.align.is_some_and(|align| align < LEVEL));
        let memory = uneven.map(|(index, spec)| {
            let make = || pool.allocate(spec.bytes().unwrap_or(usize::MAX), Guard::NONE, stream);
            Ok((index, [make()?, make()?]))
        });
        Ok(Levelled { memory: memory.collect::<Result<_, CudaError>>()?, _pool: pool })
    }

    /// Where the comparison finds a buffer of a set, `at` 0 or 1: itself, or a copy that is enqueued.
    pub(super) fn address(&self, set: &BufferSet, at: usize, buffer: usize, stream: &Stream) -> Result<u64, CudaError> {
        let memory = set.memory(buffer);
        let Some((_, copies)) = self.memory.iter().find(|(index, _)| *index == buffer) else {
            return Ok(memory.address());
        };
        copies[at].copy_from(memory, stream)?;
        Ok(copies[at].address())
    }
}

/// Pinned memory for the buffers with a role that `keep` selects.
pub(super) fn pinned(specs: &[BufferSpec], keep: impl Fn(Role) -> bool) -> Result<HostImages, CudaError> {
    let kept = specs.iter().enumerate().filter(|(_, spec)| keep(spec.role));
    kept.map(|(index, spec)| Ok((index, PinnedMemory::new(spec.bytes().unwrap_or(0))?))).collect()
}

/// Copies buffers of `set` into images on the host, and waits.
pub(super) fn copy_out(set: &BufferSet, images: &mut HostImages, stream: &Stream) -> Result<(), CudaError> {
    for (index, image) in images {
        set.memory(*index).download(image, stream)?;
    }
    stream.synchronize()
}
