//! Comparison on the device: what two runs left is compared where it lies, and only a few numbers
//! come back to the host. The kernels are those of `kernels/cu/compare.cu`, whose PTX is linked here.

use crate::cuda::{CudaError, DeviceMemory, Function, Guard, LoadedModule, MemoryPool, PinnedMemory, Session, Stream};
use crate::error::RunError;

const PTX: &str = include_str!("compare.ptx");

/// Threads of a block, as the kernels are compiled for.
const THREADS: u32 = 128;
/// Words of 8 bytes that a block takes, until there are [`MOST_BLOCKS`] for one image.
const WORDS_A_BLOCK: u64 = 4 * THREADS as u64;
const MOST_BLOCKS: u64 = 1024;

/// Two images on the device, compared bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Images {
    /// Device address of the reference, a multiple of 8.
    pub reference: u64,
    /// Device address of the other image; `None` if only the digest is wanted.
    pub other: Option<u64>,
    /// Device address of the i32 or u32 length of each row, if not every element is valid.
    pub lengths: Option<u64>,
    /// Bytes of an image.
    pub bytes: u64,
    /// Bytes of a row.
    pub row_bytes: u64,
    /// Bytes of an element: 1, 2, 4 or 8.
    pub element: u32,
}

/// What the device found in one pair of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Elements that differ.
    pub count: u64,
    /// Index of the first of them.
    pub first: Option<u64>,
    /// The digest of the reference, see [`crate::digest`].
    pub digest: u64,
}

/// `Item` in `compare.cu`.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Item {
    reference: u64,
    other: u64,
    lengths: u64,
    bytes: u64,
    row_bytes: u64,
    element: u32,
    first_block: u32,
    blocks: u32,
    reserved: u32,
}

/// `Found` in `compare.cu`.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct RawFound {
    count: u64,
    first: u64,
    digest: u64,
}

/// Kernels, and the memory for a table of images and for what is found in them. Nothing is
/// allocated after [`new`](Comparer::new): the trend of free memory stays the step's own.
#[derive(Debug)]
pub struct Comparer {
    compare: Function,
    guards: Function,
    capacity: Capacity,
    /// What is uploaded: results as they are before the launch, then the table.
    table: PinnedMemory,
    results: PinnedMemory,
    // Declared before `_pool`: memory must go back before its pool does.
    device: DeviceMemory,
    _pool: MemoryPool,
    _module: LoadedModule,
}

/// What a [`Comparer`] has room for.
#[derive(Debug, Clone, Copy)]
struct Capacity {
    images: usize,
    guards: usize,
    blocks: usize,
}

/// Where things lie in the device memory, in bytes.
#[derive(Debug, Clone, Copy)]
struct Layout {
    broken: usize,
    items: usize,
    starts: usize,
    gaps: usize,
    owners: usize,
    end: usize,
}

impl Capacity {
    fn layout(self) -> Layout {
        let broken = self.images * size_of::<RawFound>();
        let items = broken + self.guards * 8;
        let starts = items + self.images * size_of::<Item>();
        let gaps = starts + self.guards * 8;
        let owners = gaps + self.guards * 8;
        Layout { broken, items, starts, gaps, owners, end: owners + self.blocks * 4 }
    }
}

fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(8 * WORDS_A_BLOCK).clamp(1, MOST_BLOCKS)
}

impl Comparer {
    /// Room for one pair of images of each of these sizes in bytes, and for as many guards.
    ///
    /// # Errors
    /// The driver takes the kernels, or has no memory.
    pub fn new(session: &Session, stream: &Stream, sizes: &[u64]) -> Result<Self, RunError> {
        let module = LoadedModule::load(PTX).map_err(|(error, log)| RunError::Module {
            module: "compare.ptx".to_owned(),
            error,
            log,
        })?;
        let function = |name: &str| {
            module.functions().get(name).copied().ok_or_else(|| RunError::Module {
                module: "compare.ptx".to_owned(),
                error: CudaError::new("cuModuleGetFunction", cudarc::driver::sys::CUresult::CUDA_ERROR_NOT_FOUND),
                log: format!("there is no kernel {name}"),
            })
        };
        let (compare, guards) = (function("compare_images")?, function("check_guards")?);
        let total = sizes.iter().map(|&bytes| blocks(bytes) as usize).sum();
        let capacity = Capacity { images: sizes.len(), guards: sizes.len(), blocks: total };
        let layout = capacity.layout();
        let memory = || {
            let pool = MemoryPool::new(session.device())?;
            let device = pool.allocate(layout.end.max(8), Guard::NONE, stream)?;
            Ok((pool, device, PinnedMemory::new(layout.end)?, PinnedMemory::new(layout.items)?))
        };
        let (pool, device, table, results) =
            memory().map_err(|error| RunError::Driver { what: "allocating memory for comparisons", error })?;
        Ok(Comparer { compare, guards, capacity, table, results, device, _pool: pool, _module: module })
    }

    /// Compares every pair of `images` and waits. Also gives, for each of `guarded`, which are the
    /// address of the guard before a buffer and the bytes of the buffer, the offset in both guards,
    /// taken as one, of the first byte that is not as `guard` says.
    ///
    /// # Errors
    /// The driver's.
    ///
    /// # Panics
    /// More images or guards than there is room for.
    pub fn run(
        &mut self,
        images: &[Images],
        guarded: &[(u64, u64)],
        guard: Guard,
        stream: &Stream,
    ) -> Result<(Vec<Found>, Vec<Option<u64>>), CudaError> {
        let layout = self.capacity.layout();
        let total = self.write_table(images, guarded);
        self.device.upload(&self.table, stream)?;
        let at = |offset: usize| (self.device.address() + offset as u64).to_ne_bytes().to_vec();
        if total > 0 {
            let mut arguments = [at(layout.items), at(layout.owners), at(0)];
            self.compare.launch([total, 1, 1], [THREADS, 1, 1], 0, &mut arguments, stream)?;
        }
        if !guarded.is_empty() {
            let numbers = [guard.bytes as u32, u32::from(guard.value)].map(|number| number.to_ne_bytes().to_vec());
            let [guard, expected] = numbers;
            let mut arguments = [at(layout.starts), at(layout.gaps), at(layout.broken), guard, expected];
            self.guards.launch([guarded.len() as u32, 1, 1], [THREADS, 1, 1], 0, &mut arguments, stream)?;
        }
        self.device.download(&mut self.results, stream)?;
        stream.synchronize()?;
        let index = |number: u64| (number != u64::MAX).then_some(number);
        let bytes = self.results.bytes();
        let found = bytes[..layout.broken].chunks_exact(size_of::<RawFound>()).take(images.len()).map(|bytes| {
            let raw: RawFound = bytemuck::pod_read_unaligned(bytes);
            Found { count: raw.count, first: index(raw.first), digest: raw.digest }
        });
        let broken = bytes[layout.broken..].chunks_exact(8).take(guarded.len());
        Ok((found.collect(), broken.map(|bytes| index(bytemuck::pod_read_unaligned(bytes))).collect()))
    }

    /// Writes the table for the upload; the number of blocks.
    fn write_table(&mut self, images: &[Images], guarded: &[(u64, u64)]) -> u32 {
        assert!(images.len() <= self.capacity.images && guarded.len() <= self.capacity.guards, "too many images");
        let layout = self.capacity.layout();
        let bytes = self.table.bytes_mut();
        let mut first_block = 0;
        for (index, pair) in images.iter().enumerate() {
            let blocks = blocks(pair.bytes) as u32;
            let item = Item {
                reference: pair.reference,
                other: pair.other.unwrap_or(0),
                lengths: pair.lengths.unwrap_or(0),
                bytes: pair.bytes,
                row_bytes: pair.row_bytes.max(1),
                element: pair.element,
                first_block,
                blocks,
                reserved: 0,
            };
            put(bytes, index * size_of::<RawFound>(), &RawFound { count: 0, first: u64::MAX, digest: 0 });
            put(bytes, layout.items + index * size_of::<Item>(), &item);
            for block in first_block..first_block + blocks {
                put(bytes, layout.owners + block as usize * 4, &(index as u32));
            }
            first_block += blocks;
        }
        for (index, (start, gap)) in guarded.iter().enumerate() {
            put(bytes, layout.broken + index * 8, &u64::MAX);
            put(bytes, layout.starts + index * 8, start);
            put(bytes, layout.gaps + index * 8, gap);
        }
        first_block
    }
}

fn put<T: bytemuck::Pod>(bytes: &mut [u8], at: usize, value: &T) {
    bytes[at..at + size_of::<T>()].copy_from_slice(bytemuck::bytes_of(value));
}
